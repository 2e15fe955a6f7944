"""A text such as ``site_id == 285 and subsite_name == 'Dry-A'`` comes in; the condition it is goes out.

`tilewright.clients` calls it with what a user wrote. It is a part of Python's grammar, read by Python's parser; nothing is
executed. What a condition says of missing values is told in `conditions`.
"""

from __future__ import annotations

import ast
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

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
    usable_constant,
)

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_LENGTH = 1_000_000
"""Characters of an expression: lists of thousands of file names are shorter."""

_ALLOWED = (
    "Allowed are columns compared with numbers, texts, True, False or other columns by == != < <= > >=; `in` and `not in` "
    "a list of these constants; `is None` and `is not None`; a column of booleans by itself; and, or, not, parentheses. A "
    "column whose name is no identifier stands in backquotes."
)
_QUOTED = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|`([^`]*)`""", re.DOTALL)
"""A text, which is left as it is, or the name of a column between backquotes."""

_OPS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "==",  # of which it is the negation
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_FLIPPED = {"==": "==", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""`3 < x` is `x > 3`."""


def parse(text: str, columns: Collection[str] | None = None) -> Where:
    """Return the condition that an expression is.

    Parameters
    ----------
    text
        Comparisons as Python writes them, also chained: ``0 < x <= 3 and name in ['a', 'b'] and not `is dark```.
    columns
        Those that the table has. None if they are not known yet: `matching.fitted` looks then.

    Raises
    ------
    InputError
        If it is something else, quoting what; or names a column that there is not.

    Examples
    --------
    >>> print(parse("0 < x <= 3 and `site id` not in [1, 2] or on"))
    (((x > 0) and (x <= 3)) and (not (`site id` in [1, 2]))) or (on)
    """
    if len(text) > MAX_LENGTH:
        raise InputError(f"cannot read a `where` of {len(text):,} characters: up to {MAX_LENGTH:,} are taken")
    where = Where(_Reader(text).condition())
    if columns is not None:
        for name in where.columns:
            if name not in columns:
                raise unknown_column(name, columns)
    return where


def unknown_column(name: str, columns: Collection[str]) -> InputError:
    """Return the error for a column that the table does not have."""
    close = get_close_matches(name, list(columns), n=3)
    hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    return InputError(f"no column {name!r} to compare.{hint} There are: {', '.join(columns) or 'none'}.")


class _Reader:
    """One expression: Python's tree of it, and the names that stood between backquotes."""

    def __init__(self, text: str) -> None:
        self._given = text
        self._names: dict[str, str] = {}
        """Identifier that stands in the text → the column between backquotes that it stands for."""
        self._text = _QUOTED.sub(self._replaced, text.strip())

    def condition(self) -> Condition:
        """Return what the expression says."""
        try:
            tree = ast.parse(self._text, mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            # The latter two: Python's parser gave up on nesting.
            reason = error.msg if isinstance(error, SyntaxError) else "it is nested too deep"
            raise InputError(f"cannot read where={self._given!r:.300}: {reason}. {_ALLOWED}") from error
        return self._condition(tree.body)

    def _replaced(self, match: re.Match[str]) -> str:
        if match[1] is not None:
            return match[1]
        identifier = f"column_{len(self._names)}_"
        while identifier in self._given or identifier in self._names:
            identifier += "_"
        self._names[identifier] = match[2]
        return identifier

    def _condition(self, node: ast.expr) -> Condition:
        match node:
            case ast.BoolOp(ast.And(), parts):
                return All(tuple(map(self._condition, parts)))
            case ast.BoolOp(ast.Or(), parts):
                return Either(tuple(map(self._condition, parts)))
            case ast.UnaryOp(ast.Not(), inner):
                return Not(self._condition(inner))
            case ast.Compare(left, ops, rights):
                links = zip([left, *rights[:-1]], ops, rights, strict=True)
                found = [self._comparison(node, *link) for link in links]
                return found[0] if len(found) == 1 else All(tuple(found))
            case ast.Name(name):
                return Holds(self._names.get(name, name))
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr()) | ast.UnaryOp(op=ast.Invert()):
                raise self._refused(node, "is written with and, or, not")
        raise self._refused(node, "is no condition")

    def _comparison(self, whole: ast.expr, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition:
        match op:
            case ast.In() | ast.NotIn():
                found: Condition = OneOf(self._column(left), self._list(right))
            case ast.Is() | ast.IsNot():
                if not _is_none(right):
                    raise self._refused(whole, "compares by `is` with something else than None")
                found = Missing(self._column(left))
            case _:
                found = self._compare(whole, left, _OPS[type(op)], right)
        return Not(found) if isinstance(op, ast.NotIn | ast.IsNot | ast.NotEq) else found

    def _compare(self, whole: ast.expr, left: ast.expr, op: str, right: ast.expr) -> Condition:
        one, other = self._operand(left), self._operand(right)
        if isinstance(one, Column):
            return Compare(one.name, op, other)
        if isinstance(other, Column):
            return Compare(other.name, _FLIPPED[op], one)
        raise self._refused(whole, "compares no column")

    def _operand(self, node: ast.expr) -> Constant | Column:
        if isinstance(node, ast.Name):
            return Column(self._column(node))
        return self._constant(node, "is no column, and no constant to compare with")

    def _column(self, node: ast.expr) -> str:
        if not isinstance(node, ast.Name):
            raise self._refused(node, "is no column")
        return self._names.get(node.id, node.id)

    def _list(self, node: ast.expr) -> tuple[Constant, ...]:
        if not isinstance(node, ast.List | ast.Tuple):
            raise self._refused(node, "is no list of constants")
        return tuple(self._constant(value, "is no constant to compare with") for value in node.elts)

    def _constant(self, node: ast.expr, otherwise: str) -> Constant:
        value = node.value if isinstance(node, ast.Constant) else None
        match node:
            case ast.UnaryOp(ast.USub(), ast.Constant(int(number) | float(number))) if not isinstance(
                number, bool
            ):
                value = -number
        if _is_none(node):
            raise self._refused(node, "is compared by `is None`, not by == or in a list")
        if not usable_constant(value):
            raise self._refused(node, otherwise)
        constant: Constant = value  # type: ignore[assignment]  # which is what was just told
        return constant

    def _refused(self, node: ast.expr, reason: str) -> InputError:
        part = ast.get_source_segment(self._text, node) or ast.unparse(node)
        for identifier, name in self._names.items():
            part = part.replace(identifier, f"`{name}`")
        of = "" if part == self._given else f" of where={self._given!r:.300}"
        return InputError(f"{part[:100]!r}{of} {reason}. {_ALLOWED}")


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
