"""A contact sheet: a table of tiles and what fetches pictures come in, matplotlib's Figure goes out. `Tiles` calls it.

             10,000 m   11,531 m   13,063 m
23:11:00     ┌────────┐ ┌────────┐ ┌────────┐
23:11:15     ┌────────┐ ┌────────┐  no tile
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.clients.cables.tiles import SIZE
from tilewright.clients.drawing import new_axes
from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Fetch = Callable[[Sequence[int]], Sequence[NDArray[np.uint8]]]

_COLUMNS = 16
"""Tiles side by side, unless told otherwise."""
_BETWEEN = 8
"""Elements between pictures."""
_PITCH = SIZE + _BETWEEN
_WHITE = 255
_NOTHING = "#cfe2f3"
"""Where there is no tile: no grey is like it."""
_SHEET = 10.0
"""Inches of all pictures together, about …"""
_LEAST, _MOST = 0.6, 2.0
"""… but a picture has these at least, and at most."""
_LONGEST = 300.0
"""Inches of a figure that can be written at 150 dots an inch."""
_LEFT, _RIGHT, _TOP = 2.1, 1.2, 1.2
"""Inches for times, the scale, and distances with the title."""
_BAR_WIDTH, _BAR_HEIGHT = 0.15, 4.0
"""Inches of the scale, at most."""
_NARROWEST = 1.8
"""Inches of all pictures together, for the sake of the title."""
_LETTERS = 12
"""Of a title, an inch."""
_NEAR = 10.0
"""Metres between columns below which their distances are told to a tenth."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Which tiles are drawn, and where."""

    times: NDArray[np.int64]
    """Beginnings of the tiles of each line: nanoseconds since 1970, UTC, ascending."""
    channels: NDArray[np.int64]
    """First channel of the tiles of each column, ascending."""
    distances: NDArray[np.float64]
    """Of these channels, in metres; their numbers, where nobody told the spacing."""
    every: tuple[int, int]
    """Of how many lines and columns one is drawn."""
    drawn: pd.DataFrame
    """Tiles, by their rows, with their line and column."""
    has_gaps: bool
    """Whether there is time without tiles between lines that follow each other."""


