"""The steps of a pipeline: blocks of samples come in, outputs go out; called by `pipeline` for each part of a chunk."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tilewright.errors import InputError
from tilewright.processing import kernels
from tilewright.processing.base import Step, finite, one_of, positive, whole
from tilewright.processing.filtering import filtered
from tilewright.processing.spans import Block, Overlap, Span

if TYPE_CHECKING:
    from tilewright.processing.kernels import Taps
    from tilewright.processing.spans import Samples


@dataclass(frozen=True, slots=True)
class Filter(Step):
    """A step that is a finite impulse response in time, of zero phase; two of them are parts of a complex one."""

    @property
    def is_modulus(self) -> bool:
        """Return whether the outputs are the modulus of two filters'."""
        return False

    def kernels(self, rate: float) -> tuple[Taps, ...]:
        """Return the taps, or the real and the imaginary part's, whose modulus is taken then."""
        raise NotImplementedError

    def overlap(self, rate: float) -> Overlap:
        """Return the filter's reach."""
        reach = kernels.reach(self.kernels(rate)[0])
        return Overlap(reach, reach)

    def apply(self, block: Block, wanted: Span) -> Samples:
        """Return the filter's outputs, or their modulus."""
        outputs = filtered(block, wanted, self.kernels(block.rate), self.factor_time)
        return outputs[0] if len(outputs) == 1 else _modulus(*outputs)


def _modulus(real: Samples, imaginary: Samples) -> Samples:
    np.square(real, out=real)
    np.square(imaginary, out=imaginary)
    real += imaginary
    return np.sqrt(real, out=real)


@dataclass(frozen=True, slots=True)
class Decimate(Filter):
    """Take every n-th sample, and one of every n channels, counted from the acquisition's first.

    In time, what would alias is filtered out before: up to 0.8 of the new Nyquist frequency amplitudes stay, from the
    new Nyquist frequency on they are attenuated by 80 dB (both to 1e-4).
    """

    name: ClassVar[str] = "decimate"
    time: int
    """1 for all samples."""
    distance: int = 1
    """1 for all channels."""
    channels: str = "mean"
    """What is left of `distance` channels: their "mean", of those there are at the cable's end, or the "first"."""

    def __post_init__(self) -> None:
        whole(self.time, 1, "decimation's factor in time")
        whole(self.distance, 1, "decimation's factor in distance")
        one_of(self.channels, ("mean", "first"), "decimation's channels")

    @property
    def factor_time(self) -> int:
        """Return of how many samples one is left."""
        return self.time

    @property
    def factor_distance(self) -> int:
        """Return of how many channels one is left."""
        return self.distance

    def kernels(self, rate: float) -> tuple[Taps, ...]:  # noqa: ARG002 - shares of the rate
        """Return the low-pass filter."""
        return (kernels.low_pass(self.time),)

    def apply(self, block: Block, wanted: Span) -> Samples:
        """Return fewer channels, filtered, and fewer samples."""
        values = _fewer_channels(block.values, self.distance, self.channels)
        if self.time == 1:
            return values
        (output,) = filtered(
            Block(values, block.start, block.samples, block.rate), wanted, self.kernels(block.rate), self.time
        )
        return output


def _fewer_channels(values: Samples, factor: int, channels: str) -> Samples:
    if factor == 1 or channels == "first":
        return values[::factor]
    starts = np.arange(0, len(values), factor)
    counts = np.diff(starts, append=len(values)).astype(values.dtype)
    sums: Samples = np.add.reduceat(values, starts, axis=0)
    return sums / counts[:, None]


_ROWS = 256
"""Channels of which samples are put behind each other at once."""


