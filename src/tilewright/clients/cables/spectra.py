"""The spectrum of a cable over frequency and wavenumber: samples come in, power densities go out. `pictures` calls it. Pure.

    s(x, t) = cos(2π (f t - k x))     is what stands at frequency f and wavenumber k: with k > 0 it travels towards larger distances

Along time the transform is one-sided, for samples are real; along distance it has both signs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST = 4
"""Samples, and channels: of fewer, a taper leaves nothing."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Power density over cells of frequency and wavenumber."""

    density: NDArray[np.float64]
    """Shape (frequencies, wavenumbers): units² / (Hz · 1/m), the mean of a cell. Times the area of each cell, their sum is the power of the
    samples, less the mean of each channel, by the squares of the tapers: mean(s² w²) / mean(w²)."""
    frequencies: NDArray[np.float64]
    """Where cells begin and end, from 0 to Nyquist's: Hz."""
    wavenumbers: NDArray[np.float64]
    """Where cells begin and end: cycles per metre, or per channel if that is what `spacing` is of. The larger distances are towards +."""
    each: tuple[int, int]
    """Of how many frequencies and wavenumbers a cell is the mean."""


def spectrum(
    samples: NDArray[Any], rate: float, spacing: float, most: tuple[int, int] | None = None
) -> Spectrum:
    """Return the spectrum of samples, with a Hann taper along both dimensions, less the mean of each channel.

    A periodogram; see Harris 1978 (doi:10.1109/PROC.1978.10837) for the taper. In float32, whose noise is some 140 dB below the largest
    amplitude; takes some 20 bytes a sample besides the samples.

    Parameters
    ----------
    samples
        Shape (channels, samples), `LEAST` of each.
    rate
        Samples a second.
    spacing
        Metres between channels; 1 for wavenumbers in cycles per channel.
    most
        Cells, of frequencies and of wavenumbers: what is more is the mean of several. None for all.

    Raises
    ------
    InputError
        If all samples of each channel are the same, or one is no finite number.
    """
    channels, count = samples.shape
    with np.errstate(invalid="ignore"):
        means = samples.mean(axis=1, dtype=np.float64, keepdims=True)
    if not np.isfinite(means).all():
        raise InputError(
            f"samples of channel {np.argmin(np.isfinite(means))} of these are no finite numbers, and have no spectrum"
        )
    values = np.empty(samples.shape, np.float32)
    np.subtract(samples, means, out=values, dtype=np.float64, casting="unsafe")
    largest = float(max(values.max(), -values.min()))
    if largest == 0:
        raise InputError("all samples of each channel are the same: there is no spectrum")
    along, across = _hann(count), _hann(channels)
    values *= along / np.float32(largest)
    values *= across[:, None]
    transformed = np.fft.rfft(values, axis=1)
    del values
    np.fft.ifft(transformed, axis=0, norm="forward", out=transformed)  # the other sign than along time
    power = np.square(transformed.real)
    power += np.square(transformed.imag)
    del transformed
    power[:, 1 : (count + 1) // 2] *= 2  # what negative frequencies have
    power = np.fft.fftshift(power, axes=0)
    each = (1, 1) if most is None else (-(-power.shape[1] // most[0]), -(-channels // most[1]))
    squares = np.sum(np.square(along, dtype=np.float64)) * np.sum(np.square(across, dtype=np.float64))
    density = _means(_means(power.T, each[0]).T, each[1]).T * (largest**2 * spacing / rate / squares)
    frequencies = (_starts(power.shape[1], each[0]) - 0.5) * rate / count
    wavenumbers = (_starts(channels, each[1]) - channels // 2 - 0.5) / (channels * spacing)
    return Spectrum(density, np.clip(frequencies, 0, rate / 2), wavenumbers, each)


def _hann(length: int) -> NDArray[np.float32]:
    """Return a taper that goes on periodically, as transforms do: its first value is 0.

    >>> _hann(4).tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    return np.asarray(np.square(np.sin(np.pi * np.arange(length) / length)).round(9), np.float32)


def _starts(length: int, each: int) -> NDArray[np.int64]:
    """Return where each cell begins, and where the last one ends.

    >>> _starts(5, 2).tolist()
    [0, 2, 4, 5]
    """
    return np.append(np.arange(0, length, each), length)


def _means(values: NDArray[Any], each: int) -> NDArray[np.float64]:
    """Return the means of so many rows, and of those that are left."""
    starts = _starts(len(values), each)
    sums: NDArray[np.float64] = np.add.reduceat(values, starts[:-1], axis=0, dtype=np.float64)
    return sums / np.diff(starts)[:, None]
