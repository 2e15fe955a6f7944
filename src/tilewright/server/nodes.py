"""Nodes of a catalog, found and made many at a time; called by `bundles`, and by `rows` for tables.

Tiled's `create_node` takes some ten queries and a commit for each node, and its `get_entry` three for each key on the way
to a node. Each is 0.5 to 1 ms, for it goes to another thread and back. Here nodes are made in one transaction and found
with one query, once a request. What is in the catalog then, and what live subscribers are told, is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import anyio
from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError
from starlette.exceptions import HTTPException
from tiled.catalog import orm
from tiled.catalog.adapter import STORAGE_ADAPTERS_BY_MIMETYPE, STRUCTURES
from tiled.mimetypes import TILED_SQL_TABLE_MIMETYPE
from tiled.server.schemas import Management
from tiled.structures.core import StructureFamily
from tiled.utils import ensure_awaitable

from tilewright.server import arrays, sources
from tilewright.server import growing as published
from tilewright.server.tables import TableAdapter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection
    from tiled.catalog.adapter import CatalogContainerAdapter, CatalogNodeAdapter
    from tiled.server.schemas import DataSource, PostMetadataRequest

Path = tuple[str, ...]

_TRIES = 3
"""How often nodes are tried to be made when somebody else makes some of them at that moment."""
_NOT_FOUND, _NOT_ALLOWED, _CONFLICT, _UNKNOWN_TYPE = 404, 405, 409, 415
_NODES: Any = orm.Node.__table__
_MOST_TABLES = 256
"""How many tables' adapters are kept for the next request."""
_tables: WeakKeyDictionary[Any, dict[tuple[Any, ...], TableAdapter]] = WeakKeyDictionary()
"""By catalog, the adapters of the tables that were written or read last.

By where their rows are in the storage: the catalog gives the id of a node that was deleted to another one.
"""


@dataclass(frozen=True, slots=True)
class Node:
    """A node as the catalog has it."""

    id: int
    parent: int
    key: str
    family: StructureFamily
    metadata: dict[str, Any]
    specs: list[dict[str, Any]]
    source_id: int | None = None
    """Of its data source."""
    parameters: dict[str, Any] | None = None
    """Of its data source: those of a table tell where its rows are."""
    source: DataSource | None = None
    """Its data source, if it has been made just now."""


