"""Vectors in files of this machine: where they lie comes in; blocks of them for `searching` go out, by memory map.

    a long run of vectors that are wanted, aligned      a view of the file: nothing is copied
    short runs, and those at odd bytes (TFRecords)      copied one behind the other into one buffer, which is used again
                                                        for the next block

So a filtered search costs what its rows cost, and memory is bounded by the buffer. The maps are kept by the caller (`Maps`):
pages that were looked at once are there at once the next time. `places` calls this.
"""

from __future__ import annotations

import mmap
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tilewright.errors import InputError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    Block = tuple[int | NDArray[np.int64], NDArray[np.floating]]
    Runs = NDArray[np.int64]
    """Vectors of rows that follow each other, one after the other in a file: the byte where each run begins, its first row,
    and how many vectors it has; shape (3, runs)."""

_BLOCK_BYTES = 16 << 20
"""Of the buffer."""
_VIEW_BYTES = 1 << 20
"""A run that is shorter is copied: what a block of its own costs would be more."""
_LONGEST_VIEW = 256 << 20
"""What the system is told to read ahead, at most."""
_NEAR = 128 << 10
"""Bytes between two runs that are read for the sake of one request less; and what Linux reads around a page by default."""
_COPIERS = 2
"""Threads that copy: one does not use up the memory's speed."""
_MAPS = 1024
"""Files that are mapped at once."""


@dataclass(frozen=True, slots=True)
class Part:
    """Vectors of rows that follow each other, in one file: one or more pieces of it."""

    path: Path
    first_row: int
    """The number of its first vector."""
    offsets: NDArray[np.int64]
    """The byte of the file where each piece begins; shape (pieces,)."""
    counts: NDArray[np.int64]
    """Vectors of each piece, one after the other; shape (pieces,)."""
    dtype: np.dtype[np.floating]
    """float32 or float16, little-endian."""

    @classmethod
    def whole(
        cls,
        path: str | os.PathLike[str],
        first_row: int,
        offset: int,
        count: int,
        dtype: np.dtype[np.floating],
    ) -> Part:
        """Return a part of a single piece, as an NPY file has it."""
        return cls(Path(path), first_row, np.array([offset], np.int64), np.array([count], np.int64), dtype)


class Maps:
    """Files that are mapped into memory, and stay so: those that were used last. For one thread at a time.

    Parameters
    ----------
    most
        How many.
    """

    def __init__(self, most: int = _MAPS) -> None:
        self._most = most
        self._maps: OrderedDict[Path, tuple[tuple[int, int], mmap.mmap]] = OrderedDict()

    def open(self, path: Path) -> mmap.mmap:
        """Return a file's map: a new one if the file was replaced, grew, or was written to.

        Raises
        ------
        InputError
            If it is empty.
        OSError
            If it cannot be read.
        """
        found = path.stat()
        state = (found.st_size, found.st_mtime_ns)
        kept = self._maps.pop(path, None)
        if kept is None or kept[0] != state:
            if not found.st_size:
                raise InputError(f"{path} is empty, and vectors are promised of it.")
            with path.open("rb") as file:
                kept = state, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._maps[path] = kept
        while len(self._maps) > self._most:
            self._maps.popitem(last=False)  # unmapped as soon as no view of it is left
        return kept[1]


def blocks_of(
    parts: Iterable[Part],
    dimension: int,
    maps: Maps,
    *,
    rows: NDArray[np.int64] | None = None,
    block_bytes: int = _BLOCK_BYTES,
) -> Iterator[Block]:
    """Yield the vectors of files with their rows, as `searching.nearest` takes them; each is good until the next one is asked for.

    Parameters
    ----------
    parts
        Where they are.
    dimension
        Values of a vector.
    maps
        The files that are open; another search with the same is quicker.
    rows
        Those that are wanted, in ascending order; None for all.
    block_bytes
        Of the buffer.

    Raises
    ------
    InputError
        If a file is shorter than its part says.
    """
    with ThreadPoolExecutor(_COPIERS) as pool:
        buffer = _Buffer(dimension, block_bytes, pool)
        for part in parts:
            size = dimension * part.dtype.itemsize
            runs = _runs(part, size, rows)
            if not runs.size:
                continue
            file = maps.open(part.path)
            _check(part, runs, size, len(file))
            offsets, _, counts = runs
            is_view = (counts * size >= _VIEW_BYTES) & (offsets % part.dtype.itemsize == 0)
            yield from _views(file, runs[:, is_view], dimension, part.dtype)
            yield from buffer.gathered(file, runs[:, ~is_view], part.dtype)
        yield from buffer.rest()


