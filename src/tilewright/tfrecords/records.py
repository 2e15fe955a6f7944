"""A TFRecord file, open: a place in it comes in, the record there goes out.

Called by `framing`, which goes from one to the next, by `searching` behind damage, and by `positions` and `fingerprints`, which hop
over the data.

    offset     0          8              12            12 + length
               length     masked CRC     data          masked CRC
               uint64     of these 8     length bytes  of the data       the next record follows
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Self, TypeAlias

from tilewright.tfrecords.crc import masked_crc

if TYPE_CHECKING:
    from types import TracebackType

HEADER_BYTES = 12
"""Of a record, before its data."""
FOOTER_BYTES = 4
"""Of a record, behind its data."""
LENGTH_BYTES = 8
_HEADER, _CRC = Struct("<QI"), Struct("<I")

PathLike: TypeAlias = "str | os.PathLike[str]"


@dataclass(frozen=True, slots=True)
class Frame:
    """A record both of whose CRCs are right."""

    offset: int
    """The byte of the file at which its header begins."""
    data: bytes
    stored_crc: int
    """Masked CRC-32C of the data."""


class OpenFile:
    """A TFRecord file, open for reading at any place; a context manager.

    Raises
    ------
    OSError
        If it cannot be opened, or read.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = path
        self._file = open(path, "rb", buffering=0)  # noqa: PTH123, SIM115 - closed by __exit__; a Path is slow to take apart
        status = os.fstat(self._file.fileno())
        self.size, self.mtime_ns = status.st_size, status.st_mtime_ns

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, place: int, count: int) -> bytes:
        """Return so many bytes from a place on; fewer at the end of the file."""
        return os.pread(self._file.fileno(), count, place)

    def read_into(self, room: memoryview, place: int) -> int:
        """Fill a room with the bytes from a place on; return how many there were."""
        filled = 0
        while filled < len(room) and (
            some := os.preadv(self._file.fileno(), [room[filled:]], place + filled)
        ):
            filled += some
        return filled

    def length_at(self, place: int) -> int | None:
        """Return the length that a header at a place gives; None if there is no header."""
        return length_of(self.read(place, HEADER_BYTES))

    def frame_at(self, place: int) -> Frame | str:
        """Return the record at a place, or a clause that says why there is none."""
        head = self.read(place, HEADER_BYTES)
        length = length_of(head)
        if length is None:
            return _no_header(head)
        rest = self.size - place - HEADER_BYTES - FOOTER_BYTES
        if length > rest:
            return f"the record is cut short: {length} bytes of data are promised, and the file ends {length - rest} bytes too early"
        data = self.read(place + HEADER_BYTES, length)
        footer = self.read(place + HEADER_BYTES + length, FOOTER_BYTES)
        if len(footer) < FOOTER_BYTES:
            return "the file has become shorter while it was read"
        (stored,) = _CRC.unpack(footer)
        if stored != masked_crc(data):
            return f"the CRC of the record's {length} bytes of data is wrong"
        return Frame(place, data, stored)


def end_of(place: int, length: int) -> int:
    """Return the byte behind a record, by its own byte and the length of its data."""
    return place + HEADER_BYTES + length + FOOTER_BYTES


def length_of(head: bytes) -> int | None:
    """Return the length that the first bytes of a record give; None if these are too few, or their CRC is wrong."""
    if len(head) < HEADER_BYTES:
        return None
    length, crc = _HEADER.unpack_from(head)
    return length if crc == masked_crc(head[:LENGTH_BYTES]) else None


def _no_header(head: bytes) -> str:
    if len(head) < HEADER_BYTES:
        return f"the file ends within a header: {len(head)} bytes of {HEADER_BYTES} are there"
    return "no record begins here: the CRC of its length is wrong"
