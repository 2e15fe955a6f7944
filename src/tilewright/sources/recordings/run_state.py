"""The documents of a deployment's run come in, what they say goes out: streams, files, how far each array is.

`run_documents` learns from those it makes, and from those of a run that is carried on, in one way; `source` asks which files are
known already.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tilewright.documents import numpy_dtype
from tilewright.documents.times import SECOND, FileSpan, duration_ns
from tilewright.sources.recordings.descriptors import AUDIO, REJECTED, SAME_AS
from tilewright.sources.recordings.facts import Shape

if TYPE_CHECKING:
    from collections.abc import Mapping


_PLAIN = "audio/wav"
"""Of files in which samples take the room that they take in the recorder."""


@dataclass(slots=True)
class UnitStream:
    """What the documents have said so far of one stream of recordings."""

    name: str
    object_name: str
    """The unit, or the unit with a number, if its files are not all of one kind."""
    unit: str
    descriptor: str
    """Its uid."""
    shape: Shape
    spans: list[FileSpan] = field(default_factory=list)
    """A file each, in the order of the array."""
    last: str = ""
    """Name of the last file."""
    rate: int = 0
    """Hz, of the last file."""
    samples: int = 0
    """How many frames the array has."""

    @property
    def end(self) -> int | None:
        """When the last file ends, in nanoseconds."""
        if not self.spans:
            return None
        last = self.spans[-1]
        return last.start + last.samples * SECOND // self.rate

    def time(self, sample: int) -> int | None:
        """Return what the unit's clock said at a sample, in nanoseconds; None if there is no such sample."""
        place = bisect_right(self.spans, sample, key=lambda span: span.first) - 1
        if place < 0 or sample >= self.spans[place].first + self.spans[place].samples:
            return None
        span = self.spans[place]
        return span.start + duration_ns(sample - span.first, span.rate)


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that the documents have as a part of a recording."""

    name: str
    stream: str
    unit: str
    span: FileSpan
    least_bytes: int
    """What its samples take where they are not compressed; 0 where that is not known."""


class RunState:
    """What the documents of one run have said so far."""

    def __init__(self) -> None:
        self.streams: dict[str, UnitStream] = {}
        """By name."""
        self.files: dict[str, KnownFile] = {}
        """By name."""
        self.rejected: set[tuple[str, int, str]] = set()
        """Name, size and reason of each file that is no part."""
        self.ties: set[tuple[str, int | None, int]] = set()
        """Stream, sample and UTC of each tie point."""
        self.uid = ""
        self.started = False
        self.stopped = False
        self.datums: dict[str, int] = {}
        """First index of each StreamDatum, by uid."""
        self._by_descriptor: dict[str, str] = {}
        """Name of the stream of each descriptor."""
        self.counts: dict[str, int] = {}
        """Events of each stream."""
        self.mimetypes: dict[str, str] = {}
        """Of the resources, by uid."""
        self.rows: dict[str, int] = {}
        """Of each unit, by the name of its object."""
        self.descriptor_of: dict[str, str] = {}
        """uid of each stream's descriptor."""
        self.end = 0
        """When the last file of all ends, in nanoseconds."""

    def learn(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take note of a document of this run."""
        match name:
            case "start":
                self.uid, self.started = doc["uid"], True
                self.rows.update({unit["unit"]: unit["row"] for unit in doc.get("units", ())})
            case "descriptor":
                self._learn_descriptor(doc)
            case "stream_resource":
                self.mimetypes[doc["uid"]] = doc["mimetype"]
            case "stream_datum":
                self._learn_datum(doc)
            case "event":
                stream = self._by_descriptor[doc["descriptor"]]
                self.counts[stream] += 1
                self._learn_event(stream, doc["data"])
            case "stop":
                self.stopped = True

    def _learn_descriptor(self, doc: Mapping[str, Any]) -> None:
        name, keys = doc["name"], doc["data_keys"]
        self._by_descriptor[doc["uid"]] = name
        self.counts.setdefault(name, 0)
        self.descriptor_of[name] = doc["uid"]
        if AUDIO not in keys:
            return
        (object_name,) = doc["configuration"]
        known = doc["configuration"][object_name]["data"]
        channels = (keys[AUDIO]["shape"] or [1])[0]
        shape = Shape(numpy_dtype(keys[AUDIO]), channels, "")
        unit = known.get(SAME_AS, object_name)
        self.rows[object_name] = known["row"]
        self.streams[name] = UnitStream(name, object_name, unit, doc["uid"], shape)

    def _learn_datum(self, doc: Mapping[str, Any]) -> None:
        stream = self.streams[self._by_descriptor[doc["descriptor"]]]
        mimetype = self.mimetypes[doc["stream_resource"]]
        stream.shape = Shape(stream.shape.dtype, stream.shape.channels, mimetype)
        stream.samples = max(stream.samples, doc["indices"]["stop"])
        self.datums[doc["uid"]] = doc["indices"]["start"]

    def _learn_event(self, name: str, data: Mapping[str, Any]) -> None:
        if name == REJECTED:
            self.rejected.add((data["file"], data["size"], data["reason"]))
        elif name not in self.streams:
            self.ties.add((name, data["sample"], data["utc"]))
        else:
            stream = self.streams[name]
            span = FileSpan(
                data["first"], data["samples"], data["start"], Fraction(data["rate"]), data["precision"]
            )
            stream.spans.append(span)
            stream.last, stream.rate = data["file"], data["rate"]
            self.end = max(self.end, data["start"] + data["samples"] * SECOND // data["rate"])
            plain = data["samples"] * data["channels"] * (data["bits"] // 8)
            least = plain if stream.shape.mimetype == "audio/wav" else 0
            self.files[data["file"]] = KnownFile(data["file"], name, stream.unit, span, least)

    def stream_for(self, unit: str, shape: Shape) -> UnitStream | None:
        """Return the stream that takes a unit's files of such a shape; None if it has none yet."""
        kinds = (shape, Shape(shape.dtype, shape.channels, ""))  # the latter until its first file is there
        return next((s for s in self.streams.values() if s.unit == unit and s.shape in kinds), None)

    def streams_of(self, unit: str) -> list[UnitStream]:
        """Return the streams of a unit, the first one first."""
        return [stream for stream in self.streams.values() if stream.unit == unit]
