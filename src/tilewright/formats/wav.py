"""WAV, FLAC and other files of sound: the samples of many files, one after the other, as one array.

In come StreamResources of mimetype `audio/wav`, `audio/flac`, `audio/aiff` or `audio/ogg`, whose StreamDatums count samples.
Called through the registry. `AudioAdapter` reads the files on the server: only those that a slice touches are looked up in
the catalog, opened, and sought in: see `rows_in_files`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tilewright.audio import MIMETYPES, AudioFacts, chunk_frames, probe, read
from tilewright.formats.arrays import FileArray
from tilewright.formats.base import DataSource, FileFacts, Format
from tilewright.formats.rows_in_files import Rows, RowsInFiles, not_ready

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from tilewright.formats.layout import Layout

_KNOWN_FILES = 4096
"""How many files' headers are remembered: a look takes some 0.05 ms, and a clip of a file takes not much more."""


class AudioFiles(FileArray):
    """Samples of one file for each StreamResource; a row is a sample of all channels."""

    repeated = ("chunk_shape",)

    def _read_layout(self, spec: Mapping[str, Any]) -> Layout:
        layout = super()._read_layout(spec)
        if layout.chunk_shape:
            return layout
        channels = layout.row_shape[0] if layout.row_shape else 1
        return dataclasses.replace(layout, chunk_shape=(chunk_frames(layout.dtype, channels),))


@dataclass(frozen=True, slots=True)
class Samples(Rows):
    """The samples of an array in files, to be read: a row is a sample of all channels."""

    def of_file(self, number: int, path: Path, start: int, stop: int) -> np.ndarray[Any, Any]:  # noqa: ARG002 - as Rows.of_file
        """Return samples of one file."""
        facts = facts_of(path)
        if facts.dtype != self.dtype or facts.shape[1:] != self.row:
            raise ValueError(
                f"{path} holds {facts.dtype} of shape {facts.shape}, declared is {self.dtype} of (…, {self.row})"
            )
        if facts.frames < stop:
            raise not_ready(path, facts.frames, stop, "samples")
        return read(path, start, stop, facts)


class AudioAdapter(RowsInFiles):
    """Makes the adapter of an array in files of sound."""

    rows = Samples


def facts_of(path: Path) -> AudioFacts:
    """Return what a file says of itself, remembered as long as it is the same file."""
    status = path.stat()
    return _facts(path, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(_KNOWN_FILES)
def _facts(path: os.PathLike[str], *_status: int) -> AudioFacts:
    return probe(path)


def measure(path: Path, source: DataSource) -> FileFacts:  # noqa: ARG001 - as Format.measure
    """Return what a file of sound holds; its header, as far as the file bears it out.

    Raises
    ------
    InputError
        If it is no file of sound.
    """
    facts = probe(path)
    return FileFacts(facts.shape, facts.dtype)


FORMAT = Format(
    mimetypes=tuple(dict.fromkeys(MIMETYPES.values())),
    open=AudioFiles,
    adapters=dict.fromkeys(MIMETYPES.values(), f"{__name__}:{AudioAdapter.__name__}"),
    measure=measure,
)
