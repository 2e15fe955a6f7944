"""A selection of a table's rows comes in, as many of them as may be sent at once go out; called by `tables`.

A condition is evaluated in the database. Only where rows were taken again, which no database tells quickly, the columns
concerned are read and looked through here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tilewright.server.where import Expression
from tilewright.tables.matching import fitted
from tilewright.tables.selection import Selection, increases, selected

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tilewright.server.tables import TableAdapter

_BATCH_ROWS = 2_048
"""Rows that are sent or left for the next time together, as DuckDB gives them."""


def select(
    adapter: TableAdapter, cursor: Any, selection: Selection, most_bytes: int
) -> tuple[pa.Table, bool]:
    """Return the rows that are meant, in the order they were appended, and whether more of them may follow.

    Parameters
    ----------
    cursor
        Of the adapter's database. All that is read by it is of one moment, except in PostgreSQL.
    most_bytes
        About how much is sent at once; at least one row is.

    Raises
    ------
    KeyError
        For a column that the table does not have.
    InputError
        If the condition does not fit the table.
    """
    wanted = adapter.schema(selection.columns)
    types = {field.name: field.type for field in adapter.schema()}
    expression = Expression(adapter.storage.dialect, types)
    where = "" if selection.where is None else expression.sql(fitted(selection.where, types))
    if selection.last_of is not None and not _increases(adapter, cursor, selection.last_of):
        found = selected(_read(adapter, cursor, selection.needed(), stable=True), selection)
        batches, more = _as_many_as_fit(found.to_batches(max_chunksize=_BATCH_ROWS), most_bytes)
        return pa.Table.from_batches(batches, found.schema), more
    query = adapter.query(wanted.names, where=where, first_row=selection.first_row, stable=True)
    cursor.execute(query, expression.parameters)
    reader = cursor.fetch_record_batch()
    batches, more = _as_many_as_fit(reader, most_bytes)
    return pa.Table.from_batches(batches, reader.schema).rename_columns(wanted.names).cast(wanted), more


def _increases(adapter: TableAdapter, cursor: Any, column: str) -> bool:
    return increases(_read(adapter, cursor, [column], stable=False).column(0))


def _read(adapter: TableAdapter, cursor: Any, columns: list[str], *, stable: bool) -> pa.Table:
    schema = adapter.schema(columns)
    cursor.execute(adapter.query(columns, stable=stable))
    table: pa.Table = cursor.fetch_arrow_table()
    return table.rename_columns(columns).cast(schema)


def _as_many_as_fit(batches: Iterable[pa.RecordBatch], most_bytes: int) -> tuple[list[pa.RecordBatch], bool]:
    """Take batches up to a size, and say whether some were left; a part of the first if that is too large itself.

    >>> ten = [pa.record_batch({"x": list(range(first, first + 5))}) for first in (0, 5)]
    >>> for most in (1, 24, 40, 79, 80):
    ...     taken, more = _as_many_as_fit(ten, most)
    ...     print([batch.num_rows for batch in taken], more)
    [1] True
    [3] True
    [5] True
    [5] True
    [5, 5] False
    """
    taken: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        size += batch.nbytes
        if size > most_bytes and taken:
            return taken, True
        if size > most_bytes:
            return [batch.slice(0, max(1, batch.num_rows * most_bytes // batch.nbytes))], True
        if batch.num_rows:
            taken.append(batch)
    return taken, False
