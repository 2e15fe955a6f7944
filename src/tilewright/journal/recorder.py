"""The acquisition thread's side of the writer: documents in, each into the journal of its run.

`TiledWriter` calls `Recorder.record` for every document. It encodes, finds the journal and appends; nothing
here waits for a network.

A sound document names the run, or a document that names the run, and so leads to its journal by one look-up. Whatever
else comes is recorded where it most plausibly belongs, and the plan tells the reader what became of it:

    names nothing that is known            every run being recorded (mostly one)
    comes after the stop of its run        the journal of that run, opened again
    comes before the start of its run      kept in memory until the start comes
    a start without a usable uid           under a uid that is made up
    a start of a run that is over,         if the documents are the same, nothing more is written; where they begin to
    with the same uid                      differ, a run of its own begins, under a uid that is made up
    none of these                          nowhere: an error says so, once for each kind of document
"""

from __future__ import annotations

import logging
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any

from tilewright.documents import DOCUMENT_NAMES, NOTE, is_key, quoted
from tilewright.documents.names import digest
from tilewright.errors import InputError, SetupError, TilewrightError
from tilewright.journal.encoding import MEMORY_MAPPINGS, decode, encode
from tilewright.journal.open_run import ROUTE_FIELD, OpenRun, Reference, usable_uid
from tilewright.journal.reader import JournalReader
from tilewright.journal.records import Header
from tilewright.journal.syncer import Syncer

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Mapping
    from pathlib import Path

    from tilewright.journal.directory import JournalDirectory
    from tilewright.journal.tail import Tail

logger = logging.getLogger(__name__)

ENDED_RUNS = 16
"""Runs whose documents are still recognized after their stop."""
REOPENED_BYTES = 64 << 20
"""A larger journal is not opened again for a document that comes late: the whole of it would be read first."""
EARLY_BYTES = 1 << 20
"""How much is kept in memory of documents that come before the start of their run."""
_ANY_FIELD = ("descriptor", "run_start", "resource", "stream_resource")
"""Fields that lead to a run, for documents of unknown name or without the field they should have."""
_NAMED_LATER = frozenset({"descriptor", "resource", "stream_resource"})
"""Documents whose uid later ones refer to, in a field of this name."""
_NOWHERE: Reference = ("", None)


