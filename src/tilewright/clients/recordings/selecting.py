"""Selection by time: units and a span of time come in; raw samples as `xarray.DataArray`s go out. No sample is altered.

`Deployment.select` calls this. What is fetched, and where it goes, is decided in `plans`; here it is put together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tilewright.clients.recordings.assembling import Indices, assembled
from tilewright.clients.recordings.fetching import Wanted, fetch
from tilewright.clients.recordings.gaps import filling
from tilewright.clients.recordings.plans import Plan, continuous, segmented
from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from tilewright.clients.recordings.gaps import Gaps
    from tilewright.clients.recordings.units import Clock, Unit
    from tilewright.clients.run import Run

Channels: TypeAlias = "int | Iterable[int] | None"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, checked."""

    run: Run
    units: Sequence[Unit]
    begin: int
    """Nanoseconds since 1970, UTC."""
    end: int
    clock: Clock | None
    channels: int | tuple[int, ...] | None
    gaps: Gaps
    fill_value: float


def select(request: Request) -> xr.DataArray | dict[str, Any]:
    """Return the samples of a span of time: see `Deployment.select`."""
    if request.gaps == "segments":
        found = segmented(request.units, request.begin, request.end, request.clock)
        arrays = iter(_arrays(request, [plan for plans in found.values() for plan in plans]))
        return {unit: [next(arrays) for _ in plans] for unit, plans in found.items()}
    plans = continuous(request.units, request.begin, request.end, request.clock, request.gaps)
    if _is_one_array(plans):
        return _together(request, plans)
    return dict(zip((plan.unit.name for plan in plans), _arrays(request, plans), strict=True))


def chosen_channels(channels: Channels, units: Sequence[Unit]) -> int | tuple[int, ...] | None:
    """Return the channels that are asked for: one, some, or None for all.

    Raises
    ------
    InputError
        A channel that a unit does not have.
    """
    if channels is None:
        return None
    one = isinstance(channels, (int, np.integer)) and not isinstance(channels, bool)
    try:
        asked = [int(channels)] if one else [int(channel) for channel in channels]  # type: ignore[arg-type, union-attr]
    except (TypeError, ValueError):
        raise InputError(f"channels={channels!r}: expected a number, several, or None for all.") from None
    for unit in units:
        wrong = [channel for channel in asked if not 0 <= channel < unit.channels]
        if wrong or not asked:
            there = "channel 0" if unit.channels == 1 else f"channels 0 to {unit.channels - 1}"
            raise InputError(f"channels={channels!r}: unit {unit.name} has {there}.")
    return asked[0] if one else tuple(asked)


def pick(values: NDArray[Any], unit: Unit, channels: int | tuple[int, ...] | None) -> NDArray[Any]:
    """Return the channels that are asked for of samples, shape (samples,) or (samples, channels)."""
    if channels is None:
        return values
    whole = values if unit.channels > 1 else values[:, None]
    return whole[:, channels] if isinstance(channels, int) else whole[:, list(channels)]


def _is_one_array(plans: Sequence[Plan]) -> bool:
    """Tell whether units have the very same times, and samples of one kind."""
    first = plans[0]
    kind = first.unit.dtype, first.unit.channels, first.rate
    grid = first.grid
    return all(
        (plan.unit.dtype, plan.unit.channels, plan.rate) == kind and plan.grid == grid for plan in plans[1:]
    )


def _wanted(plans: Sequence[Plan]) -> list[Wanted]:
    return [Wanted(plan.unit, start, stop) for plan in plans for start, stop, _ in plan.spans()]


def _together(request: Request, plans: Sequence[Plan]) -> xr.DataArray:
    """Return units that have the same times as one array, shape (unit, time[, channel])."""
    got = iter(fetch(request.run, _wanted(plans)))
    first = plans[0]
    if len(plans) == 1:
        values = _values(request, first, got)[None]
    else:
        one = _values(request, first, got)
        values = np.empty((len(plans), *one.shape), one.dtype)
        values[0] = one
        for number, plan in enumerate(plans[1:], start=1):
            _values(request, plan, got, out=values[number])
    return assembled(request, plans, values, Indices())


def _arrays(request: Request, plans: Sequence[Plan]) -> list[xr.DataArray]:
    """Return an array for each plan, shape (unit: 1, time[, channel]); those of the same times share them."""
    got = iter(fetch(request.run, _wanted(plans)))
    indices = Indices(slack=len(plans) > 1)
    return [assembled(request, [plan], _values(request, plan, got)[None], indices) for plan in plans]


def _values(request: Request, plan: Plan, got: Any, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Return the samples of a plan, of the channels asked for, taking from `got` what was fetched for it."""
    unit, channels = plan.unit, request.channels
    spans = list(plan.spans())
    arrays = [pick(next(got), unit, channels) for _ in spans]
    if out is None and len(spans) == 1 and not plan.has_gaps:
        return arrays[0]
    if out is None:
        shape = pick(
            np.empty((0, unit.channels)[: 1 + (unit.channels > 1)], unit.dtype), unit, channels
        ).shape
        out = np.empty((len(plan), *shape[1:]), unit.dtype)
    if plan.has_gaps:
        out[:] = filling(request.gaps, request.fill_value, unit.dtype)
    for (start, stop, place), array in zip(spans, arrays, strict=True):
        out[place : place + stop - start] = array
    return out
