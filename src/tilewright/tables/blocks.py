"""Arrays in events: the values of one data key come in; rows of an array go out, or the wider type that they need.

`batch` calls this. Pure. A value is never rounded, padded or turned to text to fit: one that fits no array is set aside.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tilewright.documents import quoted
from tilewright.tables.array_types import ArrayType, unseen_type
from tilewright.tables.exact import exact
from tilewright.tables.values import infer, kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_LONGEST = 60
"""Characters of a value that is quoted."""
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of different lengths: the numbers of all after one another, and how many of them belong together."""

    lengths: tuple[NDArray[np.int64], ...]
    """For each dimension of a row the lengths along it: of every row; of every part of every row; and so on."""
    flat: NDArray[Any]
    """The numbers, shape (count,)."""

    @property
    def row_shape(self) -> tuple[int | None, ...]:
        """Shape of a row, as far as all are of one; None for a length that varies, or is 0."""
        return tuple(
            int(each[0]) if len(each) and each[0] and (each == each[0]).all() else None
            for each in self.lengths
        )

    def tail(self, start: int) -> Ragged:
        """Return the rows from `start` on."""
        lengths, before = [], start
        for each in self.lengths:
            lengths.append(each[before:])
            before = int(each[:before].sum())
        return Ragged(tuple(lengths), self.flat[before:])


