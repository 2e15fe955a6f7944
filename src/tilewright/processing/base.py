"""What a step is: what it needs, what it makes of a shape, and how it is told in JSON. Subclassed by every step.

A step is its parameters; what depends on the sampling rate is asked with the rate.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from tilewright.errors import InputError
from tilewright.processing.spans import Overlap, Shape, Span

if TYPE_CHECKING:
    from tilewright.processing.spans import Block, Samples


@dataclass(frozen=True, slots=True)
class Step(ABC):
    """One operation on samples of shape (distance, time), of float32 or float64; the dtype stays."""

    name: ClassVar[str]
    """In JSON, and among `STEPS`."""

    @property
    def needs_all_channels(self) -> bool:
        """Return whether an output depends on channels other than its own; if not, channels are computed in parts."""
        return False

    @property
    def factor_time(self) -> int:
        """Return of how many samples one is left."""
        return 1

    @property
    def factor_distance(self) -> int:
        """Return of how many channels one is left."""
        return 1

    def check(self, rate: float) -> None:  # noqa: B027 - most steps fit any rate
        """Say whether the parameters fit samples at this rate.

        Raises
        ------
        InputError
            If they do not.
        """

    def overlap(self, rate: float) -> Overlap:  # noqa: ARG002 - most steps depend on it
        """Return how many input samples beyond those of its outputs are needed, at most."""
        return Overlap(0, 0)

    def needs(self, wanted: Span, rate: float) -> Span:
        """Return which input samples outputs depend on; some may lie beyond the acquisition's ends, and are not read."""
        overlap = self.overlap(rate)
        last = (wanted.stop - 1) * self.factor_time
        return Span(wanted.start * self.factor_time - overlap.before, last + overlap.after + 1)

    def shape(self, given: Shape) -> Shape:
        """Return what comes out of a whole acquisition."""
        return Shape(
            -(-given.channels // self.factor_distance),
            -(-given.samples // self.factor_time),
            given.rate / self.factor_time,
        )

    @abstractmethod
    def apply(self, block: Block, wanted: Span) -> Samples:
        """Return outputs of a block that has all that they need.

        It is not written to. What comes out may be part of a larger array.
        """

    def to_json(self) -> dict[str, Any]:
        """Return name and parameters, for `tilewright.processing.step_from_json`."""
        return {"step": self.name, **{field.name: getattr(self, field.name) for field in fields(self)}}


def whole(value: Any, least: int, what: str) -> None:
    """Check a parameter that is a whole number.

    Raises
    ------
    InputError
        If it is none, or too small.
    """
    if type(value) is not int or value < least:
        raise InputError(f"cannot take {value!r:.100} as {what}: expected a whole number from {least}")


def positive(value: Any, what: str) -> None:
    """Check a parameter that is a number greater than 0.

    Raises
    ------
    InputError
        If it is not.
    """
    finite(value, what)
    if value <= 0:
        raise InputError(f"cannot take {value!r:.100} as {what}: expected a number greater than 0")


def finite(value: Any, what: str) -> None:
    """Check a parameter that is a number.

    Raises
    ------
    InputError
        If it is none, or not finite.
    """
    if type(value) not in {int, float} or not math.isfinite(value):
        raise InputError(f"cannot take {value!r:.100} as {what}: expected a finite number")


def one_of(value: Any, choices: tuple[str, ...], what: str) -> None:
    """Check a parameter that is one of a few words.

    Raises
    ------
    InputError
        If it is not.
    """
    if value not in choices:
        raise InputError(f"cannot take {value!r:.100} as {what}: expected {' or '.join(choices)}")
