"""What a picture of a span of time needs: units come in; envelopes and levels go out, read from no more than a picture shows.

`pictures` calls this. A week of a unit is 10¹¹ samples, and a picture has a thousand columns: of each column as many samples are
read as make it, from its middle or spread over it, so that time and memory have a bound whatever the span is.

    columns       |      0      |      1      |      2      |
    windows         ══  ══  ══    ══  ══  ══    ══  ══  ══        levels: up to `WINDOWS` a column, spread
    middles             ═════         ═════         ═════         envelope: one a column
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.clients.recordings.fetching import Wanted, fetch
from tilewright.clients.recordings.selecting import pick
from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tilewright.clients.recordings.selecting import Request
    from tilewright.clients.recordings.timeline import Timeline
    from tilewright.clients.recordings.units import Unit

COLUMNS = 1000
"""Most that a picture has."""
WINDOWS = 4
"""Spectra that make a column of a spectrogram, at most."""
_SAMPLES = 16 << 20
"""Samples that an envelope reads, at most, of all units together."""
_FEWEST = 64
"""Samples of a column that an envelope reads, at least."""
_FLOOR = 1e-10
"""Amplitude that stands for silence: -200 dB."""
_FINEST = 16
"""Parts of a window by which columns of a spectrogram follow each other, where the span is short."""
_REQUEST = 8 << 20
"""Bytes of a request, about: of thousands of short spans, a server reads those of a small answer all at once."""
_BATCH = 512
"""Windows that are transformed at once."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The least and the greatest of a unit's samples in each column; NaN where nothing was recorded."""

    edges: NDArray[np.int64]
    """Nanoseconds since 1970, one more than there are columns."""
    low: NDArray[np.float64]
    """Parts of the full scale."""
    high: NDArray[np.float64]
    read: int
    """Samples of a column that it is made of; fewer than there are where that would be too many."""
    there: int
    """Samples of a column."""


@dataclass(frozen=True, slots=True)
class Levels:
    """A spectrogram."""

    edges: NDArray[np.int64]
    """Nanoseconds since 1970, one more than there are columns."""
    frequencies: NDArray[np.float64]
    """Hz."""
    levels: NDArray[np.float64]
    """Decibels, 0 for a sine of full scale; shape (frequencies, columns); NaN where nothing was recorded."""
    windows: int
    """Spectra that make a column."""
    is_sparse: bool
    """Whether there are samples between them that no spectrum has."""


def full_scale(dtype: np.dtype[Any]) -> float:
    """Return the greatest number that a recorder gives: 1 for floats."""
    return 1.0 if dtype.kind == "f" else float(2 ** (dtype.itemsize * 8 - 1))


