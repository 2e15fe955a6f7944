"""Any source of documents comes in, a device that a RunEngine flies goes out: `RE(bp.fly([as_flyer(source)]))`.

So that scan ids, the RunEngine's metadata, suspenders and all its subscribers apply to what a source tells.

    kickoff   a thread goes through the source's documents and keeps them
    complete  done when the source has ended; fails with what the source raised
    collect   hands on what was kept, as documents of the RunEngine's run: their uids and their run are its own

Bluesky composes the documents of a flyer itself, in forms that a source's do not fit: streams of one flyer may not have a data key
in common, a StreamDatum needs a stream that the plan declared, and an index in a file has to be a row (an audio file has one row and
millions of samples). Therefore `collect` hands the source's own documents to the run that asks for them, all its streams as they
are. A flyer is not told which run that is: it is found on the stack, where the RunEngine's bundler waits for the answer. That is the
one thing here that Bluesky does not promise; `_Asking` is all there is of it.
"""

from __future__ import annotations

import sys
import threading
import uuid
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from tilewright.documents import Document
from tilewright.errors import InputError, SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

_OF_THE_RUN_ENGINE = frozenset({"uid", "time", "scan_id", "plan_name", "plan_type"})
"""In a start document: what the RunEngine says itself."""
_REFERRING = ("descriptor", "stream_resource")
"""Fields that name another document of the run by its uid."""
_WITH_IDS_IN_EVENTS = frozenset({"resource", "datum", "datum_page"})
_PATIENCE = 2.0
"""Seconds that a plan which is ended waits for the source to notice."""
_POLL = 0.1
"""Seconds: how soon a paused thread sees that it is to end."""


class HasDocuments(Protocol):
    """Anything that tells one run as documents."""

    def documents(self) -> Iterable[Document]:
        """Yield the documents of a run, from its start to its stop."""


Source: TypeAlias = HasDocuments | Iterable[Document]


def as_flyer(source: Source, name: str | None = None) -> Flyer:
    """Return a device with which a RunEngine records a source: `RE(bp.fly([as_flyer(source)]))`.

    Parameters
    ----------
    source
        Whose `documents()` yields those of a run, or that yields them itself.
    name
        Of the device. Default: that of the source.

    Examples
    --------
    >>> flyer = as_flyer(Recordings("deployment_1/"))     # doctest: +SKIP
    >>> RE.subscribe(TiledWriter(catalog))                # doctest: +SKIP
    >>> RE(bp.fly([flyer], md=flyer.md))                  # doctest: +SKIP
    """
    return Flyer(source, name or str(getattr(source, "name", "") or type(source).__name__.lower()))


