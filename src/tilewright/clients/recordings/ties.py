"""Tie points: rows of a stream `clock_<unit>`, or a table that the user gives, come in; `TiePoint`s by unit go out.

`loading` calls this. Pure.
"""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any

from tilewright.documents.clocks import TiePoint
from tilewright.documents.times import SECOND, nearest, utc_ns
from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pandas as pd
    import pyarrow as pa

_EXPECTED = (
    "give a DataFrame with one row a tie point and the columns unit; utc; sample or nominal (what the unit's clock said); and, "
    "if known, uncertainty (ns). Or unit, time (what the unit's clock said) and drift (seconds by which it was ahead)"
)


def stored_ties(rows: pa.Table) -> tuple[TiePoint, ...]:
    """Return the tie points that a stream holds: columns sample, nominal, utc, uncertainty."""
    return tuple(_tie(row) for row in rows.to_pylist() if not _missing(row.get("utc")))


def given_ties(clocks: pd.DataFrame, units: Collection[str]) -> dict[str, tuple[TiePoint, ...]]:
    """Return the tie points that a user gives, by unit.

    Parameters
    ----------
    clocks
        Columns unit (may be left out where there is one unit), utc, sample or nominal, uncertainty (ns); or unit, time and
        drift (s). Times with a zone, or whole nanoseconds since 1970.
    units
        Names of the units there are.

    Raises
    ------
    InputError
        Other columns, a unit that is not there, or a value that is none.
    """
    columns = list(clocks.columns) if hasattr(clocks, "columns") else []
    has_ties = "utc" in columns and {"sample", "nominal"} & {*columns}
    if not (has_ties or {"time", "drift"} <= {*columns}):
        raise InputError(
            f"The table of clocks has the columns {', '.join(map(str, columns)) or 'none'}: {_EXPECTED}."
        )
    if "unit" not in columns and len(units) != 1:
        raise InputError(
            f"The table of clocks has no column unit, and there are {len(units)} units: {_EXPECTED}."
        )
    found: dict[str, list[TiePoint]] = {}
    for number, row in enumerate(clocks.to_dict("records")):
        unit = str(row.get("unit", next(iter(units), "")))
        if unit not in units:
            raise InputError(
                f"Row {number} of the table of clocks is of unit {unit!r}, which is not in the deployment."
            )
        try:
            found.setdefault(unit, []).append(_tie(row) if has_ties else _drifted(row))
        except (TypeError, ValueError) as error:
            raise InputError(f"Row {number} of the table of clocks, of unit {unit}: {error}") from error
    return {unit: tuple(ties) for unit, ties in found.items()}


def _tie(row: Mapping[Any, Any]) -> TiePoint:
    sample, told = row.get("sample"), row.get("nominal")
    if _missing(sample) and _missing(told):
        raise InputError("it has neither a sample nor a nominal time.")
    return TiePoint(
        nominal=0 if _missing(told) else _moment(told, "nominal time"),
        utc=_moment(row["utc"], "utc"),
        sample=None if _missing(sample) else int(sample),  # type: ignore[arg-type]
        uncertainty=None if _missing(row.get("uncertainty")) else int(row["uncertainty"]),
    )


def _drifted(row: Mapping[Any, Any]) -> TiePoint:
    from fractions import Fraction  # noqa: PLC0415 - for tables of this kind alone

    told = _moment(row["time"], "time")
    ahead = nearest(Fraction(str(row["drift"])) * SECOND)
    uncertainty = row.get("uncertainty")
    return TiePoint(told, told - ahead, None, None if _missing(uncertainty) else int(uncertainty))  # type: ignore[arg-type]


def _moment(value: Any, what: str) -> int:
    """Return nanoseconds: whole numbers are these already."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    try:
        return index(value)
    except TypeError:
        return utc_ns(value, what)


def _missing(value: Any) -> bool:
    import pandas as pd  # noqa: PLC0415 - slow to import

    return value is None or bool(pd.isna(value))
