"""Filters as finite impulse responses: parameters and a rate come in, taps go out; called by the steps that filter.

A finite response makes chunks exact: an output needs so many samples before and after, and not one more. Taps have shape
(2·reach + 1,) and float64; tap `reach` falls on the output's own sample. All are symmetric (zero phase), or
antisymmetric for the Hilbert transform. They are made once for the same parameters, and must not be written to.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tilewright.errors import InputError
from tilewright.processing.extras import needed

if TYPE_CHECKING:
    from numpy.typing import NDArray

Taps: TypeAlias = "NDArray[np.float64]"

ATTENUATION = 80.0
"""Decibels: errors of 1e-4 in amplitude in decimation's passband and stopband, of 2e-4 in the Hilbert transformer's."""
_DESIGN = ATTENUATION + 3.0
"""Decibels: Kaiser's estimates come within 3."""
PASSBAND = 0.8
"""Of the new Nyquist frequency: up to there decimation leaves amplitudes as they are, to `ATTENUATION`."""
TAIL = 1e-6
"""What a band-pass leaves out of its endless response, as a share of the sum of its absolute values: no output is
further from the endless filter's than twice this share of the largest input times that sum (about 2)."""
MAX_REACH = 2**20
"""Samples. A band whose response is longer than that each side is too narrow, or its rate too high, to filter at."""
_SHORTEST = 2**8


def reach(taps: Taps) -> int:
    """Return how many samples a filter needs each side."""
    return len(taps) // 2


@lru_cache(maxsize=64)
def low_pass(factor: int) -> Taps:
    """Return the filter before every `factor`-th sample is taken: a windowed sinc (Kaiser), with a gain of 1 at 0 Hz.

    All from the new Nyquist frequency on, which would alias, is attenuated by `ATTENUATION`.
    """
    if factor == 1:
        return _fixed(np.ones(1))
    edge = (1 + PASSBAND) / 2 / factor
    half = _kaiser_reach((1 - PASSBAND) / factor)
    taps = edge * np.sinc(edge * np.arange(-half, half + 1)) * _kaiser(half)
    return _fixed(taps / taps.sum())


@lru_cache(maxsize=64)
def hilbert(transition: float, rate: float) -> Taps:
    """Return a Hilbert transformer: a quarter period's delay of all from `transition` Hz to as far below the Nyquist frequency.

    Amplitudes there are right to twice `ATTENUATION`'s 1e-4; towards 0 Hz and the Nyquist frequency it falls off.
    """
    half = (
        _kaiser_reach(2 * transition / (rate / 2)) | 1
    )  # taps at even distances are 0, and so would be the last
    at = np.arange(-half, half + 1)
    odd = at % 2 == 1
    ideal = np.zeros(len(at))
    ideal[odd] = 2 / (np.pi * at[odd])
    return _fixed(ideal * _kaiser(half))


@lru_cache(maxsize=64)
def band_pass(low: float, high: float, order: int, rate: float) -> Taps:
    """Return a Butterworth band-pass run forwards and backwards: its own response, as far as `TAIL`.

    It is made by running second-order sections over an impulse, so that it is what `scipy.signal.sosfiltfilt` does far
    from the ends of an array. The sum of the taps is 0, as the gain at 0 Hz is.

    Raises
    ------
    InputError
        If the response does not end within `MAX_REACH`.
    """
    signal = needed("scipy.signal")
    sections = signal.butter(order, [low, high], "bandpass", fs=rate, output="sos")
    longest = _SHORTEST
    while longest <= MAX_REACH:
        impulse = np.zeros(2 * longest + 1)
        impulse[longest] = 1.0
        response = signal.sosfilt(sections, signal.sosfilt(sections, impulse)[::-1])[::-1]
        response = (response + response[::-1]) / 2
        beyond = 2 * np.cumsum(np.abs(response[:longest]))
        half = longest - int(np.searchsorted(beyond, TAIL * np.abs(response).sum()))
        # What the impulse's own array cut off is far below the tail when half of it is silent.
        if half <= longest // 2:
            taps = response[longest - half : longest + half + 1]
            return _fixed(taps - taps.mean())
        longest *= 2
    raise InputError(
        f"cannot pass {low} to {high} Hz at {rate} samples a second with order {order}: its response is longer than "
        f"{MAX_REACH} samples; take a wider band, a lower order, or decimate first"
    )


def _kaiser_reach(width: float) -> int:
    """Return how far a windowed filter reaches whose transition is so wide, as a share of the Nyquist frequency.

    Kaiser's estimate (Oppenheim and Schafer, Discrete-Time Signal Processing, 7.5.3), rounded up.
    """
    return int(np.ceil((_DESIGN - 7.95) / (2.285 * np.pi * width) / 2)) + 1


def _kaiser(half: int) -> Taps:
    window: Taps = np.kaiser(2 * half + 1, 0.1102 * (_DESIGN - 8.7))
    return window


def _fixed(taps: Any) -> Taps:
    """Return taps that many steps share."""
    fixed: Taps = np.asarray(taps, np.float64)
    fixed.flags.writeable = False
    return fixed
