"""Records of many events in, pages of columns out: the reader calls this for what the delivery takes.

A detector's events are maps of the same keys, with other numbers. To decode each of them to a dict, only to gather the
dicts into columns again, is most of the work of a delivery. Here the records are taken apart side by side instead: a
cursor for each stands at its first byte, and all of them move on together, key after key, as arrays. What is not as the
first event of its group leads to expect is left to the decoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import ormsgpack

from tilewright.journal.encoding import decode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

    from tilewright.documents import Document

EVENT = b"\x92\xa5event"
"""How the payload of an event begins: MessagePack of a pair whose first is this text."""
LEAST = 64
"""Of fewer events it is not worth while to make columns."""
MOST_GROUPS = 8
"""How many kinds of events (of several streams, mostly) are told apart."""
MOST_ODD = 0.02
"""If more of the events are of no group, all are left to the decoder."""
_WORD = 8
NUMBERS = ("seq_num", "time")
PARTS = ("data", "timestamps")
_NIL, _FALSE, _TRUE, FLOAT, _NEGATIVE = 0xC0, 0xC2, 0xC3, 0xCB, 0xE0
SMALL = 0x7F
"""MessagePack's markers up to this are the number itself; from `_NEGATIVE` on, it less 256."""
INTEGERS = {
    0xCC: "u1",
    0xCD: ">u2",
    0xCE: ">u4",
    0xD0: "i1",
    0xD1: ">i2",
    0xD2: ">i4",
    0xD3: ">i8",
}
"""numpy's type of what follows a marker; unsigned integers of 64 bits may not fit an int64, and are left out."""
SHORT_TEXT, TEXT = 0xA0, 0xD9

_Group: TypeAlias = "tuple[NDArray[np.int64], dict[str, Any]]"
"""Events of one stream: which of the records they are, and the page they make."""


def gather(block: bytes, starts: Sequence[int], stops: Sequence[int]) -> list[Document]:
    """Return what the payloads of several events say, as event pages as far as they are alike.

    The events of a stream keep their order; those of different streams may not.

    Parameters
    ----------
    block
        The payloads are in it.
    starts, stops
        Where each begins and ends.

    Raises
    ------
    ValueError
        If one of them cannot be decoded.
    """

    def decoded(row: int) -> Document:
        return decode(block[starts[row] : stops[row]])

    if len(starts) < LEAST:
        return [decoded(row) for row in range(len(starts))]
    begins, ends = np.array(starts, np.int64), np.array(stops, np.int64)
    buffer = block + bytes(2 * _WORD)  # so that a word can be read behind the last one
    groups: dict[str, _Group] = {}
    left = np.arange(len(starts))
    odd: list[NDArray[np.int64]] = []
    while len(left) and len(groups) < MOST_GROUPS and len(odd) <= MOST_ODD * len(starts):
        cursors = _Cursors(buffer, begins[left])
        page = _page(cursors, decoded(int(left[0]))[1])
        fits = cursors.sound & (cursors.at == ends[left])
        if page is None or fits.sum() < LEAST or not fits[0] or page["descriptor"] in groups:
            odd.append(left[:1])
            left = left[1:]
        else:
            groups[page["descriptor"]] = left[fits], _rows(page, np.flatnonzero(fits))
            left = left[~fits]
    strangers = np.sort(np.concatenate([left, *odd]))
    if len(strangers) > MOST_ODD * len(starts):
        return [decoded(row) for row in range(len(starts))]
    return _in_order(groups.values(), [(int(row), decoded(int(row))) for row in strangers])