class Nodes:
    """The nodes below a container, for the time of one request.

    Parameters
    ----------
    root
        The container that paths start from.
    """

    def __init__(self, root: CatalogContainerAdapter) -> None:
        self._root = root
        self._context = root.context
        self._found: dict[Path, Node] = {}
        self._above: Path | None = None
        """Path of `root` itself, once a place for data is named by it."""

    async def find(self, path: Path) -> Node:
        """Return a node.

        Raises
        ------
        HTTPException
            404 if there is none.
        """
        if path not in self._found:
            async with self._context.engine.connect() as db:
                self._found[path] = await self._find(db, path)
        return self._found[path]

    async def create(
        self, wanted: Sequence[tuple[Path, PostMetadataRequest]], growing: Sequence[bool]
    ) -> list[Node | None]:
        """Make nodes, each after the one it lies in, up to the first one that is there already or cannot be made.

        Parameters
        ----------
        wanted
            The nodes.
        growing
            Of each, whether only that is published of its files which can be read now.

        Returns
        -------
        Those made, and None for the one that is there.

        Raises
        ------
        HTTPException
            If the first one cannot be made: what it is to lie in is not there, or nothing to read or hold its data.
        """
        for (_path, request), grows in zip(wanted, growing, strict=True):
            if grows:
                request.data_sources = [
                    await published.first(self._root, each) for each in request.data_sources
                ]
        if self._above is None and any(request.data_sources for _, request in wanted):
            self._above = tuple(await self._root.path_segments())
        for _ in range(_TRIES):
            try:
                made = await self._create(wanted)
            except IntegrityError:  # somebody makes one of them at this moment: now it is found
                continue
            for (path, _request), node in zip(wanted, made, strict=False):
                if node is not None:
                    self._found[path] = node
                    await self._tell_of_child(node)
            return made
        raise HTTPException(_CONFLICT, f"{wanted[0][0]} is being made by somebody else")

    async def update_source(self, path: Path, source: DataSource, *, growing: bool = False) -> int | None:
        """Replace a data source's structure and parameters, and add the files it names to those it has.

        Parameters
        ----------
        path
            Of its node.
        source
            What is promised of it.
        growing
            Whether only that is published which can be read now.

        Returns
        -------
        The rows that are published of an array.

        Raises
        ------
        HTTPException
            404 if there is no such node or data source.
        """
        node = await self.find(path)
        async with published.lock_of(self._context, source.id):
            shown = await published.later(self._root, source) if growing else source
            if shown is not None:
                return await self._replace(node, shown)
            async with self._context.engine.begin() as db:
                await sources.add_files(db, self._root.insert, source.id, source.assets)
                return (await sources.extent(db, source)).rows

    async def look_again(self, path: Path, source_id: int) -> int | None:
        """Publish what can be read by now of the files of an array; return how many rows that are.

        Raises
        ------
        HTTPException
            404 if there is no such node or data source.
        """
        node = await self.find(path)
        async with published.lock_of(self._context, source_id):
            async with self._context.engine.connect() as db:
                promise = await sources.promise(db, node.id, source_id)
                if promise.structure_family != StructureFamily.array:
                    return None
                before = (await sources.extent(db, promise)).rows
            shown = await published.again(self._root, promise, before)
            return before if sources.rows_of(shown) == before else await self._replace(node, shown)

    async def _replace(self, node: Node, source: DataSource) -> int | None:
        """Replace a data source, and tell live subscribers."""
        async with self._context.engine.begin() as db:
            await sources.update(db, self._root.insert, node.id, source)
        if source.structure_family == StructureFamily.array:
            shape = sources.as_json(source)["shape"]
            await self._tell(
                node.id,
                {"type": "array-ref", "data_source": source.model_dump(), "patch": None, "shape": shape},
            )
        return sources.rows_of(source)

    async def length(self, path: Path) -> int:
        """Return how many rows an array has."""
        (source,) = await self.adapter(await self.find(path)).data_sources(include_assets=True)
        return int(source.structure.shape[0])

    async def lengthen(self, path: Path, step: dict[str, Any]) -> None:
        """Take the step `write` or `extend` of an array; see `tilewright.server.arrays`."""
        node = await self.find(path)
        take = arrays.write if step["do"] == "write" else arrays.extend
        async with arrays.lock_of(self._context):
            source = await take(self.adapter(node), step)
            if source is None:
                return
            async with self._context.engine.begin() as db:
                await sources.set_structure(db, self._root.insert, source)
        if step["do"] == "write":  # of a ragged array Tiled's client (0.2.20) understands no message
            await self._tell(node.id, arrays.message_of(source, step))

    async def set_items(self, path: Path, items: dict[str, Any]) -> None:
        """Set top-level items of a node's metadata."""
        node = await self.find(path)
        metadata = {**node.metadata, **items}
        await self.adapter(node).replace_metadata(metadata, drop_revision=True)
        self._found[path] = replace(node, metadata=metadata)

    def adapter(self, node: Node) -> CatalogNodeAdapter:
        """Return Tiled's adapter of a node, for what needs no more of it than is known here."""
        known = orm.Node(
            id=node.id,
            parent=node.parent,
            key=node.key,
            structure_family=node.family,
            metadata_=node.metadata,
            specs=node.specs,
        )
        return STRUCTURES[node.family](self._context, known)

    async def table(self, node: Node) -> TableAdapter:
        """Return the adapter that reads and writes a table's rows.

        Raises
        ------
        HTTPException
            404 if it is no table whose rows are in a database.
        """
        known = _tables.setdefault(self._context, {})
        parameters = node.parameters or {}
        key = (node.source_id, parameters.get("table_name"), parameters.get("dataset_id"))
        if key not in known:
            if node.source is None:
                adapter = await self.adapter(node).get_adapter()
            else:
                adapter = TableAdapter.from_catalog(node.source, self.adapter(node).node)
            if not isinstance(adapter, TableAdapter):
                raise HTTPException(_NOT_FOUND, f"The rows of {node.key!r} are not in a database.")
            while len(known) >= _MOST_TABLES:
                known.pop(next(iter(known)))
            known[key] = adapter
        return known[key]

    async def _find(self, db: AsyncConnection, path: Path) -> Node:
        keys = {f"key_{number}": key for number, key in enumerate(path)}
        found = (await db.execute(_query(len(path)), {"root": self._root.node.id, **keys})).first()
        if found is None:
            raise HTTPException(_NOT_FOUND, f"No such entry: {list(path)}")
        return Node(*found)

    async def _create(self, wanted: Sequence[tuple[Path, PostMetadataRequest]]) -> list[Node | None]:
        """Make nodes up to one that is there, or that cannot be made; if that is the first one, say why not."""
        ids: dict[Path, int] = {(): self._root.node.id}
        made: list[Node | None] = []
        async with self._context.engine.begin() as db:
            for path, request in wanted:
                above = path[:-1]
                try:
                    if above not in ids:
                        ids[above] = (self._found.get(above) or await self._find(db, above)).id
                    is_new = any(node is not None and node.id == ids[above] for node in made)
                    if not is_new and await _has_child(db, ids[above], path[-1]):
                        return [*made, None]
                    source = await self._prepared(request, path)
                except Exception:
                    if not made:
                        raise
                    return made  # the next try has this one first
                node = await self._insert(db, ids[above], path[-1], request, source)
                ids[path] = node.id
                made.append(node)
        return made

    async def _insert(
        self,
        db: AsyncConnection,
        parent: int,
        key: str,
        request: PostMetadataRequest,
        source: DataSource | None,
    ) -> Node:
        specs = [spec.model_dump() for spec in request.specs]
        row = {
            "parent": parent,
            "key": key,
            "structure_family": request.structure_family,
            "metadata": request.metadata,
            "specs": specs,
        }
        node_id = await sources.insert_row(db, _NODES, row)
        node = Node(node_id, parent, key, request.structure_family, request.metadata, specs)
        if source is None:
            return node
        await sources.insert(db, self._root.insert, node_id, source)
        return replace(node, source_id=source.id, parameters=source.parameters, source=source)

    async def _prepared(self, request: PostMetadataRequest, path: Path) -> DataSource | None:
        """Return a new node's data source, with a place for its data unless these are files of somebody else."""
        if not request.data_sources:
            return None
        (source,) = request.data_sources
        if source.management != Management.external:
            return await self._with_storage(source, path)
        if source.mimetype not in self._context.adapters_by_mimetype:
            raise HTTPException(_UNKNOWN_TYPE, f"The server has no adapter to read {source.mimetype!r}.")
        return source

    async def _with_storage(self, source: DataSource, path: Path) -> DataSource:
        """Return a data source with a place for its data."""
        assert self._above is not None, "asked for before"
        is_table = source.mimetype == TILED_SQL_TABLE_MIMETYPE
        adapter = TableAdapter if is_table else STORAGE_ADAPTERS_BY_MIMETYPE.get(source.mimetype)
        if adapter is None:
            raise HTTPException(_UNKNOWN_TYPE, f"The server has no adapter to write {source.mimetype!r}.")
        kinds = tuple(adapter.supported_storage())
        for storage in self._context.writable_storage.values():
            if isinstance(storage, kinds):
                whole = [*self._above, *path]
                ours = await anyio.to_thread.run_sync(arrays.place, storage, source, whole)
                placed: DataSource = ours or await ensure_awaitable(
                    adapter.init_storage, storage, source, whole
                )
                return placed
        raise HTTPException(_NOT_ALLOWED, f"The server has no storage to write {source.mimetype!r} to.")

    async def _tell_of_child(self, node: Node) -> None:
        message = {
            "type": "container-child-created",
            "key": node.key,
            "structure_family": node.family,
            "specs": node.specs,
            "metadata": node.metadata,
            "data_sources": [] if node.source is None else [node.source.model_dump()],
            "access_tags": [],
        }
        await self._tell(node.parent, message)

    async def _tell(self, node_id: int, message: dict[str, Any]) -> None:
        """Tell live subscribers of a node, as Tiled does."""
        cache = self._context.streaming_cache
        if cache is None:
            return
        sequence = await cache.incr_seq(node_id)
        stamped = {**message, "sequence": sequence, "timestamp": datetime.now().isoformat()}  # noqa: DTZ005 - as Tiled's
        await cache.set(node_id, sequence, stamped)


@cache
def _query(depth: int) -> Select[Any]:
    """Return the query for a node so many keys below `root`, in the order of the fields of `Node`."""
    way = [_NODES.alias(f"n{number}") for number in range(depth)]
    node = way[-1]
    source: Any = orm.DataSource.__table__
    joined = way[0]
    for above, below in pairwise(way):
        joined = joined.join(below, below.c.parent == above.c.id)
    joined = joined.outerjoin(source, source.c.node_id == node.c.id)
    columns = (
        *(node.c.id, node.c.parent, node.c.key, node.c.structure_family, node.c.metadata, node.c.specs),
        *(source.c.id.label("source_id"), source.c.parameters),
    )
    keys = [each.c.key == bindparam(f"key_{number}") for number, each in enumerate(way)]
    return select(*columns).select_from(joined).where(way[0].c.parent == bindparam("root"), *keys)


async def _has_child(db: AsyncConnection, parent: int, key: str) -> bool:
    query = select(_NODES.c.id).where(_NODES.c.parent == parent, _NODES.c.key == key)
    return (await db.execute(query)).first() is not None
