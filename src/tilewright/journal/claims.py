"""Who delivers a journal: a file beside it, locked by the one who does, that says who that is.

The claim's file is `<journal>.claim`. The lock is what counts, and it ends with its process; the text is for people,
and a claim stands without it when the disk is full or may not be written to.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tilewright.journal.disk import hold, is_at, let_go, try_lock
from tilewright.journal.names import CLAIM_SUFFIX, SUFFIX

_LONGEST_CLAIM = 4096
"""Bytes."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who delivers a journal. What is None could not be written down, or not be read."""

    pid: int | None = None
    """Process id, on its host."""
    host: str | None = None
    command: str | None = None
    """Name of the program; no arguments, for there may be a key in them."""
    since: float | None = None
    """Seconds since the epoch, UTC."""

    def __str__(self) -> str:
        """Return a phrase."""
        who = "another process" if self.pid is None else f"process {self.pid} on {self.host}"
        since = (
            ""
            if self.since is None
            else f" since {datetime.fromtimestamp(self.since, UTC):%Y-%m-%d %H:%M:%S} UTC"
        )
        return who + (f" ({self.command})" if self.command else "") + since


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to deliver one journal; nobody else gets it until it is released or this process ends."""

    path: Path
    _fd: int

    def release(self) -> None:
        """Give it back. Once only."""
        with suppress(OSError):  # a folder that is read-only by now: the file without its lock claims nothing
            self.path.unlink(missing_ok=True)
        let_go(self._fd)


def claim(journal: Path, seconds: float) -> Claim | None:
    """Take the right to deliver a journal.

    None if somebody else has it after so many seconds (others have it for an instant, to look whether anybody has),
    or if the folder takes no file to lock.

    Raises
    ------
    OSError
        If the file system has no locks.
    """
    path = journal.with_suffix(CLAIM_SUFFIX)
    while (fd := _open(path)) is not None:
        try:
            is_ours = try_lock(fd, fcntl.LOCK_EX, seconds)
        except OSError:
            os.close(fd)
            raise
        if not is_ours:
            os.close(fd)
            return None
        if is_at(path, fd):
            _sign(fd)
            return Claim(path, hold(fd))
        os.close(fd)  # removed by its holder between our opening and our locking it
    return None


def claimant(journal: Path) -> Claimant | None:
    """Return who delivers a journal; None if nobody does."""
    try:
        fd = os.open(journal.with_suffix(CLAIM_SUFFIX), os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError:  # somebody else's, and private
        return Claimant()
    try:
        if try_lock(fd, fcntl.LOCK_SH):
            return None
        return _read(os.read(fd, _LONGEST_CLAIM))
    finally:
        os.close(fd)


def remove_leftovers(folder: Path) -> None:
    """Remove claims of processes that are gone on journals that are gone too."""
    for path in folder.glob(f"*{CLAIM_SUFFIX}"):
        journal = path.with_suffix(SUFFIX)
        if not journal.exists() and (left := claim(journal, seconds=0)) is not None:
            left.release()


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:  # no room, or read-only: one that is there already can be locked all the same
        try:
            return os.open(path, os.O_RDONLY)
        except OSError:
            return None


def _sign(fd: int) -> None:
    me = Claimant(os.getpid(), socket.gethostname(), Path(sys.argv[0]).name if sys.argv else "", time.time())
    try:
        os.truncate(fd, 0)
        os.pwrite(fd, json.dumps(asdict(me)).encode(), 0)
    except OSError:  # a full disk, or read-only: nobody can read then who it is, but it is claimed
        return


def _read(text: bytes) -> Claimant:
    try:
        said: dict[str, Any] = json.loads(text)
        return Claimant(**{name: said.get(name) for name in Claimant.__slots__})
    except (ValueError, AttributeError):  # nothing, a part of it, or the writing of another version
        return Claimant()
