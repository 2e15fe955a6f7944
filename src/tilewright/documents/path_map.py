r"""Paths that differ between machines: rules "from prefix, to prefix" and a URI come in, the server's URI goes out.

The `Translator` applies them, in the delivery, to each resource: a detector's computer says `/mnt/det/scan.h5`, or
`Z:\scan.h5`, and the server finds the file at `/data/det/scan.h5`. `TiledWriter` and the commands read the rules, here
too, and refuse at once those that cannot be meant. The journal keeps the documents as they came.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

from tilewright.documents.notes import quoted
from tilewright.errors import InputError, SetupError

VARIABLE = "TILEWRIGHT_PATH_MAP"
"""Environment variable: the file of rules, for writers that were given none."""

_HERE = "localhost"
_FILE_URI = re.compile(r"file:(?://(?P<host>[^/\\]*))?(?P<path>[/\\].*|$)", re.IGNORECASE | re.DOTALL)
_DRIVE = re.compile(r"/*([A-Za-z]:)(?=[/\\]|$)")
_UP = re.compile(r"/\.\.(?=/|$)")


@dataclass(frozen=True, slots=True)
class _Place:
    """A path and the machine that a URI says it is on."""

    host: str
    path: str
    """Absolute, with slashes: `/mnt/det`, `/C:/data`."""

    @classmethod
    def of(cls, text: str) -> Self | None:
        r"""Take a URI or a path apart; None if it is neither a file's URI nor an absolute path.

        >>> _Place.of("file:///mnt/det"), _Place.of("C:\\data"), _Place.of("\\\\nas\\share")
        (_Place(host='localhost', path='/mnt/det'), _Place(host='localhost', path='/C:/data'), _Place(host='nas', path='/share'))
        """
        host, path = _HERE, text
        if match := _FILE_URI.fullmatch(text):
            host, path = match["host"] or _HERE, match["path"]
        elif text.startswith("\\\\"):
            host, _, path = text[2:].replace("\\", "/").partition("/")
            path = f"/{path}"
        if _DRIVE.match(path):
            path = "/" + path.lstrip("/").replace("\\", "/")
        if not path.startswith("/"):
            return None
        if _UP.search(path):
            path = posixpath.normpath(path) + ("/" if path.endswith("/") else "")
        return cls(host.casefold(), path)

    @property
    def uri(self) -> str:
        return f"file://{self.host}{self.path}"

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(segment for segment in self.path.split("/") if segment not in ("", "."))

    @property
    def is_windows(self) -> bool:
        return _DRIVE.match(self.path) is not None

    def below(self, prefix: _Place) -> str | None:
        """Return what follows a prefix, as it is written, with its slash; None if this is not below it."""
        if self.host != prefix.host:
            return None
        rest = self.path
        for segment in prefix.segments:
            own, slash, after = rest.lstrip("/").partition("/")
            while own == ".":
                own, slash, after = after.lstrip("/").partition("/")
            names = (unquote(own), unquote(segment))
            if prefix.is_windows:  # where case makes no difference
                names = (names[0].casefold(), names[1].casefold())
            if names[0] != names[1]:
                return None
            rest = slash + after
        return rest


@dataclass(frozen=True, slots=True)
class PathMap:
    r"""Rules by which the paths of files become those by which the server knows them.

    A prefix ends where a name ends; of several that fit, the longest counts. What fits none stays as it is.

    >>> rules = PathMap.of({"/mnt": "/data", "/mnt/det": "/fast/det", "Z:\\": "/data/windows"})
    >>> rules.apply("file://localhost/mnt/det/a.h5"), rules.apply("file:///mnt/det2/a.h5")
    ('file://localhost/fast/det/a.h5', 'file://localhost/data/det2/a.h5')
    >>> rules.apply("file://localhost/z:/a.h5"), rules.apply("file://localhost/home/a.h5")
    ('file://localhost/data/windows/a.h5', 'file://localhost/home/a.h5')
    """

    rules: tuple[tuple[_Place, _Place], ...] = ()
    """From, to; longest first."""

    @classmethod
    def of(cls, rules: Any) -> Self:
        r"""Return the map that a mapping describes.

        Parameters
        ----------
        rules
            From prefix → to prefix, each an absolute path (`/mnt/det`, `C:\data`) or a URI
            (`file://localhost/mnt/det`).

        Raises
        ------
        InputError
            If it is no mapping, if one of these is no absolute path, or two that say the same are mapped to different places.
        """
        if not isinstance(rules, Mapping):
            raise InputError(f"a path map is {quoted(rules)}; expected a mapping such as {{'/mnt': '/data'}}")
        places = [(_checked(before), _checked(after)) for before, after in rules.items()]
        known: dict[tuple[str, tuple[str, ...]], _Place] = {}
        for before, after in places:
            names = before.segments
            key = (before.host, tuple(map(str.casefold, names)) if before.is_windows else names)
            if known.setdefault(key, after) != after:
                raise InputError(f"a path map has {before.path} twice, and maps it to different places")
        return cls(tuple(sorted(places, key=lambda rule: -len(rule[0].segments))))

    def as_mapping(self) -> dict[str, str]:
        """Return what `of` makes the same map of."""
        return {before.uri: after.uri for before, after in self.rules}

    def apply(self, uri: str) -> str:
        """Return the URI by which the server knows a file; the same text where no rule fits."""
        place = _Place.of(uri) if self.rules else None
        if place is None:
            return uri
        for before, after in self.rules:
            if (rest := place.below(before)) is not None:
                path = "/".join(("", *after.segments)) + rest
                return f"file://{after.host}{path or '/'}"
        return uri


def read_path_map(path: Path) -> dict[str, str]:
    """Return the rules in a YAML or JSON file: a mapping, from prefix → to prefix.

    Raises
    ------
    SetupError
        If there is no such file, or something else is in it.
    """
    import yaml  # noqa: PLC0415 - slow to import, rarely used

    try:
        rules = yaml.safe_load(path.expanduser().read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"the path map {path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise SetupError(f"the path map {path} is neither YAML nor JSON: {error}") from error
    return _rules_of(rules, path)


def path_rules(given: Mapping[str, str] | None) -> dict[str, str]:
    """Return the rules of a writer: those it was given, else those in the file that `TILEWRIGHT_PATH_MAP` names.

    Raises
    ------
    InputError, SetupError
        If they cannot be meant; the latter if they are in the file.
    """
    if given is not None:
        PathMap.of(given)
        return dict(given)
    named = os.environ.get(VARIABLE)
    return read_path_map(Path(named)) if named else {}


def _rules_of(rules: Any, path: Path) -> dict[str, str]:
    try:
        PathMap.of(rules or {})
    except InputError as error:
        raise SetupError(f"the path map {path}: {error}") from error
    return dict(rules or {})


def _checked(text: Any) -> _Place:
    place = _Place.of(text) if isinstance(text, str) and "\0" not in text else None
    if place is None or not place.host:
        raise InputError(
            f"a path map has {quoted(text)}; expected an absolute path, such as '/mnt/det', 'C:\\data' or"
            " 'file://localhost/mnt/det'"
        )
    return place
