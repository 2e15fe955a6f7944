"""What the runs of files have alike, whatever is in the files: the forms of their documents, and what is learned from those there are.

The `run_documents` of each source make documents with it, and the sources carry on with it. Every uid follows from the run's and from what
the document is about, so that whoever makes it again makes the same.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tilewright.documents import Document


class Learning(Protocol):
    """What the documents of one run have said so far."""

    def learn(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take note of a document of this run."""


State = TypeVar("State", bound=Learning)


@dataclass(slots=True)
class RunStreams:
    """The streams of a run, as its documents tell of them; what else a source learns is its own."""

    start: Mapping[str, Any] = field(default_factory=dict)
    """The start document; empty before it."""
    descriptors: dict[str, str] = field(default_factory=dict)
    """uid of each stream's descriptor."""
    counts: dict[str, int] = field(default_factory=dict)
    """Rows of each stream."""

    def learn(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take note of a document of this run."""
        match name:
            case "start":
                self.start = doc
            case "descriptor":
                self.descriptors[doc["name"]] = doc["uid"]
                self.counts.setdefault(doc["name"], 0)
            case "event" | "event_page":
                self.counts[self.stream_of(doc)] += 1 if name == "event" else len(doc["seq_num"])
        self.learn_more(name, doc)

    def learn_more(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take note of what else a document says, for a source of its own kind."""

    def stream_of(self, doc: Mapping[str, Any]) -> str:
        """Return the name of the stream of an event, or a page of them."""
        return next(name for name, uid in self.descriptors.items() if uid == doc["descriptor"])


@dataclass(frozen=True, slots=True)
class Kept:
    """What a catalog has of one stream."""

    descriptor: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    """`seq_num`, `time` and the data keys of each event; None for null."""
    mimetype: str | None = None
    """Of the files of its array; None if it has no array."""


class Composer(Generic[State]):
    """Makes documents of a run, and learns from each that it makes."""

    def __init__(self, uid: str, state: State) -> None:
        self.uid = uid
        """Of the run."""
        self.state = state

    def _uid(self, kind: str, *of: str) -> str:
        return uid_of(self.uid, kind, *of)

    def _made(self, documents: list[Document]) -> list[Document]:
        for name, doc in documents:
            self.state.learn(name, doc)
        return documents


def run_uid(namespace: uuid.UUID, name: str, identity: list[str], part: int) -> str:
    """Return the uid of a run: the same whenever the same is recorded under the same name.

    Parameters
    ----------
    namespace
        Of the kind of source.
    identity
        What else it is known by: its folders.
    part
        1, and one more for each run that holds what came after the stop of the one before.
    """
    return str(uuid.uuid5(namespace, json.dumps([name, identity, part])))


def uid_of(run: str, kind: str, *of: str) -> str:
    """Return the uid of a document: the same for the same things.

    Parameters
    ----------
    run
        uid of the run.
    kind, of
        What it is, and what it is about: its stream, and its file.
    """
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "\0".join((run, kind, *of))))


def descriptor(
    run: str,
    name: str,
    seconds: float,
    keys: Mapping[str, Any],
    *,
    object_name: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Document:
    """Return the descriptor of a stream, whose object is called as it is unless told otherwise."""
    return "descriptor", {
        "uid": uid_of(run, "descriptor", name),
        "run_start": run,
        "time": seconds,
        "name": name,
        "data_keys": keys,
        "object_keys": {object_name or name: list(keys)},
        "configuration": dict(settings or {}),
        "hints": {},
    }


def resource(
    run: str, uid: str, data_key: str, mimetype: str, uri: str, parameters: Mapping[str, Any]
) -> Document:
    """Return a StreamResource."""
    return "stream_resource", {
        "uid": uid,
        "run_start": run,
        "data_key": data_key,
        "mimetype": mimetype,
        "uri": uri,
        "parameters": parameters,
    }


def datum(
    uid: str, resource_uid: str, descriptor_uid: str, *, first: int, count: int, number: int, rows: int = 1
) -> Document:
    """Return a StreamDatum: `count` indices from `first` on, of `rows` rows of its stream from the `number`th on."""
    return "stream_datum", {
        "uid": uid,
        "stream_resource": resource_uid,
        "descriptor": descriptor_uid,
        "indices": {"start": first, "stop": first + count},
        "seq_nums": {"start": number, "stop": number + rows},
    }


def event(uid: str, descriptor_uid: str, number: int, seconds: float, data: Mapping[str, Any]) -> Document:
    """Return an event, the `number`th of its stream."""
    return "event", {
        "uid": uid,
        "descriptor": descriptor_uid,
        "time": seconds,
        "seq_num": number,
        "data": dict(data),
        "timestamps": dict.fromkeys(data, seconds),
        "filled": {},
    }


def stop(run: str, seconds: float, counts: Mapping[str, int]) -> Document:
    """Return the stop document of a run that went well."""
    return "stop", {
        "uid": uid_of(run, "stop"),
        "run_start": run,
        "time": seconds,
        "exit_status": "success",
        "reason": "",
        "num_events": dict(counts),
    }


def states_of(documents: Iterable[Document], make: Callable[[], State]) -> list[State]:
    """Return what the documents of several runs say, one run after the other."""
    states: list[State] = []
    for name, doc in documents:
        if name == "start":
            states.append(make())
        states[-1].learn(name, doc)
    return states


def replayed(state: Learning, before: Iterable[Document], cut: list[Document]) -> Iterator[Document]:
    """Yield the documents of a run so far, up to the end of the last file that is whole, and learn from them.

    For sources whose single events are each the last document of a file.

    Parameters
    ----------
    cut
        Gets the documents behind.

    Raises
    ------
    InputError
        If the run is finished.
    """
    for name, doc in before:
        if name == "stop":
            raise InputError(
                f"run {doc['run_start']} is finished: what is new is a run of its own (earlier=)"
            )
        cut.append((name, dict(doc)))
        if name in ("start", "event"):
            for document in cut:
                state.learn(*document)
                yield document
            cut.clear()


def rebuilt(
    start: Mapping[str, Any], streams: Iterable[Kept], end: Mapping[str, Any] | None
) -> list[Document]:
    """Return the documents of a run out of what a catalog has of it: for `earlier`, where its journal is gone.

    There is what is learned from, and no more. A run that has no stop is taken to be over all the same: what is new is a run that
    continues it.

    Parameters
    ----------
    end
        The stop document, if there is one.
    """
    made: list[Document] = [("start", dict(start))]
    for kept in streams:
        described = dict(kept.descriptor)
        made.append(("descriptor", described))
        made += [
            ("event", {"descriptor": described["uid"], "seq_num": row["seq_num"], "data": dict(row)})
            for row in kept.rows
        ]
    return [*made, ("stop", dict(end or {}))]
