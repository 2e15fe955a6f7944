"""Directories on this machine: a path comes in, what can be wrong with writing journals or data there goes out.

`examine` calls this. What it writes to try something is removed again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tilewright.clients.doctor.diagnosis import bad, good, warning
from tilewright.journal.overview import size_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tilewright.clients.doctor.diagnosis import Check

LITTLE_ROOM = 1 << 30
"""Bytes."""
LITTLE_SHARE = 0.05
"""Of the file system."""
TRIAL_PREFIX = ".tilewright-doctor-"
TRIAL_BYTES = 1 << 16
"""Enough that a quota or a full disk shows."""
MOUNTS = Path("/proc/self/mounts")
"""Linux's list of file systems; where there is none, their kinds are not known."""
_OVER_THE_NETWORK = frozenset(
    [
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "davfs",
        "fhgfs",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "pvfs2",
        "smb3",
        "smbfs",
        "sshfs",
    ]
)
_IN_MEMORY = frozenset({"ramfs", "tmpfs"})
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_ELSEWHERE = "Give another with journal=…, --journal or the environment variable TILEWRIGHT_JOURNAL"


@dataclass(frozen=True, slots=True)
class FileSystem:
    """Where a path lies."""

    kind: str
    """As the kernel names it, such as ext4 or nfs4."""
    mounted_at: Path

    @property
    def over_the_network(self) -> bool:
        """Whether another machine keeps the files."""
        return self.kind.removeprefix("fuse.") in _OVER_THE_NETWORK

    @property
    def in_memory(self) -> bool:
        """Whether the files are gone when the machine restarts."""
        return self.kind in _IN_MEMORY


def check_journal_directory(path: Path) -> list[Check]:
    """Try to write and to lock; look at the file system, the mode and the room."""
    name = "journal directory"
    try:
        there = path.is_dir()
        with _made(path):
            _try_writing(path)
            locks = _locks_hold(path)
            room = check_room("journal room", path)
    except OSError as error:
        return [bad(name, f"{path} cannot be written: {error.strerror}", _writing_advice(path, error))]
    checks = [_directory_check(name, path, there=there, locks=locks)]
    if there:
        checks.append(_mode_check(path))
    return [*checks, room]


def check_room(name: str, path: Path) -> Check:
    """Look at how much can still be written where `path` lies.

    Raises
    ------
    OSError
        If it cannot be told.
    """
    usage = shutil.disk_usage(path)
    finding = f"{size_text(usage.free)} free of {size_text(usage.total)} at {path}"
    if usage.free < LITTLE_ROOM or usage.free < LITTLE_SHARE * usage.total:
        return warning(name, finding, "Make room, or use a larger disk: a full one stops the recording.")
    return good(name, finding)


def file_system(path: Path, mounts: str) -> FileSystem | None:
    r"""Return the file system of a path, out of the text of `MOUNTS`; the last one mounted over a place counts.

    >>> file_system(Path("/home/a b/x"), "/dev/sda / ext4 rw 0 0\nhost:/a /home/a\\040b nfs4 rw 0 0").kind
    'nfs4'
    """
    found = None
    for line in mounts.splitlines():
        _, place, kind, *_ = line.split(" ")
        mounted_at = Path(
            place.encode().decode("unicode_escape").encode("latin-1").decode("utf-8", "replace")
        )
        deeper = found is None or len(mounted_at.parts) >= len(found.mounted_at.parts)
        if path.is_relative_to(mounted_at) and deeper:
            found = FileSystem(kind, mounted_at)
    return found


def _directory_check(name: str, path: Path, *, there: bool, locks: bool | None) -> Check:
    where = _file_system_of(path)
    place = f"{path}: " + ("" if there else "not there yet, the first writer makes it; ") + "can be written"
    if locks is not True:
        how = "cannot be locked" if locks is None else "give the same lock to two at once"
        finding = f"{place}, but files there {how}: two could deliver one journal at the same time"
        return bad(name, finding, f"{_ELSEWHERE}, on a local disk.")
    if where is not None and where.over_the_network:
        finding = (
            f"{place}, over the network ({where.kind} at {where.mounted_at}): each document waits for it"
        )
        return warning(name, finding, f"{_ELSEWHERE}, on a local disk.")
    if where is not None and where.in_memory:
        finding = f"{place}, but lies in memory ({where.kind} at {where.mounted_at}): gone when the machine restarts"
        return warning(name, finding, f"{_ELSEWHERE}, on a disk.")
    return good(name, f"{place} and locked" + (f", on {where.kind}" if where is not None else ""))


def _mode_check(path: Path) -> Check:
    name, status = "journal mode", path.stat()
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid != os.geteuid():
        finding = f"{path} belongs to the user {status.st_uid}, not to the one who asks ({os.geteuid()})"
        return warning(name, finding, "Run writers, deliverers and the doctor as one user.")
    if mode & _OTHERS:
        finding = f"{path} has mode {mode:o}: others on this machine get at the documents"
        return warning(name, finding, f"chmod 700 {path}")
    return good(name, f"{mode:o}, for this user alone")


def _file_system_of(path: Path) -> FileSystem | None:
    try:
        return file_system(path.resolve(), MOUNTS.read_text())
    except OSError:  # not Linux
        return None


@contextmanager
def _made(path: Path) -> Iterator[None]:
    """Make a directory and those above it, if need be, and remove again those that were made."""
    missing = [place for place in (path, *path.parents) if not place.exists()]
    with ExitStack() as undo:
        for place in reversed(missing):
            place.mkdir(mode=0o700)
            undo.callback(place.rmdir)
        yield


def _try_writing(path: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=path, prefix=TRIAL_PREFIX, buffering=0) as file:
        file.write(bytes(TRIAL_BYTES))
        os.fdatasync(file.fileno())


def _locks_hold(path: Path) -> bool | None:
    """Say whether a lock keeps out a second one; None if files cannot be locked at all."""
    with (
        tempfile.NamedTemporaryFile(dir=path, prefix=TRIAL_PREFIX) as file,
        Path(file.name).open("rb") as again,
    ):
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return None
        try:
            fcntl.flock(again.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _writing_advice(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"Make room there. {_ELSEWHERE}."
    if error.errno == errno.EACCES:
        return f"chown {path} to the user that records, or run as that user. {_ELSEWHERE}."
    return f"{_ELSEWHERE}."
