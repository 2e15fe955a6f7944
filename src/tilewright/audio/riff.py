"""RIFF, RF64 and the chunks in them: an open file comes in, where its samples lie goes out. Called by `files`.

libsndfile reads these files, too, but not those whose recorder lost its power before it wrote the sizes into the header,
and it does not hand out the chunks that recorders put their metadata into. Here sizes are believed as far as the file
bears them out:

    data chunk past the end, or of size 0 or 2**32 - 1      what is there up to the end of the file counts
    a chunk that is no chunk                                 the walk ends before it

Sources: RIFF (https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html), RF64 and ds64 (EBU Tech 3306).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

MAGICS = {b"RIFF": "WAV", b"RF64": "RF64", b"BW64": "RF64"}
_UNKNOWN_SIZE = 0xFFFFFFFF
_LARGEST_CHUNK = 1 << 16
"""Bytes of a chunk of metadata that is read; larger ones hold something else."""
_HEAD = 1 << 12
"""Bytes read at first: mostly all there is before the samples."""
EXTENSIBLE = 0xFFFE


@dataclass(slots=True)
class Riff:
    """What a walk through the chunks found."""

    container: str
    code: int = 0
    """Of the encoding: 1 for integers, 3 for floats."""
    channels: int = 0
    rate: int = 0
    block: int = 0
    """Bytes of a frame."""
    bits: int = 0
    offset: int | None = None
    """The first byte of the samples; None if there are none."""
    size: int = 0
    """Bytes of samples in the file."""
    declared: int | None = None
    """Bytes of samples by the header; None if it does not say."""
    chunks: dict[str, bytes] = field(default_factory=dict)


class _Bytes:
    """A file of which the beginning is in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = os.fstat(file.fileno()).st_size
        file.seek(0)
        self._head = file.read(_HEAD)

    def read(self, place: int, count: int) -> bytes:
        if place + count <= len(self._head):
            return self._head[place : place + count]
        self._file.seek(place)
        return self._file.read(count)


def walk(file: BinaryIO) -> Riff | None:
    """Go through the chunks of a file; None if it is none of RIFF with WAVE in it, little-endian.

    Raises
    ------
    ValueError
        If the chunk that says how samples are encoded is cut short.
    """
    source = _Bytes(file)
    magic, kind = source.read(0, 4), source.read(8, 4)
    if magic not in MAGICS or kind != b"WAVE":
        return None
    found, place, long_sizes = Riff(MAGICS[magic]), 12, {}
    while place + 8 <= source.size:
        name, size = struct.unpack("<4sI", source.read(place, 8))
        place += 8
        if not _is_id(name):
            break
        if name == b"ds64":
            long_sizes = _long_sizes(source.read(place, min(size, _LARGEST_CHUNK)))
        elif name == b"data" and found.offset is None:
            size = _take_samples(found, source, place, long_sizes.get(b"data", size))
        elif name == b"fmt ":
            _take_format(found, source.read(place, min(size, _LARGEST_CHUNK)))
        elif size <= _LARGEST_CHUNK:
            _take_chunk(found, name, source.read(place, size))
        place += size + size % 2
    return found


def _is_id(name: bytes) -> bool:
    return all(0x20 <= byte < 0x7F for byte in name)  # noqa: PLR2004 - printable ASCII


def _long_sizes(chunk: bytes) -> dict[bytes, int]:
    """Return the size of the samples by an RF64's own chunk: RIFF, data and samples as 64 bits each."""
    return {b"data": struct.unpack_from("<Q", chunk, 8)[0]} if len(chunk) >= 16 else {}  # noqa: PLR2004


def _take_samples(found: Riff, source: _Bytes, place: int, size: int) -> int:
    """Note where the samples are; return how many bytes are to be passed over."""
    rest = source.size - place
    is_said = size not in (0, _UNKNOWN_SIZE) or (size == 0 and _goes_on(source, place))
    found.offset, found.declared = place, size if is_said else None
    found.size = min(size, rest) if is_said else rest
    return found.size


def _goes_on(source: _Bytes, place: int) -> bool:
    """Tell whether an empty chunk of samples is followed by the end of the file, or by another chunk."""
    if place >= source.size:
        return True
    head = source.read(place, 8)
    if len(head) < 8 or not _is_id(head[:4]):  # noqa: PLR2004 - a chunk's id and size
        return False
    return bool(place + 8 + struct.unpack_from("<I", head, 4)[0] <= source.size)


def _take_format(found: Riff, chunk: bytes) -> None:
    if len(chunk) < 16:  # noqa: PLR2004 - the fields that every file has
        raise ValueError("its format chunk is cut short")
    found.code, found.channels, found.rate, _, found.block, found.bits = struct.unpack_from("<HHIIHH", chunk)
    if found.code == EXTENSIBLE and len(chunk) >= 26:  # noqa: PLR2004 - up to the first two bytes of the GUID
        valid, found.code = struct.unpack_from("<H", chunk, 18)[0], struct.unpack_from("<H", chunk, 24)[0]
        found.bits = valid or found.bits


def _take_chunk(found: Riff, name: bytes, content: bytes) -> None:
    if name != b"LIST":
        found.chunks.setdefault(name.decode(), content)
        return
    if content[:4] != b"INFO":
        return
    place = 4
    while place + 8 <= len(content):
        part, size = struct.unpack_from("<4sI", content, place)
        if not _is_id(part):
            return
        found.chunks.setdefault(part.decode(), content[place + 8 : place + 8 + size])
        place += 8 + size + size % 2
