"""What journals ask of the file system beyond reading: the calls that write, locks, and moves that replace nothing.

Paths and open files come in; writers, claims and the directory call this.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tilewright.journal.names import alternatives

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOCK_SECONDS = 0.5
"""How long a writer waits for a lock that others hold for an instant only, to look whether anybody holds it."""
RETRY_SECONDS = 0.02
"""The same for those who will come again if they do not get it."""
_LOCK_POLL = 0.001
_SYNC: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)
"""macOS has only the latter."""


@dataclass(frozen=True, slots=True)
class Disk:
    """The system calls by which a writer changes files. A test puts failing ones in their place."""

    open: Callable[[Path, int, int], int] = os.open
    write: Callable[[int, bytes], int] = os.write
    truncate: Callable[[int, int], None] = os.ftruncate
    sync: Callable[[int], None] = _SYNC


def try_lock(fd: int, kind: int, seconds: float = 0.0) -> bool:
    """Take an advisory lock (`fcntl.LOCK_EX` or `LOCK_SH`), within some seconds; say whether it was to be had."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOCK_POLL)
        else:
            return True


def is_being_written(path: Path) -> bool:
    """Say whether some process has a journal open to write to it.

    Raises
    ------
    OSError
        If it cannot be opened, or not be locked.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return not try_lock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


_held: set[int] = set()
"""Open files of ours with locks that stand for this process being alive."""


def hold(fd: int) -> int:
    """Keep a locked file from processes forked from here: the lock has to end with this one. Return it."""
    _held.add(fd)
    return fd


def let_go(fd: int) -> None:
    """Close a file that was held. What a disk still has to say then was said when it was synced."""
    _held.discard(fd)
    with suppress(OSError):
        os.close(fd)


def _leave_to_parent() -> None:
    """In a forked process, put nothing in the place of the files its parent holds; writing there must do no harm."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in _held:
        os.dup2(nothing, fd, inheritable=False)
    os.close(nothing)
    _held.clear()


os.register_at_fork(after_in_child=_leave_to_parent)


def is_at(path: Path, fd: int) -> bool:
    """Say whether the open file is the one that has this name."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(fd))


def move(path: Path, wanted: Path) -> Path:
    """Give a file another name, or one beside that if it is taken; return which.

    Raises
    ------
    OSError
        If it cannot be moved; then it is where it was.
    """
    for target in alternatives(wanted):
        try:
            os.link(path, target, follow_symlinks=False)
        except FileExistsError:
            if not _is_same(path, target):
                continue
            path.unlink()  # somebody was stopped half-way through this
        except FileNotFoundError:
            raise
        except OSError:  # a file system that knows no second name for a file
            if os.path.lexists(target):
                continue
            path.rename(target)
        else:
            path.unlink()
        return target
    raise FileExistsError(errno.EEXIST, "too many files have names like this", str(wanted))


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other) and not path.is_symlink() and not other.is_symlink()
    except FileNotFoundError:
        return False
