"""In comes the log that an AudioMoth with a GPS receiver writes beside a recording, out come its tie points; the source calls it.

The GPS-Sync firmware writes one row at each pulse of the receiver, at a second of UTC exactly: how many samples there were
before it, and the last time that the receiver told (RMC). The receiver tells a pulse's time after the pulse. So it is the row
*after* that holds it:

    PPS_NUMBER  AUDIOMOTH_TIME  TOTAL_SAMPLES  LAST_RMC_AUDIOMOTH_TIME  LAST_RMC_GPS_TIME
    0           10:00:00.003    0
    1           10:00:01.003    47999          10:00:00.524             10:00:00.000       pulse 0: sample 0 at 10:00:00
    2           10:00:02.003    95999          10:00:01.353             10:00:01.000       pulse 1: sample 47999 at 10:00:01

Source: OpenAcousticDevices/AudioMoth-GPS-Sync, src/main.c; the times of its log are UTC.
"""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tilewright.documents.times import SECOND, utc_ns
from tilewright.errors import InputError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

COLUMNS = (
    "PPS_NUMBER",
    "AUDIOMOTH_TIME",
    "TOTAL_SAMPLES",
    "LAST_RMC_AUDIOMOTH_TIME",
    "LAST_RMC_GPS_TIME",
    "STATUS",
)
"""What a log must have."""
_PLACE = ("LAT_DEG", "LAT_MIN", "LAT_DIR", "LONG_DEG", "LONG_MIN", "LONG_DIR")
FIXED = "A"
"""The status of a time that the receiver vouches for; V is a warning."""
_HEAD_BYTES = 4096
_MOST_REMARKS = 10
_MINUTES = 60
"""Of a degree."""


class GpsTie(NamedTuple):
    """A sample whose time a GPS receiver told."""

    sample: int
    """Index in the file of the first sample at or after the pulse."""
    utc_ns: int
    """Time of the pulse: nanoseconds since 1970, UTC."""
    uncertainty_ns: int
    """One sample: whole ones are counted."""


@dataclass(frozen=True, slots=True)
class GpsLog:
    """What a log tells."""

    ties: tuple[GpsTie, ...]
    """In the order of time."""
    remarks: tuple[str, ...] = ()
    """What is wrong with it, clauses that name the file and the line."""
    latitude: float | None = None
    """Median of the places told, degrees north."""
    longitude: float | None = None
    """Likewise, degrees east."""


@dataclass(frozen=True, slots=True)
class _Pulse:
    """One row; times in nanoseconds since 1970, UTC."""

    line: int
    number: int
    clock: int
    """When it was, by the AudioMoth."""
    samples: int
    """Before it."""
    told_at: int | None
    """When the receiver last told a time, by the AudioMoth."""
    told: int | None
    """That time; None if it did not vouch for it."""
    place: tuple[float, float] | None


