"""Files of a cable come in, one after the other; the documents of their run go out. `source` calls it.

    start ─ descriptor ─ stream_resource ─ stream_datum ─ event ─ … ─ stop
                         (one of each a file)

The event of a file is the last of its documents: a file without one is not recorded to its end. Every uid follows from the run's
and the file's name, so that whoever makes the documents of the same files again makes the same documents.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from tilewright.das import TIME
from tilewright.documents.resources import file_uri
from tilewright.documents.times import SECOND
from tilewright.sources.composing import Composer, datum, descriptor, event, resource, stop
from tilewright.sources.das.descriptors import (
    ARRAY,
    REJECTED,
    SAME,
    STREAM,
    configuration,
    coordinates,
    das_keys,
    rejected_keys,
)
from tilewright.sources.das.run_state import RunState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from fractions import Fraction

    from tilewright.das import Facts
    from tilewright.documents import Document
    from tilewright.sources.das.run_state import KnownFile
    from tilewright.sources.scan import Found

PLAN_NAME = "das"
SOURCE = "tilewright.sources.das"
_HDF5 = "application/x-hdf5"
_MIMETYPES = {"zarr": "application/x-zarr", "dascore": "application/x-dascore"}
"""Of the kinds that are no HDF5, or may be none."""
_CHUNK_BYTES = 2 << 20
"""About what is read as a whole, where the file's own chunks are smaller."""
NAMESPACE = uuid.UUID("0d3f7a52-93c4-5d0b-8a51-5b6f0c6e2d19")
"""Ours: what follows from other things than a run's uid."""


class RunDocuments(Composer[RunState]):
    """The documents of one run, made and learned.

    Parameters
    ----------
    uid
        Of the run.
    acquisition
        Its name.
    spacing
        Metres from one channel to the next, for files that do not tell.
    """

    def __init__(self, uid: str, acquisition: str, spacing: float | None) -> None:
        super().__init__(uid, RunState())
        self._acquisition = acquisition
        self._spacing = spacing

    def start(self, facts: Facts, continues: str | None) -> list[Document]:
        """Return the start document.

        Parameters
        ----------
        facts
            Of the first file.
        continues
            uid of the run before, if this one holds what came after its stop.
        """
        doc: dict[str, Any] = {
            "uid": self.uid,
            "time": facts.start / SECOND,
            "plan_name": PLAN_NAME,
            "source": SOURCE,
            "acquisition": self._acquisition,
            "cable": coordinates(facts, self._spacing),
            "interrogator": facts.about,
        }
        if continues is not None:
            doc["continues"] = continues
        return self._made([("start", doc)])

    def differs(self, facts: Facts, earlier: Mapping[str, Any]) -> str:
        """Say why a file cannot continue the array; empty if it can.

        Parameters
        ----------
        earlier
            What the files of the run before have in common, for the first file of this one.
        """
        there, here = self.state.start.get("cable") or earlier, coordinates(facts, self._spacing)
        odd = [
            f"{name} {here.get(name)}, not {there.get(name)}"
            for name in SAME
            if there and here.get(name) != there.get(name)
        ]
        if not odd:
            return ""
        return f"it is other than the files before it: {'; '.join(odd)}; record it as another acquisition"

    def add(self, found: Found, facts: Facts) -> Iterator[Document]:
        """Yield the documents of a file: the descriptor, if it is the first, resource, datum and event."""
        seconds = facts.start / SECOND
        settings = configuration(coordinates(facts, self._spacing), self.state.start["time"])
        yield from self._declared(STREAM, das_keys(facts), settings)
        first = self.state.samples
        yield from self._made([self._resource(found, facts), self._datum(found, facts, first)])
        before = self.state.last
        data = {
            "file": found.name,
            "start": facts.start,
            "samples": facts.samples,
            "first": first,
            "step_numerator": facts.step.numerator,
            "step_denominator": facts.step.denominator,
            "gap": None if before is None else facts.start - before.span.ends,
            "remark": "; ".join(filter(None, (facts.irregular, _sequence(before, facts)))),
        }
        yield from self._made([self._event(STREAM, found.name, seconds, data)])

    def is_told(self, found: Found, reason: str) -> bool:
        """Say whether a file was rejected before for this reason."""
        return (found.name, found.size, reason) in self.state.rejected

    def reject(self, found: Found, reason: str) -> list[Document]:
        """Return the documents of a file that is no part."""
        seconds = self.state.start["time"]
        data = {"file": found.name, "size": found.size, "reason": reason}
        declared = self._declared(REJECTED, rejected_keys(), {})
        about = "\0".join((found.name, str(found.size), reason))
        return declared + self._made([self._event(REJECTED, about, seconds, data)])

    def is_part_of(self, found: Found, documents: Iterable[Document]) -> bool:
        """Say whether these are the first documents of a file."""
        uids = {self._uid("resource", found.name), self._uid("datum", found.name)}
        return any(doc["uid"] in uids for _, doc in documents)

    def stop(self) -> list[Document]:
        """Return the stop document."""
        return self._made([stop(self.uid, self.state.end / SECOND, self.state.counts)])

    def _resource(self, found: Found, facts: Facts) -> Document:
        own, mimetype = self._uid("resource", found.name), _MIMETYPES.get(facts.kind, _HDF5)
        parameters = dict(self.state.parameters) or _parameters(facts, mimetype)
        return resource(self.uid, own, ARRAY, mimetype, file_uri("", found.place), parameters)

    def _datum(self, found: Found, facts: Facts, first: int) -> Document:
        """Return the StreamDatum of a file: a row a sample, or one row where time is the second dimension."""
        return datum(
            self._uid("datum", found.name),
            self._uid("resource", found.name),
            self.state.descriptors[STREAM],
            first=first,
            count=facts.samples if facts.dims[0] == TIME else 1,
            number=self.state.counts[STREAM] + 1,
        )

    def _event(self, stream: str, about: str, seconds: float, data: dict[str, Any]) -> Document:
        own, of_stream = self._uid("event", stream, about), self.state.descriptors[stream]
        return event(own, of_stream, self.state.counts[stream] + 1, seconds, data)

    def _declared(self, stream: str, keys: dict[str, Any], settings: Mapping[str, Any]) -> list[Document]:
        """Return the descriptor of a stream, if it has none yet; the same whichever file comes first."""
        if stream in self.state.descriptors:
            return []
        return self._made([descriptor(self.uid, stream, self.state.start["time"], keys, settings=settings)])


