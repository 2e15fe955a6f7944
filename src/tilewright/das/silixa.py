"""Silixa's own HDF5: a file of an iDAS comes in, what it says goes out; `files` calls it.

    /Acoustic     samples by time and distance; all metadata are its attributes, numbers among them as text

There are no time stamps. The start is the GPS receiver's; the computer's, which may be minutes off, only where that tells nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tilewright.das.attributes import above_zero, named, number, optional_metres, text
from tilewright.das.facts import DISTANCE, TIME, Facts
from tilewright.das.hdf5 import array
from tilewright.documents.times import utc_ns
from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOOKED_FOR = "Silixa's array /Acoustic with SamplingFrequency[Hz]"
_RATE = "SamplingFrequency[Hz]"
_RESOLUTION, _MULTIPLIER = "SpatialResolution[m]", "Fibre Length Multiplier"
_CLOCKS = ("GPSTimeStamp", "CPUTimeStamp")
_FORM = "%d/%m/%Y %H:%M:%S.%f (UTC)"


def is_one(file: Any) -> bool:
    """Say whether an `h5py.File` is one."""
    samples = file.get("Acoustic")
    return samples is not None and _RATE in samples.attrs


def facts(path: Path, file: Any) -> Facts:
    """Return what a file says.

    Raises
    ------
    InputError
        If what there is cannot be understood.
    """
    where, samples = str(path), array(file, "/Acoustic")
    attributes = dict(samples.attrs)
    spacing = above_zero(attributes, _RESOLUTION, where) * above_zero(attributes, _MULTIPLIER, where)
    return Facts(
        path,
        "silixa",
        "/Acoustic",
        samples.shape,
        (TIME, DISTANCE),
        samples.dtype,
        samples.chunks,
        _start(attributes, where),
        1 / above_zero(attributes, _RATE, where),
        samples.shape[0],
        float(number(attributes, "Start Distance (m)", where)),
        float(spacing),
        optional_metres(attributes, "GaugeLength", where),
        about=named(attributes),
    )


def _start(attributes: Mapping[str, Any], where: str) -> int:
    """Return the time of the first sample, in nanoseconds since 1970.

    Raises
    ------
    InputError
        If no clock told it.
    """
    told = {name: text(attributes, name) for name in _CLOCKS}
    for moment in filter(None, told.values()):
        try:
            return utc_ns(datetime.strptime(moment, _FORM).replace(tzinfo=UTC))
        except ValueError:
            continue
    raise InputError(
        f"{where} does not tell when it starts: {told}; expected such as '22/09/2023 18:29:26.158 (UTC)'"
    )
