"""A list of steps over an acquisition of any length: chunks of it come out, as if it had been computed as one array.

Called by whoever has samples to process; `running` computes one chunk. Memory is that of a chunk with its overlap.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from tilewright.errors import InputError
from tilewright.processing.base import Step, one_of, whole
from tilewright.processing.running import OfThread, Scratch, Stage, compute, spans
from tilewright.processing.spans import Block, Overlap, Shape, Signal, Span
from tilewright.processing.steps import Filter, Joined, step_from_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


_COMPUTED = OfThread()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Steps, each given what the one before makes.

    Raises
    ------
    InputError
        If it is none.
    """

    steps: tuple[Step, ...]
    dtype: str = "float32"
    """In which everything is computed. "float32" errs by less than 2e-6 of the largest sample in amplitude (of an envelope
    that is 1e-4 of it, by less than 0.2 dB), where an acquisition is longer than the overlap. "float64" takes twice the time.
    """

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        one_of(self.dtype, ("float32", "float64"), "a pipeline's dtype")
        for step in self.steps:
            if not isinstance(step, Step):
                raise InputError(
                    f"cannot take {step!r:.200} as a step: expected one of tilewright.processing"
                )

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {"steps": [step.to_json() for step in self.steps], "dtype": self.dtype}

    @classmethod
    def from_json(cls, data: Any) -> Pipeline:
        """Return the pipeline that `to_json` told.

        Raises
        ------
        InputError
            If it is none.
        """
        steps = data.get("steps") if isinstance(data, dict) else None
        if not isinstance(steps, list) or not {"steps", "dtype"}.issuperset(data):
            raise InputError(
                f"cannot read {data!r:.200} as a pipeline: expected an object with steps (a list) and dtype, if need be"
            )
        return cls(tuple(step_from_json(step) for step in steps), data.get("dtype", "float32"))

    def shape(self, given: Shape) -> Shape:
        """Return what comes out of a whole acquisition: its channels, its samples, and their rate.

        Raises
        ------
        InputError
            If there is nothing, or a step does not fit the rate that it is given.
        """
        for stage in self.stages(given):
            given = stage.step.shape(stage.given)
        return given

    def stages(self, given: Shape) -> list[Stage]:
        """Return what is done to an acquisition: the steps, of which a filter that keeps all samples joins the next.

        Raises
        ------
        InputError
            If there is nothing, or a step does not fit the rate that it is given.
        """
        whole(given.channels, 1, "an acquisition's number of channels")
        whole(given.samples, 1, "an acquisition's number of samples")
        rate = given.rate
        for step in self.steps:
            step.check(rate)
            rate /= step.factor_time
        stages = []
        for step in _joined(self.steps):
            stages.append(Stage(step, given))
            given = step.shape(given)
        return stages

    def overlap(self, rate: float) -> Overlap:
        """Return how many input samples before its first one and after its last one a chunk of outputs needs, at most."""
        before = after = 0
        for step, at in reversed(list(zip(self.steps, self._rates(rate), strict=True))):
            overlap = step.overlap(at)
            before = before * step.factor_time + overlap.before
            after = after * step.factor_time + overlap.after
        return Overlap(before, after)

    def plan(self, wanted: Span, given: Shape) -> Span:
        """Return which input samples a span of outputs needs."""
        return spans(self.stages(given), wanted)[0]

    def run(
        self, signal: Signal, wanted: Span | None = None, *, chunk: int, workers: int | None = None
    ) -> Iterator[Block]:
        """Compute outputs, `chunk` samples at a time (the last time, what is left), in threads over parts of a chunk.

        Parameters
        ----------
        signal
            What is processed: whole numbers or floats.
        wanted
            Of the outputs; None for all.
        chunk
            Output samples. The overlap is read and computed for each: take many times as many.
        workers
            Threads; None for one a core.

        Raises
        ------
        InputError
            If a step does not fit, outputs are wanted that are not there, or samples come that were not asked for, or are
            NaN or infinite.
        """
        whole(chunk, 1, "a chunk's number of samples")
        shape = self.shape(signal.shape)
        wanted = _there(Span(0, shape.samples) if wanted is None else wanted, shape)
        return self._chunks(signal, shape, wanted, chunk, workers or os.cpu_count() or 1)

    def block(self, signal: Signal, wanted: Span, *, is_lent: bool = False) -> Block:
        """Compute a span of outputs in the thread that calls: what a task of several that are computed side by side does.

        Parameters
        ----------
        is_lent
            Whether the values are needed no longer than until this thread computes the next block: then no memory is new.

        Raises
        ------
        InputError
            As `run`.
        """
        shape = self.shape(signal.shape)
        wanted = _there(wanted, shape)
        values = compute(
            self.stages(signal.shape),
            signal,
            wanted,
            map,
            _COMPUTED.of(np.dtype(self.dtype)),
            is_lent=is_lent,
        )
        return Block(values, wanted.start, shape.samples, shape.rate)

    def _chunks(
        self, signal: Signal, shape: Shape, wanted: Span, chunk: int, workers: int
    ) -> Iterator[Block]:
        stages, scratch = self.stages(signal.shape), Scratch(np.dtype(self.dtype))
        with ThreadPoolExecutor(workers, thread_name_prefix="tilewright-processing") as threads:
            for start in range(wanted.start, wanted.stop, chunk):
                part = Span(start, min(start + chunk, wanted.stop))
                in_parts = threads.map if workers > 1 else map
                values = compute(stages, signal, part, in_parts, scratch)
                yield Block(values, start, shape.samples, shape.rate)

    def reach(self, wanted: Span, given: Shape) -> Span:
        """Return which input samples a span of outputs depends on; some may lie beyond the acquisition's ends.

        Of an acquisition that goes on, outputs whose reach is there are what they will be at its end.
        """
        for stage in reversed(self.stages(given)):
            wanted = stage.step.needs(wanted, stage.given.rate)
        return wanted

    def _rates(self, rate: float) -> list[float]:
        rates = []
        for step in self.steps:
            rates.append(rate)
            rate /= step.factor_time
        return rates


def _there(wanted: Span, shape: Shape) -> Span:
    """Return outputs that there are.

    Raises
    ------
    InputError
        If there are none such.
    """
    if not 0 <= wanted.start < wanted.stop <= shape.samples:
        raise InputError(
            f"cannot compute samples {wanted.start} to {wanted.stop}: there are {shape.samples} at {shape.rate:g} a second"
        )
    return wanted


def _joined(steps: Sequence[Step]) -> list[Step]:
    """Return steps of which a filter that keeps all samples, and is real, is one with the filter after it.

    Which is exact: such a filter keeps the odd reflection at the ends (`filtering`).
    """
    joined: list[Step] = []
    for step in steps:
        last = joined[-1] if joined else None
        if _is_filter(step) and _is_filter(last) and last.factor_time == 1 and not last.is_modulus:
            joined[-1] = Joined(last, step)
        else:
            joined.append(step)
    return joined


def _is_filter(step: Step | None) -> TypeGuard[Filter]:
    """Say whether a step is nothing but a filter in time."""
    return isinstance(step, Filter) and step.factor_distance == 1
