"""Pictures of a cable: a lazy array of (distance, time) comes in, matplotlib's Axes go out. `Cable` and `tilewright plot` call this."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.clients.drawing import new_axes, show_dates
from tilewright.errors import InputError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_COLUMNS, _ROWS = 1200, 800
"""Of the picture, at most."""
_SHARE = 99.5
"""Percent of the values that the colours tell apart, unless limits are given."""
_NOTHING = "#e6e6e6"


def plot_waterfall(
    name: str, samples: xr.DataArray, limits: tuple[float, float] | None, ax: Axes | None
) -> Axes:
    """Draw samples over time and distance: see `Cable.plot_waterfall`."""
    if 0 in samples.shape:
        raise InputError("nothing was recorded there: see cable.gaps() and cable.facts")
    axes = ax if ax is not None else new_axes(9, 5)[0]
    each = [-(-length // most) for length, most in zip(samples.shape, (_ROWS, _COLUMNS), strict=True)]
    is_whole = each == [1, 1]
    parts = [(part.time, _drawn(part, each)) for part in _segments(samples)]
    low, high = limits or _range(np.concatenate([values.ravel() for _, values in parts]), is_whole=is_whole)
    edges = _edges(samples["distance"].to_numpy(), each[0])
    axes.set_facecolor(_NOTHING)
    for times, values in parts:
        image = axes.pcolormesh(
            _time_edges(times.to_numpy(), each[1], samples.attrs["rate"]),
            edges,
            values,
            cmap="RdBu_r" if is_whole else "magma",
            vmin=low,
            vmax=high,
            rasterized=True,
        )
    _label(axes, samples, image, is_whole=is_whole)
    of = "" if is_whole else f"; the largest magnitude of {each[1]:,} samples by {each[0]:,} channels"
    axes.set_title(f"{name}: {samples.shape[0]:,} channels{of}", loc="left", fontsize="medium")
    return axes


def _segments(samples: xr.DataArray) -> list[xr.DataArray]:
    """Return the stretches of time without a gap."""
    times = samples["time"].to_numpy().astype(np.int64)
    step = 1e9 / samples.attrs["rate"]
    cuts = [0, *(np.flatnonzero(np.diff(times) > 1.5 * step) + 1).tolist(), len(times)]
    return [samples[:, start:stop] for start, stop in pairwise(cuts)]


def _drawn(part: xr.DataArray, each: list[int]) -> NDArray[Any]:
    """Return one value a cell; of several samples their largest magnitude. Chunk by chunk: memory is that of the picture."""
    if each == [1, 1]:
        return np.asarray(part.to_numpy())
    rows, columns = (min(many, length) for many, length in zip(each, part.shape, strict=True))
    magnitudes = abs(part.astype(np.float32))
    cells: NDArray[Any] = magnitudes.coarsen(distance=rows, time=columns, boundary="pad").max().to_numpy()
    return cells


def _range(values: NDArray[Any], *, is_whole: bool) -> tuple[float, float]:
    """Return which values the first and the last colour are."""
    high = float(np.nanpercentile(np.abs(values), _SHARE)) or 1.0
    return (-high, high) if is_whole else (0.0, high)


def _edges(places: NDArray[np.float64], each: int) -> NDArray[np.float64]:
    """Return where cells of so many channels begin and end."""
    step = places[1] - places[0] if len(places) > 1 else 1.0
    return np.append(places[::each], places[-1] + step) - step / 2


def _time_edges(times: NDArray[np.datetime64], each: int, rate: float) -> NDArray[np.datetime64]:
    """Return when cells of so many samples begin and end."""
    return np.append(times[::each], times[-1] + np.timedelta64(round(1e9 / rate), "ns"))


def _label(axes: Axes, samples: xr.DataArray, image: Any, *, is_whole: bool) -> None:
    show_dates(axes.xaxis)
    axes.set_xlabel("time (UTC)")
    axes.set_ylabel("distance (m)" if "units" in samples["distance"].attrs else "channel")
    units = f" ({samples.attrs['units']})" if "units" in samples.attrs else ""
    bar = axes.figure.colorbar(image, ax=axes)
    bar.set_label(f"{'' if is_whole else 'magnitude of '}{samples.name}{units}")
