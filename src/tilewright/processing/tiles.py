"""Where outputs are cut into tiles: a pipeline's blocks come in, tiles go out; called by `pictures`, and by whoever reads tiles.

Tiles lie side by side from the acquisition's first sample and channel on, so that a tile has the same number and the same
samples whatever is computed, in whatever chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tilewright.errors import InputError
from tilewright.processing.base import positive, whole
from tilewright.processing.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tilewright.processing.pipeline import Pipeline
    from tilewright.processing.spans import Block, Samples, Shape, Signal

CHUNK_SECONDS = 15.0
"""About how long what a task computes is, unless told otherwise: with 2.3 s of overlap each side, a quarter is computed twice, and two
tasks of 7,500 channels take half a gigabyte."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """How large tiles are; those at the cable's end, and the acquisition's, have what is left."""

    seconds: float
    """Rounded to samples of the outputs, at least one."""
    channels: int
    """Of the outputs."""

    def __post_init__(self) -> None:
        positive(self.seconds, "a tile's length in seconds")
        whole(self.channels, 1, "a tile's number of channels")

    def samples(self, rate: float) -> int:
        """Return how many samples of the outputs a tile has, at this rate of theirs."""
        return max(1, round(self.seconds * rate))

    @property
    def at_once(self) -> int:
        """Return how many tiles that follow each other make a task."""
        return max(1, round(CHUNK_SECONDS / self.seconds))

    def count(self, shape: Shape) -> tuple[int, int]:
        """Return how many tiles there are in time, and in distance, of outputs of such a shape."""
        return -(-shape.samples // self.samples(shape.rate)), -(-shape.channels // self.channels)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tile lies among the outputs."""

    row: int
    """Number in time, from 0."""
    column: int
    """Number in distance, from 0."""
    samples: Span
    channels: Span


@dataclass(frozen=True, slots=True)
class Tile:
    """Outputs of a time span and a distance span."""

    place: Place
    values: Samples
    """Shape (distance, time): part of a block's."""


def cut(block: Block, tiling: Tiling) -> Iterator[Tile]:
    """Return the tiles of a block, all of a time before those of the next.

    Raises
    ------
    InputError
        If the block starts or ends within a tile.
    """
    length, span = tiling.samples(block.rate), block.span
    if span.start % length or (span.stop % length and span.stop != block.samples):
        raise InputError(
            f"cannot cut samples {span.start} to {span.stop} into tiles of {length}: expected whole tiles, which start at "
            f"multiples of {length}; take such a span, and chunks of a multiple"
        )
    return _tiles(block, tiling.channels, length)


def _tiles(block: Block, channels: int, length: int) -> Iterator[Tile]:
    for start in range(0, block.values.shape[1], length):
        for first in range(0, len(block.values), channels):
            values = block.values[first : first + channels, start : start + length]
            at = block.start + start
            place = Place(
                at // length,
                first // channels,
                Span(at, at + values.shape[1]),
                Span(first, first + len(values)),
            )
            yield Tile(place, values)


def block_of(pipeline: Pipeline, signal: Signal, tiling: Tiling, rows: Span) -> Block:
    """Return a pipeline's outputs of some tiles in time, which can be `cut`; computed in the thread that calls, until it computes the next.

    Raises
    ------
    InputError
        If there are no such tiles, or they cannot be computed.
    """
    shape = pipeline.shape(signal.shape)
    length, (count, _) = tiling.samples(shape.rate), tiling.count(shape)
    check_rows(rows, count)
    wanted = Span(rows.start * length, rows.stop * length).within(shape.samples)
    return pipeline.block(signal, wanted, is_lent=True)


def check_rows(rows: Span, count: int) -> None:
    """Refuse tiles in time that there are none of.

    Raises
    ------
    InputError
        If so.
    """
    if not 0 <= rows.start < rows.stop <= count:
        raise InputError(f"cannot take tiles {rows.start} to {rows.stop} in time: there are {count}, from 0")


def chunks_of(rows: Span, at_once: int) -> Iterator[Span]:
    """Yield tiles in time, so many at once; from multiples of that number on, so that a tile is always computed with the same others.

    >>> list(chunks_of(Span(3, 7), 2))
    [Span(start=3, stop=4), Span(start=4, stop=6), Span(start=6, stop=7)]
    """
    for start in range(rows.start // at_once * at_once, rows.stop, at_once):
        yield Span(max(start, rows.start), min(start + at_once, rows.stop))


def seconds_of(duration: float | str) -> float:
    """Return a duration in seconds, of seconds or of text with a unit.

    Raises
    ------
    InputError
        If it is none.

    Examples
    --------
    >>> seconds_of(15), seconds_of("15s"), seconds_of("1.5min")
    (15.0, 15.0, 90.0)
    """
    import pandas as pd  # noqa: PLC0415 - slow to import

    is_text = isinstance(duration, str)
    try:
        return pd.Timedelta(duration).total_seconds() if is_text else float(duration)
    except (TypeError, ValueError):
        raise InputError(
            f"{duration!r:.100} is no duration: expected seconds, or text such as '15s' or '1min'"
        ) from None
