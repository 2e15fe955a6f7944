"""Which rows of which run's array a block is: rows of runs come in, places of blocks go out. `runs` asks. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_NONE = np.empty((4, 0), np.int64)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the samples of a block are."""

    length: int
    """Bytes of the block."""
    first: int
    """Index of its first sample in the array."""
    run: int
    """Number of the run."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames of blocks that follow each other in one array."""

    run: int
    first: int
    """Index of the first in the array."""
    start: int
    """Frame of the session that it is."""
    stop: int


@dataclass(slots=True)
class Track:
    """The blocks of a sensor in a session. Of two with one offset, the later one counts."""

    rows: NDArray[np.int64] = field(default_factory=lambda: _NONE)
    """Offset, length, first sample, and number of the run; sorted by the offset, shape (4, blocks)."""
    written: dict[int, Place] = field(default_factory=dict)
    """By offset, what came since."""

    def add(self, rows: NDArray[np.int64]) -> None:
        """Add blocks, which are later than all others."""
        rows = np.concatenate([self.settled(), rows], axis=1)
        rows = rows[:, np.argsort(rows[0], kind="stable")]
        is_last = np.ones(rows.shape[1], bool)
        is_last[:-1] = rows[0, 1:] != rows[0, :-1]
        self.rows = rows[:, is_last]

    def settled(self) -> NDArray[np.int64]:
        """Return the rows, with what came since."""
        if self.written:
            made = [(offset, one.length, one.first, one.run) for offset, one in self.written.items()]
            self.written = {}
            self.add(np.array(made, np.int64).T)
        return self.rows

    def find(self, offset: int) -> Place | None:
        """Return where a block is; None if it is not there."""
        if offset in self.written:
            return self.written[offset]
        number = int(np.searchsorted(self.rows[0], offset))
        if number == self.rows.shape[1] or self.rows[0, number] != offset:
            return None
        return Place(*self.rows[1:, number].tolist())

    def stretches(
        self, offsets: NDArray[np.int64], frame_bytes: int, start: int, stop: int
    ) -> Iterator[Stretch]:
        """Yield where frames of a session are, of blocks that have them.

        Parameters
        ----------
        offsets
            Of these blocks, sorted; each begins with a whole frame, and ends with one or where the next begins.

        Raises
        ------
        KeyError
            The offset of a block that is not there.
        """
        rows = self.settled()
        numbers = np.searchsorted(rows[0], offsets)
        there = (
            rows[:, np.minimum(numbers, rows.shape[1] - 1)]
            if rows.shape[1]
            else np.full((4, len(offsets)), -1)
        )
        if (missing := np.flatnonzero(there[0] != offsets)).size:
            raise KeyError(int(offsets[missing[0]]))
        begins = there[0] // frame_bytes
        ends = np.minimum(begins + there[1] // frame_bytes, np.append(begins[1:], stop))
        begins, firsts = np.maximum(begins, start), there[2] + np.maximum(start - begins, 0)
        ends = np.minimum(ends, stop)
        goes_on = (firsts[1:] == firsts[:-1] + ends[:-1] - begins[:-1]) & (there[3, 1:] == there[3, :-1])
        first = np.flatnonzero(np.append(True, ~goes_on))
        last = np.append(first[1:], len(begins)) - 1
        for one, other in zip(first.tolist(), last.tolist(), strict=True):
            yield Stretch(int(there[3, one]), int(firsts[one]), int(begins[one]), int(ends[other]))
