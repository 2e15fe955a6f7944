"""One run's journal made true on the server: read what is new, plan, send what is missing.

The worker calls `step` again and again. Recovery is not a special path: a new `RunDelivery` on a journal that
was delivered in part finds the nodes that are there, asks how many rows they have, and carries on.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from enum import Enum
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from tilewright.delivery.nodes import RemoteArray, RemoteTable, TableMismatch
from tilewright.delivery.plan import RUN_SPECS, STREAM_SPECS, RunPlan, StreamPlan
from tilewright.delivery.remote import ConflictError, NotThereError, Path, Remote
from tilewright.documents import Translator
from tilewright.errors import FinalError
from tilewright.tables import Hints, SchemaTooNarrow, build

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tilewright.documents import Document
    from tilewright.formats import ExternalArray
    from tilewright.journal import JournalReader

logger = logging.getLogger(__name__)

CHUNK_BYTES = 4 << 20
"""How much of the journal is taken at a time; bounds the memory a backlog takes."""
MAX_REPAIRS = 3
"""How often a run's tables are made anew before the mismatch is reported instead."""


@dataclass(frozen=True, slots=True)
class Options:
    """How documents are understood on their way."""

    patches: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)
    spec_to_mimetype: Mapping[str, str] = field(default_factory=dict)
    translator: Callable[[Options], Any] | None = None
    """Makes what translates one run's documents; None: `documents.Translator`."""

    def new_translator(self) -> Any:
        """Return a translator for one run."""
        if self.translator is not None:
            return self.translator(self)
        return Translator(spec_to_mimetype=self.spec_to_mimetype, patches=self.patches)


class Outcome(Enum):
    """What a step came to."""

    WAITING = "the server has all there is; more may come"
    MORE = "there is more to send"
    DONE = "the run is complete on the server"


@dataclass(slots=True)
class _Stream:
    """How far one stream is on the server."""

    path: Path
    table: RemoteTable | None = None
    arrays: dict[str, RemoteArray] = field(default_factory=dict)
    config_updates: int = 0


