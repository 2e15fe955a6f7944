"""Runs to be written, made beforehand: `event_model` checks each document against its schema, which takes longer than
writing it.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
from event_model import compose_run

from tilewright.testing.documents import simple_run, value_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tilewright.documents import Document

PICTURE = np.arange(256, dtype="<u2").reshape(16, 16)
"""What every file of a sequence shows."""
CAMERA = "camera"
"""The data key of the pictures."""


def run(events: int, keys: int) -> list[Document]:
    """Return a run of one stream of float keys, whose values say where they belong."""
    return list(stream(events, keys))


def stream(events: int, keys: int) -> Iterator[Document]:
    """Yield the same, document by document, for runs that would not go into memory."""
    start, descriptor, (_, first), (_, stop) = simple_run(events=1, keys=keys)
    yield from (start, descriptor)
    names = list(first["data"])
    for number in range(1, events + 1):
        yield "event", event_of(first, names, number)
    yield "stop", {**stop, "num_events": {"primary": events}}


def event_of(first: dict[str, Any], names: list[str], number: int) -> dict[str, Any]:
    """Return the event of a number, like the first one."""
    when = first["time"] + number
    return {
        **first,
        "uid": str(uuid.uuid4()),
        "seq_num": number,
        "time": when,
        "data": {name: value_of(number, column) for column, name in enumerate(names)},
        "timestamps": {name: when + column / 1000 for column, name in enumerate(names)},
    }


def paged(documents: list[Document], rows: int) -> list[Document]:
    """Return a run with so many events in each event_page."""
    events = [doc for name, doc in documents if name == "event"]
    pages = [("event_page", page_of(events[n : n + rows])) for n in range(0, len(events), rows)]
    return [*documents[:2], *pages, documents[-1]]


def page_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return events as columns."""
    return {
        "descriptor": events[0]["descriptor"],
        **{field: [event[field] for event in events] for field in ("uid", "seq_num", "time")},
        **{
            field: {key: [event[field][key] for event in events] for key in events[0][field]}
            for field in ("data", "timestamps")
        },
        "filled": {},
    }


class Sequence:
    """A run whose only data are a sequence of TIFF files, as ophyd-async's detectors tell of it."""

    def __init__(self, folder: Path) -> None:
        bundle = compose_run()
        self.uid: str = bundle.start_doc["uid"]
        height, width = PICTURE.shape
        spec = {
            "source": "sim://camera",
            "dtype": "array",
            "dtype_numpy": PICTURE.dtype.str,
            "shape": [1, height, width],
            "external": "STREAM:",
        }
        described = bundle.compose_descriptor(name="primary", data_keys={CAMERA: spec})
        resource = bundle.compose_stream_resource(
            mimetype="multipart/related;type=image/tiff",
            uri=f"file://localhost{folder}/",
            data_key=CAMERA,
            parameters={"template": "frame_{:06d}.tif", "chunk_shape": (1, height, width)},
        )
        self.opening: list[Document] = [
            ("start", bundle.start_doc),
            ("descriptor", described.descriptor_doc),
            ("stream_resource", resource.stream_resource_doc),
        ]
        self._descriptor: str = described.descriptor_doc["uid"]
        self._resource: str = resource.stream_resource_doc["uid"]
        self._compose_stop = bundle.compose_stop

    def datum(self, start: int, stop: int) -> Document:
        """Return the document that says that these files are there."""
        return "stream_datum", {
            "uid": f"{self._resource}/{start}",
            "stream_resource": self._resource,
            "descriptor": self._descriptor,
            "indices": {"start": start, "stop": stop},
            "seq_nums": {"start": start + 1, "stop": stop + 1},
        }

    def stop(self) -> Document:
        """Return the run's last document."""
        return "stop", self._compose_stop()


def write_files(folder: Path, count: int) -> None:
    """Write a sequence of files: one file, by many names."""
    import tifffile  # noqa: PLC0415 - for two of the scripts only

    folder.mkdir(parents=True)
    first = folder / "frame_000000.tif"
    tifffile.imwrite(first, PICTURE)
    for number in range(1, count):
        os.link(first, folder / f"frame_{number:06d}.tif")
