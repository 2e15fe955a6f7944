"""The tree that a server serves: Tiled's catalog on our table storage and with our adapters.

Tiled's configuration names `catalog_tree` and gives its arguments, in `server_config/*.yml` as in `serve`; Tiled
calls it and serves what it returns.
"""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, String, Table, insert, make_url, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import create_async_engine
from tiled.alembic_utils import (
    DatabaseUpgradeNeeded,
    UninitializedDatabase,
    UnrecognizedDatabase,
    check_database,
)
from tiled.catalog import from_uri
from tiled.catalog.core import ALL_REVISIONS, REQUIRED_REVISION, initialize_database
from tiled.mimetypes import RAGGED_SQL_MIMETYPE, TILED_SQL_TABLE_MIMETYPE
from tiled.server.connection_pool import is_memory_sqlite
from tiled.storage import parse_storage, register_storage, unregister_storage
from tiled.utils import ensure_specified_sql_driver, ensure_uri, path_from_uri

from tilewright.errors import SetupError
from tilewright.server import bundles, files, listing, parts, rows, spans
from tilewright.server.locks import CatalogLock
from tilewright.server.serialization import register
from tilewright.server.storage import TableStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine


_STRUCTURE_INDEX = (
    "CREATE INDEX IF NOT EXISTS tilewright_data_sources_structure_id ON data_sources (structure_id)"
)
REPLAYED_SECONDS = 120
"""For how long a live subscriber that comes late gets what was sent before.

Tiled keeps the content of each request in memory for this time, by itself for an hour: gigabytes, at full speed.
"""


