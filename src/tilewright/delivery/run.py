"""One run's journal made true on the server: read what is new, plan, send what is missing.

The worker calls `step` again and again. Recovery is not a special path: a new `RunDelivery` on a journal that
was delivered in part finds the nodes that are there, asks how many rows they have, and carries on.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from enum import Enum
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from tilewright.delivery.ahead import ReadAhead
from tilewright.delivery.arrays import StoredArray, dims_of
from tilewright.delivery.failures import ConflictError, FateUnknownError, NotThereError
from tilewright.delivery.identity import contradiction
from tilewright.delivery.nodes import Mismatch, RemoteArray, RemoteTable
from tilewright.delivery.plan import RUN_SPECS, STREAM_SPECS, RunPlan, StreamPlan
from tilewright.delivery.steps import Bundle, Close, Create, SetItems
from tilewright.delivery.storage import FileReport
from tilewright.documents import Notes, PathMap, Translator
from tilewright.errors import FinalError, TransientError
from tilewright.tables import Hints, SchemaTooNarrow, build
from tilewright.tables.wire import checksum

if TYPE_CHECKING:
    from tilewright.delivery.remote import Node, Path, Remote
    from tilewright.documents import Document
    from tilewright.journal import JournalReader
    from tilewright.tables import Rows

logger = logging.getLogger(__name__)

CHUNK_BYTES = 8 << 20
"""How much of the journal is taken at a time; bounds the memory a backlog takes."""
LATE_SECONDS = 10.0
"""How long a table is waited for to vanish, after a request to delete it whose fate is not known.

It may be on its way yet, and must not find the table that is made anew in the place of the old one.
"""
MAX_REPAIRS = 3
"""How often a run's tables are made anew before the mismatch is reported instead."""


class Outcome(Enum):
    """What a step came to."""

    WAITING = "the server has all there is; more may come"
    MORE = "there is more to send"
    DONE = "the run is complete on the server"


@dataclass(slots=True)
class _Stream:
    """How far one stream is on the server."""

    path: Path
    is_there: bool = False
    """Whether its node is there."""
    table: RemoteTable | None = None
    order: int = 0
    """Checksum of the `seq_num` of the rows sent; see `tables.wire`."""
    stored: dict[str, StoredArray] = field(default_factory=dict)
    """Arrays of the events, which have the table's rows, or those of all values after one another."""
    arrays: dict[str, RemoteArray] = field(default_factory=dict)
    """Arrays in files."""
    config_updates: int = 0
    ahead: int = 0
    """Rows on the server after the last one of the journal."""

    def sent(self, order: int) -> None:
        """Know that the rows of a bundle are there, and their checksum with all before them."""
        self.order = order
        for array in self.stored.values():
            array.sent()

    def array_rows(self, events: int) -> dict[str, int]:
        """Return how many rows each array of the events has, by its name, when the table has so many."""
        return {name: array.rows_of(events) for name, array in self.stored.items()}


