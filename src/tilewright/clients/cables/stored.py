"""Samples of a cable's array by their index, wherever they lie: `Cable.stored` makes one, `tilewright.processing` reads it.

It can be sent to other processes. A file that a process finds where the catalog says it is read by itself: the server, which would
read the same file, costs as much again as the reading. Whatever is not there is asked of the server.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from tiled.structures.array import ArrayStructure

from tilewright.clients.assets import paths_of
from tilewright.clients.cables.decoded import OF_THIS_PROCESS
from tilewright.clients.cables.describing import ARRAY, DISTANCE
from tilewright.das import open_zarr
from tilewright.das.hdf5 import array, opened
from tilewright.errors import InputError
from tilewright.formats.ranges import Places, ranges_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tilewright.clients.cables.describing import Description
    from tilewright.clients.stream import Stream

_HDF5, _ZARR = "application/x-hdf5", "application/x-zarr"


@dataclass(frozen=True, slots=True)
class Stored:
    """The samples of a run's array, by their index along time and the numbers of channels."""

    stream: Stream
    """That has the array."""
    item: dict[str, Any]
    """The array as the server described it, which is asked by it."""
    dtype: np.dtype[Any]
    """Of the samples."""
    is_by_distance: bool
    """Whether distance is the array's first dimension."""
    channels: int
    samples: int
    mimetype: str
    dataset: str
    """Path of the array in each HDF5 file."""
    paths: Mapping[int, Path]
    """Of the files, by their numbers; none of those that are not on a disk, or that only the server reads."""
    ranges: Sequence[Sequence[int]]
    """Which samples of which file make the array: see `formats.ranges.RANGES`."""

    def read(
        self, start: int, stop: int, channels: slice = slice(None), *, out: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """Return samples from an index to before another: shape (distance, time).

        Parameters
        ----------
        out
            Where they are put, of this shape and dtype; None for an array of their own.

        Raises
        ------
        InputError
            If a file is not any longer what it was, or damaged where these are.
        """
        parts = list(Places(self.ranges).parts(start, stop))
        if out is None:
            out = np.empty((len(range(*channels.indices(self.channels))), stop - start), self.dtype)
        if not all(number in self.paths and self.paths[number].exists() for number, _, _ in parts):
            out[:] = self._of_server(start, stop, channels)
            return out
        at = 0
        for number, first, last in parts:
            self._of_file(self.paths[number], slice(first, last), channels, out[:, at : at + last - first])
            at += last - first
        return out

    def between(self, start: int, stop: int) -> Stored:
        """Return the same with no other files than those that have samples from an index to before another: less to be sent."""
        touched = Places(self.ranges).files(start, stop)
        return replace(self, paths={number: self.paths[number] for number in touched if number in self.paths})

    def _of_server(self, start: int, stop: int, channels: slice) -> NDArray[Any]:
        client = self.stream.array_of(self.item)
        if self.is_by_distance:
            found: NDArray[Any] = client[channels, start:stop]
            return found
        if len(client.shape) == 1:
            return np.asarray(client[start:stop])[None]
        return np.asarray(client[start:stop, channels]).T

    def _of_file(self, path: Path, time: slice, channels: slice, out: NDArray[Any]) -> None:
        """Put samples of a file into an array of shape (distance, time)."""
        with self._opened(path, time.stop) as found:
            along = 1 if self.is_by_distance else 0
            length = found.chunks[along] if found.chunks is not None else 0
            if not length:
                out[:] = self._part(found, time, channels)
                return
            status = path.stat()
            for number in range(time.start // length, -(-time.stop // length)):
                span = slice(number * length, min((number + 1) * length, found.shape[along]))
                key = (path, status.st_mtime_ns, number, channels.start, channels.stop, channels.step)
                block = OF_THIS_PROCESS.block(key, partial(self._part, found, span, channels))
                first, last = max(span.start, time.start), min(span.stop, time.stop)
                out[:, first - time.start : last - time.start] = block[
                    :, first - span.start : last - span.start
                ]

    def _part(self, found: Any, time: slice, channels: slice) -> NDArray[Any]:
        values: NDArray[Any] = found[channels, time] if self.is_by_distance else found[time, channels].T
        return values

    @contextmanager
    def _opened(self, path: Path, stop: int) -> Iterator[Any]:
        """Open the array of a file; refuse one that has become another."""
        with ExitStack() as undo:
            if self.mimetype == _HDF5:
                found = array(undo.enter_context(opened(path)), self.dataset)
            else:
                found = open_zarr(path)
            channels, samples = found.shape if self.is_by_distance else found.shape[::-1]
            if channels != self.channels or samples < stop or found.dtype != self.dtype:
                raise InputError(
                    f"{path} holds {found.dtype} of shape {found.shape}, and the catalog has {self.dtype}, {self.channels:,} channels and "
                    f"at least {stop:,} samples of it: it has changed since it was recorded"
                )
            yield found


def stored(described: Description) -> Stored:
    """Return the samples of a run as they are now. One request."""
    item, source = described.stream.described_array(ARRAY)
    structure = ArrayStructure.from_json(item["attributes"]["structure"])
    is_by_distance = described.dims[0] == DISTANCE
    samples = structure.shape[-1] if is_by_distance else structure.shape[0]
    return Stored(
        described.stream,
        item,
        structure.data_type.to_numpy_dtype(),
        is_by_distance,
        described.settings["channels"],
        samples,
        source.mimetype,
        str(described.settings["dataset"]),
        paths_of(source) if source.mimetype in (_HDF5, _ZARR) else {},
        [[0, 0, samples]] if is_by_distance else ranges_of(source.properties or {}, samples),
    )
