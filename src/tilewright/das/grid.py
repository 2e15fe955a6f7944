"""Time stamps of samples come in, how regular they are goes out: the kinds of files that have stamps call it.

stamps     0    5000   10000   15001   27000  …      read a block at a time: there may be a thousand million
grid       0    5000   10000   15000   20000         start + i · step
off                                1    7000         more than half a step: the index of a sample does not tell its time
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tilewright.documents.times import SECOND, nearest
from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

_BLOCK = 1 << 20
"""Stamps that are read at once."""
_FEW = 1 << 16
"""Differences that tell the usual step."""


@dataclass(frozen=True, slots=True)
class Stamps:
    """The times of samples, as a file has them.

    Parameters
    ----------
    read
        Returns stamps from an index to before another, shape (stop - start,).
    count
        How many there are.
    per_second
        1 if they are seconds since 1970, 1,000,000 if they are microseconds.
    where
        The file, for messages.
    """

    read: Callable[[int, int], NDArray[Any]]
    count: int
    per_second: int
    where: str

    @property
    def start(self) -> int:
        """Return the first one, in nanoseconds since 1970: the nearest one.

        Raises
        ------
        InputError
            If it is no number.
        """
        first = self.read(0, 1)[0].item()
        if first != first or abs(first) == float("inf"):  # noqa: PLR0124 - NaN is not itself
            raise InputError(f"{self.where}: its first time stamp is {first}: expected a time since 1970")
        return nearest(Fraction(first) * SECOND / self.per_second)

    def up_to(self, count: int) -> Stamps:
        """Return the first ones."""
        return Stamps(self.read, count, self.per_second, self.where)

    def written(self) -> int:
        """Return how many there are up to the last that is not 0, as it is where nothing was written yet."""
        for start in range((self.count - 1) // _BLOCK * _BLOCK, -1, -_BLOCK):
            (places,) = self.read(start, min(start + _BLOCK, self.count)).nonzero()
            if len(places):
                return start + int(places[-1]) + 1
        return 0

    def step(self) -> Fraction:
        """Return the usual step in seconds, for files that tell no rate.

        The median of the first differences, so that gaps do not matter; or the mean of all, where that is closer than the stamps
        are told: 3 kHz in whole microseconds is 333, 333, 334, …

        Raises
        ------
        InputError
            If there is one stamp, or they do not run forward.
        """
        import numpy as np  # noqa: PLC0415 - with the first file

        if self.count < 2:  # noqa: PLR2004 - two have a difference
            raise InputError(f"{self.where} tells no rate, and has one time stamp: expected two or more")
        usual = Fraction(float(np.median(np.diff(self.read(0, min(self.count, _FEW))))))
        if usual <= 0:
            raise InputError(f"{self.where} tells no rate, and its time stamps do not run forward")
        span = self.read(self.count - 1, self.count)[0].item() - self.read(0, 1)[0].item()
        mean = Fraction(span) / (self.count - 1)
        return (mean if abs(mean - usual) < 1 else usual) / self.per_second

    def irregularity(self, step: Fraction) -> str:
        """Return a sentence if stamps are more than half a step off the grid that begins with the first; empty otherwise."""
        import numpy as np  # noqa: PLC0415 - with the first file

        worst, first_off, tolerance = 0.0, None, float(step) / 2
        for start, off in self._off(step):
            (places,) = (~(off <= tolerance)).nonzero()  # what is no number is off as well
            if len(places) and first_off is None:
                first_off = start + int(places[0])
            worst = max(worst, float(np.fmax.reduce(off)))
        if first_off is None:
            return ""
        return (
            f"its time stamps are up to {worst:.6g} s ({worst / float(step):,.1f} samples) off a grid of {float(step):.9g} s, first at sample "
            f"{first_off:,}; they have {self._mean():.9g} s from one to the next on average"
        )

    def _off(self, step: Fraction) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Yield index and distance from the grid, in seconds, a block of stamps at a time."""
        import numpy as np  # noqa: PLC0415 - with the first file

        first = self.read(0, 1)[0]
        for start in range(0, self.count, _BLOCK):
            stop = min(start + _BLOCK, self.count)
            seconds = (self.read(start, stop) - first) / self.per_second
            yield start, np.abs(seconds - np.arange(start, stop) * float(step))

    def _mean(self) -> float:
        span = self.read(self.count - 1, self.count)[0] - self.read(0, 1)[0]
        return float(span) / self.per_second / (self.count - 1)
