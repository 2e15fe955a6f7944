"""A stream's descriptor to the schema of its table; called when a stream's first descriptor arrives.

Columns: `seq_num`, `time`, one per internal data key in the descriptor's order, then their `ts_` columns,
then, only when some value fitted no column, `rejected`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from tilewright.documents import MAX_ARRAY_SIZE, is_array, is_external, numpy_dtype, quoted, shape
from tilewright.errors import InputError
from tilewright.tables.array_types import IN_TABLE, ArrayType, declared_type
from tilewright.tables.names import REJECTED, SEQ_NUM, TIME, TIMESTAMP_PREFIX, column_names
from tilewright.tables.values import FLOAT, INT, MAX_DIMENSIONS, wider

MAX_COLUMNS = 1024
"""Columns of one table; a wider stream is split over `internal_0`, `internal_1`, …"""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table and where in an event its values lie."""

    name: str
    source: str
    """`data` or `timestamps`; empty for `seq_num`, `time` and `rejected`."""
    key: Any
    """The data key in that part of the event (a string in a sound document), or the column's own name."""
    type: pa.DataType

    @property
    def widens(self) -> bool:
        """Whether it may take a wider type for a value that does not fit. What numbers the events stays an integer."""
        return self.name != SEQ_NUM


@dataclass(frozen=True, slots=True)
class Hints:
    """What the values, or the table on the server, taught about a stream beyond its descriptor."""

    types: Mapping[str, pa.DataType] = field(default_factory=dict)
    """Type of a column by its name, where it is wider than the descriptor says."""
    extra_keys: Mapping[Any, pa.DataType] = field(default_factory=dict)
    """Type of each data key that has a column though the first descriptor does not say so: external ones whose
    values came in the events after all (`filled`), and those of later descriptors."""
    rejected: bool = False
    """Whether the table has the `rejected` column."""
    arrays: Mapping[Any, ArrayType] = field(default_factory=dict)
    """Type of each data key whose values are an array beside the table, where it is not as the descriptor says; or
    `IN_TABLE`."""

    def merge(self, other: Hints) -> Hints:
        """Return what both teach."""
        types = dict(self.types)
        for name, type_ in other.types.items():
            types[name] = type_ if name not in types else (wider(types[name], type_) or types[name])
        arrays = dict(self.arrays)
        for key, kind in other.arrays.items():
            known = arrays.get(key, kind)
            arrays[key] = IN_TABLE if IN_TABLE in (known, kind) else known.merge(kind)
        return Hints(types, {**self.extra_keys, **other.extra_keys}, self.rejected or other.rejected, arrays)

    def ordered(self, data_keys: Iterable[Any]) -> Hints:
        """Return the same with `extra_keys` in the order of the data keys.

        So a table that is made anew has its columns in one order before a later descriptor comes and after.
        """
        extra = {key: self.extra_keys[key] for key in data_keys if key in self.extra_keys}
        return replace(self, extra_keys={**extra, **self.extra_keys})


@dataclass(frozen=True, slots=True)
class ArrayColumn:
    """A data key whose values are an array beside the table, with a row for each row of that."""

    name: str
    """Name of its node; the table has its timestamps."""
    key: Any
    type: ArrayType


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of one stream's table, and the arrays beside it."""

    columns: tuple[Column, ...]
    renamed: tuple[tuple[Any, str], ...]
    """Data keys whose column, or array, has another name: (key, name)."""
    arrays: tuple[ArrayColumn, ...] = ()
    most: int = MAX_ARRAY_SIZE
    """Elements of an array that stays in the table."""
    kept: frozenset[Any] = frozenset()
    """Data keys that stay in the table however large their values are: no array can be of their type."""

    @property
    def arrow(self) -> pa.Schema:
        """The schema as Arrow has it; every column nullable."""
        return pa.schema([pa.field(column.name, column.type) for column in self.columns])

    @property
    def keys(self) -> frozenset[Any]:
        """The data keys that have a column, or an array."""
        columns = (column.key for column in self.columns if column.source == "data")
        return frozenset((*columns, *(array.key for array in self.arrays)))

    def hints_from(self, existing: pa.Schema) -> Hints | None:
        """Return what to learn from a table that exists with this schema; None if it cannot hold our rows.

        It can if it has our columns in our order, each at least as wide, and at most `rejected` besides.
        """
        ours = [column.name for column in self.columns]
        theirs = [name for name in existing.names if name != REJECTED or REJECTED in ours]
        if ours != theirs:
            return None
        types = {}
        for column in self.columns:
            there = existing.field(column.name).type
            if not there.equals(column.type):
                if wider(column.type, there) != there:
                    return None
                types[column.name] = there
        return Hints(types, rejected=REJECTED in existing.names and REJECTED not in ours)


def schema_for(
    data_keys: Mapping[Any, Mapping[str, Any]], hints: Hints, most: int = MAX_ARRAY_SIZE
) -> Schema:
    """Return the schema of a stream with these data keys.

    Parameters
    ----------
    data_keys
        As in the descriptor; external ones get no column unless their values came in the events.
    hints
        What is known beyond the descriptor.
    most
        How many elements of an array stay in the table; -1 for all.
    """
    types = {
        key: hints.extra_keys[key] if is_external(spec) else arrow_type(spec)
        for key, spec in data_keys.items()
        if not is_external(spec) or key in hints.extra_keys
    }
    types.update((key, type_) for key, type_ in hints.extra_keys.items() if key not in types)
    kinds = {key: hints.arrays.get(key) or _declared(data_keys.get(key, {}), most) for key in types}
    beside = {key: kind for key, kind in kinds.items() if kind not in (None, IN_TABLE)}
    names = column_names(types)
    columns = [Column(SEQ_NUM, "", SEQ_NUM, INT), Column(TIME, "", TIME, FLOAT)]
    columns += [Column(name, "data", key, types[key]) for key, name in names.items() if key not in beside]
    columns += [
        Column(TIMESTAMP_PREFIX + names[key], "timestamps", key, FLOAT)
        for key in sorted(
            names, key=lambda key: key in beside
        )  # those of columns first, in the columns' order
    ]
    if hints.rejected:
        columns.append(Column(REJECTED, "", REJECTED, pa.string()))
    return Schema(
        tuple(replace(column, type=_widened(column, hints)) for column in columns),
        tuple((key, name) for key, name in names.items() if key != name),
        tuple(ArrayColumn(names[key], key, kind) for key, kind in beside.items() if kind is not None),
        most,
        frozenset(key for key, kind in kinds.items() if kind == IN_TABLE),
    )


def _declared(spec: Mapping[str, Any], most: int) -> ArrayType | None:
    return None if is_external(spec) else declared_type(spec, most)


def arrow_type(spec: Mapping[str, Any]) -> pa.DataType:
    """Return the type of a data key's column: `dtype_numpy` first, then `dtype`.

    >>> arrow_type({"dtype": "integer", "shape": []})
    DataType(int64)
    >>> arrow_type({"dtype": "array", "dtype_numpy": "<i2", "shape": [2, 3]})
    ListType(list<item: list<item: int16>>)
    """
    scalar = _scalar_type(spec)
    if not is_array(spec):
        return scalar
    dimensions = max(1, len(shape(spec)))
    if dimensions > MAX_DIMENSIONS:
        raise InputError(f"its shape has {dimensions} dimensions; a table takes up to {MAX_DIMENSIONS}")
    for _ in range(dimensions):
        scalar = pa.list_(scalar)
    return scalar


def column_type(spec: Any) -> pa.DataType:
    """Return the type of a data key's column, whatever its description is; text if that is of no known type."""
    return _type_and_reason(spec)[0]


def usable(data_keys: Any) -> tuple[dict[Any, Mapping[str, Any]], dict[Any, str]]:
    """Return data keys that `schema_for` takes, and why some had to be changed.

    One whose description is of no known type is taken for text: its values end as rejected, word for word.

    >>> usable({"x": {"dtype": "number"}, "y": {"dtype": "rubbish"}})[0]
    {'x': {'dtype': 'number'}, 'y': {'dtype': 'string'}}
    """
    known: dict[Any, Mapping[str, Any]] = {}
    reasons: dict[Any, str] = {}
    for key, spec in data_keys.items() if isinstance(data_keys, Mapping) else ():
        _, reason = (None, None) if is_external(spec) else _type_and_reason(spec)
        known[key] = spec if reason is None else {"dtype": "string"}
        if reason is not None:
            reasons[key] = reason
    return known, reasons


def _type_and_reason(spec: Any) -> tuple[pa.DataType, str | None]:
    """Return the type of a column, and, if it is text for want of a better, why."""
    if not isinstance(spec, Mapping):
        return pa.string(), f"its description is {quoted(spec)}"
    try:
        return arrow_type(spec), None
    except (InputError, pa.ArrowException) as error:
        return pa.string(), str(error)


def _scalar_type(spec: Mapping[str, Any]) -> pa.DataType:
    dtype = numpy_dtype(spec)
    if dtype.kind in "biu":
        return pa.from_numpy_dtype(dtype.newbyteorder("="))
    if dtype.kind == "f":
        return pa.float32() if dtype.itemsize <= 4 else FLOAT  # noqa: PLR2004 - bytes of a float32
    return pa.string()


def _widened(column: Column, hints: Hints) -> pa.DataType:
    hint = hints.types.get(column.name)
    return column.type if hint is None else (wider(column.type, hint) or column.type)
