"""The files behind a run, as the server finds them: a run's path comes in, a line for each of its arrays goes out.

`tilewright.server.catalog` mounts the router beside Tiled's routes; `Run.verify(files=True)` asks it, because it is the
server that has to read the files. Where a server has no such route, the client looks at them from its own machine.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import select
from starlette.status import HTTP_404_NOT_FOUND
from tiled.catalog import orm
from tiled.catalog.adapter import STRUCTURES
from tiled.server.schemas import Management
from tiled.utils import path_from_uri

from tilewright.delivery.plan import RUN_SPECS, STREAM_SPECS
from tilewright.delivery.verify import MOST_PROBLEMS
from tilewright.formats.looking import examine
from tilewright.server import sources
from tilewright.server.access import admit_to_catalog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tiled.catalog.adapter import CatalogContainerAdapter, CatalogNodeAdapter

SCOPES = ["read:metadata", "read:data"]

_SIGN_OF_LIFE_SECONDS = 5.0
"""After so long without an answer an empty line is sent: many files take longer than a client waits in silence."""
_OUTSIDE = "is outside the server's readable_storage"
_SPECS = frozenset(spec["name"] for spec in (*RUN_SPECS, *STREAM_SPECS))

router = APIRouter()


@router.get("/tilewright/files/{path:path}", include_in_schema=False)
async def files(request: Request, path: str) -> StreamingResponse:
    """Look at the files of each array in a run or stream: lines of JSON, each an array's; empty lines in between.

    404 where the client has to look itself: see `admit_to_catalog`; also for what is no run and no stream.
    """
    container = await admit_to_catalog(request, path, SCOPES)
    if not _SPECS & {spec.name for spec in container.specs}:
        raise HTTPException(HTTP_404_NOT_FOUND, "Only files of runs and of their streams are looked at.")
    request.state.endpoint = "data"
    return StreamingResponse(_lines(container), media_type="application/x-ndjson")


async def _lines(container: CatalogContainerAdapter) -> AsyncIterator[bytes]:
    for path, node in await _external(container):
        work = asyncio.ensure_future(_examined(path, node))
        try:
            while not (await asyncio.wait({work}, timeout=_SIGN_OF_LIFE_SECONDS))[0]:
                yield b"\n"
        finally:
            work.cancel()  # if the client has gone
        yield json.dumps(work.result()).encode() + b"\n"


async def _external(container: CatalogContainerAdapter) -> list[tuple[list[str], CatalogNodeAdapter]]:
    """Return the nodes below a container whose files are somebody else's, and their paths from there."""
    found: list[tuple[list[str], CatalogNodeAdapter]] = []
    level: dict[int, list[str]] = {container.node.id: []}
    while level:
        query = select(orm.Node).where(orm.Node.parent.in_(level)).order_by(orm.Node.id)
        async with container.context.session() as db:
            nodes = (await db.execute(query)).scalars().all()
        paths = {node.id: [*level[node.parent], node.key] for node in nodes}
        level = {node.id: paths[node.id] for node in nodes if not node.data_sources}
        found += [
            (paths[node.id], STRUCTURES[node.structure_family](container.context, node))
            for node in nodes
            if any(source.management == Management.external for source in node.data_sources)
        ]
    return found


async def _examined(path: list[str], node: CatalogNodeAdapter) -> dict[str, Any]:
    """Look at the files of one node; in a thread, for a disk or a network may be slow."""
    (theirs,) = await node.data_sources(include_assets=True)
    source, assets = sources.described(theirs), sources.assets_of(theirs)
    verdict = await anyio.to_thread.run_sync(examine, source, assets, refusal(node))
    return {
        "path": path,
        "id": theirs.id,
        "files": len(assets),
        "source": asdict(source),
        "verdict": asdict(verdict.bounded(MOST_PROBLEMS)),
    }


def refusal(node: CatalogNodeAdapter) -> Callable[[str], str]:
    """Return what says why a file must not be opened: what Tiled says before it opens one, and more strictly.

    Tiled takes `..` for a name, and has nothing against what is no `file:` address; it follows links, as we do. Any node of
    a catalog says the same.
    """

    def reason(uri: str) -> str:
        path = path_from_uri(uri)
        plain = os.path.normpath(path)
        try:
            node._ensure_uri_within_readable_storage(uri)  # noqa: SLF001
            if plain != str(path) or not uri.startswith("file:"):  # else it was the same question
                node._ensure_uri_within_readable_storage(f"file://localhost{plain}")  # noqa: SLF001
        except (RuntimeError, ValueError):
            return _OUTSIDE
        return "" if Path(plain).is_absolute() else _OUTSIDE

    return reason
