"""Many steps of a delivery in one request: a route of our own beside Tiled's.

`tilewright.delivery.steps` says what the steps are. Each does what one of Tiled's routes does, and no more: it needs the
same scopes, and ends in the same catalog and storage. A server that has more to ask of each request than this route does
(an access policy, webhooks, specs that have to be declared) refuses it, and is spoken to in Tiled's own requests.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio
import ormsgpack
import pyarrow as pa
from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from tiled.catalog.adapter import CatalogContainerAdapter
from tiled.server.schemas import DataSource, PostMetadataRequest

from tilewright.delivery.remote import BUNDLE_ROUTE, MSGPACK
from tilewright.server.access import admit, settings_of
from tilewright.server.nodes import Nodes
from tilewright.server.readable import unreadable
from tilewright.server.sources import rows_of
from tilewright.tables.wire import ARROW_FILE, FIRST_ROW, checksum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tilewright.server.nodes import Node, Path
    from tilewright.server.tables import TableAdapter

logger = logging.getLogger(__name__)

SCOPES = ["read:metadata", "read:data", "write:metadata", "write:data", "create:node", "register"]
"""What the steps together need; the key of `serve` has them all."""
_NOT_IMPLEMENTED = 501
_FAILED = 500

router = APIRouter()


@router.post(f"/{BUNDLE_ROUTE}/{{path:path}}", include_in_schema=False)
async def take_bundle(request: Request, path: str) -> Response:
    """Take the steps in order, up to the first after which the rest makes no sense; answer each of them."""
    root = await admit(request, path, SCOPES)
    if (
        request.app.state.access_policy is not None
        or settings_of(request).reject_undeclared_specs
        or not isinstance(root, CatalogContainerAdapter)
        or root.context.webhook_dispatcher is not None
    ):
        raise HTTPException(_NOT_IMPLEMENTED, "This server takes no bundles of steps.")
    steps = ormsgpack.unpackb(await request.body())["steps"]
    answers = await _Bundle(root).take(steps)
    return Response(ormsgpack.packb({"answers": answers}), media_type=MSGPACK)


class _Bundle:
    """The steps of one request.

    Parameters
    ----------
    root
        The container that their paths start from.
    """

    def __init__(self, root: CatalogContainerAdapter) -> None:
        self._root = root
        self._context = root.context
        self._nodes = Nodes(root)

    async def take(self, steps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Take the steps; return an answer to each, up to one that has failed or does not hold."""
        answers: list[dict[str, Any]] = []
        while len(answers) < len(steps):
            group = _group(steps[len(answers) :])
            try:
                answers += await self._take(group)
            except HTTPException as refusal:
                return [*answers, {"status": refusal.status_code, "detail": str(refusal.detail)}]
            except Exception as error:
                logger.exception("A step failed: %s of %s", group[0]["do"], group[0]["path"])
                return [*answers, {"status": _FAILED, "detail": f"{type(error).__name__}: {error}"}]
            if not answers[-1].get("holds", True):
                break
        return answers

    async def _take(self, group: list[dict[str, Any]]) -> list[dict[str, Any]]:
        step = group[0]
        path = tuple(step["path"])
        match step["do"]:
            case "create":
                return await self._create(group)
            case "append":
                await self._append(path, step["rows"])
            case "write" | "extend":
                await self._nodes.lengthen(path, step)
            case "set":
                await self._nodes.set_items(path, step["items"])
            case "close":
                await self._nodes.adapter(await self._nodes.find(path)).close_stream()
            case _:
                return [await self._answered(path, step)]
        return [{}]

    async def _answered(self, path: Path, step: dict[str, Any]) -> dict[str, Any]:
        """Take a step of which the delivery has to know what came of it."""
        match step["do"]:
            case "check":
                return await self._check(path, step["column"], step["rows"], step["order"])
            case "measure":
                return {"holds": await self._nodes.length(path) == step["rows"]}
            case "look":
                found = await unreadable(self._root, step["directories"])
                return {"unreadable": found, "holds": not found}
            case "look_again":
                return {"rows": await self._nodes.look_again(path, step["source"])}
        source = DataSource.model_validate(step["data_source"])
        return {"rows": await self._nodes.update_source(path, source, growing=step.get("growing", False))}

    async def _create(self, group: list[dict[str, Any]]) -> list[dict[str, Any]]:
        wanted = [(tuple(step["path"]), _described(step)) for step in group]
        made = await self._nodes.create(wanted, [step.get("growing", False) for step in group])
        return [_answer(node) for node in made]

    async def _append(self, path: Path, rows: bytes) -> None:
        node = await self._nodes.find(path)
        table = await self._nodes.table(node)
        if self._context.streaming_cache:  # subscribers are told as Tiled tells them
            await self._nodes.adapter(node)._stream(ARROW_FILE, None, rows, 0, append=True)  # noqa: SLF001
        await anyio.to_thread.run_sync(_append, table, rows)

    async def _check(self, path: Path, column: str, rows: int, order: int | None) -> dict[str, Any]:
        table = await self._nodes.table(await self._nodes.find(path))
        found = (await anyio.to_thread.run_sync(table.read_arrow, [column])).column(0)
        there = 0 if order is None else checksum(found)
        return {"rows": len(found), "order": there, "holds": len(found) == rows and order in (None, there)}


def _answer(node: Node | None) -> dict[str, Any]:
    """Say what became of a node that was to be made."""
    source = None if node is None else node.source
    about = (
        None if source is None else {"id": source.id, "mimetype": source.mimetype, "rows": rows_of(source)}
    )
    return {"created": node is not None, "holds": node is not None, "data_source": about}


def _group(steps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first step, and those after it that are taken together with it."""
    group = [steps[0]]
    for step in steps[1:]:
        if not step["do"] == group[0]["do"] == "create":
            break
        group.append(step)
    return group


def _described(step: dict[str, Any]) -> PostMetadataRequest:
    """Return what is asked for as Tiled's own route takes it, checked as there."""
    sources = [] if step["data_source"] is None else [step["data_source"]]
    return PostMetadataRequest(
        id=step["path"][-1],
        structure_family=step["family"],
        metadata=step["metadata"],
        specs=step["specs"],
        data_sources=sources,
    )


def _append(table: TableAdapter, content: bytes) -> None:
    rows = pa.ipc.open_file(content).read_all()
    first_row = int(rows.schema.metadata[FIRST_ROW.encode()])
    table.append_rows(rows.replace_schema_metadata(), first_row)
