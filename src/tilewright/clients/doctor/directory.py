"""A directory of `tilewright serve`: its path comes in, what is wrong with the files in it goes out.

`examine` calls this, before a server on the directory is asked anything. Nothing is changed.
"""

from __future__ import annotations

import fcntl
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from tiled.utils import path_from_uri

from tilewright.clients.doctor.diagnosis import bad, good, warning
from tilewright.documents.names import CATALOG_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from tilewright.clients.doctor.diagnosis import Check

LOCK_FILE = f"{CATALOG_FILE}.lock"
"""Held by the server on the directory; see `tilewright.server.locks`."""
LOOKED_AT = 1000
"""The oldest tables and arrays, so many of them, tell where the directory was."""
_WRITTEN = """
SELECT DISTINCT assets.data_uri FROM assets
JOIN data_source_asset_association AS link ON link.asset_id = assets.id
JOIN (SELECT id FROM data_sources WHERE management <> 'external' ORDER BY id LIMIT ?) AS sources
ON sources.id = link.data_source_id
"""
"""Where the catalog says that the server wrote tables and arrays."""
_DATABASES = ("duckdb", "sqlite")
_FILES = ("file", *_DATABASES)
"""Schemes of URIs that are paths."""


def is_served(directory: Path) -> bool:
    """Say whether a server has the directory, in this process or another, as far as this user may know."""
    try:
        with (directory / LOCK_FILE).open("rb") as lock:
            fcntl.flock(lock.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, PermissionError):
        return False
    except BlockingIOError:
        return True
    return False


def check_paths(directory: Path, *, tables: Path | None = None) -> Check:
    """Compare the absolute paths in the catalog with where the directory is now.

    To be called while a server has the directory: SQLite would leave files beside the catalog otherwise.

    Parameters
    ----------
    tables
        The one file of tables that the server can read, if that is known.
    """
    name, catalog = "catalog", directory / CATALOG_FILE
    try:
        with closing(sqlite3.connect(f"file:{quote(str(catalog))}?mode=ro", uri=True)) as connection:
            uris = [uri for (uri,) in connection.execute(_WRITTEN, (LOOKED_AT,))]
    except sqlite3.Error as error:
        return bad(name, f"{catalog} cannot be read: {error}", "Restore it from a copy.")
    written = [path_from_uri(uri) for uri in uris if urlsplit(uri).scheme in _FILES]
    elsewhere = [path for path in written if not path.is_relative_to(directory)]
    if gone := [path for path in elsewhere if not path.exists()]:
        finding = (
            f"{catalog} names {gone[0]}, which is not there: what was written before the directory was moved"
        )
        return bad(name, f"{finding} cannot be read", f"Move {directory} back to where it was.")
    databases = {path_from_uri(uri) for uri in uris if urlsplit(uri).scheme in _DATABASES}
    if tables is not None and (others := databases - {tables}):
        finding = f"{catalog} has tables in {others.pop()}, which `tilewright serve` does not read"
        return warning(
            name, finding, "Serve it with the configuration it was made with: `tilewright serve --config`."
        )
    return good(name, f"{catalog}" + (f", with data in {elsewhere[0].parent}" if elsewhere else ""))
