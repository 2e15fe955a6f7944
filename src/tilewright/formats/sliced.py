"""Slices of an array in a store, read when they are asked for: a function that reads regions comes in, an adapter goes out.

Called on the server by the adapters of formats whose library reads regions itself. That is cheaper than dask by what it takes to
list all chunks: of a week at 192 kHz in chunks of a second, 1 s for each request.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from tiled.adapters.array import ArrayAdapter
from tiled.ndslice import NDSlice

from tilewright.formats.ranges import RANGES, join

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tiled.ndslice import NDBlock

Region: TypeAlias = "tuple[tuple[int, int], ...]"
"""First index and the one after the last, along each dimension."""

PIECE_BYTES = 64 << 20
"""How much is read at once where every so many values are picked out."""
_FAR_BYTES = 1 << 20
"""How much between two indices is not read for the sake of one request."""
_DASK_BYTES = 16 << 20
"""About how large the pieces of an array are of which dask makes another one."""


def picked(key: Any, shape: Sequence[int]) -> tuple[list[range], tuple[int | slice, ...]]:
    """Return the indices that a key picks along each dimension, and what is to be taken of those: 0 where it was an integer.

    A few microseconds, where `ndindex` takes a hundred: a second of sound is read in as many.

    Raises
    ------
    IndexError
        If an integer is out of bounds, or there are too many of them.

    >>> picked((..., -1), (5, 3)), picked(slice(None, None, -2), (5,))
    (([range(0, 5), range(2, 3)], (slice(None, None, None), 0)), ([range(4, -1, -2)], (slice(None, None, None),)))
    """
    parts = tuple(key) if isinstance(key, tuple) else (key,)
    at = parts.index(...) if ... in parts else len(parts)
    missing = (slice(None),) * (len(shape) - len(parts) + (at < len(parts)))
    whole = (*parts[:at], *missing, *parts[at + 1 :])
    if len(whole) != len(shape) or ... in whole:
        raise IndexError(f"{key!r} is no index of an array of {len(shape)} dimensions")
    ranges: list[range] = []
    kept: list[int | slice] = []
    for part, length in zip(whole, shape, strict=True):
        is_slice = isinstance(part, slice)
        index = 0 if is_slice else range(length)[operator.index(part)]
        ranges.append(range(length)[part] if is_slice else range(index, index + 1))
        kept.append(slice(None) if is_slice else 0)
    return ranges, tuple(kept)


class Sliced:
    """An array of which is read what a slice touches.

    Parameters
    ----------
    read
        Reads a region that is not empty.
    shape, dtype
        Of the whole.
    row_by_row
        Whether a row has files of its own, so that one is read at a time, and none that is not picked.
    """

    def __init__(
        self,
        read: Callable[[Region], np.ndarray[Any, Any]],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        *,
        row_by_row: bool = False,
    ) -> None:
        self._read = read
        self.shape = shape
        self.dtype = dtype
        self._row_by_row = row_by_row
        self.ndim = len(shape)
        self.size = math.prod(shape)

    def __len__(self) -> int:
        return self.shape[0]

    def first(self, rows: int) -> Sliced:
        """Return its first rows."""
        return Sliced(self._read, (rows, *self.shape[1:]), self.dtype, row_by_row=self._row_by_row)

    def __getitem__(self, key: Any) -> np.ndarray[Any, Any]:
        """Read integers, slices of any step, and `...`.

        Raises
        ------
        IndexError
            If an integer is out of bounds.
        """
        ranges, kept = picked(key, self.shape)
        if not all(ranges):
            return np.empty([len(each) for each in ranges], self.dtype)[kept]
        if self._row_by_row:
            rows, *others = ranges
            return np.concatenate([self._of([range(row, row + 1), *others]) for row in rows])[kept]
        return self._picked(ranges)[kept]

    def _picked(self, ranges: Sequence[range]) -> np.ndarray[Any, Any]:
        """Read these indices along each dimension, of which there is one at least; in pieces where much lies between them."""
        between = [abs(each[-1] - each[0]) + 1 for each in ranges]
        steps = [abs(each.step) if len(each) > 1 else 1 for each in ranges]
        widest = steps.index(max(steps))
        in_all = math.prod(between) * self.dtype.itemsize
        # What lies from one index to the next may be more than a read of its own costs; and all of it more than there is room for.
        is_far = steps[widest] * in_all // between[widest] >= _FAR_BYTES
        if steps[widest] > 1 and (is_far or in_all > PIECE_BYTES):
            middle = len(ranges[widest]) // 2
            parts = (ranges[widest][:middle], ranges[widest][middle:])
            halves = [self._picked([*ranges[:widest], part, *ranges[widest + 1 :]]) for part in parts]
            return np.concatenate(halves, axis=widest)
        return self._of(ranges)

    def _of(self, ranges: Sequence[range]) -> np.ndarray[Any, Any]:
        """Read these indices along each dimension with one request."""
        region = tuple((min(each[0], each[-1]), max(each[0], each[-1]) + 1) for each in ranges)
        return self._read(region)[tuple(slice(None, None, each.step) for each in ranges)]


class SlicedAdapter(ArrayAdapter):
    """Serves an array that is `Sliced`: where Tiled's own would hand it on unread, this one reads."""

    _array: Sliced

    def read(self, slice: NDSlice = NDSlice(...)) -> np.ndarray[Any, Any]:  # noqa: A002, B008 - as Tiled's
        """Read a slice of the whole."""
        return self._array[tuple(slice) or ...]

    def read_block(self, block: NDBlock, slice: NDSlice = NDSlice(...)) -> np.ndarray[Any, Any]:  # noqa: A002, B008
        """Read a chunk, and return a slice of it."""
        whole = self._array[tuple(block.slice_from_chunks(self._structure.chunks))]
        return whole[tuple(slice) or ...]


def adapter_of(files: Sequence[Sliced], data_source: Any, node: Any) -> ArrayAdapter:
    """Return the adapter of the array that rows of these files make, as its data source says; nothing is read yet.

    Raises
    ------
    DataNotReadyError
        If the files hold fewer rows than promised.
    ValueError
        If they hold values of another dtype or shape.
    """
    structure = data_source.structure
    shape, declared = structure.shape, structure.data_type.to_numpy_dtype()
    for file, asset in zip(files, data_source.assets, strict=False):
        if file.dtype != declared:
            raise ValueError(f"{asset.data_uri} holds {file.dtype}, declared is {declared}")
    ranges, file = data_source.properties.get(RANGES, ()), files[0]
    about = {"metadata": node.metadata_, "specs": node.specs}
    if len(files) == 1 and not ranges and file.shape[1:] == shape[1:] and file.shape[:1] >= shape[:1]:
        return SlicedAdapter(file.first(shape[0]), structure, **about)
    return ArrayAdapter(join([_in_dask(file) for file in files], ranges, shape), structure, **about)


def _in_dask(file: Sliced) -> Any:
    import dask.array  # noqa: PLC0415 - slow

    row_bytes = max(math.prod(file.shape[1:]) * file.dtype.itemsize, 1)
    chunks = (max(_DASK_BYTES // row_bytes, 1), *file.shape[1:])[: file.ndim]
    return dask.array.from_array(file, chunks=chunks)  # type: ignore[no-untyped-call]
