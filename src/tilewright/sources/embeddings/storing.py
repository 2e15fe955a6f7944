"""Where the vectors of a dataset are: left in their files, or written out. `source` hands them on, `run_documents` asks where they are.

    register    in the TFRecords, where they were      a resource a file
    npy         an NPY file for each TFRecord          a resource a file
    zarr        one compressed array                   one resource

What a document promises has been read back and compared before.
"""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from tilewright.documents.resources import file_uri
from tilewright.errors import InputError, SetupError
from tilewright.sources.durable import sync_directory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tilewright.sources.embeddings.facts import Contents

TFRECORD, NPY, ZARR = "application/x-tfrecord", "application/x-npy-rows", "application/x-zarr"
DTYPES: dict[str, np.dtype[Any]] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}
STORES = ("register", "npy", "zarr")
CHUNK_BYTES = 2 << 20
"""About what is read as a whole."""
_CHUNKS_IN_SHARD = 64
_ZSTD_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Lies:
    """Where the vectors of a file are."""

    mimetype: str
    uri: str
    parameters: dict[str, Any]
    is_of_file: bool
    """Whether the resource is this file's alone."""


class Place(ABC):
    """A place for the vectors of a dataset, one file after the other: `begin`, `take` for some at a time, `finish`.

    Parameters
    ----------
    folder
        Of what is written; that of one run.
    dtype
        As they are stored.
    """

    def __init__(self, folder: Path, dtype: np.dtype[Any]) -> None:
        self.folder = folder
        self.dtype = dtype

    def begin(self, number: int, first: int) -> None:  # noqa: B027 - there may be nothing to do
        """Begin with file `number`, whose first vector has index `first` in the dataset. May be repeated."""

    @abstractmethod
    def take(self, vectors: NDArray[np.float32]) -> int:
        """Take vectors, shape (vectors, dimension); say how many had values that are too large."""

    @abstractmethod
    def finish(self, path: Path, contents: Contents) -> Lies:
        """Have the vectors of the file where they are to be, and say where that is.

        Raises
        ------
        SetupError
            If the disk does not take them, or gives others back.
        """

    def converted(self, vectors: NDArray[np.float32]) -> tuple[NDArray[Any], int]:
        """Return vectors as they are stored, and how many of them have values that became infinite."""
        with np.errstate(over="ignore"):
            stored = vectors.astype(self.dtype)
        if self.dtype.itemsize == vectors.itemsize:
            return stored, 0
        return stored, int((~np.isfinite(stored)).any(axis=1).sum())


class InPlace(Place):
    """The vectors stay in the TFRecords."""

    def take(self, vectors: NDArray[np.float32]) -> int:  # noqa: ARG002 - they are there already
        """Leave them where they are."""
        return 0

    def finish(self, path: Path, contents: Contents) -> Lies:
        """Say where they are."""
        parameters = {
            "chunk_shape": [chunk_rows(self.dtype, contents.dimension)],
            "stretches": [list(stretch) for stretch in contents.stretches],
        }
        return Lies(TFRECORD, file_uri("", str(path)), parameters, is_of_file=True)


class InNPY(Place):
    """An NPY file for each TFRecord, as `numpy.load` reads it."""

    def __init__(self, folder: Path, dtype: np.dtype[Any]) -> None:
        super().__init__(folder, dtype)
        self._number = 0
        self._file: BinaryIO | None = None
        self._rows = self._sum = 0

    def begin(self, number: int, first: int) -> None:  # noqa: ARG002 - each file begins with its own
        """Begin a file."""
        from google_crc32c import value  # noqa: PLC0415 - an extra

        self._abandon()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._number, self._rows, self._sum = number, 0, value(b"")

    def take(self, vectors: NDArray[np.float32]) -> int:
        """Write them."""
        from google_crc32c import extend  # noqa: PLC0415 - an extra

        stored, overflowed = self.converted(vectors)
        if self._file is None:
            self._file = self._beside.open("wb", buffering=1 << 20)
            self._file.write(_header(self.dtype, 0, vectors.shape[1]))
        data = stored.tobytes()
        self._file.write(data)
        self._sum = extend(self._sum, data)
        self._rows += len(stored)
        return overflowed

    def finish(self, path: Path, contents: Contents) -> Lies:
        """Have the file on the disk, and read it again."""
        place = self.folder / f"{self._number:05d}_{path.stem}.npy"
        if self._file is not None:
            self._file.seek(0)
            self._file.write(_header(self.dtype, self._rows, contents.dimension))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
            self._check(contents.rows, contents.dimension)
            self._beside.replace(place)
            sync_directory(self.folder)
        parameters = {"chunk_shape": [chunk_rows(self.dtype, contents.dimension)]}
        return Lies(NPY, file_uri("", str(place)), parameters, is_of_file=True)

    @property
    def _beside(self) -> Path:
        return self.folder / f"{self._number:05d}.writing"

    def _check(self, rows: int, dimension: int) -> None:
        from google_crc32c import extend, value  # noqa: PLC0415 - an extra

        found = value(b"")
        with self._beside.open("rb") as file:
            header = file.read(len(_header(self.dtype, rows, dimension)))
            while data := file.read(CHUNK_BYTES):
                found = extend(found, data)
        if found != self._sum or header != _header(self.dtype, rows, dimension):
            raise SetupError(
                f"{self._beside} gives back other values than were written: do not trust this disk or memory"
            )

    def _abandon(self) -> None:
        if self._file is not None:
            self._file.close()
            self._beside.unlink(missing_ok=True)
        self._file = None


