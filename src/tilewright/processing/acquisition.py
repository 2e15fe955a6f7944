"""A cable comes in, its samples go out as signals that a pipeline takes: one for each stretch of time without a gap. `images` calls it.

    array      0 … 2999        3000 … 5999   6000 … 8999      indices in the run's array, in the order of its files
    time       ├───────────────┤├────────────┤   gap   ├──────────┤
    stretches  0 … 5999                                0 … 2999    positions: what a pipeline calls samples

Where nothing was recorded, a filter would ring: a stretch is an acquisition of its own, with true ends.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from tilewright.processing.running import OfThread
from tilewright.processing.spans import Shape, Signal, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tilewright.clients.cables import Cable
    from tilewright.clients.cables.stored import Stored
    from tilewright.clients.recordings.timeline import Part


_READ = OfThread()


@dataclass(frozen=True, slots=True)
class Reader:
    """Samples of a stretch by their positions; can be sent to another process."""

    stored: Stored
    channels: slice
    pieces: tuple[tuple[int, Span], ...]
    """Positions and indices: of the first sample, and of all, for each piece of the array."""

    def __call__(self, start: int, stop: int) -> NDArray[Any]:
        """Return samples from a position to before another: shape (distance, time). They are there until this thread reads again."""
        shape = (self.channels.stop - self.channels.start, stop - start)
        values = _READ.of(self.stored.dtype).array(0, shape)
        for first, indices in self.pieces:
            inside = Span(max(start, first), min(stop, first + len(indices)))
            if len(inside):
                begin = indices.start + inside.start - first
                out = values[:, inside.start - start : inside.stop - start]
                self.stored.read(begin, begin + len(inside), self.channels, out=out)
        return values


class Stretch:
    """Some channels of a stretch of time without a gap.

    Parameters
    ----------
    parts
        Of the run's array, which follow each other.
    channels
        Which of the run's.
    """

    def __init__(self, stored: Stored, parts: Sequence[Part], channels: slice, rate: float) -> None:
        self._stored = stored
        self._parts = parts
        self._channels = channels
        self._firsts = list(accumulate(map(len, parts), initial=0))
        """Position of each part's first sample; and how many samples there are."""
        self.shape = Shape(channels.stop - channels.start, self._firsts[-1], rate)
        """Of the signal."""

    def signal(self, needed: Span) -> Signal:
        """Return the stretch as a signal of which only some positions can be read: as little as can be is sent."""
        first, last = self._number(needed.start), self._number(needed.stop - 1)
        pieces = tuple(
            (self._firsts[number], Span(self._parts[number].start, self._parts[number].stop))
            for number in range(first, last + 1)
        )
        stored = self._stored.between(
            min(span.start for _, span in pieces), max(span.stop for _, span in pieces)
        )
        return Signal(Reader(stored, self._channels, _joined(pieces)), self.shape)

    def index(self, position: int) -> int:
        """Return the index in the run's array of a sample."""
        number = self._number(position)
        return self._parts[number].start + position - self._firsts[number]

    def time(self, position: int) -> int:
        """Return the time of a sample, or of the end: nanoseconds since 1970, UTC."""
        number = self._number(min(position, self.shape.samples - 1))
        part = self._parts[number]
        return part.piece.time(part.start + position - self._firsts[number])

    def _number(self, position: int) -> int:
        """Return which part has a sample."""
        return bisect_right(self._firsts, position) - 1


def _joined(pieces: Sequence[tuple[int, Span]]) -> tuple[tuple[int, Span], ...]:
    """Return pieces of which those are one that follow each other in the array: one call reads them.

    >>> _joined([(0, Span(0, 10)), (10, Span(10, 15)), (15, Span(17, 20))])
    ((0, Span(start=0, stop=15)), (15, Span(start=17, stop=20)))
    """
    joined: list[tuple[int, Span]] = []
    for first, span in pieces:
        if joined and joined[-1][1].stop == span.start:
            joined[-1] = joined[-1][0], Span(joined[-1][1].start, span.stop)
        else:
            joined.append((first, span))
    return tuple(joined)


def stretches(cable: Cable, channels: slice) -> list[Stretch]:
    """Return the stretches of a cable, in the order of time."""
    stored = cable.stored()
    return [Stretch(stored, parts, channels, cable.rate) for parts in cable.stretches()]
