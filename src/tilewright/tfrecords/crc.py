"""Masked CRC-32C, by which TFRecords are held to what was written: bytes come in, a number goes out.

Called by `framing`, `searching` and `writing`. A CRC of data in which CRCs are is masked, so that it is none of those.

Sources: https://www.tensorflow.org/tutorials/load_data/tfrecord, and the polynomial of RFC 3720, section 12.1.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tilewright.extras import extra

if TYPE_CHECKING:
    from collections.abc import Callable

MASK_DELTA = 0xA282EAD8
_BITS = 0xFFFFFFFF


def masked_crc(data: bytes) -> int:
    """Return the masked CRC-32C of bytes.

    Raises
    ------
    SetupError
        If the package google-crc32c is not installed.

    >>> hex(masked_crc(b"123456789"))  # its CRC-32C is 0xe3069283
    '0xc78ab0e5'
    """
    return masked(crc32c()(data))


def masked(crc: int) -> int:
    """Return a CRC-32C as it is stored: turned by 15 bits, and moved."""
    return (((crc >> 15) | (crc << 17)) + MASK_DELTA) & _BITS


@cache
def crc32c() -> Callable[[bytes], int]:
    """Return the function that makes a CRC-32C, not masked; see `masked_crc`."""
    with extra("embeddings", "the CRCs of a TFRecord are checked with google-crc32c"):
        import google_crc32c  # noqa: PLC0415 - not before it is needed
    value: Callable[[bytes], int] = google_crc32c.value
    return value
