"""A tile's picture: outputs come in, 256 by 256 grey PNGs go out, with what the tile's values are; called by jobs that save them.

Rows are time, downwards, and columns distance. An element is the mean of the samples in its area (Pillow's BOX: an area's
edges are rounded to whole samples; where there are fewer samples than elements, the nearest one's value), taken before
values become grey, of which decibels have 256 steps.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tilewright.errors import InputError
from tilewright.processing.base import finite, whole
from tilewright.processing.extras import needed
from tilewright.processing.spans import Span
from tilewright.processing.tiles import (
    Place,
    Tile,
    Tiling,
    block_of,
    check_rows,
    chunks_of,
    cut,
)
from tilewright.processing.workers import Threads, in_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tilewright.processing.pipeline import Pipeline
    from tilewright.processing.spans import Samples, Shape, Signal
    from tilewright.processing.workers import Workers

SIZE = 256
"""Elements each side."""
_COMPRESSION = 6
"""zlib's level: a tenth smaller than 1 to 3, for 0.5 ms more."""
_WHITE = 255


@dataclass(frozen=True, slots=True)
class Scale:
    """Which values are black, and which white; what is beyond is so too.

    With None for both, each picture has its own: the least and the greatest value of its tile, as the Orca notebook's.
    Then pictures cannot be compared, and their amplitudes are only in `Summary`.
    """

    low: float | None
    high: float | None

    def __post_init__(self) -> None:
        if self.low is None and self.high is None:
            return
        finite(self.low, "the value that is black")
        finite(self.high, "the value that is white")
        assert self.low is not None
        assert self.high is not None
        if self.low >= self.high:
            raise InputError(
                f"cannot scale from {self.low} to {self.high}: expected the value that is black first"
            )


OWN_SCALE = Scale(None, None)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a tile's values are, of all samples in it."""

    minimum: float
    maximum: float
    mean: float


@dataclass(frozen=True, slots=True)
class Picture:
    """A tile, drawn."""

    place: Place
    summary: Summary
    png: bytes


def summary(values: Samples) -> Summary:
    """Return what values are; the mean is summed in float64."""
    return Summary(float(values.min()), float(values.max()), float(values.mean(dtype=np.float64)))


def grey(values: Samples, scale: Scale, of: Summary) -> NDArray[np.uint8]:
    """Return the picture of values of shape (distance, time). Shape (SIZE, SIZE): time, distance.

    Own scales need what the values are; where all are the same, the picture is black.
    """
    pillow = needed("PIL.Image")
    image = pillow.fromarray(np.ascontiguousarray(values, np.float32))
    means = np.asarray(image.resize((SIZE, SIZE), pillow.Resampling.BOX)).T
    low = of.minimum if scale.low is None else scale.low
    high = of.maximum if scale.high is None else scale.high
    if low == high:
        return np.zeros((SIZE, SIZE), np.uint8)
    shares = (means - np.float32(low)) * np.float32(_WHITE / (high - low))
    picture: NDArray[np.uint8] = np.rint(np.clip(shares, 0, _WHITE)).astype(np.uint8)
    return picture


def png(picture: NDArray[np.uint8]) -> bytes:
    """Return a file's contents; the same for the same picture and version of Pillow."""
    pillow = needed("PIL.Image")
    file = io.BytesIO()
    pillow.fromarray(picture).save(file, "PNG", compress_level=_COMPRESSION)
    return file.getvalue()


def draw(tile: Tile, scale: Scale) -> Picture:
    """Return a tile's picture, and what its values are."""
    of = summary(tile.values)
    return Picture(tile.place, of, png(grey(tile.values, scale, of)))


@dataclass(frozen=True, slots=True)
class Drawing:
    """How samples become pictures."""

    pipeline: Pipeline
    """Its last step is usually `Log`, as 256 steps of grey are few."""
    tiling: Tiling
    scale: Scale

    def count(self, given: Shape) -> int:
        """Return how many tiles in time an acquisition has.

        Raises
        ------
        InputError
            If a step does not fit it.
        """
        return self.tiling.count(self.pipeline.shape(given))[0]


@dataclass(frozen=True, slots=True)
class Task:
    """Tiles that are computed at once: all that another process needs for it."""

    drawing: Drawing
    signal: Signal
    rows: Span
    """Which tiles in time."""


def drawn(task: Task) -> list[Picture]:
    """Compute and draw tiles, in the thread that calls: all of a time before those of the next.

    Raises
    ------
    InputError
        As `Pipeline.block` does, or if there are no such tiles.
    """
    drawing = task.drawing
    block = block_of(drawing.pipeline, task.signal, drawing.tiling, task.rows)
    return [draw(tile, drawing.scale) for tile in cut(block, drawing.tiling)]


def pictures(
    drawing: Drawing,
    signal: Signal,
    rows: Span | None = None,
    *,
    at_once: int | None = None,
    workers: Workers | None = None,
) -> Iterator[Picture]:
    """Compute and draw tiles side by side: they come all of a time before those of the next.

    Parameters
    ----------
    drawing
        How.
    signal
        What is processed; it is read from several threads, or processes.
    rows
        Which tiles in time; None for all.
    at_once
        Tiles that follow each other in a task; None for about 15 s. Memory and the share of overlap depend on it. Pictures do not, but
        where a rounding decides between two steps of grey.
    workers
        Who does it; None for threads of this process.

    Raises
    ------
    InputError
        As `drawn` does.
    """
    at_once = drawing.tiling.at_once if at_once is None else at_once
    whole(at_once, 1, "the number of tiles a task")
    count = drawing.count(signal.shape)
    rows = Span(0, count) if rows is None else rows
    check_rows(rows, count)
    tasks = (Task(drawing, signal, part) for part in chunks_of(rows, at_once))

    def in_turn() -> Iterator[Picture]:
        for _, task in in_order(workers or Threads(), drawn, enumerate(tasks)):
            yield from task.result()

    return in_turn()
