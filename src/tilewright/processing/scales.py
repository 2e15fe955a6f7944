"""Which values are to be black, and which white: some tiles of an acquisition come in, a scale for all goes out. `images` calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tilewright.errors import InputError
from tilewright.processing.pictures import Scale
from tilewright.processing.tiles import block_of
from tilewright.processing.workers import in_order

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tilewright.processing.pictures import Task
    from tilewright.processing.workers import Workers

SAMPLED = 8
"""Tiles in time, spread over the acquisition, whose values tell the scale."""
_SHARES = (1.0, 99.9)
"""Percent of the values that are darker than black, or not lighter than white."""
_AT_MOST = 1 << 18
"""Values of a tile that are looked at."""


def measured(tasks: Iterable[Task], workers: Workers) -> Scale:
    """Return the scale that leaves out a hundredth of the values as black, and a thousandth as white; rounded to a tenth.

    Those that cannot be processed are passed over: they are told of when they are to be drawn.

    Raises
    ------
    InputError
        If none can be.
    """
    parts, failed = [], None
    for _, task in in_order(workers, _some_values, enumerate(tasks)):
        try:
            parts.append(task.result())
        except InputError as error:
            failed = error
    if not parts:
        raise failed or InputError("there are no tiles whose values tell a scale: give one")
    low, high = np.percentile(np.concatenate(parts), _SHARES)
    low, high = round(float(low), 1), round(float(high), 1)
    return Scale(low, high if high > low else low + 1.0)


def spread(count: int) -> list[int]:
    """Return which of so many tiles in time are looked at.

    >>> spread(3), spread(100)
    ([0, 1, 2], [0, 14, 28, 42, 56, 70, 84, 99])
    """
    return sorted({int(place) for place in np.linspace(0, count - 1, min(count, SAMPLED))})


def _some_values(task: Task) -> np.ndarray[tuple[int], np.dtype[np.floating]]:
    """Return values of tiles, every so many of them: the same each time."""
    drawing = task.drawing
    values = block_of(drawing.pipeline, task.signal, drawing.tiling, task.rows).values.ravel()
    return values[:: -(-len(values) // _AT_MOST)].copy()
