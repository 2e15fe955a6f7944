"""A run's uid and its catalog come in, the name of its journal's file goes out; the directory and the reader ask.

<run uid>@<8 digits of the catalog's digest>.twj      the run on its way to that catalog
<run uid>.twj                                         … to any catalog
<run uid>@<8 digits>+2.twj, +3, …                     the same, where another file has the name already

A uid is quoted, so that none leads out of the folder, and `@` and `+` are ours.
"""

from __future__ import annotations

import hashlib
from secrets import token_hex
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX = ".twj"
CLAIM_SUFFIX = ".claim"
NAMES = 10
"""How many files of one run a folder has by names that can be told beforehand."""
_LONGEST_NAME = 200
"""Bytes of a file name; file systems allow 255."""
_DIGITS = 8


def public_name(catalog: str | None) -> str | None:
    """Return a catalog's name without what opens it: no key, user or password reaches a journal.

    >>> public_name("http://alice:secret@127.0.0.1:8000/api/v1?api_key=secret")
    'http://127.0.0.1:8000/api/v1'
    >>> public_name("/data/50% done?")
    '/data/50% done?'
    """
    if catalog is None:
        return None
    catalog = catalog.encode(errors="replace").decode()  # a folder's name may be bytes that are no text
    if "api_key=" in catalog:
        catalog = catalog.partition("?")[0]
    if "://" not in catalog:
        return catalog
    try:
        parts = urlsplit(catalog)
    except ValueError:  # not a URI after all, so nobody knows what is a secret in it
        return catalog.partition("://")[0]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def place(catalog: str | None) -> str:
    """Return the part of a journal's name that stands for its catalog; empty for any catalog.

    >>> place("http://127.0.0.1:8000/api/v1")
    '@8e6ff74e'
    """
    name = public_name(catalog)
    return "" if name is None else "@" + hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]


def file_name(uid: str, catalog: str | None) -> str:
    """Return the file name of a run on its way to a catalog: one run may be on its way to several.

    >>> file_name("219cc7b4-f4e8-4edd-bcc0-c5f0ebf318a3", "http://127.0.0.1:8000/api/v1")
    '219cc7b4-f4e8-4edd-bcc0-c5f0ebf318a3@8e6ff74e.twj'
    >>> file_name("../etc", None)
    '%2E%2E%2Fetc.twj'
    """
    return _of_run(uid) + place(catalog) + SUFFIX


def alternatives(path: Path) -> Iterator[Path]:
    """Yield a path, and the names beside it to take if others have it, in this order; the last one nobody has.

    >>> from pathlib import Path
    >>> [path.name for path in alternatives(Path("run@8e6ff74e.twj"))][:3]
    ['run@8e6ff74e.twj', 'run@8e6ff74e+2.twj', 'run@8e6ff74e+3.twj']
    """
    yield path
    for name in names_like(path.name):
        if name != path.name:
            yield path.with_name(name)
    yield path.with_name(
        f"{_stem(path.name)}+{token_hex(4)}{SUFFIX}"
    )  # not found again by name, but nothing is lost


def names_like(name: str) -> list[str]:
    """Return the names under which a run may be found: the one it should have, and those beside it."""
    stem = _stem(name)
    return [f"{stem}{SUFFIX}", *(f"{stem}+{number}{SUFFIX}" for number in range(2, NAMES + 1))]


def parse(name: str) -> tuple[str, str]:
    """Return the run's uid and the place of its catalog out of a file name.

    >>> parse("%2E%2E%2Fetc@8e6ff74e+2.twj"), parse("run.twj")
    (('../etc', '@8e6ff74e'), ('run', ''))
    """
    run, at, digits = _stem(name).partition("@")
    return unquote(run), at + digits


def _stem(name: str) -> str:
    return name.removesuffix(SUFFIX).partition("+")[0]


def _of_run(uid: str) -> str:
    name = quote(uid, safe="", errors="backslashreplace").replace(".", "%2E") or "%"
    if len(name) > _LONGEST_NAME:
        name = name[:_LONGEST_NAME] + hashlib.sha256(name.encode()).hexdigest()[:16]
    return name
