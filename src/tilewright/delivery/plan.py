"""What the server should hold for one run, worked out from its documents alone.

In come today's documents (see `documents.Translator`), in order; the delivery asks for what there is to send.
Nothing here opens, reads or sends anything, and no document is altered.

Whatever the documents are, the plan is one that a server can hold. What they lack is made up, what cannot keep its
name is renamed (`documents.names`, `tables.names`), what cannot be understood is set aside; a note says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tilewright.documents import (
    MAX_ARRAY_SIZE,
    NOTE,
    Distinct,
    Notes,
    is_external,
    is_key,
    label,
    path_segment,
    quoted,
    run_key,
    to_json,
)
from tilewright.documents.notes import MAX_NOTES
from tilewright.errors import InputError
from tilewright.formats import UnknownFile, open_array
from tilewright.tables import (
    REJECTED,
    TABLE,
    Hints,
    Page,
    Schema,
    arrow_type,
    page_of,
    rows_of,
    schema_for,
    sound_page,
    usable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tilewright.formats import ExternalArray
    from tilewright.tables import ArrayColumn

RUN_SPECS = [{"name": "TilewrightRun", "version": "1"}, {"name": "BlueskyRun", "version": "3.0"}]
STREAM_SPECS = [
    {"name": "TilewrightStream", "version": "1"},
    {"name": "BlueskyEventStream", "version": "3.0"},
    {"name": "composite"},
]
DEFAULT_STREAM = "primary"
"""Stream of a descriptor without a name, as old ones are."""
_SAME_IN_AN_UPDATE = frozenset({"name", "run_start"})


@dataclass(slots=True)
class StreamPlan:
    """One stream of the run."""

    key: str
    """Name of its node."""
    metadata: dict[str, Any]
    """The first descriptor, as JSON."""
    hints: Hints
    most: int = MAX_ARRAY_SIZE
    """Elements of an array in an event that stays in the table."""
    data_keys: dict[Any, Mapping[str, Any]] = field(default_factory=dict)
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
            self._schema = schema_for(self.data_keys, self.hints, self.most)
        return self._schema

    def column_metadata(self) -> dict[str, Any]:
        """Return what the descriptors say of the table's columns, by column name, as JSON."""
        return {
            column.name: to_json(self.data_keys[column.key])[0]
            for column in self.schema.columns
            if column.source == "data" and column.key in self.data_keys
        }

    def array_metadata(self, array: ArrayColumn) -> dict[str, Any]:
        """Return what the descriptors say of an array beside the table, as JSON."""
        return dict(to_json(self.data_keys.get(array.key, {}))[0])

    def learn(self, hints: Hints) -> None:
        """Know more of the stream from here on; what was there is kept."""
        self.hints = hints
        self._schema = None

    def schema_hints(self) -> Hints:
        """Return the columns there are by now, for a table made anew from the first document."""
        return Hints(
            extra_keys={key: arrow_type(s) for key, s in self.data_keys.items() if not is_external(s)}
        )

    def describe(self, data_keys: Mapping[Any, Mapping[str, Any]]) -> list[Any]:
        """Take note of a descriptor's data keys; return those whose values are in the events now, and not in files.

        These have a column from here on, unless they are arrays already.
        """
        moved = [
            key
            for key, spec in data_keys.items()
            if is_external(self.data_keys.get(key, {})) and not is_external(spec)
        ]
        changed = {
            key: spec
            for key, spec in data_keys.items()
            if key not in self.data_keys or (key in moved and key not in self.node_of_array)
        }
        if changed:
            self._gather()  # what came before is understood by the keys there were
            self.data_keys.update(changed)
            self._schema = None
        return moved

    def name_array(self, data_key: str) -> str:
        """Return the name of an external data key's node: the key, unless a path cannot hold it or it is taken."""
        if data_key not in self.node_of_array:
            columns = (column.name for column in self.schema.columns)
            beside = (array.name for array in self.schema.arrays)
            names = Distinct([*columns, *beside, *self.node_of_array.values(), REJECTED])
            name = path_segment(data_key)
            self.node_of_array[data_key] = names.claim(f"k_{name}" if name.startswith(TABLE) else name)
        return self.node_of_array[data_key]

    def add_event(self, event: Mapping[str, Any]) -> None:
        """Add one row."""
        self._events.append(event)
        self.rows += 1

    def add_page(self, page: Mapping[str, Any]) -> None:
        """Add the rows of a page.

        Raises
        ------
        InputError
            If it does not tell how many there are.
        """
        sound = sound_page(page, self.data_keys)
        self._gather()
        if rows_of(sound):
            self.pages.append(sound)
            self.rows += rows_of(sound)

    def pending(self) -> list[Page]:
        """Return the rows to send."""
        self._gather()
        return self.pages

    def sent(self) -> None:
        """Forget the rows that `pending` returned."""
        self.pages.clear()

    def _gather(self) -> None:
        if self._events:
            self.pages.append(page_of(self._events, self.data_keys))
            self._events.clear()


