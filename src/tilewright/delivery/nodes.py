"""One stream's table and arrays on the server, brought to match the plan; called by the run's delivery.

Each object knows how far the server is, and asks the server when it does not know.
"""

from __future__ import annotations

import base64
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from tilewright.delivery.identity import checksum
from tilewright.delivery.remote import ConflictError, FateUnknownError, Path, Remote
from tilewright.documents import to_json
from tilewright.tables import MAX_COLUMNS, REJECTED, TABLE, Hints, Schema
from tilewright.tables.wire import ARROW_FILE

if TYPE_CHECKING:
    import pyarrow as pa

    from tilewright.formats import DataSource, ExternalArray

SQL_TABLE = "application/x-tiled-sql-table"
MAX_REQUEST_BYTES = 4 << 20
"""Rows go out in requests of about this size at most."""
SETTLE_SECONDS = 1.0
"""A row count after an append of unknown fate is believed once it stays the same for this long."""


class TableMismatch(Exception):  # noqa: N818 - a signal between two of our own functions, not an error
    """The table on the server cannot become the plan's by appending: it has to be made anew."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{'/'.join(path)}: {reason}")
        self.path = path


@dataclass(slots=True)
class TablePart:
    """One table node. `rows` is the server's row count; None when it has to be asked."""

    path: Path
    columns: list[str]
    rows: int | None = None
    unsettled: bool = False
    """Whether an append is out whose fate is not known."""

    def append(self, remote: Remote, table: pa.Table, first_row: int) -> None:
        """Send the rows of `table`, of which the first is the stream's row `first_row`, that are not there."""
        rows = self.count(remote)
        if rows < first_row:
            raise TableMismatch(self.path, f"it has {rows} rows and should have at least {first_row}")
        start = rows - first_row
        while start < table.num_rows:
            batch = table.slice(start, _rows_per_request(table))
            self._send(remote, batch, first_row + start)
            start += batch.num_rows

    def count(self, remote: Remote) -> int:
        """Return the server's row count."""
        if self.rows is None:
            rows = len(self.first_column(remote))
            while self.unsettled:
                time.sleep(SETTLE_SECONDS)
                again = len(self.first_column(remote))
                self.unsettled, rows = again != rows, again
            self.rows = rows
        return self.rows

    def first_column(self, remote: Remote) -> pa.ChunkedArray:
        """Return the first column as the server has it: `seq_num`, in the first table of a stream."""
        return remote.read_column(self.path, self.columns[0])

    def _send(self, remote: Remote, batch: pa.Table, first_row: int) -> None:
        self.rows = None
        try:
            remote.append_rows(self.path, batch.select(self.columns), first_row)
        except FateUnknownError:
            self.unsettled = True
            raise
        self.rows = first_row + batch.num_rows


@dataclass(slots=True)
class RemoteTable:
    """A stream's rows: one table, or several where it has more columns than one table takes."""

    parts: list[TablePart]
    schema: Schema

    @classmethod
    def open(
        cls,
        remote: Remote,
        stream: Path,
        schema: Schema,
        metadata: dict[str, Any],
        access_tags: list[str] | None,
    ) -> tuple[RemoteTable, Hints]:
        """Make the table, or adopt the one that is there.

        Returns
        -------
        The table, and what its schema on the server taught.

        Raises
        ------
        TableMismatch
            If the one that is there cannot hold the rows of `schema`.
        """
        parts, hints = [], Hints()
        for key, names in split_columns(schema):
            path = (*stream, key)
            own = set(names)
            part_schema = Schema(tuple(c for c in schema.columns if c.name in own), ())
            node = remote.create(
                path,
                "table",
                metadata={name: metadata[name] for name in names if name in metadata},
                specs=[],
                data_source=table_source(part_schema.arrow),
                access_tags=access_tags,
            )
            if not node.created:
                learned = part_schema.hints_from(node.arrow_schema)
                if learned is None:
                    raise TableMismatch(path, "its columns are not those of the documents")
                hints = hints.merge(learned)
            parts.append(TablePart(path, list(names), rows=0 if node.created else None))
        return cls(parts, schema), hints

    def append(self, remote: Remote, table: pa.Table, first_row: int) -> None:
        """Send the rows that are not there yet; safe to repeat."""
        for part in self.parts:
            part.append(remote, table, first_row)

    def verify(self, remote: Remote, rows: int, order: int, *, may_be_ahead: bool = False) -> int:
        """Read back how many rows there are, and their order; return how many are beyond the journal's.

        Parameters
        ----------
        rows
            How many there should be.
        order
            The checksum of their `seq_num`; see `identity.checksum`.
        may_be_ahead
            Whether there may be later rows than the journal's: delivered out of a memory that is gone, or of a file
            of which the machine lost the end when it failed. They are nowhere else.

        Raises
        ------
        TableMismatch
            If it is not so.
        """
        ahead = 0
        for number, part in enumerate(self.parts):
            part.rows = None
            column = part.first_column(remote)
            if number == 0 and may_be_ahead:
                ahead = _later_rows(column, rows)
            if len(column) != rows + ahead:
                raise TableMismatch(part.path, f"it has {len(column)} rows, the journal {rows}")
            if number == 0 and checksum(column.slice(0, rows)) != order:
                raise TableMismatch(part.path, "its rows are not in the journal's order")
        return ahead


