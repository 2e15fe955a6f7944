"""Python values to one Arrow column, exactly; called for every column of a batch.

In comes a list and the column's type; out comes the column, or the wider type it needs, with what fits no
type set aside.

What "wider" means, and that nothing is ever rounded or turned into text to fit:

    bool ─▶ int64 ─▶ float64        an int that float64 cannot hold exactly fits no type
    int8 … int64, uint8 … uint64    a narrower one widens to int64
    float32 ─▶ float64
    string                          takes strings only, and none with a NUL, which PostgreSQL does not take
    list<T>                         widens as T does
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

import numpy as np
import pandas as pd  # noqa: F401 - Arrow imports it at its first use: that must not be in mid-run, nor at exit
import pyarrow as pa
import pyarrow.compute as pc

from tilewright.documents import Unencodable, is_text, quoted

_INT64_RANGE = range(-(1 << 63), 1 << 63)
_TEMPORAL = (np.datetime64, np.timedelta64)
_ODD = frozenset({dict, set, frozenset, np.object_})
_NESTING = frozenset({list, tuple, np.ndarray})
_PLAIN = "?bhilqBHILQfd"
"""numpy's types that Arrow has as well."""
FLOAT = pa.float64()
INT = pa.int64()
MAX_DIMENSIONS = 32
"""Of an array in an event: Arrow writes lists nested up to 64 deep, and NumPy's own limit was 32 for long."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What became of a column's values. Either `array` or `widened` is set."""

    array: pa.Array | None
    widened: pa.DataType | None = None
    """The type this column needs to hold the values."""
    rejected: dict[int, str] = field(default_factory=dict)
    """Position of each value that fits no number (null in the array), and why."""


def convert(
    values: list[Any] | np.ndarray[Any, Any], target: pa.DataType, *, widens: bool = True
) -> Converted:
    """Make a column of `target` type of `values`; None is null. If it may not widen, what needs that is rejected.

    Values that are an array have to be a plain one, see `is_plain`.

    >>> convert([1, None, 3], INT).array.to_pylist()
    [1, None, 3]
    >>> convert([1, 2.5], INT).widened
    DataType(double)
    >>> convert([1.5, "out of range"], FLOAT).rejected
    {1: "str does not fit a column of double: 'out of range'"}
    """
    array = pa.array(values) if isinstance(values, np.ndarray) else infer(values)
    if array is not None and (exact := _cast(array, target)) is not None:
        return Converted(exact)
    return _convert_each(values.tolist() if isinstance(values, np.ndarray) else values, target, widens=widens)


def is_plain(values: Any) -> bool:
    """Tell columns that are arrays of truth values or numbers already, one a row, as Arrow takes them."""
    return (
        type(values) is np.ndarray
        and values.ndim == 1
        and values.dtype.char in _PLAIN
        and values.dtype.isnative
    )


def kind_of(value: Any) -> str:
    """Return the name of a value's type, or of the type of what could not be encoded."""
    return value.type_name if isinstance(value, Unencodable) else type(value).__name__


def largest(column: pa.ListArray) -> int:
    """Return how many elements the largest list of a column has, those of the lists in it counted together.

    >>> largest(pa.array([[[1, 2], [3]], [[4]], None]))
    3
    """
    if not len(column):
        return 0
    offsets, inner = _opened(column)
    while pa.types.is_list(inner.type):
        deeper, inner = _opened(inner)
        offsets = deeper[offsets]
    return int(np.diff(offsets).max())


def _opened(column: pa.ListArray) -> tuple[np.ndarray[Any, Any], pa.Array]:
    """Return where the lists of a column begin and end in what they hold, and that."""
    return column.offsets.to_numpy(), column.values  # noqa: PD011 - Arrow's, not those of pandas


