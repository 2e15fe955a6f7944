"""In comes a user's table of what the units' clocks should have said, out come tie points for each unit; the source calls it.

    unit   time                  drift   uncertainty      the clock was compared with UTC at `time`
    north  2023-04-25T00:00:00Z  0.0     0.01
    north  2023-05-02T00:00:00Z  1.25    0.01             it was 1.25 s ahead: it said 00:00:01.25

    unit   sample        time                             a sample was heard when UTC was `time`
    south  0             2023-04-25T00:00:00Z
    south  116121600240  2023-05-02T00:00:00Z

`drift` is what the unit's clock said minus UTC, in seconds: positive where it is ahead. `sample` is an index in the unit's
array, from 0. `uncertainty` is of `time`, in seconds. `time` may be called `utc`. Both kinds of rows may be in one table.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from tilewright.documents.clocks import TiePoint
from tilewright.documents.times import SECOND, utc_ns
from tilewright.errors import InputError
from tilewright.sources.recordings.table_input import read_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from tilewright.sources.recordings.table_input import Table, TableRow

COLUMNS = frozenset({"unit", "time", "utc", "drift", "sample", "uncertainty"})
_WHAT = "table of clocks"
_EXPECTED = "expected the columns unit and time, and drift (seconds, the unit's clock minus UTC) or sample"


@dataclass(frozen=True, slots=True)
class _Row:
    unit: str
    tie: TiePoint
    is_by_drift: bool
    where: str


def read_clocks(table: Table) -> dict[str, list[TiePoint]]:
    """Return the tie points of each unit, in the order of time.

    Those of samples have as `nominal` what UTC was: what the unit's clock said is known by its files. The caller has to see to
    it that the sample is one of them.

    Parameters
    ----------
    table
        A CSV file, a DataFrame, a list of dictionaries, or a dictionary of columns.

    Raises
    ------
    InputError
        Names the row and the column: a time without a zone, a number that is none, two rows for one moment, samples that
        go back while time goes on.

    Examples
    --------
    >>> read_clocks([{"unit": "north", "time": "1970-01-01T00:00:10Z", "drift": "1.25"}])["north"][0]
    TiePoint(nominal=11250000000, utc=10000000000, sample=None, uncertainty=None)
    """
    rows = [_row(row) for row in read_table(table, _WHAT)]
    ties: dict[str, list[TiePoint]] = {}
    for unit in dict.fromkeys(row.unit for row in rows):
        own = sorted((row for row in rows if row.unit == unit), key=lambda row: row.tie.utc)
        _check(own)
        ties[unit] = [row.tie for row in own]
    return ties


def _row(row: TableRow) -> _Row:
    if unknown := set(row.cells) - COLUMNS:
        raise InputError(f"{row.where}: column {min(unknown)!r} is none of a table of clocks: {_EXPECTED}.")
    unit = row.text("unit")
    if unit is None:
        raise row.error("unit", f"is empty: {_EXPECTED}")
    utc = _time(row)
    drift, sample = row.decimal("drift", "seconds"), row.integer("sample", "an index")
    if (drift is None) == (sample is None):
        both = "is given beside sample" if drift is not None else "is empty, and so is sample"
        raise row.error("drift", f"{both}: a row has one of them; {_EXPECTED}")
    uncertainty = row.decimal("uncertainty", "seconds")
    if uncertainty is not None and uncertainty < 0:
        raise row.error("uncertainty", f"is {uncertainty}: expected seconds, 0 or more")
    nominal = utc if drift is None else utc + _nanoseconds(drift)
    tie = TiePoint(nominal, utc, sample, None if uncertainty is None else _nanoseconds(uncertainty))
    return _Row(unit, tie, drift is not None, row.where)


def _time(row: TableRow) -> int:
    """Return a row's time in nanoseconds since 1970, UTC."""
    named = [column for column in ("time", "utc") if column in row.cells]
    if len(named) != 1:
        raise row.error("time", "is empty" if not named else "is given beside utc, which means the same")
    try:
        return utc_ns(row.cells[named[0]])
    except InputError as error:
        raise InputError(f"{row.where}: column {named[0]!r}: {error}") from error


def _nanoseconds(seconds: Decimal) -> int:
    return int((seconds * SECOND).to_integral_value())


def _check(rows: Sequence[_Row]) -> None:
    """Refuse rows of one unit, in the order of time, that cannot all be true."""
    for before, row in pairwise(rows):
        if before.tie.utc == row.tie.utc:
            raise InputError(
                f"{row.where}: the unit {row.unit} has another row for this time ({before.where}): remove one."
            )
        if before.is_by_drift and row.is_by_drift and before.tie.nominal >= row.tie.nominal:
            raise InputError(
                f"{row.where}: by column 'drift' the clock of the unit {row.unit} said an earlier time than by the row before "
                f"({before.where}), or the same: is the sign right (the unit's clock minus UTC)?"
            )
    counted = [row for row in rows if row.tie.sample is not None]
    for before, row in pairwise(counted):
        assert before.tie.sample is not None
        assert row.tie.sample is not None
        if before.tie.sample >= row.tie.sample:
            raise InputError(
                f"{row.where}: column 'sample' goes back, from {before.tie.sample} ({before.where}) to {row.tie.sample}, while time "
                f"goes on: samples of the unit {row.unit} are counted from its first file."
            )
