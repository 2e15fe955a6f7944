"""One run's journal on disk: an append-only file of checksummed records.

The acquisition thread appends through `JournalWriter`; the delivery and the command line read through
`JournalReader`. The format, all integers little-endian:

    header   8 bytes magic, u16 version, u32 length, u32 CRC-32, then `length` bytes of MessagePack (a map)
    record   u32 length, u32 CRC-32 of the payload, then the payload (see `encoding`)
    record   …

A record that ends past the end of the file is a *torn tail*: a write cut short by a crash, or one still
under way. A record whose checksum fails is *damage*: it is reported with its byte range and skipped.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ormsgpack

from tilewright.errors import InputError, SetupError
from tilewright.journal.encoding import decode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Self

    from tilewright.documents import Document

MAGIC = b"TILEWRJ\n"
_PAIR = b"\x92"
"""First byte of every payload: MessagePack's array of two."""
VERSION = 1
_HEADER = struct.Struct("<8sHII")
_RECORD = struct.Struct("<II")
MAX_RECORD_BYTES = 1 << 30
"""A length past this is taken for damage, not for a record."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a journal says of itself in front of its records."""

    run: str
    """uid of the run."""
    catalog: str | None
    """Where the run is to be delivered: a URI without its key, or a directory; None if anywhere."""
    created: float
    """Seconds since the epoch, UTC."""
    software: str
    """Name and version of what wrote it."""

    def encode(self) -> bytes:
        """Return the file's first bytes."""
        payload = ormsgpack.packb(
            {"run": self.run, "catalog": self.catalog, "created": self.created, "software": self.software}
        )
        return _HEADER.pack(MAGIC, VERSION, len(payload), zlib.crc32(payload)) + payload


@dataclass(frozen=True, slots=True)
class Damage:
    """A range of bytes, `start` to `stop`, that could not be read, and why."""

    start: int
    stop: int
    reason: str

    def __str__(self) -> str:
        """Return the sentence a user reads."""
        return f"bytes {self.start} to {self.stop}: {self.reason}"


class JournalWriter:
    """Appends encoded documents to one journal, and holds a lock on it meanwhile. Not for two threads at once.

    Parameters
    ----------
    path
        The file. A new one must not exist yet; see `reopen` for one that does.
    header
        Written first.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX)  # nobody else holds it but for an instant, to look
            _write_all(self._fd, header.encode())
        except BaseException:
            self.close()
            path.unlink()
            raise

    @classmethod
    def reopen(cls, path: Path) -> Self:
        """Open an existing journal to append to it, after cutting a torn tail.

        Raises
        ------
        InputError
            If the file is not a journal of a version this software writes.
        SetupError
            If another process is writing to it.
        """
        with JournalReader(path) as reader:
            writer = cls.__new__(cls)
            writer.path = path
            writer._fd = fd = os.open(path, os.O_WRONLY | os.O_APPEND)  # noqa: SLF001 - our own, under construction
            try:
                if not try_lock(fd, fcntl.LOCK_EX):  # before reading: from here on nobody appends
                    raise SetupError(f"{path} is being written by another process")  # noqa: TRY301 - closes first
                end, more = 0, True
                while more:
                    for _ in reader:
                        pass
                    end, more = reader.position, reader.give_up_tail()
                os.truncate(fd, end)
            except BaseException:
                writer.close()
                raise
        return writer

    def append(self, payload: bytes) -> None:
        """Hand one record to the kernel; once this returns it survives the death of the process."""
        _write_all(self._fd, _RECORD.pack(len(payload), zlib.crc32(payload)) + payload)

    def sync(self) -> None:
        """Wait until all that was appended is on the disk."""
        if self._fd >= 0:
            os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the file. May be repeated."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def try_lock(fd: int, kind: int) -> bool:
    """Take an advisory lock (`fcntl.LOCK_EX` or `LOCK_SH`) without waiting; say whether it was to be had."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_all(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):  # a full disk or a signal may cut a write short
        written += os.write(fd, data[written:])


