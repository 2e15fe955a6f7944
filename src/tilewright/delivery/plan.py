"""What the server should hold for one run, worked out from its documents alone.

In come today's documents (see `documents.Translator`), in order; the delivery asks for what there is to send.
Nothing here opens, reads or sends anything, and no document is altered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tilewright.documents import is_external, to_json
from tilewright.errors import InputError
from tilewright.formats import UnknownFile, open_array
from tilewright.tables import (
    REJECTED,
    TABLE,
    Hints,
    Page,
    Schema,
    arrow_type,
    check_page,
    page_of,
    rows_of,
    schema_for,
    usable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tilewright.formats import ExternalArray

RUN_SPECS = [{"name": "TilewrightRun", "version": "1"}, {"name": "BlueskyRun", "version": "3.0"}]
STREAM_SPECS = [
    {"name": "TilewrightStream", "version": "1"},
    {"name": "BlueskyEventStream", "version": "3.0"},
    {"name": "composite"},
]
_SAME_IN_AN_UPDATE = frozenset({"name", "run_start"})


@dataclass(slots=True)
class StreamPlan:
    """One stream of the run."""

    key: str
    """Name of its node."""
    metadata: dict[str, Any]
    """The first descriptor, as JSON."""
    hints: Hints
    data_keys: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    config_updates: list[dict[str, Any]] = field(default_factory=list)
    """What each later descriptor changed."""
    arrays: dict[str, ExternalArray] = field(default_factory=dict)
    """External data keys, by the name of their nodes."""
    node_of_array: dict[str, str] = field(default_factory=dict)
    """Name of the node of each external data key."""
    pages: list[Page] = field(default_factory=list)
    """Rows not yet sent."""
    rows: int = 0
    """Rows seen, sent or not."""
    _events: list[Mapping[str, Any]] = field(default_factory=list)
    _schema: Schema | None = None

    @property
    def schema(self) -> Schema:
        """The table's schema as far as the documents and the hints tell."""
        if self._schema is None:
            self._schema = schema_for(self.data_keys, self.hints)
        return self._schema

    def schema_hints(self) -> Hints:
        """Return the columns there are by now, for a table made anew from the first document."""
        return Hints(
            extra_keys={key: arrow_type(s) for key, s in self.data_keys.items() if not is_external(s)}
        )

    def describe(self, data_keys: Mapping[str, Mapping[str, Any]]) -> None:
        """Take note of a descriptor's data keys."""
        if not self.data_keys.keys() >= data_keys.keys():
            new = {key: spec for key, spec in data_keys.items() if key not in self.data_keys}
            self.data_keys = {**self.data_keys, **new}
            self._schema = None

    def name_array(self, data_key: str) -> str:
        """Return the name of an external data key's node: the key, unless a path cannot hold it or it is taken."""
        if data_key not in self.node_of_array:
            taken = (
                {column.name for column in self.schema.columns}
                | set(self.node_of_array.values())
                | {REJECTED}
            )
            name = data_key.replace("/", "_")
            while name in taken or name.startswith(TABLE):
                name = f"{name}_" if name in taken else f"k_{name}"
            self.node_of_array[data_key] = name
        return self.node_of_array[data_key]

    def add_event(self, event: Mapping[str, Any]) -> None:
        """Add one row.

        Raises
        ------
        InputError
            If a part of it is not the mapping it should be.
        """
        for part in ("data", "timestamps", "filled"):
            if not isinstance(event.get(part) or {}, dict):
                raise InputError(f"its {part} is a {type(event[part]).__name__}, not a mapping")
        self._events.append(event)
        self.rows += 1

    def add_page(self, page: Page) -> None:
        """Add the rows of a page.

        Raises
        ------
        InputError
            If its columns are missing or differ in length.
        """
        check_page(page)
        self._gather()
        self.pages.append(page)
        self.rows += rows_of(page)

    def pending(self) -> list[Page]:
        """Return the rows to send."""
        self._gather()
        return self.pages

    def sent(self) -> None:
        """Forget the rows that `pending` returned."""
        self.pages.clear()

    def _gather(self) -> None:
        if self._events:
            self.pages.append(page_of(self._events))
            self._events.clear()


