"""Files of a dataset come in, one after the other; the documents of its run go out. `source` calls it.

    start ─ descriptor of embeddings ─ stream_resource ─ stream_datum ─ event_page … ─ rejected … ─ event of the file ─ … ─ stop

The event of a file, in the stream `files`, is the last of its documents: a file without one is not recorded to its end. Every uid
follows from the run's and the file's, so that whoever makes the documents of the same files again makes the same documents.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from tilewright.sources.composing import Composer, datum, descriptor, event, resource, stop
from tilewright.sources.embeddings.rows import pages
from tilewright.sources.embeddings.run_state import EMBEDDINGS, FILES, REJECTED, VECTOR, RunState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np

    from tilewright.documents import Document
    from tilewright.sources.embeddings.facts import Contents
    from tilewright.sources.embeddings.names import Column, NamePattern
    from tilewright.sources.embeddings.storing import Lies
    from tilewright.sources.scan import Found

PLAN_NAME = "embeddings"
SOURCE = "tilewright.sources.embeddings"
NAMESPACE = uuid.UUID("b0c6d0ce-7c1e-5f0a-9d0e-2f6a1b7f4c21")
"""Ours: what follows from other things than a run's uid."""
_INTEGER = {"dtype": "integer", "dtype_numpy": "<i8"}
_NUMBER = {"dtype": "number", "dtype_numpy": "<f8"}
_TEXT = {"dtype": "string"}
_COLUMNS: dict[str, dict[str, Any]] = {
    "filename": _TEXT,
    "offset": {**_NUMBER, "units": "s"},
    "channel": _INTEGER,
    "file": _INTEGER,
    "record": {**_INTEGER, "units": "bytes"},
}
"""Of each row: the recording's name and the beginning of the window in it; the file's row in `files`, and the byte at which the
vector's record begins there."""
_ABOUT_FILE: dict[str, dict[str, Any]] = {
    "file": _TEXT,
    "fingerprint": _TEXT,
    "size": {**_INTEGER, "units": "bytes"},
    "records": _INTEGER,
    "first": _INTEGER,
    "rows": _INTEGER,
    "rejections": _INTEGER,
    "not_finite": _INTEGER,
    "overflowed": _INTEGER,
}
_ABOUT_REJECTED: dict[str, dict[str, Any]] = {
    "file": _TEXT,
    "record": {**_INTEGER, "units": "bytes"},
    "filename": _TEXT,
    "reason": _TEXT,
}


