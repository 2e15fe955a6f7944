"""Which rows and columns of a table are asked for: a request of `tilewright.clients` and its answer by our server.

Where a server has no such route, clients take the rows by `selected` of all rows instead, and the server itself does where
rows were taken again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tilewright.errors import InputError
from tilewright.tables.conditions import Where
from tilewright.tables.matching import matches

if TYPE_CHECKING:
    from numpy.typing import NDArray

MORE = "Tilewright-More"
"""Header of an answer after which there are more rows: ask again, from the row after the last one."""

_FIELDS = frozenset({"columns", "where", "last_of", "first_row"})


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of a table that meet a condition, from one of them on, as many as a server sends at once."""

    columns: tuple[str, ...]
    """Names, at least one; the answer has them in this order."""
    where: Where | None = None
    """None for all rows."""
    last_of: str | None = None
    """A column. Of rows with the same value in it, only the last can be meant, whether it meets the condition or not.
    A row without a value shares none."""
    first_row: int = 0
    """How many rows, of those that are meant, are passed over: the client has them."""

    def needed(self) -> list[str]:
        """Return all columns by which the rows are found and that are asked for, each once."""
        by = [] if self.last_of is None else [self.last_of]
        return list(dict.fromkeys([*self.columns, *(self.where.columns if self.where else ()), *by]))

    def to_json(self) -> dict[str, Any]:
        """Return the body of the request."""
        return {
            "columns": list(self.columns),
            "where": None if self.where is None else self.where.to_json(),
            "last_of": self.last_of,
            "first_row": self.first_row,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Selection:
        """Return what the body of a request says.

        Raises
        ------
        InputError
            If it is none.
        """
        columns, last_of, first_row = data.get("columns"), data.get("last_of"), data.get("first_row", 0)
        if (
            not _FIELDS.issuperset(data)
            or not (isinstance(columns, list) and columns and all(isinstance(name, str) for name in columns))
            or not (last_of is None or isinstance(last_of, str))
            or not (type(first_row) is int and 0 <= first_row < 2**63)
        ):
            raise InputError(
                f"cannot read the request for rows {data!r:.200}: expected columns (a list of names, at least one), and if "
                "need be where (a condition), last_of (a column) and first_row (a number, from 0)"
            )
        where = data.get("where")
        return cls(tuple(columns), None if where is None else Where.from_json(where), last_of, first_row)


def selected(table: pa.Table, selection: Selection) -> pa.Table:
    """Return what a selection asks of a table that has all rows, and all columns that are `needed`.

    Raises
    ------
    InputError
        If the condition does not fit the table.
    """
    kept = pa.repeat(pa.scalar(True), table.num_rows)
    if selection.where is not None:
        kept = matches(selection.where, table)
    if selection.last_of is not None and not increases(table[selection.last_of]):
        kept = pc.and_(kept, pa.array(last_of_each(table[selection.last_of])))
    return table.select(list(selection.columns)).filter(kept).slice(selection.first_row)


def increases(column: pa.ChunkedArray) -> bool:
    """Say whether a column has whole numbers, each greater than the one before.

    >>> [increases(pa.chunked_array([part])) for part in ([1, 2, 4], [1, 2, 2], [1, None, 3], [0.5, 1.5])]
    [True, False, False, False]
    """
    if column.null_count or not pa.types.is_integer(column.type):
        return False
    values = column.to_numpy()
    return bool((values[1:] > values[:-1]).all())


def last_of_each(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return for each row whether no later one has the same value; a row without a value shares none. Shape (rows,).

    >>> last_of_each(pa.chunked_array([[1, 2, None, 3, 2, None, 4]]))
    array([ True, False,  True,  True,  True,  True,  True])
    """
    is_there = column.is_valid().to_numpy()
    places = is_there.nonzero()[0]
    _, from_the_end = np.unique(column.drop_null().to_numpy()[::-1], return_index=True)
    last: NDArray[np.bool_] = ~is_there
    last[places[len(places) - 1 - from_the_end]] = True
    return last
