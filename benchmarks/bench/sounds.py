"""Recorders' files: AudioMoth's header with its comment, and samples; long ones are sparse, and take no room on the disk."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2023, 4, 25, tzinfo=UTC)
_COMMENT = "Recorded at {:%H:%M:%S %d/%m/%Y} (UTC) by AudioMoth {} at medium gain while battery was 4.1V and temperature was 21.3C."
_COMMENT_BYTES = 384
"""As AudioMoth's firmware has it."""


@dataclass(frozen=True)
class Recorders:
    """Files of several units, each of so many seconds, whose starts are whole seconds."""

    folder: Path
    units: int
    files: int
    """Of each unit."""
    seconds: float
    rate: int
    filled: float = 0.0
    """Seconds of each unit's first file that have samples; the rest of it and all other files are holes."""

    def start(self, number: int) -> datetime:
        """Return when a file of each unit begins."""
        return START + timedelta(seconds=number * max(math.ceil(self.seconds), 1))

    def unit(self, number: int) -> str:
        """Return the id of a unit."""
        return f"24F3190361DA5{number:03X}"

    def path(self, unit: int, number: int) -> Path:
        """Return a file."""
        return self.folder / self.unit(unit) / f"{self.start(number):%Y%m%d_%H%M%S}.WAV"

    def write(self) -> None:
        """Write the files."""
        frames, chance = round(self.seconds * self.rate), np.random.default_rng(1)
        for unit in range(self.units):
            (self.folder / self.unit(unit)).mkdir(parents=True)
            for number in range(self.files):
                header = _header(frames, self.rate, _COMMENT.format(self.start(number), self.unit(unit)))
                with self.path(unit, number).open("wb") as file:
                    file.write(header)
                    if number == 0 and self.filled:
                        noise = chance.integers(-3000, 3000, round(self.filled * self.rate))
                        file.write(noise.astype("<i2").tobytes())
                    file.truncate(len(header) + 2 * frames)


def _header(frames: int, rate: int, comment: str) -> bytes:
    text = comment.encode().ljust(_COMMENT_BYTES, b"\0")
    info = b"INFO" + struct.pack("<4sI", b"ICMT", len(text)) + text
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    chunks = form + struct.pack("<4sI", b"LIST", len(info)) + info + struct.pack("<4sI", b"data", 2 * frames)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks) + 2 * frames, b"WAVE") + chunks
