"""Data sources of a catalog and the files behind them, written many at a time; called by `nodes`.

Tiled takes three queries for each file of a data source; here it is one statement for all of them.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy import func, select
from starlette.exceptions import HTTPException
from tiled.catalog import orm
from tiled.catalog.adapter import _prepare_structure
from tiled.catalog.utils import compute_structure_id
from tiled.server import schemas

from tilewright.formats.base import Asset, DataSource
from tilewright.formats.checking import DECLARED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    Insert = Callable[[Any], Any]
    """The database's own INSERT, which passes over what is there already."""

AT_A_TIME = 500
"""How many files are looked up with one query."""
_NOT_FOUND = 404
KEPT_SECONDS = 30.0
"""How long a structure that was replaced is kept for those who are about to read it."""
_SOURCES: Any = orm.DataSource.__table__
_STRUCTURES: Any = orm.Structure.__table__
_ASSETS: Any = orm.Asset.__table__
_LINKS: Any = orm.DataSourceAssetAssociation.__table__
_PROMISED: Any = _SOURCES.c.properties[(DECLARED, "structure", "shape")]


_replaced: WeakKeyDictionary[Any, deque[tuple[float, str]]] = WeakKeyDictionary()
"""By catalog, the ids of structures that were replaced, and when, on the monotonic clock."""


def as_json(source: schemas.DataSource) -> dict[str, Any]:
    """Return a data source's structure as the catalog holds it."""
    structure: dict[str, Any] = _prepare_structure(source.structure_family, source.structure)
    return structure


def described(source: schemas.DataSource) -> DataSource:
    """Return a data source as our formats know it."""
    return DataSource(
        structure_family=source.structure_family,
        structure=None if source.structure is None else as_json(source),
        mimetype=source.mimetype,
        parameters=source.parameters,
        properties=source.properties or {},
    )


def assets_of(source: schemas.DataSource) -> list[Asset]:
    """Return the files of a data source as our formats know them."""
    return [Asset(each.data_uri, each.parameter, each.num, each.is_directory) for each in source.assets]


def rows_of(source: schemas.DataSource) -> int | None:
    """Return the rows of an array; None if it is something else."""
    return int(as_json(source)["shape"][0]) if source.structure_family == "array" else None


async def insert(db: AsyncConnection, into: Insert, node: int, source: schemas.DataSource) -> None:
    """Add a node's data source, which gets its `id`."""
    row = {"node_id": node, **await _row(db, into, source)}
    source.id = await insert_row(db, _SOURCES, row)
    await add_files(db, into, source.id, source.assets)


@dataclass(frozen=True, slots=True)
class Extent:
    """How many rows of an array are published in the catalog, and how many of it are promised there."""

    rows: int = 0
    promised: int = 0


async def extent(db: AsyncConnection, source: schemas.DataSource) -> Extent:
    """Return how much the catalog has of an array; nothing if its rows are of another kind there, or it has none."""
    ours = as_json(source)
    query = (
        select(_STRUCTURES.c.structure["shape"], _STRUCTURES.c.structure["data_type"], _PROMISED)
        .join(_STRUCTURES, _STRUCTURES.c.id == _SOURCES.c.structure_id)
        .select_from(_SOURCES)
        .where(_SOURCES.c.id == source.id)
    )
    found = (await db.execute(query)).first()
    if found is None or found[0][1:] != list(ours["shape"][1:]) or found[1] != ours["data_type"]:
        return Extent()
    return Extent(found[0][0], found[0][0] if found[2] is None else found[2][0])


async def promise(db: AsyncConnection, node: int, source_id: int) -> schemas.DataSource:
    """Return a data source as it was declared, without its files.

    Raises
    ------
    HTTPException
        404 if the node has no such data source.
    """
    query = (
        select(_SOURCES, _STRUCTURES.c.structure)
        .outerjoin(_STRUCTURES, _STRUCTURES.c.id == _SOURCES.c.structure_id)
        .where(_SOURCES.c.id == source_id, _SOURCES.c.node_id == node)
    )
    found = (await db.execute(query)).first()
    if found is None:
        raise _no_such(source_id)
    was = (found.properties or {}).get(DECLARED)
    return schemas.DataSource(
        id=found.id,
        structure_family=found.structure_family,
        structure=found.structure if was is None else was["structure"],
        mimetype=found.mimetype,
        parameters=found.parameters or {},
        properties=(found.properties or {}) if was is None else was["properties"],
        management=found.management,
    )


async def count_files(db: AsyncConnection, source_id: int) -> int:
    """Return how many files a data source has that are numbered."""
    query = select(func.max(_LINKS.c.num)).where(_LINKS.c.data_source_id == source_id)
    last = (await db.execute(query)).scalar_one()
    return 0 if last is None else last + 1


async def files_from(db: AsyncConnection, source_id: int, number: int) -> list[Asset]:
    """Return the files of a data source from one of them on."""
    query = (
        select(_ASSETS.c.data_uri, _LINKS.c.parameter, _LINKS.c.num, _ASSETS.c.is_directory)
        .join(_LINKS, _LINKS.c.asset_id == _ASSETS.c.id)
        .where(_LINKS.c.data_source_id == source_id, _LINKS.c.num >= number)
        .order_by(_LINKS.c.num)
    )
    return [Asset(*found) for found in (await db.execute(query)).all()]


