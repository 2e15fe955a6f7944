"""Folders and files come in, the files of a source that are there go out, in an order that never changes; sources call it.

Nothing is opened: names, sizes and times of the directory entries are all that is looked at. A store, which is a directory, counts
as one file: nobody looks through its chunks. At a URL is a store, and nobody asks whether it is there.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LOG_EXTENSION = "csv"
"""Of the log that some recorders write beside a file, under its name."""
_HIDDEN = "."
"""How names begin that are not shown: macOS leaves a `._x.wav` beside each `x.wav` on disks of other kinds."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a source."""

    place: str
    """Its path: absolute, as it was found; symbolic links are not resolved. Or its URL."""
    name: str
    """What the documents call it: its path from the folder, or from what several folders have in common; or its URL."""
    size: int
    """Bytes; 0 of a URL."""
    modified: int
    """Nanoseconds since 1970, by the clock of the disk's computer; 0 of a URL."""
    log: Path | None = None
    """A file of the same name with the extension of logs, where there is one."""

    @property
    def path(self) -> Path:
        """Where it lies; a URL has none."""
        return Path(self.place)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the files of a source are looked for.

    Parameters
    ----------
    folders
        Searched with all below them.
    files
        Taken as they are.
    is_wanted
        Tells by its name whether a file is taken from the folders.
    what
        Is looked for, for messages.
    is_store
        Tells whether a directory is taken as one file; none is, if it is None.
    urls
        Of stores.
    """

    folders: tuple[Path, ...]
    files: tuple[Path, ...]
    is_wanted: Callable[[str], bool]
    what: str
    is_store: Callable[[Path], bool] | None = None
    urls: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        given: Iterable[str | os.PathLike[str]],
        is_wanted: Callable[[str], bool],
        what: str = "recordings",
        is_store: Callable[[Path], bool] | None = None,
        urls: Iterable[str] = (),
    ) -> Places:
        """Sort what was given into folders and files, stores among these.

        Parameters
        ----------
        given
            Paths.
        urls
            Given besides.

        Raises
        ------
        InputError
            If nothing was given, or something is not there.
        """
        folders, files = [], []
        for path in map(_absolute, given):
            if path.is_dir() and not (is_store and is_store(path)):
                folders.append(path)
            elif path.exists():
                files.append(path)
            else:
                raise InputError(f"cannot look for {what} in {path}: there is no such folder or file")
        urls = tuple(dict.fromkeys(urls))
        if not (folders or files or urls):
            raise InputError(f"no folder of {what} was given: name one or more folders, or files")
        return cls(
            tuple(dict.fromkeys(folders)), tuple(dict.fromkeys(files)), is_wanted, what, is_store, urls
        )

    @property
    def identity(self) -> list[str]:
        """The folders, links resolved: a deployment is known by its name and these, however it is called the next time."""
        return sorted({*(str(place.resolve()) for place in self.readable), *map(_parent, self.urls)})

    @property
    def root(self) -> Path:
        """What the names of the files start from; what the URLs have in common, as a path, if there are only URLs."""
        return Path(os.path.commonpath([*map(str, self.readable)] or [*map(_parent, self.urls)]))

    @property
    def readable(self) -> list[Path]:
        """The directories that a server has to be allowed to read; none for URLs."""
        return list(dict.fromkeys([*self.folders, *(file.parent for file in self.files)]))


def with_extension(extensions: Iterable[str]) -> Callable[[str], bool]:
    """Return what tells whether a name has one of these extensions, in any case of letters; a dot before them does not matter."""
    wanted = frozenset(extension.lower().lstrip(".") for extension in extensions)

    def has_one(name: str) -> bool:
        _, dot, extension = name.rpartition(".")
        return bool(dot) and extension.lower() in wanted

    return has_one


def scan(places: Places) -> list[Found]:
    """Return all files that are wanted, and all stores, sorted by name; each path and URL once.

    A file that goes away meanwhile, and a link that leads nowhere, is not there.

    Raises
    ------
    InputError
        If a folder cannot be listed.
    """
    root = str(places.root)
    found = {url: Found(url, url, 0, 0) for url in places.urls}
    for folder in places.folders:
        for each in _below(str(folder), root, places):
            found.setdefault(each.place, each)
    for file in places.files:
        with suppress(FileNotFoundError):
            found.setdefault(str(file), _found(str(file), file.stat(), root, log=log_beside(file)))
    return sorted(found.values(), key=lambda each: each.name)


def _below(folder: str, root: str, places: Places) -> Iterator[Found]:
    """Yield what a folder and those below it hold; a link back to a folder around it is not followed again."""
    waiting, seen = [folder], set()
    while waiting:
        here = waiting.pop()
        real = os.path.realpath(here)
        if real in seen:
            continue
        seen.add(real)
        names, stores = {}, []
        for entry in _entries(here, places.what):
            if entry.name.startswith(_HIDDEN):
                continue
            if not entry.is_dir():
                names[entry.name] = entry
            elif places.is_store and places.is_store(Path(entry.path)):
                stores.append(entry)
            else:
                waiting.append(entry.path)
        logs = {stem: name for name in names if (stem := _stem_of_log(name)) is not None}
        for name, entry in names.items():
            if not places.is_wanted(name):
                continue
            log = logs.get(name.rpartition(".")[0].lower())
            with suppress(FileNotFoundError):
                yield _found(entry.path, entry.stat(), root, log=None if log is None else Path(here, log))
        for store in stores:
            with suppress(FileNotFoundError):
                yield _found(store.path, store.stat(), root, log=None)


def _entries(folder: str, what: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name, reverse=True)
    except FileNotFoundError:  # it went away
        return []
    except OSError as error:
        raise InputError(
            f"cannot look for {what} in {folder}: {error.strerror or error}; make it readable, or move it away"
        ) from error


def _stem_of_log(name: str) -> str | None:
    stem, dot, extension = name.rpartition(".")
    return stem.lower() if dot and extension.lower() == LOG_EXTENSION else None


def log_beside(file: Path) -> Path | None:
    """Return the file beside a recording that has its name and the extension of logs; None if there is none."""
    names = (file.with_suffix(f".{form}") for form in (LOG_EXTENSION, LOG_EXTENSION.upper()))
    return next((log for log in names if log.exists()), None)


def _found(path: str, facts: os.stat_result, root: str, *, log: Path | None) -> Found:
    name = path[len(root) :].lstrip(os.sep)  # as relpath, which takes much longer
    if not name.isascii():  # a name may be bytes that are no text
        name = os.fsencode(name).decode("utf-8", "backslashreplace")
    return Found(path, name, facts.st_size, facts.st_mtime_ns, log)


def _parent(url: str) -> str:
    return url.rpartition("/")[0]


def _absolute(given: str | os.PathLike[str]) -> Path:
    return Path(os.path.normpath(Path(given).expanduser().absolute()))
