"""Tables of a deployment: its units come in; DataFrames of what was recorded, when, by which clock go out.

`Deployment` calls this. Times are timestamps in UTC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from tilewright.clients.frames import to_frame
from tilewright.clients.recordings.moments import durations, timestamps
from tilewright.clients.recordings.timeline import Break
from tilewright.clients.recordings.units import POSITIONS, fact_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tilewright.clients.recordings.units import Clock, Unit


def units_table(units: Sequence[Unit], clock: Clock | None = None) -> pd.DataFrame:
    """Return one row a unit, by name: row, facts, rate, dtype, channels, files, samples, start, stop."""
    names = fact_names(units)
    lines = [unit.timeline(unit.clock(clock)) for unit in units]
    columns: dict[str, Any] = {"row": [unit.row for unit in units]}
    columns |= {name: [unit.facts.get(name) for unit in units] for name in names}
    columns |= {
        "rate": [None if unit.rate is None else float(unit.rate) for unit in units],
        "dtype": [str(unit.dtype) for unit in units],
        "channels": [unit.channels for unit in units],
        "files": [len(unit.files) for unit in units],
        "samples": [unit.samples for unit in units],
        "start": timestamps([line.begins for line in lines]),
        "stop": timestamps([line.ends for line in lines]),
    }
    frame = pd.DataFrame(columns, index=pd.Index([unit.name for unit in units], name="unit", dtype="str"))
    for name in POSITIONS:
        if name in frame:
            frame[name] = pd.to_numeric(frame[name], errors="coerce").astype("float64")
    rates = frame["rate"]
    return frame.assign(rate=rates.astype("Int64") if (rates.dropna() % 1 == 0).all() else rates)


def coverage_table(units: Sequence[Unit], clock: Clock | None) -> pd.DataFrame:
    """Return one row for what a unit recorded without a break: unit, start, stop, duration, samples, rate, files."""
    rows = [
        {
            "unit": unit.name,
            "start": segment[0].begins,
            "stop": segment[-1].ends,
            "samples": sum(map(len, segment)),
            "rate": float(line.rate(segment[0])),
            "files": len({part.piece.file for part in segment}),
        }
        for unit in units
        for line in [unit.timeline(unit.clock(clock))]
        for segment in line.segments(line.stretches)
    ]
    frame = _with_times(rows, ["unit", "start", "stop", "duration", "samples", "rate", "files"])
    return frame.astype({"samples": "int64", "rate": "float64", "files": "int64"})


def gaps_table(units: Sequence[Unit], clock: Clock | None) -> pd.DataFrame:
    """Return one row for each place where the files of a unit do not follow each other.

    Columns: unit, start, stop, duration, kind ("gap", "overlap", "jump back"), file_before, file_after. A jump back is found
    by the unit's own clock, in the order in which its files were taken; its duration is negative.
    """
    rows = [
        {
            "unit": unit.name,
            "start": one.start,
            "stop": one.stop,
            "kind": one.kind,
            "file_before": unit.names[one.before],
            "file_after": unit.names[one.after],
        }
        for unit in units
        for one in sorted(
            [*unit.timeline(unit.clock(clock)).breaks, *_jumps(unit)], key=lambda one: one.start
        )
    ]
    names = ["unit", "start", "stop", "duration", "kind", "file_before", "file_after"]
    return _with_times(rows, names).astype({"kind": "str", "file_before": "str", "file_after": "str"})


def clocks_table(units: Sequence[Unit]) -> pd.DataFrame:
    """Return one row a unit, by name: what is known of its clock.

    Columns: ties (number of tie points), method ("corrected", "nominal"), drift_ppm (millionths by which it is fast against UTC; NaN
    where that is not told), first_tie and last_tie (timestamps), first_offset and last_offset (timedelta by which it was ahead
    of UTC there), uncertainty (timedelta, the largest of its pieces).
    """
    columns: dict[str, list[Any]] = {}
    for unit in units:
        ties = sorted(unit.ties, key=lambda tie: tie.utc)
        pieces = unit.timeline(unit.clock(None)).whole
        uncertain = [part.piece.uncertainty for part in pieces]
        known = [one for one in uncertain if one is not None]
        row = {
            "ties": len(ties),
            "method": unit.clock(None),
            "drift_ppm": unit.drift,
            "first_tie": ties[0].utc if ties else None,
            "last_tie": ties[-1].utc if ties else None,
            "first_offset": unit.offset(ties[0]) if ties else None,
            "last_offset": unit.offset(ties[-1]) if ties else None,
            "uncertainty": max(known) if known and len(known) == len(uncertain) else None,
        }
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    index = pd.Index([unit.name for unit in units], name="unit", dtype="str")
    frame: dict[str, Any] = dict(columns)
    frame |= {name: timestamps(columns[name]) for name in ("first_tie", "last_tie")}
    frame |= {name: durations(columns[name]) for name in ("first_offset", "last_offset", "uncertainty")}
    return pd.DataFrame(frame, index=index).astype({"drift_ppm": "float64", "method": "str"})


def files_table(units: Sequence[Unit]) -> pd.DataFrame:
    """Return one row a file, in the order of each unit's array: unit, and what was said of it; times by the unit's own clock."""
    frames = []
    for unit in units:
        events = to_frame(unit.events, {field.name: field.type for field in unit.events.schema})
        times: dict[str, Any] = {
            "start": timestamps([file.begins for file in unit.files]),
            "stop": timestamps([file.ends for file in unit.files]),
        }
        if "gap" in events:
            times["gap"] = durations([None if pd.isna(gap) else int(gap) for gap in events["gap"]])
        names = list(dict.fromkeys(["file", "start", "stop", *events.columns]))
        frames.append(events.assign(unit=unit.name, **times)[["unit", *names]])
    return (
        pd.concat(frames, ignore_index=True)
        if frames
        else pd.DataFrame(columns=["unit", "file", "start", "stop"])
    )


def _jumps(unit: Unit) -> list[Break]:
    """Return where a unit's clock went back before the start of the file that it had just written."""
    found: list[Break] = []
    for number in range(1, len(unit.files)):
        before, after = unit.files[number - 1 : number + 1]
        if after.begins < before.begins:
            found.append(Break("jump back", before.ends, after.begins, number - 1, number))
    return found


def _with_times(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> pd.DataFrame:
    """Return rows as a DataFrame, start and stop as timestamps, and how far they are apart."""
    starts, stops = [row["start"] for row in rows], [row["stop"] for row in rows]
    times = {
        "start": timestamps(starts),
        "stop": timestamps(stops),
        "duration": durations([stop - start for start, stop in zip(starts, stops, strict=True)]),
    }
    others = {name: [row[name] for row in rows] for name in names if name not in times}
    frame = pd.DataFrame({**others, **times})[list(names)]
    return frame.astype({"unit": "str"})
