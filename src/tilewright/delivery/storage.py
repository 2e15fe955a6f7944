"""What the server cannot read of a run's files: the directories of its arrays come in, sentences for its notes go out.

`run` asks once, at the end of a run that has arrays in files. Directories are asked about and not files, of which there
may be thousands. What is told here is no failure: the files may be copied there later.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tilewright.delivery.steps import Look
from tilewright.documents import Notes, label
from tilewright.errors import FinalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tilewright.delivery.remote import Path
    from tilewright.delivery.steps import Bundle

logger = logging.getLogger(__name__)

MOST_DIRECTORIES = 50
"""Of an array: more are not asked about."""
MOST_TOLD = 10
"""Directories that have a sentence of their own."""

_BEGINNING: Final = "the server cannot read "
_REASONS: Final = {
    "outside": "it is outside readable_storage, add it there, or say with a path_map where the server has these files",
    "missing": "it is not there on the server",
    "denied": "its user is not allowed to",
    "silent": "it gets no answer from the disk",
}
_UNSAID: Final = "its log says why; see that the directory is there, and within readable_storage"
"""Of a stock server."""


@dataclass(frozen=True, slots=True)
class ArrayFiles:
    """An array and where its files are."""

    path: Path
    """Its node: run, stream, data key."""
    dimensions: int | None
    """How many it has; None if there is nothing in it yet."""
    directories: tuple[str, ...]
    """URIs, each with a slash at its end."""


class FileReport:
    """What the server said of the directories of one run's files.

    Parameters
    ----------
    uid
        Of the run.
    """

    def __init__(self, uid: str) -> None:
        self._uid = uid
        self._answered = False
        self._notes = Notes()

    @property
    def notes(self) -> list[str]:
        """A sentence for each directory that the server cannot read."""
        return list(self._notes)

    def ask(self, bundle: Bundle, run: Path, arrays: Sequence[ArrayFiles]) -> None:
        """Add the question to a bundle, if it has not been answered, and there is anything to ask about."""
        if self._answered or not arrays:
            return

        def then(unreadable: dict[str, str]) -> None:
            self._answered = True
            for sentence in _sentences(unreadable, arrays):
                self._notes.add(sentence)
                logger.warning("Run %s: %s", self._uid, sentence)

        def failed(error: Exception) -> bool:
            self._answered = isinstance(error, FinalError)  # then the run does without
            return self._answered

        bundle.add(
            Look(run, tuple((each.path, each.dimensions, each.directories) for each in arrays)), then, failed
        )


def is_about_storage(note: object) -> bool:
    """Say whether a note is one of these: it tells of the server as it was then, and not of the run."""
    return isinstance(note, str) and note.startswith(_BEGINNING)


def directory_of(uri: str) -> str | None:
    """Return the directory of a file; None for what is no file.

    >>> directory_of("file://localhost/data/a.h5"), directory_of("file://localhost/data/scan/"), directory_of("s3://a/b")
    ('file://localhost/data/', 'file://localhost/data/', None)
    """
    return uri.rstrip("/").rpartition("/")[0] + "/" if uri.startswith("file://") else None


def _sentences(unreadable: dict[str, str], arrays: Sequence[ArrayFiles]) -> list[str]:
    told = []
    for uri, reason in unreadable.items():
        whose = [each.path for each in arrays if uri in each.directories]
        names = ", ".join(f"{label(key)} of stream {label(stream)}" for _, stream, key in whose)
        told.append(f"{_BEGINNING}{_shown(uri)} ({names}): {_REASONS.get(reason, _UNSAID)}")
    more = len(told) - MOST_TOLD
    return told[:MOST_TOLD] + (
        [f"{_BEGINNING}{more} more directories of this run's files"] if more > 0 else []
    )


def _shown(uri: str) -> str:
    """Return a directory as one writes it.

    >>> _shown("file://localhost/data/ioc1/"), _shown("file://localhost/C:/data/"), _shown("file://ioc1/data/")
    ('/data/ioc1', 'C:/data', 'file://ioc1/data')
    """
    path = uri.removeprefix("file://localhost").removeprefix("file:///").rstrip("/")
    if path[2:3] == ":":
        path = path.lstrip("/")
    return label(path or "/")