class _Cursors:
    """A cursor for each of many records in one buffer, which moves on as if there were one only.

    Parameters
    ----------
    buffer
        The records, and two words more.
    at
        Where each begins.
    """

    def __init__(self, buffer: bytes, at: NDArray[np.int64]) -> None:
        self._buffer = buffer
        self._bytes = np.frombuffer(buffer, np.uint8)
        self._words = self._view("<u8")
        self._last = len(buffer) - _WORD - 2
        self.at = at
        self.sound = np.ones(len(at), dtype=bool)
        """Which records have been as expected so far. Where the cursors of the others are does not matter."""

    def expect(self, text: bytes) -> None:
        """Move on by these bytes."""
        for start in range(0, len(text), _WORD):
            part = text[start : start + _WORD]
            word = np.uint64(int.from_bytes(part, "little"))
            mask = np.uint64((1 << 8 * len(part)) - 1)
            self.sound &= (self._words[self.at] & mask) == word
            self._move(len(part))

    def skip_text(self) -> None:
        """Move on by any short text."""
        markers = self._bytes[self.at]
        is_short = (markers & 0xE0) == SHORT_TEXT
        self.sound &= is_short | (markers == TEXT)
        self._move(np.where(is_short, (markers & 0x1F) + 1, self._bytes[self.at + 1] + np.int64(2)))

    def numbers(self) -> NDArray[Any]:
        """Move on by a number each, a truth value or nothing; return them.

        As float64, int64 or bool if all are that, else as Python's own.
        """
        markers = self._bytes[self.at]
        kinds = np.where(markers <= SMALL, 0, np.where(markers >= _NEGATIVE, _NEGATIVE, markers))
        found = np.flatnonzero(np.bincount(kinds, minlength=256))
        if len(found) == 1:
            return self._of_kind(int(found[0]), slice(None))
        parts = [(rows := np.flatnonzero(kinds == kind), self._of_kind(int(kind), rows)) for kind in found]
        types = {values.dtype for _, values in parts}
        result: NDArray[Any] = np.empty(len(kinds), types.pop() if len(types) == 1 else object)
        for rows, values in parts:
            result[rows] = values if result.dtype != object else values.astype(object)
        return result

    def _of_kind(self, kind: int, rows: Any) -> NDArray[Any]:
        """Return the values after a marker, and move on by both."""
        at = self.at[rows]
        if kind == FLOAT:
            values: NDArray[Any] = self._view(">f8")[at + 1].astype(np.float64)
            self._move(1 + _WORD, rows)
        elif kind in INTEGERS:
            values = self._view(INTEGERS[kind])[at + 1].astype(np.int64)
            self._move(1 + np.dtype(INTEGERS[kind]).itemsize, rows)
        else:
            first = self._bytes[at]
            if kind in (0, _NEGATIVE):
                values = first.view(np.int8).astype(np.int64)
            elif kind in (_FALSE, _TRUE):
                values = first == _TRUE
            else:
                values = np.full(len(at), None)
                if kind != _NIL:
                    self.sound[rows] = False
            self._move(1, rows)
        return values

    def _view(self, dtype: str) -> NDArray[Any]:
        """Return the numbers of a type that begin at each byte of the buffer."""
        size = len(self._buffer) - _WORD
        return np.ndarray((size,), dtype, self._buffer, strides=(1,))

    def _move(self, by: Any, rows: Any = slice(None)) -> None:
        self.at[rows] += by
        np.minimum(self.at, self._last, out=self.at)  # what is not sound may point anywhere


def _page(cursors: _Cursors, first: Any) -> dict[str, Any] | None:
    """Take events apart as the first of them is built; None if it is built too oddly."""
    if not isinstance(first, dict) or first.get("filled") or not isinstance(first.get("descriptor"), str):
        return None
    page: dict[str, Any] = {"descriptor": first["descriptor"], "filled": {}}
    cursors.expect(EVENT + _map_header(len(first)))
    for field, value in first.items():
        cursors.expect(ormsgpack.packb(field))
        if field in PARTS and isinstance(value, dict):
            cursors.expect(_map_header(len(value)))
            page[field] = {}
            for key in value:
                cursors.expect(ormsgpack.packb(key))
                page[field][key] = cursors.numbers()
        elif field in NUMBERS:
            page[field] = cursors.numbers()
        elif field == "uid" and isinstance(value, str):
            cursors.skip_text()
        elif field in ("descriptor", "filled"):
            cursors.expect(ormsgpack.packb(value))
        else:
            return None
        if not cursors.sound[0]:
            return None
    return page if "seq_num" in page else None


def _map_header(size: int) -> bytes:
    return bytes((0x80 | size,)) if size < 16 else b"\xde" + size.to_bytes(2, "big")  # noqa: PLR2004 - MessagePack's


def _rows(page: dict[str, Any], rows: Any) -> dict[str, Any]:
    """Return some rows of a page."""
    return {
        field: (
            {key: column[rows] for key, column in values.items()}
            if field in PARTS
            else values[rows]
            if field in NUMBERS
            else values
        )
        for field, values in page.items()
    }


def _in_order(groups: Collection[_Group], odd: list[tuple[int, Document]]) -> list[Document]:
    """Return the pages, cut where an event that is in none of them comes in between."""
    documents: list[Document] = []
    start = 0
    for row, document in odd:
        documents += _between(groups, start, row)
        documents.append(document)
        start = row + 1
    documents += _between(groups, start, None)
    return documents


def _between(groups: Collection[_Group], start: int, stop: int | None) -> Iterator[Document]:
    """Yield the pages of the rows in a range of records."""
    for rows, page in groups:
        first = int(np.searchsorted(rows, start))
        last = len(rows) if stop is None else int(np.searchsorted(rows, stop))
        if last - first == len(rows):
            yield "event_page", page
        elif first < last:
            yield "event_page", _rows(page, slice(first, last))