def is_log(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file starts as a log does."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return set(COLUMNS) <= set(_cells(head.split(b"\n", 1)[0].decode("utf-8-sig", "replace")))


def read_log(path: str | os.PathLike[str], rate: Fraction | float) -> GpsLog:
    """Return what the log at a path tells.

    Parameters
    ----------
    rate
        Samples a second of its recording, nominal.

    Raises
    ------
    InputError
        If the file cannot be read, or is no such log. Rows that are damaged are left out and remarked.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig", "replace")
    except OSError as error:
        raise InputError(f"cannot read the GPS log {path}: {error.strerror or error}.") from error
    return parse_log(text.splitlines(), rate, Path(path).name)


def parse_log(lines: Sequence[str], rate: Fraction | float, name: str) -> GpsLog:
    """Return what the lines of a log tell; `name` is its file's, for the remarks. Raises as `read_log` does."""
    columns = _cells(lines[0]) if lines else []
    if missing := [column for column in COLUMNS if column not in columns]:
        raise InputError(f"{name} is no GPS log of an AudioMoth: it has no column {', '.join(missing)}.")
    pulses, remarks = _pulses(lines[1:], columns)
    uncertainty = math.ceil(SECOND / Fraction(rate))
    ties: list[GpsTie] = []
    unfixed = 0
    for pulse, after in itertools.pairwise(pulses):
        if after.told is None:
            unfixed += 1
        elif problem := _problem(pulse, after, ties[-1] if ties else None):
            remarks.append((after.line, problem))
        else:
            ties.append(GpsTie(pulse.samples, after.told, uncertainty))
    places = [pulse.place for pulse in pulses if pulse.place is not None]
    return GpsLog(
        tuple(ties),
        tuple(_shown(name, remarks, unfixed, len(pulses))),
        statistics.median(north for north, _ in places) if places else None,
        statistics.median(east for _, east in places) if places else None,
    )


def _pulses(lines: Iterable[str], columns: Sequence[str]) -> tuple[list[_Pulse], list[tuple[int, str]]]:
    """Return the rows that can be read, and what is wrong with the others."""
    pulses, remarks = [], []
    for line, text in enumerate(lines, start=2):
        if not text.strip():
            continue
        cells = _cells(text)
        try:
            if len(cells) != len(columns):
                raise ValueError(f"{len(cells)} cells of {len(columns)}")  # noqa: TRY301 - one way out of a row
            pulses.append(_pulse(line, dict(zip(columns, cells, strict=True))))
        except (ValueError, OverflowError) as error:
            remarks.append((line, f"it cannot be read ({error})"))
    return pulses, remarks


def _pulse(line: int, row: dict[str, str]) -> _Pulse:
    is_fixed = row["STATUS"] == FIXED
    return _Pulse(
        line,
        _whole(row["PPS_NUMBER"]),
        _time(row["AUDIOMOTH_TIME"]),
        _whole(row["TOTAL_SAMPLES"]),
        _time(row["LAST_RMC_AUDIOMOTH_TIME"]) if is_fixed else None,
        _time(row["LAST_RMC_GPS_TIME"]) if is_fixed else None,
        _place(row) if is_fixed and all(column in row for column in _PLACE) else None,
    )


def _problem(pulse: _Pulse, after: _Pulse, last: GpsTie | None) -> str | None:
    """Return why the time in a row cannot be that of the pulse before; None if it can."""
    assert after.told is not None
    assert after.told_at is not None
    if after.number != pulse.number + 1:
        return f"no row for the pulse before it ({after.number - 1})"
    if not pulse.clock <= after.told_at <= min(after.clock, pulse.clock + SECOND):
        return "the receiver told the time of another pulse than the one before it"
    if after.told % SECOND:
        return "the receiver told a time between two seconds, and pulses are at seconds"
    if after.samples <= pulse.samples:
        return f"the count of samples does not grow ({pulse.samples}, then {after.samples})"
    if last is not None and after.told <= last.utc_ns:
        return "the receiver's time goes back"
    return None


def _shown(name: str, remarks: list[tuple[int, str]], unfixed: int, pulses: int) -> list[str]:
    """Return the remarks in the order of the lines, not more than a few."""
    shown = [f"{name}, line {line}: {text}; it is left out" for line, text in sorted(remarks)[:_MOST_REMARKS]]
    if len(remarks) > _MOST_REMARKS:
        shown.append(f"{name}: {len(remarks) - _MOST_REMARKS} more rows are left out")
    if unfixed:
        shown.append(f"{name}: at {unfixed} of {pulses} pulses the receiver had no fix")
    return shown


def _cells(line: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(",")]


def _whole(text: str) -> int:
    """Return a whole number, also one that was saved as a float."""
    value = float(text)
    if not value.is_integer() or value < 0:
        raise ValueError(f"{text!r} is no count")
    return int(value)


def _time(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return utc_ns(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _place(row: dict[str, str]) -> tuple[float, float] | None:
    """Return degrees north and east; None where they cannot be read, which the times need not mind."""
    try:
        north = float(row["LAT_DEG"]) + float(row["LAT_MIN"]) / _MINUTES
        east = float(row["LONG_DEG"]) + float(row["LONG_MIN"]) / _MINUTES
    except ValueError:
        return None
    return -north if row["LAT_DIR"] == "S" else north, -east if row["LONG_DIR"] == "W" else east
