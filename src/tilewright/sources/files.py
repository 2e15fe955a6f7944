"""In comes the path of a file of documents, out come its `(name, document)` pairs; `tilewright replay` calls it.

Three shapes are recognised by their content, each of them also gzipped:

    [["start", {...}], ["stop", {...}]]        a JSON list, loaded whole
    ["start", {...}]                           JSON lines of pairs, read line by line
    {"name": "start", "doc": {...}}            JSON lines of objects, read line by line

Journals are not read here.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilewright.documents import DOCUMENT_NAMES
from tilewright.errors import InputError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from tilewright.documents import Document

    Reader = gzip.GzipFile | io.BufferedReader

RECORD = 'one document, as ["name", {...}] or {"name": "name", "doc": {...}}'
GZIP_MAGIC = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
HEAD_BYTES = 4096
"""How far to look for the first bracket and what follows it."""
LIST_OF_RECORDS = re.compile(rb"\[\s*[\[{\]]")
"""How a JSON list of documents starts; JSON lines of pairs start with a bracket and a quote."""


class DocumentFile:
    """A file of documents to be iterated over, once or several times, while `position` tells how far it is.

    Parameters
    ----------
    path
        The file; `size_bytes` is its size as it lies on disk.

    Raises
    ------
    InputError
        When the file cannot be opened (at once), or when something in it is not a document (on reaching it).
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.position = 0
        """Bytes of the file, compressed as it is, that have been read so far."""
        try:
            with self.path.open("rb") as file:
                self.size_bytes = file.seek(0, io.SEEK_END)
        except OSError as error:
            raise InputError(f"cannot read documents from {self.path}: {error.strerror or error}") from error

    def __iter__(self) -> Iterator[Document]:
        """Yield the documents from the beginning, in the file's order."""
        self.position = 0
        with self.path.open("rb", buffering=0) as raw, _unpacked(raw) as data:
            for record in self._records(data):
                self.position = raw.tell()
                yield record
        self.position = self.size_bytes

    def _records(self, data: Reader) -> Iterator[Document]:
        """Yield the records, and say where it was if the compressed data turns out to be damaged."""
        yielded = 0
        try:
            head = data.peek(HEAD_BYTES)[:HEAD_BYTES]
            head = head.removeprefix(BYTE_ORDER_MARK).lstrip()
            records = self._from_list(data) if LIST_OF_RECORDS.match(head) else self._from_lines(data)
            for yielded, record in enumerate(records, start=1):  # noqa: B007 - told in the message below
                yield record
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                f"{self.path}: the gzip data is damaged or cut off after {yielded} documents ({error}); "
                "fetch or copy the file again"
            ) from error

    def _from_list(self, data: Reader) -> Iterator[Document]:
        """Yield the elements of one JSON list."""
        for number, value in enumerate(self._parsed(data.read(), 1, "a JSON list of documents"), start=1):
            yield self._record(value, f"record {number}")

    def _from_lines(self, data: Reader) -> Iterator[Document]:
        """Yield the records of JSON lines; empty lines are passed over."""
        empty = True
        for number, line in enumerate(data, start=1):
            if not line.removeprefix(BYTE_ORDER_MARK).strip():
                continue
            empty = False
            cut_off = (
                "" if line.endswith(b"\n") else ", in a last line without a line end: the file may be cut off"
            )
            yield self._record(self._parsed(line, number, RECORD + cut_off), f"line {number}")
        if empty:
            raise InputError(f"{self.path} is empty: expected {RECORD} a line, or a JSON list of them")

    def _parsed(self, text: bytes, first_line: int, expected: str) -> Any:
        """Parse JSON as Python's own `json` writes it, with NaN and infinities."""
        try:
            return json.loads(text.removeprefix(BYTE_ORDER_MARK))
        except json.JSONDecodeError as error:
            where = f"line {first_line + error.lineno - 1}, column {error.colno}"
            raise InputError(f"{self.path}: {where}: not JSON ({error.msg}): expected {expected}") from error
        except (UnicodeDecodeError, RecursionError) as error:
            where = f"at or after line {first_line}"
            raise InputError(f"{self.path}: {where}: not JSON ({error}): expected {expected}") from error

    def _record(self, value: Any, where: str) -> Document:
        """Return one record as a document, whichever of the two ways it is written."""
        match value:
            case [str(name), dict(doc)] | {"name": str(name), "doc": dict(doc)}:
                pass
            case _:
                raise InputError(f"{self.path}: {where}: expected {RECORD}, found {_shortened(value)}")
        if name not in DOCUMENT_NAMES:
            known = ", ".join(sorted(DOCUMENT_NAMES))
            raise InputError(f"{self.path}: {where}: {name!r} is no kind of document; known are {known}")
        return name, doc


def document_file(path: str | os.PathLike[str]) -> DocumentFile:
    """Return the file of documents at `path`: for callers that show progress (`position` of `size_bytes`).

    Raises
    ------
    InputError
        When the file cannot be opened.
    """
    return DocumentFile(path)


def read_documents(path: str | os.PathLike[str]) -> Iterator[Document]:
    """Yield the `(name, document)` pairs of the file at `path`, in order.

    JSON lines are read one at a time, so that memory stays constant. Everything before a fault is yielded.

    Raises
    ------
    InputError
        Names the file, the line or record, and what was expected there.
    """
    yield from DocumentFile(path)


def _unpacked(raw: io.FileIO) -> Reader:
    """Return a reader of the file's content, gzipped or not."""
    is_gzip = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    raw.seek(0)
    return gzip.GzipFile(fileobj=raw) if is_gzip else io.BufferedReader(raw)


def _shortened(value: Any) -> str:
    """Return the value's repr, cut to what fits a line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - the width of a terminal
