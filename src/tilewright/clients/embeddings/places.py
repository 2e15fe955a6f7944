"""Where a dataset's vectors are for this machine: an array's description comes in, vectors by their rows go out.

    files that are here (NPY, TFRecord)     mapped into memory, see `blocks`
    all else                                asked of the server, some megabytes at a time

`vectors` and `dataset` call it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tilewright.clients.assets import paths_of
from tilewright.clients.embeddings.blocks import Maps, Part, blocks_of
from tilewright.clients.embeddings.describing import EMBEDDINGS, VECTOR
from tilewright.clients.spans import Span, fetch_spans
from tilewright.errors import SetupError
from tilewright.formats import npy, tfrecord
from tilewright.formats.ranges import Places as Ranges
from tilewright.formats.ranges import ranges_of
from tilewright.tfrecords import NOT_IN_ONE_PIECE, OpenFile, positions, read_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from tiled.structures.data_source import DataSource

    from tilewright.clients.embeddings.describing import Description
    from tilewright.clients.run import Run
    from tilewright.tfrecords import Positions

    Blocks = Iterator[tuple[int | NDArray[np.int64], NDArray[Any]]]

BLOCK_BYTES = 16 << 20
"""What is asked of the server at once."""
_NEAR = 16
"""Rows between two that are wanted which are fetched for the sake of one piece less."""


class Places(Protocol):
    """The vectors of a dataset."""

    def blocks(self, rows: NDArray[np.int64] | None = None) -> Blocks:
        """Yield vectors with their rows: the number of the first of rows that follow each other, or that of each.

        They come in any order. What is yielded is there until the next one is asked for.

        Parameters
        ----------
        rows
            In ascending order, each once; None for all.
        """


class Remote:
    """Vectors that a server is asked for.

    Parameters
    ----------
    length
        How many there are.
    """

    def __init__(self, run: Run, described: Description, length: int) -> None:
        self._run, self._dtype = run, described.dtype
        self._dimension, self._length = described.dimension, length

    def blocks(self, rows: NDArray[np.int64] | None = None) -> Blocks:
        """Yield vectors with their rows: see `Places.blocks`."""
        most = max(1, BLOCK_BYTES // (self._dimension * self._dtype.itemsize))
        if rows is None:
            for first in range(0, self._length, most):
                stop = min(first + most, self._length)
                yield first, self._fetched([(first, stop)])
            return
        for begin in range(0, len(rows), most):
            wanted = rows[begin : begin + most]
            edges = np.flatnonzero(np.diff(wanted) > _NEAR) + 1
            spans = [(int(part[0]), int(part[-1]) + 1) for part in np.split(wanted, edges)]
            there = np.concatenate([np.arange(*span) for span in spans])
            yield wanted, self._fetched(spans)[np.searchsorted(there, wanted)]

    def _fetched(self, spans: list[tuple[int, int]]) -> NDArray[Any]:
        asked = [
            Span((EMBEDDINGS, VECTOR), first, stop, self._dtype, (self._dimension,)) for first, stop in spans
        ]
        return np.concatenate(fetch_spans(self._run.context, self._run.item["links"]["search"], asked))


class Nearby:
    """Vectors in files of this machine.

    Parameters
    ----------
    files
        In the order of their rows.
    """

    def __init__(self, files: Sequence[File], dimension: int, dtype: np.dtype[Any]) -> None:
        self._files, self._dimension, self._dtype = files, dimension, dtype
        self._maps = Maps()

    def blocks(self, rows: NDArray[np.int64] | None = None) -> Blocks:
        """Yield vectors with their rows: see `Places.blocks`.

        Raises
        ------
        SetupError
            If a file has not any longer what the catalog says.
        """
        scattered: list[File] = []
        parts = self._parts(rows, scattered)
        yield from blocks_of(parts, self._dimension, self._maps, rows=rows)
        for file in scattered:
            first, vectors = file.first_row, file.decoded()
            if rows is None:
                yield first, vectors
            else:
                wanted = _between(rows, first, first + file.rows)
                yield wanted, vectors[wanted - first]

    def _parts(self, rows: NDArray[np.int64] | None, scattered: list[File]) -> Iterator[Part]:
        """Yield the parts of files that have such rows; of those whose vectors are in no one piece, take note."""
        for file in self._files:
            if rows is not None and not len(_between(rows, file.first_row, file.first_row + file.rows)):
                continue
            offsets, counts = file.pieces(self._dimension, self._dtype)
            if (offsets == NOT_IN_ONE_PIECE).any():
                scattered.append(file)
            else:
                yield Part(file.path, file.first_row, offsets, counts, self._dtype)


@dataclass(frozen=True)
class File:
    """Rows that follow each other in one file."""

    path: Path
    first_row: int
    first: int
    """Which vector of the file that is."""
    rows: int

    @property
    def stop(self) -> int:
        """Before which vector of the file they end."""
        return self.first + self.rows

    def pieces(self, dimension: int, dtype: np.dtype[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return at which bytes the vectors lie, and how many at each; `NOT_IN_ONE_PIECE` for those that are to be `decoded`.

        Raises
        ------
        SetupError
            If the file has not what the catalog says.
        """
        raise NotImplementedError

    def decoded(self) -> NDArray[Any]:
        """Return all vectors."""
        raise NotImplementedError


