"""Whether a journal is that of a run that is there: `run` asks before it touches one that has been delivered before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tilewright.delivery.plan import RunPlan
from tilewright.documents import Translator
from tilewright.journal import JournalReader
from tilewright.tables.values import convert
from tilewright.tables.wire import checksum

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tilewright.delivery.plan import StreamPlan

CHUNK_BYTES = 4 << 20


def contradiction(reader: JournalReader, metadata: dict[str, Any]) -> str | None:
    """Say what a run that has been delivered before has, that a journal has not or has otherwise; None if nothing.

    A journal may go on where the run ends, as one does that was cut off and taken up again. But one that was copied while
    it was written, or that holds another run under the same uid, must not have the catalog's run cut down to it.

    Parameters
    ----------
    reader
        The journal; another one is opened on it.
    metadata
        The run's, in the catalog, with the report of its delivery.
    """
    report = metadata.get("tilewright") or {}
    orders = report.get("seq_num_crc32") or {}
    rows = {key: count for key, count in (report.get("rows") or {}).items() if count}
    seen = dict.fromkeys(rows, 0)
    order = dict.fromkeys(rows, 0)
    stopped = False
    with JournalReader(reader.path, reader.tail) as again:
        plan = RunPlan()
        for key, column in _seq_nums(again, plan):
            if seen.get(key, 0) < rows.get(key, 0):
                part = column.slice(0, rows[key] - seen[key])
                order[key] = checksum(part, order[key])
                seen[key] += len(part)
        stopped = plan.stop is not None
    for key, count in rows.items():
        if seen[key] < count:
            return f"{count} rows of {key}, the journal has {seen[key]}"
        if key in orders and order[key] != orders[key]:
            return f"other rows of {key} than the journal"
    return "a stop document, the journal has none" if "stop" in metadata and not stopped else None


def _seq_nums(reader: JournalReader, plan: RunPlan) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """Yield the `seq_num` of all rows of a journal, piece by piece, with the keys of their streams."""
    translator = Translator(spec_to_mimetype=reader.header.spec_to_mimetype)
    while (documents := reader.read(CHUNK_BYTES)) or reader.give_up_tail():
        for document in documents:
            for name, doc in translator.translate(*document):
                plan.consume(name, doc)
        for key, stream in plan.streams.items():
            yield from ((key, column) for column in _columns(stream))


def _columns(stream: StreamPlan) -> Iterator[pa.ChunkedArray]:
    column = stream.schema.columns[0]
    for page in stream.pending():
        values = list(page[column.key])
        converted = convert(values, column.type, widens=column.widens)
        if converted.widened is not None:
            converted = convert(values, converted.widened, widens=False)
        yield pa.chunked_array([converted.array])
    stream.sent()
