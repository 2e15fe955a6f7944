"""What lies in a journal directory, all together: its path comes in, a `JournalList` to look at goes out.

Notebooks and `tilewright journal ls` call `list_journals`, the doctor `entries_in`.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tilewright.display import Cell, html_table
from tilewright.errors import InputError, SetupError
from tilewright.journal.directory import JournalDirectory, default_directory
from tilewright.journal.names import SUFFIX
from tilewright.journal.reader import JournalReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tilewright.display import Tone
    from tilewright.journal.listing import Entry

HEADINGS = ("run", "state", "documents", "size", "age", "catalog", "delivered by", "problem")
TONES: dict[str, Tone] = {
    "waiting": "warning",
    "unverified": "warning",
    "unreadable": "bad",
    "delivered": "good",
}
SHORT_UID = 8
_NONE = "-"


@dataclass(frozen=True, slots=True)
class ListedJournal:
    """One journal, and how much is in it."""

    entry: Entry
    documents: int | None
    """Whole records in it; None if it cannot be read."""
    damaged: bool
    """Whether there are bytes in it that cannot be read."""

    @property
    def problem(self) -> str:
        """What is wrong with it; empty if nothing is."""
        return self.entry.problem or ("damaged" if self.damaged else "")

    @property
    def since(self) -> float:
        """When its run began to be recorded, in seconds since 1970; of an unreadable file, when it was changed."""
        header = self.entry.header
        return self.entry.modified if header is None else header.created

    def cells(self, now: float, uid_length: int | None) -> tuple[str, ...]:
        """Return what stands under `HEADINGS`; of a uid its first characters, of an unreadable file the name."""
        entry = self.entry
        return (
            entry.path.name if entry.header is None else entry.header.run[:uid_length],
            entry.state,
            _NONE if self.documents is None else f"{self.documents:,}",
            size_text(entry.size),
            age_text(now - self.since),
            (entry.header.catalog or "any") if entry.header is not None else _NONE,
            _NONE if entry.claimant is None else str(entry.claimant),
            self.problem or _NONE,
        )


@dataclass(frozen=True, slots=True)
class JournalList:
    """The journals of one directory."""

    directory: Path
    journals: tuple[ListedJournal, ...]
    """In the order of the folders, oldest first."""
    listed_at: float = field(default_factory=time.time)
    """Seconds since 1970."""

    def __len__(self) -> int:
        return len(self.journals)

    def __iter__(self) -> Iterator[ListedJournal]:
        return iter(self.journals)

    @property
    def totals(self) -> str:
        """How many there are of each state, and how large they are, in one line."""
        states = Counter(journal.entry.state for journal in self.journals)
        size = sum(journal.entry.size for journal in self.journals)
        documents = sum(journal.documents or 0 for journal in self.journals)
        counts = ", ".join(f"{count:,} {state}" for state, count in states.items())
        if not counts:
            return f"no journals in {self.directory}"
        return f"{counts}: {documents:,} documents, {size_text(size)} in {self.directory}"

    def rows(self, uid_length: int | None = None) -> list[tuple[str, ...]]:
        """Return a row of cells for each journal; see `HEADINGS`. Uids are cut to so many characters, or whole."""
        return [journal.cells(self.listed_at, uid_length) for journal in self.journals]

    def _repr_html_(self) -> str:
        rows: list[list[Any]] = []
        for uid, state, *cells in self.rows(SHORT_UID):
            rows.append([uid, Cell(state, TONES.get(state, "plain")), *cells])
        return html_table("Journals", HEADINGS, rows, note=self.totals)


def list_journals(directory: Path | None = None) -> JournalList:
    """Return the journals of a directory; by default, of the one that writers take.

    Every journal is read through once, to count its documents.
    """
    path = default_directory() if directory is None else directory
    return JournalList(path, tuple(map(_listed, entries_in(path))))


def entries_in(path: Path) -> list[Entry]:
    """Return the entries of a journal directory; none, and nothing is made, if it is not one.

    Raises
    ------
    SetupError
        If it may not be read.
    """
    try:
        os.scandir(path).close()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise SetupError(
            f"cannot read the journals in {path}: {error.strerror}. They can be read by the user who records."
        ) from error
    if not any(path.glob(f"*{SUFFIX}")) and not any(path.glob(f"*/*{SUFFIX}")):
        return []
    return JournalDirectory(path).entries()


def size_text(size: float) -> str:
    """Return a number of bytes as a person says it.

    >>> size_text(0), size_text(1536), size_text(3 << 30)
    ('0 bytes', '1.5 KiB', '3.0 GiB')
    """
    if size < 1 << 10:
        return f"{size:.0f} bytes"
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1 << 10
        if size < 1 << 10:
            return f"{size:.1f} {unit}"
    return f"{size / (1 << 10):.1f} TiB"


def age_text(seconds: float) -> str:
    """Return how long ago something was.

    >>> age_text(0.4), age_text(90), age_text(7200), age_text(3 * 86400)
    ('0 s', '1 min', '2 h', '3 d')
    """
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(int(seconds), 0)} s"


def _listed(entry: Entry) -> ListedJournal:
    """Count the documents of a journal; those behind damage too."""
    try:
        with JournalReader(entry.path) as reader:
            documents = reader.skip()
            while entry.state != "recording" and reader.give_up_tail():
                documents += reader.skip()
            return ListedJournal(entry, documents, damaged=bool(reader.damage))
    except (InputError, OSError):  # the entry says why
        return ListedJournal(entry, None, damaged=False)
