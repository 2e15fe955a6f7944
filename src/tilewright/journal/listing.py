"""What lies in a journal directory, file by file, for people: the `journal` commands and the doctor ask.

Nothing here changes a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal

from tilewright.errors import InputError
from tilewright.journal.names import SUFFIX
from tilewright.journal.reader import JournalReader

if TYPE_CHECKING:
    from pathlib import Path

    from tilewright.journal.claims import Claimant
    from tilewright.journal.records import Header

State = Literal["recording", "waiting", "delivered", "unverified", "unreadable"]
"""Of a journal: being written; waiting for delivery; delivered and verified; delivered as far as it could be; none."""
Relation = Literal["same", "shorter", "longer", "different"]
"""Of a journal's documents to another one's: the same; the first of them; these and more; anything else."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a journal directory."""

    path: Path
    header: Header | None
    """None if it cannot be read."""
    problem: str | None
    """What is wrong with its header, or with the file; None if nothing is. Its records are not looked at."""
    state: State
    size: int
    """Bytes."""
    modified: float
    """Seconds since the epoch, UTC."""
    claimant: Claimant | None
    """Who delivers it now."""


@dataclass(frozen=True, slots=True)
class Twin:
    """Another journal of the same run on its way to the same catalog."""

    path: Path
    relation: Relation
    """Of what it holds to what the first one holds; a twin is shorter if it holds less."""
    offset: int | None
    """Where in the first one the first document begins that the twin has not, or has otherwise; None if the same."""


def read_header(path: Path) -> tuple[Header | None, str | None]:
    """Return a journal's header, and what is wrong with it or why there is none."""
    try:
        with JournalReader(path) as reader:
            return reader.header, str(reader.damage[0]) if reader.damage else None
    except InputError as error:
        return None, str(error)
    except OSError as error:
        link = f" (a symbolic link to {path.readlink()})" if path.is_symlink() else ""
        return None, f"{path} cannot be read: {error.strerror or error}{link}"


def journals_in(folder: Path) -> list[Path]:
    """Return what is named as a journal, in no order; nothing if the folder cannot be read."""
    return list(folder.glob(f"*{SUFFIX}"))


def compare(path: Path, other: Path) -> Twin:
    """Compare the documents of two journals, one by one, byte by byte.

    Raises
    ------
    InputError, OSError
        If one cannot be read.
    """
    with JournalReader(path) as ours, JournalReader(other) as theirs:
        offset = ours.position
        for mine, its in zip_longest(ours.rest(), theirs.rest()):
            if mine != its:
                relation: Relation = "shorter" if its is None else "longer" if mine is None else "different"
                return Twin(other, relation, offset)
            offset = ours.position
    return Twin(other, "same", None)
