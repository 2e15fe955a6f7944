"""What a path in a store may be: a text comes in, the same text or an error goes out. Every persister asks.

One rule for all of them, so that what one store holds can be copied into any other.
"""

from __future__ import annotations

import re
from typing import Any

from tilewright.documents.notes import quoted
from tilewright.errors import UnfitKeyError

_UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and lone surrogates, which UTF-8 does not have."""
LONGEST = 1000
"""Bytes of a path: S3 has 1,024 for a key, with the store's own prefix."""
LONGEST_NAME = 255
"""Bytes of a name in it: what file systems have."""


def checked(path: Any) -> str:
    """Return a path that every store can have: names with "/" between them.

    Raises
    ------
    UnfitKeyError
        If it is no text, has an empty name in it (so that it is absolute, or ends with "/"), "." or "..", a control
        character, or is too long. The message says which.

    Examples
    --------
    >>> checked("1566065093213/left mic/data/00000000086016")
    '1566065093213/left mic/data/00000000086016'
    >>> checked("../passwd")
    Traceback (most recent call last):
    tilewright.errors.UnfitKeyError: '../passwd' is no path in a store: "." and ".." are no names.
    """
    if not isinstance(path, str):
        raise UnfitKeyError(f"{quoted(path)} is no path in a store: expected text such as 'a/b/c'.")
    wrong = _wrong(path)
    if wrong:
        raise UnfitKeyError(f"{quoted(path)} is no path in a store: {wrong}.")
    return path


def is_path(path: Any) -> bool:
    """Tell whether what a backend lists is a path that every store can have: other programs leave others."""
    return isinstance(path, str) and not _wrong(path)


def _wrong(path: str) -> str:
    """Return what is wrong with a path; empty if nothing is."""
    if not path:
        return "it is empty"
    if path[0] == "/":
        return 'it begins with "/", and paths begin at the store\'s root'
    if _UNFIT.search(path):
        return "a control character or a lone surrogate is in it"
    if len(path) * 4 > LONGEST and len(path.encode()) > LONGEST:  # a character has 4 bytes at most
        return f"it has more than {LONGEST} bytes"
    names = (_wrong_name(name) for name in path.split("/"))
    return next(filter(None, names), "")


def _wrong_name(name: str) -> str:
    if not name:
        return "a name in it is empty"
    if name in (".", ".."):
        return '"." and ".." are no names'
    is_long = len(name) * 4 > LONGEST_NAME and len(name.encode()) > LONGEST_NAME
    return f"a name in it has more than {LONGEST_NAME} bytes" if is_long else ""
