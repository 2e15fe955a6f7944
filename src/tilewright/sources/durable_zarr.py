"""A Zarr array whose writes are on the disk when they return: samples come in, shards and their metadata go out. `stores` calls it.

Zarr's own store puts a file in the place of another one without waiting for the disk, so that neither may be there after a power cut.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import zarr
from zarr.codecs import BloscCodec
from zarr.errors import ArrayNotFoundError, ContainsGroupError
from zarr.storage import LocalStore

from tilewright.errors import InputError
from tilewright.sources.durable import sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from zarr.core.buffer import Buffer

LENGTH = "length"
"""Attribute: how many samples count. There may be more, of an append that was not completed."""
_WRITING = ".writing"
"""End of the names of files that are not whole yet."""
_CONFIG: Any = {"write_empty_chunks": True}
"""Silence is written too: else a shard of nothing else would have to be deleted, which may come undone after a power cut."""


class DurableStore(LocalStore):
    """A directory in which a file that replaces another one is on the disk before it does."""

    async def set(self, key: str, value: Buffer) -> None:
        """Write a file."""
        await asyncio.to_thread(self.set_sync, key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Write a file."""
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(path.name + _WRITING)
        with beside.open("wb") as file:
            file.write(value.as_buffer_like())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync_directory(path.parent)


class DurableArray:
    """An array of samples along its first dimension, open for writing.

    Parameters
    ----------
    path
        Its directory.

    Raises
    ------
    InputError
        If there is no such array, or `create` has not made it.
    """

    def __init__(self, path: Path) -> None:
        self._store = DurableStore(path)
        try:
            self._array: Any = zarr.open_array(self._store, mode="r+", config=_CONFIG)
        except (ArrayNotFoundError, ContainsGroupError, FileNotFoundError) as error:
            raise InputError(f"{path} is no Zarr array; it is left as it is") from error
        self.attributes: dict[str, Any] = dict(self._array.attrs)
        if not isinstance(self.attributes.get(LENGTH), int):
            raise InputError(f"{path} is a Zarr array that was not made here; it is left as it is")
        for name in _left_over(path):
            name.unlink()
        if self._array.shape[0] != self.length:
            self._resize(self.length)

    @property
    def length(self) -> int:
        """How many samples were written, as far as the last write that was completed."""
        return int(self.attributes[LENGTH])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the samples."""
        dtype: np.dtype[Any] = np.dtype(self._array.dtype)
        return dtype

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self._array.shape[1:])

    def write(self, start: int, samples: np.ndarray[Any, Any]) -> None:
        """Write samples, and take them to be the last ones."""
        stop = start + len(samples)
        self._resize(stop)
        self._array[start:stop] = samples
        self._array.update_attributes({LENGTH: stop})
        self.attributes[LENGTH] = stop

    def read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Read samples from one index to before another."""
        found: np.ndarray[Any, Any] = np.ascontiguousarray(self._array[start:stop])
        return found

    def _resize(self, length: int) -> None:
        self._array.resize((length, *self.row_shape))


def create(
    path: Path,
    *,
    dtype: np.dtype[Any],
    row_shape: tuple[int, ...],
    chunk: int,
    shard: int,
    level: int,
    attributes: Mapping[str, Any],
    dimensions: tuple[str, str] = ("time", "channel"),
) -> None:
    """Make an empty array, compressed by zstd, with the bytes of a sample shuffled where it has several.

    Parameters
    ----------
    chunk, shard
        Samples of what is read as a whole, and of a file.
    dimensions
        Names of the first, and of that of a sample which has several values.
    """
    shuffle: Literal["shuffle", "noshuffle"] = "shuffle" if dtype.itemsize > 1 else "noshuffle"
    zarr.create_array(
        DurableStore(path),
        shape=(0, *row_shape),
        chunks=(chunk, *row_shape),
        shards=(shard, *row_shape),
        dtype=dtype,
        compressors=BloscCodec(cname="zstd", clevel=level, shuffle=shuffle, typesize=dtype.itemsize),
        zarr_format=3,
        dimension_names=dimensions[: 1 + len(row_shape)],
        attributes={**attributes, LENGTH: 0},
        config=_CONFIG,
    )


def _left_over(path: Path) -> Iterator[Path]:
    """Yield the files of a write that was cut off."""
    for directory in (path, path / "c"):
        yield from directory.glob(f"*{_WRITING}")
