"""The file of one journal, open to be appended to: made or taken over, locked, and put right when others touch it.

A `JournalWriter` holds one and sees to it that one thread at a time is at it.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tilewright.errors import SetupError
from tilewright.journal.disk import LOCK_SECONDS, hold, is_at, let_go, move, try_lock
from tilewright.journal.names import alternatives
from tilewright.journal.reader import JournalReader

if TYPE_CHECKING:
    from pathlib import Path

    from tilewright.journal.disk import Disk

logger = logging.getLogger(__name__)

_EXISTING = os.O_RDWR | os.O_APPEND | os.O_NONBLOCK
_NEW = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL
_COPY_BYTES = 1 << 20
_ANEW_SECONDS = 10.0
"""Between two attempts to write a journal again that was removed; each copies all of it."""


class JournalFile:
    """The open file of a journal. While there is none, `fd` is -1.

    Parameters
    ----------
    path
        Where it is, or will be.
    disk
        The system calls to change it with.
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self.fd = -1
        self.writable = True
        """Whether the open file can be written to."""
        self.misplaced: OSError | None = None
        """Why it has not the name it should have."""
        self.doubt: OSError | None = None
        """Why the disk may not have what it was given. The kernel says so once and then forgets, so this stays."""
        self._disk = disk
        self._made_here = False
        """Whether it was not there before."""
        self._in_list = False
        """Whether the folder's list of files, with this one in it, is on the disk."""
        self._anew_at = 0.0
        """When to try again to write it under its name, on the monotonic clock."""

    def make(self) -> None:
        """Make the file, and its folder if that is not there.

        Raises
        ------
        FileExistsError
            If there is one.
        OSError
            If it cannot be made.
        """
        try:
            self.fd = self._made(self.path)
        except FileNotFoundError:
            self._make_folder()
            self.fd = self._made(self.path)

    def take_over(self) -> tuple[int, int, OSError | None]:
        """Open the file there is; return the offset its records end at, their seed, and why it cannot be written.

        A torn tail is cut off. If the file can only be read that is left for `truncate`.

        Raises
        ------
        InputError
            If it is not a journal of a version this software writes.
        SetupError
            If another process is writing to it.
        OSError
            If it cannot be read.
        """
        refused = None
        try:
            fd = self._disk.open(self.path, _EXISTING, 0)
        except OSError as error:
            fd, refused = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK), error
        self.fd, self.writable = hold(fd), refused is None
        if not _lock(self.path, fd):
            raise SetupError(f"{self.path} is being written by another process")
        if not is_at(self.path, fd):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))
        with JournalReader(self.path) as reader:  # from here on nobody else appends
            torn = reader.torn_bytes()
            size, seed = reader.size(), reader.seed
        end = size - torn
        if torn and refused is None:
            logger.warning("%s: bytes %d to %d are cut off, a document never finished", self.path, end, size)
            try:
                self._disk.truncate(fd, end)
            except OSError as error:
                refused = error
        os.lseek(fd, end, os.SEEK_SET)
        return end, seed, refused

    def position(self) -> int:
        """Return where our last write ended: the kernel knows without asking a disk."""
        return os.lseek(self.fd, 0, os.SEEK_CUR)

    def cut(self, size: int) -> int:
        """Cut off so many bytes, written last; return how many are still there."""
        if size == 0:
            return 0
        try:
            end = self.position() - size
            self._disk.truncate(self.fd, end)
            os.lseek(self.fd, end, os.SEEK_SET)
        except OSError:
            return size
        return 0

    def end_at(self, offset: int) -> None:
        """Make the file end where we think it does: cut what a write left that failed, fill what somebody has cut.

        Raises
        ------
        OSError
            If that fails.
        """
        if os.fstat(self.fd).st_size != offset:
            self._disk.truncate(self.fd, offset)
        os.lseek(self.fd, offset, os.SEEK_SET)

    def open_up(self) -> None:
        """See that there is a file, and that it can be written to.

        Raises
        ------
        OSError
            If not.
        """
        if self.fd < 0:
            self.fd = self._made_somewhere()
        elif not self.writable:
            self._make_writable()

    def is_in_place(self) -> bool:
        """Say whether the file has its name, or it is too early to try again to give it one; see `misplaced`."""
        if self.fd < 0 or time.monotonic() < self._anew_at:
            return True
        try:
            if not is_at(self.path, self.fd):
                return False
        except OSError as error:
            self.misplaced = error
        else:
            self.misplaced = None
        return True

    def write_anew(self, size: int) -> None:
        """Write the first `size` bytes again under our name, for the file was removed or moved; go on there.

        Others see it when it is complete. If that fails see `misplaced`; the file we have stays open.
        """
        draft = self.path.with_suffix(".draft")
        try:
            draft.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = self._disk.open(draft, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                self._copy_to(fd, size)
                _lock(draft, fd)
                self.path = move(draft, self.path)
            except BaseException:
                os.close(fd)
                draft.unlink(missing_ok=True)
                raise
        except OSError as error:
            self.misplaced = error
            self._anew_at = time.monotonic() + _ANEW_SECONDS
            return
        let_go(self.fd)
        self.fd, self.writable, self._in_list, self.misplaced = hold(fd), True, False, None
        logger.warning(
            "A journal was removed or moved while it was recorded; it is written again as %s", self.path
        )

    def put_on_disk(self) -> None:
        """Wait until the disk has all of it; see `doubt`."""
        if self.fd < 0:
            return
        try:
            self._disk.sync(self.fd)
            if not self._in_list:
                self._sync_folder()
                self._in_list = True
        except OSError as error:
            self.doubt = error

    def close(self) -> None:
        """Close it, and give up its lock; remove it if not even a header came into it. May be repeated."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            with suppress(OSError):  # a folder that is read-only by now: an empty file does no harm
                if self._made_here and os.fstat(fd).st_size == 0 and is_at(self.path, fd):
                    self.path.unlink(missing_ok=True)
            let_go(fd)

    def _made(self, path: Path) -> int:
        fd = self._disk.open(path, _NEW, 0o600)
        if not _lock(path, fd):
            os.close(fd)
            path.unlink()  # empty, and ours
            raise BlockingIOError(errno.EAGAIN, "another process has locked it")
        self._made_here = True
        return hold(fd)

    def _make_folder(self) -> None:
        folder = self.path.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError as error:  # a link to nothing, say: the journal itself is not there
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error

    def _made_somewhere(self) -> int:
        """Make it where the folder may have to be made first, and another file may have its name by now."""
        self._make_folder()
        for path in alternatives(self.path):
            try:
                fd = self._made(path)
            except FileExistsError:
                continue
            self.path = path
            return fd
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def _make_writable(self) -> None:
        """Exchange the open file that could only be read for the same one, to be written."""
        fd = self._disk.open(self.path, _EXISTING, 0)
        fcntl.flock(self.fd, fcntl.LOCK_UN)
        if not (_lock(self.path, fd) and is_at(self.path, fd)):
            os.close(fd)
            raise BlockingIOError(errno.EAGAIN, "another process has taken it")
        let_go(self.fd)
        self.fd, self.writable = hold(fd), True

    def _copy_to(self, fd: int, size: int) -> None:
        done = 0
        while done < size:
            block = os.pread(self.fd, min(_COPY_BYTES, size - done), done)
            if not block:
                raise OSError(errno.EIO, "it was also cut short")
            done += self._disk.write(fd, block)

    def _sync_folder(self) -> None:
        fd = os.open(self.path.parent, os.O_RDONLY)
        try:
            self._disk.sync(fd)
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file system that needs no such thing
                raise
        finally:
            os.close(fd)


def _lock(path: Path, fd: int) -> bool:
    """Lock a file; False if somebody else has it."""
    try:
        return try_lock(fd, fcntl.LOCK_EX, LOCK_SECONDS)
    except OSError as error:  # a file system without locks
        logger.warning("%s cannot be locked (%s): see that only one process writes it", path, error)
        return True
