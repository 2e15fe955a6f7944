"""What a server publishes of an array in files while its detector writes: its registration comes in and goes out again.

Called by `nodes`, for the steps `create`, `update` and `look_again` of a delivery. A length is published only once it is readable: of
what is promised, as many rows as the server can read at that moment. What is promised stays in the properties of the data
source, as after a correction (`formats.checking.DECLARED`), so that the step `look_again` needs to name the array only.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import anyio
from tiled.structures.array import ArrayStructure

from tilewright.formats.growing import Growing
from tilewright.formats.looking import look
from tilewright.server import sources
from tilewright.server.files import refusal

if TYPE_CHECKING:
    from tiled.catalog.adapter import CatalogNodeAdapter
    from tiled.server.schemas import DataSource

    from tilewright.formats.checking import Looked

_locks: WeakKeyDictionary[Any, WeakValueDictionary[int | None, asyncio.Lock]] = WeakKeyDictionary()
"""By catalog and data source, as long as somebody has it."""


def lock_of(context: Any, source_id: int | None) -> asyncio.Lock:
    """Return what is to be held from looking at the files of an array until what was seen is published.

    A request that comes late, or twice, must not meet another one there.
    """
    locks = _locks.setdefault(context, WeakValueDictionary())
    return locks.setdefault(source_id, asyncio.Lock())


async def first(root: CatalogNodeAdapter, source: DataSource) -> DataSource:
    """Return what to publish of a new array, all of whose files are named."""
    return await _published(root, source, len(source.assets), 0)


async def later(root: CatalogNodeAdapter, source: DataSource) -> DataSource | None:
    """Return what to publish of an array of which there are more rows, and maybe files, than the catalog knows.

    It never becomes shorter: None if more was promised before, by a request that overtook this one, or by another delivery of
    the same journal.
    """
    if (rows := sources.rows_of(source)) is None:
        return source
    async with root.context.engine.connect() as db:
        extent = await sources.extent(db, source)
        last = source.assets[-1].num if source.assets else None
        files = await sources.count_files(db, source.id) if last is None else last + 1
    if extent.promised > rows:
        return None
    return await _published(root, source, files, extent.rows)


async def again(root: CatalogNodeAdapter, source: DataSource, rows: int) -> DataSource:
    """Return what to publish of an array that the catalog promises, and of which so many rows are published."""
    async with root.context.engine.connect() as db:
        files = await sources.count_files(db, source.id)
    return await _published(root, source, files, rows)


async def _published(root: CatalogNodeAdapter, source: DataSource, files: int, rows: int) -> DataSource:
    """Return a registration that is cut to what can be read, of which so many rows are published."""
    promise = sources.described(source)
    growing = Growing.of(promise, files)
    if growing is None or (number := growing.file_of(rows)) >= files:
        return source
    assets = {asset.num: asset for asset in sources.assets_of(source)}
    if number not in assets:  # the update names new files only
        async with root.context.engine.connect() as db:
            assets |= {asset.num: asset for asset in await sources.files_from(db, source.id, number)}
    if not all(each in assets for each in range(number, files)):  # another writer's, who does not number them
        return source
    may_not = refusal(root)

    def look_at(number: int) -> Looked:
        return look(promise, assets[number], may_not)

    there = await anyio.to_thread.run_sync(growing.rows_there, rows, look_at)
    shown = growing.published(there)
    if shown is promise:
        return source
    structure = shown.structure
    if not isinstance(source.structure, dict):  # as Tiled's own model of a request has it
        structure = ArrayStructure.from_json(structure)
    return source.model_copy(update={"structure": structure, "properties": shown.properties})