@dataclass(frozen=True, slots=True)
class Median(Step):
    """Take off the median of all channels at each sample ("distance"), or of each channel's own samples ("time").

    Along distance, what all channels have in common at a moment goes, such as a shaken interrogator. Along time, each
    channel's offset goes: of windows of so many seconds that lie side by side from the acquisition's first sample on,
    so that they do not depend on chunks; the last one has what is left. Outputs step where windows meet.
    """

    name: ClassVar[str] = "median"
    axis: str = "distance"
    window: float | None = None
    """Seconds, along time; rounded to samples, at least one."""

    def __post_init__(self) -> None:
        one_of(self.axis, ("distance", "time"), "the median's axis")
        if self.axis == "time":
            positive(self.window, "the median's window in seconds along time")
        elif self.window is not None:
            raise InputError(f"cannot take a window of {self.window!r:.100} s along distance: expected none")

    @property
    def needs_all_channels(self) -> bool:
        """Return whether it is along distance."""
        return self.axis == "distance"

    def samples(self, rate: float) -> int:
        """Return how many samples a window along time has."""
        return max(1, round((self.window or 0.0) * rate))

    def overlap(self, rate: float) -> Overlap:
        """Return what a sample at a window's end, and one at its start, need."""
        if self.axis == "distance":
            return Overlap(0, 0)
        return Overlap(self.samples(rate) - 1, self.samples(rate) - 1)

    def needs(self, wanted: Span, rate: float) -> Span:
        """Return the windows that outputs lie in."""
        if self.axis == "distance":
            return wanted
        window = self.samples(rate)
        return Span(wanted.start // window * window, -(-wanted.stop // window) * window)

    def apply(self, block: Block, wanted: Span) -> Samples:
        """Return the deviations from the median."""
        first = wanted.start - block.start
        values = block.values[:, first : first + len(wanted)]
        if self.axis == "distance":
            return values - middle(_by_sample(values))
        window, output = self.samples(block.rate), np.empty_like(values)
        for start in range(block.start, block.span.stop, window):
            inside = slice(max(0, start - wanted.start), max(0, start + window - wanted.start))
            medians = middle(block.values[:, start - block.start : start - block.start + window].copy())
            np.subtract(values[:, inside], medians[:, None], out=output[:, inside])
        return output


def _by_sample(values: Samples) -> Samples:
    """Return a copy of shape (time, distance): a few rows at a time, of which each line of the cache is loaded once."""
    turned = np.empty(values.shape[::-1], values.dtype)
    for start in range(0, len(values), _ROWS):
        turned[:, start : start + _ROWS] = np.ascontiguousarray(values[start : start + _ROWS]).T
    return turned


def middle(values: Samples) -> Samples:
    """Return the median of each row: the middle one, or the mean of both. Rows are put in another order.

    Faster than `numpy.median`: one partition, by which the lower middle is the greatest below.

    >>> middle(np.array([[3.0, 1.0, 2.0, 10.0], [0.0, 0.0, 1.0, 1.0]]))
    array([2.5, 0.5])
    """
    count = values.shape[1]
    values.partition(count // 2, axis=1)
    upper: Samples = values[:, count // 2]
    if count % 2:
        return upper
    lower: Samples = values[:, : count // 2].max(axis=1)
    return (lower + upper) / values.dtype.type(2)


@dataclass(frozen=True, slots=True)
class Bandpass(Filter):
    """Pass a band of frequencies with zero phase: a Butterworth filter forwards and backwards (-6 dB at both edges).

    As `scipy.signal.sosfiltfilt` does, to 1e-6, where the acquisition's ends are far; near them it equals that with a
    padding as long as the response, where scipy's default is shorter.
    """

    name: ClassVar[str] = "bandpass"
    low: float
    """Hz."""
    high: float
    """Hz, below half the sampling rate."""
    order: int = 8
    """As `scipy.signal.butter` takes it: each edge falls off with this order, twice."""

    def __post_init__(self) -> None:
        positive(self.low, "the band's lower edge in Hz")
        positive(self.high, "the band's upper edge in Hz")
        whole(self.order, 1, "the band-pass's order")
        if self.low >= self.high:
            raise InputError(f"cannot pass {self.low} to {self.high} Hz: expected the lower edge first")

    def check(self, rate: float) -> None:
        """Say whether the band lies below half the rate, and its response ends."""
        if self.high >= rate / 2:
            raise InputError(
                f"cannot pass {self.low} to {self.high} Hz at {rate:g} samples a second: expected an upper edge below "
                f"{rate / 2:g} Hz; decimate less, or lower the edge"
            )
        self.kernels(rate)

    def kernels(self, rate: float) -> tuple[Taps, ...]:
        """Return the band-pass."""
        return (kernels.band_pass(self.low, self.high, self.order, rate),)


@dataclass(frozen=True, slots=True)
class Envelope(Filter):
    """Take the modulus of the analytic signal, by a Hilbert transformer of finite length.

    From `transition` Hz to as far below half the rate it equals an endless transformer's to 2e-4 (`scipy.signal.hilbert`
    takes the array for a period, and differs near its ends); what lies outside is to be filtered out before.
    """

    name: ClassVar[str] = "envelope"
    transition: float = 2.0
    """Hz. Half of it takes twice the overlap."""

    def __post_init__(self) -> None:
        positive(self.transition, "the envelope's transition in Hz")

    @property
    def is_modulus(self) -> bool:
        """Return that they are."""
        return True

    def check(self, rate: float) -> None:
        """Say whether there is anything between the transitions."""
        if self.transition >= rate / 4:
            raise InputError(
                f"cannot take the envelope with a transition of {self.transition} Hz at {rate:g} samples a second: "
                f"expected less than {rate / 4:g} Hz"
            )

    def kernels(self, rate: float) -> tuple[Taps, ...]:
        """Return the sample itself, and the Hilbert transformer."""
        taps = kernels.hilbert(self.transition, rate)
        itself = np.zeros(len(taps))
        itself[kernels.reach(taps)] = 1.0
        return itself, taps


_LEAST = float(np.finfo(np.float32).tiny)
_HUGE = 300.0
"""A power of 10 that float64 has, and float32 has not."""
_DECIBELS = 20 / math.log(10)
"""Of a natural logarithm of 1."""


@dataclass(frozen=True, slots=True)
class Log(Step):
    """Tell amplitudes in decibels: 20·log10(x / reference), not below a floor; 0 and less have the floor."""

    name: ClassVar[str] = "log"
    reference: float = 1e-6
    """The amplitude of 0 dB."""
    floor: float = -120.0
    """dB."""

    def __post_init__(self) -> None:
        positive(self.reference, "the logarithm's reference")
        finite(self.floor, "the logarithm's floor in dB")
        if not _LEAST <= self._least() <= 1 / _LEAST:
            raise InputError(
                f"cannot take {self.floor} dB of {self.reference} as the logarithm's floor: expected an amplitude that float32 "
                f"has, from {_LEAST:.3g}"
            )

    def _least(self) -> float:
        """Return the amplitude of the floor."""
        return math.pow(10.0, min(_HUGE, math.log10(self.reference) + self.floor / 20))

    def apply(self, block: Block, wanted: Span) -> Samples:
        """Return decibels."""
        first = wanted.start - block.start
        values = block.values[:, first : first + len(wanted)]
        kind = values.dtype.type
        output = np.maximum(values, kind(self._least()))
        np.log(
            output, out=output
        )  # numpy computes it several float32 at once, on any processor of today; log10 not
        output *= kind(_DECIBELS)
        output -= kind(_DECIBELS * math.log(self.reference))
        return np.maximum(output, kind(self.floor), out=output)


@dataclass(frozen=True, slots=True)
class Joined(Filter):
    """Two filters as one; the first keeps all samples, and is real. Made by `pipeline`, and never told in JSON."""

    name: ClassVar[str] = "joined"
    first: Filter
    second: Filter

    @property
    def factor_time(self) -> int:
        """Return the second's, as the first has 1."""
        return self.second.factor_time

    @property
    def is_modulus(self) -> bool:
        """Return the second's."""
        return self.second.is_modulus

    def kernels(self, rate: float) -> tuple[Taps, ...]:
        """Return the taps of both, convolved."""
        return _convolved(self.first, self.second, rate)


@lru_cache(maxsize=64)
def _convolved(first: Filter, second: Filter, rate: float) -> tuple[Taps, ...]:
    (taps,) = first.kernels(rate)
    return tuple(np.convolve(taps, others) for others in second.kernels(rate))


STEPS: dict[str, type[Step]] = {step.name: step for step in (Decimate, Median, Bandpass, Envelope, Log)}


def step_from_json(data: Any) -> Step:
    """Return the step that `Step.to_json` told; parameters that have a default may be missing.

    Raises
    ------
    InputError
        If it is none.
    """
    kind = STEPS.get(str(data.get("step"))) if isinstance(data, dict) else None
    if kind is None:
        raise InputError(
            f"cannot read {data!r:.200} as a step: expected an object whose step is {', '.join(STEPS)}"
        )
    parameters = {key: value for key, value in data.items() if key != "step"}
    known = {field.name for field in fields(kind)}
    if not known.issuperset(parameters):
        raise InputError(
            f"cannot read step {data!r:.200}: expected, of {kind.name}, {', '.join(sorted(known))}"
        )
    try:
        return kind(**parameters)
    except TypeError as error:
        raise InputError(f"cannot read step {data!r:.200}: {error}") from error
