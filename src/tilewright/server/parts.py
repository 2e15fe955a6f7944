"""A node and what is directly in it: a path comes in, and all of these described as Tiled does it go out.

`tilewright.server.catalog` mounts the router beside Tiled's routes; `tilewright.clients` asks it, and asks Tiled's own
`/metadata` and `/search` where a server has no such route. That is two requests, or more where there are many parts.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from tiled.server.core import MsgpackResponse, construct_resource
from tiled.server.schemas import EntryFields
from tiled.server.utils import get_base_url

from tilewright.server.access import admit_to_catalog, settings_of

if TYPE_CHECKING:
    from starlette.responses import Response

router = APIRouter()


@router.get("/tilewright/parts/{path:path}", include_in_schema=False)
async def parts(request: Request, path: str) -> Response:
    """Describe a container, and each node in it, in the order in which they were added.

    404 where Tiled's own routes have to be asked: see `admit_to_catalog`.
    """
    container = await admit_to_catalog(request, path)
    request.state.endpoint = "search"
    here = [key for key in path.split("/") if key]
    nodes = [(here, container), *(([*here, key], node) for key, node in await container.items_range())]
    describe = partial(
        construct_resource,
        get_base_url(request),
        fields=list(EntryFields),
        select_metadata=None,
        omit_links=False,
        include_data_sources=False,
        media_type=MsgpackResponse.media_type,
        max_depth=None,
        exact_count_limit=settings_of(request).exact_count_limit,
    )
    described: list[dict[str, Any]] = [(await describe(keys, node)).model_dump() for keys, node in nodes]
    response: Response = MsgpackResponse(described, metrics=request.state.metrics)
    return response
