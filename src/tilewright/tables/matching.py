"""A condition and a table come in; the condition in terms of the columns' types, or the rows that meet it, go out.

`tilewright.server.where` makes SQL of what `fitted` returns; `tilewright.clients` takes rows by `matches` where a server
cannot be asked. Both get the same rows because rounding and types are decided here, before either.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import TYPE_CHECKING, Literal, TypeAlias, assert_never

import pyarrow as pa
import pyarrow.compute as pc

from tilewright.errors import InputError
from tilewright.tables.conditions import (
    All,
    Column,
    Compare,
    Condition,
    Constant,
    Either,
    Holds,
    Missing,
    Not,
    OneOf,
    Where,
)
from tilewright.tables.where import unknown_column

if TYPE_CHECKING:
    from collections.abc import Mapping

_Kind: TypeAlias = Literal["number", "text", "boolean"]

_SURE_BITS = 32
"""Whole numbers of so many bits are floats, too, without rounding."""


def fitted(where: Where, types: Mapping[str, pa.DataType]) -> Condition:
    """Return a condition that means the same, in which each constant is exactly one of its column's values.

    ``n < 2.5`` is ``n <= 2`` for whole numbers; ``n == 2.5`` is true of none: ``n in []``.

    Parameters
    ----------
    types
        Column → type, of all columns of the table.

    Raises
    ------
    InputError
        If a column is not there, or is compared with what it cannot be: a text with a number, say.
    """
    return _fit(where.condition, types)


def matches(where: Where, table: pa.Table) -> pa.BooleanArray:
    """Return for each row whether it meets a condition: shape (rows,), no nulls.

    Raises
    ------
    InputError
        As `fitted` does.
    """
    return _mask(_fit(where.condition, dict(zip(table.column_names, table.schema.types, strict=True))), table)


def compared_as_floats(one: pa.DataType, other: pa.DataType) -> bool:
    """Tell whether two columns of numbers are compared as float64, and not as whole numbers."""
    return bool(pa.types.is_floating(one) or pa.types.is_floating(other))


def _fit(condition: Condition, types: Mapping[str, pa.DataType]) -> Condition:
    match condition:
        case Not(inner):
            return Not(_fit(inner, types))
        case All(parts):
            return All(tuple(_fit(part, types) for part in parts))
        case Either(parts):
            return Either(tuple(_fit(part, types) for part in parts))
        case Missing(column):
            _type(column, types)
            return condition
    if pa.types.is_null(_type(condition.column, types)):  # a stock server's, of a column that has no values
        return _never(condition.column)
    return _fit_values(condition, types)


def _fit_values(condition: Compare | OneOf | Holds, types: Mapping[str, pa.DataType]) -> Condition:
    name = condition.column
    kind = types[name]
    match condition:
        case Holds():
            if not pa.types.is_boolean(kind):
                raise InputError(
                    f"column {name!r} is {kind}, and no condition by itself: compare it with something"
                )
            return condition
        case OneOf(_, values):
            for value in values:
                _check_constant(name, kind, value)
            exact = (_exact(Compare(name, "==", value), kind) for value in values)
            found = [
                one.other for one in exact if isinstance(one, Compare) and not isinstance(one.other, Column)
            ]
            return OneOf(name, tuple(dict.fromkeys(found)))
        case Compare(_, _, Column(other)):
            if pa.types.is_null(_type(other, types)):
                return _never(name)
            _check_columns(name, kind, other, types[other])
            return condition
        case Compare(_, _, value):
            _check_constant(name, kind, value)
            return _exact(condition, kind)
        case _:
            assert_never(condition)


def _exact(compare: Compare, kind: pa.DataType) -> Condition:
    """Return a comparison with a constant as one with a value that the column can have."""
    value = compare.other
    if isinstance(value, int | float) and pa.types.is_integer(kind):
        return _exact_whole(compare.column, compare.op, value, kind)
    if isinstance(value, int) and pa.types.is_floating(kind):
        return _exact_float(compare.column, compare.op, value)
    return compare


def _exact_whole(column: str, op: str, value: float, kind: pa.DataType) -> Condition:
    """Return a comparison of whole numbers.

    >>> _exact_whole("n", "<", 2.5, pa.int8()), _exact_whole("n", ">", -300, pa.int8())
    (Compare(column='n', op='<=', other=2), Not(condition=Missing(column='n')))
    """
    if value != (whole := math.floor(value)):
        if op == "==":
            return _never(column)
        op = "<=" if op in ("<", "<=") else ">"
    bits = kind.bit_width
    least, past = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if pa.types.is_signed_integer(kind) else (0, 2**bits)
    if least <= whole < past:
        return Compare(column, op, whole)
    is_met = op in (("<", "<=") if whole >= past else (">", ">="))
    return Not(Missing(column)) if is_met else _never(column)


def _exact_float(column: str, op: str, value: int) -> Condition:
    """Return a comparison of floats with the one beside a whole number that is none.

    >>> _exact_float("x", "<", 2**53 + 1), _exact_float("x", ">=", 2**53 + 3)
    (Compare(column='x', op='<=', other=9007199254740992.0), Compare(column='x', op='>=', other=9007199254740996.0))
    """
    near = float(value)
    if near == value:
        return Compare(column, op, near)
    if op == "==":
        return _never(column)
    if near < value:
        return Compare(column, "<=" if op in ("<", "<=") else ">", near)
    return Compare(column, "<" if op in ("<", "<=") else ">=", near)


def _never(column: str) -> OneOf:
    return OneOf(column, ())


def _type(column: str, types: Mapping[str, pa.DataType]) -> pa.DataType:
    if column not in types:
        raise unknown_column(column, types)
    return types[column]


def _kind(type_: pa.DataType) -> _Kind | None:
    if pa.types.is_boolean(type_):
        return "boolean"
    if pa.types.is_integer(type_) or pa.types.is_floating(type_):
        return "number"
    return "text" if pa.types.is_string(type_) or pa.types.is_large_string(type_) else None


def _check_constant(column: str, type_: pa.DataType, value: Constant) -> None:
    kind = "boolean" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
    if _kind(type_) != kind:
        hint = {
            "number": "numbers, without quotation marks",
            "text": "texts, in quotation marks",
            "boolean": "True and False",
            None: "nothing but None (`is None`): its values are no single numbers, texts or booleans",
        }[_kind(type_)]
        raise InputError(
            f"column {column!r} is {type_} and cannot be compared with {value!r:.100}: it compares with {hint}"
        )


def _check_columns(column: str, type_: pa.DataType, other: str, other_type: pa.DataType) -> None:
    both = f"columns {column!r} ({type_}) and {other!r} ({other_type}) cannot be compared"
    if _kind(type_) is None or _kind(type_) != _kind(other_type):
        raise InputError(f"{both}: numbers compare with numbers, texts with texts, booleans with booleans")
    if _kind(type_) == "number" and not _common(type_, other_type):
        raise InputError(
            f"{both} without rounding: past 2**53 and 2**63 there is no type for both; compare each with numbers"
        )


def _common(one: pa.DataType, other: pa.DataType) -> bool:
    """Tell whether a type of 64 bits holds all numbers of two types."""
    types = (one, other)
    whole = [type_ for type_ in types if pa.types.is_integer(type_)]
    if compared_as_floats(one, other):
        return all(type_.bit_width <= _SURE_BITS for type_ in whole)
    has_signed = any(pa.types.is_signed_integer(type_) for type_ in whole)
    return not (has_signed and any(pa.types.is_uint64(type_) for type_ in whole))


def _mask(condition: Condition, table: pa.Table) -> pa.BooleanArray:  # noqa: PLR0911 - one for each kind
    match condition:
        case Not(inner):
            return pc.invert(_mask(inner, table))
        case All(parts):
            return reduce(pc.and_, (_mask(part, table) for part in parts))
        case Either(parts):
            return reduce(pc.or_, (_mask(part, table) for part in parts))
        case Missing(column):
            return _whole(pc.is_null(table[column]))
        case Holds(column):
            return _whole(pc.fill_null(table[column], False))
        case OneOf(_, ()):
            return pa.repeat(pa.scalar(False), table.num_rows)
        case OneOf(column, values):
            held = _widened(table[column])
            return _whole(pc.is_in(held, value_set=pa.array(values, held.type)))
        case Compare(column, op, Column(other)):
            return _compared(op, *_alike(table[column], table[other]))
        case Compare(column, op, constant):
            held = _widened(table[column])
            return _compared(op, held, pa.scalar(constant, held.type))
        case _:
            assert_never(condition)


def _compared(op: str, left: pa.ChunkedArray, right: pa.ChunkedArray | pa.Scalar) -> pa.BooleanArray:
    functions = {
        "==": pc.equal,
        "<": pc.less,
        "<=": pc.less_equal,
        ">": pc.greater,
        ">=": pc.greater_equal,
    }
    return _whole(pc.fill_null(functions[op](left, right), False))


def _alike(one: pa.ChunkedArray, other: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return two columns in one type that holds the values of either."""
    if _kind(one.type) == "boolean":
        return one, other
    if _kind(one.type) == "text":
        common = pa.large_string()
    elif compared_as_floats(one.type, other.type):
        common = pa.float64()
    else:
        unsigned = pa.types.is_unsigned_integer(one.type) and pa.types.is_unsigned_integer(other.type)
        common = pa.uint64() if unsigned else pa.int64()
    return one.cast(common), other.cast(common)


def _widened(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return floats as float64: Arrow would round the constant to the column's type."""
    return column.cast(pa.float64()) if pa.types.is_floating(column.type) else column


def _whole(mask: pa.ChunkedArray) -> pa.BooleanArray:
    return pa.concat_arrays(mask.chunks) if mask.num_chunks else pa.array([], pa.bool_())
