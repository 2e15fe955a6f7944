"""Which samples are meant, and how many: comes from every module here, and goes to all of them.

Sample 0 is the acquisition's first one. After a step that keeps every n-th sample, output k lies where input n·k does,
whatever chunk it was computed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

Samples: TypeAlias = "NDArray[np.floating[Any]]"
"""Shape (distance, time)."""
Read: TypeAlias = "Callable[[int, int], NDArray[Any]]"
"""Of a first sample and the one after the last: integers or floats of shape (distance, stop - start)."""


@dataclass(frozen=True, slots=True)
class Span:
    """Samples from `start` to before `stop`, counted from the acquisition's first."""

    start: int
    stop: int

    def __len__(self) -> int:
        """Return how many there are."""
        return max(0, self.stop - self.start)

    def within(self, total: int) -> Span:
        """Return those that an acquisition of `total` samples has.

        >>> Span(-50, 120).within(100)
        Span(start=0, stop=100)
        """
        return Span(max(0, self.start), min(total, self.stop))


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many input samples a step needs beyond those that its outputs lie on."""

    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Shape:
    """What goes into a step, or comes out, of a whole acquisition."""

    channels: int
    samples: int
    rate: float
    """Samples a second."""


@dataclass(frozen=True, slots=True)
class Signal:
    """An acquisition that can be read by samples."""

    read: Read
    """By `Pipeline.run` from one thread, in the order of time; by tasks side by side from several, and in other processes if it is sent
    there. A span reaches back by the pipeline's overlap."""
    shape: Shape


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive samples of some channels."""

    values: Samples
    start: int
    """Of `values[:, 0]`."""
    samples: int
    """How many the whole acquisition has at this rate: where its true end is."""
    rate: float
    """Samples a second."""

    @property
    def span(self) -> Span:
        """Return which samples these are."""
        return Span(self.start, self.start + self.values.shape[1])
