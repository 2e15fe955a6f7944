"""The folder that holds journals: names, where it lies, which wait for delivery, who delivers, what is kept.

    <directory>/<run uid>@<catalog>.twj             being recorded, or waiting for delivery
    <directory>/delivered/<run uid>@<catalog>.twj   delivered and verified; kept for a while
    <directory>/unverified/<run uid>@<catalog>.twj  delivered as far as it could be understood; kept

The writer asks it for a run's file, the delivery for the files that wait.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import platformdirs

from tilewright.errors import SetupError
from tilewright.journal.file import JournalWriter, try_lock

if TYPE_CHECKING:
    from tilewright.journal.file import Header

ENVIRONMENT_VARIABLE = "TILEWRIGHT_JOURNAL"
SUFFIX = ".twj"
KEEP_SECONDS = 7 * 24 * 3600
KEEP_BYTES = 1 << 30
_LONGEST_NAME = 200
"""Bytes of a file name; file systems allow 255."""


def default_directory() -> Path:
    """Return `TILEWRIGHT_JOURNAL`, else a folder in the platform's user state directory."""
    if configured := os.environ.get(ENVIRONMENT_VARIABLE):
        return Path(configured)
    return Path(platformdirs.user_state_path("tilewright")) / "journal"


def file_name(uid: str, catalog: str | None) -> str:
    """Return the file name of a run on its way to a catalog: one run may be on its way to several.

    >>> file_name("219cc7b4-f4e8-4edd-bcc0-c5f0ebf318a3", "http://127.0.0.1:8000/api/v1")
    '219cc7b4-f4e8-4edd-bcc0-c5f0ebf318a3@8e6ff74e.twj'
    >>> file_name("../etc", None)
    '%2E%2E%2Fetc.twj'
    """
    name = quote(uid, safe="", errors="backslashreplace").replace(".", "%2E") or "%"
    if len(name) > _LONGEST_NAME:
        name = name[:_LONGEST_NAME] + hashlib.sha256(name.encode()).hexdigest()[:16]
    place = "" if catalog is None else "@" + hashlib.sha256(catalog.encode()).hexdigest()[:8]
    return name + place + SUFFIX


@dataclass(frozen=True, slots=True)
class JournalDirectory:
    """A folder of journals, made with mode 0700 when it is not there.

    Raises
    ------
    SetupError
        If it cannot be made or written to.
    """

    path: Path

    def __post_init__(self) -> None:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.delivered, self.unverified):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise SetupError(
                f"cannot use {self.path} as the journal directory: {error.strerror}. Give another with"
                f" journal=… or the environment variable {ENVIRONMENT_VARIABLE}."
            ) from error

    @property
    def delivered(self) -> Path:
        """The folder of the delivered journals."""
        return self.path / "delivered"

    @property
    def unverified(self) -> Path:
        """The folder of journals with something in them that could not be read or understood."""
        return self.path / "unverified"

    def create(self, header: Header) -> JournalWriter:
        """Make the journal of a new run.

        Raises
        ------
        FileExistsError
            If the run has one already.
        """
        return JournalWriter(self.path / file_name(header.run, header.catalog), header)

    def find(self, uid: str, catalog: str | None) -> Path | None:
        """Return the file of a run, waiting or delivered; None if it has none."""
        for folder in (self.path, self.delivered, self.unverified):
            if (path := folder / file_name(uid, catalog)).exists():
                return path
        return None

    def reopen(self, path: Path) -> JournalWriter:
        """Open a run's existing journal to append to it; a delivered one waits again."""
        if path.parent != self.path:
            path = path.rename(self.path / path.name)
        return JournalWriter.reopen(path)

    def waiting(self) -> list[Path]:
        """Return the journals not yet delivered, oldest first."""
        return sorted(self.path.glob(f"*{SUFFIX}"), key=_modified)

    def is_recording(self, path: Path) -> bool:
        """Say whether some process has the journal open to write to it."""
        fd = os.open(path, os.O_RDONLY)
        try:
            return not try_lock(fd, fcntl.LOCK_SH)
        finally:
            os.close(fd)

    def claim(self, path: Path) -> Claim | None:
        """Take the right to deliver a journal; None if somebody else has it.

        The claim is a file beside the journal, locked by the claimant, that holds its process id.
        """
        claim = path.with_suffix(".claim")
        fd = os.open(claim, os.O_RDWR | os.O_CREAT, 0o600)
        if not (
            try_lock(fd, fcntl.LOCK_EX) and _is_still(claim, fd)
        ):  # or removed between our open and our lock
            os.close(fd)
            return None
        os.truncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        return Claim(claim, fd)

    def archive(self, path: Path, *, verified: bool = True) -> bool:
        """Put a delivered journal aside; False, and it stays, if somebody records into it again."""
        fd = os.open(path, os.O_RDONLY)
        try:
            if not try_lock(fd, fcntl.LOCK_EX):
                return False
            os.utime(path)  # kept from now on
            path.rename((self.delivered if verified else self.unverified) / path.name)
        finally:
            os.close(fd)
        self.prune()
        return True

    def prune(self, *, keep_seconds: float = KEEP_SECONDS, keep_bytes: int = KEEP_BYTES) -> list[Path]:
        """Remove delivered journals that are too old, and the oldest while all are too large; return them."""
        removed: list[Path] = []
        kept = sorted(self.delivered.glob(f"*{SUFFIX}"), key=_modified)
        sizes = {path: path.stat().st_size for path in kept if path.exists()}
        size = sum(sizes.values())
        for path, its_size in sizes.items():
            if _modified(path) > time.time() - keep_seconds and size <= keep_bytes:
                break
            path.unlink(missing_ok=True)
            size -= its_size
            removed.append(path)
        return removed


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to deliver one journal; nobody else gets it until it is released or this process ends."""

    path: Path
    _fd: int

    def release(self) -> None:
        """Give it back. Once only."""
        self.path.unlink(missing_ok=True)
        os.close(self._fd)


def _is_still(path: Path, fd: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(fd).st_ino
    except FileNotFoundError:
        return False


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process has put it aside
        return 0.0
