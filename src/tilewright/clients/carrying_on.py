"""A source that may have been recorded before comes in, the documents there are of it go out; `record` and `process` carry on with them.

A source's runs have uids that follow from what it is. They are looked for in the journals first, which have every document that was
ever given to the writer; a journal that is gone was delivered, and the catalog has its run.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tilewright.documents import NOTE
from tilewright.errors import NotFoundError
from tilewright.sources.composing import Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tilewright.documents import Document


class Resumable(Protocol):
    """A source whose runs are known again."""

    def uid(self, part: int = 1) -> str:
        """Return the uid of its first run, or of the one after so many."""

    def rebuilt_from(self, stream: str) -> bool:
        """Say whether what the catalog has of a stream is needed for that."""

    def rebuilt(self, start: Any, streams: Any, stop: Any) -> list[Document]:
        """Return the documents of a run out of what a catalog has of it."""


@dataclass(slots=True)
class SoFar:
    """What there is of a source."""

    before: Iterable[Document] = ()
    """Of the run that is not finished; empty if all are. Read from its journal each time they are asked for: there may be many."""
    count: int = 0
    """How many these are."""
    earlier: list[Document] = field(default_factory=list)
    """Of those that are finished, one after the other, without their pages of events."""


def so_far(source: Resumable, journals: Path, catalog: Any) -> SoFar:
    """Return what was recorded of a source, wherever it is.

    Parameters
    ----------
    journals
        Their folder.
    catalog
        What the writer writes to.

    Raises
    ------
    TransientError
        If a journal is gone, and the server does not answer.
    """
    from tilewright.delivery.target import target  # noqa: PLC0415 - slow to import
    from tilewright.journal import JournalDirectory  # noqa: PLC0415

    directory, name = JournalDirectory(journals), target(catalog).name
    found, part = SoFar(), 1
    while True:
        uid = source.uid(part)
        path = directory.find(uid, name)
        journalled = None if path is None else _Journalled(path)
        documents = _rebuilt(source, uid, catalog) if journalled is None else journalled.few
        if not documents or documents[-1][0] != "stop":
            break
        found.earlier += documents
        part += 1
    if journalled is not None:
        found.before, found.count = journalled, journalled.count
    elif documents:
        found.before, found.count = documents, len(documents)
    return found


class _Journalled:
    """The documents of a journal, as often as they are asked for."""

    def __init__(self, path: Path) -> None:
        from tilewright.journal import JournalReader, decode  # noqa: PLC0415 - slow to import
        from tilewright.journal.pages import PAGE  # noqa: PLC0415

        self._path = path
        self.few: list[Document] = []
        """Without the pages of events."""
        pages = 0
        with JournalReader(path) as reader:
            for payload in reader.rest(ended=False):
                if payload.startswith(PAGE):
                    pages += 1
                    continue
                with suppress(ValueError):  # what cannot be decoded is told when the delivery comes to it
                    self.few.append(decode(payload))
        self.few = [(name, doc) for name, doc in self.few if name != NOTE]
        self.count = pages + len(self.few)
        """Of all documents, but for what Tilewright has noted itself."""

    def __iter__(self) -> Iterator[Document]:
        from tilewright.journal import JournalReader  # noqa: PLC0415 - slow to import

        with JournalReader(self._path) as reader:
            for name, doc in reader:
                if name != NOTE:
                    yield name, doc


def _rebuilt(source: Resumable, uid: str, catalog: Any) -> list[Document]:
    """Return the documents of a run that is in the catalog; nothing if it is not."""
    from tilewright.clients.connect import open_catalog  # noqa: PLC0415 - slow to import

    with open_catalog(catalog) as runs:
        try:
            run = runs[uid]
        except NotFoundError:
            return []
        if run.uid != uid:
            return []
        return source.rebuilt(run.start, _streams(run, source.rebuilt_from), run.stop)


def _streams(run: Any, is_wanted: Callable[[str], bool]) -> Iterator[Kept]:
    """Yield what the catalog has of each stream of a run that is wanted."""
    for name in filter(is_wanted, run.streams):
        stream = run[name]
        rows = run.table(name, attempts=True)
        records = rows.astype(object).where(rows.notna(), None).to_dict("records")
        external = [key for key, spec in stream.data_keys.items() if "external" in spec]
        arrays = stream.layout().arrays
        there = [key for key in external if key in arrays]
        mimetype = stream.described_array(there[0])[1].mimetype if there else None
        yield Kept(stream.descriptor, records, mimetype)
