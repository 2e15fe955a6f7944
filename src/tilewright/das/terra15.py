"""Terra15's HDF5, versions 4 to 6: a file of a Treble comes in, what it says goes out; `files` calls it.

/                           dt_computer, dx, sensing_range_start, gauge_length, data_product, …
/data_product/data          samples by time and distance; in version 4 the group is called as the product
/data_product/gps_time      seconds since 1970, one a sample; 0 where nothing was written yet
/data_product/posix_time    the same by the computer's clock
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.das.attributes import above_zero, named, number, optional_metres, text
from tilewright.das.facts import DISTANCE, TIME, Facts
from tilewright.das.grid import Stamps
from tilewright.das.hdf5 import array, series
from tilewright.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

LOOKED_FOR = "Terra15's attributes file_version, data_product and dt_computer"
_OWN = frozenset({"file_version", "data_product", "dt_computer", "dx", "sensing_range_start"})
_GROUP = "data_product"
_CLOCKS = ("gps_time", "posix_time")


def is_one(file: Any) -> bool:
    """Say whether an `h5py.File` is one."""
    return set(file.attrs) >= _OWN


def facts(path: Path, file: Any) -> Facts:
    """Return what a file says; of an array that was not filled, as far as it was.

    Raises
    ------
    InputError
        If what there is cannot be understood, or there are no samples yet.
    """
    where, attributes = str(path), dict(file.attrs)
    product = text(attributes, "data_product")
    group = _GROUP if _GROUP in file else str(product)
    samples = array(file, f"/{group}/data")
    clock = next((name for name in _CLOCKS if name in file[group]), _CLOCKS[0])
    stamps = series(file, f"/{group}/{clock}")
    count = min(samples.shape[0], stamps.shape[0])
    times = Stamps(lambda start, stop: stamps[start:stop], count, 1, where)
    times = times.up_to(times.written())
    if not times.count:
        raise InputError(f"{where} holds no samples yet: all its time stamps are 0")
    step = above_zero(attributes, "dt_computer", where)
    return Facts(
        path,
        "terra15",
        f"/{group}/data",
        samples.shape,
        (TIME, DISTANCE),
        samples.dtype,
        samples.chunks,
        times.start,
        step,
        times.count,
        float(number(attributes, "sensing_range_start", where)),
        float(above_zero(attributes, "dx", where)),
        optional_metres(attributes, "gauge_length", where),
        text(attributes, "data_product_units"),
        product,
        times.irregularity(step),
        named(attributes),
    )