def _runs(part: Part, size: int, rows: NDArray[np.int64] | None) -> Runs:
    """Return the runs of a part that are wanted, whose vectors have so many bytes."""
    ends = np.cumsum(part.counts)
    starts = ends - part.counts
    if rows is None:
        return np.stack([part.offsets, part.first_row + starts, part.counts])[:, part.counts > 0]
    first, last = np.searchsorted(rows, [part.first_row, part.first_row + int(part.counts.sum())])
    wanted = rows[first:last]
    number = wanted - part.first_row
    piece = np.searchsorted(ends, number, "right")
    offsets = part.offsets[piece] + (number - starts[piece]) * size
    is_first = np.ones(len(wanted), bool)
    is_first[1:] = (np.diff(offsets) != size) | (np.diff(wanted) != 1)
    begins = np.flatnonzero(is_first)
    return np.stack([offsets[begins], wanted[begins], np.diff(begins, append=len(wanted))])


def _cut(runs: Runs, most: int, size: int) -> Runs:
    """Cut runs into those of so many vectors at most, each of so many bytes.

    >>> _cut(np.array([[100, 500], [0, 9], [5, 2]]), 2, 10).tolist()
    [[100, 120, 140, 500], [0, 2, 4, 9], [2, 2, 1, 2]]
    """
    offsets, rows, counts = runs
    pieces = -(-counts // most)
    skipped = (np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)) * most
    lengths = np.minimum(np.repeat(counts, pieces) - skipped, most)
    return np.stack([np.repeat(offsets, pieces) + skipped * size, np.repeat(rows, pieces) + skipped, lengths])


def _check(part: Part, runs: Runs, size: int, there: int) -> None:
    """Refuse a part of a file that has less."""
    offsets, _, counts = runs
    start, stop = int(offsets.min()), int((offsets + counts * size).max())
    if start < 0 or stop > there:
        raise InputError(
            f"{part.path} has {there} bytes, and vectors are promised of bytes {start} to {stop}: it was cut, or it is not the"
            " file that was recorded."
        )


