"""One stream's table and arrays on the server, brought to match the plan; called by the run's delivery.

Each object knows how far the server is, and asks the server when it does not know. What is to be done it adds to a bundle
of steps; it takes note of it when that is sent.
"""

from __future__ import annotations

import base64
import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from tilewright.delivery.backoff import Backoff
from tilewright.delivery.failures import FateUnknownError, NotThereError
from tilewright.delivery.steps import Append, Check, Close, Create, LookAgain, Update
from tilewright.delivery.storage import MOST_DIRECTORIES, ArrayFiles, directory_of
from tilewright.documents import to_json
from tilewright.errors import FinalError
from tilewright.tables import MAX_COLUMNS, REJECTED, TABLE, Hints, Schema, SchemaTooNarrow
from tilewright.tables.wire import ARROW_FILE, checksum

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from tilewright.delivery.remote import Node, Path, Remote
    from tilewright.delivery.steps import Bundle, Count
    from tilewright.formats import Asset, DataSource, ExternalArray

SQL_TABLE = "application/x-tiled-sql-table"
MAX_REQUEST_BYTES = 8 << 20
"""Rows of one table go out in steps of about this size at most."""
SETTLE_SECONDS = 1.0
"""A row count after an append of unknown fate is believed once it stays the same for this long."""
FIRST_LOOK = 0.2
LAST_LOOK = 5.0
"""Seconds until files that are not there yet are looked for again, doubled each time from the first to the last."""


class Mismatch(Exception):  # noqa: N818 - a signal between two of our own functions, not an error
    """What the server has cannot become the plan's by adding to it: it has to be made anew."""

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
    is_there: bool = False
    """Whether the node is there, and can hold the rows."""

    def create(
        self,
        bundle: Bundle,
        table: RemoteTable,
        access_tags: list[str] | None,
        learn: Callable[[Hints], None],
    ) -> None:
        """Make it, or adopt the one that is there; see `RemoteTable.create`."""
        names = set(self.columns)
        schema = Schema(tuple(column for column in table.schema.columns if column.name in names), ())

        def then(node: Node) -> None:
            self.rows = 0 if node.created else None
            if not node.created:
                learned = schema.hints_from(node.arrow_schema)
                if learned is None:
                    raise Mismatch(self.path, "its columns are not those of the documents")
                if learned != Hints():  # it is wider, from an earlier pass over the same journal
                    learn(learned)
                    raise SchemaTooNarrow(learned)
            self.is_there = True

        metadata = {name: table.metadata[name] for name in self.columns if name in table.metadata}
        source = table_source(schema.arrow)
        bundle.add(Create(self.path, "table", metadata, [], source, access_tags), then)

    def append(self, bundle: Bundle, remote: Remote, rows: pa.Table, first_row: int) -> None:
        """Send the rows, of which the first is the stream's row `first_row`, that are not there."""
        there = self.count(remote) if self.is_there else 0
        if there < first_row:
            raise Mismatch(self.path, f"it has {there} rows and should have at least {first_row}")
        start = there - first_row
        while start < rows.num_rows:
            batch = rows.slice(start, _rows_per_request(rows)).select(self.columns)
            self._append(bundle, batch, first_row + start)
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

    def check(self, bundle: Bundle, rows: int, order: int | None) -> None:
        """Read back how many rows there are, and their order unless that is None.

        Sending the bundle raises `Mismatch` if it is not so.
        """

        def then(count: Count) -> None:
            self.rows = count.rows
            if count.rows != rows:
                raise Mismatch(self.path, f"it has {count.rows} rows, the journal {rows}")
            if order not in (None, count.order):
                raise Mismatch(self.path, "its rows are not in the journal's order")

        bundle.add(Check(self.path, self.columns[0], rows, order), then)

    def _append(self, bundle: Bundle, batch: pa.Table, first_row: int) -> None:
        def then(_: None) -> None:
            self.rows = first_row + batch.num_rows

        def failed(error: Exception) -> bool:
            self.rows = None
            self.unsettled = self.unsettled or isinstance(error, FateUnknownError)
            return False

        bundle.add(Append(self.path, batch, first_row), then, failed)


