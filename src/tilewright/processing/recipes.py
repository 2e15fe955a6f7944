"""What the Orca notebook does to a cable, as a pipeline: a rate and a band come in, steps go out; `das_images` and the command call it.

notebook                                            here
every 2nd sample, every 5th channel                 `Decimate`, with a filter; the mean of channels, or one of them
median of all channels, as its comment says         `Median("distance")`; its code takes each channel's own in each chunk: `Median("time", window)`
filtfilt of (b, a) in each chunk                    `Bandpass` in second-order sections, with overlap
20 · log10(abs(hilbert) / 1e-6)                     `Envelope`, `Log`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tilewright.errors import InputError
from tilewright.processing.kernels import PASSBAND
from tilewright.processing.pipeline import Pipeline
from tilewright.processing.steps import Bandpass, Decimate, Envelope, Log, Median

if TYPE_CHECKING:
    from tilewright.processing.base import Step

MedianAxis = Literal["distance", "time", "none"]
WINDOW = 15.0
"""Seconds of the median along time, unless told otherwise."""


def das_pipeline(
    rate: float,
    band: tuple[float, float],
    *,
    decimate: int | None = None,
    every: int = 1,
    channels: str = "mean",
    median: MedianAxis = "distance",
    window: float | None = None,
) -> Pipeline:
    """Return the pipeline from samples to decibels of a band's envelope.

    Parameters
    ----------
    rate
        Samples a second.
    band
        Hz, from and to.
    decimate
        Of how many samples one is left; None for as few samples as the band can do with.
    every
        Of how many channels one is left.
    channels
        What is left of them: their "mean", or the "first".
    median
        What is subtracted: that of all channels at each sample ("distance"), each channel's own in windows ("time"), or nothing ("none").
    window
        Seconds, of the median along time.

    Raises
    ------
    InputError
        If a parameter is not what it should be. Whether the band fits the rate is said when samples are processed.
    """
    try:
        low, high = (float(edge) for edge in band)
    except (TypeError, ValueError):
        raise InputError(f"band={band!r:.100}: expected two frequencies in Hz, (from, to)") from None
    if median not in ("distance", "time", "none"):
        raise InputError(f"median={median!r:.100}: expected 'distance', 'time' or 'none'")
    if window is not None and median != "time":
        raise InputError(f"window={window!r:.100} is for the median along time: give median='time' with it")
    steps: list[Step] = [Decimate(_factor(rate, high) if decimate is None else decimate, every, channels)]
    if median != "none":
        steps.append(Median(median, (window or WINDOW) if median == "time" else None))
    return Pipeline((*steps, Bandpass(low, high), Envelope(), Log()))


def _factor(rate: float, high: float) -> int:
    """Return of how many samples one can be left so that decimation leaves a band alone.

    >>> _factor(200.0, 35.0), _factor(200.0, 90.0)
    (2, 1)
    """
    return max(1, int(PASSBAND * rate / 2 / high)) if high > 0 else 1