@dataclass(frozen=True, slots=True)
class _Early:
    """A document that came before the start of its run."""

    name: str
    follows: Reference
    payload: bytes


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
    held
        Called once with the path of a journal of which a part is in memory, its run's uid, and that part.
    settings
        Written into the headers: how the documents are to be understood, by the names of `Header`'s fields
        (`spec_to_mimetype`, `path_map`, `max_array_size`).
    strict
        Whether to raise for every document that has no run, or whose run was recorded before and is another.
        Otherwise the best is made of it.
    """

    def __init__(
        self,
        directory: JournalDirectory,
        catalog: str,
        opened: Callable[[Path, str], None],
        ended: Callable[[Path], None],
        held: Callable[[Path, str, Tail], None] = lambda *_: None,
        settings: Mapping[str, Any] | None = None,
        *,
        strict: bool = True,
    ) -> None:
        self._directory = directory
        self._catalog = catalog
        self._tell_opened = opened
        self._tell_ended = ended
        self._tell_held = held
        self._settings = dict(settings or {})
        self._strict = strict
        self._open: dict[str, OpenRun] = {}
        """The runs being recorded, by their uid."""
        self._recent: deque[OpenRun] = deque()
        """The runs that ended last."""
        self._routes: dict[Reference, OpenRun] = {}
        """The run that a reference leads to."""
        self._shared: dict[Reference, list[OpenRun]] = {}
        """The runs that got a document which names none."""
        self._refused: set[Reference] = set()
        """What leads to a run that could not be recorded."""
        self._early: deque[_Early] = deque()
        self._early_bytes = 0
        self._told: set[str] = set()
        """Kinds of documents for which it was said that they have no run."""
        self._syncer = Syncer()

    @property
    def open_runs(self) -> list[OpenRun]:
        """The runs being recorded."""
        return list(self._open.values())

    def record(self, name: str, doc: Any) -> OpenRun | None:
        """Append a document to its run's journal, and return the run if this document ended it.

        Raises
        ------
        InputError
            If no run can be found that the document belongs to (unless strict, once for each kind of document), or,
            if strict, the run was recorded before and is another. What follows of a run that was refused is dropped
            without a word.
        SetupError, OSError
            If the journal cannot be written, nor the document be kept in memory; once for each run, unless strict.
        """
        try:
            field_name = ROUTE_FIELD[name]
            run = self._routes.get((field_name, doc.get(field_name)))
        except Exception:  # noqa: BLE001 - another name, what is no mapping, what is no key
            run = None
        if run is None or not run.plain:
            return self._record_otherwise(name, doc)
        self._append(run, encode(name, doc))
        if name in _NAMED_LATER:
            self._name(run, name, doc.get("uid"))
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

    # From here on: the first and the last document of a run, and the rare ones.

    def _record_otherwise(self, name: Any, doc: Any) -> OpenRun | None:
        """Record what is not simply appended; see the head of this module."""
        name = name if isinstance(name, str) else quoted(name)
        if isinstance(doc, MEMORY_MAPPINGS):
            doc = dict(doc)
        if name == "start" and isinstance(doc, dict):
            self._start(doc)
            return None
        follows = self._reference(name, doc)
        run = self._routes.get(follows)
        if run is not None:
            return self._record_in(run, name, doc)
        if follows in self._refused:
            if name in _NAMED_LATER and is_key(uid := doc.get("uid")):
                self._refused.add((name, uid))
            return None
        runs = [run for run in self._shared.get(follows, self.open_runs) if not run.ended]
        if not runs:
            self._keep_early(name, doc, follows)
            return None
        if len(runs) == 1 and follows[0] == "run_start" and runs[0].is_nameless:
            self._call(runs[0], follows[1])
        return self._record_in_all(runs, name, doc)

    def _reference(self, name: str, doc: Any) -> Reference:
        """Return where a document says it belongs, preferably something that is known."""
        if not isinstance(doc, dict):
            return _NOWHERE
        first = ROUTE_FIELD.get(name)
        fields = _ANY_FIELD if first is None else (first, *_ANY_FIELD)
        found = [
            (field_name, doc[field_name])
            for field_name in fields
            if doc.get(field_name) is not None and is_key(doc[field_name])
        ]
        known = (one for one in found if one in self._routes or one in self._shared or one in self._refused)
        return next(known, found[0] if found else _NOWHERE)

    def _record_in(self, run: OpenRun, name: str, doc: Any) -> OpenRun | None:
        """Record a document in a run that may have ended, be a repetition, or have another uid than it says."""
        if run.ended:
            self._reopen(run)
        run = self._put(run, name, doc)
        if name in _NAMED_LATER:
            self._name(run, name, doc.get("uid"))
        elif name == "stop":
            self._close(run)
            return run
        return None

    def _record_in_all(self, runs: list[OpenRun], name: str, doc: Any) -> OpenRun | None:
        """Record a document that names no run in those it may belong to; so with what names it later."""
        runs = [self._put(run, name, doc) for run in runs]
        if name in _NAMED_LATER and isinstance(doc, dict) and is_key(uid := doc.get("uid")):
            self._share(runs, (name, uid))
        if name == "stop" and len(runs) == 1 and isinstance(doc, dict) and doc.get("run_start") is None:
            self._close(runs[0])
            return runs[0]
        return None

    def _start(self, doc: dict[str, Any]) -> None:
        given = doc.get("uid")
        uid = usable_uid(given) or f"unnamed-{digest(encode('start', doc))}"
        is_open = self._open.get(uid)
        if is_open is None and given is not None:
            is_open = next((run for run in self._open.values() if run.is_called(given)), None)
        if is_open is not None:
            self._put(is_open, "start", doc)  # noted by the plan as one too many
            return
        for late in [run for run in self.open_runs if run.late]:
            self._close(late)
        is_usable = isinstance(given, str) and given == uid
        note = (
            None
            if is_usable
            else f"the uid of its start document is {quoted(given)}; it is recorded as {uid!r}"
        )
        run = self._put_start(self._begin(uid, () if is_usable else (given,), note), doc)
        self._record_early(run)

    def _begin(self, uid: str, aliases: tuple[Any, ...], note: str | None) -> OpenRun:
        """Open the journal of a run, new or existing."""
        names = {("run_start", name) for name in (uid, *aliases) if name is not None and is_key(name)}
        before = self._routes.get(("run_start", uid))
        if before is not None and before.ended:
            self._forget(before)
        try:
            run = self._open_journal(uid, aliases, note)
        except Exception:
            self._refused |= names
            raise
        self._refused -= names
        self._open[uid] = run
        for _, name in names:
            self._name(run, "run_start", name)
        self._syncer.add(run.journal)
        self._tell_opened(run.path, uid)
        return run

    def _open_journal(self, uid: str, aliases: tuple[Any, ...], note: str | None) -> OpenRun:
        existing = self._directory.find(uid, self._catalog)
        if existing is not None:
            with suppress(FileNotFoundError):  # removed at this moment, as one that was delivered long ago
                journal = self._directory.reopen(existing)
                return OpenRun(uid, aliases, journal, known=_payloads(JournalReader(journal.path)), note=note)
        software = f"tilewright {version('tilewright')}"
        header = Header(uid, self._catalog, time.time(), software, **self._settings)
        return OpenRun(uid, aliases, self._directory.create(header), note=note)

    def _put_start(self, run: OpenRun, doc: Any) -> OpenRun:
        run = self._put(run, "start", doc)
        return run if run.note is None else self._put(run, NOTE, {"text": run.note})

    def _put(self, run: OpenRun, name: str, doc: Any) -> OpenRun:
        """Append a document, unless the run is being repeated and the journal has it next; return the run it is in."""
        payload = encode(name, run.own(name, doc))
        if run.known is not None:
            known = next(run.known, None)
            if known == payload:
                run.repeated += 1
                return run
            if known is not None:
                return self._put(self._branch(run, payload), name, doc)
            run.known = None
            run.settle()
        self._append(run, payload)
        return run

    def _branch(self, run: OpenRun, payload: bytes) -> OpenRun:
        """Begin another run for a document in which it differs from the recorded one of the same uid.

        What came before, and was the same in both, is copied.
        """
        problem = f"run {run.uid} was recorded before with other documents (journal {run.path})"
        with JournalReader(run.path) as recorded:  # before the run is closed: then its journal may be moved
            self._close(run)
            self._forget(run)
            if self._strict:
                self._refused.update(run.names)
                raise InputError(f"{problem}; what comes now was not recorded")
            uid = f"{run.uid}-{digest(payload)[:8]}"
            logger.warning("A %s: what comes now is recorded as run %s", problem, uid)
            note = (
                f"another run {quoted(run.uid)} was recorded before this one; this one is recorded as {uid!r}"
            )
            branch = self._begin(uid, (run.uid, *run.aliases), note)
            for same in islice(_payloads(recorded), run.repeated):
                name, doc = decode(same)
                if name == "start":
                    branch = self._put_start(branch, doc)
                elif name != NOTE:
                    branch = self._put(branch, name, doc)
                if name in _NAMED_LATER and isinstance(doc, dict):
                    self._name(branch, name, doc.get("uid"))
        return branch

    def _append(self, run: OpenRun, payload: bytes) -> None:
        try:
            run.journal.append(payload)
        except (OSError, SetupError):
            run.lost += 1
            if self._strict or run.lost == 1:
                raise
            return
        tail = run.journal.tail
        if tail is not None and not run.held:
            run.held = True
            logger.error("Run %s: %s", run.uid, run.journal.trouble)
            self._tell_held(run.path, run.uid, tail)

    def _reopen(self, run: OpenRun) -> None:
        """Open the journal of a run again, for a document that came after its stop.

        Raises
        ------
        InputError
            If that cannot be; further documents of the run are dropped without a word.
        """
        try:
            path = self._directory.find(run.uid, self._catalog)
            if path is None:
                raise InputError("its journal is not there any more")
            if path.stat().st_size > REOPENED_BYTES:
                raise InputError(f"{path} is too large to be opened again for it")
            run.journal = self._directory.reopen(path)
        except (OSError, TilewrightError) as error:
            self._refused.update(run.names)
            self._forget(run)
            raise InputError(f"it came after the stop document of run {run.uid}: {error}") from error
        self._recent.remove(run)
        run.ended, run.late, run.held = False, True, False
        run.settle()
        self._open[run.uid] = run
        self._syncer.add(run.journal)
        self._tell_opened(run.path, run.uid)

    def _close(self, run: OpenRun) -> None:
        """End a run; its documents are recognized for a while yet."""
        del self._open[run.uid]
        self._recent.append(run)
        if len(self._recent) > ENDED_RUNS:
            self._forget(self._recent[0])
        if run.known is not None:
            run.known.close()
        run.known, run.ended = None, True
        run.settle()
        if run.lost:
            logger.error("Run %s: %d documents were lost, for want of room", run.uid, run.lost)
        try:
            run.journal.sync()
        finally:
            run.journal.close()
            self._tell_ended(run.path)

    def _forget(self, run: OpenRun) -> None:
        """No longer recognize the documents of a run that has ended."""
        self._recent.remove(run)
        for reference in run.names:
            if self._routes.get(reference) is run:
                del self._routes[reference]
            if run in self._shared.get(reference, ()):
                self._shared[reference].remove(run)
                if not self._shared[reference]:
                    del self._shared[reference]

    def _name(self, run: OpenRun, field_name: str, uid: Any) -> None:
        """Have a uid in this field of a document lead to this run."""
        if uid is not None and is_key(uid):
            self._routes[field_name, uid] = run
            run.names.append((field_name, uid))

    def _call(self, run: OpenRun, uid: Hashable) -> None:
        """Take what a document calls its run for the uid of one that came without."""
        run.aliases = (*run.aliases, uid)
        self._name(run, "run_start", uid)

    def _share(self, runs: list[OpenRun], reference: Reference) -> None:
        """Have a reference lead to several runs."""
        if len(runs) == 1:
            self._name(runs[0], *reference)
            return
        self._shared[reference] = list(runs)
        for run in runs:
            run.names.append(reference)

    def _keep_early(self, name: str, doc: Any, follows: Reference) -> None:
        """Keep a document that leads nowhere until a run starts that it names, if it names one.

        Raises
        ------
        InputError
            If nobody was told so yet of a document of this name.
        """
        field_name = ROUTE_FIELD.get(name)
        why = "it names none" if field_name is None else f"{field_name} is {quoted(follows[1])}"
        problem = f"it belongs to no run being recorded: {why}"
        if self._strict:
            raise InputError(problem)
        if follows is not _NOWHERE:
            problem += " (it will be, if that run starts soon)"
            self._hold(_Early(name, follows, encode(name, doc)))
        kind = name if name in DOCUMENT_NAMES else ""
        if kind not in self._told:
            self._told.add(kind)
            raise InputError(f"{problem}. Others like it are not reported")

    def _hold(self, early: _Early) -> None:
        """Keep a document in memory, and no longer the oldest ones where they become too many."""
        self._early.append(early)
        self._early_bytes += len(early.payload)
        while self._early_bytes > EARLY_BYTES:
            self._early_bytes -= len(self._early.popleft().payload)

    def _record_early(self, run: OpenRun) -> None:
        """Record what came before the start of its run: first what introduces, then what refers to it."""
        waiting, self._early, self._early_bytes = self._early, deque(), 0
        for early in sorted(waiting, key=lambda early: early.name not in _NAMED_LATER):
            if self._routes.get(early.follows) is run:
                self._record_in(run, *decode(early.payload))
            else:
                self._hold(early)


def _payloads(reader: JournalReader) -> Generator[bytes]:
    """Yield all payloads of a journal that only we write to, and close the reader."""
    with reader:
        yield from reader.rest()