def arranged(table: pd.DataFrame, columns: int | None, limit: int) -> Grid:
    """Return which tiles are drawn: of more than fit, each n-th line and column from the first one on.

    Raises
    ------
    InputError
        If there are no tiles; if `columns` or `limit` is less than 1.
    """
    for name, value in (("columns", columns), ("limit", limit)):
        if value is not None and value < 1:
            raise InputError(f"{name}={value}: a contact sheet needs one tile at least")
    if table.empty:
        raise InputError("there are no tiles there: see tiles.table()")
    begins = table["start"].to_numpy("M8[ns]").astype(np.int64)
    across, each_column = _thinned(table["first_channel"].to_numpy(np.int64), min(columns or _COLUMNS, limit))
    along, each_line = _thinned(begins, max(1, limit // len(across)))
    drawn = table.assign(line=_places(along, begins), column=_places(across, table["first_channel"]))
    drawn = drawn[(drawn["line"] >= 0) & (drawn["column"] >= 0)]
    distances = table.drop_duplicates("first_channel").set_index("first_channel")["distance_start"]
    gaps = each_line == 1 and _has_gaps(table)
    return Grid(along, across, distances[across].to_numpy(np.float64), (each_line, each_column), drawn, gaps)


def _has_gaps(table: pd.DataFrame) -> bool:
    """Tell whether there is time between tiles, as much as an element of a picture or more."""
    stops = table.groupby("start")["stop"].max()
    lengths = stops - stops.index
    return bool((stops.index[1:] - stops.iloc[:-1] >= lengths.iloc[:-1] / SIZE).any())


def _thinned(values: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], int]:
    """Return values, each once and ascending, each n-th of them so that they are no more than this; and n."""
    different = np.unique(values)
    each = -(-len(different) // most)
    return different[::each], each


def _places(among: NDArray[np.int64], values: Any) -> NDArray[np.int64]:
    """Return where values stand among others, -1 where they do not."""
    found = np.searchsorted(among, values)
    is_there = among[np.minimum(found, len(among) - 1)] == values
    return np.where(is_there, found, -1)


def contact_sheet(
    name: str,
    table: pd.DataFrame,
    fetch: Fetch,
    facts: Mapping[str, Any],
    most: tuple[int | None, int],
    ax: Axes | None,
) -> Figure:
    """Draw pictures side by side: see `Tiles.contact_sheet`."""
    grid = arranged(table, *most)
    rows = np.sort(grid.drawn.index.to_numpy(np.int64))
    pictures = dict(zip(rows.tolist(), fetch(rows.tolist()), strict=True))
    sheet = _sheet(grid, pictures)
    lines, columns = len(grid.times), len(grid.channels)
    each = float(np.clip(_SHEET / max(lines, columns), _LEAST, _MOST))
    each = min(each, _LONGEST / max(lines, columns))
    width = max(each * columns, _NARROWEST)
    axes = ax if ax is not None else new_axes(_LEFT + width + _RIGHT, _TOP + each * lines)[0]
    axes.imshow(sheet, interpolation="antialiased")
    axes.set_anchor("NW")
    _label_times(axes, grid)
    _label_distances(axes, grid)
    _draw_scale(axes, facts, (each * columns, each * lines))
    lines_of_text = [
        fill(one, round((width + _RIGHT) * _LETTERS)) for one in _told(name, len(table), grid, facts)
    ]
    axes.set_title("\n".join(lines_of_text), loc="left", fontsize="medium")
    figure: Any = axes.figure
    return figure


def _sheet(grid: Grid, pictures: Mapping[int, NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return all pictures in one, shape (time, distance, colours)."""
    import matplotlib as mpl  # noqa: PLC0415 - an extra

    shape = (_PITCH * len(grid.times) - _BETWEEN, _PITCH * len(grid.channels) - _BETWEEN)
    sheet = np.full((*shape, 3), _WHITE, np.uint8)
    nothing = np.round(np.multiply(mpl.colors.to_rgb(_NOTHING), _WHITE)).astype(np.uint8)
    for line in range(len(grid.times)):
        for column in range(len(grid.channels)):
            sheet[line * _PITCH :, column * _PITCH :][:SIZE, :SIZE] = nothing
    for row, line, column in zip(grid.drawn.index, grid.drawn["line"], grid.drawn["column"], strict=True):
        sheet[line * _PITCH :, column * _PITCH :][:SIZE, :SIZE] = pictures[row][..., None]
    return sheet


def _label_times(axes: Axes, grid: Grid) -> None:
    """Say at the left when each line begins: the date with each time, if they are of several days."""
    moments = grid.times.view("M8[ns]")
    is_whole = not (grid.times % 1_000_000_000).any()
    texts = [str(moment).replace("T", " ") for moment in moments.astype("M8[s]" if is_whole else "M8[ms]")]
    dates = sorted({one[:10] for one in texts})
    if len(dates) == 1:
        texts = [one[11:] for one in texts]
    places = np.arange(len(texts)) * _PITCH - 0.5
    axes.set_yticks(places, texts, fontsize="small")
    axes.set_ylabel(f"time (UTC){f', {dates[0]}' if len(dates) == 1 else ''}", loc="top")


def _label_distances(axes: Axes, grid: Grid) -> None:
    """Say at the top where each column begins."""
    near = np.diff(grid.distances).min(initial=np.inf)
    texts = [f"{one:,.{0 if near >= _NEAR else 1}f}" for one in grid.distances]
    axes.set_xticks(np.arange(len(texts)) * _PITCH - 0.5, texts, fontsize="small", ha="left")
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("channel" if np.array_equal(grid.distances, grid.channels) else "distance (m)")
    axes.tick_params(length=2)
    for side in axes.spines.values():
        side.set_visible(False)


def _draw_scale(axes: Axes, facts: Mapping[str, Any], inches: tuple[float, float]) -> None:
    """Draw what the greys are, beside pictures that are so wide and high together."""
    from matplotlib.cm import ScalarMappable  # noqa: PLC0415 - an extra
    from matplotlib.colors import Normalize  # noqa: PLC0415 - an extra

    width, height = inches
    part = min(1.0, _BAR_HEIGHT / height)
    place = axes.inset_axes((1 + _BAR_WIDTH / width, 1 - part, _BAR_WIDTH / width, part))
    low, high = _scale(facts)
    if low is None:
        bar = axes.figure.colorbar(ScalarMappable(Normalize(0, 1), "gray"), cax=place, ticks=[0, 1])
        bar.ax.set_yticklabels(["least", "greatest"])
        bar.set_label("value of each tile")
    else:
        mappable = ScalarMappable(Normalize(low, high), "gray")
        axes.figure.colorbar(mappable, cax=place, extend="both", label=_quantity(facts))


def _scale(facts: Mapping[str, Any]) -> tuple[float, float] | tuple[None, None]:
    """Return which values are black and white; None if each picture has its own."""
    scale = facts.get("scale") or {}
    low, high = scale.get("low"), scale.get("high")
    return (None, None) if low is None or high is None else (float(low), float(high))


def _quantity(facts: Mapping[str, Any]) -> str:
    """Return what the values are: decibels, if the last step of the pipeline makes them.

    >>> _quantity({"pipeline": {"steps": [{"step": "log", "reference": 1e-6}]}}), _quantity({})
    ('level (dB re 1e-06)', 'value')
    """
    steps = (facts.get("pipeline") or {}).get("steps") or [{}]
    last = steps[-1]
    return f"level (dB re {last.get('reference', 1):g})" if last.get("step") == "log" else "value"


def _told(name: str, there: int, grid: Grid, facts: Mapping[str, Any]) -> list[str]:
    """Return the lines of the title: what there is, and what of it is drawn."""
    tiling = facts.get("tiling") or {}
    of = f" of {tiling['seconds']:g} s by {tiling['channels']:,} channels" if tiling else ""
    drawn = len(grid.drawn)
    lines = [
        f"{name}: {there:,} tiles{of}" if drawn == there else f"{name}: {drawn:,} of {there:,} tiles{of}"
    ]
    thinned = [
        f"1 of {each:,} in {what}"
        for each, what in zip(grid.every, ("time", "distance"), strict=True)
        if each > 1
    ]
    rest = [f"shown are {' and '.join(thinned)}"] if thinned else []
    if _scale(facts) == (None, None):
        rest.append("each with its own scale")
    if grid.has_gaps:
        rest.append("times without tiles are left out")
    if drawn < len(grid.times) * len(grid.channels):
        rest.append("blue: no tile")
    return [*lines, "; ".join(rest)] if rest else lines
