"""Tables as clients get them: rows of a `TableStorage` come in, lossless DataFrames and column arrays go out.

Mounted by `tilewright.server.catalog` for Tiled's SQL tables; Tiled's routes call it, and ours.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_manager import Error as DatabaseError
from tiled.adapters.array import ArrayAdapter
from tiled.adapters.ragged import RaggedAdapter
from tiled.adapters.sql import SQLAdapter, arrow_schema_to_create_table
from tiled.server.schemas import Asset

from tilewright.server.selecting import select
from tilewright.server.storage import TableStorage
from tilewright.tables.wire import FIRST_ROW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tilewright.tables.selection import Selection

_MOST_COUNTS = 10_000
"""Of how many tables it is remembered how many rows they have."""


class TableAdapter(SQLAdapter):
    """One table. Differs from Tiled's adapter in what reading gives.

    Tiled's goes through NumPy, where an integer column with nulls turns to float64 and loses what lies past 2**53.
    Here the columns stay Arrow's. Columns come in the order asked for.
    """

    @classmethod
    def init_storage(cls, storage: Any, data_source: Any, path_parts: list[str] | None = None) -> Any:
        """Make room for a table: as Tiled does, but without the index on its ids in DuckDB.

        There, the index makes appending two to three times slower, and is of no use: a table's rows lie together, and
        DuckDB passes over blocks that have none of them.
        """
        if storage.dialect != "duckdb" or data_source.parameters.get("primary_key"):
            return super().init_storage(storage, data_source, path_parts)
        placed = data_source.model_copy(deep=True)
        schema = _stored(placed.structure.arrow_schema_decoded)
        statement = arrow_schema_to_create_table(schema, cls.get_table_name(placed), storage.dialect)
        with closing(storage.connect()) as connection:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                cursor.execute("CREATE SEQUENCE IF NOT EXISTS _dataset_id_counter")
                cursor.execute("SELECT nextval('_dataset_id_counter')")
                (placed.parameters["dataset_id"],) = cursor.fetchone()
            connection.commit()
        placed.assets.append(Asset(data_uri=storage.uri, is_directory=False, parameter="data_uri"))
        return placed

    def read(self, fields: Sequence[str] | None = None) -> pd.DataFrame:
        """Return all rows in the order they were appended, with Arrow-backed columns.

        Raises
        ------
        KeyError
            For a column that the table does not have; Tiled answers 400 and names it.

        """
        return _to_pandas(self._rows(fields))

    def read_arrow(self, fields: Sequence[str] | None = None) -> pa.Table:
        """Return what `read` does, as it comes from the database; `tilewright.server.rows` sends it."""
        return self._rows(fields)

    def select(self, selection: Selection, most_bytes: int) -> tuple[pa.Table, bool]:
        """Return the rows that a selection means, about so many bytes of them, and whether more of them may follow.

        Raises
        ------
        KeyError
            For a column that the table does not have.
        InputError
            If the condition does not fit the table.
        """
        wanted = self.schema(selection.columns)
        try:
            with closing(self._connect()) as connection, connection.cursor() as cursor:
                return select(self, cursor, selection, most_bytes)
        except DatabaseError:
            if self._is_there():
                raise
            return wanted.empty_table(), False

    def read_partition(self, partition: int, fields: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the rows of one partition; see `read`."""
        return _to_pandas(self._rows(fields, partition))

    def append_partition(self, partition: int, data: Any) -> None:
        """Add rows at the end of a partition, those that are not there yet.

        Tiled calls it with the DataFrame that `tilewright.server.serialization.from_arrow` makes, and turns that
        into a table with a null for each NaN of a list; here NaN stays NaN. If the client said which row of the
        table the first one is, rows that the table has are passed over: a request that comes twice, or after its
        client gave it up and sent it again, changes nothing.

        Raises
        ------
        ValueError
            If there are rows missing before the first one.
        """
        if isinstance(data, pd.DataFrame):
            first_row = data.attrs.get(FIRST_ROW)
            data = _to_arrow(data, self.structure().arrow_schema_decoded)
        else:
            first_row = None
        self.append_rows(data, first_row, partition)

    def append_rows(self, rows: pa.Table, first_row: int | None, partition: int = 0) -> None:
        """Add rows at the end, of which the first is the table's row `first_row`: those that are not there yet.

        All of them, if that is None.

        Raises
        ------
        ValueError
            If there are rows missing before the first one.
        """
        if first_row is not None and isinstance(self.storage, TableStorage):
            self._append_from(first_row, partition, rows)
        else:
            self._append(partition, rows)

    def _append(self, partition: int, rows: pa.Table) -> None:
        if isinstance(self.storage, TableStorage):
            with self.storage.turn():
                self.storage.rows.pop(self.dataset_id, None)
        try:
            super().append_partition(partition, rows)
        except DatabaseError:
            if self._is_there():
                raise
            self._create()
            super().append_partition(partition, rows)

    def _append_from(self, first_row: int, partition: int, rows: pa.Table) -> None:
        """Append in the turn in which the rows were counted: nobody appends in between."""
        with self.storage.turn():
            counts = self.storage.rows
            there = counts[self.dataset_id] if self.dataset_id in counts else self._count()
            if there < first_row:
                raise ValueError(f"the table has {there} rows, and row {first_row} was to follow them")
            missing = rows.slice(there - first_row)
            if missing.num_rows:
                self._append(partition, missing)
            while len(counts) >= _MOST_COUNTS:
                del counts[next(iter(counts))]
            counts[self.dataset_id] = there + missing.num_rows

    def replace_from(self, column: str, least: int, rows: pa.Table) -> None:
        """Put rows in the place of those in which a number is `least` or more, in one transaction."""
        try:
            self._replace_from(column, least, rows)
        except DatabaseError:
            if self._is_there():
                raise
            self._create()
            self._replace_from(column, least, rows)

    def _replace_from(self, column: str, least: int, rows: pa.Table) -> None:
        where = f'_dataset_id = {int(self.dataset_id)} AND "{column}" >= {int(least)}'
        whole = rows.select(self.structure().columns).cast(self.structure().arrow_schema_decoded)
        for name, number in (("_partition_id", np.int16(0)), ("_dataset_id", np.int32(self.dataset_id))):
            whole = whole.add_column(0, name, pa.array([number] * len(rows)))
        with closing(self.storage.connect()) as connection:
            with connection.cursor() as cursor:
                cursor.execute(f'DELETE FROM "{self.table_name}" WHERE {where}')  # noqa: S608 (names Tiled checked)
                cursor.adbc_ingest(self.table_name, whole, mode="append")
            connection.commit()

    def _count(self) -> int:
        query = f'SELECT COUNT(*) FROM "{self.table_name}" WHERE _dataset_id = {int(self.dataset_id)}'  # noqa: S608 (a name Tiled checked)
        try:
            with closing(self._connect()) as connection, connection.cursor() as cursor:
                cursor.execute(query)
                return int(cursor.fetchone()[0])
        except DatabaseError:
            if self._is_there():
                raise
            return 0

    def __getitem__(self, key: str) -> ArrayAdapter | RaggedAdapter:
        """Return one column as an array; see `column_array` for what becomes of nulls and lists."""
        array = column_array(self._rows([key]).column(0).combine_chunks())
        if isinstance(array, np.ndarray):
            return ArrayAdapter.from_array(array)
        return RaggedAdapter.from_array(array)

    def _rows(self, fields: Sequence[str] | None, partition: int | None = None) -> pa.Table:
        target = self.schema(fields)
        try:
            with closing(self._connect()) as connection, connection.cursor() as cursor:
                cursor.execute(self.query(target.names, partition=partition))
                table: pa.Table = cursor.fetch_arrow_table()
        except DatabaseError:
            if self._is_there():
                raise
            return target.empty_table()
        # The database keeps lower-case names and sometimes coarser types.
        return table.rename_columns(target.names).cast(target)

    def schema(self, names: Sequence[str] | None = None) -> pa.Schema:
        """Return these columns, or all, each once, with the types they were declared to have; KeyError if one is not there."""
        whole = self.structure().arrow_schema_decoded
        return whole if names is None else pa.schema([whole.field(name) for name in dict.fromkeys(names)])

    # Tables of one schema share one table of the database. Tiled drops that when the last row in it is deleted, even
    # if other tables, still empty, are to use it (`delete_physical_asset` in tiled/catalog/adapter.py). For these it
    # is empty as long as they are read, and made again when they get rows.

    def _is_there(self) -> bool:
        catalog = "sqlite_master" if self.storage.dialect == "sqlite" else "information_schema.tables"
        column = "name" if self.storage.dialect == "sqlite" else "table_name"
        query = f"SELECT 1 FROM {catalog} WHERE {column} = '{self.table_name}'"  # noqa: S608 (a name Tiled checked)
        with closing(self._connect()) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone() is not None

    def _create(self) -> None:
        schema = _stored(self.structure().arrow_schema_decoded)
        statement = arrow_schema_to_create_table(schema, self.table_name, self.storage.dialect)
        with closing(self.storage.connect()) as connection:
            with connection.cursor() as cursor:
                cursor.execute(statement)
            connection.commit()

    def _connect(self) -> Any:
        if isinstance(self.storage, TableStorage):
            return self.storage.connect_for_reading()
        return self.storage.connect()  # PostgreSQL: Tiled's own pool

    def query(
        self,
        names: Sequence[str],
        *,
        partition: int | None = None,
        where: str = "",
        first_row: int = 0,
        stable: bool = False,
    ) -> str:
        """Return the SELECT. Tiled let only safe names into the structure when it created the table.

        Parameters
        ----------
        where
            A condition in SQL that rows have to meet besides.
        first_row
            How many of those rows are passed over.
        stable
            Whether PostgreSQL, too, has to give rows in one order each time: it sorts them for that.
        """
        columns = ", ".join(f'"{name.lower()}"' for name in names)
        condition = f"_dataset_id = {int(self.dataset_id)}" + (f" AND ({where})" if where else "")
        order = [f'"{by["column"].lower()}" {by["direction"]}' for by in self.order_by_args]
        if partition is not None:
            condition += f" AND _partition_id = {int(partition)}"
        elif self.structure().npartitions > 1:
            order.append("_partition_id")
        # The order of insertion. DuckDB gives rows in it unless asked for another (its setting `preserve_insertion_order`;
        # https://duckdb.org/docs/stable/sql/dialect/order_preservation), and takes 3 to 5 times as long if asked for it.
        dialect = self.storage.dialect
        if dialect == "sqlite" or (dialect == "duckdb" and order):
            order.append("rowid")
        elif dialect == "postgresql" and stable:
            order.append("ctid")
        ordering = f" ORDER BY {', '.join(order)}" if order else ""
        all_rows = "LIMIT -1 " if dialect == "sqlite" else ""  # it knows no OFFSET alone
        rest = f" {all_rows}OFFSET {int(first_row)}" if first_row else ""
        return f'SELECT {columns} FROM "{self.table_name}" WHERE {condition}{ordering}{rest}'  # noqa: S608 (names checked)


