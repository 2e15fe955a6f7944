"""A case, and the documents of a run whose values lie in files."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack
    from pathlib import Path

    Document = tuple[str, dict[str, Any]]

HDF5 = "application/x-hdf5"
TIFF = "multipart/related;type=image/tiff"
JPEG = "multipart/related;type=image/jpeg"
PNG = "multipart/related;type=image/png"
NPY = "multipart/related;type=application/x-npy"
CSV = "text/csv;header=absent"
ZARR = "application/x-zarr"
TILEDB = "application/x-tiledb"
WAV, FLAC = "audio/wav", "audio/flac"
TFRECORD = "application/x-tfrecord"
NPY_ROWS = "application/x-npy-rows"
BYTES = "application/octet-stream"

FORMATS = (
    "HDF5",
    "TIFF",
    "JPEG",
    "PNG",
    "NPY",
    "CSV",
    "Zarr 2",
    "Zarr 3",
    "TileDB",
    "WAV and FLAC",
    "TFRecord",
    "bytes",
    "in events",
)
"""In the order of the page; what is in events has no file at the end, whatever it was read out of."""

TODAY = "StreamResource, StreamDatum"
FIRST = "StreamResource of the first schema"
RESOURCE = "Resource, Datum"
EVENT = "Event, filled"

START = 1_700_000_000.0


@dataclass(frozen=True, slots=True)
class Written:
    """What a case has written: files, and what is said of them."""

    documents: Sequence[Document]
    expected: dict[str, Any]
    """By data key of the stream `primary`: the array in the files, or the bytes of each where they are no arrays."""


@dataclass(frozen=True, slots=True)
class Case:
    """One way in which a detector writes files and documents."""

    name: str
    title: str
    """What is special about it, in a few words."""
    format: str
    dialect: str
    write: Callable[[Path, ExitStack], Written]
    """Writes the files into a folder; what has to go on until they have been read ends with the stack."""


CASES: list[Case] = []


def case(format: str, dialect: str = TODAY) -> Callable[[Any], Any]:  # noqa: A002 - what it is
    """Add a function to the cases, under its own name."""

    def add(function: Any) -> Any:
        title = function.__doc__.strip().rstrip(".")
        CASES.append(Case(function.__name__, title, format, dialect, function))
        return function

    return add


def indexed(*shape: int, dtype: str = "<u2") -> np.ndarray:
    """Return an array each of whose values is its index."""
    return np.arange(np.prod(shape, dtype=int)).astype(dtype).reshape(shape)


def external(shape: Sequence[int], dtype: Any = "<u2", /, **changes: Any) -> dict[str, Any]:
    """Return the description of a data key whose values lie in files."""
    spec = {
        "source": "corpus",
        "dtype": "array",
        "dtype_numpy": dtype,
        "shape": list(shape),
        "external": "STREAM:",
    }
    return {key: value for key, value in {**spec, **changes}.items() if value is not None}


def file_uri(path: Path, *, slash: bool = False) -> str:
    return f"file://localhost{path}{'/' if slash else ''}"


class Emitter:
    """Gathers the documents of one run; each method adds some.

    Parameters
    ----------
    data_keys
        Those whose values lie in files.
    """

    def __init__(self, **data_keys: dict[str, Any]) -> None:
        self.uid = str(uuid.uuid4())
        self.documents: list[Document] = []
        self._seq_nums: dict[str, int] = {}  # the last one of each stream
        self._streams: dict[str, str] = {}  # by descriptor
        self.add("start", uid=self.uid, time=START)
        self.descriptor(**data_keys)

    def add(self, document: str, **doc: Any) -> dict[str, Any]:
        self.documents.append((document, doc))
        return doc

    def descriptor(self, stream: str = "primary", **data_keys: dict[str, Any]) -> str:
        """Describe a stream, and return the descriptor's uid; the events from here on belong to it."""
        internal = {"source": "corpus", "dtype": "number", "shape": [], "dtype_numpy": "<f8"}
        self.described = str(uuid.uuid4())
        self._streams[self.described] = stream
        self.add(
            "descriptor",
            uid=self.described,
            run_start=self.uid,
            name=stream,
            time=START,
            data_keys={"x": internal, **data_keys},
            configuration={},
            object_keys={"corpus": ["x", *data_keys]},
        )
        return self.described

    def resource(self, mimetype: str, uri: str, data_key: str = "img", **parameters: Any) -> str:
        """Announce a file, and return the StreamResource's uid."""
        return self.old_resource(
            "stream_resource", mimetype=mimetype, uri=uri, data_key=data_key, parameters=parameters
        )

    def old_resource(self, document: str, **fields: Any) -> str:
        """Announce a file in the words of any schema."""
        doc = self.add(document, uid=str(uuid.uuid4()), run_start=self.uid, **fields)
        return str(doc["uid"])

    def datum(
        self, resource: str, start: int, stop: int, *, seq_nums: tuple[int, int] | None = None
    ) -> dict[str, Any]:
        """Say that rows of a StreamResource are there; their events are those of the same number unless told otherwise."""
        first, last = seq_nums or (start + 1, stop + 1)
        return self.add(
            "stream_datum",
            uid=f"{resource}/{start}",
            stream_resource=resource,
            descriptor=self.described,
            indices={"start": start, "stop": stop},
            seq_nums={"start": first, "stop": last},
        )

    def old_datum(self, resource: str, number: int, **kwargs: Any) -> str:
        """Add a Datum, and return its id."""
        doc = self.add("datum", datum_id=f"{resource}/{number}", resource=resource, datum_kwargs=kwargs)
        return str(doc["datum_id"])

    def event(self, *, filled: bool = False, **values: Any) -> None:
        """Add an event; `values` are those of the data keys beside `x`: datum ids, or the values themselves."""
        stream = self._streams[self.described]
        seq_num = self._seq_nums[stream] = self._seq_nums.get(stream, 0) + 1
        data = {"x": float(seq_num), **values}
        self.add(
            "event",
            uid=str(uuid.uuid4()),
            descriptor=self.described,
            seq_num=seq_num,
            time=START + seq_num,
            data=data,
            timestamps=dict.fromkeys(data, START + seq_num),
            filled=dict.fromkeys(values, filled),
        )

    def events(self, count: int) -> None:
        for _ in range(count):
            self.event()

    def steps(self, *resources: str, start: int = 0, stop: int) -> None:
        """Add events, each after a StreamDatum of each of the resources."""
        for index in range(start, stop):
            for resource in resources:
                self.datum(resource, index, index + 1)
            self.event()

    def written(self, **expected: Any) -> Written:
        """End the run; `expected` is what lies in the files, by data key."""
        self.add("stop", uid=str(uuid.uuid4()), run_start=self.uid, time=START + 100, exit_status="success")
        return Written(tuple(self.documents), expected)
