"""Events and event pages to one Arrow table of a schema; called by the delivery for what has gathered.

Event pages are columns already and stay columns. What does not fit raises `SchemaTooNarrow` with what the
schema needs; the caller then starts the table again from the journal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tilewright.documents import is_true, quoted, to_json
from tilewright.errors import InputError
from tilewright.tables.names import REJECTED, SEQ_NUM, TIME, TIMESTAMP_PREFIX
from tilewright.tables.schema import Column, Hints, Schema, column_type
from tilewright.tables.values import convert, is_plain, kind_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

FILLED = "filled"
STRAYS = "strays"
_PARTS = ("data", "timestamps")
_PREFIXES = {"timestamps": TIMESTAMP_PREFIX, FILLED: "filled_"}
"""What tells a column that is set aside from the data of the same key."""

Page = dict[str, Any]
"""An EventPage, or the columns of several events in the same shape: `seq_num`, `time`, `data`, `timestamps`, `filled`,
every column as long as `seq_num`; and what has no place in them, under `strays`."""


@dataclass(frozen=True, slots=True)
class Stray:
    """A value without a column."""

    value: Any
    reason: str
    timestamp: Any = None


Strays = dict[int, dict[Any, Stray]]
"""By row of the page and data key."""


class SchemaTooNarrow(Exception):  # noqa: N818 - a signal between two of our own functions, not an error
    """The values need a wider schema."""

    def __init__(self, hints: Hints) -> None:
        super().__init__("the table's schema is too narrow for its values")
        self.hints = hints


def page_of(events: list[Mapping[str, Any]], keys: Collection[Any]) -> Page:
    """Gather events into the columns of a page, one for each of `keys` that is in an event; None where one lacks it.

    What has no column stands among the page's strays, by row: work and memory grow with what the events hold, however
    many different keys that are.

    >>> page = page_of([{"seq_num": 1, "time": 0.5, "data": {"x": 7, "y": 8}, "timestamps": {"x": 0.4}}], ["x"])
    >>> page["data"], page["strays"]
    ({'x': [7]}, {0: {'y': Stray(value=8, reason='not in the descriptor', timestamp=None)}})
    """
    strays: Strays = {}
    page: Page = {
        SEQ_NUM: [event.get(SEQ_NUM) for event in events],
        TIME: [event.get(TIME) for event in events],
        STRAYS: strays,
    }
    for part in _PARTS:
        dicts = _parts(events, part, strays)
        there: set[Any] = set().union(*dicts)
        page[part] = {key: [values.get(key) for values in dicts] for key in keys if key in there}
        if strange := there.difference(keys):
            for row, values in enumerate(dicts):
                _set_aside(strays, row, part, {key: values[key] for key in values if key in strange})
    filled = _parts(events, FILLED, strays)
    there = {key for values in filled for key, value in values.items() if key in keys and is_true(value)}
    page[FILLED] = {key: [is_true(values.get(key)) for values in filled] for key in there}
    return page


def sound_page(page: Mapping[str, Any], keys: Collection[Any]) -> Page:
    """Return an EventPage all of whose columns are as long as its `seq_num`; what is not so is among its strays.

    Raises
    ------
    InputError
        If it has no `seq_num`, so that nobody knows its rows.
    """
    if not _is_column(page.get(SEQ_NUM)):
        raise InputError(f"its seq_num is {quoted(page.get(SEQ_NUM))}, not a column")
    rows = len(page[SEQ_NUM])
    strays: Strays = {}
    sound: Page = {SEQ_NUM: page[SEQ_NUM], STRAYS: strays}
    sound[TIME] = _columns({TIME: page.get(TIME)}, rows, strays, "").get(TIME, [None] * rows)
    for part in (*_PARTS, FILLED):
        columns = _columns(_part(page, part, 0, strays), rows, strays, _PREFIXES.get(part, ""))
        sound[part] = {key: values for key, values in columns.items() if key in keys}
        if part != FILLED:
            for key, values in columns.items():
                if key not in sound[part]:
                    for row, value in enumerate(values):
                        _set_aside(strays, row, part, {key: value})
    if strays and not rows:
        raise InputError(f"it has no rows, and yet {', '.join(map(quoted, strays[0]))}")
    return sound


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
    page: Page, schema: Schema, data_keys: Mapping[Any, Mapping[str, Any]]
) -> tuple[pa.RecordBatch | None, Hints]:
    rejected: dict[int, dict[str, Any]] = {}
    for row, entries in page[STRAYS].items():
        for key, stray in entries.items():
            _reject(rejected, row, key, stray)
    arrays, types = [], {}
    for column in schema.columns:
        if column.name == REJECTED and not column.source:
            continue
        values = _values(page, column)
        converted = convert(values, column.type, widens=column.widens)
        if converted.widened is not None:
            types[column.name] = converted.widened
        for row, reason in converted.rejected.items():
            _reject(rejected, row, _public_key(column), Stray(values[row], reason))
        arrays.append(converted.array)
    has_rejected = schema.columns[-1].name == REJECTED
    hints = Hints(types, _unforeseen(page, schema, data_keys), rejected=bool(rejected) and not has_rejected)
    if hints != Hints():
        return None, hints
    if has_rejected:
        arrays.append(pa.array([_json(rejected.get(row)) for row in range(rows_of(page))], pa.string()))
    return pa.RecordBatch.from_arrays(arrays, schema=schema.arrow), hints


def _unforeseen(
    page: Page, schema: Schema, data_keys: Mapping[Any, Mapping[str, Any]]
) -> dict[Any, pa.DataType]:
    """Return the external data keys that need a column, and its type: their values came in the events.

    Otherwise the event of an external data key holds the id of a datum, a text.
    """
    with_column, filled = schema.keys, page[FILLED]
    return {
        key: column_type(data_keys[key])
        for key, values in page["data"].items()
        if key not in with_column
        and (
            any(map(is_true, filled.get(key, ())))
            or any(not isinstance(value, (str, NoneType)) for value in values)
        )
    }


def _values(page: Page, column: Column) -> Any:
    values = page[column.source].get(column.key) if column.source else page[column.key]
    if values is None:
        return [None] * rows_of(page)
    return values if is_plain(values) else list(values)


def _public_key(column: Column) -> Any:
    """Name a column's value as `Stream.rejected` shows it: timestamps have their prefix."""
    return column.key if column.source == "data" else column.name


