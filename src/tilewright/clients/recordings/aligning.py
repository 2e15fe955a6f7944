"""Units on one grid: units and a span of time come in; one `xarray.DataArray` goes out, resampled, its gaps masked.

`Deployment.select` calls this with ``align=True``, and for nothing else are samples ever altered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.clients.recordings import resampling
from tilewright.clients.recordings.assembling import attributes, data_array
from tilewright.clients.recordings.fetching import Wanted, fetch
from tilewright.clients.recordings.gaps import refuse_gaps
from tilewright.clients.recordings.plans import Plan, continuous_on_any_rate
from tilewright.clients.recordings.selecting import pick
from tilewright.documents.times import SECOND, Piece
from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from tilewright.clients.recordings.selecting import Request
    from tilewright.clients.recordings.timeline import Part

_SMALL = 2
"""Bytes of a sample up to which float32 holds it and what lies between."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A linear piece of a unit, and the places of the grid that it fills."""

    row: int
    plan: Plan
    part: Part
    first: int
    """Place on the grid of the first."""
    count: int
    ratio: Fraction
    """Samples from one place to the next."""
    place: Fraction
    """Index in the unit's array of the first place."""
    start: int
    """Samples to fetch: with what lies before and after without a break, as far as it matters."""
    stop: int


def align(request: Request, rate: float | None) -> xr.DataArray:
    """Return the samples of a span of time on a common grid: see `Deployment.select`."""
    if request.gaps == "segments":
        raise InputError(
            "align=True gives one array on one grid, in which gaps are masked; it cannot give segments."
        )
    _refuse_kinds(request)
    plans = continuous_on_any_rate(request.units, request.begin, request.end, request.clock)
    if request.gaps == "raise":
        for plan in plans:
            refuse_gaps(plan.unit, plan.timeline, plan.parts)
    told = _rate(rate, plans)
    period = SECOND / told
    count = math.ceil((request.end - request.begin) / period)
    jobs = [job for row, plan in enumerate(plans) for job in _jobs(row, plan, request.begin, period, count)]
    got = fetch(request.run, [Wanted(job.plan.unit, job.start, job.stop) for job in jobs])
    values, recorded = _filled(request, plans, count)
    for job, samples in zip(jobs, got, strict=True):
        picked = pick(samples, job.plan.unit, request.channels).reshape(len(samples), -1)
        made = resampling.resample(picked, job.place - job.start, job.ratio, job.count)
        where = slice(job.first, job.first + job.count)
        values[job.row, where] = made.reshape(job.count, *values.shape[2:])
        recorded[job.row, where] = True
    return _array(request, plans, told, values, recorded)


def _refuse_kinds(request: Request) -> None:
    """Raise if the units have different numbers of channels, of which none is asked for by name."""
    counts = {unit.channels for unit in request.units}
    if request.channels is None and len(counts) > 1:
        raise InputError(
            f"The units have {' and '.join(map(str, sorted(counts)))} channels: name some, as channels=0."
        )


def _rate(rate: float | None, plans: Sequence[Plan]) -> Fraction:
    """Return the rate of the grid: the one given, or the lowest nominal one."""
    if rate is None:
        rates = [plan.timeline.rate(part) for plan in plans for part in plan.parts if part.is_recorded]
        return min(rates or [plan.rate for plan in plans if plan.rate])
    told = Fraction(str(rate)) if isinstance(rate, float) else Fraction(rate)
    if told <= 0:
        raise InputError(f"rate={rate!r}: expected samples a second, above 0.")
    return told


def _jobs(row: int, plan: Plan, begin: int, period: Fraction, count: int) -> list[_Job]:
    """Return what fills a row: the stretches of a unit, each from its first sample to before the next stretch or its end."""
    found = []
    stretches = [plan.timeline.stretch(part) for part in plan.parts if part.is_recorded]
    for number, part in enumerate(stretches):
        following = stretches[number + 1] if number + 1 < len(stretches) else None
        end = part.piece.exact(part.stop)
        if following is not None and following.follows(part):
            end = following.piece.exact(following.start)
        first = max(math.ceil((part.piece.exact(part.start) - begin) / period), 0)
        stop = min(math.ceil((end - begin) / period), count)
        if stop > first:
            found.append(_job(row, plan, part, (begin + first * period, period, first, stop - first)))
    return found


def _job(row: int, plan: Plan, part: Part, grid: tuple[Fraction, Fraction, int, int]) -> _Job:
    time, period, first, count = grid
    ratio = period / part.piece.period
    place = part.start + (time - part.piece.exact(part.start)) / part.piece.period
    margin = resampling.margin(ratio)
    low, high = plan.timeline.reach(part)
    start = max(math.floor(place) - margin, low)
    stop = min(math.ceil(place + (count - 1) * ratio) + margin + 1, high)
    return _Job(row, plan, part, first, count, ratio, place, start, stop)


def _filled(request: Request, plans: Sequence[Plan], count: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the values of a grid on which nothing was recorded."""
    small = all(plan.unit.dtype.itemsize <= _SMALL or plan.unit.dtype == np.float32 for plan in plans)
    unit = plans[0].unit
    empty = np.empty((0, unit.channels)[: 1 + (unit.channels > 1)])
    more = pick(empty, unit, request.channels).shape[1:]
    filling = request.fill_value if request.gaps == "fill" else 0
    values = np.full((len(plans), count, *more), filling, np.float32 if small else np.float64)
    return values, np.zeros((len(plans), count), bool)


def _array(
    request: Request,
    plans: Sequence[Plan],
    rate: Fraction,
    values: NDArray[Any],
    recorded: NDArray[np.bool_],
) -> xr.DataArray:
    times = Piece(0, values.shape[1], 0, request.begin, SECOND / rate, 0).times(0, values.shape[1])
    told = attributes(request, plans) | {
        "rate": int(rate) if rate.denominator == 1 else float(rate),
        "method": resampling.METHOD,
        "true_rates": {plan.unit.name: _true_rates(plan) for plan in plans},
    }
    others = {} if request.gaps == "fill" else {"recorded": recorded}
    return data_array(request, plans, values, times, others, told)


def _true_rates(plan: Plan) -> list[float]:
    """Return the rates by which a unit's pieces were resampled, in their order, each once."""
    return list(dict.fromkeys(float(SECOND / part.piece.period) for part in plan.parts if part.is_recorded))
