"""One run's journal comes in, its documents go out: also while it is written, in the file or in memory.

The delivery and the command line read through `JournalReader`. What is damaged is skipped and told.
"""

from __future__ import annotations

import os
import stat
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tilewright.errors import InputError
from tilewright.journal.columns import EVENT, gather
from tilewright.journal.encoding import decode
from tilewright.journal.names import parse
from tilewright.journal.pages import PAGE, page
from tilewright.journal.records import (
    FIXED,
    MAGIC,
    MAX_HEADER_BYTES,
    MAX_RECORD_BYTES,
    RECORD,
    VERSION,
    Damage,
    Header,
    seed_of,
)
from tilewright.journal.salvage import checksum_of, is_torn, search, stop_by_length, stop_of_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Self

    from tilewright.documents import Document
    from tilewright.journal.tail import Tail

_BLOCK = 1 << 20
"""Bytes read at a time by who wants everything."""
_PEEK = 16
"""Bytes; enough to see what begins there."""
_HEADLESS_BYTES = 16 << 20
"""How far a file without a readable header is searched for records."""
UNKNOWN = "unknown: the header is damaged"


@dataclass(slots=True)
class _Events:
    """Payloads of events that follow one another."""

    block: bytes
    starts: list[int] = field(default_factory=list)
    stops: list[int] = field(default_factory=list)
    end: int = 0
    """Offset in the journal at which the last one ends."""


