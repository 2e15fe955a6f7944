"""The tags of a FLAC file: an open file comes in, names and texts go out. Called by `files`.

libsndfile hands out those tags only that it has names for itself; recorders have their own, such as `SensorUid`.

Source: RFC 9639, sections 8.1 and 8.6.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_MAGIC = b"fLaC"
_TAGS = 4
"""Kind of the metadata block that has them."""
_LARGEST_BLOCK = 1 << 20
"""Bytes of tags that are read; more is something else, such as a picture."""


def tags(file: BinaryIO) -> dict[str, str]:
    """Return the tags of a FLAC file by their names as written; none if it has none, or is another file.

    Of a tag that is there several times, the first one; what is cut short ends them.
    """
    file.seek(0)
    if file.read(4) != _MAGIC:
        return {}
    while len(head := file.read(4)) == 4:  # noqa: PLR2004 - whether it is the last, kind, size
        size = int.from_bytes(head[1:], "big")
        if head[0] & 0x7F == _TAGS and size <= _LARGEST_BLOCK:
            found: dict[str, str] = {}
            for text in _comments(file.read(size)):
                name, _, value = text.partition("=")
                found.setdefault(name, value)
            return found
        if head[0] & 0x80:
            break
        file.seek(size, 1)
    return {}


def _comments(block: bytes) -> Iterator[str]:
    """Yield the texts after the one that names the encoder."""
    try:
        (place,) = struct.unpack_from("<I", block)
        (count,) = struct.unpack_from("<I", block, 4 + place)
        place += 8
        for _ in range(count):
            (length,) = struct.unpack_from("<I", block, place)
            place += 4 + length
            if place > len(block):
                return
            yield block[place - length : place].decode("utf-8", "replace")
    except struct.error:
        return
