"""A node and what is directly in it: a path comes in, and all of these described as Tiled does it go out.

`tilewright.server.catalog` mounts the router beside Tiled's routes; `tilewright.clients` asks it, and asks Tiled's own
`/metadata` and `/search` where a server has no such route. That is two requests, or more where there are many parts.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, HTTPException, Request
from sqlalchemy import or_, select
from starlette.status import HTTP_404_NOT_FOUND
from tiled.catalog import orm
from tiled.catalog.adapter import STRUCTURES, CatalogContainerAdapter
from tiled.server import schemas
from tiled.server.core import MsgpackResponse, construct_resource
from tiled.server.utils import get_base_url

from tilewright.server.access import admit_to_catalog, settings_of
from tilewright.server.nodes import Nodes

if TYPE_CHECKING:
    from starlette.responses import Response
    from tiled.catalog.adapter import CatalogNodeAdapter

    from tilewright.server.nodes import Path

_DESCRIPTIONS = [
    schemas.Resource[schemas.NodeAttributes, schemas.ContainerLinks, schemas.ContainerMeta],
    *(
        schemas.Resource[schemas.NodeAttributes, links, schemas.EmptyDict]
        for links in schemas.resource_links_type_by_structure_family.values()
    ),
]
"""What Tiled describes nodes as: pydantic forgets such a class when nobody holds it, and takes a millisecond to make it."""

router = APIRouter()


@router.get("/tilewright/parts/{path:path}", include_in_schema=False)
async def parts(request: Request, path: str) -> Response:
    """Describe a container, and each node in it, in the order in which they were added.

    404 where Tiled's own routes have to be asked: see `admit_to_catalog`; also for what is inside a file.
    """
    root = await admit_to_catalog(request, "")
    keys = tuple(key for key in path.split("/") if key)
    container, *inside = await _container_and_parts(root, keys)
    if not isinstance(container, CatalogContainerAdapter) or container.node.data_sources:
        raise HTTPException(HTTP_404_NOT_FOUND, "Only containers of a catalog are described here.")
    request.state.endpoint = "search"
    describe = partial(
        construct_resource,
        get_base_url(request),
        fields=list(schemas.EntryFields),
        select_metadata=None,
        omit_links=False,
        include_data_sources=False,
        media_type=MsgpackResponse.media_type,
        max_depth=None,
        exact_count_limit=settings_of(request).exact_count_limit,
    )
    described: list[dict[str, Any]] = [
        (await describe([*keys, *more], node)).model_dump()
        for more, node in [([], container), *(([node.key], node) for node in inside)]
    ]
    response: Response = MsgpackResponse(described, metrics=request.state.metrics)
    return response


async def _container_and_parts(root: CatalogContainerAdapter, path: Path) -> list[CatalogNodeAdapter]:
    """Return the node at a path below `root`, and then its children, with one query for all of them."""
    node_id = (await Nodes(root).find(path)).id if path else root.node.id
    query = select(orm.Node).where(or_(orm.Node.id == node_id, orm.Node.parent == node_id))
    async with root.context.session() as db:
        nodes = (await db.execute(query.order_by(*root.order_by_clauses))).scalars().all()
    found = {node.id: STRUCTURES[node.structure_family](root.context, node) for node in nodes}
    container = found.pop(node_id, None)
    if not path:
        container = root  # which knows more of itself than the database does
    if container is None:
        raise HTTPException(HTTP_404_NOT_FOUND, f"No such entry: {list(path)}")
    return [container, *found.values()]