def envelopes(request: Request, columns: int = COLUMNS) -> dict[str, Envelope]:
    """Return the envelope of each unit, by its name.

    Of each column all samples count, unless that is more than `_SAMPLES` in all: then as many from its middle.
    """
    edges = _edges(request, min(columns, max((request.end - request.begin) // 1000, 1)))
    most = max(_SAMPLES // (len(request.units) * (len(edges) - 1)), _FEWEST)
    spans = {unit.name: _middles(_timeline(request, unit), edges, most) for unit in request.units}
    got = _read(request, {unit.name: [one[1:] for one in spans[unit.name]] for unit in request.units})
    return {
        unit.name: _envelope(unit, edges, spans[unit.name], got[unit.name], most) for unit in request.units
    }


def levels(request: Request, window: int, columns: int = COLUMNS) -> Levels:
    """Return the spectrogram of the one unit of a request.

    Parameters
    ----------
    window
        Samples of a spectrum, under a Hann window.

    Raises
    ------
    InputError
        The window is too short, or nothing that is as long was recorded.
    """
    (unit,) = request.units
    if window < 2 or unit.rate is None:  # noqa: PLR2004
        raise InputError(f"window={window!r}: expected a number of samples, such as 1024.")
    timeline = _timeline(request, unit)
    parts = timeline.between(request.begin, request.end)
    rate = float(timeline.rate(parts[0]) if parts else unit.rate)
    there = (request.end - request.begin) * rate / 1e9
    edges = _edges(request, int(min(columns, max(there * _FINEST / window, 1))))
    each = there / (len(edges) - 1)
    count = int(min(WINDOWS, max(each // window, 1)))
    places = _windows(timeline, edges, count, window)
    if not places:
        raise InputError(
            f"Unit {unit.name} recorded no {window} samples in one go in that time: see deployment.coverage()."
        )
    got = _read(request, {unit.name: [(start, start + window) for _, start in places]})[unit.name]
    made = _columns(places, got, len(edges) - 1, window, full_scale(unit.dtype))
    frequencies = np.arange(window // 2 + 1, dtype=np.float64) * rate / window
    return Levels(edges, frequencies, made, count, each > count * window)


def _timeline(request: Request, unit: Unit) -> Timeline:
    return unit.timeline(unit.clock(request.clock))


def _edges(request: Request, columns: int) -> NDArray[np.int64]:
    width = request.end - request.begin
    return np.array([request.begin + width * n // columns for n in range(columns + 1)], np.int64)


def _middles(timeline: Timeline, edges: NDArray[np.int64], most: int) -> list[tuple[int, int, int]]:
    """Return column, first sample and the one after the last of what to read of each column: `most` from the middle."""
    found = []
    for column, (begin, end) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        parts = timeline.between(begin, end)
        there = sum(map(len, parts))
        skip = max(there - most, 0) // 2
        left = min(there, most)
        for part in parts:
            start = part.start + min(skip, len(part))
            stop = min(start + left, part.stop)
            skip, left = skip - (start - part.start), left - (stop - start)
            if stop > start:
                found.append((column, start, stop))
    return found


def _windows(timeline: Timeline, edges: NDArray[np.int64], count: int, window: int) -> list[tuple[int, int]]:
    """Return column and first sample of each window: `count` a column, spread, each as near to its time as it fits into what is there."""
    found = []
    for column, (begin, end) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        for n in range(count):
            middle = begin + (end - begin) * (2 * n + 1) // (2 * count)
            stretch = timeline.at(middle)
            if stretch is not None:
                low, high = timeline.reach(stretch)
                start = min(max(stretch.piece.index(middle) - window // 2, low), high - window)
                if start >= low:
                    found.append((column, start))
    return found


def _read(request: Request, spans: dict[str, list[tuple[int, int]]]) -> dict[str, list[NDArray[Any]]]:
    """Fetch spans of samples of each unit, of the one channel that is asked for; what is near each other, together."""
    wanted = {unit.name: _merged(unit, spans[unit.name]) for unit in request.units}
    got = iter(fetch(request.run, [one for those in wanted.values() for one in those], _REQUEST))
    out = {}
    for unit in request.units:
        arrays = [(one.start, pick(next(got), unit, request.channels)) for one in wanted[unit.name]]
        firsts = [first for first, _ in arrays]
        out[unit.name] = [
            arrays[place][1][start - firsts[place] : stop - firsts[place]]
            for start, stop in spans[unit.name]
            for place in [int(np.searchsorted(firsts, start, side="right")) - 1]
        ]
    return out


def _merged(unit: Unit, spans: Sequence[tuple[int, int]]) -> list[Wanted]:
    """Return what to ask for: spans that are no farther apart than they are long are one."""
    found: list[Wanted] = []
    for start, stop in sorted(spans):
        last = found[-1] if found else None
        if last is not None and start - last.stop <= stop - start:
            found[-1] = Wanted(unit, last.start, max(last.stop, stop))
        else:
            found.append(Wanted(unit, start, stop))
    return found


def _envelope(
    unit: Unit,
    edges: NDArray[np.int64],
    spans: Sequence[tuple[int, int, int]],
    got: Sequence[NDArray[Any]],
    most: int,
) -> Envelope:
    low, high = np.full((2, len(edges) - 1), np.nan)
    scale = full_scale(unit.dtype)
    for (column, _, _), samples in zip(spans, got, strict=True):
        low[column] = np.fmin(low[column], samples.min() / scale)
        high[column] = np.fmax(high[column], samples.max() / scale)
    there = round(float(edges[1] - edges[0]) * float(unit.rate or 0) / 1e9)
    return Envelope(edges, low, high, min(most, there), there)


def _columns(
    places: Sequence[tuple[int, int]], got: Sequence[NDArray[Any]], columns: int, window: int, scale: float
) -> NDArray[np.float64]:
    """Return the levels of each column: the mean power of its windows, as that of a sine of full scale."""
    hann = np.hanning(window + 1)[:-1]
    power = np.zeros((window // 2 + 1, columns))
    counts = np.zeros(columns)
    for begin in range(0, len(places), _BATCH):
        samples = np.stack(got[begin : begin + _BATCH]) / scale
        spectra = np.abs(np.fft.rfft(samples * hann, axis=1)) * (2 / hann.sum())
        into = [column for column, _ in places[begin : begin + _BATCH]]
        np.add.at(power.T, into, spectra**2)
        np.add.at(counts, into, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = power / counts
    return 10 * np.log10(np.maximum(mean, _FLOOR**2))  # NaN stays
