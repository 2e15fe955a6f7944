"""Files of fibre-optic cables that dascore reads, one after the other, as one array of time and distance.

In come StreamResources of mimetype `application/x-dascore`, whose StreamDatums count samples of all channels. Called through the registry.
`DascoreAdapter` has dascore read the files on the server: those, and of those the times, that a slice touches.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tilewright.das import dascore_files, read
from tilewright.errors import InputError
from tilewright.formats.arrays import FileArray
from tilewright.formats.base import DataSource, FileFacts, Format
from tilewright.formats.rows_in_files import Rows, RowsInFiles, not_ready

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from tilewright.das import Facts

MIMETYPE = "application/x-dascore"
_KNOWN_FILES = 4096


class DascoreFiles(FileArray):
    """Samples of one file for each StreamResource; a row is a sample of all channels."""

    repeated = ("chunk_shape",)


@dataclass(frozen=True, slots=True)
class Patches(Rows):
    """The samples of an array in files that dascore reads."""

    def of_file(self, number: int, path: Path, start: int, stop: int) -> np.ndarray[Any, Any]:  # noqa: ARG002 - as Rows.of_file
        """Return samples of one file; dascore has (time, distance) turned, where a file has the other order."""
        facts = _facts(path)
        if facts.dtype != self.dtype or facts.channels != (self.row or (1,))[0]:
            raise ValueError(
                f"{path} holds {facts.dtype} of {facts.channels} channels, declared is {self.dtype} of {self.row}"
            )
        if facts.samples < stop:
            raise not_ready(path, facts.samples, stop, "samples")
        return read(facts, slice(start, stop)).reshape(-1, *self.row)


class DascoreAdapter(RowsInFiles):
    """Makes the adapter of an array in files that dascore reads."""

    rows = Patches


def _facts(path: Path) -> Facts:
    """Return what a file says, as it was last written."""
    stat = path.stat()
    return _facts_of(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(_KNOWN_FILES)
def _facts_of(path: Path, modified: int, size: int) -> Facts:  # noqa: ARG001 - the file is another one then
    found = dascore_files.facts(path)
    if found is None:
        raise InputError(f"{path} is no file that dascore knows, and is registered as one")
    return found


def measure(path: Path, source: DataSource) -> FileFacts:
    """Return how many samples a file holds, and of how many channels.

    Raises
    ------
    InputError
        If dascore cannot read it.
    SetupError
        If dascore is not installed.
    """
    facts = _facts(path)
    row = () if len(source.structure["shape"]) == 1 and facts.channels == 1 else (facts.channels,)
    return FileFacts((facts.samples, *row), facts.dtype)


FORMAT = Format(
    mimetypes=(MIMETYPE,),
    open=DascoreFiles,
    adapters={MIMETYPE: f"{__name__}:{DascoreAdapter.__name__}"},
    measure=measure,
    watched=False,
)
