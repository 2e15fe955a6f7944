"""A place of a Zarr array comes in, the array goes out, to be read. The format on the server calls it, and clients that find the store here.

A chunk that Blosc packed is unpacked into memory that numpy gives, which the system maps in pages of 2 MB where it has them. Zarr's own
way for arrays of version 2 has numcodecs make a `bytes` of it. Of more than 32 MB, which chunks of cables have, the C library gives that
memory back each time, and pages of 4 KB that are new cost the system three times as much as the unpacking does.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.das.urls import located, refusals
from tilewright.extras import extra

if TYPE_CHECKING:
    from pathlib import Path


_SIZE = slice(4, 8)
"""Where the header of a packed chunk has its size (https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst)."""


def open_zarr(place: Path | str) -> Any:
    """Open an array to read it.

    Parameters
    ----------
    place
        Its directory, or its URL.

    Returns
    -------
    zarr.Array

    Raises
    ------
    FileNotFoundError, ValueError, or an error of Zarr's
        If there is no array.
    SetupError
        If zarr is not installed, or what reads URLs; or if credentials are missing.
    TransientError
        If a URL cannot be reached.
    """
    with extra("das", f"cannot read {place} without zarr"):
        import zarr  # noqa: PLC0415 - slow to import

    with refusals(place):
        array: Any = zarr.open_array(**located(place), mode="r")
    metadata = array.metadata
    is_packed_once = metadata.zarr_format == 2 and not metadata.filters  # noqa: PLR2004 - the version
    if not (is_packed_once and getattr(metadata.compressor, "codec_id", "") == "blosc"):
        return array
    roomy = _Roomy(metadata.compressor, prod(array.chunks) * array.dtype.itemsize)
    opened = array.async_array
    return zarr.Array(
        zarr.AsyncArray(
            metadata=replace(metadata, compressor=roomy), store_path=opened.store_path, config=opened.config
        )
    )


class _Roomy:
    """Unpacks chunks as numcodecs' Blosc does, into memory of numpy's: a `zarr.abc.numcodec.Numcodec`.

    Parameters
    ----------
    codec
        The Blosc.
    size
        Bytes of a chunk. One that says another size is left to Blosc, and Zarr refuses it.
    """

    codec_id = "tilewright_roomy"

    def __init__(self, codec: Any, size: int) -> None:
        self._codec = codec
        self._size = size

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return a chunk."""
        if out is None and int.from_bytes(bytes(buf[_SIZE]), "little") == self._size:
            out = np.empty(self._size, np.uint8)
        return self._codec.decode(buf, out=out)

    def encode(self, buf: Any) -> Any:
        """Return what is stored."""
        return self._codec.encode(buf)

    def get_config(self) -> Any:
        """Return Blosc's."""
        return self._codec.get_config()

    @classmethod
    def from_config(cls, config: Any) -> Any:
        """Refuse to be made by its name: it is not written into any store."""
        raise NotImplementedError(f"{config!r} is no codec of a store")