def wider(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the narrowest type that holds what either holds; None if there is none.

    >>> wider(pa.int16(), pa.float32())
    DataType(double)
    >>> wider(pa.string(), pa.int64()) is None
    True
    """
    if one.equals(other):
        return one
    if pa.types.is_list(one) and pa.types.is_list(other):
        item = wider(one.value_type, other.value_type)
        return None if item is None else pa.list_(item)
    if not (_is_number(one) and _is_number(other)):
        return None
    if pa.types.is_boolean(one) or pa.types.is_boolean(other):
        return other if pa.types.is_boolean(one) else one
    return FLOAT if pa.types.is_floating(one) or pa.types.is_floating(other) else INT


def infer(values: list[Any]) -> pa.Array | None:
    """Let Arrow look at the values, and return what it makes of them; None if it cannot be trusted with them.

    It decides by all of them, and refuses mixtures with text.
    """
    if not _is_for_arrow(values):
        return None
    try:
        array = pa.array(values)
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        return None
    if pa.types.is_string(_innermost(array.type)) and _has_nul(array):
        return None
    return array


def _is_for_arrow(values: list[Any]) -> bool:
    """Tell whether Arrow can be trusted with these values.

    It makes 1 of a float16 of 1.5 beside an integer, and -1 of a numpy integer past 63 bits beside a float, so that
    numpy's types must not be mixed with others. It takes sets for lists; and each key of each dict for a field, which
    every row has: more than there is memory for.
    """
    kinds = _kinds(values) - {NoneType}
    is_mixed = len(kinds) > 1 and any(issubclass(kind, np.generic) for kind in kinds)
    return kinds.isdisjoint(_ODD) and not is_mixed


def _kinds(values: list[Any] | tuple[Any, ...], depth: int = 0) -> set[type]:
    """Return the types of the values, and of those in lists and arrays among them."""
    kinds = set(map(type, values))
    if kinds.isdisjoint(_NESTING):
        return kinds
    for value in values:
        if isinstance(value, np.ndarray):
            kinds.add(value.dtype.type)
        elif type(value) in _NESTING:
            kinds |= _kinds(value, depth + 1) if depth < MAX_DIMENSIONS else _ODD
    return kinds - _NESTING


def _cast(array: pa.Array, target: pa.DataType) -> pa.Array | None:
    """Cast without loss, or return None."""
    if array.type.equals(target):
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), target)
    if wider(_innermost(array.type), _innermost(target)) is None and not pa.types.is_null(
        _innermost(array.type)
    ):
        return None
    try:
        exact = pc.cast(array, target, safe=True)
        back = pc.cast(exact, array.type, safe=False)
    except (pa.ArrowException, OverflowError):
        return None
    return exact if _same(array, back) else None


def _same(one: pa.Array, other: pa.Array) -> bool:
    """Compare value by value, a NaN being equal to a NaN."""
    while pa.types.is_list(one.type):
        one, other = one.flatten(), other.flatten()
    if not pa.types.is_floating(one.type):
        return bool(one.equals(other))
    equal = np.array_equal(
        one.to_numpy(zero_copy_only=False), other.to_numpy(zero_copy_only=False), equal_nan=True
    )
    return bool(equal) and one.null_count == other.null_count


def _has_nul(array: pa.Array) -> bool:
    while pa.types.is_list(array.type):
        array = array.flatten()
    return bool(pc.any(pc.match_substring(array, "\0")).as_py())


def _innermost(type_: pa.DataType) -> pa.DataType:
    while pa.types.is_list(type_):
        type_ = type_.value_type
    return type_


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_boolean(type_) or pa.types.is_integer(type_) or pa.types.is_floating(type_))


def _convert_each(values: list[Any], target: pa.DataType, *, widens: bool) -> Converted:
    """Judge value by value: the slow path, for the batch that holds an odd one."""
    needed, rejected, plain = target, {}, []
    for position, value in enumerate(values):
        simple = _simple(value, target)
        fitting = _type_for(simple, needed)
        if fitting is None or not (widens or fitting.equals(target)):
            rejected[position] = f"{kind_of(value)} does not fit a column of {target}: {quoted(value, 60)}"
            simple = None
        else:
            needed = fitting
        plain.append(simple)
    if not needed.equals(target):
        return Converted(None, widened=needed)
    return Converted(pa.array([_as(value, target) for value in plain], type=target), rejected=rejected)


def _as(value: Any, target: pa.DataType) -> Any:
    """Return a value that fits `target` as the Python type Arrow expects for it: it takes no bool for an int."""
    if value is None or pa.types.is_string(target):
        return value
    if pa.types.is_list(target):
        return [_as(item, target.value_type) for item in value]
    if pa.types.is_boolean(target):
        return bool(value)
    return float(value) if pa.types.is_floating(target) else int(value)


def _simple(value: Any, target: pa.DataType) -> Any:
    """Return numpy values as Python's own, but for dates and durations, which it would make plain integers.

    As deep as `target` is: what fits must not depend on whether another value of the batch is odd.
    """
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        value = value.tolist()
    if isinstance(value, (list, tuple)) and pa.types.is_list(target):
        return [_simple(item, target.value_type) for item in value]
    if isinstance(value, _TEMPORAL):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "mM":
        return list(value) if value.ndim else value[()]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _type_for(value: Any, target: pa.DataType) -> pa.DataType | None:
    """Return the narrowest type from `target` on that holds `value` exactly; None if there is none."""
    if value is None or isinstance(value, _TEMPORAL):
        return target if value is None else None
    if pa.types.is_list(target):
        return _list_type_for(value, target)
    if pa.types.is_string(target):
        return target if is_text(value) and "\0" not in value else None
    if isinstance(value, (bool, np.bool_)):
        return target
    if isinstance(value, numbers.Integral):
        return _int_type_for(int(value), target)
    return _float_type_for(value, target) if isinstance(value, float) else None


def _list_type_for(value: Any, target: pa.DataType) -> pa.DataType | None:
    if not isinstance(value, (list, tuple)):
        return None
    item_type = target.value_type
    for item in value:
        needed = _type_for(item, item_type)
        if needed is None:
            return None
        item_type = needed
    return pa.list_(item_type)


def _int_type_for(value: int, target: pa.DataType) -> pa.DataType | None:
    if pa.types.is_floating(target):
        for candidate in (target, FLOAT):
            if _holds_int(value, candidate):
                return candidate
        return None
    if pa.types.is_boolean(target):
        return target if value in (0, 1) else INT if value in _INT64_RANGE else None
    low, high = _int_range(target)
    if low <= value <= high:
        return target
    return INT if value in _INT64_RANGE and not pa.types.is_uint64(target) else None


def _float_type_for(value: float, target: pa.DataType) -> pa.DataType:
    if pa.types.is_float32(target):
        with np.errstate(over="ignore"):
            single = float(np.float32(value))
        return target if single == value or value != value else FLOAT  # noqa: PLR0124 - NaN
    if pa.types.is_boolean(target) and value in (0, 1):
        return target
    if pa.types.is_integer(target) and value.is_integer():
        low, high = _int_range(target)
        return target if low <= value <= high and int(value) == value else FLOAT
    return FLOAT


def _holds_int(value: int, type_: pa.DataType) -> bool:
    try:
        held = float(np.float32(value)) if pa.types.is_float32(type_) else float(value)
    except OverflowError:
        return False
    return held == value


def _int_range(type_: pa.DataType) -> tuple[int, int]:
    info = np.iinfo(type_.to_pandas_dtype())
    return int(info.min), int(info.max)