async def update(db: AsyncConnection, into: Insert, node: int, source: schemas.DataSource) -> None:
    """Replace a data source's structure and parameters, and add the files it names.

    Raises
    ------
    HTTPException
        404 if the node has no such data source.
    """
    where = (_SOURCES.c.id == source.id) & (_SOURCES.c.node_id == node)
    before = (await db.execute(select(_SOURCES.c.structure_id).where(where))).first()
    if before is None:
        raise _no_such(source.id)
    await db.execute(_SOURCES.update().where(where).values(**await _row(db, into, source)))
    await _drop_unused(db, before.structure_id)
    await add_files(db, into, source.id, source.assets)


def _no_such(source_id: int | None) -> HTTPException:
    return HTTPException(_NOT_FOUND, f"No data_source {source_id} on this node.")


async def set_structure(db: AsyncConnection, into: Insert, source: schemas.DataSource) -> None:
    """Replace a data source's structure alone."""
    where = _SOURCES.c.id == source.id
    before = (await db.execute(select(_SOURCES.c.structure_id).where(where))).scalar_one()
    changed = {"structure_id": await _structure_id(db, into, source)}
    await db.execute(_SOURCES.update().where(where).values(**changed))
    await _drop_unused(db, before)


async def _drop_unused(db: AsyncConnection, structure_id: str | None) -> None:
    """Remove structures that no data source has any more: some time after they were replaced, as this one is now.

    Tiled keeps them all: of an array that grows for hours, with a list of its chunks in each, that would be gigabytes. But it
    reads first the data source and then the structure, in no transaction: who has read the first finds the second yet. Only in
    SQLite, where nobody else writes between the look and the deed, and where `catalog.index` has an index for the look.
    """
    if db.dialect.name != "sqlite" or structure_id is None:
        return
    replaced = _replaced.setdefault(db.sync_engine, deque())
    replaced.append((time.monotonic(), structure_id))
    while replaced and replaced[0][0] <= time.monotonic() - KEPT_SECONDS:
        _, old = replaced.popleft()
        used = select(_SOURCES.c.id).where(_SOURCES.c.structure_id == old).exists()
        await db.execute(_STRUCTURES.delete().where(_STRUCTURES.c.id == old, ~used))


async def insert_row(db: AsyncConnection, table: Any, row: dict[str, Any]) -> int:
    """Insert a row; return its id."""
    return int((await db.execute(_inserting(table), row)).scalar_one())


@cache
def _inserting(table: Any) -> Any:
    return table.insert().returning(table.c.id)


async def _row(db: AsyncConnection, into: Insert, source: schemas.DataSource) -> dict[str, Any]:
    return {
        "structure_family": source.structure_family,
        "mimetype": source.mimetype,
        "management": source.management,
        "parameters": source.parameters,
        "properties": source.properties,
        "structure_id": await _structure_id(db, into, source),
    }


async def _structure_id(db: AsyncConnection, into: Insert, source: schemas.DataSource) -> str | None:
    """Return the id of a data source's structure, which is in the catalog then."""
    if source.structure is None:
        return None
    structure = as_json(source)
    structure_id: str = compute_structure_id(structure)
    statement = into(_STRUCTURES).values(id=structure_id, structure=structure)
    await db.execute(statement.on_conflict_do_nothing(index_elements=["id"]))
    return structure_id


async def add_files(
    db: AsyncConnection, into: Insert, source_id: int, files: Sequence[schemas.Asset]
) -> None:
    """Add files to a data source; one that the catalog knows keeps its row, and gets its size if that has changed."""
    if not files:
        return
    by_uri = {file.data_uri: file for file in files}
    rows = [
        {"data_uri": uri, "is_directory": file.is_directory, "size": file.size}
        for uri, file in by_uri.items()
    ]
    await db.execute(into(_ASSETS).on_conflict_do_nothing(index_elements=["data_uri"]), rows)
    links = []
    for uri, file_id, size in await _known(db, list(by_uri)):
        file = by_uri[uri]
        if file.size is not None and file.size != size:
            await db.execute(_ASSETS.update().where(_ASSETS.c.id == file_id).values(size=file.size))
        links.append(
            {"data_source_id": source_id, "asset_id": file_id, "parameter": file.parameter, "num": file.num}
        )
    there = ["data_source_id", "asset_id"]
    await db.execute(into(_LINKS).on_conflict_do_nothing(index_elements=there), links)


async def _known(db: AsyncConnection, uris: list[str]) -> list[Any]:
    """Return the URI, the id and the size of each of these files."""
    found: list[Any] = []
    query = select(_ASSETS.c.data_uri, _ASSETS.c.id, _ASSETS.c.size)
    for start in range(0, len(uris), AT_A_TIME):
        some = uris[start : start + AT_A_TIME]
        found += (await db.execute(query.where(_ASSETS.c.data_uri.in_(some)))).all()
    return found
