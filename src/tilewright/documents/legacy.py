"""Translate one run's documents of earlier schemas into today's.

In come all documents of a run, in order; out come the same ones with resource, datum and datum_page turned
into stream_resource and stream_datum. Called between the journal and the plan.

A Datum says which part of a Resource it is, but not which data key or row it belongs to. Only an event that
names it says so. Hence an event's references wait, one queue a data key, until datum and resource are there:

    descriptor ─┐
    resource ───┼─▶ event names datum_id ──▶ [stream_resource], stream_datum
    datum ──────┘

The queues keep the events' order, since a sequence of files is ordered by nothing else. Before all this, documents that
came before the one they refer to are put in order (`order`). What cannot be understood passes through as it is.
"""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from event_model import unpack_datum_page, unpack_event_page

from tilewright.documents.data_keys import is_external, is_true
from tilewright.documents.kinds import LEGACY_ASSET_NAMES
from tilewright.documents.names import is_key
from tilewright.documents.notes import Notes, quoted
from tilewright.documents.order import Ordering
from tilewright.documents.path_map import PathMap
from tilewright.documents.resources import MIMETYPE_OF_SPEC, renew_resource
from tilewright.errors import InputError

if TYPE_CHECKING:
    from tilewright.documents.kinds import Document

Doc = dict[str, Any]
Patch = Callable[[Doc], Doc]

_LONGEST_REPR = 200  # characters of what is quoted in a note
_MOST_MISSING = 10  # datums that a note lists
_NOTHING = object()
SPEC_OF_NUMBERED_FILES = "NPY_SEQ"
"""Of ophyd's simulated cameras: `index` among a datum's kwargs is the number in the name of its file."""

_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "resource": ("uid",),
    "datum": ("datum_id", "resource"),
    "datum_page": ("datum_id", "datum_kwargs", "resource"),
}
"""What the translation needs of the documents that do not go on as they are."""


@dataclass(frozen=True, slots=True)
class _Reference:
    """An event's word that the value of a data key lies in a file."""

    descriptor: str
    data_key: str
    seq_num: Any
    """An integer in a sound document."""
    datum_id: Any
    """A string in a sound document."""


@dataclass(slots=True)
class _Queue:
    """References of one data key of one stream, in the order of the events."""

    waiting: deque[_Reference] = field(default_factory=deque)
    next_frame: int = 0
    """Frames of the present Resource that have been named (where datums count frames)."""
    frames_before: int = 0
    """Frames of the Resources before it."""
    rows: int = 0
    """Rows of all StreamDatums so far."""
    first_rows: dict[str, int] = field(default_factory=dict)
    """The row that file 0 of a Resource would have, by its uid (where datums number files)."""


@dataclass(frozen=True, slots=True)
class _Stream:
    """What the Translator needs of a descriptor."""

    name: str
    external: frozenset[str]


