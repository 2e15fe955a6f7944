"""Events and event pages to one Arrow table of a schema; called by the delivery for what has gathered.

Event pages are columns already and stay columns. What does not fit raises `SchemaTooNarrow` with what the
schema needs; the caller then starts the table again from the journal.
"""

from __future__ import annotations

import json
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tilewright.documents import to_json
from tilewright.errors import InputError
from tilewright.tables.names import REJECTED, SEQ_NUM, TIME
from tilewright.tables.schema import Column, Hints, Schema, arrow_type
from tilewright.tables.values import convert

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Page = dict[str, Any]
"""An EventPage, or the columns of several events in the same shape."""


class SchemaTooNarrow(Exception):  # noqa: N818 - a signal between two of our own functions, not an error
    """The values need a wider schema."""

    def __init__(self, hints: Hints) -> None:
        super().__init__("the table's schema is too narrow for its values")
        self.hints = hints


def page_of(events: list[Mapping[str, Any]]) -> Page:
    """Gather events into the columns of a page. A key that an event lacks is None there.

    >>> page_of([{"seq_num": 1, "time": 0.5, "data": {"x": 7}, "timestamps": {"x": 0.4}}])["data"]
    {'x': [7]}
    """
    page: Page = {
        SEQ_NUM: [event.get(SEQ_NUM) for event in events],
        TIME: [event.get(TIME) for event in events],
    }
    for part in ("data", "timestamps"):
        dicts = [event.get(part) or {} for event in events]
        keys = dict.fromkeys(key for values in dicts for key in values)
        page[part] = {key: [values.get(key) for values in dicts] for key in keys}
    filled = dict.fromkeys(
        key for event in events for key, value in (event.get("filled") or {}).items() if value
    )
    page["filled"] = {key: [bool((event.get("filled") or {}).get(key)) for event in events] for key in filled}
    return page


def check_page(page: Page) -> None:
    """Make sure that a page can be taken apart.

    Raises
    ------
    InputError
        If a column is missing, is no list or array, or has another length than the others.
    """
    columns = {SEQ_NUM: page[SEQ_NUM], TIME: page[TIME]}
    for part in ("data", "timestamps", "filled"):
        of_part = page.get(part) or {}
        if not isinstance(of_part, dict):
            raise InputError(f"its {part} is a {type(of_part).__name__}, not a mapping of columns")
        columns |= {f"{part} of {key}": values for key, values in of_part.items()}
    for name, values in columns.items():
        if not isinstance(values, (list, tuple, np.ndarray)) or getattr(values, "ndim", 1) == 0:
            raise InputError(f"its {name} is a {type(values).__name__}, not a column")
        if len(values) != len(page[SEQ_NUM]):
            raise InputError(f"its {name} has {len(values)} rows and its seq_num {len(page[SEQ_NUM])}")


def rows_of(page: Page) -> int:
    """Return the number of rows of a page."""
    return len(page[SEQ_NUM])


def build(pages: Iterable[Page], schema: Schema, data_keys: Mapping[str, Mapping[str, Any]]) -> pa.Table:
    """Return the rows of the pages, in order, as one table.

    Raises
    ------
    SchemaTooNarrow
        If a column must be wider, or a column is missing, for these values.
    """
    batches, needed = [], Hints()
    for page in pages:
        batch, hints = _build_page(page, schema, data_keys)
        needed = needed.merge(hints)
        batches.append(batch)
    if needed != Hints():
        raise SchemaTooNarrow(needed)
    table = pa.Table.from_batches([batch for batch in batches if batch is not None], schema=schema.arrow)
    return table.combine_chunks()  # many small chunks would make a request several times its size


def _build_page(
    page: Page, schema: Schema, data_keys: Mapping[str, Mapping[str, Any]]
) -> tuple[pa.RecordBatch | None, Hints]:
    extra, strays = _unknown_keys(page, schema, data_keys)
    rejected: dict[int, dict[str, Any]] = {}
    for key, values in strays.items():
        for row, value in enumerate(values):
            if value is not None:
                _reject(rejected, row, key, value, "not in the descriptor")
    arrays, types = [], {}
    for column in schema.columns:
        if column.name == REJECTED and not column.source:
            continue
        values = _values(page, column)
        converted = convert(values, column.type)
        if converted.widened is not None:
            types[column.name] = converted.widened
        for row, reason in converted.rejected.items():
            _reject(rejected, row, _public_key(column), values[row], reason)
        arrays.append(converted.array)
    has_rejected = schema.columns[-1].name == REJECTED
    hints = Hints(types, extra, rejected=bool(rejected) and not has_rejected)
    if hints != Hints():
        return None, hints
    if has_rejected:
        arrays.append(pa.array([_json(rejected.get(row)) for row in range(rows_of(page))], pa.string()))
    return pa.RecordBatch.from_arrays(arrays, schema=schema.arrow), hints


def _unknown_keys(
    page: Page, schema: Schema, data_keys: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, pa.DataType], dict[str, list[Any]]]:
    """Tell what to do with data that has no column: external values get one, strays are set aside.

    The event of an external data key holds the id of a datum, a text, unless it holds the value itself.
    """
    extra: dict[str, pa.DataType] = {}
    strays: dict[str, list[Any]] = {}
    filled, with_column = page.get("filled") or {}, schema.keys
    for key, values in (page.get("data") or {}).items():
        if key in with_column:
            continue
        if key not in data_keys:
            strays[key] = values
        elif any(filled.get(key, ())) or any(not isinstance(value, (str, NoneType)) for value in values):
            extra[key] = arrow_type(data_keys[key])
    return extra, strays


def _values(page: Page, column: Column) -> list[Any]:
    if not column.source:
        return list(page[column.key])
    values = (page.get(column.source) or {}).get(column.key)
    return [None] * rows_of(page) if values is None else list(values)


def _public_key(column: Column) -> str:
    """Name a column's value as `Stream.rejected` shows it: timestamps have their prefix."""
    return column.key if column.source == "data" else column.name


def _reject(rejected: dict[int, dict[str, Any]], row: int, key: str, value: Any, reason: str) -> None:
    rejected.setdefault(row, {})[key] = {"value": to_json(value, lenient=True)[0], "reason": reason}


def _json(entry: dict[str, Any] | None) -> str | None:
    return None if entry is None else json.dumps(entry)
