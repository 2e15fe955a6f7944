"""Which rows are meant: a text such as ``site_id == 285`` comes in, a condition goes out whose times are numbers. `dataset` calls it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tilewright.clients.embeddings.describing import START
from tilewright.documents.times import utc_ns
from tilewright.tables.conditions import All, Compare, Either, Not, OneOf, Where
from tilewright.tables.where import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tilewright.tables.conditions import Condition

ROW = "row"
"""Number of a vector in its dataset, from 0: what the table calls `seq_num` less one."""
SEQ_NUM = "seq_num"
CONSTANTS = 5_000
"""Row numbers of one question; a condition takes 10,000 constants."""


def condition(where: str, columns: Sequence[str]) -> Where:
    """Return the condition that a text is; `row` may be asked for, and times be texts.

    Raises
    ------
    InputError
        If it is none, or names another column; if a time has no zone.
    """
    return Where(_adapted(parse(where, [*columns, ROW, "time"]).condition))


def of_rows(rows: Sequence[int]) -> Where:
    """Return the condition that a row is one of these."""
    return Where(OneOf(SEQ_NUM, tuple(int(row) + 1 for row in rows)))


def _adapted(found: Condition) -> Condition:
    match found:
        case All() | Either():
            return replace(found, conditions=tuple(map(_adapted, found.conditions)))
        case Not():
            return replace(found, condition=_adapted(found.condition))
        case Compare() if found.column in (START, ROW):
            return replace(found, column=_stored(found.column), other=_number(found.column, found.other))
        case OneOf() if found.column in (START, ROW):
            values = tuple(_number(found.column, value) for value in found.values)
            return replace(found, column=_stored(found.column), values=values)
    return found


def _stored(column: str) -> str:
    return SEQ_NUM if column == ROW else column


def _number(column: str, value: Any) -> Any:
    """Return what a constant is in the table: of a time its nanoseconds, of a row its seq_num."""
    if column == START and isinstance(value, str):
        return utc_ns(value, f"time that {START} is compared with")
    if column == ROW and isinstance(value, int | float) and not isinstance(value, bool):
        return value + 1
    return value