class InZarr(Place):
    """One Zarr array of all vectors, compressed."""

    def __init__(self, folder: Path, dtype: np.dtype[Any]) -> None:
        super().__init__(folder, dtype)
        self._array: Any = None
        self._waiting: list[NDArray[Any]] = []
        self._at = 0

    def begin(self, number: int, first: int) -> None:  # noqa: ARG002 - the array is one for all files
        """Go on behind the files before."""
        self._waiting, self._at = [], first

    def take(self, vectors: NDArray[np.float32]) -> int:
        """Keep them until there are enough for a shard, and write that."""
        stored, overflowed = self.converted(vectors)
        self._waiting.append(stored)
        shard = chunk_rows(self.dtype, vectors.shape[1]) * _CHUNKS_IN_SHARD
        if sum(map(len, self._waiting)) >= shard - self._at % shard:
            waiting = np.concatenate(self._waiting)
            whole = shard - self._at % shard
            self._write(waiting[:whole])
            self._waiting = [waiting[whole:]]
        return overflowed

    def finish(self, path: Path, contents: Contents) -> Lies:  # noqa: ARG002 - as Place.finish
        """Write what waits."""
        if self._waiting:
            self._write(np.concatenate(self._waiting))
            self._waiting = []
        parameters = {"chunk_shape": [chunk_rows(self.dtype, contents.dimension)]}
        return Lies(ZARR, file_uri("", str(self._place)), parameters, is_of_file=False)

    @property
    def _place(self) -> Path:
        return self.folder / "embedding.zarr"

    def _write(self, vectors: NDArray[Any]) -> None:
        array = self._opened(vectors.shape[1])
        if array.length < self._at:
            raise SetupError(
                f"{self._place} has {array.length} vectors, and should have {self._at}: it was changed since, or is another one"
            )
        array.write(self._at, vectors)
        stop = self._at + len(vectors)
        bits = f"u{self.dtype.itemsize}"
        if not np.array_equal(array.read(self._at, stop).view(bits), vectors.view(bits)):
            raise SetupError(
                f"{self._place} gives back other values than were written: do not trust this disk or memory"
            )
        self._at = stop

    def _opened(self, dimension: int) -> Any:
        from tilewright.sources import durable_zarr  # noqa: PLC0415 - slow to import

        if self._array is None:
            if not self._place.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                chunk = chunk_rows(self.dtype, dimension)
                durable_zarr.create(
                    self._place,
                    dtype=self.dtype,
                    row_shape=(dimension,),
                    chunk=chunk,
                    shard=chunk * _CHUNKS_IN_SHARD,
                    level=_ZSTD_LEVEL,
                    attributes={},
                    dimensions=("row", "dimension"),
                )
            self._array = durable_zarr.DurableArray(self._place)
        return self._array


_PLACES: dict[str, type[Place]] = {"register": InPlace, "npy": InNPY, "zarr": InZarr}


def place_of(store: str, folder: Path, dtype: str) -> Place:
    """Return the place for the vectors of a run."""
    return _PLACES[store](folder, DTYPES[dtype])


def checked(store: str, store_path: str | os.PathLike[str] | None, dtype: str) -> Path | None:
    """Return the folder of what is written out, made absolute; None if nothing is.

    Raises
    ------
    InputError
        If there is no such store or dtype, or it is not said where.
    """
    if store not in STORES:
        raise InputError(f"there is no store {store!r}: expected one of {', '.join(STORES)}")
    if dtype not in DTYPES:
        raise InputError(f"vectors cannot be stored as {dtype!r}: expected {' or '.join(DTYPES)}")
    if store == "register":
        if dtype != "float32":
            raise InputError(
                f"vectors that stay in their files are float32: for {dtype} give a store, npy or zarr (--store npy)"
            )
        if store_path is not None:
            raise InputError("vectors stay in their files: give a store, npy or zarr, with the folder for it")
        return None
    if store_path is None:
        raise InputError(f"say where the store is to be: store_path= (--store-path) beside store={store!r}")
    return Path(store_path).expanduser().absolute()


def chunk_rows(dtype: np.dtype[Any], dimension: int) -> int:
    """Return how many vectors make a chunk.

    >>> chunk_rows(np.dtype("<f4"), 1280)
    409
    """
    return max(1, CHUNK_BYTES // (dimension * dtype.itemsize))


def _header(dtype: np.dtype[Any], rows: int, dimension: int) -> bytes:
    """Return the header of an NPY file, which NumPy makes as long for any number of rows."""
    sink = io.BytesIO()
    shape = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (rows, dimension)}
    np.lib.format.write_array_header_1_0(sink, shape)
    return sink.getvalue()
