"""Tiles come in, the documents of the run that they make go out, and what documents there are of it is learned. `images` calls it.

    start ─ descriptor ─ stream_resource ─ stream_datum ─ event ─ … ─ stop
                         (one of each a tile)

The event of a tile is the last of its documents: a tile without one is made again. Every uid follows from the run's and from what the
tile is of, so that whoever makes it again makes the same documents.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from tilewright.documents.resources import file_uri
from tilewright.documents.times import SECOND
from tilewright.formats.png import MIMETYPE as PNG
from tilewright.processing.pictures import SIZE
from tilewright.sources.composing import Composer, RunStreams, datum, descriptor, event, resource, stop

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tilewright.documents import Document
    from tilewright.processing.grid import Area
    from tilewright.processing.pictures import Drawing, Summary

STREAM, ARRAY = "tiles", "picture"
PLAN_NAME, SOURCE = "das_images", "tilewright.processing"
NAMESPACE = uuid.UUID("5e7a3c1d-0b64-5c9a-9d52-7f1e8a4b6c30")
"""Ours: what follows from what is processed, and how."""
PROGRAMS = ("tilewright", "numpy", "scipy", "pillow")
"""Whose versions are told."""
_INTEGER: dict[str, Any] = {"dtype": "integer", "dtype_numpy": "<i8"}
_NUMBER: dict[str, Any] = {"dtype": "number", "dtype_numpy": "<f8"}
_TEXT: dict[str, Any] = {"dtype": "string"}


@dataclass(frozen=True, slots=True)
class About:
    """What a run tells of itself."""

    began: int
    """When the first sample was taken: nanoseconds since 1970, UTC."""
    drawing: Drawing
    raw: Mapping[str, Any]
    """The start document of the run that is processed."""
    selection: Mapping[str, Any]
    """Which channels and times of it."""
    continues: str | None
    """uid of the run before, if this one has what that one lacks."""


@dataclass(slots=True)
class TileState(RunStreams):
    """What the documents of one run have said so far."""

    files: dict[tuple[int, int], str] = field(default_factory=dict)
    """Of the tiles that there are, by `Area.key`."""
    end: int = 0
    """When the last of them ends, in nanoseconds."""

    def learn_more(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take note of a tile."""
        if name == "event":
            data = doc["data"]
            self.files[data["first_sample"], data["first_channel"]] = data["file"]
            self.end = max(self.end, data["stop"])


class TileDocuments(Composer[TileState]):
    """The documents of one run, made and learned.

    Parameters
    ----------
    uid
        Of the run.
    folder
        Of its pictures.
    in_metres
        Whether distances are metres, and not numbers of channels.
    """

    def __init__(self, uid: str, folder: Path, *, in_metres: bool) -> None:
        super().__init__(uid, TileState())
        self._folder = folder
        self._in_metres = in_metres

    def start(self, about: About) -> list[Document]:
        """Return the start document."""
        raw, drawing = about.raw, about.drawing
        doc: dict[str, Any] = {
            "uid": self.uid,
            "time": about.began / SECOND,
            "plan_name": PLAN_NAME,
            "source": SOURCE,
            "derived_from": raw["uid"],
            "acquisition": raw.get("acquisition") or raw["uid"][:8],
            "pipeline": drawing.pipeline.to_json(),
            "tiling": asdict(drawing.tiling),
            "scale": asdict(drawing.scale),
            "selection": dict(about.selection),
            "software": {name: version(name) for name in PROGRAMS},
            "folder": str(self._folder),
        }
        if about.continues is not None:
            doc["continues"] = about.continues
        return self._made([("start", doc)])

    def add(self, area: Area, summary: Summary, file: str) -> list[Document]:
        """Return the documents of a tile: the descriptor, if it is the first, resource, datum and event."""
        made = []
        if STREAM not in self.state.descriptors:
            keys = tile_keys(in_metres=self._in_metres)
            made += self._made([descriptor(self.uid, STREAM, self.state.start["time"], keys)])
        of, number = tuple(map(str, area.key)), self.state.counts[STREAM]
        own, of_stream = self._uid("resource", *of), self.state.descriptors[STREAM]
        uri = file_uri("", str(self._folder / file))
        data = {"file": file, **asdict(area), **asdict(summary), "version": version("tilewright")}
        made += self._made(
            [
                resource(self.uid, own, ARRAY, PNG, uri, {}),
                datum(
                    self._uid("datum", *of),
                    own,
                    of_stream,
                    first=0,
                    count=1,
                    number=number + 1,
                ),
                event(self._uid("event", *of), of_stream, number + 1, area.start / SECOND, data),
            ]
        )
        return made

    def stop(self) -> list[Document]:
        """Return the stop document."""
        return self._made([stop(self.uid, self.state.end / SECOND, self.state.counts)])


def tile_keys(*, in_metres: bool) -> dict[str, dict[str, Any]]:
    """Return the data keys of a tile: `picture` lies in a file, all others in the table.

    minimum, maximum, mean: of the values that the pipeline made of its samples. version: of Tilewright, which made it.
    """
    distance = {**_NUMBER, "units": "m"} if in_metres else _NUMBER
    keys = {
        ARRAY: {
            "dtype": "array",
            "dtype_numpy": "|u1",
            "shape": [SIZE, SIZE],
            "dims": ["time", "distance"],
            "external": "STREAM:",
        },
        "file": _TEXT,
        "start": {**_INTEGER, "units": "ns"},
        "stop": {**_INTEGER, "units": "ns"},
        "first_sample": _INTEGER,
        "stop_sample": _INTEGER,
        "first_channel": _INTEGER,
        "stop_channel": _INTEGER,
        "distance_start": distance,
        "distance_stop": distance,
        "minimum": _NUMBER,
        "maximum": _NUMBER,
        "mean": _NUMBER,
        "version": _TEXT,
    }
    common = {"source": SOURCE, "object_name": STREAM}
    return {key: {"shape": [], **described, **common} for key, described in keys.items()}
