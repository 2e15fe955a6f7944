"""What a cable in the sea may hear, made for tests, figures and the notebook: calls come in, samples of any span go out.

A call is a sweep downwards around 20 Hz, as fin whales make them. It reaches a channel later, and softer, the further away that is: in a
picture of distance and time it is a hyperbola. To it come noise of each channel's own, a slow drift, and what all channels have in common,
as where the interrogator is shaken. Whatever span is asked for, the same samples are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SPEED = 1500.0
"""Of sound in water: metres a second."""
_BLOCK = 200
"""Samples whose noise is made at once."""
_LOUD, _NOISE, _COMMON, _DRIFT = 400.0, 100.0, 300.0, 3000.0
"""Amplitudes: of a call at 1 km, and standard deviations of the rest."""
_DRIFT_HZ = 0.05


@dataclass(frozen=True, slots=True)
class Call:
    """One sweep."""

    time: float
    """Seconds after the first sample, at which it is made."""
    distance: float
    """Metres along the cable, of the place that is nearest."""
    away: float = 500.0
    """Metres from there."""
    seconds: float = 1.0
    high: float = 28.0
    """Hz, at its beginning."""
    low: float = 17.0
    """Hz, at its end."""

    def arrives(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return when it begins at places of the cable: seconds after the first sample."""
        times: NDArray[np.float64] = self.time + np.hypot(distances - self.distance, self.away) / SPEED
        return times

    def heard(self, seconds: NDArray[np.float64], distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return it at times and places. Shape (places, times)."""
        since = seconds[None, :] - self.arrives(distances)[:, None]
        inside = (since >= 0) & (since < self.seconds)
        at = np.where(inside, since, 0.0)
        phase = 2 * np.pi * (self.high * at + (self.low - self.high) * at**2 / (2 * self.seconds))
        softer = _LOUD * 1000.0 / np.hypot(distances - self.distance, self.away)
        window = np.sin(np.pi * at / self.seconds) ** 2
        heard: NDArray[np.float64] = softer[:, None] * window * np.sin(phase)
        return heard


def sea(
    first: int,
    count: int,
    channels: int,
    *,
    calls: Sequence[Call] = (),
    rate: int = 200,
    spacing: float = 2.0419,
    start: float = 0.0,
    seed: int = 20,
) -> NDArray[np.int32]:
    """Return samples from a number on: shape (channels, count), counts of a converter.

    Parameters
    ----------
    start
        Of the first channel along the cable, in metres.
    """
    blocks = range(first // _BLOCK, -(-(first + count) // _BLOCK))
    noise = np.concatenate([_noise(block, channels, seed) for block in blocks], axis=1)
    skipped = first - blocks.start * _BLOCK
    values = noise[:, skipped : skipped + count].astype(np.float64)
    seconds = np.arange(first, first + count, dtype=np.float64) / rate
    distances = start + spacing * np.arange(channels, dtype=np.float64)
    values += _DRIFT * np.sin(2 * np.pi * _DRIFT_HZ * seconds + np.arange(channels)[:, None])
    for call in calls:
        arrives = call.arrives(distances)
        if arrives.min() < seconds[-1] and arrives.max() + call.seconds > seconds[0]:
            values += call.heard(seconds, distances)
    return np.rint(values).astype(np.int32)


def _noise(block: int, channels: int, seed: int) -> NDArray[np.float32]:
    random = np.random.default_rng((seed, block))
    common = random.standard_normal(_BLOCK, np.float32) * np.float32(_COMMON)
    own = random.standard_normal((channels, _BLOCK), np.float32) * np.float32(_NOISE)
    noise: NDArray[np.float32] = own + common
    return noise
