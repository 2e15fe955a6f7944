"""Which rows of which file make an array: gathered from the documents, told to the server, and read there.

In come the indices of StreamDatums; out goes the property `ranges` of a data source, where it takes more than the first rows
of one file to make the array. On the server the same property comes in; out goes the file of each row (`Places`), or, from the files as lazy
arrays, the whole (`join`). Called by `FileArray`, and by the adapters of formats whose files hold many rows.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

RANGES = "ranges"
"""Property of a data source: the number of a file, the first row of it and the one after the last; and how many files follow
each other of which the same is true, if these are several. So it is short for ten thousand files that are alike."""


class Ranges:
    """Ranges of rows of files, in the order in which they make an array.

    The indices of the rows go on from one file to the next, or begin again with each.

    Examples
    --------
    >>> ranges = Ranges()
    >>> for file, start, stop in [(0, 0, 2), (0, 2, 3), (0, 5, 6), (1, 6, 8)]:
    ...     ranges.add(file, start, stop)
    >>> ranges.told(), ranges.told(rows_of_one=2)
    ([[0, 0, 3], [0, 5, 6], [1, 0, 2]], [[0, 0, 6], [0, 10, 12], [1, 0, 4]])
    >>> for file in (2, 3, 4):
    ...     ranges.add(file, 0, 7)
    >>> ranges.told()
    [[0, 0, 3], [0, 5, 6], [1, 0, 2], [2, 0, 7, 3]]
    """

    def __init__(self) -> None:
        self._ranges: list[list[int]] = []
        self._first: dict[int, int] = {}  # the index of the first row of each file
        self._end = 0  # the index after the last one so far

    def add(self, file: int, start: int, stop: int) -> None:
        """Add the rows of a file from one index to before another.

        Raises
        ------
        InputError
            If they are before the first one of the file.
        """
        if start == stop:
            return
        first = self._first.setdefault(file, self._end if start >= self._end else 0)
        if start < first:
            raise InputError(
                f"Rows {start} to {stop} run backwards: the first one of their file has index {first}."
            )
        start, stop, self._end = start - first, stop - first, max(self._end, stop)
        if self._ranges and self._ranges[-1][:1] + self._ranges[-1][2:] == [file, start]:
            self._ranges[-1][2] = stop
        else:
            self._ranges.append([file, start, stop])

    @property
    def is_plain(self) -> bool:
        """Whether the array consists of the first rows of one file."""
        return all((file, start) == (0, 0) for file, start, _ in self._ranges) and len(self._ranges) < 2  # noqa: PLR2004

    def told(self, rows_of_one: int = 1) -> list[list[int]]:
        """Return the ranges as `RANGES` has them, each row of which makes so many along the first dimension of the array."""
        told: list[list[int]] = []
        for file, start, stop in self._ranges:
            first, *rows, files = (*told[-1], 1)[:4] if told else (-1, 0, 0, 0)
            if rows == [start * rows_of_one, stop * rows_of_one] and first + files == file:
                told[-1] = [first, *rows, files + 1]
            else:
                told.append([file, start * rows_of_one, stop * rows_of_one])
        return told


def expanded(ranges: Iterable[Sequence[int]]) -> Iterator[tuple[int, int, int]]:
    """Yield file, start and stop of each range, of as many files as it says.

    >>> list(expanded([[0, 2, 3], [1, 0, 7, 2]]))
    [(0, 2, 3), (1, 0, 7), (2, 0, 7)]
    """
    for file, start, stop, *files in ranges:
        for further in range(files[0] if files else 1):
            yield file + further, start, stop


def rows_of_each(properties: Mapping[str, Any], files: int) -> list[int] | None:
    """Return how many rows of each file make the array, if these are the first ones of files in their order.

    Parameters
    ----------
    properties
        Of a data source with `RANGES`.
    files
        How many files it has.

    Examples
    --------
    >>> rows_of_each({"ranges": [[0, 0, 3], [2, 0, 2]]}, 3), rows_of_each({"ranges": [[0, 1, 3]]}, 1)
    ([3, 0, 2], None)
    """
    ranges = list(expanded(properties[RANGES]))
    order = [file for file, _, _ in ranges]
    if any(start for _, start, _ in ranges) or order != sorted(set(order)):
        return None
    rows = {file: stop for file, _, stop in ranges}
    return [rows.get(number, 0) for number in range(files)]


class Places:
    """Where the samples of an array are: an index comes in, a file and the place in it go out.

    Parameters
    ----------
    ranges
        See `RANGES`.

    Examples
    --------
    >>> places = Places([[0, 0, 5], [1, 0, 3, 2], [3, 2, 6]])
    >>> list(places.parts(4, 9)), list(places.parts(10, 99)), places.files(5, 11)
    ([(0, 4, 5), (1, 0, 3), (2, 0, 1)], [(2, 2, 3), (3, 2, 6)], range(1, 3))
    """

    def __init__(self, ranges: Sequence[Sequence[int]]) -> None:
        self._ranges = ranges
        lengths = ((one[2] - one[1]) * (one[3] if len(one) > 3 else 1) for one in ranges)  # noqa: PLR2004
        self._ends = list(accumulate(lengths))

    def parts(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yield file, first and one after the last sample in it, for samples `start` to before `stop` of the array."""
        number = bisect_right(self._ends, start)
        while start < stop and number < len(self._ranges):
            file, first, last, *_ = self._ranges[number]
            each = last - first
            further, skipped = divmod(start - (self._ends[number - 1] if number else 0), each)
            count = min(each - skipped, stop - start)
            yield file + further, first + skipped, first + skipped + count
            start += count
            number += start >= self._ends[number]

    def files(self, start: int, stop: int) -> Sequence[int]:
        """Return the files that have samples `start` to before `stop`; their ranges are in the files' order."""
        stop = min(stop, self._ends[-1] if self._ends else 0)
        if stop <= start:
            return range(0)
        (first, *_), (last, *_) = next(self.parts(start, stop)), next(self.parts(stop - 1, stop))
        return range(first, last + 1)


