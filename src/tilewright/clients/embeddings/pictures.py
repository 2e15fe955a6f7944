"""Pictures of a dataset: rows come in, matplotlib's Axes go out. `Dataset` and `tilewright plot` call this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.clients.drawing import new_axes, show_dates
from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from tilewright.clients.embeddings.dataset import Dataset

    Method = Callable[[NDArray[np.float32]], NDArray[np.floating]]
    """Makes two dimensions of vectors: shape (vectors, dimension) to (vectors, 2)."""

_CATEGORIES = 20
"""Different values that have a colour of their own; of texts that are more, the most frequent ones."""
_FEW = 10
"""Categories for which there are colours that are told apart at a glance."""
_LEAST = 3
"""Vectors of which two components can be told."""
_LEGEND = 12
"""Lines of a legend that fit beside the picture at its usual size."""


def plot_map(
    dataset: Dataset,
    color: str | None,
    where: str | None,
    sample: int,
    seed: int,
    method: Method | None,
    ax: Axes | None,
) -> Axes:
    """Draw vectors in two dimensions: see `Dataset.plot_map`."""
    if color is not None and color not in dataset.columns:
        raise InputError(f"color={color!r} is no column; there are: {', '.join(dataset.columns)}.")
    numbers = dataset.numbers(where)
    numbers = np.arange(len(dataset)) if numbers is None else numbers
    rows = drawn(numbers, sample, seed)
    vectors = np.asarray(dataset.vectors(rows=rows.tolist()), np.float32)
    is_finite = np.isfinite(vectors).all(axis=1)
    rows, vectors = rows[is_finite], vectors[is_finite]
    if len(rows) < _LEAST:
        raise InputError(f"A map needs {_LEAST} vectors at least, and there are {len(rows)}.")
    axes = ax if ax is not None else new_axes(8, 6)[0]
    places = _placed(axes, vectors, method)
    if color is None:
        axes.scatter(*places.T, s=_size(len(places)), alpha=0.6, linewidths=0)
    else:
        _scatter(axes, places, dataset.rows(rows)[color])
    axes.set_title(
        f"{dataset.name}: {len(rows):,} of {len(numbers):,} vectors", loc="left", fontsize="medium"
    )
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes


def _placed(axes: Axes, vectors: NDArray[np.float32], method: Method | None) -> NDArray[np.float64]:
    """Return where vectors are drawn, shape (vectors, 2), and say what the axes are."""
    if method is None:
        places, shares = components(vectors)
        axes.set_xlabel(f"first component ({shares[0]:.0%} of the variance)")
        axes.set_ylabel(f"second component ({shares[1]:.0%})")
        return places
    places = np.asarray(method(vectors), np.float64)
    if places.shape != (len(vectors), 2):
        raise InputError(
            f"The method gave shape {places.shape} for {len(vectors)} vectors; expected ({len(vectors)}, 2)."
        )
    name = getattr(method, "__qualname__", type(method).__name__)
    axes.set_xlabel(f"{name}, first dimension")
    axes.set_ylabel("second dimension")
    return places


def drawn(numbers: NDArray[np.int64], sample: int, seed: int) -> NDArray[np.int64]:
    """Return so many of these numbers at most, drawn at random, in ascending order."""
    if sample < _LEAST:
        raise InputError(f"sample={sample!r}: a map needs {_LEAST} vectors at least")
    if len(numbers) <= sample:
        return numbers
    return np.sort(np.random.default_rng(seed).choice(numbers, sample, replace=False))


def components(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the two principal components of vectors, shape (vectors, 2), and which share of the variance each has.

    By the eigenvectors of the covariance matrix (Pearson 1901, doi:10.1080/14786440109462720), in float64. The sign of a component is
    that of its largest weight, so that the same vectors make the same picture.
    """
    centred = vectors.astype(np.float64)
    centred -= centred.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    first = axes[:, [-1, -2]] if axes.shape[1] > 1 else np.hstack([axes, np.zeros_like(axes)])
    largest = np.abs(first).argmax(axis=0)
    first = first * np.where(first[largest, [0, 1]] < 0, -1.0, 1.0)
    total = values.sum()
    two = np.append(values[::-1], 0.0)[:2]
    return centred @ first, two / total if total > 0 else np.zeros(2)


def _scatter(axes: Axes, places: NDArray[np.float64], values: pd.Series[Any]) -> None:
    """Draw points with a colour each: of a few values each its own, of many numbers a scale."""
    import matplotlib as mpl  # noqa: PLC0415 - an extra
    import pandas as pd  # noqa: PLC0415 - heavy

    is_time = isinstance(values.dtype, pd.DatetimeTZDtype)
    counts = values.value_counts()
    if len(counts) > _CATEGORIES and (is_time or pd.api.types.is_numeric_dtype(values)):
        _scale(axes, places, values, is_time=is_time)
        return
    kinds = sorted(counts.index[: _CATEGORIES if len(counts) <= _CATEGORIES else _CATEGORIES - 1])
    colors = mpl.colormaps["tab10" if len(kinds) <= _FEW else "tab20"].colors
    rest = ~values.isin(kinds).to_numpy(bool)
    if rest.any():
        others = len(counts) - len(kinds)
        name = f"{others:,} others" if others else "not known"
        axes.scatter(*places[rest].T, s=_size(len(places)), alpha=0.5, linewidths=0, color="0.7", label=name)
    for number, kind in enumerate(kinds):
        is_it = (values == kind).to_numpy(bool)
        axes.scatter(
            *places[is_it].T,
            s=_size(len(places)),
            alpha=0.7,
            linewidths=0,
            color=colors[number],
            label=str(kind),
        )
    axes.legend(
        title=str(values.name),
        markerscale=3,
        frameon=False,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        ncols=1 if len(kinds) <= _LEGEND else 2,
        fontsize="small",
    )


def _scale(axes: Axes, places: NDArray[np.float64], values: pd.Series[Any], *, is_time: bool) -> None:
    """Draw points in the colours of a scale of numbers, or times."""
    import matplotlib as mpl  # noqa: PLC0415 - an extra

    shown = (
        values.to_numpy(float)
        if not is_time
        else mpl.dates.date2num(values.dt.tz_localize(None).to_numpy("M8[us]"))
    )
    points = axes.scatter(*places.T, c=shown, s=_size(len(places)), alpha=0.7, linewidths=0, cmap="viridis")
    bar = axes.figure.colorbar(points, ax=axes, label=f"{values.name}{' (UTC)' if is_time else ''}")
    if is_time:
        show_dates(bar.ax.yaxis)


def _size(points: int) -> float:
    """Return the area of a point, in square points: few are large, many do not hide each other."""
    return float(np.clip(12_000 / points, 4, 20))
