"""What a TFRecord file contains, told by the CRCs that are stored in it: a path comes in, a fingerprint goes out.

Called by `sources.embeddings`, to recognise a file that is offered again under another name.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from tilewright.tfrecords.records import (
    FOOTER_BYTES,
    HEADER_BYTES,
    LENGTH_BYTES,
    OpenFile,
    end_of,
    length_of,
)

if TYPE_CHECKING:
    from tilewright.tfrecords.records import PathLike

_DIGEST_BYTES = 16
_TAIL_BYTES = 1 << 20
"""Read at once of what is behind the last record."""
_COUNT_BYTES = 8


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a file contains, in short."""

    digest: str
    """32 hexadecimal digits that two files share if they contain the same."""
    records: int
    """Records up to the first place at which no whole one begins."""


def fingerprint(path: PathLike) -> Fingerprint:
    """Return the fingerprint of a file, which two files share if they contain the same.

    It is made of the length and the stored CRC of the data of each record, in their order, and of all bytes from the first one
    on at which no whole record begins: where the CRC of a length is wrong, or the file ends too early. The data are not read: 16
    bytes a record are.

    So it cannot tell files whose data differ though the CRCs stored with them are the same: of two copies of which one was damaged
    within the data of a record afterwards, and of data made to have the same CRC-32C. That a record has other data by accident, and the same
    CRC and length, has a chance of 1 in 2**32 a record. Every other difference is told: records in another order, one more or less,
    a damaged length or CRC, a truncated end.

    Raises
    ------
    OSError
        If the file cannot be opened, or read.
    SetupError
        If the package google-crc32c is not installed.
    """
    contents = blake2b(digest_size=_DIGEST_BYTES)
    with OpenFile(path) as file:
        place, records = 0, 0
        head = file.read(0, HEADER_BYTES)
        while (length := length_of(head)) is not None and end_of(place, length) <= file.size:
            behind = file.read(place + HEADER_BYTES + length, FOOTER_BYTES + HEADER_BYTES)
            contents.update(head[:LENGTH_BYTES] + behind[:FOOTER_BYTES])
            head, place, records = behind[FOOTER_BYTES:], end_of(place, length), records + 1
        while some := file.read(place, _TAIL_BYTES):
            contents.update(some)
            place += len(some)
    # At the end: it tells bytes of records from those behind them.
    contents.update(records.to_bytes(_COUNT_BYTES, "little"))
    return Fingerprint(contents.hexdigest(), records)
