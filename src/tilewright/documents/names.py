"""Names that nodes, columns and keys can have: any text comes in, what its place can hold goes out, each name once.

The plan names the nodes of runs, streams and arrays with it, the tables their columns, `to_json` the keys of metadata,
and the clients find a run again.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CATALOG_FILE = "catalog.db"
"""The file by which a directory made by `tilewright serve` is known."""
NOT_IN_A_PATH = r"/?#%{}\\\x00-\x1f\x7f-\x9f\u2028\u2029"
"""What the key of a node cannot have, as the inside of a character class: Tiled's server splits a path at slashes, its
links and its Python client leave `?`, `#` and `%` as they are and take `{}` for templates; and control characters."""
MAX_BYTES = 200
"""Longest key of a node: file systems allow 255 for what is exported, and Tiled 1,023."""
_UNFIT = re.compile(f"[{NOT_IN_A_PATH}]")
_DIGITS = 16


class Distinct:
    """Gives out each name once; a name that is taken gets a number. Costs the same for each, however many are equal.

    Parameters
    ----------
    taken
        Names that are not to be had.
    forms
        All that a name takes, where that is not just itself: stores fold case, say.

    Examples
    --------
    >>> names = Distinct(taken=["time"])
    >>> [names.claim(name) for name in ("time", "x", "x", "x")]
    ['time_', 'x', 'x_', 'x_2']
    """

    def __init__(
        self, taken: Iterable[str] = (), forms: Callable[[str], tuple[str, ...]] = lambda name: (name,)
    ) -> None:
        self._forms = forms
        self._taken = set(taken)
        self._last: dict[str, int] = {}
        """The last number given to a name."""

    def claim(self, name: str) -> str:
        """Return this name, or the next one like it that is free, which is taken from now on."""
        family = self._forms(name)[0]
        number, free = self._last.get(family, 0), name
        if number:
            free = _numbered(name, number)
        while not self._taken.isdisjoint(self._forms(free)):
            number += 1
            free = _numbered(name, number)
        self._last[family] = number
        self._taken.update(self._forms(free))
        return free


def is_text(value: Any) -> bool:
    """Tell whether a value is a text that can be written down and sent: a string without lone surrogates."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_key(value: Any) -> bool:
    """Tell whether a value can be looked up; a uid should be a string, but may be anything."""
    try:
        hash(value)
    except Exception:  # noqa: BLE001 - somebody's own type may raise anything
        return False
    return True


def path_segment(name: str) -> str:
    """Return a name as the key of a node can be: the name itself, unless a path cannot hold it.

    Examples
    --------
    >>> [path_segment(name) for name in ("primary", "naïve scan", "a/b", "..", "", "50%?")]
    ['primary', 'naïve scan', 'a_b', '.._', '_', '50__']
    """
    segment = _UNFIT.sub("_", name.encode("utf-8", "backslashreplace").decode())
    if not segment.strip(". "):
        segment += "_"
    if len(segment.encode()) > MAX_BYTES:
        kept = segment.encode()[: MAX_BYTES - _DIGITS - 1].decode("utf-8", "ignore")
        segment = f"{kept}-{digest(name)}"
    return segment


def run_key(uid: str) -> str:
    """Return the key of a run's node: its uid, or, if a path cannot hold that, one that no other run has.

    Examples
    --------
    >>> run_key("219cc7b4-f4e8-4edd-bcc0-c5f0ebf318a3"), run_key("day 1/run 2")
    ('219cc7b4-f4e8-4edd-bcc0-c5f0ebf318a3', 'day 1_run 2-125892e62a98b90c')
    """
    segment = path_segment(uid)
    return segment if segment == uid or segment.endswith(digest(uid)) else f"{segment}-{digest(uid)}"


def digest(text: str | bytes) -> str:
    """Return digits that stand for a text, whatever it is."""
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return hashlib.sha256(content).hexdigest()[:_DIGITS]


def _numbered(name: str, number: int) -> str:
    return name if not number else f"{name}_" if number == 1 else f"{name}_{number}"
