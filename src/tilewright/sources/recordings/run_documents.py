"""Files of units come in, one after the other; the documents of the run they belong to go out. `source` calls it.

    start ─ descriptor of a unit ─ stream_resource ─ stream_datum ─ event ─ … ─ stop
                                   (one of each a file; a store has one resource a unit)

All that is known of the run is learned from its documents, those made here and those of a run that is carried on alike: there is
one way to know that a unit has 17 files and 8,160,000 samples. Every uid follows from the run's and the file's name, so that
whoever makes the documents of the same files again makes the same documents.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Protocol

from tilewright.documents import Distinct, path_segment
from tilewright.documents.times import SECOND
from tilewright.sources.composing import Composer, datum, descriptor, resource, stop
from tilewright.sources.recordings.descriptors import (
    AUDIO,
    CLOCK_PREFIX,
    REJECTED,
    SAME_AS,
    about,
    clock_keys,
    configuration,
    recording_keys,
    rejected_keys,
)
from tilewright.sources.recordings.facts import Shape
from tilewright.sources.recordings.forms import event, in_place
from tilewright.sources.recordings.run_state import RunState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tilewright.documents import Document
    from tilewright.documents.clocks import TiePoint
    from tilewright.sources.recordings.facts import Recorded, Rejected
    from tilewright.sources.recordings.run_state import UnitStream

PLAN_NAME = "recordings"
SOURCE = "tilewright.sources.recordings"
NAMESPACE = uuid.UUID("6f0f4b4e-6f0c-5c59-8f5c-3b8f8a3f0a55")
"""Ours: what follows from other things than a run's uid."""


class Place(Protocol):
    """Where samples are converted to: `converting.Conversion`."""

    @property
    def mimetype(self) -> str:
        """Of its stores."""

    def resource(self, stream: str, shape: Shape, rate: int) -> tuple[str, dict[str, Any]]:
        """Return the URI of a stream's array, and the parameters of its StreamResource."""

    def begun(self, stream: str) -> str | None:
        """Return the name of the file that was being written to a stream when the run was cut off."""

    def write(self, stream: str, recorded: Recorded, first: int, rate: int) -> None:
        """Have the samples of a file there, from an index on; may be repeated."""

    def finish(self) -> None:
        """Know that the run is over."""

    def close(self) -> None:
        """Let go of what is open; the run may be carried on."""


