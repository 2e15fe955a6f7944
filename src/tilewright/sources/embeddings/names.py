"""What the name of a recording tells: a regular expression and names come in, the columns of a table go out. `reading` calls it.

    site_0285/20201014T010000+1030_Arkaba-Dry-A_49500.flac
         ▲    ▲              ▲     ▲      ▲     ▲
    site_id   datetime  timezone  site_name     file_seq_id        a group each, which is a column
                                       subsite_name

`datetime` and `timezone` are no columns of their own: together they are `recording_start`, `utc_offset` and
`seconds_since_midnight`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tilewright.documents.times import SECOND
from tilewright.errors import InputError
from tilewright.sources.zones import as_zone, local_ns

if TYPE_CHECKING:
    from datetime import tzinfo

    from tilewright.sources.zones import Zone

PATTERN = (
    r"site_(?P<site_id>\d{4})/(?P<datetime>\d{8}T\d{6})(?P<timezone>[+-]\d{4}|Z)?_(?P<site_name>[\w-]*)-"
    r"(?P<subsite_name>(?:Wet|Dry)-[AB])_(?P<file_seq_id>\d+)\.flac"
)
"""Of the Australian Acoustic Observatory's recordings, as the embeddings of A2O name them. The site's name is `[\\w-]*` and not
`(?:\\w*|-)*`, which takes the same and, of a name that does not fit, an age to say so."""
DATETIME, TIMEZONE = "datetime", "timezone"
START, OFFSET, MIDNIGHT = "recording_start", "utc_offset", "seconds_since_midnight"
OWN = (
    "embedding",
    "filename",
    "offset",
    "channel",
    "file",
    "record",
    START,
    OFFSET,
    MIDNIGHT,
    "seq_num",
    "time",
)
"""Columns that a group cannot be called."""
_DIGITS_ALONE = re.compile(r"(?:\\d|\[0-9\]|\d)(?:\{\d+(?:,\d*)?\}|[*+?])*")
"""What a group consists of, once or more, whose text is a whole number."""
_STAMP = re.compile(r"(\d{4})\D?(\d\d)\D?(\d\d)\D?(\d\d)\D?(\d\d)\D?(\d\d)")
_LARGEST = (1 << 63) - 1
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Column:
    """One column that names tell."""

    name: str
    dtype: str
    """"integer" or "string", as in a descriptor."""
    units: str | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """What one name tells."""

    values: tuple[Any, ...]
    """One for each of `NamePattern.columns`."""
    start: int | None
    """When the recording began, in nanoseconds since 1970, UTC; None if names tell no times."""


class UnfitNameError(InputError):
    """A name that does not tell what the pattern asks for."""


class NamePattern:
    r"""A regular expression with named groups, found anywhere in a name.

    A group that is made of `\d` alone is a column of integers, any other one of text.

    Parameters
    ----------
    pattern
        Default: `PATTERN`.
    zone
        Of times without one.

    Raises
    ------
    InputError
        If it is no regular expression, has no named groups, or one that is called as another column.
    """

    def __init__(self, pattern: str | None = None, zone: Zone | None = None) -> None:
        self.text = PATTERN if pattern is None else pattern
        self._zone = as_zone(zone)
        try:
            self._expression = re.compile(self.text)
        except re.error as error:
            raise InputError(f"The pattern {self.text!r} is no regular expression: {error}") from error
        groups = list(self._expression.groupindex)
        if not groups:
            raise InputError(
                f"The pattern {self.text!r} has no named groups, which would be the columns: write (?P<site>…)"
            )
        if taken := [name for name in groups if name in OWN]:
            raise InputError(
                f"The pattern {self.text!r} has a group {taken[0]!r}, and there is a column of that name: call it otherwise"
            )
        if TIMEZONE in groups and DATETIME not in groups:
            raise InputError(f"The pattern {self.text!r} has a group {TIMEZONE!r} and no {DATETIME!r}")
        self._groups = [name for name in groups if name not in (DATETIME, TIMEZONE)]
        self._integers = {name for name in self._groups if _is_number(self.text, name)}
        self.has_times = DATETIME in groups
        self.columns = tuple(self._columns())

    def __call__(self, name: str) -> Named:
        """Return what a name tells.

        Raises
        ------
        UnfitNameError
            If it does not match, or tells no time that can be told.
        """
        match = self._expression.search(name)
        if match is None:
            raise UnfitNameError(f"the name {name!r} does not match the pattern")
        values = [self._value(name, group, match[group]) for group in self._groups]
        if not self.has_times:
            return Named(tuple(values), None)
        local, zone = self._time(name, match[DATETIME]), self._zone_of(name, match)
        start = _utc(local, zone, name)
        wall = round((local - datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001 - what a clock on the wall said
        return Named((*values, start, wall - start // SECOND, wall % _DAY), start)

    def _columns(self) -> list[Column]:
        columns = [Column(name, "integer" if name in self._integers else "string") for name in self._groups]
        if self.has_times:
            columns += [
                Column(START, "integer", "ns"),
                Column(OFFSET, "integer", "s"),
                Column(MIDNIGHT, "integer", "s"),
            ]
        return columns

    def _value(self, name: str, group: str, text: str | None) -> Any:
        if group not in self._integers:
            return text
        if not text:
            return None
        if (value := int(text)) > _LARGEST:
            raise UnfitNameError(f"the name {name!r} has a {group} that is too large for a number")
        return value

    def _time(self, name: str, text: str | None) -> datetime:
        stamp = _STAMP.fullmatch(text or "")
        try:
            return datetime(*map(int, stamp.groups()))  # type: ignore[union-attr, arg-type] # noqa: DTZ001 - its zone comes next
        except (AttributeError, ValueError):
            raise UnfitNameError(
                f"the name {name!r} has no time: {text!r} is no year, month, day, hour, minute and second"
            ) from None

    def _zone_of(self, name: str, match: re.Match[str]) -> tzinfo:
        text = match[TIMEZONE] if TIMEZONE in self._expression.groupindex else None
        if not text and self._zone is None:
            raise UnfitNameError(
                f"the name {name!r} does not say of which zone its time is: tell it (--zone +10:30, in Python zone=)"
            )
        try:
            zone = as_zone(text or self._zone)
        except InputError as error:
            raise UnfitNameError(f"the name {name!r}: {error}") from error
        assert zone is not None, "there is a text, or a zone"
        return zone


def _utc(local: datetime, zone: tzinfo, name: str) -> int:
    try:
        return local_ns(local, zone, f"the name {name!r}")
    except InputError as error:
        raise UnfitNameError(str(error)) from error


def _is_number(pattern: str, group: str) -> bool:
    r"""Say whether a group is made of digits alone.

    >>> [_is_number(r"(?P<x>\d{4})_(?P<y>[0-9]+\d?)(?P<z>\w+)", name) for name in "xyz"]
    [True, True, False]
    """
    start = pattern.index(f"(?P<{group}>") + len(f"(?P<{group}>")
    inside = pattern[start : pattern.index(")", start)]
    return re.fullmatch(f"(?:{_DIGITS_ALONE.pattern})+", inside) is not None