def _later_rows(seq_nums: pa.ChunkedArray, rows: int) -> int:
    """Return how many rows follow the first ones; 0 if one of them may repeat these, as a late request makes it."""
    last, first = pc.max(seq_nums.slice(0, rows)).as_py(), pc.min(seq_nums.slice(rows)).as_py()
    return len(seq_nums) - rows if last is not None and first is not None and first > last else 0


def split_columns(schema: Schema) -> list[tuple[str, list[str]]]:
    """Return the tables of a schema: node key and column names of each."""
    names = [column.name for column in schema.columns]
    if len(set(names) | {REJECTED}) <= MAX_COLUMNS:  # `rejected` may come yet, and must not move the others
        return [(TABLE, names)]
    chunks = [names[start : start + MAX_COLUMNS] for start in range(0, len(names), MAX_COLUMNS)]
    return [(f"{TABLE}_{number}", chunk) for number, chunk in enumerate(chunks)]


def table_source(schema: pa.Schema) -> dict[str, Any]:
    """Return Tiled's description of a table to be made (`tiled.structures.table.TableStructure`)."""
    encoded = base64.b64encode(schema.serialize().to_pybytes()).decode()
    structure = {
        "arrow_schema": f"data:{ARROW_FILE};base64,{encoded}",
        "npartitions": 1,
        "columns": schema.names,
        "resizable": False,
    }
    return {"structure_family": "table", "structure": structure, "mimetype": SQL_TABLE, "parameters": {}}


def _rows_per_request(table: pa.Table) -> int:
    return max(1, int(table.num_rows * MAX_REQUEST_BYTES / max(1, table.nbytes)))


@dataclass(slots=True)
class RemoteArray:
    """One external data key: registered once, then told of what is new."""

    path: Path
    source_id: int | None = None
    registered: DataSource | None = None
    assets: int = 0
    """Assets the server has been told of."""
    failed: str | None = None
    """Why the server refused it for good."""

    def bring_up(self, remote: Remote, array: ExternalArray, access_tags: list[str] | None) -> None:
        """Register the array, or send what has changed; safe to repeat."""
        source, assets = array.data_source(), array.assets
        if source == self.registered and len(assets) == self.assets:
            return
        new = assets[self.assets :]
        if self.source_id is None:
            body = _source_body(source, new)
            node = remote.create(
                self.path,
                source.structure_family,
                metadata=to_json(array.metadata)[0],
                specs=[],
                data_source=body,
                access_tags=access_tags,
            )
            if node.data_source is None or node.data_source["mimetype"] != source.mimetype:
                raise ConflictError(f"{'/'.join(self.path)} is there, and is something else")
            self.source_id = int(node.data_source["id"])
            if not node.created:
                remote.put_data_source(self.path, body | {"id": self.source_id})
        else:
            remote.put_data_source(self.path, _source_body(source, new) | {"id": self.source_id})
        self.registered, self.assets = source, len(assets)


def _source_body(source: DataSource, assets: list[Any]) -> dict[str, Any]:
    described = to_json(asdict(source))[0]  # its parameters are whatever the documents said
    return {**described, "management": "external", "assets": [asdict(asset) for asset in assets]}
