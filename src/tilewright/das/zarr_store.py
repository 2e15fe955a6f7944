"""A Zarr group with ProdML's arrays comes in, what it says goes out; `files` calls it.

    RawData         samples by distance and time, or the other way round: its dimensions have names, as xarray writes them
    RawDataTime     microseconds since 1970, one a sample

What the attributes do not tell stays unknown, but for the rate, which the time stamps tell. Both versions of Zarr, in a directory or at
a URL.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tilewright.das.attributes import above_zero, metres, named, optional_metres, plain, text
from tilewright.das.facts import DISTANCE, TIME, Facts
from tilewright.das.grid import Stamps
from tilewright.das.urls import located, refusals
from tilewright.errors import InputError, TilewrightError
from tilewright.extras import extra

LOOKED_FOR = "a Zarr group with the arrays RawData and RawDataTime"
SAMPLES, TIMES = "RawData", "RawDataTime"
_MARKS = ("zarr.json", ".zgroup", ".zarray")
_DIMENSION_NAMES = "_ARRAY_DIMENSIONS"
"""xarray's attribute in version 2, which has no names of its own."""
_MICROSECONDS = 1_000_000
_RATES = ("OutputDataRate", "sampling_rate", "fs")
_SPACINGS = ("SpatialSamplingInterval", "channel_spacing", "dx")
_GAUGES = ("GaugeLength", "gauge_length")
_UNITS = ("RawDataUnit", "units")
_DIMENSIONS = 2


def is_store(path: Path) -> bool:
    """Say whether a directory is a Zarr store."""
    return any((path / mark).is_file() for mark in _MARKS)


def open_arrays(place: Path | str) -> tuple[Any, Any, dict[str, Any]]:
    """Return the arrays of samples and of time stamps, and the attributes of the group and of the former.

    Parameters
    ----------
    place
        A directory, or a URL.

    Raises
    ------
    InputError
        If there are none.
    SetupError
        If zarr is not installed, or what reads URLs; or if credentials are missing.
    TransientError
        If a URL cannot be reached.
    """
    with extra("das", f"cannot look into {place} without zarr"):
        import zarr  # noqa: PLC0415 - slow to import

    if isinstance(place, Path) and not is_store(place):
        raise InputError(f"{place} is no Zarr store: there is none of {', '.join(_MARKS)}")
    try:
        with refusals(place):
            group: Any = zarr.open_group(**located(place), mode="r")
            samples, times = group[SAMPLES], group[TIMES]
            attributes = {**dict(group.attrs), **dict(samples.attrs)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{place} is no store of a cable ({error}): looked for {LOOKED_FOR}") from error
    for name, array, dimensions in ((SAMPLES, samples, _DIMENSIONS), (TIMES, times, 1)):
        if getattr(array, "ndim", 0) != dimensions or array.dtype.kind not in "iuf":
            raise InputError(f"{place}: {name} is {array!r}: expected numbers in {dimensions} dimensions")
    return samples, times, attributes


def facts(place: Path | str) -> Facts:
    """Return what a store says.

    Raises
    ------
    InputError
        If it is none, or what there is cannot be understood.
    SetupError, TransientError
        As of `open_arrays`.
    """
    where = str(place)
    samples, stamps, attributes = open_arrays(place)
    if not samples.size:
        raise InputError(f"{place} holds no samples: {SAMPLES} has shape {samples.shape}")
    dims = _dims(samples, stamps.shape[0], where)
    times = Stamps(lambda start, stop: stamps[start:stop], stamps.shape[0], _MICROSECONDS, where)
    rate, spacing = _told(attributes, _RATES), _told(attributes, _SPACINGS)
    apart = None if spacing is None else metres(attributes, spacing, where)
    gauge = _told(attributes, _GAUGES)
    units = _told(attributes, _UNITS)
    try:
        with refusals(place):
            step = times.step() if rate is None else 1 / above_zero(attributes, rate, where)
            start, irregular = times.start, times.irregularity(step)
    except TilewrightError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{place}: the chunks of {TIMES} cannot be read: {error}") from error
    return Facts(
        place,
        "zarr",
        SAMPLES,
        samples.shape,
        dims,
        samples.dtype,
        samples.chunks,
        start,
        step,
        stamps.shape[0],
        float(plain(attributes.get("StartLocusIndex")) or 0) * (apart or 0),
        apart,
        None if gauge is None else optional_metres(attributes, gauge, where),
        None if units is None else text(attributes, units),
        text(attributes, "RawDescription"),
        irregular,
        named({name: value for name, value in attributes.items() if name != _DIMENSION_NAMES}),
    )


def _told(attributes: dict[str, Any], names: tuple[str, ...]) -> str | None:
    """Return the first of several names that is one of an attribute."""
    return next((name for name in names if name in attributes), None)


def _dims(samples: Any, stamps: int, where: str) -> tuple[str, str]:
    """Return the dimensions of an array, by their names; without, by how many time stamps there are."""
    named_so = getattr(samples.metadata, "dimension_names", None) or samples.attrs.get(_DIMENSION_NAMES) or ()
    names = [str(name) for name in named_so]
    is_by_time = names[0] == TIME if TIME in names else samples.shape[0] == stamps
    dims = (TIME, DISTANCE) if is_by_time else (DISTANCE, TIME)
    if samples.shape[dims.index(TIME)] != stamps:
        raise InputError(
            f"{where}: {SAMPLES} of shape {samples.shape} by {', '.join(names) or 'unnamed dimensions'} has {stamps} time "
            "stamps: expected one a sample"
        )
    return dims
