"""What an acquiring process has had acknowledged: it writes, whoever started it reads, and a kill cannot undo it.

A file of 64-bit floats in memory both share: stage, exceptions, acknowledged documents, then seconds a call took.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

STAGE, RAISED, ACKNOWLEDGED, FIRST_CALL = range(4)
STARTED, READY, DONE = 0.0, 1.0, 2.0
"""Stages: nothing yet; the writer is made; the last document was given and the writer closed."""
BYTES = 8


class Progress:
    """The shared file.

    Parameters
    ----------
    path
        Made by whoever starts the process, with `documents`.
    documents
        How many there will be; None opens a file that is there.
    """

    def __init__(self, path: Path, documents: int | None = None) -> None:
        if documents is not None:
            path.write_bytes(bytes(BYTES * (FIRST_CALL + documents)))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._cells = memoryview(self._map).cast("d")

    @property
    def stage(self) -> float:
        """How far the process is."""
        return self._cells[STAGE]

    @stage.setter
    def stage(self, stage: float) -> None:
        self._cells[STAGE] = stage

    @property
    def acknowledged(self) -> int:
        """How many documents the writer has taken: their calls have returned."""
        return int(self._cells[ACKNOWLEDGED])

    @property
    def raised(self) -> int:
        """How many calls ended with an exception."""
        return int(self._cells[RAISED])

    @property
    def seconds(self) -> list[float]:
        """How long each call took that has ended."""
        return list(self._cells[FIRST_CALL : FIRST_CALL + self.acknowledged + self.raised])

    def note(self, index: int, seconds: float) -> None:
        """Take a document for acknowledged."""
        self._cells[FIRST_CALL + index] = seconds
        self._cells[ACKNOWLEDGED] = index + 1

    def note_raised(self, index: int, seconds: float) -> None:
        """Take note that a call raised; no more documents follow."""
        self._cells[FIRST_CALL + index] = seconds
        self._cells[RAISED] += 1

    def close(self) -> None:
        """Let go of the file."""
        self._cells.release()
        self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