@dataclass(slots=True)
class JournalReader:
    """Reads the documents of one journal, from the start, also while it is being written.

    Iteration ends at the last whole record; iterate again later for what has come since.

    Raises
    ------
    InputError
        If the file is not a journal, or one of a newer version.
    """

    path: Path
    header: Header = field(init=False)
    damage: list[Damage] = field(init=False, default_factory=list)
    """What had to be skipped so far."""
    position: int = field(init=False)
    """Offset of the first byte not yet read."""
    _fd: int = field(init=False, default=-1)
    _start: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._fd = os.open(self.path, os.O_RDONLY)
        try:
            self.header, self._start = self._read_header()
        except BaseException:
            self.close()
            raise
        self.position = self._start

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file. May be repeated."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def rewind(self) -> None:
        """Start again from the first record."""
        self.position = self._start
        self.damage.clear()

    def size(self) -> int:
        """Return the bytes in the file now."""
        return os.fstat(self._fd).st_size

    def __iter__(self) -> Iterator[Document]:
        """Yield the documents from `position` to the last whole record there is now."""
        while batch := self.read(1 << 20):
            yield from batch

    def payloads(self, max_bytes: int) -> Iterator[bytes]:
        """Yield the payloads of the records in the next `max_bytes` (at least one record, if there is one)."""
        start = self.position
        block = os.pread(self._fd, max_bytes, start)
        offset = 0
        while offset + _RECORD.size <= len(block):
            length, checksum = _RECORD.unpack_from(block, offset)
            stop = offset + _RECORD.size + length
            if stop > len(block):
                if offset == 0 and self._can_hold(start, length):
                    block = os.pread(self._fd, stop, start)
                    continue
                if offset == 0 and length > MAX_RECORD_BYTES:
                    self._skip_damage(start, "a record's length is out of bounds")
                return
            payload = block[offset + _RECORD.size : stop]
            if zlib.crc32(payload) != checksum:
                self._skip_damage(start + offset, "a record's checksum does not fit its content")
                return
            offset = stop
            self.position = start + offset
            yield payload

    def read(self, max_bytes: int = 4 << 20) -> list[Document]:
        """Return the documents in the next `max_bytes`; an empty list if nothing whole is left."""
        documents: list[Document] = []
        while not documents:
            before = self.position
            for payload in self.payloads(max_bytes):
                try:
                    documents.append(decode(payload))
                except ValueError as error:
                    stop = self.position
                    self.damage.append(Damage(stop - len(payload), stop, f"cannot be decoded: {error}"))
            if self.position == before:
                break
        return documents

    def give_up_tail(self) -> bool:
        """Take what cannot be read for damage, as nothing more will be written; say whether more can be read."""
        start, end = self.position, self.size()
        if start == end:
            return False
        self._skip_damage(start, "no whole record begins here")
        if self.position == start:
            self.damage.append(Damage(start, end, "the last record is cut short or damaged"))
            self.position = end
        return self.position < end

    def _can_hold(self, start: int, length: int) -> bool:
        return length <= MAX_RECORD_BYTES and start + _RECORD.size + length <= self.size()

    def _skip_damage(self, start: int, reason: str) -> None:
        """Move to the next offset at which a whole record with a good checksum begins.

        If there is none, what follows may still be a record under way: the position stays.
        """
        end = self.size()
        tail = os.pread(self._fd, end - start, start)
        offset = 0
        while (offset := tail.find(_PAIR, offset + _RECORD.size + 1) - _RECORD.size) > 0:
            length, checksum = _RECORD.unpack_from(tail, offset)
            stop = offset + _RECORD.size + length
            if (
                length > 0
                and stop <= len(tail)
                and zlib.crc32(tail[offset + _RECORD.size : stop]) == checksum
            ):
                self.damage.append(Damage(start, start + offset, reason))
                self.position = start + offset
                return

    def _read_header(self) -> tuple[Header, int]:
        fixed = os.pread(self._fd, _HEADER.size, 0)
        if len(fixed) < _HEADER.size or not fixed.startswith(MAGIC):
            raise InputError(f"{self.path} is not a Tilewright journal: it does not begin as one")
        _, version, length, checksum = _HEADER.unpack(fixed)
        if version > VERSION:
            raise InputError(
                f"{self.path} is a journal of version {version}; this software reads up to version {VERSION}."
                " Read it with the newer Tilewright that wrote it."
            )
        payload = os.pread(self._fd, length, _HEADER.size)
        if zlib.crc32(payload) != checksum:
            raise InputError(f"{self.path}: the header is damaged (its checksum does not fit)")
        fields: dict[str, Any] = ormsgpack.unpackb(payload)
        return Header(**fields), _HEADER.size + length


def is_journal(path: Path) -> bool:
    """Say whether a file begins as a journal."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC
