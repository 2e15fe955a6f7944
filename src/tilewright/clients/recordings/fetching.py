"""Samples over HTTP: plans come in, an array for each goes out; one request for all of them, several where they are large.

`selecting`, `aligning`, `sampling` and `pictures` call this.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tilewright.clients.arrays import LARGE
from tilewright.clients.progress import announced
from tilewright.clients.spans import Span, fetch_spans
from tilewright.journal.overview import size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tilewright.clients.recordings.units import Unit
    from tilewright.clients.run import Run


@dataclass(frozen=True, slots=True)
class Wanted:
    """Samples of a unit."""

    unit: Unit
    start: int
    stop: int

    @property
    def nbytes(self) -> int:
        """Bytes that they are."""
        return (self.stop - self.start) * self.unit.channels * self.unit.dtype.itemsize

    def span(self) -> Span:
        """Return it as the request names it."""
        row = (self.unit.channels,) if self.unit.channels > 1 else ()
        return Span(self.unit.path, self.start, self.stop, self.unit.dtype, row)


def fetch(run: Run, wanted: Sequence[Wanted], at_once: int = LARGE) -> list[NDArray[Any]]:
    """Fetch samples, each as an array of shape (samples,), or (samples, channels) of a unit with more than one channel.

    What is more than a hundred megabytes is told before on stderr, and a bar shows how far it is.

    Parameters
    ----------
    at_once
        Bytes of a request, about: as many requests as that takes.
    """
    total = sum(one.nbytes for one in wanted)
    batches = [list(wanted)] if total <= at_once else _batches(wanted, at_once)
    units = len({one.unit.name for one in wanted})
    sentence = f"samples of {units} unit{'s' if units > 1 else ''}: {size_text(total)}"
    got: list[NDArray[Any]] = []
    with announced(sentence, len(batches)) if total > LARGE else nullcontext(_nobody) as advance:
        for batch in batches:
            if batch:
                got += fetch_spans(run.context, run.item["links"]["search"], [one.span() for one in batch])
            advance()
    return got


def _batches(wanted: Sequence[Wanted], at_once: int) -> list[list[Wanted]]:
    """Put together what makes a request of up to so many bytes; what is larger by itself, `fetch_spans` takes apart."""
    batches: list[list[Wanted]] = []
    room = 0
    for one in wanted:
        if not batches or one.nbytes > room:
            batches.append([])
            room = at_once
        batches[-1].append(one)
        room -= one.nbytes
    return batches


def _nobody() -> None:
    """Count nothing."""