def _parts(events: list[Mapping[str, Any]], part: str, strays: Strays) -> list[Mapping[Any, Any]]:
    """Return one of the mappings of each event."""
    parts: list[Any] = [event.get(part) for event in events]
    if set(map(type, parts)) == {dict}:  # as they should be: no need to look at each
        return parts
    return [_part(event, part, row, strays) for row, event in enumerate(events)]


def _part(doc: Mapping[str, Any], part: str, row: int, strays: Strays) -> Mapping[Any, Any]:
    """Return one of a document's mappings; if it is none, it is set aside whole."""
    values = doc.get(part)
    if values is None or isinstance(values, dict):
        return values or {}
    _keep(strays, row, part, Stray(values, f"{part} should be a mapping, not a {kind_of(values)}"))
    return {}


def _columns(columns: Mapping[Any, Any], rows: int, strays: Strays, prefix: str) -> dict[Any, Any]:
    """Return the columns that have this many rows; the others are set aside whole."""
    sound = {}
    for key, values in columns.items():
        if _is_column(values) and len(values) == rows:
            sound[key] = values
        elif values is not None:
            what = f"a column of {len(values)}" if _is_column(values) else f"a {kind_of(values)} in place"
            reason = f"{what} values in a page of {rows} rows"
            _keep(strays, 0, f"{prefix}{_text(key)}" if prefix else key, Stray(values, reason))
    return sound


def _is_column(values: Any) -> bool:
    return isinstance(values, (list, tuple)) or (isinstance(values, np.ndarray) and values.ndim > 0)


def _set_aside(strays: Strays, row: int, part: str, values: Mapping[Any, Any]) -> None:
    """Keep what has no column. A timestamp stands with the value it belongs to."""
    for key, value in values.items():
        if value is None:
            continue
        entries = strays.get(row, {})
        if part == "data":
            _keep(strays, row, key, Stray(value, "not in the descriptor"))
        elif key in entries and entries[key].timestamp is None:
            entries[key] = replace(entries[key], timestamp=value)
        else:
            _keep(strays, row, f"{TIMESTAMP_PREFIX}{_text(key)}", Stray(value, "not in the descriptor"))


def _keep(strays: Strays, row: int, key: Any, stray: Stray) -> None:
    """Put a stray beside those of its row, none of which it may replace, whatever they are called."""
    entries = strays.setdefault(row, {})
    while key in entries:
        key = f"{_text(key)}_"
    entries[key] = stray


def _reject(rejected: dict[int, dict[str, Any]], row: int, key: Any, stray: Stray) -> None:
    entries = rejected.setdefault(row, {})
    name = _text(key)
    while name in entries:  # 1 and "1", or a data key called like another's timestamp
        name += "_"
    entries[name] = {"value": to_json(stray.value, lenient=True)[0], "reason": stray.reason}
    if stray.timestamp is not None:
        entries[name]["timestamp"] = to_json(stray.timestamp, lenient=True)[0]


def _text(key: Any) -> str:
    return key if isinstance(key, str) else quoted(key)


def _json(entry: dict[str, Any] | None) -> str | None:
    return None if entry is None else json.dumps(entry)
