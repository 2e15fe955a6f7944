"""Whether a journal is whole, and its documents in order: the path of one comes in, an `Inspection` goes out.

`tilewright journal verify` calls this. No server is asked; `tilewright.delivery` compares a journal with its catalog.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tilewright.documents import DOCUMENT_NAMES, NOTE
from tilewright.errors import InputError
from tilewright.journal.disk import is_being_written
from tilewright.journal.encoding import decode
from tilewright.journal.reader import JournalReader
from tilewright.journal.records import Damage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tilewright.journal.records import Header


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found in one journal."""

    path: Path
    header: Header | None
    """None for a file that is no readable journal."""
    documents: int
    """Those that could be read."""
    streams: Mapping[str, int]
    """Rows by name of the stream: events, each as often as it was emitted."""
    recording: bool
    """Whether somebody is writing to it."""
    stopped: bool
    """Whether there is a stop document. A run without one is being recorded, or was interrupted."""
    faults: tuple[Damage, ...]
    """What is damaged or out of order, in the order of the file."""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.faults


def inspect(path: Path) -> Inspection:
    """Read a journal from its first byte to its last. An unfinished record at the end of one being written is no fault.

    Raises
    ------
    OSError
        If the file cannot be read at all.
    """
    try:
        reader = JournalReader(path)
    except InputError as error:
        fault = Damage(0, path.stat().st_size, str(error))
        return Inspection(path, None, 0, {}, recording=False, stopped=False, faults=(fault,))
    with reader:
        recording = is_being_written(path)
        order, faults, documents = _Order(reader.header.run), _Faults(), 0
        for payload in reader.rest(ended=not recording):
            start, stop = reader.position - len(payload), reader.position
            try:
                name, doc = decode(payload)
            except ValueError as error:
                faults.add(start, stop, f"cannot be decoded: {error}")
                continue
            documents += 1
            for problem in order.take(name, doc):
                faults.add(start, stop, problem)
        for damage in reader.damage:
            faults.add(damage.start, damage.stop, damage.reason)
        return Inspection(
            path,
            reader.header,
            documents,
            dict(order.rows),
            recording=recording,
            stopped=order.stopped,
            faults=faults.in_order(),
        )


@dataclass(slots=True)
class _Faults:
    """Ranges of bytes by what is wrong with them: a lost descriptor makes thousands of events wrong in one way."""

    _ranges: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """The first range and the last one, by sentence."""
    _counts: Counter[str] = field(default_factory=Counter)

    def add(self, start: int, stop: int, problem: str) -> None:
        first, *_ = self._ranges.setdefault(problem, [(start, stop)])
        self._ranges[problem] = [first, (start, stop)]
        self._counts[problem] += 1

    def in_order(self) -> tuple[Damage, ...]:
        """Return them from the first byte to the last."""
        faults = []
        for problem, ((start, _), *_, (_, stop)) in self._ranges.items():
            more = self._counts[problem] - 1
            faults.append(Damage(start, stop, problem + (f" (and {more:,} more like it)" if more else "")))
        return tuple(sorted(faults, key=lambda fault: fault.start))


@dataclass(slots=True)
class _Order:
    """One run's documents, one after the other, and what is wrong with each."""

    run: str
    """uid in the header."""
    rows: Counter[str] = field(default_factory=Counter)
    stopped: bool = False
    _started: bool = False
    _streams: dict[str, str] = field(default_factory=dict)
    """Name of the stream, by uid of the descriptor."""
    _resources: set[str] = field(default_factory=set)
    _first: bool = True
    _emitted: Counter[str] = field(default_factory=Counter)
    """Events by stream, each once however often it was repeated: the largest `seq_num` came so many times."""
    _largest: dict[str, int] = field(default_factory=dict)

    def take(self, name: str, doc: Any) -> list[str]:
        """Return what is wrong with the next document."""
        first, self._first = self._first, False
        problems = []
        if first and name != "start":
            problems.append(f"the first document is {name!r}, expected 'start'")
        if self.stopped and name != NOTE:
            problems.append(f"a document ({name}) after the stop document")
        try:
            problems += self._look(name, doc)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            problems.append(f"a document ({name}) that cannot be understood: {type(error).__name__}: {error}")
        return problems

    def _look(self, name: str, doc: dict[str, Any]) -> Iterable[str]:
        handlers: dict[str, Callable[[dict[str, Any]], Iterable[str]]] = {
            "start": self._start,
            "stop": self._stop,
            "descriptor": self._descriptor,
            "event": self._event,
            "event_page": self._event,
            "bulk_events": self._bulk_events,
            "resource": self._resource,
            "stream_resource": self._resource,
            "datum": self._datum,
            "datum_page": self._datum,
            "stream_datum": self._stream_datum,
        }
        if name in handlers:
            yield from handlers[name](doc)
        elif name not in DOCUMENT_NAMES and name != NOTE:
            yield f"no document is called {name!r}"

    def _start(self, doc: dict[str, Any]) -> Iterable[str]:
        if self._started:
            yield "a second start document"
        self._started = True
        if doc["uid"] != self.run:
            yield f"a start document of the run {doc['uid']}, in the journal of {self.run}"

    def _stop(self, doc: dict[str, Any]) -> Iterable[str]:
        self.stopped = True
        for stream, said in (doc.get("num_events") or {}).items():
            if self._emitted[stream] < said:
                yield f"the stop document counts {said} events of {stream!r}, of which {self._emitted[stream]} are here"

    def _descriptor(self, doc: dict[str, Any]) -> Iterable[str]:
        self._streams[doc["uid"]] = str(doc.get("name") or "primary")
        return []

    def _event(self, doc: dict[str, Any]) -> Iterable[str]:
        """Take an event, or a page of them."""
        stream = self._streams.get(doc["descriptor"])
        if stream is None:
            yield f"an event of a descriptor ({doc['descriptor']}) that is not there before it"
            return
        said = doc["seq_num"]
        for number in said if isinstance(said, Iterable) else [said]:
            self.rows[stream] += 1
            if number > self._largest.get(stream, 0):
                self._largest[stream] = number
                self._emitted[stream] += 1

    def _bulk_events(self, doc: dict[str, Any]) -> Iterable[str]:
        for events in doc.values():
            for event in events:
                yield from self._event(event)

    def _resource(self, doc: dict[str, Any]) -> Iterable[str]:
        self._resources.add(doc["uid"])
        return []

    def _datum(self, doc: dict[str, Any]) -> Iterable[str]:
        if doc["resource"] not in self._resources:
            yield f"a datum of a resource ({doc['resource']}) that is not there before it"

    def _stream_datum(self, doc: dict[str, Any]) -> Iterable[str]:
        yield from self._datum({"resource": doc["stream_resource"]})
        if doc["descriptor"] not in self._streams:
            yield f"a datum of a descriptor ({doc['descriptor']}) that is not there before it"