class Translator:
    """Translates the documents of one run.

    Parameters
    ----------
    spec_to_mimetype
        Mimetypes of Resource specs, on top of and before the built-in ones.
    patches
        For a document name, a function that is given a shallow copy of each such document before anything
        else happens to it, and returns the document to use. Pages are patched as the events or datums they
        hold, where there is a patch for those. A datum's `datum_kwargs` tell its `_resource_spec`.
    path_map
        Under which path the server has a file whose path differs between machines.

    Notes
    -----
    Documents are never altered and never copied deeply: what passes through is the same object.
    Datums are kept until the run ends, because a later event may name one again.

    The meaning of specs, datum_kwargs and uids is that of `RunNormalizer` in bluesky-tiled-plugins 2.0, but for the
    `index` of `NPY_SEQ`, which it takes no notice of: see `_take_number`.
    """

    def __init__(
        self,
        *,
        spec_to_mimetype: Mapping[str, str] | None = None,
        patches: Mapping[str, Patch] | None = None,
        path_map: PathMap | None = None,
    ) -> None:
        self._path_map = path_map or PathMap()
        self._notes = Notes()
        self._ordering = Ordering()
        self._mimetypes = {**MIMETYPE_OF_SPEC, **(spec_to_mimetype or {})}
        self._patches = dict(patches or {})
        self._streams: dict[str, _Stream] = {}
        self._resources: dict[str, Doc] = {}
        self._datums: dict[str, Doc] = {}
        self._queues: dict[tuple[str, str], _Queue] = {}
        self._emitted: set[str] = set()
        self._used_resources: set[str] = set()
        self._queues_by_datum: dict[str, list[_Queue]] = {}
        self._take: dict[str, Callable[[Doc], list[Document]]] = {
            "descriptor": self._take_descriptor,
            "event": self._take_event,
            "event_page": self._take_event_page,
            "resource": self._take_resource,
            "datum": self._take_datum,
            "datum_page": lambda doc: self._translate_each("datum", list(unpack_datum_page(self._even(doc)))),
            "stream_resource": self._take_stream_resource,
            "stop": self._take_stop,
        }

    @property
    def notes(self) -> list[str]:
        """What had to be assumed, or could not be understood, one sentence each."""
        return list(self._notes)

    def translate(self, name: str, doc: Any) -> list[Document]:
        """Return today's documents for one document; possibly none, if it has to wait for another.

        Raises nothing but what a patch raises.
        """
        ready = self._ordering.arrange(name, doc)
        if len(ready) == 1:
            return self._translate_one(*ready[0])
        return [document for one in ready for document in self._translate_one(*one)]

    def finish(self) -> list[Document]:
        """Return what was still waiting, and note what never came.

        Called when the run is over or was cut off; calling it again gives nothing.
        """
        return [*self._ordering.rest(), *self._finish_references()]

    def _translate_one(self, name: str, doc: Any) -> list[Document]:
        if not isinstance(doc, dict):
            return [(name, doc)]
        if name == "event_page" and "event" in self._patches:
            return self._translate_each("event", unpack_event_page(doc))
        if name == "datum":
            doc = self._with_spec(doc)
        doc = self._patched(name, doc)
        if missing := [field for field in _REQUIRED.get(name, ()) if doc.get(field) is None]:
            self._note(f"A {name} has no {' and no '.join(missing)}: {_quoted(doc)}.")
            return []
        take = self._take.get(name)
        try:
            return take(doc) if take else [(name, doc)]
        except Exception as error:  # noqa: BLE001 - a document of odd types raises anything
            if name not in LEGACY_ASSET_NAMES:
                return [(name, doc)]  # the plan says what is wrong with it
            self._note(f"A {name} cannot be understood ({error!r}): {_quoted(doc)}.")
            return []

    def _finish_references(self) -> list[Document]:
        documents: list[Document] = []
        for (_, data_key), queue in self._queues.items():
            missing = []
            while queue.waiting:
                reference = queue.waiting.popleft()
                if self._is_known(reference):
                    documents.extend(self._resolve(reference, queue))
                else:
                    missing.append(reference)
            if missing:
                shown = "; ".join(
                    f"seq_num {_quoted(reference.seq_num)}: {_quoted(reference.datum_id)}"
                    for reference in missing[:_MOST_MISSING]
                )
                self._note(
                    f"No Datum (or Resource) arrived for {len(missing)} external values of data key"
                    f" {_quoted(data_key)}, which events named by datum id: {shown}."
                )
        for uid, resource in self._resources.items():
            if uid not in self._used_resources:
                self._note(f"No event named a datum of Resource {_quoted(uid)} ({resource.get('uri')}).")
        return documents

    def _patched(self, name: str, doc: Doc) -> Doc:
        patch = self._patches.get(name)
        return patch(dict(doc)) if patch else doc

    def _note(self, sentence: str) -> None:
        self._notes.add(sentence)

    def _translate_each(self, name: str, docs: Iterable[Doc]) -> list[Document]:
        return [document for doc in docs for document in self.translate(name, doc)]

    def _with_spec(self, datum: Doc) -> Doc:
        """Tell a datum the spec of its Resource, for the patches that need it."""
        uid = datum.get("resource", "")
        resource = self._resources.get(uid, {}) if isinstance(uid, str) else {}
        kwargs = _none_as_empty(datum.get("datum_kwargs"))
        if not ((spec := resource.get("parameters", {}).get("spec")) and isinstance(kwargs, dict)):
            return datum
        return {**datum, "datum_kwargs": {**kwargs, "_resource_spec": spec}}

    def _even(self, page: Doc) -> Doc:
        """Return a datum_page as far as all its columns go: what a datum lacks must not be guessed."""
        ids, kwargs = page["datum_id"], page["datum_kwargs"]
        lengths = {len(ids), *map(len, kwargs.values())}
        if len(lengths) == 1:
            return page
        self._note(
            f"A datum_page has columns of unequal length, and is taken as far as all go: {_quoted(page)}."
        )
        rows = min(lengths)
        return {
            **page,
            "datum_id": ids[:rows],
            "datum_kwargs": {key: column[:rows] for key, column in kwargs.items()},
        }

    def _take_descriptor(self, doc: Doc) -> list[Document]:
        external = frozenset(key for key, spec in doc["data_keys"].items() if is_external(spec))
        name = doc.get("name", "")
        self._streams[doc["uid"]] = _Stream(name if isinstance(name, str) else quoted(name), external)
        return [("descriptor", doc)]

    def _take_event(self, doc: Doc) -> list[Document]:
        return [("event", doc), *self._refer(list(self._references_of_event(doc)))]

    def _take_event_page(self, doc: Doc) -> list[Document]:
        return [("event_page", doc), *self._refer(list(self._references_of_page(doc)))]

    def _take_resource(self, doc: Doc) -> list[Document]:
        doc = {**doc, "spec": (doc.get("spec") or "").upper()}
        self._resources[doc["uid"]] = self._renewed(doc)
        return self._advance(list(self._queues.values()))

    def _take_datum(self, doc: Doc) -> list[Document]:
        kwargs = _none_as_empty(doc.get("datum_kwargs"))
        if not (is_key(doc["resource"]) and isinstance(kwargs, dict)):
            raise InputError("expected a uid of its resource, and a mapping of datum_kwargs")
        self._datums[doc["datum_id"]] = doc
        return self._advance(self._queues_by_datum.pop(doc["datum_id"], []))

    def _take_stream_resource(self, doc: Doc) -> list[Document]:
        return [("stream_resource", self._renewed(doc))]

    def _renewed(self, doc: Doc) -> Doc:
        """Return a resource in today's schema, with the address by which the server knows it."""
        new = renew_resource(doc, self._mimetypes, self._note)
        uri = new.get("uri")
        mapped = self._path_map.apply(uri) if isinstance(uri, str) else uri
        return new if mapped == uri else {**new, "uri": mapped}

    def _take_stop(self, doc: Doc) -> list[Document]:
        return [*self._finish_references(), ("stop", doc)]

    def _references_of_event(self, doc: Doc) -> Iterator[_Reference]:
        descriptor, filled = doc["descriptor"], doc.get("filled")
        external = self._external_keys(descriptor)
        for key, value in doc["data"].items():
            if key in external and not is_true(_at(filled, key)):
                yield _Reference(descriptor, key, doc.get("seq_num"), value)

    def _references_of_page(self, doc: Doc) -> Iterator[_Reference]:
        """Look at the external columns only: a page may be long and wide."""
        descriptor, filled = doc["descriptor"], doc.get("filled")
        keys = [key for key in doc["data"] if key in self._external_keys(descriptor)]
        for row, seq_num in enumerate(doc["seq_num"] if keys else ()):
            for key in keys:
                value = _at(doc["data"][key], row, _NOTHING)
                if value is not _NOTHING and not is_true(_at(_at(filled, key), row)):
                    yield _Reference(descriptor, key, seq_num, value)

    def _external_keys(self, descriptor: str) -> frozenset[str]:
        stream = self._streams.get(descriptor)
        return stream.external if stream else frozenset()

    def _refer(self, references: Iterable[_Reference]) -> list[Document]:
        documents: list[Document] = []
        for reference in references:
            stream = self._streams[reference.descriptor].name
            queue = self._queues.setdefault((stream, reference.data_key), _Queue())
            queue.waiting.append(reference)
            if isinstance(reference.datum_id, str) and reference.datum_id not in self._datums:
                self._queues_by_datum.setdefault(reference.datum_id, []).append(queue)
            documents.extend(self._advance([queue]))
        return documents

    def _advance(self, queues: list[_Queue]) -> list[Document]:
        """Resolve each queue from its head, as far as what it waits for is there."""
        documents: list[Document] = []
        for queue in queues:
            while queue.waiting and self._is_known(queue.waiting[0]):
                documents.extend(self._resolve(queue.waiting.popleft(), queue))
        return documents

    def _is_known(self, reference: _Reference) -> bool:
        if not isinstance(reference.datum_id, str):
            return False
        datum = self._datums.get(reference.datum_id)
        return datum is not None and datum["resource"] in self._resources

    def _resolve(self, reference: _Reference, queue: _Queue) -> Iterator[Document]:
        """Yield the StreamDatum of a reference, after its StreamResource if that is new.

        Raises nothing: what was resolved along with it would be lost.
        """
        datum = self._datums[reference.datum_id]
        kwargs = dict(datum.get("datum_kwargs") or {})
        kwargs.pop("_resource_spec", None)  # was for the patches
        resource = self._resources[datum["resource"]]
        try:
            indices, seq_nums = _take_ranges(kwargs, reference.seq_num, queue, resource)
        except Exception as error:  # noqa: BLE001 - kwargs of odd types raise anything
            self._note(f"The frames of a datum cannot be understood ({error!r}): {_quoted(datum)}.")
            return
        # One StreamResource for each use: two streams may share a file, and each gets its own node.
        uid = f"{datum['resource']}-{reference.descriptor}-{reference.data_key}"
        queue.rows += indices["stop"] - indices["start"]
        if uid not in self._emitted:
            self._emitted.add(uid)
            self._used_resources.add(datum["resource"])
            parameters = {**resource["parameters"], **kwargs}
            yield (
                "stream_resource",
                {**resource, "uid": uid, "data_key": reference.data_key, "parameters": parameters},
            )
        yield (
            "stream_datum",
            {
                "uid": datum["datum_id"],
                "stream_resource": uid,
                "descriptor": reference.descriptor,
                "indices": indices,
                "seq_nums": seq_nums,
            },
        )


