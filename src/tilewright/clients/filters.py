"""What `Catalog.table` is asked comes in; the queries by which a Tiled server answers it go out.

Pure functions; `catalog` calls them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from tiled.queries import Comparison, Eq

from tilewright.errors import InputError

_SIMPLE = (str, int, float, bool)


def metadata_queries(filters: Mapping[str, Any]) -> list[Eq]:
    """Return queries for keys of the start document that equal values.

    Nested keys are dicts, dotted, or joined by two underscores; these three ask the same:

    >>> metadata_queries({"sample": {"name": "Fe"}})
    [Eq(key='start.sample.name', value='Fe')]
    >>> metadata_queries({"sample.name": "Fe"}) == metadata_queries({"sample__name": "Fe"})
    True

    Raises
    ------
    InputError
        A value that a server cannot compare.
    """
    return [Eq(f"start.{key}", value) for key, value in _leaves(filters)]


def _leaves(filters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in filters.items():
        name = prefix + key.replace("__", ".")
        value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value  # noqa: PLW2901  # numpy scalars
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{name}.")
        elif isinstance(value, _SIMPLE):
            yield name, value
        else:
            msg = (
                f"Selecting runs by {name}={value!r}: expected a string, a number, a boolean, or a dict of those. "
                "Take the whole table and select from it with pandas."
            )
            raise InputError(msg)


def time_queries(since: Any, until: Any) -> list[Comparison]:
    """Return queries for runs that started at `since` or later, and before `until`."""
    bounds = (("ge", "since", since), ("lt", "until", until))
    return [
        Comparison(operator, "start.time", to_seconds(name, moment))
        for operator, name, moment in bounds
        if moment is not None
    ]


def to_seconds(name: str, moment: Any) -> float:
    """Return a moment as seconds since 1970.

    Text and dates without a time zone are UTC, as the times that `Catalog.table` shows. A naive datetime is
    refused: most come from ``datetime.now()``, which is local time.

    >>> to_seconds("since", "1970-01-02")
    86400.0
    >>> to_seconds("since", "1970-01-02T00:00:00+01:00")
    82800.0

    Raises
    ------
    InputError
        Not a time, or a datetime without a time zone.
    """
    import pandas as pd  # noqa: PLC0415  # heavy

    if not isinstance(moment, (str, date)):  # a datetime is a date, a Timestamp is a datetime
        msg = f"{name}={moment!r} is not a time: give text such as '2026-01-31T12:00', a date, or a datetime."
        raise InputError(msg)
    try:
        stamp: Any = pd.Timestamp(moment)  # NaT is none, whatever its type says
    except ValueError as error:
        msg = f"{name}={moment!r} cannot be read as a time ({error}): write it like '2026-01-31T12:00:00+01:00'."
        raise InputError(msg) from error
    if pd.isna(stamp):
        msg = f"{name}={moment!r} is no time at all: leave {name} out to have no bound."
        raise InputError(msg)
    if stamp.tzinfo is None:
        if isinstance(moment, datetime):
            msg = (
                f"{name}={moment!r} has no time zone, so it could be meant in local time or in UTC: "
                "write datetime(..., tzinfo=UTC), or datetime.now().astimezone()."
            )
            raise InputError(msg)
        stamp = stamp.tz_localize("UTC")
    return float(stamp.timestamp())
