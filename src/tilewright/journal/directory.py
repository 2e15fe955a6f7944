"""The folder that holds journals: where it lies, which wait for delivery, who delivers, what is kept.

    <directory>/<run uid>@<catalog>.twj             being recorded, or waiting for delivery
    <directory>/delivered/<run uid>@<catalog>.twj   delivered and verified; kept for a while
    <directory>/unverified/<run uid>@<catalog>.twj  delivered as far as it could be understood; kept

The writer asks it for a run's file, the delivery for the files that wait. Names are the business of `names`.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from tilewright.errors import SetupError
from tilewright.journal import claims
from tilewright.journal.disk import RETRY_SECONDS, Disk, is_being_written, move, try_lock
from tilewright.journal.listing import Entry, Twin, compare, journals_in, read_header
from tilewright.journal.names import alternatives, file_name, names_like
from tilewright.journal.reader import JournalReader
from tilewright.journal.records import Header
from tilewright.journal.tail import Budget, Tail
from tilewright.journal.writer import JournalWriter

if TYPE_CHECKING:
    from tilewright.journal.claims import Claim, Claimant
    from tilewright.journal.listing import State

logger = logging.getLogger(__name__)

ENVIRONMENT_VARIABLE = "TILEWRIGHT_JOURNAL"
KEEP_SECONDS = 7 * 24 * 3600
KEEP_BYTES = 1 << 30


def default_directory(data: Path | None = None) -> Path:
    """Return where journals lie that nobody gave a place.

    Beside the `data` of an embedded server; without such, in `TILEWRIGHT_JOURNAL`, else in the platform's user state
    directory.
    """
    if data is not None:
        return data / "journal"
    if configured := os.environ.get(ENVIRONMENT_VARIABLE):
        return Path(configured)
    return Path(platformdirs.user_state_path("tilewright")) / "journal"


@dataclass(frozen=True, slots=True)
class JournalDirectory:
    """A folder of journals, made with mode 0700 when it is not there.

    A folder that cannot be made or written to is no reason to raise: journals are kept in memory then.
    """

    path: Path
    budget: Budget = field(default_factory=Budget, compare=False, repr=False)
    """How much its journals may keep in memory, all together."""
    disk: Disk = field(default_factory=Disk, compare=False, repr=False)
    """The system calls its journals are written with."""

    def __post_init__(self) -> None:
        self._make()

    @property
    def problem(self) -> str | None:
        """Why no journal can be written here, as far as it can be told without trying; None if one can."""
        error = self._make()
        if error is None and not os.access(self.path, os.W_OK | os.X_OK):
            read_only = os.statvfs(self.path).f_flag & os.ST_RDONLY
            number = errno.EROFS if read_only else errno.EACCES
            error = OSError(number, os.strerror(number))
        if error is None:
            return None
        return (
            f"cannot use {self.path} as the journal directory: {error.strerror or error}. Give another with"
            f" journal=… or the environment variable {ENVIRONMENT_VARIABLE}."
        )

    @property
    def delivered(self) -> Path:
        """The folder of the delivered journals."""
        return self.path / "delivered"

    @property
    def unverified(self) -> Path:
        """The folder of journals with something in them that could not be read or understood."""
        return self.path / "unverified"

    def create(self, header: Header) -> JournalWriter:
        """Make the journal of a new run; beside a file that has its name but is no readable journal of the run.

        Raises
        ------
        FileExistsError
            If the run has one already.
        SetupError
            If the folder cannot be written to, and the memory is full.
        """
        for path in alternatives(self.path / file_name(header.run, header.catalog)):
            try:
                return JournalWriter(path, header, budget=self.budget, disk=self.disk)
            except FileExistsError:
                if _is_of(path, header):
                    raise
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))

    def find(self, uid: str, catalog: str | None) -> Path | None:
        """Return the file of a run, waiting or delivered; None if it has none that can be read."""
        wanted = Header(uid, catalog, 0.0, "")
        names = names_like(file_name(uid, catalog))
        for folder in (self.path, self.delivered, self.unverified):
            for path in [f"{folder}/{name}" for name in names]:
                if os.path.lexists(path) and _is_of(Path(path), wanted):  # a new run waits for this
                    return Path(path)
        return None

    def reopen(self, path: Path) -> JournalWriter:
        """Open a run's existing journal to append to it; a delivered one waits again.

        Raises
        ------
        InputError, SetupError, OSError
            As `JournalWriter.reopen`.
        """
        for folder in (path.parent, self.path, self.delivered, self.unverified):
            try:
                return self._reopen(folder / path.name)
            except FileNotFoundError:
                continue  # a deliverer puts it aside, or another writer takes it back, at this moment
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    def waiting(self) -> list[Path]:
        """Return the journals not yet delivered, oldest first; also what is named as one and cannot be read."""
        return sorted(journals_in(self.path), key=_modified)

    def is_recording(self, path: Path) -> bool:
        """Say whether some process has the journal open to write to it.

        Raises
        ------
        OSError
            If it cannot be opened, or not be locked.
        """
        return is_being_written(path)

    def claim(self, path: Path) -> Claim | None:
        """Take the right to deliver a journal.

        None if somebody else has it (see `claimant`), or if the folder takes no file that could be locked.
        """
        return claims.claim(path, RETRY_SECONDS)

    def claimant(self, path: Path) -> Claimant | None:
        """Return who delivers a journal; None if nobody does."""
        return claims.claimant(path)

    def archive(
        self, path: Path, *, verified: bool = True, tail: Tail | None = None, size: int | None = None
    ) -> bool:
        """Put a delivered journal aside; False, and it stays, if somebody records into it again, or has.

        Parameters
        ----------
        path
            The journal.
        verified
            Whether all of it could be read and understood.
        tail
            The tail of the reader that it was delivered with: all that is in this memory has been delivered. It is
            forgotten, unless more comes, and what there is of the file is put aside, if there is one.
        size
            Bytes of the file before the last look for what to deliver; None if nobody can have added to it since.

        Raises
        ------
        SetupError
            If the folder does not let it be moved; it stays.
        FileNotFoundError
            If it is gone.
        """
        if tail is not None:
            tail.forget()
            if not path.exists():
                return True
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        folder = self.delivered if verified else self.unverified
        try:
            # Shared with those who look whether it is being recorded: to them it is not, while it is put aside.
            if not try_lock(fd, fcntl.LOCK_SH):
                return False
            if size is not None and os.fstat(fd).st_size != size:
                return False
            self._make()
            os.utime(fd)  # kept from now on
            move(path, folder / path.name)
        except OSError as error:
            raise SetupError(
                f"{path} is delivered and cannot be put aside to {folder}: {error.strerror or error}"
            ) from error
        finally:
            os.close(fd)
        self.prune()
        return True

    def prune(
        self, *, keep_seconds: float = KEEP_SECONDS, keep_bytes: int = KEEP_BYTES, dry_run: bool = False
    ) -> list[Path]:
        """Remove delivered journals that are too old, and the oldest while all are too large; return them.

        Also removes what is left of claims on journals that are gone. What cannot be removed stays, and so does what
        is no journal that can be read; neither counts as one to make room for.

        Parameters
        ----------
        keep_seconds, keep_bytes
            How long they are kept, and how many bytes of them.
        dry_run
            Whether to remove nothing, and return what would be removed.
        """
        if not dry_run:
            claims.remove_leftovers(self.path)
        too_old = time.time() - keep_seconds
        kept = sorted(journals_in(self.delivered), key=_modified)
        sizes = {path: size for path in kept if (size := _size(path)) is not None}
        if not sizes or (_modified(next(iter(sizes))) > too_old and sum(sizes.values()) <= keep_bytes):
            return []  # nearly always: no file is opened after each delivery
        sizes = {path: size for path, size in sizes.items() if read_header(path)[0] is not None}
        size = sum(sizes.values())
        removed: list[Path] = []
        for path, its_size in sizes.items():
            if _modified(path) > too_old and size <= keep_bytes:
                break
            if self._is_surely_recording(path):
                continue
            try:
                if not dry_run:
                    path.unlink(missing_ok=True)
            except OSError:  # read-only; it is asked again after the next delivery
                continue
            size -= its_size
            removed.append(path)
        return removed

    def entries(self) -> list[Entry]:
        """Return everything that is named as a journal, in the order of its folders, oldest first."""
        folders: tuple[tuple[Path, State], ...] = (
            (self.path, "waiting"),
            (self.delivered, "delivered"),
            (self.unverified, "unverified"),
        )
        return [
            entry
            for folder, state in folders
            for path in sorted(journals_in(folder), key=_modified)
            if (entry := self._entry(path, state)) is not None
        ]

    def same_run(self, path: Path) -> list[Twin]:
        """Return the other journals of a journal's run and catalog, each compared with it document by document.

        One that goes away meanwhile is left out.

        Raises
        ------
        InputError, OSError
            If the journal itself cannot be read.
        """
        with JournalReader(path) as reader:
            header = reader.header
        twins = []
        for folder in (self.path, self.delivered, self.unverified):
            for other in sorted(journals_in(folder)):
                try:
                    if not other.samefile(path) and _is_of(other, header):
                        twins.append(compare(path, other))
                except FileNotFoundError:
                    continue
        return twins

    def _reopen(self, path: Path) -> JournalWriter:
        if path.parent != self.path:
            try:
                path = move(path, self.path / path.name)
            except FileNotFoundError:
                raise
            except OSError as error:  # read-only: what comes is kept in memory then, wherever the file lies
                logger.info("%s stays where it is: %s", path, error.strerror or error)
        return JournalWriter.reopen(path, budget=self.budget, disk=self.disk)

    def _entry(self, path: Path, state: State) -> Entry | None:
        header, problem = read_header(path)
        try:
            info = path.stat() if path.exists() else path.lstat()
        except FileNotFoundError:
            return None
        if state == "waiting" and self._is_surely_recording(path):
            state = "recording"
        elif header is None:
            state = "unreadable"
        return Entry(path, header, problem, state, info.st_size, info.st_mtime, claims.claimant(path))

    def _is_surely_recording(self, path: Path) -> bool:
        try:
            return self.is_recording(path)
        except OSError:  # the entry says what is the matter with it
            return False

    def _make(self) -> OSError | None:
        """Make the folders; return why they cannot be made."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.delivered, self.unverified):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            return error
        return None


def _is_of(path: Path, header: Header) -> bool:
    """Say whether a file is a readable journal of the same run on its way to the same catalog."""
    its, _ = read_header(path)
    return its is not None and its.run == header.run and its.place == header.place


def _size(path: Path) -> int | None:
    """Return the bytes of a file; None if it is none, or another process has removed or taken it."""
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_size if stat.S_ISREG(info.st_mode) else None


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process has put it aside, or it leads nowhere
        return 0.0
