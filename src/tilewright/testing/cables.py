"""Files of fibre-optic cables, made for tests and figures: what is asked for comes in, files of every kind go out.

A value is (sample number · 1000 + channel) of the whole acquisition, so that one in a wrong place is seen to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

START = 1_635_808_274_834_000_000
"""2021-11-01T23:11:14.834Z, in nanoseconds: where the acquisition begins if nothing else is said."""
RATE = 200
"""Samples a second."""
_MICROSECOND = 1000
_SECOND = 1_000_000_000


def samples_of(first: int, count: int, channels: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Return samples from a number on, shape (count, channels)."""
    numbers = np.arange(first, first + count, dtype=np.int32)[:, None]
    return np.asarray(numbers * 1000 + np.arange(channels, dtype=np.int32), np.int32)


def stamps_of(
    first: int, count: int, rate: int = RATE, start: int = START
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the time stamps of samples in microseconds since 1970, shape (count,)."""
    numbers = np.arange(first, first + count, dtype=np.int64)
    return start // _MICROSECOND + numbers * 1_000_000 // rate


def write_prodml(  # noqa: PLR0913 - each is one thing that files may differ in
    path: Path,
    first: int = 0,
    count: int = 1000,
    channels: int = 8,
    *,
    late: int = 0,
    by_time: bool = True,
    dtype: str = "<i4",
    rate: int | None = RATE,
    spacing: float = 2.0419,
    named: bool = True,
    values: np.ndarray[Any, Any] | None = None,
) -> Path:
    """Write a ProdML file with samples from a number on.

    Parameters
    ----------
    late
        Microseconds that are added to its time stamps.
    by_time
        Whether time is the first dimension.
    rate
        None: the file does not tell it.
    named
        Whether its array says what its dimensions are.
    values
        Other samples than those that say where they are: shape (count, channels).
    """
    import h5py  # noqa: PLC0415 - slow to import

    values = (samples_of(first, count, channels) if values is None else values).astype(dtype)
    with h5py.File(path, "w") as file:
        acquisition = file.create_group("Acquisition")
        acquisition.attrs.update(
            {
                "SpatialSamplingInterval": spacing,
                "SpatialSamplingInterval.uom": b"m",
                "StartLocusIndex": 100,
                "GaugeLength": 10.0,
                "schemaVersion": b"2.1",
                "NumberOfLoci": channels,
            }
        )
        raw = acquisition.create_group("Raw[0]")
        raw.attrs.update({"RawDataUnit": b"rad", "RawDescription": b"Phase"})
        if rate is not None:
            raw.attrs["OutputDataRate"] = float(rate)
        data = raw.create_dataset("RawData", data=values if by_time else values.T)
        if named:
            data.attrs["Dimensions"] = [b"time", b"locus"] if by_time else [b"locus", b"time"]
        raw["RawDataTime"] = stamps_of(first, count, rate or RATE) + late
    return path


def write_silixa(path: Path, first: int = 0, count: int = 1000, channels: int = 8) -> Path:
    """Write a file as Silixa's iDAS does, with samples from a number on; its start is told in milliseconds."""
    import h5py  # noqa: PLC0415 - slow to import
    import pandas as pd  # noqa: PLC0415 - slow to import

    begins = pd.Timestamp(START + first * _SECOND // RATE)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("Acoustic", data=samples_of(first, count, channels))
        data.attrs.update(
            {
                "GPSTimeStamp": begins.strftime("%d/%m/%Y %H:%M:%S.%f")[:-3] + " (UTC)",
                "CPUTimeStamp": "01/01/2020 00:00:00.000 (UTC)",
                "SamplingFrequency[Hz]": str(RATE),
                "SpatialResolution[m]": "2",
                "Fibre Length Multiplier": "1.020952",
                "Start Distance (m)": "0.75",
                "GaugeLength": "10",
                "SystemInfomation.OS.HostName": "iDAS",
            }
        )
    return path


def write_terra15(path: Path, first: int = 0, count: int = 1000, channels: int = 8, *, room: int = 0) -> Path:
    """Write a file as a Terra15 Treble does, with samples from a number on, and room for more behind them."""
    import h5py  # noqa: PLC0415 - slow to import

    values = np.zeros((count + room, channels), "<f4")
    values[:count] = samples_of(first, count, channels)
    times = np.zeros(count + room)
    times[:count] = stamps_of(first, count) / 1e6
    with h5py.File(path, "w") as file:
        file.attrs.update(
            {
                "file_version": 5,
                "data_product": "velocity",
                "data_product_units": "m/s",
                "dt_computer": 1 / RATE,
                "dx": 1.6,
                "sensing_range_start": 30.25,
                "gauge_length": 2.5,
                "gpu_temperature": np.nan,
            }
        )
        file["data_product/data"] = values
        file["data_product/posix_time"] = times
    return path


def write_store(
    path: Path,
    first: int = 0,
    count: int = 3000,
    channels: int = 8,
    *,
    zarr_format: int = 2,
    by_time: bool = False,
    attributes: dict[str, Any] | None = None,
    values: np.ndarray[Any, Any] | None = None,
) -> Path:
    """Write a Zarr store with samples from a number on, by distance and time, as the cable of the Regional Cabled Array is kept.

    Parameters
    ----------
    attributes
        Of the group.
    values
        Other samples than those that say where they are: shape (count, channels).
    """
    import zarr  # noqa: PLC0415 - slow to import

    values = samples_of(first, count, channels) if values is None else values
    group: Any = zarr.open_group(path, mode="w", zarr_format=2 if zarr_format == 2 else 3)
    group.attrs.update(attributes or {})
    dims = ["time", "distance"] if by_time else ["distance", "time"]
    _array(group, "RawData", values if by_time else values.T, dims, (500, 3) if by_time else (3, 500))
    _array(group, "RawDataTime", stamps_of(first, count), ["time"], (500,))
    _array(group, "GpsStatus", np.ones(count, np.uint8), ["time"], (500,))
    _array(group, "SampleCount", np.arange(first, first + count, dtype=np.uint32), ["time"], (500,))
    return path


def _array(
    group: Any, name: str, values: np.ndarray[Any, Any], dims: list[str], chunks: tuple[int, ...]
) -> None:
    is_third = group.metadata.zarr_format == 3
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=chunks,
        dimension_names=dims if is_third else None,
    )
    if not is_third:
        array.attrs["_ARRAY_DIMENSIONS"] = dims
    array[...] = values
