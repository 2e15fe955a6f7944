"""A run being recorded: what it is called, how its documents find it, and which of them need a second look.

The recorder keeps one for each run whose documents may come.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.journal.encoding import encode

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tilewright.journal.writer import JournalWriter

ROUTE_FIELD = {
    "event": "descriptor",
    "event_page": "descriptor",
    "stream_datum": "descriptor",
    "descriptor": "run_start",
    "stream_resource": "run_start",
    "stop": "run_start",
    "datum": "resource",
    "datum_page": "resource",
    "resource": "run_start",
}
"""Which field of a document names the document it follows."""
_OF_A_RUN = frozenset(name for name, field_name in ROUTE_FIELD.items() if field_name == "run_start")
Reference = tuple[str, Any]
"""A field of a document and the uid in it: by these it says where it belongs."""
_UID_RANGE = range(-(1 << 63), 1 << 64)


@dataclass(slots=True, eq=False)
class OpenRun:
    """A run being recorded, or one that was a moment ago."""

    uid: str
    """Under which it is recorded."""
    aliases: tuple[Any, ...]
    """What its own documents call it beside that: they have no usable uid, or one that another run has."""
    journal: JournalWriter
    known: Generator[bytes] | None = None
    """Payloads of an existing journal, while the documents that come are the ones it already holds."""
    repeated: int = 0
    """How many of these have come."""
    note: str | None = None
    """What its reader must be told at the start."""
    names: list[Reference] = field(default_factory=list)
    """What leads to this run."""
    held: bool = False
    """Whether a part of it has been in memory, for want of a place on the disk."""
    lost: int = 0
    """Documents that neither the disk nor the memory had room for."""
    ended: bool = False
    late: bool = False
    """Whether it was opened again for documents that came after its stop."""
    plain: bool = field(init=False)
    """Whether its documents are appended as they come, and that is all; see `settle`."""

    def __post_init__(self) -> None:
        self.settle()

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self.journal.path

    def settle(self) -> None:
        """Work out `plain` after a change."""
        self.plain = not (self.ended or self.aliases) and self.known is None

    @property
    def is_nameless(self) -> bool:
        """Whether its start document had no uid."""
        return any(name is None for name in self.aliases)

    def is_called(self, uid: Any) -> bool:
        """Tell whether its documents call it so."""
        return any(_is_same(uid, name) for name in (self.uid, *self.aliases))

    def own(self, name: str, doc: Any) -> Any:
        """Return a document with the uid that the run is recorded under, if it calls the run by an alias."""
        field_name = "uid" if name == "start" else "run_start"
        relevant = self.aliases and isinstance(doc, dict) and (name == "start" or name in _OF_A_RUN)
        return {**doc, field_name: self.uid} if relevant and self.is_called(doc.get(field_name)) else doc


def usable_uid(given: Any) -> str:
    """Return a uid as text, if that is unambiguous; empty if it is not."""
    is_integer = isinstance(given, (int, np.integer)) and not isinstance(given, (bool, np.timedelta64))
    if is_integer and int(given) not in _UID_RANGE:  # int: a range is searched one by one for any other type
        return ""
    if not (is_integer or isinstance(given, (str, uuid.UUID))):
        return ""
    text = str.__str__(given) if isinstance(given, str) else str(given)  # a subclass may have its own ways
    return text.encode("utf-8", "backslashreplace").decode()


def _is_same(one: Any, other: Any) -> bool:
    """Compare two values of any type, as they are recorded: comparing them may raise anything."""
    return type(one) is type(other) and encode("", one) == encode("", other)
