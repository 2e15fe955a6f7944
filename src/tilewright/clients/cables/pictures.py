"""Pictures of a cable: a lazy array of (distance, time) comes in, matplotlib's Axes go out. `Cable` and `tilewright plot` call this."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.clients.cables.spectra import LEAST, spectrum
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
_LOUD = 99.95
"""Percent of a spectrum's cells that are no louder than the last colour, unless limits are given."""
_SPEEDS = (20, 100, 400, 1500, 5000)
"""Apparent speeds that an f-k spectrum shows, in m/s: sound in water has 1,500."""
_INSIDE = 0.06
"""Part of the picture's width or height beside an axis in which no line of a speed is drawn: it would hide what is there."""


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


def plot_fk(name: str, samples: xr.DataArray, limits: tuple[float, float] | None, ax: Axes | None) -> Axes:
    """Draw the spectrum of samples over frequency and wavenumber: see `Cable.plot_fk`."""
    if min(samples.shape) < LEAST:
        channels, count = samples.shape
        raise InputError(
            f"a spectrum needs {LEAST} channels and {LEAST} samples at least; recorded there: {channels} channels of {count:,}"
        )
    spacing = samples.attrs.get("spacing")
    made = spectrum(samples.to_numpy(), samples.attrs["rate"], spacing or 1.0, (_ROWS, _COLUMNS))
    with np.errstate(divide="ignore"):
        levels = np.ma.masked_invalid(10 * np.log10(made.density))
    low, high = limits or _levels(levels.compressed())
    axes = ax if ax is not None else new_axes(8, 6)[0]
    axes.set_facecolor("black")
    image = axes.pcolormesh(
        made.wavenumbers, made.frequencies, levels, cmap="magma", vmin=low, vmax=high, rasterized=True
    )
    length = "m" if spacing else "channel"
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02, extend="both")
    bar.set_label(f"power density (dB re {_squared(samples.attrs.get('units'))}/(Hz/{length}))")
    unit = "1/m" if spacing else "cycles per channel"
    axes.set_xlabel(f"wavenumber ({unit}); - travels towards smaller distances, + towards larger ones")
    axes.set_ylabel("frequency (Hz)")
    if spacing:
        _draw_speeds(axes, made.wavenumbers[-1], made.frequencies[-1])
    _tell_span(axes, name, samples, made.each)
    return axes


def _levels(levels: NDArray[np.float64]) -> tuple[float, float]:
    """Return the levels that the first and the last colour are, in steps of 5 dB: noise, which most cells are, is dark."""
    middle, high = np.percentile(levels, [50, _LOUD])
    bottom, top = np.floor(max(middle - 5, high - 90) / 5) * 5, np.ceil(high / 5) * 5
    return float(bottom), float(max(top, bottom + 5))


def _squared(units: str | None) -> str:
    """Return the square of units, of which there is one.

    >>> _squared("rad"), _squared("m/s"), _squared(None)
    ('1 rad²', '1 (m/s)²', '1')
    """
    if not units:
        return "1"
    return f"1 {units}²" if units.isalpha() else f"1 ({units})²"


def _draw_speeds(axes: Axes, wavenumber: float, frequency: float) -> None:
    """Draw lines of constant speed as far as these, on both sides, and say on the right what they are."""
    for speed in _SPEEDS:
        x, y = min(wavenumber, frequency / speed), min(frequency, wavenumber * speed)
        if x < _INSIDE * wavenumber or y < _INSIDE * frequency:
            continue
        for end in (x, -x):
            axes.plot([0, end], [0, y], color="white", linewidth=0.7, linestyle=(0, (6, 6)), alpha=0.7)
        axes.text(
            0.92 * x,
            0.92 * y,
            f"{speed:,} m/s",
            color="white",
            fontsize="small",
            rotation=np.degrees(np.arctan2(y, x)),
            rotation_mode="anchor",
            transform_rotates_text=True,
            ha="right",
            va="bottom",
            clip_on=True,  # who looks at a part of the picture has no room made for those beside it
        )

    axes.set(xlim=(-wavenumber, wavenumber), ylim=(0, frequency))


def _tell_span(axes: Axes, name: str, samples: xr.DataArray, each: tuple[int, int]) -> None:
    """Say in the title what the spectrum is of."""
    channels, count = samples.shape
    begins = samples["time"].to_numpy()[0].astype("M8[ms]")
    places = samples["distance"].to_numpy()
    where = f", {places[0]:,.0f} to {places[-1]:,.0f} m" if "units" in samples["distance"].attrs else ""
    of = " by ".join(
        f"{many:,} {what}"
        for many, what in zip(each, ("frequencies", "wavenumbers"), strict=True)
        if many > 1
    )
    lines = [f"{count / samples.attrs['rate']:,.6g} s from {str(begins).replace('T', ' ')} UTC; Hann tapers"]
    lines += [f"each cell the mean of {of}"] if of else []
    rule = "\n".join(lines)
    room = "\n" * len(lines)
    axes.set_title(f"{name}: {channels:,} channels{where}{room}", loc="left", fontsize="medium")
    axes.text(0, 1.02, rule, transform=axes.transAxes, fontsize="small", color="0.35")