class Flyer:
    """A source as a Bluesky device: Flyable, Collectable, Pausable and Stoppable. Made by `as_flyer`."""

    parent = None

    def __init__(self, source: Source, name: str) -> None:
        self.name = name
        self._source = source
        self._flight: _Flight | None = None
        self._begun: _Begun | None = None
        """The source, if its start was looked at."""

    @property
    def md(self) -> dict[str, Any]:
        """What the source says of its run, for the plan: `bp.fly([flyer], md=flyer.md)`. It is begun for that.

        A flyer cannot put it there itself, since the run is open before it is asked.
        """
        if self._begun is None:
            self._begun = _Begun(self._source)
        return {key: value for key, value in self._begun.start.items() if key not in _OF_THE_RUN_ENGINE}

    def kickoff(self) -> Status:
        """Begin to go through the source; done when it has begun, or failed to.

        A RunEngine that resumes calls it again: what is under way for this run goes on.
        """
        run = _Asking.now().run
        if self._flight is None or self._flight.run != run:
            begun, self._begun = self._begun, None
            self._flight = _Flight(run, self.name, iter(begun or _one_run(self._source)))
            self._flight.thread.start()
        return self._flight.begun

    def complete(self) -> Status:
        """Let the source come to its end; done then.

        Raises
        ------
        SetupError
            If it was not kicked off.
        """
        if self._flight is None:
            raise SetupError(f"{self.name} cannot be completed: it was not kicked off")
        return self._flight.ended

    def describe_collect(self) -> dict[str, Any]:
        """Return nothing: the descriptors are the source's own."""
        return {}

    def collect(self) -> Iterator[Any]:
        """Yield nothing: the events are the source's own."""
        return iter(())

    def collect_asset_docs(self) -> Iterator[Any]:
        """Hand what was kept so far to the run that asks; yield nothing to be composed.

        May be called while the source goes on, and again.
        """
        asking, flight = _Asking.now(), self._flight
        if flight is not None and flight.run == asking.run:
            if asking.is_last:  # the plan was ended, and nobody will ask again
                flight.end()
            for name, doc in flight.taken():
                asking.emit(name, doc, flight.streams)
        return iter(())

    def pause(self) -> None:
        """Stop going on, for the moment."""
        if self._flight is not None:
            self._flight.goes_on.clear()

    def resume(self) -> None:
        """Go on."""
        if self._flight is not None:
            self._flight.goes_on.set()

    def stop(self, success: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002 - Bluesky's signature
        """End the source after the document it is at."""
        if self._flight is not None:
            self._flight.end()

    def __repr__(self) -> str:
        return f"<Flyer {self.name!r} of {self._source!r}>"


class Status:
    """Whether something is done: what Bluesky's protocol of the name asks for."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Status], None]] = []

    @property
    def done(self) -> bool:
        """Whether it is, well or not."""
        return self._done.is_set()

    @property
    def success(self) -> bool:
        """Whether it is done, and well."""
        return self.done and self._error is None

    def exception(self, timeout: float | None = 0.0) -> BaseException | None:
        """Return what went wrong, None if nothing did.

        Raises
        ------
        TimeoutError
            If it is not done within so many seconds.
        """
        if not self._done.wait(timeout):
            raise TimeoutError(f"{self._what} is not done")
        return self._error

    def add_callback(self, callback: Callable[[Status], None]) -> None:
        """Have a function called when it is done: now, if it is."""
        with self._lock:
            if not self.done:
                self._callbacks.append(callback)
                return
        callback(self)

    def finish(self, error: BaseException | None = None) -> None:
        """Say that it is done, the first time it is said."""
        with self._lock:
            if self.done:
                return
            self._error = error
            self._done.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def __repr__(self) -> str:
        state = "not done" if not self.done else "done" if self.success else f"failed: {self._error}"
        return f"<Status of {self._what}: {state}>"


def _one_run(source: Source) -> Iterator[Document]:
    """Yield the documents of a source's run.

    Raises
    ------
    InputError
        If it has more than one: a plan is one.
    """
    documents: Any = getattr(source, "documents", None)
    starts = 0
    told: Iterable[Document] = source if documents is None else documents()  # type: ignore[assignment]
    for name, doc in told:
        starts += name == "start"
        if starts > 1:
            raise InputError(
                f"{source!r} tells more than one run, and a flyer is flown in one: give them one by one"
            )
        yield name, doc


class _Begun:
    """A source whose start document has been looked at."""

    def __init__(self, source: Source) -> None:
        self._documents = _one_run(source)
        self._first = next(self._documents, None)
        self.start: Mapping[str, Any] = (
            self._first[1] if self._first is not None and self._first[0] == "start" else {}
        )

    def __iter__(self) -> Iterator[Document]:
        """Yield all documents, once."""
        if self._first is not None:
            yield self._first
        yield from self._documents


class _Flight:
    """One passage through a source, for one run."""

    def __init__(self, run: str, name: str, documents: Iterator[Document]) -> None:
        self.run = run
        self.begun = Status(f"the kickoff of {name}")
        self.ended = Status(f"the flight of {name}")
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.thread = threading.Thread(target=self._fly, name=f"flight of {name}", daemon=True)
        self.streams: dict[str, str] = {}
        """Name of the stream of each descriptor, by the uid it has in the source."""
        self._documents = documents
        self._kept: deque[Document] = deque()
        self._is_over = threading.Event()

    def taken(self) -> Iterator[Document]:
        """Yield the documents that were kept, and keep them no longer."""
        while self._kept:
            yield self._kept.popleft()

    def end(self) -> None:
        """End it after the document it is at."""
        self._is_over.set()
        if threading.current_thread() is not self.thread:
            self.thread.join(_PATIENCE)

    def _fly(self) -> None:
        try:
            for document in self._documents:
                self._kept.append(document)
                self.begun.finish()
                while not (self.goes_on.wait(_POLL) or self._is_over.is_set()):
                    pass
                if self._is_over.is_set():
                    break
        except BaseException as error:  # noqa: BLE001 - it is the plan's to deal with
            self.begun.finish(error)
            self.ended.finish(error)
        finally:
            close = getattr(self._documents, "close", None)
            if close is not None:
                close()
            self.begun.finish()
            self.ended.finish()


@dataclass(frozen=True, slots=True)
class _Asking:
    """The run on whose behalf Bluesky calls a flyer: its bundler, with the two things of it that are needed."""

    run: str
    """uid."""
    is_last: bool
    """Whether the plan has come to its end without the flyer's being collected."""
    bundler: Any

    @classmethod
    def now(cls) -> _Asking:
        """Return who is asking, by the stack.

        Raises
        ------
        SetupError
            If it is no RunEngine, or one that works otherwise than those that are known.
        """
        from bluesky.bundlers import RunBundler  # noqa: PLC0415 - slow to import

        bundler, is_last = None, False
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - nobody hands a flyer its run
        while frame is not None:
            is_last = is_last or frame.f_code.co_name == RunBundler.backstop_collect.__name__
            for name in ("self", "current_run"):  # in the bundler's own methods, and in the RunEngine's
                if bundler is None and isinstance(found := frame.f_locals.get(name), RunBundler):
                    bundler = found
            frame = frame.f_back
        if bundler is None:
            raise SetupError("a flyer of documents is called by a Bluesky RunEngine: RE(bp.fly([flyer]))")
        return cls(bundler._run_start_uid, is_last, bundler)  # noqa: SLF001

    def emit(self, name: str, doc: Mapping[str, Any], streams: dict[str, str]) -> None:
        """Hand on a document as one of this run; its start and stop are the RunEngine's.

        Parameters
        ----------
        streams
            Of the flight: its descriptors so far.
        """
        from event_model import DocumentNames  # noqa: PLC0415 - slow to import

        if name in ("start", "stop"):
            return
        own = dict(doc)
        if "run_start" in own:
            own["run_start"] = self.run
        if name not in _WITH_IDS_IN_EVENTS:
            own |= {key: self._uid(own[key]) for key in _REFERRING if key in own}
            uid = own.get("uid", "")
            own["uid"] = [self._uid(one) for one in uid] if isinstance(uid, list) else self._uid(uid)
        if name == "descriptor":
            streams[doc["uid"]] = doc["name"]
        self._count(streams.get(doc["uid"] if name == "descriptor" else doc.get("descriptor", "")), doc)
        self.bundler.emit_sync(DocumentNames[name], own)

    def _count(self, stream: str | None, doc: Mapping[str, Any]) -> None:
        """Have the RunEngine's stop document tell how many events a stream has."""
        if stream is None:
            return
        counters = self.bundler._sequence_counters  # noqa: SLF001
        seq_nums = doc.get("seq_num", 0)
        last = max(seq_nums, default=0) if isinstance(seq_nums, list) else seq_nums
        counters[stream] = max(counters.get(stream, 1), last + 1)

    def _uid(self, uid: str) -> str:
        """Return the uid that a source's document has in this run: the source may be flown again."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.run}\0{uid}"))