@dataclass(frozen=True)
class NPYFile(File):
    """Rows of an NPY file; in Fortran's order, no vector of it lies in one piece."""

    def pieces(self, dimension: int, dtype: np.dtype[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where the vectors lie: see `File.pieces`."""
        try:
            said = npy.header(self.path)
        except ValueError as error:
            raise _changed(f"{self.path} is no NPY file ({error})") from error
        if said.dtype != dtype or said.shape[1:] != (dimension,) or said.shape[0] < self.stop:
            has, of = f"{said.dtype} of shape {said.shape}", f"of {dimension} {dtype}"
            raise _changed(f"{self.path} has {has}, and the catalog has {self.stop:,} vectors {of}")
        at = NOT_IN_ONE_PIECE if said.is_fortran else said.begin + self.first * dimension * dtype.itemsize
        return np.array([at]), np.array([self.rows])

    def decoded(self) -> NDArray[Any]:
        """Return all vectors."""
        stored: NDArray[Any] = np.load(self.path, mmap_mode="r")
        return np.ascontiguousarray(stored[self.first : self.stop])


@dataclass(frozen=True)
class TFRecordFile(File):
    """Rows of a TFRecord, some records of which may have their vectors as lists of floats."""

    stretches: Sequence[Sequence[int]] | None
    """See `tfrecords.positions`."""

    def pieces(self, dimension: int, dtype: np.dtype[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where the vectors lie: see `File.pieces`."""
        found = self._positions
        if found.vectors < self.stop or found.dimension != dimension:
            has, of = f"{found.vectors:,} vectors of {found.dimension} values", f"of {dimension}"
            raise _changed(f"{self.path} has {has}, and the catalog has {self.stop:,} {of}")
        ends = np.minimum(found.ends, self.stop)
        starts = np.maximum(found.ends - found.counts, self.first)
        skipped = starts - (found.ends - found.counts)
        is_in = starts < ends
        offsets = np.where(
            found.values_at == NOT_IN_ONE_PIECE,
            NOT_IN_ONE_PIECE,
            found.values_at + skipped * dimension * dtype.itemsize,
        )
        return offsets[is_in], (ends - starts)[is_in]

    def decoded(self) -> NDArray[Any]:
        """Return all vectors."""
        with OpenFile(self.path) as file:
            return read_vectors(file, self._positions, self.first, self.stop)

    @cached_property
    def _positions(self) -> Positions:
        return positions(self.path, self.stretches)


def _changed(fact: str) -> SetupError:
    return SetupError(f"{fact}: it has changed since it was recorded")


def places_of(run: Run, described: Description, source: DataSource[Any], length: int) -> Places:
    """Return the vectors of a dataset, of whose array this is the source: by the files if all of them are here, else by the server."""
    files = _files(source, length)
    if files is None:
        return Remote(run, described, length)
    return Nearby(files, described.dimension, described.dtype)


def _files(source: DataSource[Any], length: int) -> list[File] | None:
    """Return the files of the vectors, if all of them can be read here, and be mapped."""
    if source.mimetype not in (tfrecord.MIMETYPE, npy.ROWS):
        return None
    paths = paths_of(source)
    if len(paths) < len(source.assets) or not all(path.is_file() for path in paths.values()):
        return None
    properties = source.properties or {}
    stretches = properties.get(tfrecord.STRETCHES, {})
    files: list[File] = []
    row = 0
    for number, first, stop in Ranges(ranges_of(properties, length)).parts(0, length):
        rows = paths[number], row, first, stop - first
        is_npy = source.mimetype == npy.ROWS
        files.append(NPYFile(*rows) if is_npy else TFRecordFile(*rows, stretches.get(str(number))))
        row += stop - first
    return files


def _between(rows: NDArray[np.int64], first: int, stop: int) -> NDArray[np.int64]:
    start, end = np.searchsorted(rows, [first, stop])
    return rows[start:end]
