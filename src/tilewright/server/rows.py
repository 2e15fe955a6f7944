"""The rows of a table, sent while they are being packed: columns or a selection are asked for, an Arrow stream goes out.

`tilewright.server.catalog` mounts the router beside Tiled's routes; `tilewright.clients` asks it, and Tiled's own
`/table/full` where a server has no such route. That one makes a hash of all values for an ETag, packs them all, and
only then begins to send.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import pyarrow as pa
from fastapi import APIRouter, Body, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.status import HTTP_400_BAD_REQUEST, HTTP_404_NOT_FOUND
from tiled.catalog.adapter import CatalogContainerAdapter, CatalogTableAdapter
from tiled.structures.core import StructureFamily

from tilewright.errors import InputError
from tilewright.server.access import admit, settings_of
from tilewright.server.nodes import Nodes
from tilewright.server.tables import TableAdapter
from tilewright.tables.selection import MORE, Selection, increases

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
    asked: Annotated[Annotated[list[str], Field(min_length=1)] | dict[str, Any], Body()],
    unless_increasing: str | None = None,
) -> StreamingResponse:
    """Send rows of a table in the order they were appended.

    The body is a list of columns, of which all rows are sent, or a `Selection`, of which as many rows are sent as the
    server gives at once: if more may follow, the answer has the header `MORE`. `unless_increasing` is for lists alone: a
    column to send besides, unless its values increase from each row to the next; by it, the client tells which rows
    were taken again.

    404 where Tiled's own route has to be asked: the table does not lie in a database. 400 and Tiled's messages for a
    column that is not there, and for more bytes than the server is set to give at once; 400 and what is wrong for a
    selection that cannot be read, or does not fit the table.
    """
    limit = settings_of(request).response_bytesize_limit
    adapter = await _adapter(request, path)
    more = False
    try:
        if isinstance(asked, list):
            table = await anyio.to_thread.run_sync(_read, adapter, asked, unless_increasing)
        else:
            table, more = await anyio.to_thread.run_sync(adapter.select, Selection.from_json(asked), limit)
    except KeyError as error:
        raise HTTPException(HTTP_400_BAD_REQUEST, f"No such field {error.args[0]}.") from error
    except InputError as error:
        raise HTTPException(HTTP_400_BAD_REQUEST, str(error)) from error
    if isinstance(asked, list) and table.nbytes > limit:
        detail = f"Response would exceed {limit}. Select a subset of the columns."
        raise HTTPException(HTTP_400_BAD_REQUEST, detail)
    request.state.endpoint = "data"
    headers = {MORE: "true"} if more else {}
    return StreamingResponse(_pieces(table), media_type=ARROW_STREAM, headers=headers)


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
    return table.drop_columns([unless_increasing]) if increases(table[unless_increasing]) else table


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
