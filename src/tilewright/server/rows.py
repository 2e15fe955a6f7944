"""The rows of a table, sent while they are being packed: columns are asked for, an Arrow stream goes out.

`tilewright.server.catalog` mounts the router beside Tiled's routes; `tilewright.clients` asks it, and Tiled's own
`/table/full` where a server has no such route. That one makes a hash of all values for an ETag, packs them all, and
only then begins to send.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Annotated

import anyio
import pyarrow as pa
from fastapi import APIRouter, Body, HTTPException, Request
from fastapi.responses import StreamingResponse
from starlette.status import HTTP_400_BAD_REQUEST, HTTP_404_NOT_FOUND
from tiled.catalog.adapter import CatalogContainerAdapter, CatalogTableAdapter
from tiled.structures.core import StructureFamily

from tilewright.server.access import admit, settings_of
from tilewright.server.nodes import Nodes
from tilewright.server.tables import TableAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ARROW_STREAM = "application/vnd.apache.arrow.stream"

SCOPES = ["read:data"]

_PIECE_BYTES = 1 << 20
"""About what travels at once: less costs more calls, more leaves the client waiting."""

router = APIRouter()


@router.post("/tilewright/rows/{path:path}")
async def rows(
    request: Request,
    path: str,
    columns: Annotated[list[str], Body(min_length=1)],
    unless_increasing: str | None = None,
) -> StreamingResponse:
    """Send columns of a table, all rows in the order they were appended.

    `unless_increasing` is a column to send besides, unless its values increase from each row to the next: by it, the
    client tells which rows were taken again.

    404 where Tiled's own route has to be asked: the table does not lie in a database. 400 and Tiled's messages for a
    column that is not there, and for more bytes than the server is set to give at once.
    """
    adapter = await _adapter(request, path)
    try:
        table = await anyio.to_thread.run_sync(_read, adapter, columns, unless_increasing)
    except KeyError as error:
        raise HTTPException(HTTP_400_BAD_REQUEST, f"No such field {error.args[0]}.") from error
    limit = settings_of(request).response_bytesize_limit
    if table.nbytes > limit:
        detail = f"Response would exceed {limit}. Select a subset of the columns."
        raise HTTPException(HTTP_400_BAD_REQUEST, detail)
    request.state.endpoint = "data"
    return StreamingResponse(_pieces(table), media_type=ARROW_STREAM)


async def _adapter(request: Request, path: str) -> TableAdapter:
    """Return the adapter of a table; of one that was asked for before, with a single query."""
    if request.app.state.access_policy is None:
        root = await admit(request, "", SCOPES)
        if isinstance(root, CatalogContainerAdapter):
            nodes = Nodes(root)
            return await nodes.table(await nodes.find(tuple(key for key in path.split("/") if key)))
    entry = await admit(request, path, SCOPES, {StructureFamily.table})
    adapter = await entry.get_adapter() if isinstance(entry, CatalogTableAdapter) else entry
    if not isinstance(adapter, TableAdapter):
        raise HTTPException(HTTP_404_NOT_FOUND, "This table is not in a database: use /table/full.")
    return adapter


def _read(adapter: TableAdapter, columns: list[str], unless_increasing: str | None) -> pa.Table:
    if unless_increasing is None or unless_increasing in columns:
        return adapter.read_arrow(columns)
    table = adapter.read_arrow([*columns, unless_increasing])
    return table.drop_columns([unless_increasing]) if _increases(table[unless_increasing]) else table


def _increases(column: pa.ChunkedArray) -> bool:
    """Say whether a column has whole numbers, each greater than the one before.

    >>> [_increases(pa.chunked_array([part])) for part in ([1, 2, 4], [1, 2, 2], [1, None, 3], [0.5, 1.5])]
    [True, False, False, False]
    """
    if column.null_count or not pa.types.is_integer(column.type):
        return False
    values = column.to_numpy()
    return bool((values[1:] > values[:-1]).all())


async def _pieces(table: pa.Table) -> AsyncIterator[bytes]:
    """Yield the table as an Arrow stream, about `_PIECE_BYTES` at a time."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for batch in table.to_batches():
            writer.write_batch(batch)
            if sink.tell() >= _PIECE_BYTES:
                yield sink.getvalue()
                sink.seek(0)
                sink.truncate()
    yield sink.getvalue()
