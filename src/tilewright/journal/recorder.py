"""The acquisition thread's side of the writer: documents in, each into the journal of its run.

`TiledWriter` calls `Recorder.record` for every document. It encodes, finds the journal and appends; nothing
here waits for a network.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from tilewright.errors import InputError
from tilewright.journal.encoding import encode
from tilewright.journal.file import Header, JournalReader

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from tilewright.journal.directory import JournalDirectory
    from tilewright.journal.file import JournalWriter

logger = logging.getLogger(__name__)

SYNC_INTERVAL = 1.0
"""Seconds after which what was appended is on the disk, if the machine itself should fail."""
_ROUTE_FIELD = {
    "event": "descriptor",
    "event_page": "descriptor",
    "stream_datum": "descriptor",
    "descriptor": "run_start",
    "stream_resource": "run_start",
    "stop": "run_start",
    "datum": "resource",
    "datum_page": "resource",
    "resource": "run_start",
}
"""Which field of a document names the document it follows."""
_NAMED_LATER = frozenset({"descriptor", "resource", "stream_resource"})
"""Documents whose uid later ones refer to."""


@dataclass(slots=True)
class OpenRun:
    """A run being recorded."""

    uid: str
    journal: JournalWriter
    known: Generator[bytes] | None = None
    """Payloads of an existing journal, while the documents that come are the ones it already holds."""
    names: list[str] = field(default_factory=list)
    """uids that lead to this run."""

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self.journal.path


class Recorder:
    """Writes documents of any number of interleaved runs into their journals.

    Parameters
    ----------
    directory
        Where the journals lie.
    catalog
        Written into their headers: where the runs are to be delivered.
    opened
        Called with the path of each journal that is opened, and its run's uid.
    ended
        Called with the path of each journal when nothing more will be written to it.
    """

    def __init__(
        self,
        directory: JournalDirectory,
        catalog: str,
        opened: Callable[[Path, str], None],
        ended: Callable[[Path], None],
    ) -> None:
        self._directory = directory
        self._catalog = catalog
        self._opened = opened
        self._ended = ended
        self._routes: dict[str, OpenRun] = {}
        self._shared: dict[str, list[OpenRun]] = {}
        """Runs that a resource belongs to which names none, as older ones do: all that were open when it came."""
        self._refused: set[str] = set()
        """uids of documents that lead to a run that could not be recorded."""
        self._syncer = _Syncer()

    @property
    def open_runs(self) -> list[OpenRun]:
        """The runs being recorded."""
        return [run for uid, run in self._routes.items() if run.uid == uid]

    def record(self, name: str, doc: dict[str, Any]) -> OpenRun | None:
        """Append a document to its run's journal, and return the run if this document ended it.

        Raises
        ------
        InputError
            If no run can be found that the document belongs to, or the run was recorded before and is another.
            What follows of a run that was refused is dropped without a word.
        OSError
            If the journal cannot be written.
        """
        if name == "start":
            self._open(doc)
            return None
        run = self._routes.get(doc.get(_ROUTE_FIELD.get(name, "")))  # type: ignore[arg-type]
        if run is None:
            self._record_otherwise(name, doc)
            return None
        self._append(run, encode(name, doc))
        if name in _NAMED_LATER:
            self._name(run, doc["uid"])
        elif name == "stop":
            self._close(run)
            return run
        return None

    def end_runs(self) -> None:
        """Close the journals of runs that got no stop document."""
        for run in self.open_runs:
            self._close(run)

    def close(self) -> None:
        """End the thread that syncs; all runs must have ended."""
        self._syncer.close()

    def _open(self, doc: dict[str, Any]) -> None:
        uid = doc["uid"]
        if uid in self._routes:
            self._append(self._routes[uid], encode("start", doc))  # noted by the plan as one too many
            return
        try:
            run = self._open_journal(uid)
        except Exception:
            self._refused.add(uid)
            raise
        self._refused.discard(uid)
        self._name(run, uid)
        self._syncer.add(run.journal)
        self._opened(run.path, uid)
        self._append(run, encode("start", doc))

    def _open_journal(self, uid: str) -> OpenRun:
        existing = self._directory.find(uid, self._catalog)
        if existing is not None:
            journal = self._directory.reopen(existing)
            return OpenRun(uid, journal, known=_payloads(journal.path))
        header = Header(uid, self._catalog, time.time(), f"tilewright {version('tilewright')}")
        return OpenRun(uid, self._directory.create(header))

    def _append(self, run: OpenRun, payload: bytes) -> None:
        """Append, unless the run is being repeated and the journal has this very document next."""
        if run.known is not None:
            known = next(run.known, None)
            if known == payload:
                return
            run.known = None
            if known is not None:
                self._refused.update(run.names)
                self._close(run)
                raise InputError(
                    f"run {run.uid} was recorded before with other documents (journal {run.path});"
                    " what comes now was not recorded"
                )
        run.journal.append(payload)

    def _name(self, run: OpenRun, uid: str) -> None:
        self._routes[uid] = run
        run.names.append(uid)

    def _record_otherwise(self, name: str, doc: dict[str, Any]) -> None:
        """Record what does not lead to one open run: an older resource, its datums, what follows a refused run."""
        field_name = _ROUTE_FIELD.get(name, "its name")
        follows = doc.get(field_name)
        runs = self._shared.get(follows, []) if isinstance(follows, str) else []
        if name == "resource" and follows is None:
            runs = self._shared[doc["uid"]] = self.open_runs
        for run in runs:
            if run.uid in self._routes:
                self._append(run, encode(name, doc))
        if runs:
            return
        if follows in self._refused:
            if name in _NAMED_LATER:
                self._refused.add(doc["uid"])
            return
        raise InputError(f"it belongs to no run being recorded: {field_name} is {follows!r}")

    def _close(self, run: OpenRun) -> None:
        for uid in run.names:
            if self._routes.get(uid) is run:
                del self._routes[uid]
        if run.known is not None:
            run.known.close()
        self._syncer.remove(run.journal)
        try:
            run.journal.sync()
        finally:
            run.journal.close()
            self._ended(run.path)


class _Syncer:
    """A thread that puts open journals on the disk once a second, for the acquisition thread must not wait."""

    def __init__(self) -> None:
        self._journals: list[JournalWriter] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, journal: JournalWriter) -> None:
        """Look after a journal from now on."""
        with self._lock:
            self._journals.append(journal)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="tilewright-sync", daemon=True)
            self._thread.start()

    def remove(self, journal: JournalWriter) -> None:
        """Look after it no longer: once this returns it may be closed."""
        with self._lock:
            self._journals.remove(journal)

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._closing.wait(SYNC_INTERVAL):
            with self._lock:
                journals = list(self._journals)
            for journal in journals:
                self._sync(journal)

    def _sync(self, journal: JournalWriter) -> None:
        with self._lock:
            if journal not in self._journals:
                return
            try:
                journal.sync()
            except OSError as error:
                logger.error("Journal %s could not be put on the disk: %s", journal.path, error)  # noqa: TRY400 - says all


def _payloads(path: Path) -> Generator[bytes]:
    """Yield all payloads of a journal that is there."""
    with JournalReader(path) as reader:
        position = -1
        while reader.position != position:
            position = reader.position
            yield from reader.payloads(1 << 20)
