"""Values as files in a folder: "a/b/c" is the file c in the folder a/b below the root. `make_store` makes one of a path.

A value is written into a file of another name beside its place, and then moved there: a reader sees the old value or the
new one, never a part. The move reaches the kernel before the call returns, so that it survives the process being killed;
`durable=True` waits for the disk, too, which a power cut does not take back.
"""

from __future__ import annotations

import os
import secrets
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilewright.errors import InputError, SetupError, UnfitKeyError
from tilewright.stores.base import Persister, as_bytes, refuse_short
from tilewright.stores.paths import is_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_UNFINISHED = ".tilewright-"
"""Names of files that are being written begin with it; no value can have such a name."""
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class FolderPersister(Persister):
    """Bytes in files.

    Where "a" is a value, "a/b" cannot be one, and the other way round.

    Parameters
    ----------
    root
        The folder; made with the first value.
    durable
        Whether a write waits until the disk has it: some milliseconds each.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as root:
    ...     store = FolderPersister(root)
    ...     store["1566065093213/data/00000000000000"] = b"abc"
    ...     list(store.listing())
    [('1566065093213/data/00000000000000', 3)]
    """

    def __init__(
        self, root: str | os.PathLike[str], *, allow_delete: bool = False, durable: bool = False
    ) -> None:
        super().__init__(allow_delete=allow_delete)
        self.root = Path(root).expanduser().absolute()
        self.durable = durable
        self._prefix = f"{self.root}/"

    def __repr__(self) -> str:
        return f"<FolderPersister {self.root}>"

    def __len__(self) -> int:
        return _count(str(self.root))

    def listing(self) -> Iterator[tuple[str, int]]:
        """Yield each path with the bytes of its file, in the order of the paths; a folder is looked at when its turn comes."""
        yield from _walk(str(self.root), "")

    def read_into(self, reads: Iterable[tuple[str, int, memoryview]]) -> None:
        """Read parts of files: see `Persister.read_into`."""
        # The calls of the operating system and no file objects, which take as long as the reading itself.
        for path, start, room in reads:
            try:
                file = os.open(self._prefix + path, os.O_RDONLY)
            except _ABSENT:
                raise KeyError(path) from None
            try:
                got = os.preadv(file, [room], start)
            finally:
                os.close(file)
            if got < len(room):
                self._read_on(path, start, room, got)

    def _read_on(self, path: str, start: int, room: memoryview, got: int) -> None:
        """Read what one call did not give: it may be as large as 2 GiB at most, or the file is too short."""
        with open(self._prefix + path, "rb", buffering=0) as file:  # noqa: PTH123
            file.seek(start + got)
            while got < len(room) and (more := file.readinto(room[got:])):
                got += more
        if got < len(room):
            refuse_short(path, start, got, len(room))

    def _read(self, path: str) -> bytes:
        try:
            with open(self._place(path), "rb", buffering=0) as file:  # noqa: PTH123
                return file.read()
        except _ABSENT:
            raise KeyError(path) from None

    def _write(self, path: str, value: Any) -> None:
        value, place = as_bytes(path, value), self._place(path)
        folder, name = os.path.split(place)
        try:
            _write_file(folder, name, value, durable=self.durable)
        except (NotADirectoryError, FileExistsError, IsADirectoryError) as error:
            raise InputError(
                f"Cannot store {path!r} in {self.root}: a value and a folder cannot have one name ({error.filename})."
            ) from error

    def _remove(self, path: str) -> None:
        try:
            os.unlink(self._place(path))  # noqa: PTH108 - all here is text
        except _ABSENT:
            raise KeyError(path) from None

    def _has(self, path: str) -> bool:
        return os.path.isfile(self._place(path))  # noqa: PTH113

    def _place(self, path: str) -> str:
        if _UNFINISHED in path and any(name.startswith(_UNFINISHED) for name in path.split("/")):
            raise UnfitKeyError(f"{path!r} is no path in a folder: names with {_UNFINISHED!r} are its own.")
        return self._prefix + path


def _write_file(folder: str, name: str, value: bytes, *, durable: bool) -> None:
    temporary = f"{folder}/{_UNFINISHED}{secrets.token_hex(8)}"
    file = _new(folder, temporary)
    try:
        with open(file, "wb", buffering=0) as opened:  # noqa: PTH123
            left = memoryview(value)
            while left:
                left = left[opened.write(left) or 0 :]
            if durable:
                os.fsync(file)
        os.replace(temporary, f"{folder}/{name}")  # noqa: PTH105
    except BaseException:
        os.unlink(temporary)  # noqa: PTH108
        raise
    if durable:
        _sync(folder)


def _new(folder: str, path: str) -> int:
    """Open a new file, and make its folder if that is not there."""
    for _ in range(2):
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileNotFoundError:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    raise SetupError(f"The folder {folder} was removed while a value was written into it.")


def _sync(folder: str) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """Return what is in a folder and can be part of a path; nothing where there is no folder."""
    try:
        with os.scandir(folder) as found:
            return [one for one in found if not one.name.startswith(_UNFINISHED) and is_path(one.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _walk(folder: str, before: str) -> Iterator[tuple[str, int]]:
    """Yield files by the order of their whole paths: a folder stands where its name with "/" does."""
    entries = [(entry.name + "/" * entry.is_dir(), entry) for entry in _entries(folder)]
    for name, entry in sorted(entries, key=itemgetter(0)):
        if name.endswith("/"):
            yield from _walk(entry.path, before + name)
            continue
        try:
            if entry.is_file():
                yield before + name, entry.stat().st_size
        except FileNotFoundError:  # removed meanwhile
            continue


def _count(folder: str) -> int:
    entries = _entries(folder)
    return sum(_count(entry.path) if entry.is_dir() else entry.is_file() for entry in entries)