class RunPlan:
    """The plan for one run.

    Parameters
    ----------
    hints
        By stream, what an earlier pass over the same documents learned of its table.
    """

    def __init__(self, hints: Mapping[str, Hints] | None = None) -> None:
        self.uid: str | None = None
        self.metadata: dict[str, Any] = {}
        self.stop: dict[str, Any] | None = None
        self.access_tags: list[str] | None = None
        self.streams: dict[str, StreamPlan] = {}
        """By node key."""
        self.notes: list[str] = []
        self.set_aside = 0
        """Documents that could not be understood."""
        self._hints = dict(hints or {})
        self._stream_of_descriptor: dict[str, StreamPlan] = {}
        self._keys: dict[str, str] = {}
        self._resources: dict[str, dict[str, Any]] = {}
        self._array_of_resource: dict[tuple[str, str], ExternalArray] = {}

    def consume(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document into account. What cannot be understood becomes a note."""
        try:
            self._consume(name, doc)
        except (KeyError, TypeError, AttributeError, InputError) as error:
            self.set_aside += 1
            self._note(f"a document ({name}) was set aside: {type(error).__name__}: {error}")

    @property
    def all_notes(self) -> list[str]:
        """The plan's notes and those of its arrays, each once, in order."""
        notes = list(self.notes)
        for stream in self.streams.values():
            for array in stream.arrays.values():
                notes += array.notes
        return list(dict.fromkeys(notes))

    def _consume(self, name: str, doc: dict[str, Any]) -> None:
        match name:
            case "event":
                self._stream_of_descriptor[doc["descriptor"]].add_event(doc)
            case "event_page":
                self._stream_of_descriptor[doc["descriptor"]].add_page(doc)
            case "start":
                self._start(doc)
            case "descriptor":
                self._descriptor(doc)
            case "stream_resource":
                self._resources[doc["uid"]] = doc
            case "stream_datum":
                self._datum(doc)
            case "stop":
                self._stop(doc)
            case _:
                raise InputError(f"no document is called {name!r}")

    def _start(self, doc: dict[str, Any]) -> None:
        if self.uid is not None:
            self._note("a second start document was set aside")
            return
        self.uid = doc["uid"]
        tags = doc.get("tiled_access_tags")
        self.access_tags = None if tags is None else list(tags)
        self.metadata = {"start": self._json("start", doc)}

    def _descriptor(self, doc: dict[str, Any]) -> None:
        name = str(doc.get("name") or "primary")
        key = self._keys.get(name) or self._node_key(name)
        self._keys[name] = key
        data_keys, reasons = usable(doc["data_keys"])
        for data_key, reason in reasons.items():
            self._note(f"data key {data_key!r} of stream {name!r} is taken for text: {reason}")
        stream = self.streams.get(key)
        if stream is None:
            stream = StreamPlan(key, self._json(f"descriptor of {name}", doc), self._hints.get(key, Hints()))
            self.streams[key] = stream
            stream.describe(data_keys)
            for data_key, column in stream.schema.renamed:
                self._note(f"data key {data_key!r} of stream {name!r} is the column {column!r}")
        elif doc["uid"] not in self._stream_of_descriptor:
            stream.describe(data_keys)
            stream.config_updates.append(self._config_update(name, stream, doc))
        self._stream_of_descriptor[doc["uid"]] = stream

    def _config_update(self, name: str, stream: StreamPlan, doc: dict[str, Any]) -> dict[str, Any]:
        """Return a later descriptor without what it repeats of the first."""
        update = self._json(f"descriptor {len(stream.config_updates) + 2} of {name}", doc)
        same = {key for key, value in update.items() if stream.metadata.get(key) == value}
        dropped = (same | _SAME_IN_AN_UPDATE) - {"uid", "time", "configuration"}
        return {key: value for key, value in update.items() if key not in dropped}

    def _datum(self, doc: dict[str, Any]) -> None:
        resource = self._resources[doc["stream_resource"]]
        stream = self._stream_of_descriptor[doc["descriptor"]]
        identity = (stream.key, resource["uid"])
        array = self._array_of_resource.get(identity)
        if array is None:
            array = self._array_of_resource[identity] = self._open(stream, resource)
        array.add_datum(doc)

    def _open(self, stream: StreamPlan, resource: dict[str, Any]) -> ExternalArray:
        """Return the array this resource belongs to: an existing one of its data key, or a new one."""
        data_key = resource["data_key"]
        node = stream.name_array(data_key)
        if node != data_key:
            self._note(f"data key {data_key!r} of stream {stream.key!r} is the node {node!r}")
        array = stream.arrays.get(node)
        try:
            if array is None:
                array = open_array(resource, {"data_keys": stream.data_keys})
            else:
                array.add_resource(resource)
        except InputError as error:
            self._note(
                f"data key {data_key!r} of stream {stream.key!r}: {error}; its files are kept as bytes"
            )
            array = UnknownFile(resource, str(error))
        stream.arrays[node] = array
        return array

    def _stop(self, doc: dict[str, Any]) -> None:
        if self.stop is not None:
            self._note("a second stop document was set aside")
            return
        self.stop = self._json("stop", doc)

    def _json(self, what: str, doc: dict[str, Any]) -> dict[str, Any]:
        converted, notes = to_json(doc)
        for note in notes:
            self._note(f"{what}: {note}")
        return dict(converted)

    def _node_key(self, name: str) -> str:
        """Return a stream's node key: its name, unless a path cannot hold that."""
        key = name.replace("/", "_").encode("utf-8", "backslashreplace").decode()
        while key in self.streams or key in {".", ".."}:
            key += "_"
        if key != name:
            self._note(f"stream {name!r} is the node {key!r}")
        return key

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)
