"""Encoded documents come in and are appended to one journal's file, or kept in memory while it takes none.

The acquisition thread appends; another thread calls `sync` every second. The thread that appends takes no lock and
waits for nobody while the file takes what it is given:

    in the file   append: write to the file        ── a write fails, or the file is gone ──▶   in memory
    in memory     append: under the tail's lock     ◀── sync has written back the last byte ──   in the file

Only `sync` writes to the file while `_in_memory` is set, and only `append` while it is not.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
import zlib
from typing import TYPE_CHECKING, Self

from tilewright.errors import InputError, SetupError
from tilewright.journal.disk import Disk
from tilewright.journal.file import JournalFile
from tilewright.journal.reader import JournalReader
from tilewright.journal.records import MAX_RECORD_BYTES, RECORD, seed_of
from tilewright.journal.tail import Budget, Tail

if TYPE_CHECKING:
    from pathlib import Path

    from tilewright.journal.records import Header

logger = logging.getLogger(__name__)

_SETTLE_POLL = 0.0001
"""Seconds."""
_ADVICE = {
    errno.ENOSPC: "Make room on the disk",
    errno.EDQUOT: "Make room: the quota is used up",
    errno.EROFS: "Make the file system writable",
    errno.EACCES: "Make the folder and its files writable",
    errno.EPERM: "Make the folder and its files writable",
    errno.EIO: "Look at the disk",
}
"""What to do about an error, for the ones that people meet."""


class JournalWriter:
    """Appends encoded documents to one journal, and holds a lock on it meanwhile.

    One thread at a time may append, while another one syncs.

    Parameters
    ----------
    path
        The file. A new one must not exist yet; see `reopen` for one that does.
    header
        Written first.
    budget
        How much may be kept in memory while the file cannot be written; the journals of a directory share one.
    disk
        The system calls to write with.

    Raises
    ------
    FileExistsError
        If there is such a file. Any other failure of the file system is not raised: see `trouble`.
    SetupError
        If not even the memory has room.
    """

    def __init__(
        self, path: Path, header: Header, *, budget: Budget | None = None, disk: Disk | None = None
    ) -> None:
        self._set_up(path, seed_of(header.run), budget or Budget(), disk or Disk())
        first = header.encode()
        try:
            self._file.make()
        except FileExistsError:
            raise
        except OSError as error:
            self._go_to_memory(error, 0)
        try:
            self._put(first)
        except SetupError:
            self.discard()
            raise

    @classmethod
    def reopen(cls, path: Path, *, budget: Budget | None = None, disk: Disk | None = None) -> Self:
        """Open an existing journal to append to it.

        A torn tail is cut off: the beginning of one record that was never finished, so nothing that had been
        acknowledged. Anything else that cannot be read stays where it is, and what is appended comes after it.

        Raises
        ------
        InputError
            If the file is not a journal of a version this software writes.
        SetupError
            If another process is writing to it.
        OSError
            If it cannot be read.
        """
        writer = cls.__new__(cls)
        writer._set_up(path, 0, budget or Budget(), disk or Disk())  # noqa: SLF001 - our own, under construction
        try:
            end, writer._seed, refused = writer._file.take_over()  # noqa: SLF001
        except BaseException:
            writer.discard()
            raise
        if refused is not None:
            writer._go_to_memory(refused, end)  # noqa: SLF001
        return writer

    @property
    def path(self) -> Path:
        """The file. It changes when the file is removed meanwhile, and another one has its name."""
        return self._file.path

    @property
    def tail(self) -> Tail | None:
        """What is only in memory because the file refused it; None otherwise. It is the same object every time."""
        refused = self._in_memory and self._refused is not None  # else it is there for the moment of a `sync`
        return self._tail if refused and self._tail.size else None

    @property
    def trouble(self) -> str | None:
        """Why documents are in memory, or may be lost with the machine, and what to do; None while all is well."""
        file = self._file
        error: OSError | None
        if self.tail is not None:
            error, state = self._refused, "cannot be written: what comes is kept in memory until it can"
        elif file.misplaced is not None:
            error, state = file.misplaced, "cannot be found under its name any more, nor written there again"
        elif file.doubt is not None:
            error, state = file.doubt, "may not outlast a failure of the machine: the disk did not confirm it"
        else:
            return None
        advice = _ADVICE.get((error and error.errno) or 0, "See to the folder")
        return f"{file.path} {state} ({_text(error)}). {advice}."

    def append(self, payload: bytes) -> None:
        """Hand one record to the kernel; once this returns it survives the death of the process.

        While the file takes nothing the record is kept in memory: see `tail` and `trouble`.

        Raises
        ------
        SetupError
            If the memory for this is used up. The record is lost, and counted in `lost`.
        InputError
            If the payload is empty, or larger than a record may be.
        OSError
            If the journal is closed.
        """
        size = len(payload)
        if not 0 < size <= MAX_RECORD_BYTES:
            raise InputError(f"a document of {size} bytes: a journal takes 1 to {MAX_RECORD_BYTES}")
        self._put(RECORD.pack(size, zlib.crc32(payload, self._seed)) + payload)

    def sync(self) -> None:
        """Write to the file what is in memory, as far as it goes, and wait until all of it is on the disk.

        Raises nothing for what the file system refuses: `trouble` has it afterwards. From any thread.
        """
        if self._is_of_parent():
            return
        with self._syncing:
            if self.closed:
                return
            self._see_to_file()
            self._write_back()
            self._file.put_on_disk()
            self._tell()
            if self._ended and not self._in_memory:
                self._shut()

    def reader(self) -> JournalReader:
        """Return a reader that has also what is in memory, now and later."""
        return JournalReader(self.path, self._tail)

    def close(self) -> None:
        """Append no more. The file is closed and its lock given up: now, or when `sync` has written all of it.

        May be repeated.
        """
        if self._is_of_parent():
            return
        with self._syncing:
            self._ended = True
            if self.tail is None:
                self._shut()

    def discard(self) -> None:
        """Close the file, and forget what is only in memory: the server has it, or the process ends.

        May be repeated.
        """
        if self._is_of_parent():
            return
        with self._syncing:
            self._ended = True
            self._shut()

    def _forget(self) -> None:
        """Discard it if nothing more will be appended: what is in memory has been delivered."""
        if self._ended:
            self.discard()

    def _is_of_parent(self) -> bool:
        """Say whether this is a copy in a forked process, and close it then: it must touch neither file nor locks."""
        if os.getpid() == self._process:
            return False
        self.closed = True
        return True

    def _set_up(self, path: Path, seed: int, budget: Budget, disk: Disk) -> None:
        self.lost = 0
        """Documents that neither the file nor the memory could take."""
        self.closed = False
        """Whether the file is closed, for good."""
        self._file = JournalFile(path, disk)
        self._write = disk.write
        self._seed = seed
        self._tail = Tail(path, budget, self._forget)
        self._process: int = os.getpid()
        self._in_memory = False
        """Set by the thread that appends or by `sync`, unset by `sync`; under the tail's lock."""
        self._writing = False
        """Whether the thread that appends is at the file just now."""
        self._refused: OSError | None = None
        """Why the file did not take what is in memory."""
        self._ended = False
        self._told: str | None = None
        """The trouble that was logged last."""
        self._told_back = False
        """Whether it was logged that the file takes again what it had refused."""
        self._syncing: threading.Lock = threading.Lock()
        """Held by one who syncs or closes."""

    # --- in the thread that appends -------------------------------------------------------------------------------

    def _put(self, data: bytes) -> None:
        self._writing = True  # `_divert` waits until it is not
        done = 0
        try:
            while not self._in_memory:
                written = self._write(self._file.fd, data[done:] if done else data)
                done += written
                if done == len(data):
                    return
                if written == 0:
                    raise _nothing_written()
        except OSError as error:
            if self.closed:
                raise
            done = self._file.cut(done)  # what cannot be cut the rest has to follow
            self._go_to_memory(error, self._file.position())
        finally:
            self._writing = False
        self._remember(data[done:])

    def _go_to_memory(self, error: OSError, start: int) -> None:
        with self._tail.lock:
            self._refused = error
            self._in_memory = True
            if self._tail.start is None:
                self._tail.begin(start)

    def _remember(self, data: bytes) -> None:
        with self._tail.lock:
            in_file_again, kept = not self._in_memory, False
            if not in_file_again:
                if self._tail.start is None:
                    self._tail.begin(self._file.position())
                kept = self._tail.append(data)
        if in_file_again:
            self._put(data)
        elif not kept:
            self.lost += 1
            raise SetupError(
                f"a document is lost: {self.path} cannot be written ({_text(self._refused)}), and there are"
                f" {self._tail.budget.limit >> 20} MiB of documents in memory already"
            )

    # --- in the thread that syncs ---------------------------------------------------------------------------------

    def _see_to_file(self) -> None:
        """See that the file is there, can be written, and has its name."""
        try:
            self._file.open_up()
        except OSError as error:
            self._refused = error
        if not self._file.is_in_place():
            self._file.write_anew(self._divert())
        self._tail.path = self._file.path

    def _divert(self) -> int:
        """Have what is appended from now on go to memory; return where the file ends."""
        with self._tail.lock:
            self._in_memory = True
        while self._writing:
            time.sleep(_SETTLE_POLL)
        with self._tail.lock:
            if self._tail.start is None:
                self._tail.begin(self._file.position())
            return self._tail.start or 0

    def _write_back(self) -> None:
        """Write what is in memory, a block at a time; whoever appends meanwhile is not held up."""
        if not self._in_memory or self._file.fd < 0 or not self._file.writable:
            return
        written = False
        while self._in_memory:
            with self._tail.lock:
                block, start = self._tail.first(), self._tail.start
            try:
                written = self._write_block(block, start) or written
            except OSError as error:
                self._refused = error
                return
            with self._tail.lock:
                if self._tail.first() is None:
                    self._tail.clear()
                    self._in_memory, self._refused = False, None
        if written and not self._told_back:
            self._told_back = True
            logger.warning("%s can be written; what was in memory is in it now", self.path)

    def _tell(self) -> None:
        """Log what whoever appends does not see; what goes to memory is for them to tell, at once."""
        trouble = self.trouble if self.tail is None else None
        if trouble != self._told and trouble is not None:
            logger.error("%s", trouble)
        self._told = trouble

    def _write_block(self, block: bytes | None, start: int | None) -> bool:
        """Write a block, if there is one, where it belongs; say whether there was one."""
        done = 0
        try:
            if start is not None:
                self._file.end_at(start)
            while block and done < len(block):
                written = self._write(self._file.fd, block[done:] if done else block)
                if written == 0:
                    raise _nothing_written()
                done += written
        finally:  # nothing is cut: others may have read of it what is whole
            with self._tail.lock:
                self._tail.drop(done)
        return done > 0

    def _shut(self) -> None:
        self.closed = True
        self._file.close()
        with self._tail.lock:
            self._tail.clear()
            self._in_memory = False


def _text(error: OSError | None) -> str:
    return "no reason given" if error is None else error.strerror or str(error)


def _nothing_written() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
