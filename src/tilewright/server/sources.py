"""Data sources of a catalog and the files behind them, written many at a time; called by `nodes`.

Tiled takes three queries for each file of a data source; here it is one statement for all of them.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from starlette.exceptions import HTTPException
from tiled.catalog import orm
from tiled.catalog.adapter import _prepare_structure
from tiled.catalog.utils import compute_structure_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection
    from tiled.server.schemas import Asset, DataSource

    Insert = Callable[[Any], Any]
    """The database's own INSERT, which passes over what is there already."""

AT_A_TIME = 500
"""How many files are looked up with one query."""
_NOT_FOUND = 404
_SOURCES: Any = orm.DataSource.__table__
_STRUCTURES: Any = orm.Structure.__table__
_ASSETS: Any = orm.Asset.__table__
_LINKS: Any = orm.DataSourceAssetAssociation.__table__


def as_json(source: DataSource) -> dict[str, Any]:
    """Return a data source's structure as the catalog holds it."""
    structure: dict[str, Any] = _prepare_structure(source.structure_family, source.structure)
    return structure


async def insert(db: AsyncConnection, into: Insert, node: int, source: DataSource) -> None:
    """Add a node's data source, which gets its `id`."""
    row = {"node_id": node, **await _row(db, into, source)}
    source.id = await insert_row(db, _SOURCES, row)
    await _add_files(db, into, source.id, source.assets)


async def update(db: AsyncConnection, into: Insert, node: int, source: DataSource) -> None:
    """Replace a data source's structure and parameters, and add the files it names.

    Raises
    ------
    HTTPException
        404 if the node has no such data source.
    """
    where = (_SOURCES.c.id == source.id) & (_SOURCES.c.node_id == node)
    changed = await db.execute(_SOURCES.update().where(where).values(**await _row(db, into, source)))
    if changed.rowcount == 0:
        raise HTTPException(_NOT_FOUND, f"No data_source {source.id} on this node.")
    await _add_files(db, into, source.id, source.assets)


async def set_structure(db: AsyncConnection, into: Insert, source: DataSource) -> None:
    """Replace a data source's structure alone."""
    changed = {"structure_id": await _structure_id(db, into, source)}
    await db.execute(_SOURCES.update().where(_SOURCES.c.id == source.id).values(**changed))


async def insert_row(db: AsyncConnection, table: Any, row: dict[str, Any]) -> int:
    """Insert a row; return its id."""
    return int((await db.execute(_inserting(table), row)).scalar_one())


@cache
def _inserting(table: Any) -> Any:
    return table.insert().returning(table.c.id)


async def _row(db: AsyncConnection, into: Insert, source: DataSource) -> dict[str, Any]:
    return {
        "structure_family": source.structure_family,
        "mimetype": source.mimetype,
        "management": source.management,
        "parameters": source.parameters,
        "properties": source.properties,
        "structure_id": await _structure_id(db, into, source),
    }


async def _structure_id(db: AsyncConnection, into: Insert, source: DataSource) -> str | None:
    """Return the id of a data source's structure, which is in the catalog then."""
    if source.structure is None:
        return None
    structure = as_json(source)
    structure_id: str = compute_structure_id(structure)
    statement = into(_STRUCTURES).values(id=structure_id, structure=structure)
    await db.execute(statement.on_conflict_do_nothing(index_elements=["id"]))
    return structure_id


async def _add_files(db: AsyncConnection, into: Insert, source_id: int, files: Sequence[Asset]) -> None:
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
