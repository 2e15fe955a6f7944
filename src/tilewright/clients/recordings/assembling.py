"""Arrays with their coordinates: samples and the plans that they are of come in; `xarray.DataArray`s go out.

`selecting` and `aligning` call this. Of a short time of many units, coordinates are several times what the samples are, so
that none is made twice, and none is copied.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from tilewright.clients.recordings.plans import Plan
    from tilewright.clients.recordings.selecting import Request

NAME = "audio"
ALONG = ("unit", "time")


class Indices:
    """Gives out runs of whole numbers; those near the first one are parts of the same memory, which nobody can write to.

    Parameters
    ----------
    slack
        Whether more are to come near the first: other units of one time.
    """

    def __init__(self, *, slack: bool = False) -> None:
        self._slack = slack
        self._first = 0
        self._made: NDArray[np.int64] = np.empty(0, np.int64)

    def run(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the numbers from one to before another."""
        if not self._first <= start <= stop <= self._first + len(self._made):
            more = (stop - start) // 2 if self._slack else 0
            self._first = start - more
            self._made = np.arange(self._first, stop + more)
            self._made.flags.writeable = False
        return self._made[start - self._first : stop - self._first]


def assembled(
    request: Request, plans: Sequence[Plan], values: NDArray[Any], indices: Indices
) -> xr.DataArray:
    """Put coordinates and attrs to samples of units that have the same times.

    Parameters
    ----------
    values
        Shape (unit, time), or (unit, time, channel).
    """
    others = {
        "sample": _rows(
            [plan.samples_key for plan in plans],
            [partial(plan.samples, indices.run) for plan in plans],
        )
    }
    if request.gaps == "mask":
        others["recorded"] = _rows([plan.recorded_key for plan in plans], [plan.recorded for plan in plans])
    return data_array(request, plans, values, plans[0].times(), others, attributes(request, plans))


def data_array(
    request: Request,
    plans: Sequence[Plan],
    values: NDArray[Any],
    times: NDArray[np.int64],
    others: dict[str, NDArray[Any]],
    attrs: dict[str, Any],
) -> xr.DataArray:
    """Return an array with its coordinates.

    By way of a Dataset, for DataArray itself copies every coordinate; names of units are objects, of which an index is made three times
    as fast as of strings.

    Parameters
    ----------
    times
        Nanoseconds since 1970, shape (time,).
    others
        Coordinates of shape (unit, time).
    """
    import pandas as pd  # noqa: PLC0415 - slow to import
    import xarray as xr  # noqa: PLC0415 - slow to import

    indexes = {
        "unit": pd.Index([plan.unit.name for plan in plans], dtype=object),
        "time": pd.DatetimeIndex(times.view("datetime64[ns]"), copy=False),
    }
    dims = ALONG if values.ndim == len(ALONG) else (*ALONG, "channel")
    if len(dims) > len(ALONG):
        indexes["channel"] = pd.Index(channel_numbers(request.channels, values.shape[2]))
    made = {name: xr.indexes.PandasIndex(one, name) for name, one in indexes.items()}
    variables: dict[Any, Any] = {name: (ALONG, one) for name, one in others.items()}
    for index in made.values():
        variables |= index.create_variables()
    return xr.Dataset({NAME: (dims, values, attrs)}, xr.Coordinates(variables, made))[NAME]


def channel_numbers(channels: int | tuple[int, ...] | None, count: int) -> list[int]:
    """Return the numbers of the channels that an array has."""
    return list(channels) if isinstance(channels, tuple) else list(range(count))


def _rows(keys: Sequence[Any], makers: Sequence[Callable[[], NDArray[Any]]]) -> NDArray[Any]:
    """Return a row for each maker; where all have one key, the same memory for all."""
    if all(key == keys[0] for key in keys[1:]):
        one = makers[0]()
        return np.broadcast_to(one, (len(makers), len(one)))
    return np.stack([maker() for maker in makers])


def attributes(request: Request, plans: Sequence[Plan]) -> dict[str, Any]:
    """Return what there is to know of an array beside its samples: plain values, lists and dicts that JSON can hold."""
    clocks = {plan.unit.name: plan.clock for plan in plans}
    uncertainties = [plan.uncertainty for plan in plans]
    known = [one for one in uncertainties if one is not None]
    return {
        "rate": _number(plans[0].rate),
        "clock": plans[0].clock if len(set(clocks.values())) == 1 else clocks,
        "uncertainty_ns": max(known) if len(known) == len(uncertainties) else None,
        "times": {plan.unit.name: plan.told_clock() for plan in plans},
        "gaps": _of_each({plan.unit.name: plan.told_gaps() for plan in plans}),
        "overlaps": _of_each({plan.unit.name: plan.told_overlaps() for plan in plans}),
        "units": {plan.unit.name: {**plan.unit.facts, "row": plan.unit.row} for plan in plans},
        "run": request.run.uid,
    }


def _of_each(told: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {unit: those for unit, those in told.items() if those}


def _number(rate: Any) -> int | float | None:
    if rate is None:
        return None
    return int(rate) if rate.denominator == 1 else float(rate)