def _parameters(facts: Facts, mimetype: str) -> dict[str, Any]:
    """Return the parameters of an array's StreamResources."""
    rate = 1 / facts.step
    parameters: dict[str, Any] = {"dataset": facts.dataset} if facts.dataset else {}
    parameters["chunk_shape"] = chunk_shape(facts)
    parameters["rate"] = int(rate) if rate.denominator == 1 else float(rate)
    if facts.dims[0] != TIME:
        parameters["join_method"] = "concat"
    if mimetype == _HDF5:
        parameters["swmr"] = False  # nobody writes it any longer
    return parameters


def chunk_shape(facts: Facts) -> list[int]:
    """Return in which pieces an array is to be read: the file's chunks, as many along time as make some megabytes.

    Of a file that is stored as one piece: samples of all channels. An array of one channel has one dimension.
    """
    along = facts.dims.index(TIME)
    chunk = list(facts.chunks or facts.shape)
    if facts.chunks is None:
        chunk[along] = 1
    size = chunk[0] * chunk[1] * facts.dtype.itemsize
    chunk[along] *= max(1, _CHUNK_BYTES // size)
    return chunk[:1] if along == 0 and facts.channels == 1 else chunk


def _sequence(before: KnownFile | None, facts: Facts) -> str:
    """Return a clause if a file does not begin where the one before it ends, within half a step."""
    if before is None:
        return ""
    gap = facts.start - before.span.ends
    if abs(gap) <= facts.step * SECOND / 2:
        return ""
    if gap > 0:
        return f"it starts {_seconds(gap, facts.step)} after {before.name} ends: a gap"
    if facts.start < before.span.start:
        return f"it starts {_seconds(before.span.start - facts.start, facts.step)} before {before.name}, after which it lies in the array: it came late"
    return f"it overlaps {before.name} by {_seconds(-gap, facts.step)}"


def _seconds(nanoseconds: int, step: Fraction) -> str:
    """Return a duration for people.

    >>> from fractions import Fraction
    >>> _seconds(1_500_000_000, Fraction(1, 200))
    '1.5 s (300 samples)'
    """
    return f"{nanoseconds / SECOND:.9g} s ({float(nanoseconds / SECOND / step):,.6g} samples)"