class RunDocuments(Composer[RunState]):
    """The documents of one run, made and learned.

    Parameters
    ----------
    uid
        Of the run.
    settings
        What the start document says beside the usual: dataset, model, pattern, …
    pattern
        Of the names of recordings.
    window
        Seconds from one window of a record to the next.
    dtype
        Of the vectors, as they are stored.
    """

    def __init__(
        self,
        uid: str,
        settings: Mapping[str, Any],
        pattern: NamePattern,
        window: float,
        dtype: np.dtype[Any],
    ) -> None:
        super().__init__(uid, RunState())
        self._dtype = dtype
        self._settings = settings
        self._pattern = pattern
        self._window = window

    def start(self, time: float, continues: str | None) -> list[Document]:
        """Return the start document.

        Parameters
        ----------
        time
            Seconds since 1970. It is that of all documents but the rows, for the same files are to make the same documents whenever they
            were copied.
        continues
            uid of the run before, if this one holds what came after its stop.
        """
        doc: dict[str, Any] = {
            "uid": self.uid,
            "time": time,
            "plan_name": PLAN_NAME,
            "source": SOURCE,
            **self._settings,
        }
        if continues is not None:
            doc["continues"] = continues
        return self._made([("start", doc)])

    def add(
        self, found: Found, fingerprint: str, contents: Contents, lies: Lies | None
    ) -> Iterator[Document]:
        """Yield the documents of a file.

        Parameters
        ----------
        lies
            Where its vectors are; None if it has none.
        """
        first = self.state.counts.get(EMBEDDINGS, 0)
        if lies is not None:
            yield from self._vectors(fingerprint, contents, lies, first)
            yield from self._rows(contents, first)
        if contents.rejected:
            yield from self._rejected(found, fingerprint, contents)
        data = {
            "file": found.name,
            "fingerprint": fingerprint,
            "size": found.size,
            "records": contents.records,
            "first": first,
            "rows": contents.rows,
            "rejections": len(contents.rejected),
            "not_finite": contents.not_finite,
            "overflowed": contents.overflowed,
        }
        yield from self._declared(FILES, _ABOUT_FILE)
        own, number = self._uid("file", fingerprint), self.state.counts[FILES] + 1
        of_stream, seconds = self.state.descriptors[FILES], self.state.start["time"]
        yield from self._made([event(own, of_stream, number, seconds, data)])

    def is_part_of(self, fingerprint: str, documents: Iterable[Document]) -> bool:
        """Say whether these are the first documents of a file."""
        uids = {self._uid("resource", fingerprint), self._uid("datum", fingerprint)}
        base = self._base("rejected", fingerprint)
        return any(
            doc["uid"] in uids
            if name in ("stream_resource", "stream_datum")
            else name == "event_page" and doc["uid"][0].startswith(base)
            for name, doc in documents
        )

    def are_of_a_file(self, documents: Iterable[Document]) -> bool:
        """Say whether any of these is about one file: no descriptor, nor the resource that all files share."""
        shared = self._uid("resource", "")
        return any(name != "descriptor" and doc["uid"] != shared for name, doc in documents)

    def stop(self) -> list[Document]:
        """Return the stop document."""
        return self._made([stop(self.uid, self.state.start["time"], self.state.counts)])

    def _vectors(self, fingerprint: str, contents: Contents, lies: Lies, first: int) -> Iterator[Document]:
        """Yield what says where the vectors of a file are."""
        keys = {
            VECTOR: {
                "dtype": "array",
                "dtype_numpy": self._dtype.str,
                "shape": [contents.dimension],
                "dims": ["dimension"],
                "external": "STREAM:",
            },
            **{column.name: _key(column) for column in self._pattern.columns},
            **_COLUMNS,
        }
        yield from self._declared(EMBEDDINGS, keys)
        of_resource = self._uid("resource", fingerprint if lies.is_of_file else "")
        if of_resource not in self.state.resources:
            of_file = resource(self.uid, of_resource, VECTOR, lies.mimetype, lies.uri, lies.parameters)
            yield from self._made([of_file])
        own, of_stream = self._uid("datum", fingerprint), self.state.descriptors[EMBEDDINGS]
        rows = contents.rows
        yield from self._made(
            [datum(own, of_resource, of_stream, first=first, count=rows, number=first + 1, rows=rows)]
        )

    def _rows(self, contents: Contents, first: int) -> Iterator[Document]:
        base, number = self._base("row"), first + 1
        file = self.state.counts.get(FILES, 0)
        for page in pages(contents, self._pattern, file, self._window):
            yield from self._made([self._page(EMBEDDINGS, base, number, page.time, page.data)])
            number += len(page.time)

    def _rejected(self, found: Found, fingerprint: str, contents: Contents) -> Iterator[Document]:
        yield from self._declared(REJECTED, _ABOUT_REJECTED)
        rejected = contents.rejected
        data: dict[str, list[Any]] = {
            "file": [found.name] * len(rejected),
            "record": [each.record for each in rejected],
            "filename": [each.filename for each in rejected],
            "reason": [each.reason for each in rejected],
        }
        number = self.state.counts[REJECTED] + 1
        time = [self.state.start["time"]] * len(rejected)
        base = self._base("rejected", fingerprint)
        yield from self._made([self._page(REJECTED, base, number, time, data)])

    def _page(
        self, stream: str, base: str, number: int, time: list[float], data: dict[str, list[Any]]
    ) -> Document:
        numbers = range(number, number + len(time))
        return "event_page", {
            "descriptor": self.state.descriptors[stream],
            "uid": [f"{base}-{each:012x}" for each in numbers],
            "time": time,
            "seq_num": list(numbers),
            "data": data,
            "timestamps": dict.fromkeys(data, time),
            "filled": {},
        }

    def _declared(self, stream: str, keys: dict[str, dict[str, Any]]) -> list[Document]:
        """Return the descriptor of a stream, if it has none yet."""
        if stream in self.state.descriptors:
            return []
        source = f"embeddings:{self._settings['dataset']}"
        whole = {
            name: {"shape": [], **key, "source": source, "object_name": stream} for name, key in keys.items()
        }
        return self._made([descriptor(self.uid, stream, self.state.start["time"], whole)])

    def _base(self, kind: str, *of: str) -> str:
        """Return what the uids of rows begin with; their number follows."""
        return self._uid(kind, *of)[:23]


def _key(column: Column) -> dict[str, Any]:
    key = dict(_INTEGER if column.dtype == "integer" else _TEXT)
    return key if column.units is None else {**key, "units": column.units}
