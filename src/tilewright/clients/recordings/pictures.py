"""Pictures of a deployment: units and spans of time come in; matplotlib's Axes and Figures go out.

`Deployment` and `tilewright plot` call this. Times are UTC; what a column of a large span is made of, the title says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.clients.drawing import new_axes, show_dates
from tilewright.clients.recordings import overviews
from tilewright.clients.recordings.moments import text
from tilewright.clients.recordings.selecting import select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from tilewright.clients.recordings.overviews import Envelope, Levels
    from tilewright.clients.recordings.selecting import Request
    from tilewright.clients.recordings.units import Clock, Unit

_RECORDED, _OVERLAP, _LINE, _NOTHING = "#2f6f9f", "#d9822b", "#2f6f9f", "#e6e6e6"
_SHORT = 60_000_000_000
"""Nanoseconds below which the axis counts seconds from its beginning: clock times would not fit."""
_DENSE = 4
"""Samples of a column from which on an envelope is drawn as an area, and below as the line through the samples."""
_DOTTED = 300
"""Samples up to which each has a dot."""
_NANOSECONDS = 86_400_000_000_000
"""A day."""


def plot_coverage(name: str, units: Sequence[Unit], clock: Clock | None, ax: Axes | None = None) -> Axes:
    """Draw a bar for each piece that a unit recorded without a break: see `Deployment.plot_coverage`."""
    lines = [unit.timeline(unit.clock(clock)) for unit in units]
    axes = ax if ax is not None else new_axes(10, 1.4 + 0.34 * len(units))[0]
    for row, line in enumerate(lines):
        bars = [(part[0].begins, part[-1].ends) for part in line.segments(line.stretches)]
        twice = [(one.start, one.stop) for one in line.breaks if one.kind == "overlap"]
        axes.broken_barh([_days(*bar) for bar in bars], (row - 0.36, 0.72), color=_RECORDED, linewidth=0.4)
        axes.broken_barh([_days(*bar) for bar in twice], (row - 0.36, 0.72), color=_OVERLAP, linewidth=0.8)
    begins = [line.begins for line in lines if line.begins is not None]
    ends = [line.ends for line in lines if line.ends is not None]
    if begins:
        margin = (max(ends) - min(begins)) // 50
        _date_axis(axes, min(begins) - margin, max(ends) + margin)
    axes.set_yticks(range(len(units)), [unit.name for unit in units])
    axes.set_ylim(len(units) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=_NOTHING, linewidth=0.8)
    axes.set_axisbelow(True)
    has_overlaps = any(one.kind == "overlap" for line in lines for one in line.breaks)
    files = sum(len(unit.files) for unit in units)
    note = "; orange: two files have that time" if has_overlaps else ""
    axes.set_title(f"{name}: what was recorded ({files:,} files{note})", loc="left", fontsize="medium")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    return axes


def plot_spectrogram(
    request: Request, window: int, limits: tuple[float | None, float | None], ax: Axes | None
) -> Axes:
    """Draw the spectrogram of a unit: see `Deployment.plot_spectrogram`."""
    (unit,) = request.units
    made = overviews.levels(request, window)
    axes = ax if ax is not None else new_axes(10, 4.5)[0]
    low, high = _range(made.levels, limits)
    scale = 1000.0 if made.frequencies[-1] > 2000 else 1.0  # noqa: PLR2004
    step = made.frequencies[1] / scale
    edges = _places(made.edges, request)
    axes.set_facecolor(_NOTHING)
    heights = np.concatenate([[0], made.frequencies[:-1] / scale + step / 2, made.frequencies[-1:] / scale])
    mesh = axes.pcolormesh(
        edges, heights, np.ma.masked_invalid(made.levels), vmin=low, vmax=high, cmap="magma", rasterized=True
    )
    axes.figure.colorbar(mesh, ax=axes, label="level (dB re full scale)", pad=0.02, extend="both")
    axes.set_ylabel(f"frequency ({'kHz' if scale > 1 else 'Hz'})")
    _time_axis(axes, request)
    channel = f", channel {request.channels}" if unit.channels > 1 else ""
    axes.set_title(f"{unit.name}{channel}\n", loc="left", fontsize="medium")
    axes.text(0, 1.02, _spectrum_rule(made, window), transform=axes.transAxes, fontsize="small", color="0.35")
    return axes


def plot_waveform(request: Request) -> Figure:
    """Draw the samples of units, one above the other: see `Deployment.plot_waveform`."""
    curves, rule = _curves(request)
    count = len(curves)
    height = 1.2 + max(1.0, 2.4 - 0.35 * count) * count
    all_axes = new_axes(10, min(height, 40), count)
    largest = max((curve.largest for curve in curves), default=0.0) or 1.0
    for axes, curve, unit in zip(all_axes, curves, request.units, strict=True):
        curve.draw(axes)
        axes.set_ylim(-1.08 * largest, 1.08 * largest)
        axes.set_ylabel(unit.name, rotation=0, ha="right", va="center")
        axes.yaxis.set_major_locator(_locator(3 if count > 4 else 5))  # noqa: PLR2004
        axes.grid(color=_NOTHING, linewidth=0.6)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    _time_axis(all_axes[-1], request)
    channel = f"channel {request.channels}, " if any(unit.channels > 1 for unit in request.units) else ""
    title = f"samples, parts of the full scale; {channel}{rule}"
    all_axes[0].set_title(title, loc="left", fontsize="small", color="0.35")
    figure: Any = all_axes[0].figure
    return figure


@dataclass(frozen=True, slots=True)
class _Curve:
    """What is drawn of a unit: its samples, or the least and the greatest of each column."""

    places: NDArray[np.float64]
    """On the axis of time; one more than there are values where these are of columns."""
    low: NDArray[np.float64]
    """Parts of the full scale; NaN where nothing was recorded."""
    high: NDArray[np.float64]

    @property
    def largest(self) -> float:
        values = np.abs([self.low, self.high])
        return float(values[np.isfinite(values)].max(initial=0))

    def draw(self, axes: Axes) -> None:
        """Draw it, and in grey where nothing was recorded."""
        is_area = len(self.places) > len(self.low)
        edges = self.places
        if is_area:
            axes.stairs(
                self.high, edges, baseline=self.low, fill=True, color=_LINE, linewidth=0.6, edgecolor=_LINE
            )
        elif len(edges):
            few = len(edges) <= _DOTTED
            axes.plot(edges, self.low, color=_LINE, linewidth=0.9, marker="." if few else None, markersize=4)
            edges = np.append(edges, 2 * edges[-1] - edges[-2] if len(edges) > 1 else edges[-1])
        bounds = np.flatnonzero(np.diff(np.isnan(self.low).astype(int), prepend=0, append=0))
        for begin, end in bounds.reshape(-1, 2):
            axes.axvspan(edges[begin], edges[end], color=_NOTHING, linewidth=0, zorder=0)


def _curves(request: Request) -> tuple[list[_Curve], str]:
    """Return what is drawn of each unit, and what a column is made of."""
    seconds = (request.end - request.begin) / 1e9
    most = max(float(unit.rate or 0) * seconds for unit in request.units)
    if most <= _DENSE * overviews.COLUMNS:
        return _lines(request), "every sample"
    columns = max(overviews.COLUMNS // 4, min(overviews.COLUMNS, 4 * overviews.COLUMNS // len(request.units)))
    made = overviews.envelopes(request, columns)
    curves = [_Curve(_places(one.edges, request), one.low, one.high) for one in made.values()]
    return curves, _envelope_rule(next(iter(made.values())))


def _lines(request: Request) -> list[_Curve]:
    """Return the samples of each unit."""
    found = select(request)
    by_unit = (
        found
        if isinstance(found, dict)
        else {unit.name: found.sel(unit=[unit.name]) for unit in request.units}
    )
    curves = []
    for unit in request.units:
        array = by_unit[unit.name]
        values = array.to_numpy()[0] / overviews.full_scale(unit.dtype)
        values = np.where(array["recorded"].to_numpy()[0], values, np.nan)
        curves.append(_Curve(_places(array["time"].to_numpy().astype(np.int64), request), values, values))
    return curves


def _envelope_rule(one: Envelope) -> str:
    """Say what a column is made of."""
    width = _length(int(one.edges[1] - one.edges[0]))
    if one.read < one.there:
        return f"least and greatest of {one.read:,} samples out of the {one.there:,} of each {width}"
    return f"least and greatest of each {width}"


def _spectrum_rule(made: Levels, window: int) -> str:
    width = _length(int(made.edges[1] - made.edges[0]))
    count = f"{made.windows} spectra" if made.windows > 1 else "one spectrum"
    spread = f" spread over {width}" if made.is_sparse else f" in {width}"
    mean = "mean power of " if made.windows > 1 else ""
    resolution = f"{made.frequencies[1]:.4g} Hz"
    return f"each column: {mean}{count} of {window:,} samples (Hann, {resolution} apart){spread}; 0 dB: a sine of full scale"


def _length(ns: int) -> str:
    """Return a length of time for people.

    >>> _length(1_500_000), _length(604_800_000_000), _length(90_000_000_000_000)
    ('1.5 ms', '10.1 min', '25 h')
    """
    for unit, size in (
        ("h", 3_600_000_000_000),
        ("min", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
    ):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns / 1000:.3g} µs"


def _range(levels: NDArray[np.float64], limits: tuple[float | None, float | None]) -> tuple[float, float]:
    """Return the levels between which the colours are: those given, else all but the rarest, in steps of 5 dB."""
    low, high = np.nanpercentile(levels, [5, 99.95])
    bottom = float(np.floor(max(low, high - 90) / 5) * 5)
    top = float(np.ceil(high / 5) * 5)
    return limits[0] if limits[0] is not None else bottom, limits[1] if limits[1] is not None else max(
        top, bottom + 5
    )


def _places(ns: NDArray[np.int64], request: Request) -> NDArray[np.float64]:
    """Return where times are on the axis: seconds from the beginning of a short span, else days since 1970."""
    if request.end - request.begin < _SHORT:
        return (ns - request.begin) / 1e9
    return ns / _NANOSECONDS


def _days(begin: int, end: int) -> tuple[float, float]:
    return begin / _NANOSECONDS, (end - begin) / _NANOSECONDS


def _time_axis(axes: Axes, request: Request) -> None:
    if request.end - request.begin < _SHORT:
        axes.set_xlim(0, (request.end - request.begin) / 1e9)
        axes.set_xlabel(f"seconds from {text(request.begin).replace('T', ' ').removesuffix('Z')} UTC")
    else:
        _date_axis(axes, request.begin, request.end)


def _date_axis(axes: Axes, begin: int, end: int) -> None:
    """Have the axis show dates and times in UTC."""
    formatter = show_dates(axes.xaxis, least=4, most=9, offset=False)
    formatter.formats[5] = formatter.zero_formats[5] = "%H:%M:%S"
    axes.set_xlim(begin / _NANOSECONDS, end / _NANOSECONDS)
    dates = [text(when)[:10] for when in (begin, end)]
    axes.set_xlabel(f"time (UTC), {' to '.join(dict.fromkeys(dates))}")


def _locator(count: int) -> Any:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - as above

    return MaxNLocator(count, symmetric=True)
