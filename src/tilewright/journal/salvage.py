"""Bytes of a journal in which no record begins come in, the place where the next one begins goes out.

The reader calls this when it meets damage; `read` gives up to so many bytes (second argument) from an offset (first).
A candidate is taken for a record by its checksum. The time a search takes grows with the bytes searched, whatever they
are: each of them brings an allowance of bytes to be checked.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tilewright.documents import DOCUMENT_NAMES
from tilewright.journal.records import MAX_RECORD_BYTES, RECORD

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = 1 << 20
"""Bytes looked at in one go."""
_PAIR = 0x92
"""First byte of every payload: MessagePack's array of two."""
_SHORT_TEXT = 0xA0
"""MessagePack's text of up to 31 bytes, plus their number."""
_PAYLOAD = re.compile(rb"\x92[\xa0-\xbf\xd9-\xdb]", re.DOTALL)
"""How every payload begins: a pair whose first is a text."""
_KNOWN = tuple(bytes((_PAIR, _SHORT_TEXT + len(name))) + name.encode() for name in DOCUMENT_NAMES)
"""How the payloads of documents begin that are no news to us."""
_BEGINNING = RECORD.size + max(map(len, _KNOWN))
"""Bytes by which a record is known for a likely one."""
_SHORT = 1 << 16
"""A candidate of up to so many bytes is tried by its checksum whatever it looks like."""
_ALLOWANCE = 16
"""Bytes to be checked for each byte searched; more is not spent on what looks like records everywhere."""
_HOPS = 8
"""How many damaged records in a row are passed over by their lengths."""
_LENGTH_BYTES = 4
"""Of the length in front of a record."""


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found."""

    found: int | None
    """Where the next whole record begins; None if there is none."""
    searched_to: int
    """Where to go on when there are more bytes: no record begins before."""


def search(read: Callable[[int, int], bytes], start: int, end: int, seed: int) -> Search:
    """Look for the first whole record with a good checksum that begins at `start` or later and ends by `end`."""
    searched_to = max(start, end - _BEGINNING)
    spent = 0
    for window in range(start, end, WINDOW):
        block = read(window, WINDOW + _BEGINNING)
        for match in _PAYLOAD.finditer(block, RECORD.size):
            at = match.start() - RECORD.size
            if at >= WINDOW:
                break
            length, _ = RECORD.unpack_from(block, at)
            stop = window + at + RECORD.size + length
            if not 0 < length <= MAX_RECORD_BYTES:
                continue
            known = block.startswith(_KNOWN, match.start())
            if stop > end:  # one that is being written now may look like this
                searched_to = min(searched_to, window + at) if known else searched_to
                continue
            likely = known or length <= _SHORT or stop == end or _begins_likely(read(stop, _BEGINNING))
            allowed = MAX_RECORD_BYTES + _ALLOWANCE * (window + at - start) - spent
            if not likely or length > allowed:
                continue
            if stop_of_record(read, window + at, end, seed) == stop:
                return Search(window + at, window + at)
            spent += length
    return Search(None, searched_to)


def stop_by_length(read: Callable[[int, int], bytes], offset: int, end: int, seed: int) -> int | None:
    """Return where a damaged record ends if its length can be trusted; None if not.

    It can, if by it and the lengths of what follows one comes to a whole record, or exactly to the end. Then nothing
    inside of the damaged one is taken for a record, whatever it carries.
    """
    first: int | None = None
    at = offset
    for _ in range(_HOPS):
        head = read(at, RECORD.size)
        if len(head) < RECORD.size:
            return None
        length, _ = RECORD.unpack(head)
        at += RECORD.size + length
        if not 0 < length <= MAX_RECORD_BYTES or at > end:
            return None
        first = first or at
        if at == end or stop_of_record(read, at, end, seed) is not None:
            return first
    return None


def stop_of_record(read: Callable[[int, int], bytes], offset: int, end: int, seed: int) -> int | None:
    """Return where the record at an offset ends; None if there is no whole record with a good checksum."""
    head = read(offset, RECORD.size)
    if len(head) < RECORD.size:
        return None
    length, checksum = RECORD.unpack(head)
    stop: int = offset + RECORD.size + length
    if not 0 < length <= MAX_RECORD_BYTES or stop > end:
        return None
    return stop if checksum_of(read, offset + RECORD.size, stop, seed) == checksum else None


def checksum_of(read: Callable[[int, int], bytes], start: int, stop: int, seed: int) -> int:
    """Return the checksum of a range of bytes, a piece at a time."""
    for offset in range(start, stop, WINDOW):
        seed = zlib.crc32(read(offset, min(WINDOW, stop - offset)), seed)
    return seed


def is_torn(rest: bytes, size: int) -> bool:
    """Say whether the last bytes of a file are the beginning of one record that was never finished.

    Parameters
    ----------
    rest
        The first of these bytes; a few are enough.
    size
        How many there are.
    """
    if size < RECORD.size:
        return size > 0 and (size < _LENGTH_BYTES or any(rest[:_LENGTH_BYTES]))
    length, _ = RECORD.unpack_from(rest)
    begins = rest[RECORD.size : RECORD.size + 1] in (b"", bytes((_PAIR,)))
    return begins and 0 < length <= MAX_RECORD_BYTES and RECORD.size + length > size


def _begins_likely(head: bytes) -> bool:
    """Say whether these bytes look like the beginning of a record."""
    if len(head) < RECORD.size:
        return False
    length, _ = RECORD.unpack_from(head)
    return 0 < length <= MAX_RECORD_BYTES and _PAYLOAD.match(head, RECORD.size) is not None
