"""The documents of an acquisition's run come in, what they say goes out: which files it has, and how long its array is.

`run_documents` learns from those it makes, and from those of a run that is carried on, in one way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tilewright.documents.times import FileSpan
from tilewright.sources.composing import RunStreams
from tilewright.sources.das.descriptors import REJECTED

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that is part of the array."""

    name: str
    span: FileSpan


@dataclass(slots=True)
class RunState(RunStreams):
    """What the documents of one run have said so far."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Of its StreamResources."""
    files: dict[str, KnownFile] = field(default_factory=dict)
    """By name, in the order of the array."""
    rejected: set[tuple[str, int, str]] = field(default_factory=set)
    """Name, size and reason of each file that is no part."""

    def learn_more(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take note of a file."""
        if name == "stream_resource":
            self.parameters = self.parameters or doc["parameters"]
        elif name == "event":
            self._learn_file(self.stream_of(doc), doc["data"])

    @property
    def last(self) -> KnownFile | None:
        """The last file of the array; None if there is none."""
        return next(reversed(self.files.values()), None)

    @property
    def samples(self) -> int:
        """How many samples each channel of the array has."""
        return 0 if self.last is None else self.last.span.first + self.last.span.samples

    @property
    def end(self) -> int:
        """When the last file of all ends, in nanoseconds."""
        return max((file.span.ends for file in self.files.values()), default=0)

    def _learn_file(self, stream: str, data: Mapping[str, Any]) -> None:
        if stream == REJECTED:
            self.rejected.add((data["file"], data["size"], data["reason"]))
            return
        rate = Fraction(data["step_denominator"], data["step_numerator"])
        span = FileSpan(data["first"], data["samples"], data["start"], rate, precision=0)
        self.files[data["file"]] = KnownFile(data["file"], span)
