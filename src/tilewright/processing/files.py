"""A picture comes in, a file goes out, whole and on the disk: `images` calls it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from tilewright.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path

    from tilewright.processing.grid import Area


def name_of(area: Area) -> str:
    """Return where a tile's picture lies in its job's folder: a folder an hour, with the time of the first sample, cut to microseconds.

    >>> from tilewright.processing.grid import Area
    >>> name_of(Area(1_635_808_274_834_000_000, 0, 0, 0, 750, 1500, 0.0, 0.0))
    '20211101/23/20211101T231114.834000Z_channels_00750-01499.png'
    """
    moment = str(np.datetime64(area.start // 1000, "us")).replace("-", "").replace(":", "")
    day, hour = moment[:8], moment[9:11]
    return f"{day}/{hour}/{moment}Z_channels_{area.first_channel:05d}-{area.stop_channel - 1:05d}.png"


def write_picture(path: Path, content: bytes) -> None:
    """Write beside the file and move it into its place, when it is on the disk: it is never there in part.

    Raises
    ------
    SetupError
        If that cannot be done: no room, or no permission.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise SetupError(
            f"cannot write {path} ({error.strerror or error}): make room, or let it be written to"
        ) from error
