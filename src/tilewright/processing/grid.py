"""Which tiles a stretch has, and what each is of: a stretch and how tiles are cut come in, areas go out. `images` calls it. Pure.

    row 0    ├ column 0 ┤├ column 1 ┤├ … ┤
    row 1    ├ column 0 ┤├ column 1 ┤├ … ┤

Columns lie along the cable; rows follow each other in time, from the stretch's first sample on.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from tilewright.processing.spans import Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tilewright.processing.acquisition import Stretch
    from tilewright.processing.pipeline import Pipeline
    from tilewright.processing.tiles import Tiling


@dataclass(frozen=True, slots=True)
class Area:
    """What a tile is of, in the run that is processed."""

    start: int
    """Time of its first sample: nanoseconds since 1970, UTC."""
    stop: int
    """Time of the sample after its last."""
    first_sample: int
    """Index in the run's array."""
    stop_sample: int
    """Index of the last one, and one more."""
    first_channel: int
    stop_channel: int
    """The last one, and one more."""
    distance_start: float
    """Of the first channel: metres, or its number, where nobody told the spacing."""
    distance_stop: float
    """Of the channel after the last."""

    @property
    def key(self) -> tuple[int, int]:
        """What a tile is known by among those of its job."""
        return self.first_sample, self.first_channel


class Grid:
    """The tiles of a stretch.

    Parameters
    ----------
    tiling
        How large they are.
    channels
        Which of the run's channels are processed.
    distances
        Of all channels of the run.

    Raises
    ------
    InputError
        If the pipeline does not fit the stretch.
    """

    def __init__(
        self,
        stretch: Stretch,
        pipeline: Pipeline,
        tiling: Tiling,
        channels: slice,
        distances: NDArray[np.float64],
    ) -> None:
        self.stretch, self.tiling = stretch, tiling
        self._pipeline, self._channels, self._distances = pipeline, channels, distances
        self._outputs = pipeline.shape(stretch.shape)
        self._count, self.columns = tiling.count(self._outputs)
        self._length = tiling.samples(self._outputs.rate)
        self._each = self._length * prod(step.factor_time for step in pipeline.steps)
        """Samples that a row lies on."""
        self._wide = tiling.channels * prod(step.factor_distance for step in pipeline.steps)
        """Channels that a column lies on."""

    def rows(self, *, is_over: bool) -> int:
        """Return how many tiles follow each other.

        Parameters
        ----------
        is_over
            Whether the stretch has its end. If not, only those count whose samples are all there, with all that a step needs behind them.
        """
        count, there = self._count, self.stretch.shape
        while not is_over and count:
            whole = Span((count - 1) * self._length, count * self._length)
            if self._pipeline.reach(whole, there).stop <= there.samples:
                break
            count -= 1
        return count

    def between(self, begin: int, end: int, rows: int) -> Span:
        """Return which of the first `rows` touch a time: nanoseconds since 1970, UTC."""
        time = self.stretch.time
        touched = [
            row
            for row in range(rows)
            if time(self._samples(row).start) < end and time(self._samples(row).stop) > begin
        ]
        return Span(touched[0], touched[-1] + 1) if touched else Span(0, 0)

    def key(self, row: int, column: int) -> tuple[int, int]:
        """Return what a tile is known by: `Area.key`."""
        return self.stretch.index(row * self._each), self._channels.start + column * self._wide

    def area(self, row: int, column: int) -> Area:
        """Return what a tile is of."""
        samples, index, time = self._samples(row), self.stretch.index, self.stretch.time
        first = self._channels.start + column * self._wide
        stop = min(first + self._wide, self._channels.stop)
        places = self._distances
        spacing = float(places[1] - places[0]) if len(places) > 1 else 1.0
        return Area(
            time(samples.start),
            time(samples.stop),
            index(samples.start),
            index(samples.stop - 1) + 1,
            first,
            stop,
            float(places[first]),
            float(places[stop - 1]) + spacing,
        )

    def needed(self, rows: Span) -> Span:
        """Return which samples of the stretch tiles in time need."""
        outputs = Span(rows.start * self._length, rows.stop * self._length).within(self._outputs.samples)
        return self._pipeline.plan(outputs, self.stretch.shape)

    def _samples(self, row: int) -> Span:
        """Return the samples of the stretch that a row lies on: those of its outputs, and the ones before the next output."""
        return Span(row * self._each, (row + 1) * self._each).within(self.stretch.shape.samples)
