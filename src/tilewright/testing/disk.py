"""A disk that fills up, fails and forgets: tests give it to a journal and say when.

    faulty = FaultyDisk()
    directory = JournalDirectory(path, disk=faulty.disk)
    faulty.room = 100    # bytes; then "No space left on device"

Files and locks are real; only the calls that change files go through here.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from tilewright.journal import Disk

if TYPE_CHECKING:
    from pathlib import Path


class FaultyDisk:
    """Real files, written through system calls that fail on request."""

    def __init__(self) -> None:
        self.room: int | None = None
        """Bytes that still fit; None: any number."""
        self.refuses: int | None = None
        """The error that opening and writing fail with; None: they do not."""
        self.cuts = True
        """Whether a file can be made shorter."""
        self.sync_error: int | None = None
        """The error that the next sync fails with, once."""
        self.disk = Disk(self._open, self._write, self._truncate, self._sync)
        """What a `JournalDirectory` or `JournalWriter` is given."""
        self._synced: dict[int, int] = {}
        """Bytes that are on the disk, by inode."""

    def synced(self, path: Path) -> int:
        """Return how many bytes of a file a power failure leaves for sure."""
        return self._synced.get(path.stat().st_ino, 0)

    def _open(self, path: Path, flags: int, mode: int) -> int:
        self._refuse()
        return os.open(path, flags, mode)

    def _write(self, fd: int, data: bytes) -> int:
        self._refuse()
        room = self.room
        if room is None:
            return os.write(fd, data)
        if room == 0:
            raise _error(errno.ENOSPC)
        written = os.write(fd, data[:room])
        self.room = room - written
        return written

    def _truncate(self, fd: int, size: int) -> None:
        if not self.cuts:
            raise _error(errno.EIO)
        os.ftruncate(fd, size)

    def _sync(self, fd: int) -> None:
        if self.sync_error is not None:
            number, self.sync_error = self.sync_error, None
            raise _error(number)
        info = os.fstat(fd)
        self._synced[info.st_ino] = info.st_size

    def _refuse(self) -> None:
        if self.refuses is not None:
            raise _error(self.refuses)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