@dataclass(slots=True)
class RemoteTable:
    """A stream's rows: one table, or several where it has more columns than one table takes."""

    parts: list[TablePart]
    schema: Schema
    metadata: dict[str, Any]
    """What the descriptors say of the columns, by their names."""

    @classmethod
    def of(cls, stream: Path, schema: Schema, metadata: dict[str, Any]) -> RemoteTable:
        """Return the table of a stream of which nothing is known yet."""
        parts = [TablePart((*stream, key), names) for key, names in split_columns(schema)]
        return cls(parts, schema, metadata)

    def create(self, bundle: Bundle, access_tags: list[str] | None, learn: Callable[[Hints], None]) -> None:
        """Make the tables that are not known to be there, or adopt those that are.

        `learn` is called with what the schema of such a table teaches, and `SchemaTooNarrow` raised, when the bundle is
        sent; `Mismatch` if it cannot hold the rows.
        """
        for part in self.parts:
            if not part.is_there:
                part.create(bundle, self, access_tags, learn)

    def append(self, bundle: Bundle, remote: Remote, rows: pa.Table, first_row: int) -> None:
        """Send the rows that are not there yet; safe to repeat."""
        for part in self.parts:
            part.append(bundle, remote, rows, first_row)

    def check(self, bundle: Bundle, rows: int, order: int) -> None:
        """Read back how many rows there are, and their order: the checksum of their `seq_num`, see `tables.wire`."""
        for number, part in enumerate(self.parts):
            part.check(bundle, rows, order if number == 0 else None)

    def verify(self, remote: Remote, rows: int, order: int) -> int:
        """Read back the rows of a run that was cut off; return how many are beyond the journal's.

        These were delivered out of a memory that is gone, or of a file of which the machine lost the end when it failed:
        they are nowhere else.

        Parameters
        ----------
        rows
            How many the journal has.
        order
            The checksum of their `seq_num`; see `tables.wire.checksum`.

        Raises
        ------
        Mismatch
            If it is not so.
        """
        ahead = 0
        for number, part in enumerate(self.parts):
            part.rows = None
            column = part.first_column(remote)
            if number == 0:
                ahead = _later_rows(column, rows)
            if len(column) != rows + ahead:
                raise Mismatch(part.path, f"it has {len(column)} rows, the journal {rows}")
            if number == 0 and checksum(column.slice(0, rows)) != order:
                raise Mismatch(part.path, "its rows are not in the journal's order")
        return ahead

    def close(self, bundle: Bundle) -> None:
        """Tell live subscribers that nothing more will come."""
        for part in self.parts:
            bundle.add(Close(part.path))


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
    """One external data key: registered once, then told of what is new.

    While the run goes on, a server of ours shows only as many rows as it can read. It is asked to look again, now and then, until it
    shows what is promised; when the run is over it is told to show that, whatever is there.
    """

    path: Path
    source_id: int | None = None
    registered: DataSource | None = None
    assets: int = 0
    """Assets the server has been told of."""
    shown: int | None = None
    """Rows that the server shows; None if it shows all that it has been told of."""
    failed: str | None = None
    """Why the server refused it for good."""
    files: ArrayFiles | None = None
    """Where its files are; None if it is no array."""
    _directories: dict[str, None] = field(default_factory=dict)
    """Those of its files, gathered as these come: at the end of a run, the work does not grow with their number."""
    _pause: Backoff = field(default_factory=lambda: Backoff(FIRST_LOOK, LAST_LOOK))

    def bring_up(
        self, bundle: Bundle, array: ExternalArray, access_tags: list[str] | None, *, closing: bool = False
    ) -> None:
        """Register the array, or send what has changed; safe to repeat.

        Parameters
        ----------
        bundle
            Takes the steps.
        array
            As it is by now.
        access_tags
            Of the run.
        closing
            Whether the run is over.
        """
        source, assets = array.data_source(), array.assets
        is_told = source == self.registered and len(assets) == self.assets
        if self.failed is not None or (is_told and not self._lacks_rows()):
            return
        if is_told and not closing:
            self._look(bundle)
            return
        self._note_files(source, assets[self.assets :])
        body = _source_body(source, assets[self.assets :])
        if self.source_id is None:
            self._create(bundle, array, body, access_tags, growing=not closing)
        else:
            step = Update(self.path, body | {"id": self.source_id}, growing=not closing)
            bundle.add(step, self._told(source, len(assets)), self._refused)

    def _create(
        self,
        bundle: Bundle,
        array: ExternalArray,
        body: dict[str, Any],
        access_tags: list[str] | None,
        *,
        growing: bool,
    ) -> None:
        source, assets = array.data_source(), array.assets

        def created(node: Node) -> None:
            if node.data_source is None or node.data_source["mimetype"] != source.mimetype:
                self.failed = f"{'/'.join(self.path)} is there, and is something else"
                return
            if not node.created and (other := _other_file(node.data_source, assets)) is not None:
                raise Mismatch(self.path, f"its files are elsewhere: one is {other}")
            self.source_id = int(node.data_source["id"])
            if node.created:
                self._told(source, len(assets))(node.data_source.get("rows"))

        metadata = to_json(array.metadata)[0]
        step = Create(self.path, source.structure_family, metadata, [], body, access_tags, growing=growing)
        bundle.add(step, created, self._refused)

    def _told(self, source: DataSource, assets: int) -> Callable[[int | None], None]:
        """Return what takes note that the server has been told of this, and shows so many rows."""

        def told(rows: int | None) -> None:
            self.registered, self.assets, self.shown = source, assets, rows
            self._pause.reset()

        return told

    def _look(self, bundle: Bundle) -> None:
        """Have the server look again for the rows it does not show, if it is time."""
        if self._pause.waiting:
            return
        assert self.source_id is not None, "an array of which the server shows less is known"

        def looked(rows: int | None) -> None:
            if rows is None or rows == self.shown:
                self._pause.fail()
            else:
                self._pause.reset()
                self.shown = rows

        bundle.add(LookAgain(self.path, self.source_id), looked, self._refused)

    def _lacks_rows(self) -> bool:
        if self.shown is None or self.registered is None or self.registered.structure_family != "array":
            return False
        return self.shown < int(self.registered.structure["shape"][0])

    def _note_files(self, source: DataSource, new: list[Asset]) -> None:
        for directory in filter(None, (directory_of(asset.data_uri) for asset in new)):
            if len(self._directories) < MOST_DIRECTORIES:
                self._directories[directory] = None
        if self._directories and source.structure_family == "array":
            shape = source.structure.get("shape") if isinstance(source.structure, dict) else None
            dimensions = None if shape is None or 0 in shape else len(shape)
            self.files = ArrayFiles(self.path, dimensions, tuple(self._directories))

    def _refused(self, error: Exception) -> bool:
        """Give the array up if the server refuses it for good: the run goes on without."""
        if isinstance(error, FinalError) and not isinstance(error, NotThereError):
            self.failed = str(error)
        return self.failed is not None


def _other_file(there: dict[str, Any], assets: list[Asset]) -> str | None:
    """Return a file that an array has in the place of one of these; None if there is none.

    So it is if the paths of the files have been mapped otherwise before. A server adds files, and replaces none.
    """
    ours = {(asset.parameter, asset.num): asset.data_uri for asset in assets}
    for asset in there.get("assets") or []:
        uri = asset["data_uri"]
        if ours.get((asset["parameter"], asset["num"]), uri) != uri:
            return str(uri)
    return None


def _source_body(source: DataSource, assets: list[Any]) -> dict[str, Any]:
    """Return a registration as it travels; what is in it may be whatever the documents said."""
    chunks = source.structure.get("chunks") if isinstance(source.structure, dict) else None
    is_plain = isinstance(chunks, list) and all(
        isinstance(sizes, list) and set(map(type, sizes)) <= {int} for sizes in chunks
    )
    if is_plain:
        # There may be one for each file: to look at each of them for each update takes longer than all else.
        source = replace(source, structure={**source.structure, "chunks": None})
    described = to_json(asdict(source))[0]
    if is_plain:
        described["structure"]["chunks"] = chunks
    return {**described, "management": "external", "assets": [asdict(asset) for asset in assets]}
