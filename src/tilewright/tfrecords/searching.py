"""The next record behind damage: an open file and a place come in, the place of a right record goes out.

Called by `framing` when what it reads is no record, and by the format to count what a damaged file still has.

Nearly all of a file's bytes are no header, and that is seen at a glance: the upper bytes of a length that fits into the file are zero.
What is left is held to the CRC of the length, and only where that is right to the CRC of the data.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.tfrecords.crc import MASK_DELTA, crc32c
from tilewright.tfrecords.records import FOOTER_BYTES, HEADER_BYTES, LENGTH_BYTES, Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tilewright.tfrecords.records import OpenFile

_BLOCK = 1 << 18
"""Places that are looked at at once. Where all of them may be headers, each takes some 60 bytes of memory."""
_VALUES = 256
"""Of a byte."""


def find_record(file: OpenFile, start: int, stop: int) -> int | None:
    """Return the first place from one to before another at which a record begins both of whose CRCs are right; None if there is none."""
    stop = min(stop, file.size - HEADER_BYTES - FOOTER_BYTES + 1)
    for first in range(start, stop, _BLOCK):
        count = min(_BLOCK, stop - first)
        block = np.frombuffer(file.read(first, count + HEADER_BYTES - 1), np.uint8)
        for place in headers(block, first, file.size):
            if isinstance(file.frame_at(int(place)), Frame):
                return int(place)
    return None


def headers(block: NDArray[np.uint8], first: int, size: int) -> NDArray[np.int64]:
    """Return the places of the file at which headers begin in a block of it: the CRC of the length is right, and the length fits.

    Parameters
    ----------
    block
        Bytes of the file.
    first
        The place of the block's first byte.
    size
        Of the file, in bytes.
    """
    count = len(block) - HEADER_BYTES + 1
    if count <= 0:
        return np.empty(0, np.int64)
    low = (size.bit_length() + 7) // 8  # bytes of a length that may be other than zero
    plausible = np.ones(count, np.bool_)
    for byte in range(low, LENGTH_BYTES):
        plausible &= block[byte : byte + count] == 0
    # Of zeros, which a disk leaves behind in megabytes, none is looked at: the CRC of a length of 0 is not 0.
    others = np.zeros(count, np.uint8)
    for byte in (*range(low), *range(LENGTH_BYTES, HEADER_BYTES)):
        others |= block[byte : byte + count]
    plausible &= others != 0
    places = np.flatnonzero(plausible)
    heads = np.lib.stride_tricks.sliding_window_view(block, HEADER_BYTES)[places]
    lengths = _numbers(heads[:, :LENGTH_BYTES], "<u8").astype(np.int64)
    stored = _numbers(heads[:, LENGTH_BYTES:], "<u4")
    fits = places + first + lengths <= size - HEADER_BYTES - FOOTER_BYTES
    is_right = fits & (stored == _masked_crcs(heads[:, :LENGTH_BYTES]))
    found: NDArray[np.int64] = places[is_right].astype(np.int64) + first
    return found


def _numbers(heads: NDArray[np.uint8], dtype: str) -> NDArray[Any]:
    """Return the numbers that the bytes of each row are."""
    return np.ascontiguousarray(heads).view(dtype)[:, 0]


def _masked_crcs(lengths: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return the masked CRC-32C of each row of 8 bytes.

    >>> from tilewright.tfrecords.crc import masked_crc
    >>> int(_masked_crcs(np.array([[3, 0, 1, 0, 0, 0, 0, 9]], np.uint8))[0]) == masked_crc(bytes([3, 0, 1, 0, 0, 0, 0, 9]))
    True
    """
    of_zeros, of_bytes = _parts()
    crcs = np.full(len(lengths), of_zeros, np.uint32)
    for byte in range(LENGTH_BYTES):
        crcs ^= of_bytes[byte][lengths[:, byte]]
    return ((crcs >> np.uint32(15)) | (crcs << np.uint32(17))) + np.uint32(MASK_DELTA)


@cache
def _parts() -> tuple[np.uint32, NDArray[np.uint32]]:
    """Return the CRC of 8 zeros, and what each value of each byte changes in it, shape (8, 256): a CRC is linear, so that these add up."""
    crc = crc32c()
    of_zeros = crc(bytes(LENGTH_BYTES))
    heads = np.zeros((LENGTH_BYTES, _VALUES, LENGTH_BYTES), np.uint8)
    for byte in range(LENGTH_BYTES):
        heads[byte, :, byte] = np.arange(_VALUES)
    changed = [[crc(head.tobytes()) ^ of_zeros for head in values] for values in heads]
    return np.uint32(of_zeros), np.array(changed, np.uint32)