def _take_ranges(kwargs: Doc, seq_num: Any, queue: _Queue, resource: Doc) -> tuple[Doc, Doc]:
    """Return a datum's indices and seq_nums, as a StreamDatum has them; takes what says so out of `kwargs`."""
    if resource["parameters"].get("spec") == SPEC_OF_NUMBERED_FILES and "index" in kwargs:
        start = _take_number(kwargs, queue, resource["uid"])
        stop, first = start + 1, operator.index(seq_num)
    else:
        start, stop = _take_frames(kwargs, seq_num, queue)
        first = start + 1  # as Bluesky has it
    return {"start": start, "stop": stop}, {"start": first, "stop": first + stop - start}


def _take_number(kwargs: Doc, queue: _Queue, resource: str) -> int:
    """Return the frame of a datum that gives the number of its file.

    The files of a Resource are numbered as they were written: for several streams, as a baseline and the scan, and anew
    for an event that is taken again. So neither the seq_num nor the place among the events tells the file.
    """
    number = operator.index(kwargs.pop("index"))
    if number < 0:
        raise InputError(f"expected the number of a file, found {number}")
    return queue.first_rows.setdefault(resource, queue.rows) + number


def _take_frames(kwargs: Doc, seq_num: Any, queue: _Queue) -> tuple[int, int]:
    """Return the half-open range of frames a datum stands for; takes what says so out of `kwargs`.

    `indices` and `point_number` say it outright. `frame` is the last frame of this datum, counted from 0 in
    each Resource, so the range starts where the datum before ended. With none of them the event's place counts.
    """
    if indices := kwargs.pop("indices", None):
        return operator.index(indices["start"]), operator.index(indices["stop"])
    if (point := kwargs.pop("point_number", None)) is not None:
        return operator.index(point), operator.index(point) + 1
    if (last := kwargs.pop("frame", None)) is not None:
        last = operator.index(last)
        start = queue.frames_before + queue.next_frame
        if last + 1 < queue.next_frame:  # the count began again: another Resource
            queue.frames_before = start
        queue.next_frame = last + 1
        return start, queue.frames_before + queue.next_frame
    last = operator.index(seq_num)
    return last - 1, last


def _none_as_empty(value: Any) -> Any:
    return {} if value is None else value


def _at(values: Any, place: Any, default: Any = None) -> Any:
    """Return what stands at a key or a row, if `values` is of a type to have any."""
    try:
        return values[place]
    except Exception:  # noqa: BLE001 - documents of odd types raise anything
        return default


def _quoted(value: Any) -> str:
    return quoted(value, _LONGEST_REPR)
