"""TFRecords of embeddings as the Australian Acoustic Observatory's are laid out, for tests, benchmarks and notebooks.

Numbers come in, files go out whose vectors say which they are: the first value of each is its number in the dataset, times a unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.tfrecords import encode_example, write_records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

WINDOWS = 12
"""Of a record: a minute."""
MINUTES = 120
"""Of a recording: so many records have its name."""
_FIRST_ID = 49_500
_SUBSITES = ("Dry-A", "Dry-B", "Wet-A", "Wet-B")


def name_of(
    recording: int, *, site: int = 285, subsite: str = "Dry-A", zone: str = "+1030", site_name: str = "Arkaba"
) -> str:
    """Return the name of a recording of two hours; they follow each other from 2020-10-14T00:00 on."""
    day, hour = divmod(2 * recording, 24)
    return f"site_{site:04d}/202010{14 + day % 17:02d}T{hour:02d}0000{zone}_{site_name}-{subsite}_{_FIRST_ID + recording}.flac"


def vectors(
    first: int, windows: int = WINDOWS, channels: int = 1, dimension: int = 8, *, unit: float = 1.0
) -> NDArray[np.float32]:
    """Return vectors, shape (windows, channels, dimension), numbered from `first` on.

    Parameters
    ----------
    unit
        A power of two: what the numbers are times. Those of large datasets would be much longer than the rest of a vector.
    """
    made: NDArray[np.float32] = (
        np.random.default_rng(first).standard_normal((windows, channels, dimension), np.float32).astype("<f4")
    )
    made[..., 0] = unit * np.arange(first, first + windows * channels).reshape(windows, channels)
    return made


def records(
    count: int,
    first: int = 0,
    *,
    dimension: int = 8,
    minutes: int = MINUTES,
    unit: float = 1.0,
    **names: Any,
) -> Iterator[bytes]:
    """Yield the data of so many records of one minute.

    Parameters
    ----------
    first
        Number of the first vector.
    minutes
        Of a recording.
    unit
        As of `vectors`.
    names
        As of `name_of`.
    """
    for number in range(count):
        recording, minute = divmod(first // WINDOWS + number, minutes)
        yield encode_example(
            name_of(recording, **names),
            60.0 * minute,
            vectors(first + number * WINDOWS, dimension=dimension, unit=unit),
        )


def write_dataset(
    folder: Path, files: int, records_each: int, *, dimension: int = 1280, unit: float = 1.0
) -> int:
    """Write files into a folder, made if need be; each is of another site and subsite. Return how many vectors they have."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        place = folder / f"embeddings-{number:05d}-of-{files:05d}"
        about: dict[str, Any] = {
            "site": 285 + number // len(_SUBSITES),
            "subsite": _SUBSITES[number % len(_SUBSITES)],
        }
        first = number * records_each * WINDOWS
        write_records(place, records(records_each, first, dimension=dimension, unit=unit, **about))
    return files * records_each * WINDOWS
