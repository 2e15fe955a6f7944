"""ProdML: a file of Energistics' standard comes in, what it says goes out; `files` calls it.

OptaSense (QuantX), Silixa and others write it. A file may be a part of a longer acquisition: what is said of time here is of this part.
Format: ProdML Data Model, DAS Data Transfer Specification, https://www.energistics.org/prodml-developers-users

    /Acquisition             SpatialSamplingInterval, StartLocusIndex, GaugeLength, …
        /Raw[0]              OutputDataRate, RawDataUnit, RawDescription, StartLocusIndex, …
            /RawData         samples by time and locus, or the other way round: its `Dimensions` say it
            /RawDataTime     microseconds since 1970, one a sample
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.das.attributes import above_zero, metres, optional_metres, plain, text
from tilewright.das.facts import DISTANCE, TIME, Facts
from tilewright.das.grid import Stamps
from tilewright.das.hdf5 import array, series, tree
from tilewright.documents.times import SECOND, utc_ns
from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction
    from pathlib import Path

LOOKED_FOR = "ProdML's group /Acquisition with SpatialSamplingInterval"
_MICROSECONDS = 1_000_000


def is_one(file: Any) -> bool:
    """Say whether an `h5py.File` is one."""
    acquisition = file.get("Acquisition")
    return hasattr(acquisition, "keys") and "SpatialSamplingInterval" in acquisition.attrs


def facts(path: Path, file: Any) -> Facts:
    """Return what a file says of its first array of raw samples.

    Raises
    ------
    InputError
        If it has none, or what there is cannot be understood.
    """
    where, acquisition = str(path), file["Acquisition"]
    name = _raw(acquisition, where)
    dataset = f"/Acquisition/{name}/RawData"
    samples, stamps = array(file, dataset), series(file, f"/Acquisition/{name}/RawDataTime")
    attributes = {**acquisition.attrs, **acquisition[name].attrs}
    dims = _dims(samples, stamps.shape[0], where)
    count = samples.shape[dims.index(TIME)]
    times = Stamps(lambda start, stop: stamps[start:stop], count, _MICROSECONDS, where)
    step = (
        1 / above_zero(attributes, "OutputDataRate", where)
        if "OutputDataRate" in attributes
        else times.step()
    )
    spacing = metres(attributes, "SpatialSamplingInterval", where)
    return Facts(
        path,
        "prodml",
        dataset,
        samples.shape,
        dims,
        samples.dtype,
        samples.chunks,
        times.start,
        step,
        count,
        float(plain(attributes.get("StartLocusIndex")) or 0) * spacing,
        spacing,
        optional_metres(attributes, "GaugeLength", where),
        text(attributes, "RawDataUnit"),
        text(attributes, "RawDescription"),
        "; ".join(filter(None, (times.irregularity(step), _other_start(stamps.attrs, times.start, step)))),
        tree(acquisition),
    )


def _raw(acquisition: Any, where: str) -> str:
    """Return the name of the first group of raw samples."""
    names = [name for name in acquisition if name.startswith("Raw") and "RawData" in acquisition[name]]
    if not names:
        there = ", ".join(acquisition) or "nothing"
        raise InputError(
            f"{where} has no raw samples: /Acquisition has {there}; expected a group Raw[0] with an array RawData"
        )
    return str(min(names))


def _dims(samples: Any, stamps: int, where: str) -> tuple[str, str]:
    """Return the dimensions of an array, as its `Dimensions` name them; without, by how many time stamps there are."""
    told = [str(name).lower() for name in plain(samples.attrs.get("Dimensions")) or ()]
    by_time, by_distance = (TIME, DISTANCE), (DISTANCE, TIME)
    if told:
        dims = by_time if told[0] == TIME else by_distance
    else:
        dims = by_time if samples.shape[0] == stamps else by_distance
    if samples.shape[dims.index(TIME)] != stamps:
        raise InputError(
            f"{where}: its array of shape {samples.shape} by {', '.join(told) or 'unnamed dimensions'} has {stamps} time stamps: expected "
            "one a sample"
        )
    return dims


def _other_start(attributes: Mapping[str, Any], start: int, step: Fraction) -> str:
    """Return a clause, if the file tells another time of its first sample than its first time stamp is."""
    told = text(attributes, "PartStartTime")
    if told is None:
        return ""
    try:
        off = utc_ns(told) - start
    except InputError as error:
        return f"its PartStartTime cannot be read: {error}"
    return (
        ""
        if abs(off) <= step * SECOND / 2
        else f"its PartStartTime {told} is {off / SECOND:.6g} s after its first time stamp"
    )