def _stored(schema: pa.Schema) -> pa.Schema:
    """Return the schema of a table in the database, which has the rows of all tables of the same columns."""
    ids = [pa.field("_dataset_id", pa.int32()), pa.field("_partition_id", pa.int16())]
    return pa.schema([*ids, *schema])


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def _to_arrow(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    table = pa.Table.from_pandas(frame, preserve_index=False)  # Tiled's client sends it as one more column
    for index, name in enumerate(table.column_names):
        kind = schema.field(name).type
        if _is_list(kind):
            table = table.set_column(index, name, pa.array(list(frame[name]), type=kind, from_pandas=False))
    return table


def column_array(column: pa.Array[Any]) -> np.ndarray[Any, Any] | list[Any]:
    """Return a column as an array, or as rows of different lengths.

    An array has no null: a null number or boolean becomes NaN, in float64, and a null string "None". The table,
    read whole or one column of it, keeps nulls as they are.

    Returns
    -------
    numpy.ndarray
        Shape (rows,), or (rows, length, ...) for lists that all have the same length and no nulls.
    list
        Lists of lists of numbers, for a `RaggedAdapter`; a null list is an empty one there.

    Examples
    --------
    >>> column_array(pa.array([1, None, 3]))
    array([ 1., nan,  3.])
    >>> column_array(pa.array([[1, 2], [3, 4]])).shape
    (2, 2)
    >>> column_array(pa.array([[1, 2], None, [3]]))
    [[1, 2], [], [3]]

    """
    dense = _dense(column)
    if dense is not None:
        return dense
    depth, leaf = _nesting(column.type)
    if _is_text(leaf):
        return np.array([str(row) for row in column.to_pylist()])
    return [_without_nulls(row, depth) for row in column.to_pylist()]


def _dense(column: Any) -> np.ndarray[Any, Any] | None:
    """Return the column as an N-dimensional array, or None if its lists differ in length or are null."""
    if not _is_list(column.type):
        return _scalars(column)
    if column.null_count:
        return None
    lengths = pc.unique(pc.list_value_length(column)).to_pylist() or [0]
    if len(lengths) > 1:
        return None
    inner = _dense(column.flatten())
    return None if inner is None else inner.reshape(len(column), lengths[0], *inner.shape[1:])


def _scalars(column: pa.Array[Any]) -> np.ndarray[Any, Any]:
    if _is_text(column.type):
        return np.array([str(value) for value in column.to_pylist()], dtype=np.str_)
    if column.null_count and not pa.types.is_floating(column.type):
        # Through UInt8, because Arrow does not cast booleans to floats directly.
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.uint8())
        column = column.cast(pa.float64(), safe=False)
    values: np.ndarray[Any, Any] = column.to_numpy(zero_copy_only=False)
    return values


def _without_nulls(value: Any, depth: int) -> Any:
    """Return nested lists with each null list empty and each null number NaN."""
    if depth == 0:
        return np.nan if value is None else value
    return [_without_nulls(item, depth - 1) for item in value or ()]


def _nesting(kind: Any) -> tuple[int, pa.DataType]:
    """Return how deep lists are nested, and the type of what they hold at the bottom."""
    depth = 0
    while _is_list(kind):
        depth, kind = depth + 1, kind.value_type
    return depth, kind


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
