"""What a row has to meet: a tree of comparisons, as `where` makes it of a text, and as it travels to a server.

`matching` evaluates it on Arrow tables, `tilewright.server.where` in a database. What it says:

- A comparison with a missing value (null) is false, so that `x != 3`, which is `not x == 3`, is true of it.
- `not` is the exact negation: a row meets either a condition or its negation. `x is None` tells missing values.
- NaN is a value, and compares as in Python: equal to nothing, not even to itself.
- Numbers compare as the numbers they are, without rounding: a whole number past 2**53 with a float, too. A float32 is
  compared with what it holds, which for 0.1 is 0.10000000149.
- Texts compare by code points, and False is less than True.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, TypeAlias

from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

Constant: TypeAlias = bool | int | float | str

COMPARISONS = ("==", "<", "<=", ">", ">=")
"""Of these a tree is made; `!=` is the negation of `==`."""

MAX_DEPTH = 50
"""How deep a condition may be nested."""
MAX_CONDITIONS = 500
"""How many comparisons may be joined: databases nest `a or b or c …`, and take up to 1,000 levels."""
MAX_CONSTANTS = 10_000
"""How many constants there may be, most of them in lists: SQLite takes 32,766 in a query."""


@dataclass(frozen=True, slots=True)
class Column:
    """The column that another one is compared with."""

    name: str


@dataclass(frozen=True, slots=True)
class Compare:
    """`column op other`; not met where either is missing."""

    column: str
    op: str
    """One of `COMPARISONS`."""
    other: Constant | Column


@dataclass(frozen=True, slots=True)
class OneOf:
    """`column in [values]`: equal to one of them."""

    column: str
    values: tuple[Constant, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """`column is None`."""

    column: str


@dataclass(frozen=True, slots=True)
class Holds:
    """A column of booleans by itself: true where it is."""

    column: str


@dataclass(frozen=True, slots=True)
class Not:
    """Met where the condition is not."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class All:
    """Met where all are: `and`; at least two."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Met where one is: `or`; at least two."""

    conditions: tuple[Condition, ...]


Condition: TypeAlias = Compare | OneOf | Missing | Holds | Not | All | Either


@dataclass(frozen=True, slots=True)
class Where:
    """Which rows of a table are meant; see the module for what a condition says.

    Raises
    ------
    InputError
        If it is larger than a server takes.
    """

    condition: Condition

    def __post_init__(self) -> None:
        leaves, constants = 0, 0
        for leaf in _leaves(self.condition, MAX_DEPTH):
            leaves += 1
            if isinstance(leaf, OneOf):
                constants += len(leaf.values)
            elif isinstance(leaf, Compare) and not isinstance(leaf.other, Column):
                constants += 1
        if leaves > MAX_CONDITIONS or constants > MAX_CONSTANTS:
            raise InputError(
                f"a `where` of {leaves:,} comparisons and {constants:,} constants is too large: up to "
                f"{MAX_CONDITIONS:,} and {MAX_CONSTANTS:,} are taken; ask for parts of it, or compare with the first "
                "and the last value instead of listing those in between"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at, each once, as they come."""
        names: dict[str, None] = {}
        for leaf in _leaves(self.condition, MAX_DEPTH):
            names[leaf.column] = None
            if isinstance(leaf, Compare) and isinstance(leaf.other, Column):
                names[leaf.other.name] = None
        return tuple(names)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes: dictionaries of one entry, lists, texts and numbers."""
        return _to_json(self.condition)

    @classmethod
    def from_json(cls, data: Any) -> Where:
        """Return what came over the wire; nothing that `where.parse` would not make.

        Raises
        ------
        InputError
            If it is no condition, or too large.
        """
        return cls(_from_json(data, MAX_DEPTH))

    def __str__(self) -> str:
        """Return an expression that means the same."""
        return _text(self.condition)


def usable_constant(value: Any) -> bool:
    """Tell whether a value can be compared with: every database can be asked for it, and a request can hold it.

    >>> [usable_constant(value) for value in (1, "text", True, None, math.inf, 10**400, b"bytes")]
    [True, True, True, False, False, False, False]
    """
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # a whole number that is greater than all floats
        return False


def _leaves(condition: Condition, depth: int) -> Iterator[Compare | OneOf | Missing | Holds]:
    if depth == 0:
        raise InputError(f"a `where` is nested more than {MAX_DEPTH} deep: write it with fewer parentheses")
    if isinstance(condition, Not):
        yield from _leaves(condition.condition, depth - 1)
    elif isinstance(condition, All | Either):
        for part in condition.conditions:
            yield from _leaves(part, depth - 1)
    else:
        yield condition


def _to_json(condition: Condition) -> dict[str, Any]:  # noqa: PLR0911 - one for each kind
    match condition:
        case Compare(column, op, Column(other)):
            return {op: [column, {"column": other}]}
        case Compare(column, op, constant):
            return {op: [column, {"value": constant}]}
        case OneOf(column, values):
            return {"in": [column, list(values)]}
        case Missing(column):
            return {"missing": column}
        case Holds(column):
            return {"holds": column}
        case Not(inner):
            return {"not": _to_json(inner)}
        case All(parts):
            return {"and": [_to_json(part) for part in parts]}
        case Either(parts):
            return {"or": [_to_json(part) for part in parts]}


def _from_json(data: Any, depth: int) -> Condition:  # noqa: PLR0911 - one for each kind
    match data if depth and isinstance(data, dict) and len(data) == 1 else None:
        case {"and": [_, _, *_] as parts}:
            return All(tuple(_from_json(part, depth - 1) for part in parts))
        case {"or": [_, _, *_] as parts}:
            return Either(tuple(_from_json(part, depth - 1) for part in parts))
        case {"not": inner}:
            return Not(_from_json(inner, depth - 1))
        case {"missing": str(column)}:
            return Missing(column)
        case {"holds": str(column)}:
            return Holds(column)
        case {"in": [str(column), [*values]]} if all(map(usable_constant, values)):
            return OneOf(column, tuple(values))
    return _compare_from_json(data)


def _compare_from_json(data: Any) -> Compare:
    if isinstance(data, dict) and len(data) == 1:
        ((op, sides),) = data.items()
        match sides if op in COMPARISONS else None:
            case [str(column), {"column": str(other), **more}] if not more:
                return Compare(column, op, Column(other))
            case [str(column), {"value": value, **more}] if not more and usable_constant(value):
                return Compare(column, op, value)
    raise InputError(
        f"cannot read the `where` of a request at {data!r:.100}: expected one of and, or, not, in, missing, holds and "
        f'{", ".join(COMPARISONS)}, such as {{"==": ["site_id", {{"value": 285}}]}}, up to {MAX_DEPTH} deep'
    )


def _text(condition: Condition) -> str:  # noqa: PLR0911 - one for each kind
    match condition:
        case Compare(column, op, other):
            return f"{_name(column)} {op} {_name(other.name) if isinstance(other, Column) else repr(other)}"
        case OneOf(column, values):
            return f"{_name(column)} in {list(values)!r}"
        case Missing(column):
            return f"{_name(column)} is None"
        case Holds(column):
            return _name(column)
        case Not(inner):
            return f"not ({_text(inner)})"
        case All(parts):
            return " and ".join(f"({_text(part)})" for part in parts)
        case Either(parts):
            return " or ".join(f"({_text(part)})" for part in parts)


def _name(column: str) -> str:
    return column if column.isidentifier() and not iskeyword(column) else f"`{column}`"
