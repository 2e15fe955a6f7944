"""What is to be fetched, and where it goes: units and a span of time come in; a `Plan` for each array goes out.

`selecting` and `aligning` call this. Pure: nothing is fetched here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.clients.recordings.gaps import refuse_gaps, refuse_rates, without_holes
from tilewright.clients.recordings.moments import text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from fractions import Fraction

    from numpy.typing import NDArray

    from tilewright.clients.recordings.gaps import Gaps
    from tilewright.clients.recordings.timeline import Part, Timeline
    from tilewright.clients.recordings.units import Clock, Unit


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes one row of an array: parts of one unit that follow each other on its grid."""

    unit: Unit
    clock: Clock
    parts: tuple[Part, ...]
    begin: int
    """The span of time that was asked for: nanoseconds since 1970, UTC."""
    end: int

    @property
    def timeline(self) -> Timeline:
        """Its unit's pieces, by its clock."""
        return self.unit.timeline(self.clock)

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    @property
    def has_gaps(self) -> bool:
        """Whether anything in it was not recorded."""
        return any(not part.is_recorded for part in self.parts)

    @property
    def grid(self) -> tuple[Any, ...]:
        """What tells whether two plans have the same times: first time, period and number of each line.

        Parts that go on with the line before them are one, so that a gap in one of two units does not tell them apart.
        """
        lines: list[tuple[Fraction, Fraction, int]] = []
        for part in self.parts:
            first, period, count = part.piece.exact(part.start), part.piece.period, len(part)
            if lines and lines[-1][1] == period and lines[-1][0] + lines[-1][2] * period == first:
                lines[-1] = (lines[-1][0], period, lines[-1][2] + count)
            else:
                lines.append((first, period, count))
        return tuple(lines)

    @property
    def recorded_key(self) -> tuple[Any, ...]:
        """What tells whether two plans have gaps at the same places."""
        return tuple((part.is_recorded, len(part)) for part in self.parts) if self.has_gaps else ()

    @property
    def samples_key(self) -> tuple[Any, ...]:
        """What tells whether two plans have samples of the same indices in their units' arrays."""
        return tuple((part.start if part.is_recorded else -1, len(part)) for part in self.parts)

    @property
    def rate(self) -> Fraction | None:
        """Nominal samples a second."""
        return self.timeline.rate(self.parts[0]) if self.parts else self.unit.rate

    def spans(self) -> Iterator[tuple[int, int, int]]:
        """Yield what to fetch: first sample, sample after the last, and where the first goes; as few as there can be."""
        place = 0
        open_span: tuple[int, int, int] | None = None
        for part in self.parts:
            if part.is_recorded:
                if open_span is not None and (open_span[1], open_span[2] + open_span[1] - open_span[0]) == (
                    part.start,
                    place,
                ):
                    open_span = open_span[0], part.stop, open_span[2]
                else:
                    if open_span is not None:
                        yield open_span
                    open_span = part.start, part.stop, place
            place += len(part)
        if open_span is not None:
            yield open_span

    def times(self) -> NDArray[np.int64]:
        """Return the time of each place: nanoseconds since 1970."""
        return _joined([part.times() for part in self.parts])

    def samples(self, run: Callable[[int, int], NDArray[np.int64]] = np.arange) -> NDArray[np.int64]:
        """Return the index of each place in the unit's array; -1 where nothing was recorded.

        Parameters
        ----------
        run
            Gives the numbers from one to before another.
        """
        return _joined(
            [
                run(part.start, part.stop) if part.is_recorded else np.full(len(part), -1)
                for part in self.parts
            ]
        )

    def recorded(self) -> NDArray[np.bool_]:
        """Return whether each place was recorded."""
        if not self.has_gaps:
            return np.broadcast_to(np.True_, len(self))
        out = np.ones(len(self), bool)
        place = 0
        for part in self.parts:
            out[place : place + len(part)] = part.is_recorded
            place += len(part)
        return out

    @property
    def uncertainty(self) -> int | None:
        """Largest number of nanoseconds by which a time of what was recorded may be wrong; None if it is not known for all."""
        all_ = [part.piece.uncertainty for part in self.parts if part.is_recorded]
        known = [one for one in all_ if one is not None]
        return max(known) if known and len(known) == len(all_) else None

    def told_gaps(self) -> list[dict[str, Any]]:
        """Return the times in which nothing was recorded, for the attrs."""
        return [
            _told(part.begins, part.ends, samples=len(part)) for part in self.parts if not part.is_recorded
        ]

    def told_overlaps(self) -> list[dict[str, Any]]:
        """Return the times that two files have, for the attrs."""
        return [
            _told(
                max(one.start, self.begin),
                min(one.stop, self.end),
                files=[self.unit.names[number] for number in one.files],
            )
            for one in self.timeline.breaks
            if one.kind == "overlap" and one.start < self.end and one.stop > self.begin
        ]

    def told_clock(self) -> list[dict[str, Any]]:
        """Return how the times of what was recorded were found, for the attrs: by the unit's clock, between tie points or outside."""
        found: list[dict[str, Any]] = []
        for part in (part for part in self.parts if part.is_recorded):
            method = "nominal" if self.clock == "nominal" else "interpolated"
            method = "extrapolated" if part.piece.is_extrapolated else method
            told = _told(part.begins, part.ends, method=method, uncertainty_ns=part.piece.uncertainty)
            last = found[-1] if found else None
            if last is not None and last["method"] == method:
                worst = [last["uncertainty_ns"], told["uncertainty_ns"]]
                last |= {"stop": told["stop"], "uncertainty_ns": None if None in worst else max(worst)}
            else:
                found.append(told)
        return found


def continuous(units: Sequence[Unit], begin: int, end: int, clock: Clock | None, gaps: Gaps) -> list[Plan]:
    """Return one plan a unit, on a grid that goes on through its gaps.

    Raises
    ------
    InputError
        The rate changes within the span; or there is a gap, and these are to be told.
    """
    plans = continuous_on_any_rate(units, begin, end, clock)
    for plan in plans:
        refuse_rates(plan.unit, plan.timeline, plan.parts)
        if gaps == "raise":
            refuse_gaps(plan.unit, plan.timeline, plan.parts)
    return plans


def continuous_on_any_rate(units: Sequence[Unit], begin: int, end: int, clock: Clock | None) -> list[Plan]:
    """Return one plan a unit, on a grid that goes on through its gaps, and may change its rate."""
    plans = []
    for unit in units:
        which = unit.clock(clock)
        parts = without_holes(unit.timeline(which), begin, end)
        plans.append(Plan(unit, which, tuple(parts), begin, end))
    return plans


def segmented(units: Sequence[Unit], begin: int, end: int, clock: Clock | None) -> dict[str, list[Plan]]:
    """Return the plans of each unit, one for what was recorded without a break; of files that overlap, both whole."""
    found = {}
    for unit in units:
        which = unit.clock(clock)
        timeline = unit.timeline(which)
        segments = timeline.segments(timeline.whole_between(begin, end))
        found[unit.name] = [Plan(unit, which, tuple(segment), begin, end) for segment in segments]
    return found


def _told(start: int, stop: int, **more: Any) -> dict[str, Any]:
    return {"start": text(start), "stop": text(stop), **more}


def _joined(arrays: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate(arrays) if arrays else np.empty(0, np.int64)
