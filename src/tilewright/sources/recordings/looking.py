"""One file comes in, what it is to the deployment goes out: a recording, none, or a question. `source` calls it for each.

A file is opened once, by `audio.probe`; `metadata` says what its header and its name tell, and the user's table what they do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tilewright.audio import probe
from tilewright.documents.times import SECOND
from tilewright.errors import InputError
from tilewright.sources.recordings.facts import Recorded, Rejected, Shape, Unanswered
from tilewright.sources.recordings.gps import is_log, read_log
from tilewright.sources.recordings.metadata import describe
from tilewright.sources.recordings.units_table import UnitsTable
from tilewright.sources.zones import as_zone

if TYPE_CHECKING:
    from pathlib import Path

    from tilewright.audio import AudioFacts
    from tilewright.sources.recordings.facts import Answer, Asked
    from tilewright.sources.recordings.gps import GpsLog, GpsTie
    from tilewright.sources.recordings.metadata import FileMetadata
    from tilewright.sources.recordings.units_table import UnitRow
    from tilewright.sources.scan import Found

GPS = "GPS"
"""Who told the start, or a tie point, where it was the log of a receiver."""
TABLE = "table"
"""Who told the start, where it was the user's table."""
_NOT_IN_A_URI = frozenset("#?;")
"""Tiled writes paths into URIs as they are."""
_LATE_END = 2 * SECOND
"""By how much the end that a file tells may be off: recorders tell whole seconds, and stop when they are done."""


class Looking:
    """What the user said, to be put together with what the files say.

    Parameters
    ----------
    zone
        Of the recorders' clocks, for files that do not tell.
    units
        The user's table.

    Raises
    ------
    InputError
        If the zone is not known, or the table cannot be read.
    """

    def __init__(self, *, zone: Any, units: Any) -> None:
        self._zone = as_zone(zone)
        self._table = UnitsTable.of(units)
        self.units = {unit: self._table.facts_of(unit) for unit in self._table.units}
        """What the table says of each unit, its row among it."""

    def look(self, found: Found) -> Answer:
        """Look at a file; a fault of it becomes a reason."""
        if reason := unfit(found):
            return Rejected(found, reason, may_grow=not found.size)
        try:
            facts = probe(found.place)
        except (InputError, OSError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            return Rejected(found, reason.replace(found.place, "it").rstrip("."), may_grow=True)
        if not facts.frames:
            return Rejected(found, "it holds no samples", may_grow=True)
        try:
            return self._placed(found, facts)
        except InputError as error:
            return Unanswered(found, ("other",), why=str(error))

    def _placed(self, found: Found, facts: AudioFacts) -> Answer:
        """Say whose a file is and when it starts.

        Raises
        ------
        InputError
            If the user has to say something differently: two rows describe it.
        """
        told = describe(facts, found.name, self._zone, strict=False)
        row = self._table.unit_for(found.name, told.unit, told.device_id)
        if row is not None and row.zone is not None:
            told = describe(facts, found.name, row.zone, strict=False)
        log = None if found.log is None else gps_log(found.log, facts.rate)
        unit = told.unit if row is None else row.unit
        start = _start(facts, told, row, log)
        if start is None and told.unsettled:
            return Unanswered(found, ("other",), why=told.unsettled)
        if unit is None or start is None:
            asked: list[Asked] = [] if unit is not None else ["unit"]
            if start is None:
                asked.append("time" if told.local is None else "zone")
            return Unanswered(found, tuple(asked), told.local)
        remarks = (facts.remark, told.remark, start.remark, _end(facts, told))
        return Recorded(
            found,
            unit,
            start.time,
            start.precision,
            start.told_by,
            facts.frames,
            facts.rate,
            facts.bits,
            Shape(facts.dtype, facts.channels, facts.mimetype),
            told.battery_v,
            told.temperature_c,
            _about_unit(told, log),
            "; ".join(remark for remark in remarks if remark),
            may_grow=facts.declared is not None and facts.frames < facts.declared,
            log=log,
        )


_OFF = 60 * SECOND
"""Nanoseconds by which a log and a name may differ: a clock that nobody has set for months is so far off."""


class _Start(NamedTuple):
    """When a file starts, in nanoseconds."""

    time: int
    precision: int
    told_by: str
    remark: str = ""


def _start(facts: AudioFacts, told: FileMetadata, row: UnitRow | None, log: GpsLog | None) -> _Start | None:
    """Return when a file starts.

    The user's word for this very file counts first, then its header and its name, which say what its clock said; a log beside it tells
    where nothing else does.
    """
    if row is not None and row.start_ns is not None:
        other = told.start_ns is not None and abs(told.start_ns - row.start_ns) > told.precision_ns
        remark = f"its {told.start_from} tells another start than the table, which counts" if other else ""
        return _Start(row.start_ns, 1, TABLE, remark)
    by_log = None if log is None or not log.ties else _by_log(log.ties[0], facts.rate)
    if told.start_ns is None:
        return by_log
    off = by_log is not None and abs(by_log.time - told.start_ns) > told.precision_ns + _OFF
    remark = (
        f"the log beside it tells another start than its {told.start_from}: one of them may be wrong"
        if off
        else ""
    )
    return _Start(told.start_ns, told.precision_ns, told.start_from or "", remark)


def _by_log(tie: GpsTie, rate: int) -> _Start:
    return _Start(tie.utc_ns - tie.sample * SECOND // rate, tie.uncertainty_ns, GPS)


def unfit(found: Found) -> str:
    """Say why a file need not be opened; empty if it may be a recording."""
    path = found.place
    if bad := _NOT_IN_A_URI & set(path):
        return f"no server takes a path with {' '.join(sorted(bad))} in it: rename it"
    if not path.isprintable():
        return "its path holds what is no text: rename it"
    return "" if found.size else "it is empty"


def gps_log(path: Path, rate: int) -> GpsLog | None:
    """Return the log beside a recording; None if that is something else, or cannot be read."""
    if not is_log(path):
        return None
    try:
        return read_log(path, rate)
    except InputError:
        return None


def _about_unit(told: FileMetadata, log: GpsLog | None) -> dict[str, Any]:
    names = ("device_id", "model", "firmware", "gain", "latitude", "longitude", "elevation")
    about = {name: value for name in names if (value := getattr(told, name)) is not None}
    if log is not None and log.latitude is not None and "latitude" not in about:
        about |= {"latitude": log.latitude, "longitude": log.longitude}
    return about


def _end(facts: AudioFacts, told: FileMetadata) -> str:
    """Return a remark if a file does not end when it says."""
    if told.end_ns is None or told.start_ns is None:
        return ""
    late = told.end_ns - told.start_ns - facts.frames * SECOND // facts.rate
    if abs(late) <= max(_LATE_END, told.precision_ns):
        return ""
    return (
        f"it tells an end {abs(late) / SECOND:.0f} s {'after' if late > 0 else 'before'} that of its samples"
    )