class RunDelivery:
    """Delivers one run.

    Parameters
    ----------
    reader
        Its journal.
    remote
        The catalog.
    options
        How documents are understood.
    """

    def __init__(self, reader: JournalReader, remote: Remote, options: Options) -> None:
        self.reader = reader
        self.uid = reader.header.run
        self.level_to = 0
        """Bytes of the journal whose documents the server has."""
        self._remote = remote
        self._options = options
        self._hints: dict[str, Hints] = {}
        self._repairs = 0
        self._problems: dict[str, None] = {}
        """What went wrong with single documents, each once, in order."""
        self._begin()

    @property
    def verified(self) -> bool:
        """Whether all that the journal should hold could be read and understood; the counts are checked anyway."""
        return not (self.reader.damage or self._problems or self._plan.set_aside)

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
            return self._step(ended=ended)
        except NotThereError as gone:  # somebody deleted a node: the journal has all of it
            self._count_repair(gone)
            self._begin()
            return Outcome.MORE
        except SchemaTooNarrow:
            self._repairs = 0  # hints only grow, so this ends
            self._begin()  # what the schema has to be is in the hints by now
            return Outcome.MORE
        except TableMismatch as mismatch:
            self._repair(mismatch)
            return Outcome.MORE

    def _begin(self) -> None:
        """Start from the first document, as if nothing were known of the server."""
        self.reader.rewind()
        self._plan = RunPlan(self._hints)
        self._translator = self._options.new_translator()
        self._streams: dict[str, _Stream] = {}
        self._created = False

    def _repair(self, mismatch: TableMismatch) -> None:
        """Remove a table that cannot be made right by appending; the next steps make it anew."""
        self._count_repair(mismatch)
        logger.info("Run %s: a table is made anew from the journal: %s", self.uid, mismatch)
        self._remote.delete(mismatch.path)
        self._begin()

    def _count_repair(self, reason: Exception) -> None:
        self._repairs += 1
        if self._repairs > MAX_REPAIRS:
            raise FinalError(f"run {self.uid}: made anew {MAX_REPAIRS} times, and still: {reason}")

    def _step(self, *, ended: bool) -> Outcome:
        unsent = self._has_unsent_rows()  # the last step failed: send before reading on, or memory would grow
        start = self.reader.position
        documents = [] if unsent else self.reader.read(CHUNK_BYTES)
        for document in documents:
            self._take(document)
        if ended and not documents and not unsent and self.reader.give_up_tail():
            return Outcome.MORE
        if self._plan.uid is None:
            if ended and not documents and self.reader.damage:
                raise FinalError(
                    f"run {self.uid}: its start document cannot be read ({self.reader.damage[0]})"
                )
            return Outcome.MORE if documents else Outcome.DONE if ended else Outcome.WAITING
        self._send()
        if unsent or self.reader.position - start >= CHUNK_BYTES // 2:
            return Outcome.MORE
        self.level_to = self.reader.position
        if documents:
            return Outcome.MORE if ended or self._plan.stop is not None else Outcome.WAITING
        if self._plan.stop is not None or ended:
            self._finish(interrupted=self._plan.stop is None)
            return Outcome.DONE
        return Outcome.WAITING

    def _take(self, document: Document) -> None:
        try:
            translated = self._translator.translate(*document)
        except Exception as error:  # noqa: BLE001 - a user's patch may raise anything; the run goes on
            self._problems[f"a document ({document[0]}) could not be translated: {error!r}"] = None
            return
        for name, doc in translated:
            self._plan.consume(name, doc)

    def _has_unsent_rows(self) -> bool:
        return any(stream.pending() for stream in self._plan.streams.values())

    def _send(self) -> None:
        """Bring the server up to the plan. A stream without rows has no table."""
        run = (self._plan.uid or "",)
        if not self._created:
            self._create_run(run)
        for plan in self._plan.streams.values():
            stream = self._streams.get(plan.key) or self._create_stream(run, plan)
            if plan.pending():
                self._send_rows(stream, plan)
            for key, array in plan.arrays.items():
                self._send_array(stream, key, array)
            if len(plan.config_updates) > stream.config_updates:
                self._remote.set_metadata(stream.path, {"_config_updates": plan.config_updates})
                stream.config_updates = len(plan.config_updates)

    def _create_run(self, path: Path) -> None:
        node = self._remote.create(
            path,
            "container",
            metadata=self._plan.metadata,
            specs=RUN_SPECS,
            access_tags=self._plan.access_tags,
        )
        if not node.created and node.metadata.get("start") != self._plan.metadata["start"]:
            raise ConflictError(
                f"the catalog already has a run {self._plan.uid} whose start document is another;"
                f" nothing of it was changed, and the journal {self.reader.path} is kept"
            )
        self._created = True

    def _create_stream(self, run: Path, plan: StreamPlan) -> _Stream:
        path = (*run, plan.key)
        self._remote.create(
            path,
            "container",
            metadata=plan.metadata,
            specs=STREAM_SPECS,
            access_tags=self._plan.access_tags,
        )
        stream = self._streams[plan.key] = _Stream(path)
        return stream

    def _send_rows(self, stream: _Stream, plan: StreamPlan) -> None:
        if stream.table is not None and stream.table.schema != plan.schema:  # a later descriptor
            self._learn(plan, plan.schema_hints())
            raise SchemaTooNarrow(plan.hints)
        try:
            table = build(plan.pending(), plan.schema, plan.data_keys)
        except SchemaTooNarrow as narrow:
            self._learn(plan, narrow.hints)
            raise
        if stream.table is None:
            stream.table, learned = RemoteTable.open(
                self._remote, stream.path, plan.schema, _column_metadata(plan), self._plan.access_tags
            )
            if learned != Hints():  # the server's table is wider, from an earlier pass over the same journal
                self._learn(plan, learned)
                raise SchemaTooNarrow(learned)
        if table.num_rows:
            stream.table.append(self._remote, table, plan.rows - table.num_rows)
        plan.sent()

    def _learn(self, plan: StreamPlan, hints: Hints) -> None:
        known = self._hints.get(plan.key, Hints())
        self._hints[plan.key] = known.merge(hints)
        if self._hints[plan.key] == known:
            raise FinalError(
                f"run {self.uid}, stream {plan.key}: no schema was found that holds its values: {hints}"
            )

    def _send_array(self, stream: _Stream, key: str, array: ExternalArray) -> None:
        remote = stream.arrays.setdefault(key, RemoteArray((*stream.path, key)))
        if remote.failed is not None:
            return
        try:
            remote.bring_up(self._remote, array, self._plan.access_tags)
        except NotThereError:
            raise
        except FinalError as error:
            remote.failed = str(error)
            self._problems[f"data key {key!r} could not be registered: {error}"] = None

    def _finish(self, *, interrupted: bool) -> None:
        """Check the counts, write the stop document and the report, and close the live streams."""
        for document in self._translator.finish():
            self._plan.consume(*document)
        self._send()
        rows = {plan.key: plan.rows for plan in self._plan.streams.values()}
        for key, stream in self._streams.items():
            if stream.table is not None:
                stream.table.verify(self._remote, rows[key])
        path = (self._plan.uid or "",)
        self._remote.set_metadata(path, self._closing_metadata(rows, interrupted=interrupted))
        for stream in self._streams.values():
            for part in stream.table.parts if stream.table is not None else ():
                self._remote.close_stream(part.path)
            self._remote.close_stream(stream.path)
        self._remote.close_stream(path)

    def _closing_metadata(self, rows: dict[str, int], *, interrupted: bool) -> dict[str, Any]:
        notes = list(
            dict.fromkeys(
                [
                    *self._plan.all_notes,
                    *self._translator.notes,
                    *self._problems,
                    *(f"the journal is damaged: {damage}" for damage in self.reader.damage),
                ]
            )
        )
        report = {
            "version": version("tilewright"),
            "state": "interrupted" if interrupted else "complete",
            "rows": rows,
            "verified": self.verified,
        }
        items: dict[str, Any] = {"tilewright": report}
        if self._plan.stop is not None:
            items["stop"] = self._plan.stop
        if notes:
            items["notes"] = notes
        return items


def _column_metadata(plan: StreamPlan) -> dict[str, Any]:
    """Return the data keys of the table's columns, by column name."""
    described = plan.metadata.get("data_keys", {})
    return {
        column.name: described[column.key]
        for column in plan.schema.columns
        if column.source == "data" and column.key in described
    }