def catalog_tree(
    uri: str | Path,
    *,
    writable_storage: Sequence[str] | None = None,
    readable_storage: Sequence[str | Path] | None = None,
    init_if_not_exists: bool = False,
    adapters_by_mimetype: Mapping[str, Any] | None = None,
    cache_config: Mapping[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Return what `tiled.catalog.from_uri` returns, with these differences.

    - DuckDB and SQLite tables lie in a `TableStorage`; relative paths are made absolute, because Tiled writes
      them down in the catalog.
    - All of Tilewright's formats can be read; `adapters_by_mimetype` adds to them and takes precedence.
    - Tables that clients send are read without loss: see `tilewright.server.serialization`.
    - A new catalog is initialised in this process (Tiled starts another, which takes seconds), and the directories
      of catalog and storage are made.
    - `cache_config` needs only what differs from Tiled's defaults: `{uri: memory}`; `data_ttl` is `REPLAYED_SECONDS`.
    - It takes several steps of a delivery in one request: see `tilewright.server.bundles`.
    - The catalog, if it is a file, is locked until the server stops. The lock is the tree's attribute `lock`.

    Parameters
    ----------
    uri
        Path of an SQLite file, or the URI of a database.
    writable_storage
        Paths or URIs. The first that suits a kind of data is where it is written.
    readable_storage
        Further paths or URIs from which registered files may be read.
    init_if_not_exists
        Create what is missing.
    adapters_by_mimetype
        Adapters as classes or as `"package.module:Class"`.
    cache_config
        Tiled's `streaming_cache`, for live subscriptions.
    options
        All else that `tiled.catalog.from_uri` takes.

    Raises
    ------
    SetupError
        If another server serves the catalog; if the catalog is missing, or of another version of Tiled.

    """
    register()
    path = catalog_path(uri)
    uri = str(ensure_specified_sql_driver(str(path or uri)))
    storages = [_storage(item, options) for item in writable_storage or ()]
    if init_if_not_exists:
        _make_directories(path, storages)
    lock = None if path is None else CatalogLock(path)
    try:
        if not is_memory_sqlite(uri):  # Tiled initialises one in memory itself
            _in_a_thread(_prepare(uri, create=init_if_not_exists))
        tree = from_uri(
            uri,
            readable_storage=list(readable_storage or ()),
            adapters_by_mimetype=_adapters() | dict(adapters_by_mimetype or {}),
            cache_config=_streaming_cache(cache_config),
            **options,
        )
        _mount(tree.context, storages)
    except BaseException:
        if lock is not None:
            lock.release()
        raise
    tree.lock = lock
    tree.include_routers = [
        bundles.router,
        files.router,
        listing.router,
        parts.router,
        rows.router,
        spans.router,
    ]
    tree.shutdown_tasks.append(_releasing(lock))
    return tree


def discard(tree: Any) -> None:
    """Let go of all that a tree holds whose server did not come up; can be repeated."""
    for task in tree.shutdown_tasks:
        _in_a_thread(task())
    for storage in tree.context.writable_storage.values():
        if isinstance(storage, TableStorage):
            storage.dispose()
            unregister_storage(storage)


def catalog_path(uri: str | Path | None) -> Path | None:
    """Return the absolute path of a catalog, or None if it is no SQLite file."""
    if uri is None:
        return None
    url = make_url(ensure_specified_sql_driver(str(uri)))
    if url.get_backend_name() != "sqlite" or is_memory_sqlite(url):
        return None
    return Path(str(url.database)).absolute()


def _storage(item: Any, options: Mapping[str, Any]) -> Any:
    """Return a storage: ours for the tables of one machine, Tiled's own for the rest."""
    if not isinstance(item, dict):
        item = ensure_uri(item)
        if urlparse(item).scheme in ("duckdb", "sqlite"):
            path = path_from_uri(item).absolute()
            return TableStorage(f"{urlparse(item).scheme}://localhost/{path}")
    return parse_storage(
        item,
        pool_size=options.get("storage_pool_size", 5),
        max_overflow=options.get("storage_max_overflow", 10),
    )


def _make_directories(catalog: Path | None, storages: Sequence[Any]) -> None:
    if catalog is not None:
        catalog.parent.mkdir(parents=True, exist_ok=True)
    for storage in storages:
        scheme = urlparse(storage.uri).scheme
        if scheme == "file":
            path_from_uri(storage.uri).mkdir(parents=True, exist_ok=True)
        elif scheme in ("duckdb", "sqlite"):
            path_from_uri(storage.uri).parent.mkdir(parents=True, exist_ok=True)


def _mount(context: Any, storages: Sequence[Any]) -> None:
    """Make the storages the context's writable ones; Tiled takes and returns them as it does its own."""
    for storage in storages:
        register_storage(storage)
        context.writable_storage[storage.uri] = storage
        context.readable_storage[storage.uri] = storage


def _adapters() -> dict[str, Any]:
    from tilewright.formats import adapters_by_mimetype  # noqa: PLC0415 (loads no adapter, but all formats)

    ours = {
        TILED_SQL_TABLE_MIMETYPE: "tilewright.server.tables:TableAdapter",
        RAGGED_SQL_MIMETYPE: "tilewright.server.ragged:RaggedTableAdapter",
    }
    return ours | adapters_by_mimetype()


def _streaming_cache(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    from tiled.config import StreamingCacheConfig  # noqa: PLC0415 (imports `tiled.catalog`, which imports us)

    if config is None:
        return None
    whole: dict[str, Any] = StreamingCacheConfig(**{"data_ttl": REPLAYED_SECONDS, **config}).model_dump()
    return whole


async def _prepare(uri: str, *, create: bool) -> None:
    """Check that the catalog is of this Tiled's version, and initialise it if it is new."""
    engine = create_async_engine(uri)
    try:
        await check_database(engine, REQUIRED_REVISION, ALL_REVISIONS)
        await index(engine)
    except UninitializedDatabase:
        if not create:
            raise SetupError(
                f"There is no catalog at {engine.url}: check the path, or set init_if_not_exists."
            ) from None
        if engine.dialect.name == "sqlite":
            await _write_ahead(engine)
        await initialize_database(engine)
        async with engine.begin() as connection:
            await connection.run_sync(_stamp)
        await index(engine)
    except DatabaseUpgradeNeeded:
        raise SetupError(
            f"The catalog {engine.url} was made by an older version of Tiled. Make a copy of it, then run: "
            f"tiled catalog upgrade-database {engine.url}"
        ) from None
    except UnrecognizedDatabase as error:
        raise SetupError(
            f"The catalog {engine.url} cannot be served by this version of Tiled: {error}"
        ) from None
    except DatabaseError as error:
        raise SetupError(f"The catalog {engine.url} cannot be opened: {error.orig}.") from error
    finally:
        await engine.dispose()


async def index(engine: AsyncEngine) -> None:
    """Make it quick to tell whether a structure is used, in a catalog that `sources` may remove some from.

    Tiled has no such index; it comes to no harm by it.
    """
    if engine.dialect.name == "sqlite":
        async with engine.begin() as connection:
            await connection.execute(text(_STRUCTURE_INDEX))


async def _write_ahead(engine: AsyncEngine) -> None:
    """Let readers of the catalog work beside a writer; the file stays so.

    Tiled asks for the same, but within a transaction, where SQLite does not do it.
    """
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("PRAGMA journal_mode=WAL"))


def _stamp(connection: Connection) -> None:
    """Write down the version of the schema where Alembic looks for it, so that a later Tiled can upgrade.

    `tiled.alembic_utils.stamp_head` does the same through Alembic, which loads all migrations for it; some of these
    put handlers on loggers, that write to the terminal.
    """
    version = Table(
        "alembic_version",
        MetaData(),
        Column("version_num", String(32), nullable=False),
        PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
    )
    version.create(connection, checkfirst=True)
    connection.execute(insert(version).values(version_num=REQUIRED_REVISION))


def _in_a_thread(work: Coroutine[Any, Any, None]) -> None:
    """Run to its end what is asynchronous; the caller's thread may have an event loop of its own (Jupyter)."""
    context = contextvars.copy_context()
    with ThreadPoolExecutor(1, thread_name_prefix="tilewright-catalog") as executor:
        executor.submit(context.run, asyncio.run, work).result()


def _releasing(lock: CatalogLock | None) -> Callable[[], Coroutine[Any, Any, None]]:
    async def release() -> None:
        if lock is not None:
            lock.release()

    return release
