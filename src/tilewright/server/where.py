"""A fitted condition comes in, an expression of SQL and its parameters go out; called by `tables`.

DuckDB, SQLite and PostgreSQL disagree with each other and with Python in three things, which are put right here. NaN equals
itself and is greater than all else in DuckDB and PostgreSQL (SQLite stores null for it). PostgreSQL sorts texts by the
language of its cluster. And SQL has a third truth value: an expression made here is true where its condition is met, and
false or null elsewhere; so a negation is `IS NOT TRUE`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import pyarrow as pa

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
)
from tilewright.tables.matching import compared_as_floats

if TYPE_CHECKING:
    from collections.abc import Mapping

_GREATER = (">", ">=")
_LARGEST_SIGNED = 2**63 - 1


class Expression:
    """Parts of a query's WHERE, with the parameters that their placeholders stand for."""

    def __init__(self, dialect: str, types: Mapping[str, pa.DataType]) -> None:
        self._dialect = dialect
        self._types = types
        self._constants: list[Constant] = []
        """In the order of the placeholders."""

    @property
    def parameters(self) -> pa.RecordBatch | None:
        """What the placeholders stand for, as a database takes it: one row, a column each; None if there are none."""
        arrays = [
            pa.array([constant], pa.uint64() if _is_large(constant) else None) for constant in self._constants
        ]
        names = [str(number) for number in range(len(arrays))]
        return pa.record_batch(arrays, names) if arrays else None

    def sql(self, condition: Condition) -> str:  # noqa: PLR0911 - one for each kind
        r"""Return a condition, as `matching.fitted` gives it, in SQL.

        >>> expression = Expression("duckdb", {"Site": pa.int64(), "x": pa.float64()})
        >>> expression.sql(All((OneOf("Site", (3, 5)), Not(Compare("x", ">", 0.5)))))
        '("site" IN (?, ?)) AND (("x" > ? AND "x" <> CAST(\'NaN\' AS DOUBLE PRECISION)) IS NOT TRUE)'
        >>> expression.parameters.to_pylist()
        [{'0': 3, '1': 5, '2': 0.5}]
        """
        match condition:
            case Not(inner):
                return f"({self.sql(inner)}) IS NOT TRUE"
            case All(parts):
                return " AND ".join(f"({self.sql(part)})" for part in parts)
            case Either(parts):
                return " OR ".join(f"({self.sql(part)})" for part in parts)
            case Missing(column):
                return f"{_quoted(column)} IS NULL"
            case Holds(column):
                return _quoted(column)
            case OneOf(_, ()):
                return "FALSE"
            case OneOf(column, values):
                return f"{self._value(column)} IN ({', '.join(map(self._placeholder, values))})"
            case Compare(column, op, other):
                if isinstance(other, Column):
                    return self._columns(column, op, other.name)
                return self._constant(column, op, other)
            case _:
                assert_never(condition)

    def _constant(self, column: str, op: str, constant: Constant) -> str:
        compared = f"{self._value(column)} {_sql_op(op)} {self._placeholder(constant)}"
        return compared + self._but_nan(column) if op in _GREATER else compared

    def _columns(self, column: str, op: str, other: str) -> str:
        one, two = self._value(column), self._value(other)
        if compared_as_floats(self._types[column], self._types[other]):
            one, two = f"CAST({one} AS DOUBLE PRECISION)", f"CAST({two} AS DOUBLE PRECISION)"
        return f"{one} {_sql_op(op)} {two}{self._but_nan(column)}{self._but_nan(other)}"

    def _value(self, column: str) -> str:
        """Return a column as it is compared."""
        type_ = self._types[column]
        if pa.types.is_float32(type_):  # or the constant would be rounded to the column's type
            return f"CAST({_quoted(column)} AS DOUBLE PRECISION)"
        if self._dialect == "postgresql" and (pa.types.is_string(type_) or pa.types.is_large_string(type_)):
            return f'{_quoted(column)} COLLATE "C"'
        return _quoted(column)

    def _but_nan(self, column: str) -> str:
        if self._dialect == "sqlite" or not pa.types.is_floating(self._types[column]):
            return ""
        return f" AND {_quoted(column)} <> CAST('NaN' AS DOUBLE PRECISION)"

    def _placeholder(self, constant: Constant) -> str:
        is_number_there = self._dialect == "sqlite" and isinstance(constant, bool)
        self._constants.append(int(constant) if is_number_there else constant)
        return f"${len(self._constants)}" if self._dialect == "postgresql" else "?"


def _is_large(constant: Constant) -> bool:
    """Tell whether a number needs a type of its own: Arrow takes whole numbers for int64."""
    return isinstance(constant, int) and constant > _LARGEST_SIGNED


def _sql_op(op: str) -> str:
    return "=" if op == "==" else op


def _quoted(column: str) -> str:
    """Return a column as Tiled names it in a database: in lower case."""
    return '"{}"'.format(column.lower().replace('"', '""'))
