"""Many nodes in one answer: a container, a search and parts of the metadata come in, a line for each node goes out.

`tilewright.server.catalog` mounts the router beside Tiled's routes; `tilewright.clients` asks it, and asks Tiled's own
`/search` where a server has no such route. That gives 300 nodes an answer, and loads the whole of each.
"""

# No `from __future__ import annotations`: Tiled's decorator hands the annotations on, and FastAPI evaluates them in
# the namespace of Tiled's module.

import json
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import ColumnElement, Select, String, cast, literal, select
from tiled.catalog import orm
from tiled.catalog.adapter import CatalogContainerAdapter
from tiled.query_registration import default_query_registry
from tiled.server.core import apply_search
from tiled.server.dependencies import sorting_param
from tiled.server.router import _patch_route_signature

from tilewright.server.access import admit_to_catalog

_NODES_AT_ONCE = 1_000
"""Nodes that are in memory, and travel, together."""

Place = Annotated[str, Query(pattern=r"^\w+(\.\w+)*$")]
"""Where a value stands in the metadata: "start.uid"."""

router = APIRouter()


@router.get("/tilewright/listing/{path:path}")
@_patch_route_signature(default_query_registry)  # type: ignore[untyped-decorator]  # the searches of Tiled's `/search`
async def listing(
    request: Request,
    path: str,
    value: Annotated[list[Place], Query(min_length=1)],
    limit: Annotated[int | None, Query(ge=1)] = None,
    sort: Annotated[list[tuple[str, Literal[1, -1]]] | None, Depends(sorting_param)] = None,
    **filters: Any,
) -> StreamingResponse:
    """List the nodes in a container: lines of JSON, each an array of the node's key and its values.

    A value is null where there is none. `limit` is the most nodes to give. 404 where Tiled's own route has to be asked:
    see `admit_to_catalog`.
    """
    container = await admit_to_catalog(request, path)
    container = await apply_search(container, filters, default_query_registry)
    request.state.endpoint = "search"
    if sort:
        container = container.sort(sort)
    return StreamingResponse(_lines(container, value, limit), media_type="application/x-ndjson")


async def _lines(
    container: CatalogContainerAdapter, places: Sequence[str], limit: int | None
) -> AsyncIterator[bytes]:
    """Yield lines as they come out of the database, which gives the values as JSON: nothing is parsed here."""
    dialect = container.context.engine.dialect.name
    values = [_json(dialect, place) for place in places]
    async with container.context.session() as session:
        rows = await session.stream(_statement(container, values, limit))
        async for several in rows.partitions(_NODES_AT_ONCE):
            yield b"".join(_line(key, values) for key, *values in several)


def _line(key: str, values: Sequence[str | None]) -> bytes:
    return f"[{json.dumps(key)},{','.join(value or 'null' for value in values)}]\n".encode()


def _statement(
    container: CatalogContainerAdapter, values: Sequence[ColumnElement[str]], limit: int | None
) -> Select[Any]:
    children: Select[Any] = container._scoped(select(orm.Node.key, *values))  # noqa: SLF001 (as in Tiled's own listings)
    return children.order_by(*container.order_by_clauses).limit(limit)


def _json(dialect: str, place: str) -> ColumnElement[str]:
    """Return what stands at a place of the metadata as the JSON text that is stored: numbers keep every digit."""
    if dialect == "sqlite":  # where SQLAlchemy's own way rounds numbers to 15 digits
        path = "".join(f'."{name}"' for name in place.split("."))
        arrow = orm.Node.metadata_.op("->", return_type=String())
        text: ColumnElement[str] = arrow(literal(f"${path}", String()))
        return text
    return cast(orm.Node.metadata_[place.split(".")], String)
