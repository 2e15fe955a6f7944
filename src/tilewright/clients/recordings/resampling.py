"""Samples on another grid: values at whole places come in, values at places in equal steps between them go out.

`aligning` calls this. Pure; needs the extra `audio` (soxr).

    1. a shift by the fraction of a sample at which the first wanted place lies: a sinc under a Kaiser window, of
       2 x `HALF` taps (Oppenheim and Schafer, Discrete-Time Signal Processing, 7.5)
    2. soxr, quality VHQ, from the true rate to the wanted one; left out where they are equal

Both are made for signals up to 0.9 of half the lower rate. Beyond the first and the last value the signal is taken to go on
as its own point reflection, so that within `HALF` samples of an end it leans on what was not recorded.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.extras import extra

if TYPE_CHECKING:
    from numpy.typing import NDArray

HALF = 128
"""Samples on either side of a place that its value is made of, by the shift."""
_BETA = 12.0
"""Of the Kaiser window: what it lets through beside is 118 dB down."""
_LEAD = 1024
"""Samples of the lower rate that are resampled before and after a block and thrown away: soxr's filter is shorter."""
_BLOCK = 1 << 17
"""Places made at once; each block begins from its exact place, so that no error adds up."""
METHOD = (
    f"band-limited shift (sinc of {2 * HALF} taps, Kaiser window, beta {_BETA:g}) to the first time of the grid, then soxr VHQ from "
    "the true rate to the grid's; blocks begin from exact rational places"
)


def margin(ratio: Fraction) -> int:
    """Return how many samples before the first place and after the last one its value depends on."""
    return math.ceil(_LEAD * max(Fraction(1), ratio)) + HALF + math.ceil(ratio) + 2


def resample(values: NDArray[Any], first: Fraction, ratio: Fraction, count: int) -> NDArray[np.float64]:
    """Return the signal at places first, first + ratio, first + 2 ratio and so on.

    Parameters
    ----------
    values
        Samples, shape (samples, channels), of any dtype.
    first
        Place of the first wanted value, in samples from the first of `values`.
    ratio
        Samples from one wanted place to the next.
    count
        Number of wanted values.

    Returns
    -------
    ndarray
        Shape (count, channels).

    Raises
    ------
    SetupError
        soxr is not installed.
    """
    out = np.empty((count, values.shape[1]), np.float64)
    lead = math.ceil(_LEAD * max(Fraction(1), 1 / ratio))
    for begin in range(0, count, _BLOCK):
        size = min(_BLOCK, count - begin)
        start = first + (begin - lead) * ratio
        whole = math.floor(start)
        length = math.ceil((size + 2 * lead) * ratio) + 1
        near = _taken(values, whole - HALF, whole + length + HALF)
        out[begin : begin + size] = _soxr(_shifted(near, float(start - whole)), ratio)[lead : lead + size]
    return out


def _taken(values: NDArray[Any], start: int, stop: int) -> NDArray[np.float64]:
    """Return values from a place to before another; beyond the ends, their point reflection."""
    inside = values[max(start, 0) : max(stop, 0)].astype(np.float64)
    before, after = min(max(-start, 0), stop - start), min(max(stop - len(values), 0), stop - start)
    if before or after:
        kind = {"mode": "reflect", "reflect_type": "odd"} if len(inside) > 1 else {"mode": "edge"}
        inside = np.pad(inside, ((before, after), (0, 0)), **kind)  # type: ignore[call-overload]
    return inside


def _shifted(values: NDArray[np.float64], by: float) -> NDArray[np.float64]:
    """Return the values at places `HALF` + by, `HALF` + by + 1, …: as many as have `HALF` others on both sides."""
    length = len(values) - 2 * HALF
    if by == 0:
        return values[HALF : HALF + length]
    away = np.arange(-HALF + 1, HALF + 1) - by
    taps = np.sinc(away) * np.i0(_BETA * np.sqrt(1 - (away / (HALF + 1)) ** 2)) / np.i0(_BETA)
    size = 1 << (len(values) - 1).bit_length()
    spectrum = np.fft.rfft(values, size, axis=0) * np.fft.rfft(taps[::-1], size)[:, None]
    first = 2 * HALF  # value k of the convolution has taps on values k - 2 HALF + 1 ... k
    return np.fft.irfft(spectrum, size, axis=0)[first : first + length]


def _soxr(values: NDArray[np.float64], ratio: Fraction) -> NDArray[np.float64]:
    if ratio == 1:
        return values
    with extra("audio", "a common grid needs soxr"):
        import soxr  # noqa: PLC0415
    out: NDArray[np.float64] = soxr.resample(values, float(ratio), 1.0, quality="VHQ")
    return out
