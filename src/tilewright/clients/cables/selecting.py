"""Which samples of which channels are meant, and a lazy array of them: times and distances come in. `cable` calls it. Nothing is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from tilewright.clients.cables.describing import ARRAY, DISTANCE, TIME
from tilewright.clients.recordings.moments import text, window
from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tilewright.clients.cables.describing import Description
    from tilewright.clients.recordings.timeline import Part, Timeline

Gaps = Literal["skip", "raise"]


@dataclass(frozen=True, slots=True)
class Selection:
    """What is meant."""

    parts: Sequence[Part]
    """Samples that lie on one line each, in the order of their times."""
    channels: slice
    gaps: list[tuple[int, int]]
    """Between them, nothing was recorded: nanoseconds since 1970, UTC, from and to."""

    @property
    def shape(self) -> tuple[int, int]:
        """How many channels, and how many samples of each."""
        return self.channels.stop - self.channels.start, sum(map(len, self.parts))


def chosen(described: Description, timeline: Timeline, time: Any, distance: Any, gaps: Gaps) -> Selection:
    """Return what is meant by times and distances.

    Raises
    ------
    InputError
        If a time has no zone, an end is before its beginning, or something was not recorded and that is to be raised.
    """
    if gaps not in ("skip", "raise"):
        raise InputError(f"gaps={gaps!r}: expected 'skip' or 'raise'")
    begin, end = window(time) if time is not None else (timeline.begins or 0, timeline.ends or 0)
    parts = timeline.between(begin, end)
    breaks = _between(parts)
    if gaps == "raise":
        _refuse(parts, breaks, begin, end)
    return Selection(parts, channels_at(described.distances, distance), breaks)


def numbered(
    described: Description, timeline: Timeline, samples: tuple[int, int], channels: tuple[int, int]
) -> Selection:
    """Return what is meant by the indices of samples and channels in the run's array: from, and to before.

    Raises
    ------
    InputError
        If not all of them are there.
    """
    there = (max((part.stop for part in timeline.whole), default=0), int(described.settings["channels"]))
    for what, (first, stop), length in zip(("samples", "channels"), (samples, channels), there, strict=True):
        if not 0 <= first < stop <= length:
            raise InputError(
                f"{what} {first:,} to {stop:,}: there are {length:,}, and the first one has to be before the second"
            )
    first, stop = samples
    parts = [part.cut(first, stop) for part in timeline.stretches if part.start < stop and part.stop > first]
    return Selection(parts, slice(*channels), _between(parts))


def _between(parts: Sequence[Part]) -> list[tuple[int, int]]:
    """Return the times between parts in which nothing was recorded."""
    return [(before.ends, after.begins) for before, after in pairwise(parts) if not after.follows(before)]


def refuse_large(selection: Selection, most: int, what: str) -> None:
    """Refuse what has a gap in it, or more samples than can be taken at once.

    Raises
    ------
    InputError
        If it is so.
    """
    channels, samples = selection.shape
    if channels * samples > most:
        raise InputError(
            f"{what} takes {most:,} samples at most, and these are {channels * samples:,} ({channels:,} channels of {samples:,}): "
            "take less time, or fewer channels"
        )
    if selection.gaps:
        told = ", ".join(f"{text(first)} to {text(last)}" for first, last in selection.gaps)
        raise InputError(
            f"{what} takes a time without a gap, and nothing was recorded from {told}: take a time before or after it"
        )


def lazy(described: Description, selection: Selection) -> xr.DataArray:
    """Return what is meant as an array of dims (distance, time), of which nothing is fetched yet."""
    import dask.array as da  # noqa: PLC0415 - heavy

    whole: Any = described.stream[ARRAY].dask()
    by_time = whole if described.dims[0] == DISTANCE else whole.T
    pieces = [by_time[selection.channels, part.start : part.stop] for part in selection.parts]
    channels = described.distances[selection.channels]
    times = [part.times() for part in selection.parts]
    data = (
        da.concatenate(pieces, axis=1)  # type: ignore[no-untyped-call]
        if pieces
        else da.empty((len(channels), 0), dtype=whole.dtype)
    )
    samples = [np.arange(part.start, part.stop) for part in selection.parts]
    return xr.DataArray(
        data,
        dims=(DISTANCE, TIME),
        coords={
            DISTANCE: (DISTANCE, channels, _units(described)),
            "channel": (DISTANCE, np.arange(described.settings["channels"])[selection.channels]),
            TIME: (TIME, _joined(times).view("M8[ns]")),
            "sample": (TIME, _joined(samples)),
        },
        name=described.settings.get("quantity") or ARRAY,
        attrs=_about(described, selection),
    )


def _about(described: Description, selection: Selection) -> dict[str, Any]:
    settings = described.settings
    told = {
        name: settings[name] for name in ("units", "quantity", "gauge_length", "spacing") if name in settings
    }
    return {
        **told,
        "rate": float(described.rate),
        "gaps": [(text(begin), text(end)) for begin, end in selection.gaps],
        "run": described.start.get("uid"),
    }


def _units(described: Description) -> dict[str, str]:
    return {"units": "m"} if described.settings.get("spacing") is not None else {}


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def channels_at(distances: NDArray[np.float64], distance: Any) -> slice:
    """Return the channels that are at distances d with d0 <= d < d1, in metres."""
    if distance is None:
        return slice(0, len(distances))
    return slice(*np.searchsorted(distances, stretch(distance)).tolist())


def stretch(distance: Any) -> tuple[float, float]:
    """Return the two ends of a stretch of fibre, in metres.

    Raises
    ------
    InputError
        Not two, or the second is not after the first.
    """
    try:
        first, last = (float(end) for end in distance)
    except (TypeError, ValueError):
        raise InputError(
            f"distance={distance!r:.100}: expected two distances in metres, (from, to)"
        ) from None
    if not first < last:
        raise InputError(f"distance={distance!r}: it ends before it begins")
    return first, last


def _refuse(parts: Sequence[Part], breaks: list[tuple[int, int]], begin: int, end: int) -> None:
    """Refuse a time of which not all was recorded."""
    if not parts:
        raise InputError(f"nothing was recorded from {text(begin)} to {text(end)}: see cable.gaps()")
    missing = list(breaks)
    if parts[0].begins - begin > 2 * parts[0].half:
        missing.insert(0, (begin, parts[0].begins))
    if end - parts[-1].ends > 0:
        missing.append((parts[-1].ends, end))
    if missing:
        told = ", ".join(f"{text(first)} to {text(last)}" for first, last in missing)
        raise InputError(f"not all of that time was recorded; what is missing: {told}")
