"""The documents of one file of a unit, where recordings have their own: `run_documents` makes them, `rebuilding` makes them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.audio import chunk_frames
from tilewright.sources import composing
from tilewright.sources.composing import uid_of
from tilewright.sources.recordings.descriptors import REJECTED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tilewright.documents import Document
    from tilewright.sources.recordings.facts import Shape


def in_place(place: str, shape: Shape, rate: int) -> tuple[str, dict[str, Any]]:
    """Return the URI of a file that stays where it is, and the parameters of its StreamResource."""
    return f"file://localhost{place}", {
        "chunk_shape": [chunk_frames(shape.dtype, shape.channels)],
        "rate": rate,
    }


def event(
    run: str, stream: str, descriptor: str, *, number: int, seconds: float, data: Mapping[str, Any]
) -> Document:
    """Return the event of a file, a tie point or a rejected file, the `number`th of its stream."""
    own = uid_of(run, "event", stream, *_about(stream, data))
    return composing.event(own, descriptor, number, seconds, data)


def _about(stream: str, data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what an event is about, which no other of its stream is."""
    if stream == REJECTED:
        return data["file"], str(data["size"]), data["reason"]
    return (data["file"],) if "file" in data else (str(data["sample"]), str(data["utc"]))
