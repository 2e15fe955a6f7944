"""Event pages out of the journal, with their lists of numbers as arrays; called by the reader for the delivery.

A page is columns already, but to the decoder it is lists of Python's numbers, each of which has to be made, looked at and
made into an array again. Here a list of floats is taken as it stands in the record: one marker and eight bytes for each.
What is built otherwise is left to the decoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.journal.columns import FLOAT, INTEGERS, NUMBERS, PARTS, SHORT_TEXT, SMALL, TEXT
from tilewright.journal.encoding import decode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tilewright.documents import Document

PAGE = b"\x92\xaaevent_page"
"""How the payload of an event page begins: MessagePack of a pair whose first is this text."""


class _OddError(Exception):
    """A page that is built in a way that is left to the decoder."""


def page(payload: bytes) -> Document:
    """Return the page of a payload; without the `uid` of its events, if it is built as usual.

    Raises
    ------
    ValueError
        If it cannot be decoded.
    """
    try:
        return "event_page", _Walk(payload).page()
    except (_OddError, IndexError):
        return decode(payload)


class _Walk:
    """A way through a payload, from its first byte to its last."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._at = len(PAGE)

    def page(self) -> dict[str, Any]:
        """Return the page's fields."""
        found: dict[str, Any] = {}
        for _ in range(self._size(0x80, 0xDE)):
            field = self._text()
            if field in PARTS:
                found[field] = {self._text(): self._column() for _ in range(self._size(0x80, 0xDE))}
            elif field in NUMBERS:
                found[field] = self._column()
            elif field == "uid":
                self._skip_texts()
            elif field == "descriptor":
                found[field] = self._text()
            elif field == "filled" and self._size(0x80, 0xDE) == 0:
                found[field] = {}
            else:
                raise _OddError
        if self._at != len(self._payload) or "seq_num" not in found:
            raise _OddError
        return found

    def _take(self, count: int) -> bytes:
        start, self._at = self._at, self._at + count
        if self._at > len(self._payload):
            raise _OddError
        return self._payload[start : self._at]

    def _size(self, few: int, many: int) -> int:
        """Return how many a map or a list has: in its marker, or in two or four bytes behind that."""
        marker = self._take(1)[0]
        if few <= marker <= few | 0x0F:
            return marker & 0x0F
        if marker in (many, many + 1):
            return int.from_bytes(self._take(2 if marker == many else 4), "big")
        raise _OddError

    def _text(self) -> str:
        marker = self._take(1)[0]
        if marker & 0xE0 == SHORT_TEXT:
            size = marker & 0x1F
        elif marker == TEXT:
            size = self._take(1)[0]
        else:
            raise _OddError
        try:
            return self._take(size).decode()
        except UnicodeDecodeError:
            raise _OddError from None

    def _skip_texts(self) -> None:
        """Move past a list of short texts."""
        for _ in range(self._size(0x90, 0xDC)):
            marker = self._payload[self._at]
            if marker & 0xE0 == SHORT_TEXT:
                self._at += 1 + (marker & 0x1F)
            elif marker == TEXT:
                self._at += 2 + self._payload[self._at + 1]
            else:
                raise _OddError

    def _column(self) -> NDArray[Any]:
        """Return a list of floats, or one of integers."""
        size = self._size(0x90, 0xDC)
        if size and self._payload[self._at] == FLOAT:
            values, count = self._run(">f8", size)
            if count < size:
                raise _OddError
            return values.astype(np.float64)
        parts = []
        while size:
            values, count = self._integers(size)
            parts.append(values.astype(np.int64))
            size -= count
        if not parts:
            raise _OddError
        return np.concatenate(parts)

    def _integers(self, size: int) -> tuple[NDArray[Any], int]:
        """Return the integers that follow in the same way of writing, and how many these are."""
        marker = self._payload[self._at]
        if marker in INTEGERS:
            return self._run(INTEGERS[marker], size)
        ahead = np.frombuffer(self._payload, np.int8, min(size, len(self._payload) - self._at), self._at)
        is_small = (ahead >= -32) & (ahead <= SMALL)  # noqa: PLR2004 - MessagePack's least in one byte
        count = _leading(is_small)
        if not count:
            raise _OddError
        self._at += count
        return ahead[:count], count

    def _run(self, dtype: str, size: int) -> tuple[NDArray[Any], int]:
        """Return the numbers that follow with the marker that is next, and how many these are; move past them."""
        pair = np.dtype([("marker", "u1"), ("value", dtype)])
        most = min(size, (len(self._payload) - self._at) // pair.itemsize)
        ahead = np.frombuffer(self._payload, pair, most, self._at)
        count = _leading(ahead["marker"] == self._payload[self._at])
        if not count:
            raise _OddError
        self._at += count * pair.itemsize
        return ahead["value"][:count], count


def _leading(fits: NDArray[np.bool_]) -> int:
    """Return how many are true before the first that is not."""
    return len(fits) if fits.all() else int(fits.argmin())