def ranges_of(properties: Mapping[str, Any], samples: int) -> Sequence[Sequence[int]]:
    """Return where the samples of an array are, which is told by its properties unless it has a single file."""
    return properties.get(RANGES) or [[0, 0, samples]]


def join(files: Sequence[Any], ranges: Iterable[Sequence[int]], shape: tuple[int, ...]) -> Any:
    """Return the array of these ranges of its files, lazily.

    Parameters
    ----------
    files
        As dask arrays. A row of the whole may be several along the first dimension of a file.
    ranges
        See `RANGES`; none for what is first in the files, one after the other.
    shape
        Of the whole; what the ranges have beyond it is left away.

    Raises
    ------
    DataNotReadyError
        If a file has less than that. Tiled's server answers that it may be tried again, if it was written to lately.
    ValueError
        If what the files have is no rows of this shape.
    """
    import dask.array  # noqa: PLC0415 - slow

    lazy: Any = dask.array  # whose functions have no types
    if not ranges:
        files, ranges = [lazy.concatenate(files)], [(0, 0, shape[0])]
    pieces, left = [], shape[0]
    for file, start, stop in expanded(ranges):
        if file < len(files) and left:
            rows = min(stop - start, left)
            pieces.append(_piece(files[file], start, start + rows, shape))
            left -= rows
    if left:
        raise ValueError(
            f"{shape[0] - left} rows are promised of the files there are, and {shape[0]} declared"
        )
    return lazy.concatenate(pieces) if pieces else files[0][:0].reshape(shape)


def _piece(file: Any, start: int, stop: int, shape: tuple[int, ...]) -> Any:
    """Return some rows of a file, in the shape they have in the whole."""
    if not has_rows_like(file.shape, shape):
        raise ValueError(
            f"A file holds an array of shape {file.shape}, which has no rows of shape {shape[1:]}"
        )
    frames_of_one = math.prod(shape[1:]) / max(math.prod(file.shape[1:]), 1)
    first, last = round(start * frames_of_one), round(stop * frames_of_one)
    if len(file) < last:
        from tiled.adapters.utils import DataNotReadyError  # noqa: PLC0415 - on the server only

        raise DataNotReadyError(
            f"A file holds {len(file)} along the first dimension, but {last} are promised (shape {shape}). They may not have"
            " been written yet; try again later."
        )
    return file[first:last].reshape((stop - start, *shape[1:]))


def has_rows_like(whole: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Tell whether rows of a file make up an array: its last dimensions are those of a row, but for lengths of 1.

    Examples
    --------
    >>> has_rows_like((7, 4, 5), (3, 1, 4, 5)), has_rows_like((7, 1, 4, 5), (3, 4, 5)), has_rows_like((7,), (3, 2))
    (True, True, True)
    >>> has_rows_like((7, 4, 5), (3, 5, 4)), has_rows_like((2, 0, 4, 5), (3, 4, 5))
    (False, False)
    """
    row = [length for length in whole[1:] if length != 1]
    declared = [length for length in shape if length != 1]
    return declared[len(declared) - len(row) :] == row if len(row) <= len(declared) else False