@dataclass(slots=True)
class JournalReader:
    """Reads the documents of one journal, from the start, also while it is being written.

    Iteration ends at the last whole record; iterate again later for what has come since.

    Raises
    ------
    InputError
        If the file is not a journal, or one of a newer version, or has no readable header and no start document.
    OSError
        If it cannot be read at all.
    """

    path: Path
    tail: Tail | None = None
    """What of the journal is in memory, in the process that writes it."""
    header: Header = field(init=False)
    damage: list[Damage] = field(init=False, default_factory=list)
    """What had to be skipped so far."""
    position: int = field(init=False)
    """Offset of the first byte not yet read."""
    seed: int = field(init=False, default=0)
    """What the records' checksums go on from."""
    _fd: int = field(init=False, default=-1)
    _start: int = field(init=False, default=0)
    """Where the records begin."""
    _pending: bytes | None = field(init=False, default=None)
    """A payload from before `position`, to be given next."""
    _searched: tuple[int, int] = field(init=False, default=(0, 0))
    """Damage that nothing has followed yet: where it begins, and how far was searched."""
    _header_damage: list[Damage] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        try:
            self._open()
            self._read_header()
        except BaseException:
            self.close()
            raise
        self.rewind()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the file."""
        self.close()

    def __iter__(self) -> Iterator[Document]:
        """Yield the documents from `position` to the last whole record there is now."""
        while batch := self.read(_BLOCK):
            yield from batch

    def close(self) -> None:
        """Close the file. May be repeated."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def rewind(self) -> None:
        """Start again from the first record."""
        self.position = self._start
        self.damage = list(self._header_damage)
        self._pending = None

    def size(self) -> int:
        """Return the bytes in the journal now."""
        end = self.tail.end if self.tail is not None else 0
        return end or (os.fstat(self._fd).st_size if self._fd >= 0 else 0)

    def payloads(self, max_bytes: int) -> Iterator[bytes]:
        """Yield the payloads of the records in the next `max_bytes` (at least one record, if there is one)."""
        for block, start, stop in self._spans(max_bytes):
            yield block[start:stop]

    def _spans(self, max_bytes: int) -> Iterator[tuple[bytes, int, int]]:
        """Yield the same, as bytes and where in them each payload begins and ends: copies would cost more than all else."""
        yield from self._take_pending()
        start, offset = self.position, 0
        block = self._bytes(start, max_bytes)
        view = memoryview(block)
        while offset + RECORD.size <= len(block):
            length, checksum = RECORD.unpack_from(block, offset)
            stop = offset + RECORD.size + length
            if not 0 < length <= MAX_RECORD_BYTES:
                self._skip(start + offset)
                break
            if stop > len(block):
                if offset or start + stop > self.size():
                    break
                if stop_of_record(self._bytes, start, start + stop, self.seed) is None:
                    self._skip(start)  # its length may be damaged, and much to have in memory
                    break
                block = self._bytes(start, stop)
                view = memoryview(block)
            begin = offset + RECORD.size
            if zlib.crc32(view[begin:stop], self.seed) != checksum:
                self._skip(start + offset)
                break
            offset = stop
            self.position = start + offset
            yield block, begin, stop
        yield from self._take_pending()
        if self.position == start and self._look_again():
            yield from self._spans(max_bytes)

    def read(self, max_bytes: int = 4 << 20) -> list[Document]:
        """Return the documents in the next `max_bytes`; an empty list if nothing whole is left."""
        documents: list[Document] = []
        while not documents:
            before = self.position
            for payload in self.payloads(max_bytes):
                documents += self._decoded(payload, self.position)
            if self.position == before:
                break
        return documents

    def read_columns(self, max_bytes: int = 4 << 20) -> tuple[list[Document], int]:
        """Return the same, but events as event pages as far as they are alike; and how many documents it were.

        The events of a stream keep their order; those of different streams between two other documents may not.
        """
        documents: list[Document] = []
        count = 0
        while not documents:
            before = self.position
            events = _Events(b"")
            for block, start, stop in self._spans(max_bytes):
                count += 1
                is_event = block.startswith(EVENT, start)
                if events.starts and not (is_event and block is events.block):
                    documents += self._gathered(events)
                    events = _Events(block)
                if not is_event:
                    by = page if block.startswith(PAGE, start) else decode
                    documents += self._decoded(block[start:stop], self.position, by)
                    continue
                events.block = block
                events.starts.append(start)
                events.stops.append(stop)
                events.end = self.position
            documents += self._gathered(events)
            if self.position == before:
                break
        return documents, count

    def _gathered(self, events: _Events) -> list[Document]:
        try:
            return gather(events.block, events.starts, events.stops)
        except ValueError:
            documents: list[Document] = []
            for start, stop in zip(events.starts, events.stops, strict=True):
                documents += self._decoded(events.block[start:stop], events.end - events.stops[-1] + stop)
            return documents

    def _decoded(self, payload: bytes, stop: int, by: Callable[[bytes], Document] = decode) -> list[Document]:
        """Return the document of a record that ends at an offset; none, and the damage is noted, if it says nothing."""
        try:
            return [by(payload)]
        except ValueError as error:
            self.damage.append(Damage(stop - len(payload), stop, f"cannot be decoded: {error}"))
            return []

    def skip(self) -> int:
        """Move past all whole records there are now; return how many."""
        count, before = 0, -1
        while self.position != before:
            before = self.position
            count += sum(1 for _ in self.payloads(_BLOCK))
        return count

    def give_up_tail(self) -> bool:
        """Take what cannot be read for damage, as nothing more will be written; say whether more can be read."""
        start, end = self.position, self.size()
        if start >= end:
            return False
        self._skip(start, to=end)
        return self.position < end or self._pending is not None

    def rest(self, *, ended: bool = True) -> Iterator[bytes]:
        """Yield all payloads from here on; also those behind a torn record, if nothing more will be written."""
        more = True
        while more:
            before = -1
            while self.position != before:
                before = self.position
                yield from self.payloads(_BLOCK)
            more = ended and self.give_up_tail()

    def torn_bytes(self) -> int:
        """Read to the end; return how many bytes there are the beginning of one record that was never finished."""
        self.skip()
        while self._skip(self.position):
            self.skip()
        rest = self.size() - self.position
        if not is_torn(self._bytes(self.position, _PEEK), rest) or self._fits(self.position, self.size()):
            return 0
        return rest

    def _take_pending(self) -> Iterator[tuple[bytes, int, int]]:
        payload, self._pending = self._pending, None
        if payload is not None:
            yield payload, 0, len(payload)

    def _skip(self, start: int, to: int | None = None) -> bool:
        """Move to the next whole record, and note why; if there is none, to the offset `to`; say whether it moved.

        Without `to` the position stays then: what follows may still be a record under way.
        """
        end = self.size()
        stop = self._next_record(start, end)
        if stop is None:
            stop = to
        if stop is None or stop == start:
            return False
        reason = self._reason(start, end)
        if self._fits(start, stop):
            found = stop - start - RECORD.size
            self._pending = self._bytes(start + RECORD.size, found)
            self.damage.append(
                Damage(start, start + RECORD.size, f"{reason}; its checksum fits {found} bytes: read so")
            )
        else:
            self.damage.append(Damage(start, stop, reason))
        self.position = stop
        return True

    def _reason(self, start: int, end: int) -> str:
        """Say what is wrong with the record at an offset."""
        head = self._bytes(start, RECORD.size)
        if len(head) < RECORD.size:
            return f"a record is cut short: {len(head)} bytes of it are there"
        length, checksum = RECORD.unpack(head)
        start += RECORD.size
        if not 0 < length <= MAX_RECORD_BYTES:
            return f"a record's length is {length}, expected 1 to {MAX_RECORD_BYTES}"
        if start + length > end:
            return f"a record of {length} bytes is cut short: {end - start} of them are there"
        found = checksum_of(self._bytes, start, start + length, self.seed)
        return f"a record's checksum is {checksum:08x}, that of its {length} bytes is {found:08x}"

    def _next_record(self, start: int, end: int) -> int | None:
        """Return where the first whole record after a damaged one begins."""
        stop = stop_by_length(self._bytes, start, end, self.seed)
        if stop is not None:
            return stop if stop < end else None
        damaged, searched = self._searched
        begin = searched if damaged == start else start + 1
        result = search(self._bytes, begin, end, self.seed)
        self._searched = (start, result.searched_to)
        return result.found

    def _fits(self, start: int, stop: int) -> bool:
        """Say whether the bytes in between are a record, but for its length."""
        head = self._bytes(start, RECORD.size)
        if len(head) < RECORD.size or not 0 < stop - start - RECORD.size <= MAX_RECORD_BYTES:
            return False
        _, checksum = RECORD.unpack(head)
        return bool(checksum_of(self._bytes, start + RECORD.size, stop, self.seed) == checksum)

    def _bytes(self, offset: int, count: int) -> bytes:
        """Return up to so many bytes from an offset, out of the file and the memory."""
        start, memory = self.tail.read(offset, count) if self.tail is not None else (None, b"")
        in_file = count if start is None else min(count, start - offset)
        if in_file <= 0:
            return memory
        if self._fd < 0:
            self._open()
        data = os.pread(self._fd, in_file, offset) if self._fd >= 0 else b""
        return data + memory if len(data) == in_file else data

    def _open(self) -> None:
        """Open the file, unless all there is is in memory: then what has its name is not ours."""
        if self.tail is not None and self.tail.start == 0:
            return
        path = self.path if self.tail is None else self.tail.path
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe must not be waited for
        kind = os.fstat(fd).st_mode
        if not stat.S_ISREG(kind):
            os.close(fd)
            what = "a directory" if stat.S_ISDIR(kind) else "a pipe or a device"
            raise InputError(f"{path} is not a Tilewright journal: it is {what}, expected a file")
        self._fd = fd

    def _look_again(self) -> bool:
        """See why nothing can be read, and say whether to try again.

        Usually nothing whole has come. But the file may have been removed and written anew, or cut off.
        """
        if self._fd < 0:
            return False
        name = self.path if self.tail is None else self.tail.path
        try:
            there = name.stat()
        except OSError:  # put aside, or removed: its writer may write it anew
            return False
        if not os.path.samestat(there, os.fstat(self._fd)):
            return self._go_over_to(name)
        start, end = self.position, self.size()
        if start == end or self._bytes(start, 1):
            return False
        reason = "the file was cut off here by somebody while it was in use"
        if start > end:
            self.damage.append(Damage(end, start, reason))
            self.position = end
        else:  # to less than what lies before the memory
            begin = (self.tail.start if self.tail is not None else None) or end
            self.damage.append(Damage(start, begin, reason))
            self.position = begin
        return True

    def _go_over_to(self, path: Path) -> bool:
        """Read on in another file, if it is the same journal, written anew; say whether."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:  # gone again
            return False
        same = os.pread(fd, self._start, 0) == os.pread(self._fd, self._start, 0)
        goes_on = same and os.fstat(fd).st_size >= self.position
        if goes_on:
            fd, self._fd = self._fd, fd
        os.close(fd)
        return goes_on

    def _read_header(self) -> None:
        fixed = self._bytes(0, FIXED.size)
        if len(fixed) < FIXED.size or not fixed.startswith(MAGIC):
            begins = f"it begins with {fixed[: len(MAGIC)]!r}" if fixed else "it is empty"
            self._read_without_header(f"is not a Tilewright journal: {begins}, expected {MAGIC!r}")
            return
        _, version, length, checksum = FIXED.unpack(fixed)
        if version > VERSION:
            raise InputError(
                f"{self.path} is a journal of version {version}; this software reads up to version {VERSION}."
                " Read it with the newer Tilewright that wrote it."
            )
        payload = self._bytes(FIXED.size, min(length, MAX_HEADER_BYTES))
        stop = FIXED.size + length
        if len(payload) < length:
            self._read_without_header(
                f"has a damaged header: it ends at byte {stop}, the file at {self.size()}"
            )
        elif (found := zlib.crc32(payload)) != checksum:
            what = f"checksum {found:08x}, expected {checksum:08x}"
            self._read_without_header(f"has a damaged header: {what} of bytes {FIXED.size} to {stop}")
        else:
            self._use_header(payload)

    def _use_header(self, payload: bytes) -> None:
        try:
            self.header = Header.decode(payload)
        except InputError as error:
            self._read_without_header(f"has a header that cannot be understood: {error}")
            return
        self.seed, self._start = seed_of(self.header.run), FIXED.size + len(payload)

    def _read_without_header(self, reason: str) -> None:
        """Take from the file's name what the header does not say, if there are records of that run."""
        uid, place = parse(self.path.name)
        self.seed = seed_of(uid)
        start = search(self._bytes, 0, min(self.size(), _HEADLESS_BYTES), self.seed).found
        if start is None:
            raise InputError(f"{self.path} {reason}")
        self.header = Header(uid, place or None, self.path.stat().st_mtime, UNKNOWN)
        self._start = start
        self._header_damage = [Damage(0, start, f"the file {reason}")]


def is_journal(path: Path) -> bool:
    """Say whether a file begins as a journal."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC
