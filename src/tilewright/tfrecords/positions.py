"""Where the vectors of a TFRecord file lie: a path and stretches of it come in, byte positions go out.

Called by the format on the server; and by clients on the same machine, who then map the file into memory. A row of a file is a vector: of
each record there are windows x channels of them, in C order. `reading` turns positions into vectors.

    stretches   [0, 0, 18], [2000, 2, 4]     18 vectors from byte 0 on, then 4 from the third one of the record at byte 2000 on
    records     at 0: 12     at 900: 6 of 12     at 2000: 4 of 12, from the third one on
    rows        0 … 11       12 … 17             18 … 21
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tilewright.errors import InputError
from tilewright.tfrecords.examples import VECTORS, parse
from tilewright.tfrecords.records import HEADER_BYTES, OpenFile, end_of, length_of
from tilewright.tfrecords.searching import find_record
from tilewright.tfrecords.wire import locate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tilewright.tfrecords.records import PathLike

NOT_IN_ONE_PIECE = -1
"""In place of a position: the floats of the record have to be decoded."""
_HEAD_BYTES = 512
"""Read of each record. The names in it, and all else there is before the floats, take some 200 bytes."""
_WHOLE_FILE = ((0, 0, 1 << 62),)
"""As a stretch: more vectors than a file can have."""


@dataclass(frozen=True, slots=True)
class Positions:
    """The vectors of a file, by record: arrays of shape (records,), int64."""

    offsets: NDArray[np.int64]
    """The byte of the file at which each record begins."""
    values_at: NDArray[np.int64]
    """The byte of the file at which the first vector of the record that counts begins, `NOT_IN_ONE_PIECE` where its floats have to be
    decoded. Its others follow it, little-endian float32; no byte of a file is aligned in any way."""
    firsts: NDArray[np.int64]
    """The number of that vector within its record, in C order."""
    counts: NDArray[np.int64]
    """How many vectors of the record count."""
    ends: NDArray[np.int64]
    """How many vectors there are up to each record, with its own."""
    dimension: int | None
    """Values of a vector; None if there is none."""
    damage: str
    """A sentence on what comes behind them, if that is no record of such vectors; empty if the stretches, or the file, end there."""

    @property
    def vectors(self) -> int:
        """How many vectors there are."""
        return int(self.ends[-1]) if len(self.ends) else 0


@dataclass(frozen=True, slots=True)
class _Found:
    """The vectors of a record."""

    place: int
    """The byte of the file at which the record begins."""
    end: int
    """The byte of the file behind the record."""
    values_at: int
    """The byte of the file at which the vectors begin, or `NOT_IN_ONE_PIECE`."""
    vectors: int
    dimension: int


def positions(path: PathLike, stretches: Sequence[Sequence[int]] | None = None) -> Positions:
    """Return where the vectors of a file are; see `positions_in`.

    Raises
    ------
    OSError
        If the file cannot be opened, or read.
    SetupError
        If google-crc32c or protobuf is not installed.
    """
    with OpenFile(path) as file:
        return positions_in(file, stretches)


def positions_in(file: OpenFile, stretches: Sequence[Sequence[int]] | None = None) -> Positions:
    """Return where the vectors of an open file are, up to its end, or to a record that is damaged: a stretch may promise more.

    Of each record its head is read, and the CRC of its length checked, not that of its data.

    Parameters
    ----------
    stretches
        The byte of the file at which a record begins, the number of the first vector of it that counts, and how many count from there
        on, in this record and those that follow it; as many of these as there are interruptions. None for all records.
    """
    rows: list[tuple[int, int, int, int]] = []
    dimension, damage = None, ""
    try:
        for found, first, count in _wanted(file, _WHOLE_FILE if stretches is None else stretches):
            dimension = found.dimension
            is_there = found.values_at != NOT_IN_ONE_PIECE
            skipped = first * dimension * VECTORS.itemsize if is_there else 0
            rows.append((found.place, found.values_at + skipped, first, count))
    except InputError as error:
        damage = str(error)
    offsets, values_at, firsts, counts = np.array(rows, np.int64).reshape(-1, 4).T
    return Positions(offsets, values_at, firsts, counts, np.cumsum(counts), dimension, damage)


def _wanted(file: OpenFile, stretches: Sequence[Sequence[int]]) -> Iterator[tuple[_Found, int, int]]:
    """Yield records, the number of the first vector of each that counts, and how many count.

    Raises
    ------
    InputError
        If one is no record, holds no vectors, vectors of another dimension, or fewer than are passed over.
    """
    dimension = None
    for place, first, count in stretches:
        at, skipped, left = place, first, count
        while left:
            found = _record(file, at)
            if found is None:  # the file ends: what the next stretches have belongs behind what is missing
                return
            dimension = dimension or found.dimension
            if found.dimension != dimension:
                raise InputError(
                    f"{file.path} has vectors of {found.dimension} values at byte {at}, and of {dimension} before."
                )
            taken = min(found.vectors - skipped, left)
            if taken < 1:
                raise InputError(
                    f"{file.path} has {found.vectors} vectors at byte {at}; expected was one of number {skipped}."
                )
            yield found, skipped, taken
            at, skipped, left = found.end, 0, left - taken


def count_intact(file: OpenFile) -> tuple[int, int | None]:
    """Return how many vectors an open file has, and of how many values: what is damaged, or holds no vectors, is passed over.

    The CRCs of data are not checked, but of the first record behind damage.
    """
    place: int | None = 0
    vectors, dimension = 0, None
    while place is not None:
        try:
            found = _record(file, place)
        except InputError:
            place = _behind(file, place)
            continue
        if found is None:
            place = find_record(file, place + 1, file.size)
            continue
        dimension = dimension or found.dimension
        vectors += found.vectors if found.dimension == dimension else 0
        place = found.end
    return vectors, dimension


def _behind(file: OpenFile, place: int) -> int | None:
    """Return where records go on behind one that is damaged, or holds no vectors."""
    length = file.length_at(place)
    end = place if length is None else end_of(place, length)
    return end if end > place and file.length_at(end) is not None else find_record(file, place + 1, file.size)


def _record(file: OpenFile, place: int) -> _Found | None:
    """Return where the vectors of the record at a place are; None where the file ends before the record does."""
    head = file.read(place, HEADER_BYTES + _HEAD_BYTES)
    if len(head) < HEADER_BYTES:
        return None
    length = length_of(head)
    if length is None:
        raise InputError(
            f"{file.path} is damaged at byte {place}: no record begins there. It may have changed since it was registered."
        )
    end = end_of(place, length)
    if end > file.size:
        return None
    located = locate(head[HEADER_BYTES:], length)
    if located is not None:
        windows, channels, dimension = located.shape
        return _Found(place, end, place + HEADER_BYTES + located.values_at, windows * channels, dimension)
    return _parsed(file, place, length)


def _parsed(file: OpenFile, place: int, length: int) -> _Found:
    try:
        example = parse(file.read(place + HEADER_BYTES, length))
    except InputError as error:
        raise InputError(f"{file.path} holds no vectors at byte {place}: {error}.") from error
    windows, channels, dimension = example.vectors.shape
    at = NOT_IN_ONE_PIECE if example.values_at is None else place + HEADER_BYTES + example.values_at
    return _Found(place, end_of(place, length), at, windows * channels, dimension)