_Row: TypeAlias = "NDArray[Any] | Ragged"
"""The value of one event: an array; or a ragged one of a single row, if it is ragged within."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one array, some of which may have no value.

    If the array is joined, these are the rows of all its events' values, and none lacks one.
    """

    type: ArrayType
    rows: int
    values: NDArray[Any] | Ragged
    """Of the rows that have one, shape (count, *row_shape); of all rows, if ragged, where one without a value is empty."""
    places: NDArray[np.int64] | None = None
    """Which rows have a value, ascending; None for all, or if ragged."""
    missing: int = 0
    """How many events have no value."""

    def dense(self, start: int, stop: int) -> NDArray[Any]:
        """Return the rows from `start` to before `stop` of an array that is not ragged; see `ArrayType.fill`."""
        assert isinstance(self.values, np.ndarray), "a ragged array has no such rows"
        if self.places is None:
            return self.values[start:stop]
        rows = np.full((stop - start, *self.values.shape[1:]), self.type.fill, self.values.dtype)
        first, last = np.searchsorted(self.places, (start, stop))
        rows[self.places[first:last] - start] = self.values[first:last]
        return rows

    @property
    def row_bytes(self) -> int:
        """Size of a row of an array that is not ragged."""
        assert isinstance(self.values, np.ndarray), "the rows of a ragged array differ"
        return self.values.itemsize * math.prod(self.values.shape[1:])

    def ragged(self, start: int) -> Ragged:
        """Return the rows from `start` on of a ragged array."""
        assert isinstance(self.values, Ragged), "asked of a ragged array"
        return self.values.tail(start)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What became of the values of one data key. Either `block` or `needed` is set."""

    block: Block | None
    needed: ArrayType | None = None
    """The type that these values need."""
    rejected: dict[int, str] = field(default_factory=dict)
    """Position of each value that fits no array, and why."""


def gather(values: Sequence[Any], kind: ArrayType) -> Gathered:
    """Put the values of some rows together; None is no value.

    Examples
    --------
    >>> kind = ArrayType(np.dtype("i4"), (2,), is_seen=True)
    >>> gather([[1, 2], None, [3, 4]], kind).block.dense(0, 3).tolist()
    [[1, 2], [0, 0], [3, 4]]
    >>> gather([[1, 2], [3]], kind).needed
    ArrayType(dtype=dtype('int32'), row_shape=(None,), is_seen=True, is_joined=False)
    >>> gather([[1, 2], ["a", "b"]], kind).rejected
    {1: "list does not fit an array of int32: ['a', 'b']"}
    >>> joined = ArrayType(np.dtype("i4"), (), is_seen=True, is_joined=True)
    >>> gather([[1, 2], None, [3]], joined).block.dense(0, 3).tolist()
    [1, 2, 3]
    """
    whole = _end_to_end_at_once(values) if kind.is_joined else _whole(values)
    if whole is not None and kind.is_seen and kind.dtype is not None and whole.shape[1:] == kind.row_shape:
        cast = exact(whole, kind.dtype)
        if cast is not None:
            return Gathered(Block(kind, len(whole), cast))
    rows = {place: row for place, value in enumerate(values) if (row := _row(value, kind)) is not None}
    fitting, needed = _fit(rows, kind.of_events)
    needed = needed.joined if kind.is_joined else needed
    if needed != kind:
        return Gathered(None, needed)
    rejected = {
        place: f"{kind_of(value)} does not fit an array of {kind.dtype}: {quoted(value, _LONGEST)}"
        for place, value in enumerate(values)
        if value is not None and place not in fitting
    }
    put = _joined_block if kind.is_joined else _ragged_block if kind.is_ragged else _dense_block
    return Gathered(put(fitting, kind, len(values)), rejected=rejected)


def join(blocks: Sequence[Block]) -> Block:
    """Return the rows of several blocks of one type after one another; one at least."""
    if len(blocks) == 1:
        return blocks[0]
    rows = sum(block.rows for block in blocks)
    missing = sum(block.missing for block in blocks)
    ragged = [block.values for block in blocks if isinstance(block.values, Ragged)]
    if ragged:
        return Block(blocks[0].type, rows, _end_to_end(ragged), missing=missing)
    starts = np.cumsum([0, *(block.rows for block in blocks)])
    places = [
        start + (np.arange(block.rows) if block.places is None else block.places)
        for start, block in zip(starts, blocks, strict=False)
    ]
    whole = all(block.places is None for block in blocks)
    dense = [block.values for block in blocks if isinstance(block.values, np.ndarray)]
    values = np.concatenate(dense, dtype=dense[0].dtype)
    return Block(blocks[0].type, rows, values, None if whole else np.concatenate(places), missing)


def type_of(values: Sequence[Any], spec: Mapping[str, Any], most: int) -> ArrayType | None:
    """Return the type of array that these values need, if one of them is too large for a table and an array can hold it.

    Parameters
    ----------
    values
        Of some rows; None is no value.
    spec
        The data key in the descriptor: its dtype is taken if all values are of it.
    most
        How many elements stay in the table.
    """
    unknown = unseen_type(spec)
    rows = {place: row for place, value in enumerate(values) if (row := _row(value, unknown)) is not None}
    if not any(_size(row) > most for row in rows.values()):
        return None
    _, needed = _fit(rows, unknown.of_events)
    needed = needed.joined if unknown.is_joined else needed
    return needed if needed.is_storable else None


def _fit(rows: dict[int, _Row], kind: ArrayType) -> tuple[dict[int, _Row], ArrayType]:
    """Return the rows that fit, with the type's dtype, and the type that is needed for as many as there can be.

    Rows decide of what shape they are; it is theirs that a type has whose values nobody has seen. One without values, such
    as an empty list, tells nothing but that a length varies.
    """
    if not rows:
        return {}, kind
    first = next((row for row in rows.values() if _size(row)), None)
    known = kind
    if not kind.is_seen:
        shape_seen = kind.row_shape if first is None else _shape(first)
        known = replace(kind, row_shape=shape_seen or _shape(next(iter(rows.values()))), is_seen=True)
    deep = {place: _deepened(row, known.row_shape) for place, row in rows.items()}
    alike = {place: row for place, row in deep.items() if len(_shape(row)) == len(known.row_shape)}
    fitting: dict[int, _Row] = {}
    for place, row in sorted(alike.items(), key=lambda each: not _size(each[1])):
        cast = None if known.dtype is None else _cast(row, known.dtype)
        if cast is None:
            wider = known.merge(ArrayType(_flat(row).dtype, known.row_shape, is_seen=True))
            assert wider.dtype is not None, "that of the row, if no other"
            known, cast = replace(known, dtype=wider.dtype), _cast(row, wider.dtype)
        if cast is not None:
            fitting[place] = cast
    for row in fitting.values():
        known = known.merge(replace(known, row_shape=_shape(row)))
    if known.is_ragged and known.dtype is not None:
        # These have their numbers in the processor's order of bytes.
        known = replace(known, dtype=known.dtype.newbyteorder("="))
    return dict(sorted(fitting.items())), known


def _deepened(row: _Row, row_shape: tuple[int | None, ...]) -> _Row:
    """Return a row without values with as many dimensions as the others have; any other as it is."""
    if isinstance(row, Ragged) or row.size or row.ndim >= len(row_shape):
        return row
    return np.empty((*row.shape, *(length or 0 for length in row_shape[row.ndim :])), row.dtype)


def _whole(values: Any) -> NDArray[Any] | None:
    """Return the values of all rows as one array, if they are of one shape and without further ado."""
    if isinstance(values, np.ndarray):
        return None if values.dtype.hasobject else _packed(values)
    kinds = set(map(type, values))
    if kinds == {np.ndarray}:
        dtype = values[0].dtype
        alike = len({(value.shape, value.dtype) for value in values}) == 1
        return _packed(np.stack(values, dtype=dtype)) if alike and not dtype.hasobject else None
    levels = _levels(infer(list(values))) if kinds == {list} else None
    return None if levels is None else _dense(levels, len(values))


def _end_to_end_at_once(values: Any) -> NDArray[Any] | None:
    """Return the rows of all events after one another, if they are arrays that need no more than that."""
    if isinstance(values, np.ndarray):
        is_plain = values.ndim > 1 and not values.dtype.hasobject
        return _packed(values.reshape(-1, *values.shape[2:])) if is_plain else None
    if set(map(type, values)) != {np.ndarray} or not all(value.ndim for value in values):
        return None
    alike = len({(value.shape[1:], value.dtype) for value in values}) == 1
    dtype = values[0].dtype
    return _packed(np.concatenate(values, dtype=dtype)) if alike and not dtype.hasobject else None


def _row(value: Any, kind: ArrayType) -> _Row | None:
    """Return a value as an array of one dimension or more; None if it is none."""
    if isinstance(value, np.ndarray):
        if not value.dtype.hasobject:
            return _packed(value) if value.ndim else None
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        return None
    if kind.dtype is not None and kind.dtype.fields:
        return _structures(value, kind.dtype, len(kind.row_shape))
    levels = _levels(infer([list(value)]))
    if levels is None:
        return _by_numpy(list(value))
    dense = _dense(levels, 1)
    return levels if dense is None else dense[0]


def _packed(array: NDArray[Any]) -> NDArray[Any]:
    """Return structures without what lies between their fields, as a compiler leaves it: Tiled has no name for that."""
    if array.dtype.names is None:
        return array
    dtype = np.dtype([(name, array.dtype[name]) for name in array.dtype.names])
    return array if array.dtype == dtype else array.astype(dtype)


def _by_numpy(value: list[Any]) -> NDArray[Any] | None:
    """Return what Arrow makes no array of (integers past 63 bits, complex numbers, bytes), if all of it is kept."""
    try:
        items = np.array(value, object).ravel()
        is_whole = len(items) and all(isinstance(item, numbers.Integral) for item in items)
        # NumPy makes floats of integers past 63 bits beside others.
        array = np.array(value, np.uint64 if is_whole else None)
    except (ValueError, OverflowError, TypeError):
        return None
    return array if array.dtype.kind in "biufcSU" and _is_same(array.tolist(), value) else None


def _is_same(one: Any, other: Any) -> bool:
    """Compare nested lists value by value, a NaN being equal to a NaN."""
    other = other.tolist() if isinstance(other, np.void) else other
    if isinstance(other, (list, tuple, np.ndarray)):
        is_alike = isinstance(one, (list, tuple)) and len(one) == len(other)
        return is_alike and all(map(_is_same, one, other))
    if isinstance(other, (np.datetime64, np.timedelta64)):  # to NumPy, five days are equal to 5
        return False
    return bool(one == other or (one != one and other != other))  # noqa: PLR0124 - NaN


def _structures(value: Sequence[Any], dtype: np.dtype[Any], dimensions: int) -> NDArray[Any] | None:
    """Return lists of structures, which may be lists themselves, as an array; None if they are none."""
    try:
        with np.errstate(all="ignore"):  # a value that does not fit is found below
            array = np.array(_tuples(value, dimensions), dtype)
    except (ValueError, TypeError, OverflowError):
        return None
    return array if array.ndim == dimensions and _is_same(array.tolist(), value) else None


def _tuples(value: Any, dimensions: int) -> Any:
    """Return nested lists whose innermost ones are tuples, as numpy wants structures."""
    return [_tuples(item, dimensions - 1) for item in value] if dimensions else tuple(value)


def _levels(column: Any) -> Ragged | None:
    """Return a column of lists of numbers or texts, taken apart; None if it is none, or has a null anywhere."""
    if column is None or not pa.types.is_list(column.type):
        return None
    lengths = []
    while pa.types.is_list(column.type):
        if column.null_count:
            return None
        lengths.append(pc.list_value_length(column).to_numpy(zero_copy_only=False).astype(np.int64))
        column = column.flatten()
    kind = column.type
    if pa.types.is_string(kind):
        texts = column.to_pylist()
        return None if column.null_count else Ragged(tuple(lengths), np.array(texts, dtype=np.str_))
    is_number = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if pa.types.is_null(kind) and not len(column):
        return Ragged(tuple(lengths), np.empty(0, np.float64))
    if column.null_count or not is_number:
        return None
    return Ragged(tuple(lengths), column.to_numpy(zero_copy_only=False))


def _dense(levels: Ragged, rows: int) -> NDArray[Any] | None:
    """Return rows that are all of one shape as an array of shape (rows, *row_shape); None if they are not."""
    lengths = []
    for each in levels.lengths:
        if len(each) and (each != each[0]).any():
            return None
        lengths.append(int(each[0]) if len(each) else 0)
    return levels.flat.reshape(rows, *lengths)


def _shape(row: _Row) -> tuple[int | None, ...]:
    return row.row_shape if isinstance(row, Ragged) else tuple(length or None for length in row.shape)


def _flat(row: _Row) -> NDArray[Any]:
    return row.flat if isinstance(row, Ragged) else row


def _size(row: _Row) -> int:
    return _flat(row).size


def _cast(row: _Row, dtype: np.dtype[Any]) -> _Row | None:
    cast = exact(_flat(row), dtype)
    return cast if cast is None or not isinstance(row, Ragged) else replace(row, flat=cast)


def _dense_block(rows: dict[int, _Row], kind: ArrayType, count: int) -> Block:
    places = None if len(rows) == count else np.fromiter(rows, np.int64)
    whole = tuple(length or 0 for length in kind.row_shape)
    # Without the dtype, NumPy turns numbers of the other byte order.
    values = np.stack(list(rows.values()), dtype=kind.dtype) if rows else np.empty((0, *whole), kind.dtype)  # type: ignore[arg-type]
    return Block(kind, count, values, places, missing=count - len(rows))


def _joined_block(rows: dict[int, _Row], kind: ArrayType, count: int) -> Block:
    parts = [row for row in rows.values() if isinstance(row, np.ndarray)]
    whole = tuple(length or 0 for length in kind.row_shape)
    empty = np.empty((0, *whole), kind.dtype)
    values = np.concatenate(parts, dtype=empty.dtype) if parts else empty
    return Block(kind, len(values), values, missing=count - len(rows))


def _ragged_block(rows: dict[int, _Row], kind: ArrayType, count: int) -> Block:
    empty = _taken_apart(np.empty([length or 0 for length in kind.row_shape], kind.dtype))
    parts = [_taken_apart(rows[place]) if place in rows else empty for place in range(count)]
    none = replace(empty, lengths=tuple(_NONE for _ in kind.row_shape))
    return Block(kind, count, _end_to_end(parts or [none]), missing=count - len(rows))


def _end_to_end(parts: Sequence[Ragged]) -> Ragged:
    """Return the rows of ragged arrays after one another."""
    lengths = zip(*(part.lengths for part in parts), strict=True)
    return Ragged(tuple(map(np.concatenate, lengths)), np.concatenate([part.flat for part in parts]))


def _taken_apart(row: _Row) -> Ragged:
    """Return the value of one event as a ragged array of one row."""
    if isinstance(row, Ragged):
        return row
    counts = np.cumprod([1, *row.shape])
    lengths = (np.full(count, length, np.int64) for count, length in zip(counts, row.shape, strict=False))
    return Ragged(tuple(lengths), row.ravel())
