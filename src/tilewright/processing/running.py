"""One chunk of outputs: which samples each stage needs, and their computation in parts; called by `pipeline`.

Stages of which an output depends on its own channel only are computed one after the other on a few channels at a time, so that
what lies between them stays in a processor's cache. One that needs all channels is computed on a few samples at a time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tilewright.errors import InputError
from tilewright.processing.spans import Block, Overlap, Shape, Signal, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from tilewright.processing.base import Step
    from tilewright.processing.spans import Samples

    Map: TypeAlias = "Callable[[Callable[[Span], None], Iterable[Span]], Iterable[None]]"

_PART = 2**17
"""Values of a part: 0.5 MiB of float32, of which a stage has three or four at once in a cache of 2 MiB."""
_COLUMNS = 64
"""Samples that are computed at once where all channels are needed: 256 bytes of each channel, which lie apart."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A step, and what it is given of a whole acquisition."""

    step: Step
    given: Shape

    def needs(self, wanted: Span) -> Span:
        """Return which of the samples that are there outputs need."""
        return self.step.needs(wanted, self.given.rate).within(self.given.samples)

    def apply(self, values: Samples, there: Span, wanted: Span) -> Samples:
        """Return outputs, of what they need."""
        return self.step.apply(Block(values, there.start, self.given.samples, self.given.rate), wanted)


def spans(stages: Sequence[Stage], wanted: Span) -> list[Span]:
    """Return which samples each stage is given, and at last which ones come out."""
    found = [wanted]
    for stage in reversed(stages):
        found.append(stage.needs(found[-1]))
    return found[::-1]


class Scratch:
    """Memory of what lies between sections, for one chunk after the other.

    Pages that are new to a process cost it more than what is computed in them.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self._kept: dict[int, NDArray[Any]] = {}

    def array(self, section: int, shape: tuple[int, int]) -> NDArray[Any]:
        """Return an array of any contents for a section's outputs, which the next call for it takes again."""
        kept = self._kept.get(section)
        if kept is None or kept.size < prod(shape):
            kept = self._kept[section] = np.empty(prod(shape), self.dtype)
        return kept[: prod(shape)].reshape(shape)


class OfThread(threading.local):
    """Memory of the thread that calls, which it keeps."""

    _scratch: Scratch | None = None

    def of(self, dtype: np.dtype[Any]) -> Scratch:
        """Return it; with another dtype than the last time, what there was is let go."""
        if self._scratch is None or self._scratch.dtype != dtype:
            self._scratch = Scratch(dtype)
        return self._scratch


def compute(
    stages: Sequence[Stage],
    signal: Signal,
    wanted: Span,
    in_parts: Map,
    scratch: Scratch,
    *,
    is_lent: bool = False,
) -> Samples:
    """Return outputs `wanted`, of the scratch's dtype. Shape (distance, wanted).

    Parameters
    ----------
    is_lent
        Whether they may lie in the scratch, where the next chunk's take their place; else they are an array of their own.

    Raises
    ------
    InputError
        If samples come that were not asked for, or are NaN or infinite.
    """
    given = spans(stages, wanted)
    values = _read(signal, given[0])
    if not stages:
        return values.astype(scratch.dtype)
    sections = _sections(stages, given)
    for number, section in enumerate(sections):
        is_last = number == len(sections) - 1
        shape = (section.channels, len(section.wanted))
        if number > 0 and not is_last and section.is_in_place:
            output = values
        else:
            output = (
                np.empty(shape, scratch.dtype) if is_last and not is_lent else scratch.array(number, shape)
            )
        section.compute(values, output, in_parts)
        values = output
    return values


@dataclass(frozen=True, slots=True)
class _Section:
    """Stages that are computed one after the other for each part; one that needs all channels is alone."""

    stages: Sequence[Stage]
    given: Sequence[Span]
    """What each stage is given, and at last what comes out."""

    @property
    def wanted(self) -> Span:
        return self.given[-1]

    @property
    def factor(self) -> int:
        """Return of how many channels one is left; parts have a multiple of it."""
        return prod(stage.step.factor_distance for stage in self.stages)

    @property
    def channels(self) -> int:
        last = self.stages[-1]
        return last.step.shape(last.given).channels

    @property
    def needs_all_channels(self) -> bool:
        return self.stages[0].step.needs_all_channels

    @property
    def is_in_place(self) -> bool:
        """Return whether each output can take the place of the one sample that a part of the section reads for it."""
        stage = self.stages[0]
        is_alone = self.needs_all_channels and stage.step.overlap(stage.given.rate) == Overlap(0, 0)
        return is_alone and stage.step.shape(stage.given) == stage.given

    def compute(self, values: NDArray[Any], output: Samples, in_parts: Map) -> None:
        """Put the section's outputs of `values` into an array."""
        if self.needs_all_channels:
            done = in_parts(partial(self._by_time, values, output), _parts(len(self.wanted), _COLUMNS))
        else:
            at_once = max(1, _PART // (len(self.given[0]) * self.factor)) * self.factor
            done = in_parts(partial(self._by_channels, values, output), _parts(len(values), at_once))
        for _ in done:
            pass  # the first failure is raised here

    def _by_channels(self, values: NDArray[Any], output: Samples, channels: Span) -> None:
        part = values[channels.start : channels.stop].astype(output.dtype, copy=False)
        for stage, (given, wanted) in zip(self.stages, pairwise(self.given), strict=True):
            part = stage.apply(part, given, wanted)
        output[channels.start // self.factor :][: len(part)] = part

    def _by_time(self, values: NDArray[Any], output: Samples, part: Span) -> None:
        (stage,), (there, out) = self.stages, self.given
        wanted = Span(out.start + part.start, out.start + part.stop)
        given = stage.needs(wanted)
        some = values[:, given.start - there.start : given.stop - there.start].astype(
            output.dtype, copy=False
        )
        output[:, part.start : part.stop] = stage.apply(some, given, wanted)


def _sections(stages: Sequence[Stage], given: Sequence[Span]) -> list[_Section]:
    """Return stages in sections, with their spans (one more than stages)."""
    starts = [
        number
        for number, stage in enumerate(stages)
        if number == 0 or stage.step.needs_all_channels or stages[number - 1].step.needs_all_channels
    ]
    return [
        _Section(stages[start:stop], given[start : stop + 1])
        for start, stop in pairwise([*starts, len(stages)])
    ]


def _read(signal: Signal, span: Span) -> NDArray[Any]:
    values = np.asarray(signal.read(span.start, span.stop))
    expected = (signal.shape.channels, len(span))
    if values.shape != expected or values.dtype.kind not in "iuf":
        raise InputError(
            f"cannot process samples {span.start} to {span.stop}: they came as {values.dtype} of shape {values.shape}, "
            f"expected numbers of shape {expected} (distance, time)"
        )
    if values.dtype.kind == "f" and not (is_finite := np.isfinite(values)).all():
        channel, sample = np.argwhere(~is_finite)[0]
        raise InputError(
            f"cannot process samples {span.start} to {span.stop}: channel {channel} has {values[channel, sample]} at sample "
            f"{span.start + sample}; fill it, or leave the channel out"
        )
    return values


def _parts(total: int, at_once: int) -> list[Span]:
    return [Span(start, min(start + at_once, total)) for start in range(0, total, at_once)]
