"""A journal read ahead: while one part of it is on its way to the server, the next one is taken apart.

`run` asks for part after part. Sending waits for the server most of the time, and reading for nobody: side by side they
take as long as the slower of them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tilewright.documents import Document
    from tilewright.journal import JournalReader


@dataclass(frozen=True, slots=True)
class Part:
    """Documents that follow one another in a journal."""

    documents: list[Document]
    count: int
    """How many documents they were, before events became pages."""
    start: int
    stop: int
    """Bytes of the journal, from the first document to the end of the last one."""
    asked: int
    """How many bytes there might have been."""


class ReadAhead:
    """The parts of a journal, in order.

    Parameters
    ----------
    reader
        Reads the journal. Nobody else may use it while a part is being read ahead.
    max_bytes
        Of a part: of the first one a quarter, and of each that finds more behind it twice as many as of the one before.
        What has just begun to come is soon on its way, and a backlog takes few requests.
    threaded
        Whether to read ahead at all: it takes a thread, and a share of the interpreter's time.
    """

    def __init__(self, reader: JournalReader, max_bytes: int, *, threaded: bool) -> None:
        self._reader = reader
        self._max_bytes = max_bytes
        self._bytes = max_bytes // 4
        self._threads = ThreadPoolExecutor(1, "tilewright-reading") if threaded else None
        self._next: Future[Part] | None = None
        self._is_more = False
        """Whether there is likely to be more after the part taken last."""

    def take(self) -> Part:
        """Return the next part; one without documents if nothing whole is left."""
        ahead, self._next = self._next, None
        part = self._read() if ahead is None else ahead.result()
        self._is_more = self.is_full(part)
        self._bytes = min(self._max_bytes, 2 * self._bytes) if self._is_more else self._max_bytes // 4
        return part

    def begin(self) -> None:
        """Begin to read what comes next, if there is likely to be much; may be repeated."""
        if self._threads is not None and self._is_more and self._next is None:
            self._next = self._threads.submit(self._read)

    def is_full(self, part: Part) -> bool:
        """Say whether there is likely to be more after a part."""
        return part.stop - part.start >= part.asked // 2

    def rewind(self) -> None:
        """Start again from the first record."""
        self._settle()
        self._reader.rewind()

    def close(self) -> None:
        """Close the journal."""
        self._settle()
        if self._threads is not None:
            self._threads.shutdown()
        self._reader.close()

    def _settle(self) -> None:
        """Wait for what is being read, and forget it."""
        self._is_more = False
        if self._next is not None:
            self._next.exception()
            self._next = None

    def _read(self) -> Part:
        start = self._reader.position
        asked = self._bytes
        documents, count = self._reader.read_columns(asked)
        return Part(documents, count, start, self._reader.position, asked)
