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

from tilewright.documents import ALL_IN_TABLE, is_true, quoted, to_json
from tilewright.errors import InputError
from tilewright.tables.array_types import IN_TABLE, unseen_type
from tilewright.tables.blocks import Block, gather, join, type_of
from tilewright.tables.names import REJECTED, SEQ_NUM, TIME, TIMESTAMP_PREFIX
from tilewright.tables.schema import Column, Hints, Schema, column_type
from tilewright.tables.values import Converted, convert, is_plain, kind_of, largest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tilewright.tables.array_types import ArrayType

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


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a stream: of its table, and of the arrays beside it."""

    table: pa.Table
    arrays: dict[str, Block]
    """By the name of the node."""


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


def build(pages: Iterable[Page], schema: Schema, data_keys: Mapping[str, Mapping[str, Any]]) -> Rows:
    """Return the rows of the pages, in order.

    Raises
    ------
    SchemaTooNarrow
        If a column must be wider, or a column is missing, for these values.
    """
    built, needed = [], Hints()
    for page in pages:
        rows, hints = _build_page(page, schema, data_keys)
        needed = needed.merge(hints)
        built.append(rows)
    if needed != Hints():
        raise SchemaTooNarrow(needed)
    parts = [rows for rows in built if rows is not None]
    table = pa.concat_tables([rows.table for rows in parts]) if parts else schema.arrow.empty_table()
    arrays = {
        array.name: join([rows.arrays[array.name] for rows in parts]) for array in schema.arrays if parts
    }
    return Rows(
        table.combine_chunks(), arrays
    )  # many small chunks would make a request several times its size


def _build_page(
    page: Page, schema: Schema, data_keys: Mapping[Any, Mapping[str, Any]]
) -> tuple[Rows | None, Hints]:
    rejected: dict[int, dict[str, Any]] = {}
    for row, entries in page[STRAYS].items():
        for key, stray in entries.items():
            _reject(rejected, row, key, stray)
    blocks, unlike = _blocks_of(page, schema, rejected)
    columns, narrow = [], {}
    for column in schema.columns:
        if column.name == REJECTED and not column.source:
            continue
        values = _values(page, column)
        converted = convert(values, column.type, widens=column.widens)
        if (kind := _array_instead(column, values, converted, schema, data_keys)) is not None:
            unlike[column.key] = kind  # and no column, whatever that would need
            continue
        if converted.widened is not None:
            narrow[column.name] = converted.widened
        for row, reason in converted.rejected.items():
            _reject(rejected, row, _public_key(column), Stray(values[row], reason))
        columns.append(converted.array)
    has_rejected = schema.columns[-1].name == REJECTED
    hints = Hints(
        narrow,
        _unforeseen(page, schema, data_keys),
        rejected=bool(rejected) and not has_rejected,
        arrays=unlike,
    )
    if hints != Hints():
        return None, hints
    if has_rejected:
        columns.append(pa.array([_json(rejected.get(row)) for row in range(rows_of(page))], pa.string()))
    return Rows(pa.Table.from_arrays(columns, schema=schema.arrow), blocks), hints


def _blocks_of(
    page: Page, schema: Schema, rejected: dict[int, dict[str, Any]]
) -> tuple[dict[str, Block], dict[Any, ArrayType]]:
    """Return the rows of the arrays beside the table, and the types of those that have to be others."""
    blocks, types = {}, {}
    for array in schema.arrays:
        values = page["data"].get(array.key)
        values = [None] * rows_of(page) if values is None else values
        gathered = gather(values, array.type)
        for row, reason in gathered.rejected.items():
            _reject(rejected, row, array.key, Stray(values[row], reason))
        if gathered.block is None:
            assert gathered.needed is not None, "one of the two"
            types[array.key] = gathered.needed if gathered.needed.is_storable else IN_TABLE
        else:
            blocks[array.name] = gathered.block
    return blocks, types


def _array_instead(
    column: Column,
    values: Any,
    converted: Converted,
    schema: Schema,
    data_keys: Mapping[Any, Mapping[str, Any]],
) -> ArrayType | None:
    """Return the type of array that a column's values need if they are too large for the table; None if they are not.

    It is what the descriptor says: those from the first row on decide, so that it does not depend on which came together.
    """
    is_list = column.source == "data" and pa.types.is_list(column.type) and column.key not in schema.kept
    if not is_list or schema.most == ALL_IN_TABLE:
        return None
    fits = converted.array is not None and not converted.rejected
    if fits and largest(converted.array) <= schema.most:
        return None
    spec = data_keys.get(column.key, {})
    return None if type_of(values, spec, schema.most) is None else unseen_type(spec)


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