class RunDelivery:
    """Delivers one run.

    Parameters
    ----------
    reader
        Its journal.
    remote
        The catalog.
    read_ahead
        Whether to read on, in a thread, while requests are under way.
    path_map
        Rules for paths that take the place of those in the journal's header.
    """

    def __init__(
        self,
        reader: JournalReader,
        remote: Remote,
        *,
        read_ahead: bool = False,
        path_map: PathMap | None = None,
    ) -> None:
        self.reader = reader
        self._path_map = PathMap.of(reader.header.path_map) if path_map is None else path_map
        self._journal = ReadAhead(reader, CHUNK_BYTES, threaded=read_ahead)
        self.uid = reader.header.run
        self._remote = remote
        self._hints: dict[str, Hints] = {}
        self._repairs = 0
        self._vanishing: tuple[Path, float] | None = None
        """A node that somebody may be deleting, and until when, on the monotonic clock."""
        self._problems = Notes()
        """What went wrong with single documents."""
        self._begin()

    @property
    def problems(self) -> list[str]:
        """What went wrong with single documents or with the whole, one sentence each."""
        return list(self._problems)

    @property
    def verified(self) -> bool:
        """Whether all that the journal should hold could be read and understood; the counts are checked anyway."""
        ahead = any(stream.ahead for stream in self._streams.values())
        return not (ahead or self.reader.damage or self.problems or self._plan.set_aside)

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each stream, as far as the journal has been read."""
        return {plan.key: plan.rows for plan in self._plan.streams.values()}

    @property
    def stored(self) -> list[StoredArray]:
        """Arrays of the events, of all streams."""
        return [array for stream in self._streams.values() for array in stream.stored.values()]

    @property
    def has_rows(self) -> bool:
        """Whether the server has rows of it."""
        return any(stream.table is not None for stream in self._streams.values())

    def waiting_bytes(self) -> int:
        """Return how much of the journal the server does not have yet."""
        return self.reader.size() - self.level_to

    def step(self, *, ended: bool = False) -> Outcome:
        """Send what has come since the last step.

        Parameters
        ----------
        ended
            Whether nothing more will be written to the journal, with a stop document or without.

        Raises
        ------
        TransientError
            If the server or the network failed; call again later.
        FinalError
            If the server refuses the run.
        """
        try:
            self._see_vanish()
            return self._step(ended=ended)
        except NotThereError as gone:  # somebody deleted a node: the journal has all of it
            self._count_repair(gone)
            self._begin()
            return Outcome.MORE
        except SchemaTooNarrow:
            self._repairs = 0  # hints only grow, so this ends
            self._begin()  # what the schema has to be is in the hints by now
            return Outcome.MORE
        except Mismatch as mismatch:
            self._repair(mismatch)
            return Outcome.MORE

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def _begin(self) -> None:
        """Start from the first document, as if nothing were known of the server."""
        self._journal.rewind()
        self._read_to = self.reader.position
        """Bytes of the journal that the plan knows."""
        self.level_to = 0
        """Bytes of the journal whose documents the server has."""
        self._plan = RunPlan(self._hints, self.reader.header.max_array_size)
        self._translator = Translator(
            spec_to_mimetype=self.reader.header.spec_to_mimetype, path_map=self._path_map
        )
        self._streams: dict[str, _Stream] = {}
        self._files = FileReport(self.uid)
        self._is_there = False
        """Whether the run's node is there, and this journal's."""
        self._has_notes = False
        """Whether the catalog's run has notes from before."""
        self._contradicted = False
        """Whether the catalog's run is not this journal's, so that it is left as it is."""
        self._documents = 0
        self._finished_at = -1
        """Position in the journal at which the run was finished."""

    def _repair(self, mismatch: Mismatch) -> None:
        """Remove what cannot be made right by adding to it; the next steps make it anew.

        But not if it has been delivered from another journal in the meantime.
        """
        self._count_repair(mismatch)
        if (node := self._remote.get((self._plan.key,))) is not None:
            self._check_adopted(node.metadata)
        if self._contradicted:
            return
        logger.info("Run %s: a node is made anew from the journal: %s", self.uid, mismatch)
        self._delete(self._wrong(mismatch.path))
        self._begin()

    def _wrong(self, path: Path) -> Path:
        """Return what to remove: an array in files, or all of a stream.

        For what does not fit one of the nodes that have its rows is in another; and one that another pass over the journal
        has made, and this one has no use for, is found by nobody.
        """
        is_of_files = any(
            path[-1] in each.arrays for each in self._streams.values() if each.path == path[:-1]
        )
        return path if is_of_files else path[:-1]

    def _delete(self, path: Path) -> None:
        try:
            self._remote.delete(path)
        except FateUnknownError:
            self._vanishing = (path, time.monotonic() + LATE_SECONDS)
            raise
        self._vanishing = None

    def _see_vanish(self) -> None:
        """Go on when the node is gone that was to be deleted; delete it once more if that takes too long."""
        if self._vanishing is None:
            return
        path, deadline = self._vanishing
        if self._remote.get(path) is not None:
            if time.monotonic() < deadline:
                raise TransientError(
                    f"{'/'.join(path)}: waiting for a request to delete it, which may come late"
                )
            self._delete(path)
        self._vanishing = None
        self._begin()

    def _count_repair(self, reason: Exception) -> None:
        self._repairs += 1
        if self._repairs > MAX_REPAIRS:
            raise FinalError(f"run {self.uid}: made anew {MAX_REPAIRS} times, and still: {reason}")

    def _step(self, *, ended: bool) -> Outcome:
        if self._contradicted:
            return Outcome.DONE
        unsent = self._has_unsent_rows()  # the last step failed: send before reading on, or memory would grow
        part = None if unsent else self._journal.take()
        documents = [] if part is None else part.documents
        for document in documents:
            self._take(document)
        if part is not None:
            self._documents += part.count
            self._read_to = part.stop
        if ended and part is not None and not documents and self.reader.give_up_tail():
            return Outcome.MORE
        if self._plan.uid is None:
            return self._without_start(more=bool(documents), ended=ended)
        is_all = part is not None and not self._journal.is_full(part)
        if documents and is_all and self._plan.stop is not None:
            self._finish()  # in the same requests as what came with the stop document
        else:
            self._send()
        self.level_to = self._read_to
        return self._conclude(more=bool(documents), ended=ended) if is_all else Outcome.MORE

    def _without_start(self, *, more: bool, ended: bool) -> Outcome:
        if ended and not more and self.reader.damage:
            raise FinalError(f"run {self.uid}: its start document cannot be read ({self.reader.damage[0]})")
        return Outcome.MORE if more else Outcome.DONE if ended else Outcome.WAITING

    def _conclude(self, *, more: bool, ended: bool) -> Outcome:
        """Say what comes next, when all that was read has been sent; finish the run if that is nothing."""
        if self._contradicted:
            return Outcome.DONE
        if more:
            return Outcome.MORE if ended or self._plan.stop is not None else Outcome.WAITING
        if self._plan.stop is None and not ended:
            return Outcome.WAITING
        if self._finished_at != self._read_to:
            self._finish()
        return Outcome.DONE

    def _take(self, document: Document) -> None:
        try:
            translated = self._translator.translate(*document)
        except Exception as error:  # noqa: BLE001 - a user's patch may raise anything; the run goes on
            self._problems.add(f"a document ({document[0]}) could not be translated: {error!r}")
            return
        for name, doc in translated:
            self._plan.consume(name, doc)

    def _has_unsent_rows(self) -> bool:
        return any(stream.pending() for stream in self._plan.streams.values())

    def _send(self, *, closing: bool = False, interrupted: bool = False) -> None:
        """Bring the server up to the plan; then check the rows and close the run, if asked to.

        A stream without rows has no table.
        """
        orders: dict[str, int] = {}
        done = False
        while not (done or self._contradicted):
            bundle = Bundle(self._remote, self._journal.begin)
            orders = self._put_together(bundle, closing=closing)
            if closing:
                self._close(bundle, orders, interrupted=interrupted)
            # If not, a node was there already, or an array was refused: the rest depends on it.
            done = bundle.send()
            self._note_refusals()
        for key, order in orders.items():
            self._streams[key].sent(order)
            self._plan.streams[key].sent()

    def _put_together(self, bundle: Bundle, *, closing: bool) -> dict[str, int]:
        """Add what the server lacks to a bundle; return the checksum of each stream's rows then, if it has a table."""
        if not self._is_there:
            self._create_run(bundle)
        tables = self._build_tables()
        for plan in self._plan.streams.values():
            self._create_stream(bundle, plan, has_rows=plan.key in tables)
        orders = {key: stream.order for key, stream in self._streams.items() if stream.table is not None}
        for key, rows in tables.items():
            table = self._streams[key].table
            assert table is not None, "made for these rows"
            first_row = self._plan.streams[key].rows - rows.table.num_rows
            for name, block in rows.arrays.items():  # before the table: who sees a row there finds its array
                if name in self._streams[key].stored:
                    self._streams[key].stored[name].write(bundle, self._remote, block, first_row)
            table.append(bundle, self._remote, rows.table, first_row)
            orders[key] = checksum(rows.table.column("seq_num"), orders[key])
        for plan in self._plan.streams.values():
            stream = self._streams[plan.key]
            for node, array in plan.arrays.items():
                remote = stream.arrays.setdefault(node, RemoteArray((*stream.path, node)))
                remote.bring_up(bundle, array, self._plan.access_tags, closing=closing)
            if len(plan.config_updates) > stream.config_updates:
                self._update_config(bundle, stream, plan.config_updates)
        return orders

    def _build_tables(self) -> dict[str, Rows]:
        """Return the rows to send of each stream that has some, by its key.

        All of them, before anything is sent: so the run is begun again once for all streams whose schema is too narrow,
        and no request of unknown fate is forgotten by that.
        """
        tables: dict[str, Rows] = {}
        narrow: SchemaTooNarrow | None = None
        for plan in self._plan.streams.values():
            if plan.pending():
                try:
                    tables[plan.key] = self._build_table(plan)
                except SchemaTooNarrow as error:
                    self._learn(plan, error.hints)
                    narrow = error
        if narrow is not None:
            raise narrow
        return tables

    def _build_table(self, plan: StreamPlan) -> Rows:
        stream = self._streams.get(plan.key)
        if stream is not None and stream.table is not None:
            if stream.table.schema != plan.schema:
                raise SchemaTooNarrow(plan.schema_hints())  # a later descriptor has more columns
            return build(plan.pending(), plan.schema, plan.data_keys)
        while True:
            try:
                return build(plan.pending(), plan.schema, plan.data_keys)
            except SchemaTooNarrow as narrow:
                if plan.node_of_array:  # whose names depend on what the columns are called
                    raise
                # Nothing of the table is there yet, so what these values teach can be had at once.
                self._learn(plan, narrow.hints)
                plan.learn(self._hints[plan.key])

    def _create_run(self, bundle: Bundle) -> None:
        def then(node: Node) -> None:
            if not node.created:
                self._check_adopted(node.metadata)
            self._is_there = True

        path, tags = (self._plan.key,), self._plan.access_tags
        bundle.add(Create(path, "container", self._plan.metadata, RUN_SPECS, access_tags=tags), then)

    def _create_stream(self, bundle: Bundle, plan: StreamPlan, *, has_rows: bool) -> None:
        stream = self._streams.setdefault(plan.key, _Stream((self._plan.key, plan.key)))
        tags = self._plan.access_tags
        if not stream.is_there:

            def then(_: Node) -> None:
                stream.is_there = True

            bundle.add(Create(stream.path, "container", plan.metadata, STREAM_SPECS, access_tags=tags), then)
        if stream.table is None and has_rows:
            stream.table = RemoteTable.of(stream.path, plan.schema, plan.column_metadata())
            dims = dims_of(plan.schema, plan.data_keys)
            stream.stored = {
                column.name: StoredArray.of(
                    stream.path, column, dims[column.key], plan.array_metadata(column)
                )
                for column in plan.schema.arrays
                if column.type.is_seen
            }
        if stream.table is not None:
            stream.table.create(bundle, tags, lambda hints: self._learn(plan, hints))
        for array in stream.stored.values():
            array.create(bundle, tags, lambda hints: self._learn(plan, hints))

    def _update_config(self, bundle: Bundle, stream: _Stream, updates: list[dict[str, Any]]) -> None:
        count = len(updates)

        def then(_: None) -> None:
            stream.config_updates = count

        bundle.add(SetItems(stream.path, {"_config_updates": updates}), then)

    def _note_refusals(self) -> None:
        for stream in self._streams.values():
            for key, array in stream.arrays.items():
                if array.failed is not None:
                    self._problems.add(f"data key {key!r} could not be registered: {array.failed}")

    def _check_adopted(self, metadata: dict[str, Any]) -> None:
        """See whether a run that is there already is this journal's."""
        if metadata.get("start") != self._plan.metadata["start"]:
            raise ConflictError(
                f"the catalog already has a run {self._plan.uid} whose start document is another;"
                f" nothing of it was changed, and the journal {self.reader.path} is kept"
            )
        self._has_notes = bool(metadata.get("notes"))
        if (found := contradiction(self.reader, metadata)) is not None:
            problem = f"the catalog has the run with {found}: nothing there was changed"
            logger.warning("Journal %s: %s", self.reader.path, problem)
            self._problems.add(problem)
            self._contradicted = True

    def _learn(self, plan: StreamPlan, hints: Hints) -> None:
        known = self._hints.get(plan.key, Hints())
        self._hints[plan.key] = known.merge(hints).ordered(plan.data_keys)
        if self._hints[plan.key] == known:
            raise FinalError(
                f"run {self.uid}, stream {plan.key}: no schema was found that holds its values: {hints}"
            )

    def _finish(self) -> None:
        """Check the rows, write the stop document and the report, and close the live streams."""
        for document in self._translator.finish():
            self._plan.consume(*document)
        interrupted = self._plan.stop is None
        if interrupted:
            self._send()
            for key, stream in self._streams.items():
                if stream.table is not None:
                    stream.ahead = stream.table.verify(
                        self._remote, self._plan.streams[key].rows, stream.order
                    )
        self._send(closing=True, interrupted=interrupted)
        self._has_notes = bool(self._notes())
        self._finished_at = self._read_to

    def _close(self, bundle: Bundle, orders: dict[str, int], *, interrupted: bool) -> None:
        """Add to a bundle that all is there.

        The rows of a run that was cut off have been looked at: there may be more of them than the journal has.
        """
        path = (self._plan.key,)
        arrays = [array for stream in self._streams.values() for array in stream.arrays.values()]
        self._files.ask(bundle, path, [array.files for array in arrays if array.files and not array.failed])
        tables = {key: stream.table for key, stream in self._streams.items() if stream.table is not None}
        for key, table in tables.items():
            rows = self._plan.streams[key].rows
            if not interrupted:
                table.check(bundle, rows, orders[key])
            if not self._streams[key].ahead:
                for array in self._streams[key].stored.values():
                    array.check(bundle, rows)
        bundle.add(SetItems(path, self._closing_metadata(orders, interrupted=interrupted)))
        for key, stream in self._streams.items():
            if key in tables:
                tables[key].close(bundle)
            bundle.add(Close(stream.path))
        bundle.add(Close(path))

    def _closing_metadata(self, orders: dict[str, int], *, interrupted: bool) -> dict[str, Any]:
        report: dict[str, Any] = {
            "version": version("tilewright"),
            "state": "interrupted" if interrupted else "complete",
            "documents": self._documents,
            "rows": self.rows,
            "seq_num_crc32": orders,
            "arrays": {
                key: stream.array_rows(self._plan.streams[key].rows)
                for key, stream in self._streams.items()
                if stream.stored
            },
            "verified": self.verified,
        }
        if self._path_map.rules:
            report["path_map"] = self._path_map.as_mapping()
        items: dict[str, Any] = {"tilewright": report}
        if self._plan.stop is not None:
            items["stop"] = self._plan.stop
        notes = self._notes()
        if notes or self._has_notes:
            items["notes"] = notes
        return items

    def _notes(self) -> list[str]:
        """Return what a reader of the run should know, each sentence once."""
        ahead = (
            f"{key} has {stream.ahead} rows that the journal lacks: kept as they were delivered"
            for key, stream in self._streams.items()
            if stream.ahead
        )
        missing = (array.note for array in self.stored if array.note is not None)
        damage = (f"the journal is damaged: {damage}" for damage in self.reader.damage)
        sentences = [
            *self._plan.all_notes,
            *self._translator.notes,
            *missing,
            *self.problems,
            *damage,
            *ahead,
            *self._files.notes,
        ]
        return list(dict.fromkeys(sentences))