class RunDocuments(Composer[RunState]):
    """The documents of one run, made and learned.

    Parameters
    ----------
    uid
        Of the run.
    deployment
        Its name.
    place
        Where the samples are converted to; None: the files stay where they are, and are pointed to.
    """

    def __init__(self, uid: str, deployment: str, place: Place | None = None) -> None:
        super().__init__(uid, RunState())
        self.deployment = deployment
        self._place = place

    def start(
        self, first: int, units: Mapping[str, Mapping[str, Any]], continues: str | None = None
    ) -> list[Document]:
        """Return the start document.

        Parameters
        ----------
        first
            When the first file starts, in nanoseconds.
        units
            What is known of each unit, in the order of their rows where these are not known.
        continues
            uid of the run before, if this one holds what came after its stop.
        """
        doc: dict[str, Any] = {
            "uid": self.uid,
            "time": first / SECOND,
            "plan_name": PLAN_NAME,
            "deployment": self.deployment,
            "source": SOURCE,
            "units": [self._unit(unit, known) for unit, known in units.items()],
        }
        if continues is not None:
            doc["continues"] = continues
        return self._made([("start", doc)])

    def add(self, recorded: Recorded, known: Mapping[str, Any]) -> Iterator[Document]:
        """Yield the documents of a file: its unit's descriptor, if it is the first, resource, datum and event.

        Parameters
        ----------
        known
            What is known of its unit beside what the file says.
        """
        stream = self.state.stream_for(recorded.unit, self._shape(recorded))
        if stream is None:
            ((_, declared),) = made = self._made([self._unit_descriptor(recorded, known)])
            yield from made
            stream = self.state.streams[declared["name"]]
        of_file, part = self._datum(stream, recorded)
        first = part[1]["indices"]["start"]
        if self._place is not None:
            self._place.write(stream.name, recorded, first, _first_rate(stream, recorded))
        documents = [self._recording(stream, recorded, first)]
        if part[1]["uid"] not in self.state.datums:  # the run may have been cut off before its event
            documents.insert(0, part)
        if of_file[1]["uid"] not in self.state.mimetypes:
            documents.insert(0, of_file)
        yield from self._made(documents)

    def is_begun(self, recorded: Recorded) -> bool:
        """Say whether a file has its place in the array, but no event: the run was cut off there, and it comes first now."""
        stream = self.state.stream_for(recorded.unit, self._shape(recorded))
        if stream is None:
            return False
        is_written = self._place is not None and self._place.begun(stream.name) == recorded.found.name
        return is_written or self._datum_uid(stream, recorded) in self.state.datums

    def reject(self, rejected: Rejected) -> list[Document]:
        """Return the documents of a file that is no part; none if they were made before."""
        found = rejected.found
        if (found.name, found.size, rejected.reason) in self.state.rejected:
            return []
        data = {"file": found.name, "size": found.size, "reason": rejected.reason}
        return self._sparse(REJECTED, rejected_keys(), REJECTED, found.modified, data)

    def tie(self, stream: str, point: TiePoint, origin: str) -> list[Document]:
        """Return the documents of a tie point of a unit's clock; none if they were made before."""
        name = f"{CLOCK_PREFIX}{stream}"
        if (name, point.sample, point.utc) in self.state.ties:
            return []
        data = {
            "sample": point.sample,
            "nominal": point.nominal,
            "utc": point.utc,
            "uncertainty": point.uncertainty,
            "origin": origin,
        }
        return self._sparse(name, clock_keys(stream), stream, point.utc, data)

    def close(self) -> None:
        """End the stores, if there are any; the run may be carried on."""
        if self._place is not None:
            self._place.close()

    def stop(self) -> list[Document]:
        """Return the stop document."""
        if self._place is not None:
            self._place.finish()
        return self._made([stop(self.uid, self.state.end / SECOND, self.state.counts)])

    def _unit_descriptor(self, recorded: Recorded, known: Mapping[str, Any]) -> Document:
        facts = {**recorded.about_unit, **known}
        object_name, number = recorded.unit, len(self.state.streams_of(recorded.unit))
        if number:  # its files are not all of one kind
            facts = {**facts, "row": None, SAME_AS: recorded.unit}
        while number and object_name in self.state.rows:  # X_2, unless a unit is really called so
            number += 1
            object_name = f"{recorded.unit}_{number}"
        name = Distinct([REJECTED, *self.state.descriptor_of]).claim(_stream_name(object_name))
        facts = self._unit(object_name, facts)
        time = recorded.start / SECOND
        keys = recording_keys(object_name, recorded.shape.dtype, recorded.shape.channels)
        settings = configuration(object_name, facts, time)
        return descriptor(self.uid, name, time, keys, object_name=object_name, settings=settings)

    def _datum(self, stream: UnitStream, recorded: Recorded) -> tuple[Document, Document]:
        """Return the StreamResource and the StreamDatum of a file; a store has one resource a stream."""
        shape, uid = self._shape(recorded), self._datum_uid(stream, recorded)
        if self._place is None:
            of_resource = self._uid("resource", stream.name, recorded.found.name)
            uri, parameters = in_place(recorded.found.place, shape, recorded.rate)
        else:
            of_resource = self._uid("resource", stream.name)
            uri, parameters = self._place.resource(stream.name, shape, _first_rate(stream, recorded))
        return resource(self.uid, of_resource, AUDIO, shape.mimetype, uri, parameters), datum(
            uid,
            of_resource,
            stream.descriptor,
            first=self.state.datums.get(uid, stream.samples),
            count=recorded.samples,
            number=self.state.counts[stream.name] + 1,
        )

    def _datum_uid(self, stream: UnitStream, recorded: Recorded) -> str:
        return self._uid("datum", stream.name, recorded.found.name)

    def _recording(self, stream: UnitStream, recorded: Recorded, first: int) -> Document:
        """Return the event of a file."""
        end = stream.end
        data = {
            "file": recorded.found.name,
            "start": recorded.start,
            "samples": recorded.samples,
            "first": first,
            "rate": recorded.rate,
            "bits": recorded.bits,
            "channels": recorded.shape.channels,
            "battery": recorded.battery,
            "temperature": recorded.temperature,
            "gap": None if end is None else recorded.start - end,
            "precision": recorded.precision,
            "start_from": recorded.start_from,
            "remark": "; ".join(part for part in (recorded.remark, *_remarks(stream, recorded)) if part),
        }
        return self._event(stream.name, recorded.start, data)

    def _event(self, stream: str, time: int, data: dict[str, Any]) -> Document:
        of_stream, number = self.state.descriptor_of[stream], self.state.counts[stream] + 1
        return event(self.uid, stream, of_stream, number=number, seconds=time / SECOND, data=data)

    def _sparse(
        self, name: str, keys: dict[str, Any], object_name: str, time: int, data: dict[str, Any]
    ) -> list[Document]:
        """Return an event of a stream that has few, with its descriptor before the first."""
        made = []
        if name not in self.state.descriptor_of:
            made = self._made([descriptor(self.uid, name, time / SECOND, keys, object_name=object_name)])
        return made + self._made([self._event(name, time, data)])

    def _unit(self, unit: str, known: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the documents say of a unit; one whose row nobody said has the next."""
        row = known.get("row")
        row = self.state.rows.get(unit) if row is None else row
        if row is None:
            row = max(self.state.rows.values(), default=-1) + 1
        self.state.rows[unit] = row
        return {"unit": unit, "row": row, **about(known)}

    def _shape(self, recorded: Recorded) -> Shape:
        shape = recorded.shape
        return shape if self._place is None else Shape(shape.dtype, shape.channels, self._place.mimetype)


def _first_rate(stream: UnitStream, recorded: Recorded) -> int:
    """Return the rate of a stream's first file, in Hz, which its store has: that may be this one."""
    return int(stream.spans[0].rate) if stream.spans else recorded.rate


def _stream_name(unit: str) -> str:
    """Return the name of a unit's stream; none begins as those of the clocks do.

    >>> _stream_name("24F3190361DA539A"), _stream_name("clock_1"), _stream_name("north/1")
    ('24F3190361DA539A', 'unit_clock_1', 'north_1')
    """
    segment = path_segment(unit)
    return f"unit_{segment}" if segment.startswith(CLOCK_PREFIX) else segment


def _remarks(stream: UnitStream, recorded: Recorded) -> Iterator[str]:
    """Yield what is odd about a file after the one before it in the array, each a clause."""
    if not stream.spans:
        return
    if recorded.rate != stream.rate:
        yield f"its rate is {recorded.rate} Hz, that of {stream.last} before it {stream.rate} Hz"
    before, gap = stream.spans[-1], recorded.start - (stream.end or 0)
    if recorded.start < before.start:
        yield (
            f"it starts {_seconds(before.start - recorded.start)} before {stream.last}, after which it lies in the array: it came"
            " late, or the unit's clock was set back"
        )
    elif recorded.start == before.start:
        yield f"it starts when {stream.last} does, and is another recording: two units have one name, or a clock was set back"
    elif -gap > max(recorded.precision, before.precision):
        yield (
            f"it overlaps {stream.last} by {_seconds(-gap)}: the unit's clock was set back, or two units have one name"
        )


def _seconds(nanoseconds: int) -> str:
    """Return a duration for people.

    >>> _seconds(3_600_000_000_000), _seconds(1_234_567_890)
    ('3600 s', '1.235 s')
    """
    return f"{nanoseconds / SECOND:.3f}".rstrip("0").rstrip(".") + " s"
