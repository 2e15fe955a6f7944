"""What blocks a sensor has, and when they were recorded: sessions, byte offsets and lengths come in; the stretch around a time goes out.

    blocks    ├──┼──┼──┤   ├──┼──┤       sorted by session and offset; each follows the one before it, or does not
    runs      ├────────┤   ├─────┤       blocks of a session that follow each other, sorted by their beginnings
    clusters  ├────────┤   ├─────┤       runs that overlap, so that what counts of one depends on the others

All three are sorted arrays that are searched by bisection, however many there are; only the few runs around a time become
`Piece`s of a `Timeline`, which decides on gaps and overlaps as it does for recordings. `audio` asks this. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.clients.recordings.timeline import Timeline
from tilewright.documents.times import SECOND, Piece
from tilewright.errors import InputError
from tilewright.stores.growing import Table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from fractions import Fraction

    from numpy.typing import NDArray

    from tilewright.audio import RawPCM

_ROOM = 1 << 62
"""What products of integers in 64 bits are kept below."""
_LATEST, _LONGEST = 3 << 61, 1 << 61
"""Nanoseconds of a session's anchor, and of what it holds: 2189, and 73 years. Their sum fits 64 bits."""


@dataclass(frozen=True)
class Layout:
    """How samples lie in sessions, whatever the place."""

    rate: Fraction
    """Frames a second."""
    pcm: RawPCM
    """What a frame is: offsets and lengths of blocks count its bytes, whatever the blocks are stored as."""
    unit: int
    """Nanoseconds of a session's number: 1,000,000 where it is milliseconds since 1970, UTC."""

    @cached_property
    def period(self) -> Fraction:
        """Nanoseconds from one frame to the next."""
        return SECOND / self.rate

    @cached_property
    def _most(self) -> int:
        """Bytes that a session can have."""
        return int(_LONGEST / self.period) * self.pcm.frame_bytes

    def anchor(self, session: int) -> int:
        """Return when a session's first frame was: nanoseconds since 1970, UTC."""
        return int(session) * self.unit

    def check(self, session: int, offset: int) -> None:
        """Raise InputError for a block of which no time in 64 bits can be told."""
        if self.anchor(session) >= _LATEST or offset >= self._most:
            raise InputError(
                f"Session {session}, block {offset} has no time in 64 bits: is the unit of sessions right?"
            )

    def piece(self, session: int, start: int, stop: int, number: int) -> Piece:
        """Return the frames of a session that bytes `start` to before `stop` have whole, as a piece of a timeline."""
        size = self.pcm.frame_bytes
        return Piece(-(-start // size), stop // size, 0, self.anchor(session), self.period, number)

    def times(self, sessions: NDArray[np.int64], frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the times of frames of sessions, as `Piece.time` gives them: shape (number,).

        >>> from fractions import Fraction
        >>> from tilewright.audio import RawPCM
        >>> layout = Layout(Fraction(44100), RawPCM(16), 1_000_000)
        >>> layout.times(np.array([5, 5]), np.array([0, 441 * 10**6 + 1])).tolist()
        [5000000, 10000005022676]
        """
        parts, step = self.period.denominator, self.period.numerator
        if 2 * parts * step >= _ROOM:
            sessions, frames = sessions.astype(object), frames.astype(object)
        wholes, rests = frames // parts, frames % parts
        times = sessions * self.unit + wholes * step + (2 * rests * step + parts) // (2 * parts)
        return np.asarray(times, np.int64)


class Blocks:
    """The blocks of a sensor. Of two with one session and offset, the later one counts.

    Parameters
    ----------
    layout
        How samples lie in them.
    sessions, offsets, lengths
        A block's session, its first byte in the session, and its bytes; shape (blocks,), in any order.
    """

    def __init__(self, layout: Layout, sessions: Any = (), offsets: Any = (), lengths: Any = ()) -> None:
        self.layout = layout
        self._table = Table(np.array([sessions, offsets, lengths], np.int64).reshape(3, -1))
        self._waiting: list[tuple[int, int, int]] = []
        """Blocks that are not after all others, for the next look."""
        self._last: tuple[tuple[int, int], Timeline] | None = None
        """The runs that were asked for last, and their timeline: mostly the same again."""
        self._sort()

    def __len__(self) -> int:
        self._settle()
        return len(self._table)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Sessions, offsets and lengths, sorted: shape (3, blocks)."""
        self._settle()
        return self._table.rows

    def put(self, session: int, offset: int, length: int) -> None:
        """Add a block, or another length of one. One after all others costs the same however many there are."""
        if self._waiting or not self._is_last(session, offset):
            if not self._is_there(session, offset, length):
                self._waiting.append((session, offset, length))
            return
        self._table.append((session, offset, length))
        self._extend(session, offset, length)

    def remove(self, session: int, offset: int) -> None:
        """Take a block out."""
        rows = self.rows
        self._table = Table(rows[:, (rows[0] != session) | (rows[1] != offset)])
        self._find_runs()

    def offsets(self, session: int) -> NDArray[np.int64]:
        """Return the offsets of a session's blocks, sorted; none if there is no such session."""
        rows = self.rows
        first, last = np.searchsorted(rows[0], [session, session + 1])
        return rows[1, first:last]

    def sessions(self, begin: int | None = None, end: int | None = None) -> NDArray[np.int64]:
        """Return the sessions with a frame whose time t has begin <= t < end, sorted; of all times without these."""
        if begin is None or end is None:
            return np.unique(self.rows[0])
        first, last = self._around(begin, end)
        runs = self._runs.rows[:, first:last]
        inside = (runs[_BEGINS] > begin) & (runs[_BEGINS] < end)
        for number in np.flatnonzero(~inside):
            piece = self._piece(first + int(number), 0)
            inside[number] = max(piece.index(begin), piece.start) < min(piece.index(end), piece.stop)
        return np.unique(runs[_SESSION, inside])

    def timeline(self, begin: int, end: int) -> tuple[Timeline, int]:
        """Return what was recorded around a time, and the number of the run that its first piece is.

        Its pieces are all that have to do with this time: what is before and after them is as if it were not there.
        """
        self._settle()
        around = self._around(begin, end)
        if self._last is None or self._last[0] != around:
            pieces = [self._piece(number, number - around[0]) for number in range(*around)]
            self._last = around, Timeline(pieces, [self.layout.rate] * len(pieces))
        return self._last[1], around[0]

    def of_run(self, number: int, start: int, stop: int) -> tuple[int, NDArray[np.int64]]:
        """Return the session of a run, and its blocks that have bytes `start` to before `stop`: offsets and lengths, shape (2, blocks)."""
        run = self._runs.rows[:, number]
        blocks = self._table.rows[1:, run[_FIRST] : run[_LAST]]
        first = int(np.searchsorted(blocks[0], start, "right")) - 1
        return int(run[_SESSION]), blocks[:, first : int(np.searchsorted(blocks[0], stop, "left"))]

    def _piece(self, number: int, told: int) -> Piece:
        run = self._runs.rows[:, number].tolist()
        return self.layout.piece(run[_SESSION], run[_START], run[_STOP], told)

    def _around(self, begin: int, end: int) -> tuple[int, int]:
        """Return the runs of the clusters that have to do with a time, and of one more on either side."""
        self._settle()
        begins = self._clusters.rows[1]
        first = max(int(np.searchsorted(begins, begin, "right")) - 2, 0)
        last = int(np.searchsorted(begins, end, "left")) + 1
        firsts = self._clusters.rows[0]
        return (
            int(firsts[first]) if first < len(firsts) else 0,
            int(firsts[last]) if last < len(firsts) else len(self._runs),
        )

    def _is_last(self, session: int, offset: int) -> bool:
        return not len(self._table) or tuple(self._table.rows[:2, -1]) < (session, offset)

    def _is_there(self, session: int, offset: int, length: int) -> bool:
        """Tell whether the very same block is known: it was written anew."""
        if self._waiting:
            return False
        sessions, offsets, lengths = self._table.rows
        first, last = np.searchsorted(sessions, [session, session + 1])
        place = first + np.searchsorted(offsets[first:last], offset)
        return bool(place < last and (offsets[place], lengths[place]) == (offset, length))

    def _settle(self) -> None:
        """Take in the blocks that wait."""
        if self._waiting:
            waiting, self._waiting = np.array(self._waiting, np.int64).T, []
            self._table = Table(np.concatenate([self._table.rows, waiting], axis=1))
            self._sort()

    def _sort(self) -> None:
        rows = self._table.rows
        rows = rows[:, np.lexsort((rows[1], rows[0]))]  # stable: of two equal ones, the later one is the last
        is_last = np.ones(rows.shape[1], bool)
        is_last[:-1] = (rows[:2, 1:] != rows[:2, :-1]).any(axis=0)
        self._table = Table(rows[:, is_last])
        self._find_runs()

    def _find_runs(self) -> None:
        sessions, offsets, lengths = self._table.rows
        begins_run = np.ones(len(sessions), bool)
        begins_run[1:] = (sessions[1:] != sessions[:-1]) | (offsets[1:] != offsets[:-1] + lengths[:-1])
        first = np.flatnonzero(begins_run)
        last = np.append(first[1:], len(sessions))[: len(first)]
        stops = offsets[last - 1] + lengths[last - 1]
        runs = self._timed(np.stack([first, last, sessions[first], offsets[first], stops]))
        self._runs = Table(runs[:, np.argsort(runs[_BEGINS], kind="stable")])
        self._find_clusters()

    def _timed(self, runs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return runs with their times; those without a whole frame are left out."""
        size = self.layout.pcm.frame_bytes
        starts, stops = -(-runs[_START] // size), runs[_STOP] // size
        sessions = runs[_SESSION]
        times = np.stack([self.layout.times(sessions, starts), self.layout.times(sessions, stops)])
        whole: NDArray[np.int64] = np.concatenate([runs, times])[:, stops > starts]
        return whole

    def _find_clusters(self) -> None:
        begins, ends = self._runs.rows[_BEGINS], self._runs.rows[_ENDS]
        until = np.maximum.accumulate(ends) if len(ends) else ends
        is_free = np.ones(len(begins), bool)
        is_free[1:] = begins[1:] >= until[:-1] - self._half
        first = np.flatnonzero(is_free)
        last = np.append(first[1:], len(begins))[: len(first)]
        self._clusters = Table(np.stack([first, begins[first], until[last - 1]]))
        self._last = None

    @cached_property
    def _half(self) -> int:
        """Nanoseconds by which runs may overlap and still follow each other, as in `Part.half`."""
        return int(self.layout.period) // 2

    def _extend(self, session: int, offset: int, length: int) -> None:
        """Bring runs and clusters up to date after a block that is after all others."""
        count = len(self._table)
        run = self._runs.rows[:, -1] if len(self._runs) else None
        goes_on = run is not None and (run[_LAST], run[_SESSION], run[_STOP]) == (count - 1, session, offset)
        start = int(run[_START]) if run is not None and goes_on else offset
        first = int(run[_FIRST]) if run is not None and goes_on else count - 1
        made = self._timed(np.array([[first, count, session, start, offset + length]], np.int64).T)
        self._last = None
        if not made.shape[1] or (not goes_on and not self._begins_run(session, offset)):
            self._find_runs()
        elif goes_on:
            self._runs.rows[:, -1] = made[:, 0]
            self._clusters.rows[2, -1] = max(self._clusters.rows[2, -1], made[_ENDS, 0])
        else:
            self._append_run(made[:, 0].tolist())

    def _begins_run(self, session: int, offset: int) -> bool:
        """Tell whether a block begins a run of its own: the one before it ends elsewhere."""
        if len(self._table) == 1:
            return True
        before = self._table.rows[:, -2]
        return bool(before[0] != session or before[1] + before[2] != offset)

    def _append_run(self, run: list[int]) -> None:
        if len(self._runs) and run[_BEGINS] < self._runs.rows[_BEGINS, -1]:
            self._find_runs()
            return
        self._runs.append(run)
        clusters = self._clusters.rows
        if len(self._clusters) and run[_BEGINS] < clusters[2, -1] - self._half:
            clusters[2, -1] = max(clusters[2, -1], run[_ENDS])
        else:
            self._clusters.append([len(self._runs) - 1, run[_BEGINS], run[_ENDS]])


_FIRST, _LAST, _SESSION, _START, _STOP, _BEGINS, _ENDS = range(7)
"""What a run has: its first block and the one after its last, among the sorted ones; its session; its first byte and the one after its
last; and the times of its first frame and of the one after its last."""


def blocks_of(layout: Layout, found: Iterable[tuple[str, int, int, int]]) -> dict[str, Blocks]:
    """Return the blocks of each sensor from (sensor, session, offset, length), in any order."""
    gathered: dict[str, list[tuple[int, int, int]]] = {}
    for sensor, session, offset, length in found:
        layout.check(session, offset)
        gathered.setdefault(sensor, []).append((session, offset, length))
    return {sensor: Blocks(layout, *zip(*blocks, strict=True)) for sensor, blocks in sorted(gathered.items())}
