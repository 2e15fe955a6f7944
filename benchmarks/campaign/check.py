"""What was acknowledged and what is read back come in, what is lost, doubled or wrong goes out; `campaign.trial` calls it.

Nothing here knows the writer, and nothing but `read_back` asks a server.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
from campaign.documents import ROW

from tilewright.testing.expected import ExpectedRow, compare_metadata, expected_metadata, expected_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaign.documents import Document

MOST_PROBLEMS = 5
"""How many sentences a finding keeps."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A run as it was read back."""

    start: dict[str, Any]
    stop: dict[str, Any] | None
    report: dict[str, Any]
    """What the writer says of it: `metadata["tilewright"]`."""
    tables: dict[str, pd.DataFrame]
    """All rows of each stream, in order, with all columns."""


@dataclass(slots=True)
class Findings:
    """Counts over one run or many."""

    runs: int = 0
    rows: int = 0
    """That were acknowledged."""
    lost: int = 0
    """Acknowledged documents, or rows of them, that are not there."""
    duplicated: int = 0
    reordered: int = 0
    wrong: int = 0
    """Rows with another value than was given, or that nobody gave; documents of another content."""
    unreadable: int = 0
    unmarked: int = 0
    """Runs without a stop document that do not say that they were interrupted, or that do and were not."""
    problems: list[str] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        """Add another's counts."""
        for name in ("runs", "rows", "lost", "duplicated", "reordered", "wrong", "unreadable", "unmarked"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.problems = (self.problems + other.problems)[:MOST_PROBLEMS]

    def say(self, problem: str) -> None:
        """Keep a sentence, if there are not many yet."""
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is amiss."""
        return not (
            self.lost or self.duplicated or self.reordered or self.wrong or self.unreadable or self.unmarked
        )


def check(
    given: Sequence[Document], acknowledged: int, readings: dict[str, Reading | str], *, marks: bool
) -> Findings:
    """Compare.

    Parameters
    ----------
    given
        All documents of the trial.
    acknowledged
        How many of them the writer had taken; the next one may be there or not.
    readings
        Each run by uid; a sentence where reading it failed. A run that is not there is left out.
    marks
        Whether the writer says of a run that it was interrupted.
    """
    certain, possible = list(given[:acknowledged]), list(given[: acknowledged + 1])
    must, may = expected_tables(certain), expected_tables(possible)
    must_say, may_say = expected_metadata(certain), expected_metadata(possible)
    total = Findings()
    for uid, metadata in may_say.items():
        found = Findings()
        reading = readings.get(uid)
        if isinstance(reading, str):
            found.unreadable += 1
            found.say(f"run {uid} is unreadable: {reading}")
        elif reading is None:
            if uid in must_say:
                found.lost += 1 + sum(len(table.rows) for table in must[uid].values())
                found.say(f"run {uid} is not there")
        else:
            stops = [known.stop for known in (must_say.get(uid), metadata) if known is not None]
            _check_metadata(found, metadata.start, stops, reading, marks=marks)
            for stream, table in may[uid].items():
                rows = must.get(uid, {}).get(stream)
                _check_stream(found, f"run {uid}, {stream}", rows, table.rows, reading.tables.get(stream))
            for stream in sorted(reading.tables.keys() - may[uid].keys()):
                found.wrong += 1
                found.say(f"run {uid}: nobody gave stream {stream}")
        found.runs += uid in must_say
        found.rows += sum(len(table.rows) for table in must.get(uid, {}).values())
        total.add(found)
    return total


def _check_metadata(found: Findings, start: Any, stops: list[Any], reading: Reading, *, marks: bool) -> None:
    """Compare what is known of a run; `stops` are the stop documents it may have, None for none."""
    for difference in compare_metadata(start, reading.start, "start"):
        found.wrong += 1
        found.say(difference)
    if reading.stop is None and None not in stops:
        found.lost += 1
        found.say(f"run {start['uid']}: the stop document is not there")
    elif reading.stop is not None and all(compare_metadata(stop, reading.stop) for stop in stops):
        found.wrong += 1
        found.say(f"run {start['uid']}: its stop document is {reading.stop}")
    state = "interrupted" if reading.stop is None else "complete"
    if marks and reading.report.get("state") != state:
        found.unmarked += 1
        found.say(f"run {start['uid']}: it says {reading.report} and is {state}")


def _check_stream(
    found: Findings,
    where: str,
    must: Any,
    may: list[ExpectedRow],
    table: pd.DataFrame | None,
) -> None:
    """Compare a stream's rows; the last of `may` need not be there, nor need a stream that is not in `must`."""
    if table is None:
        if must is not None:
            found.lost += 1 + len(must.rows)
            found.say(f"{where}: the stream is not there")
        return
    expected = {row.data[ROW]: row for row in may}
    ids = [int(value) for value in table[ROW]] if len(table) else []
    certain = {row.data[ROW] for row in must.rows} if must is not None else set()
    if missing := sorted(certain - set(ids)):
        found.lost += len(missing)
        found.say(f"{where}: rows are lost: {_ranges(missing)}")
    if doubled := len(ids) - len(set(ids)):
        found.duplicated += doubled
        found.say(f"{where}: {doubled} rows more than once, of {len(ids)}")
    firsts = list(dict.fromkeys(ids))
    if descents := sum(later < earlier for earlier, later in itertools.pairwise(firsts)):
        found.reordered += descents
        found.say(f"{where}: the order is broken {descents} times")
    for problem in _wrong_rows(expected, table):
        found.wrong += 1
        found.say(f"{where}: {problem}")


def _wrong_rows(expected: dict[int, ExpectedRow], table: pd.DataFrame) -> list[str]:
    """Return a sentence for each row that nobody gave, or that has another value."""
    problems = []
    for record in table.to_dict("records"):
        row = expected.get(int(record[ROW]))
        if row is None:
            problems.append(f"nobody gave row {record[ROW]}")
            continue
        given = {"seq_num": row.seq_num, "time": row.time, **row.data}
        given |= {f"ts_{key}": stamp for key, stamp in row.timestamps.items()}
        wrong = [
            f"{key} is {record.get(key)!r}, not {value!r}"
            for key, value in given.items()
            if not same(value, record.get(key))
        ]
        if wrong:
            problems.append(f"row {record[ROW]}: {', '.join(wrong)}")
    return problems


def same(given: Any, found: Any) -> bool:
    """Tell whether a value is what was given: null for None and NaN, numbers by value, lists by element.

    >>> same(1, 1.0), same(None, float("nan")), same("1", 1), same([1, 2.5], [1.0, 2.5]), same(1.5, None)
    (True, True, False, True, False)
    """
    if isinstance(given, list):
        return found is not None and len(given) == len(found) and all(map(same, given, found))
    if given is None or (isinstance(given, float) and math.isnan(given)):
        return bool(pd.isna(found))
    if isinstance(given, str) or isinstance(found, str):
        return isinstance(given, str) and isinstance(found, str) and given == found
    return not pd.isna(found) and bool(given == found)


def _ranges(numbers: list[int]) -> str:
    """Return numbers in short.

    >>> _ranges([1, 2, 3, 7, 9, 10])
    '1-3, 7, 9-10'
    """
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


def read_back(catalog: Any, uids: list[str]) -> dict[str, Reading | str]:
    """Read runs from a `tilewright.Catalog`."""
    readings: dict[str, Reading | str] = {}
    for uid in uids:
        try:
            if uid in catalog:
                readings[uid] = _read(catalog[uid])
        except Exception as error:  # noqa: BLE001 - that it cannot be read is the finding
            readings[uid] = repr(error)
    return readings


def _read(run: Any) -> Reading:
    tables = {stream: run[stream].table(timestamps=True, attempts=True) for stream in run.streams}
    return Reading(run.start, run.stop, dict(run.metadata.get("tilewright") or {}), tables)