class RunPlan:
    """The plan for one run.

    Parameters
    ----------
    hints
        By stream, what an earlier pass over the same documents learned of its table.
    most
        How many elements an array in an event may have to stay in the table; -1 for any number.
    """

    def __init__(self, hints: Mapping[str, Hints] | None = None, most: int = MAX_ARRAY_SIZE) -> None:
        self.uid: str | None = None
        self.metadata: dict[str, Any] = {}
        self.stop: dict[str, Any] | None = None
        self.access_tags: list[str] | None = None
        self.streams: dict[str, StreamPlan] = {}
        """By node key."""
        self.set_aside = 0
        """Documents that could not be understood."""
        self._notes = Notes()
        self._hints = dict(hints or {})
        self._most = most
        self._stream_of_descriptor: dict[Any, StreamPlan] = {}
        self._descriptors: dict[Any, dict[str, Any]] = {}
        """The descriptors that came, as JSON, by uid."""
        self._keys: dict[str, str] = {}
        """Node key of each stream, by its name."""
        self._names = Distinct()
        self._resources: dict[Any, dict[str, Any]] = {}
        self._array_of_resource: dict[tuple[str, Any], ExternalArray] = {}
        self._aside: dict[tuple[str, str], int] = {}
        """How many documents were set aside, by their name and the reason."""
        self._stop_names_run = False
        self._called: tuple[Any, ...] = ()
        """What other documents may call the run."""

    @property
    def key(self) -> str:
        """Name of the run's node: its uid, unless a path cannot hold that."""
        assert self.uid is not None, "asked after the start document"
        return run_key(self.uid)

    def consume(self, name: str, doc: Any) -> None:
        """Take one document into account. What cannot be understood becomes a note."""
        try:
            if not isinstance(doc, dict):
                raise InputError(f"it is {quoted(doc)}, not a mapping")  # noqa: TRY301 - as the others, below
            self._consume(name, doc)
        except InputError as error:
            self._set_aside(name, str(error))
        except Exception as error:  # noqa: BLE001 - a field of an odd type raises anything; the run goes on
            self._set_aside(name, f"{type(error).__name__}: {error}")

    @property
    def all_notes(self) -> list[str]:
        """The plan's notes and those of its arrays, each once, in order."""
        notes = Notes()
        for sentence in self._notes:
            notes.add(sentence)
        for stream in self.streams.values():
            for data_key, column in stream.schema.renamed:
                notes.add(f"data key {quoted(data_key)} of stream {stream.key!r} is the column {column!r}")
            for array in stream.arrays.values():
                for sentence in array.notes:
                    notes.add(sentence)
        for (name, reason), count in self._aside.items():
            what = "a document" if count == 1 else f"{count} documents"
            notes.add(f"{what} ({label(name)}) set aside: {reason}")
        return list(notes)

    def _consume(self, name: str, doc: dict[str, Any]) -> None:
        match name:
            case "event":
                self._described(doc).add_event(doc)
            case "event_page":
                self._described(doc).add_page(doc)
            case "start":
                self._start(doc)
            case "descriptor":
                self._descriptor(doc)
            case "stream_resource":
                self._check_run(doc)
                self._resources[_reference(doc, "uid")] = doc
            case "stream_datum":
                self._datum(doc)
            case "stop":
                self._stop(doc)
            case _ if name == NOTE:
                self._notes.add(str(doc.get("text")))
            case _:
                raise InputError(f"no document is called {quoted(name)}")
        if self.stop is not None and name not in ("stop", NOTE):
            self._notes.add(f"documents ({label(name)}) came after the stop document")

    def _start(self, doc: dict[str, Any]) -> None:
        if self.uid is not None:
            raise InputError("it is a second one")
        self.metadata = {"start": self._json("start", doc)}
        uid = doc.get("uid")
        self.uid = uid if isinstance(uid, str) and uid else quoted(uid)
        self._called = (self.uid, uid)
        if self.key != self.uid:
            self._notes.add(f"run {quoted(self.uid)} is the node {self.key!r}")
        self.access_tags = self._tags(doc.get("tiled_access_tags"))

    def _tags(self, tags: Any) -> list[str] | None:
        if tags is None:
            return None
        if not isinstance(tags, (list, set)) or not all(isinstance(tag, str) for tag in tags):
            self._notes.add(
                f"tiled_access_tags are {quoted(tags)}, not a list of names, and were not applied"
            )
            return None
        return list(tags)

    def _check_run(self, doc: dict[str, Any]) -> None:
        """Refuse a document that says it is of another run: it came here because that one was not recorded."""
        run = doc.get("run_start")
        if run is not None and run not in self._called:
            raise InputError(f"it names another run, {quoted(run)}")

    def _described(self, doc: dict[str, Any]) -> StreamPlan:
        """Return the stream a document belongs to."""
        uid = _reference(doc, "descriptor")
        if uid not in self._stream_of_descriptor:
            raise InputError(f"it names the descriptor {quoted(uid)}, which did not come")
        return self._stream_of_descriptor[uid]

    def _descriptor(self, doc: dict[str, Any]) -> None:
        self._check_run(doc)
        name = self._stream_name(doc.get("name"))
        given = doc.get("data_keys")
        data_keys, reasons = usable(given)
        if not isinstance(given, dict):
            self._notes.add(
                f"a descriptor of stream {quoted(name)} has no data keys: they are {quoted(given)}"
            )
        for data_key, reason in reasons.items():
            self._notes.add(
                f"data key {quoted(data_key)} of stream {quoted(name)} is taken for text: {reason}"
            )
        stream = self.streams.get(self._keys.get(name, ""))
        if stream is None:
            described = self._json(f"descriptor of {label(name)}", doc)
            key = self._stream_key(name)
            stream = self.streams[key] = StreamPlan(key, described, self._hints.get(key, Hints()), self._most)
        else:
            described = self._json(f"descriptor {len(stream.config_updates) + 2} of {label(name)}", doc)
            self._update(stream, described)
        for data_key in stream.describe(data_keys):
            where = "has its files only" if data_key in stream.node_of_array else "has a column"
            self._notes.add(
                f"data key {quoted(data_key)} of stream {stream.key!r} is external in one descriptor and not in another; it {where}"
            )
        uid = _reference(doc, "uid")
        self._descriptors[uid] = described
        self._stream_of_descriptor[uid] = stream

    def _update(self, stream: StreamPlan, described: dict[str, Any]) -> None:
        """Take note of a later descriptor of a stream, unless it is one that came before."""
        uid = described.get("uid")
        before = self._descriptors.get(uid if isinstance(uid, str) else None)
        if before == described:
            return
        if before is not None:
            self._notes.add(f"the descriptor {quoted(uid)} came again with another content")
        stream.config_updates.append(_changes(described, stream.metadata))

    def _stream_name(self, name: Any) -> str:
        if name is None:
            self._notes.add(f"a descriptor has no name; its stream is {DEFAULT_STREAM!r}")
            return DEFAULT_STREAM
        return name if isinstance(name, str) else quoted(name)

    def _stream_key(self, name: str) -> str:
        """Return the key of a new stream's node: its name, unless a path cannot hold that or it is taken."""
        key = self._keys[name] = self._names.claim(path_segment(name))
        if key != name:
            self._notes.add(f"stream {quoted(name)} is the node {key!r}")
        return key

    def _datum(self, doc: dict[str, Any]) -> None:
        uid = _reference(doc, "stream_resource")
        if uid not in self._resources:
            raise InputError(f"it names the stream_resource {quoted(uid)}, which did not come")
        stream = self._described(doc)
        array = self._array_of_resource.get((stream.key, uid))
        if array is None:
            array = self._array_of_resource[stream.key, uid] = self._open(stream, self._resources[uid])
        array.add_datum(doc)

    def _open(self, stream: StreamPlan, resource: dict[str, Any]) -> ExternalArray:
        """Return the array this resource belongs to: an existing one of its data key, or a new one."""
        data_key = resource.get("data_key")
        data_key = data_key if isinstance(data_key, str) else quoted(data_key)
        node = stream.name_array(data_key)
        if node != data_key:
            self._notes.add(f"data key {quoted(data_key)} of stream {stream.key!r} is the node {node!r}")
        array = stream.arrays.get(node)
        try:
            if array is None:
                array = open_array(resource, {"data_keys": stream.data_keys})
            else:
                array.add_resource(resource)
        except Exception as error:  # noqa: BLE001 - formats are plugins too; the files are not lost for that
            reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            self._notes.add(
                f"data key {quoted(data_key)} of stream {stream.key!r}: {reason}; its files are kept as bytes"
            )
            array = UnknownFile(resource, reason)
        stream.arrays[node] = array
        return array

    def _stop(self, doc: dict[str, Any]) -> None:
        self._check_run(doc)
        names_run = doc.get("run_start") is not None
        if self.stop is not None and (self._stop_names_run or not names_run):
            raise InputError("it is a second one")
        if not names_run:
            self._notes.add("a stop document names no run; it is taken for that of this one")
        self.stop, self._stop_names_run = self._json("stop", doc), names_run

    def _json(self, what: str, doc: dict[str, Any]) -> dict[str, Any]:
        converted, notes = to_json(doc)
        for note in notes:
            self._notes.add(f"{what}: {note}")
        return dict(converted)

    def _set_aside(self, name: str, reason: str) -> None:
        self.set_aside += 1
        kind = (name, reason)
        if len(self._aside) >= MAX_NOTES and kind not in self._aside:
            kind = ("of any name", "for other reasons")
        self._aside[kind] = self._aside.get(kind, 0) + 1


def _reference(doc: dict[str, Any], field: str) -> Any:
    """Return the uid in a field of a document.

    Raises
    ------
    InputError
        If there is none.
    """
    uid = doc.get(field)
    if uid is None or not is_key(uid):
        raise InputError(f"its {field} is {quoted(doc.get(field))}")
    return uid


def _changes(described: dict[str, Any], first: dict[str, Any]) -> dict[str, Any]:
    """Return a later descriptor without what it repeats of the first."""
    same = {key for key, value in described.items() if first.get(key) == value}
    dropped = (same | _SAME_IN_AN_UPDATE) - {"uid", "time", "configuration"}
    return {key: value for key, value in described.items() if key not in dropped}