def _views(file: mmap.mmap, runs: Runs, dimension: int, dtype: np.dtype[np.floating]) -> Iterator[Block]:
    """Yield runs as they lie in the file; the system is told to read the next one meanwhile."""
    size = dimension * dtype.itemsize
    pieces = _cut(runs, max(1, _LONGEST_VIEW // size), size).T.tolist()
    for (offset, row, count), (ahead, _, further) in zip(pieces, [*pieces[1:], (0, 0, 0)], strict=False):
        _read_ahead(file, ahead, further * size)
        yield row, np.frombuffer(file, dtype, count * dimension, offset).reshape(count, dimension)


def _read_ahead(file: mmap.mmap, offset: int, size: int) -> None:
    """Tell the system that a stretch of a file will be wanted, where it can be told."""
    if size and hasattr(mmap, "MADV_WILLNEED"):
        start = offset - offset % mmap.PAGESIZE
        file.madvise(mmap.MADV_WILLNEED, start, offset + size - start)


def _announce(file: mmap.mmap, runs: Runs, size: int) -> None:
    """Tell the system which runs will be copied: else it reads `_NEAR` for each, and waits for one after the other."""
    offsets, _, counts = runs
    stops = offsets + counts * size
    gaps = offsets[1:] - stops[:-1]
    begins = np.flatnonzero(np.concatenate([[True], (gaps > _NEAR) | (gaps < 0)]))
    ends = stops[np.append(begins[1:], len(stops)) - 1]
    for start, stop in zip(offsets[begins].tolist(), ends.tolist(), strict=True):
        _read_ahead(file, start, stop - start)


class _Buffer:
    """A buffer that vectors are gathered in, from however many files, until it is full.

    Parameters
    ----------
    dimension
        Values of a vector.
    most
        Bytes.
    pool
        For copying.
    """

    def __init__(self, dimension: int, most: int, pool: Executor) -> None:
        self._dimension, self._most, self._pool = dimension, most, pool
        self._bytes = np.empty(0, np.uint8)
        self._dtype: np.dtype[np.floating] = np.dtype(np.float32)
        self._rows: list[NDArray[np.int64]] = []
        """Of the vectors that are in it, …"""
        self._used = 0
        """… and the bytes they take."""

    def gathered(self, file: mmap.mmap, runs: Runs, dtype: np.dtype[np.floating]) -> Iterator[Block]:
        """Copy runs, and yield what is there whenever it is full."""
        if dtype != self._dtype:
            yield from self.rest()
            self._dtype = dtype
        size = self._dimension * dtype.itemsize
        if runs.size and len(self._bytes) < max(size, self._most):
            self._bytes = np.empty(max(size, self._most), np.uint8)
        runs = _cut(runs, max(1, min(_VIEW_BYTES, self._most) // size), size)
        while runs.size:
            fitting = int(np.searchsorted(np.cumsum(runs[2]) * size, len(self._bytes) - self._used, "right"))
            if fitting:
                _announce(file, runs[:, :fitting], size)
                self._copy(np.frombuffer(file, np.uint8), runs[:, :fitting], size)
            runs = runs[:, fitting:]
            if runs.size:
                yield from self.rest()

    def rest(self) -> Iterator[Block]:
        """Yield what is there."""
        if self._used:
            vectors = self._bytes[: self._used].view(self._dtype).reshape(-1, self._dimension)
            rows = np.concatenate(self._rows)
            self._rows, self._used = [], 0
            yield rows, vectors

    def _copy(self, file: NDArray[np.uint8], runs: Runs, size: int) -> None:
        """Copy runs of a file behind what is there, by several threads."""
        offsets, rows, counts = runs
        before, total = np.cumsum(counts) - counts, int(counts.sum())
        target = self._bytes[self._used :]
        lead = int(offsets[0]) % size
        if (offsets % size == lead).all():  # one table, as an NPY file is, of which numpy takes rows
            table = file[lead : lead + (len(file) - lead) // size * size].reshape(-1, size)
            numbers = np.repeat(offsets // size - before, counts) + np.arange(total)
            taken = target[: total * size].reshape(total, size)
            for job in [
                self._pool.submit(_take, table, numbers[part], taken[part]) for part in _shares(total)
            ]:
                job.result()
        else:
            jobs = np.stack([before * size, offsets, counts * size], axis=1)
            for job in [self._pool.submit(_copy, file, jobs[part], target) for part in _shares(len(jobs))]:
                job.result()
        self._rows.append(np.repeat(rows - before, counts) + np.arange(total))
        self._used += total * size


def _shares(total: int) -> list[slice]:
    """Return what each thread copies of so many."""
    share = max(1, -(-total // _COPIERS))
    return [slice(start, start + share) for start in range(0, total, share)]


def _take(table: NDArray[np.uint8], numbers: NDArray[np.int64], target: NDArray[np.uint8]) -> None:
    np.take(table, numbers, axis=0, out=target, mode="clip")  # "raise" would copy all once more


def _copy(file: NDArray[np.uint8], jobs: NDArray[np.int64], target: NDArray[np.uint8]) -> None:
    for place, offset, length in jobs.tolist():
        target[place : place + length] = file[offset : offset + length]
