"""The files behind a run: the addresses of its streams come in; a DataFrame with a row a file goes out.

`Run.assets` calls this; those who read an array's files themselves call `paths_of`. The columns:

stream, data_key
    Whose it is. The rows of a table are under the table's name, ``internal``.
managed
    "external" for a file that someone else wrote and Tiled was told of; "writable" for storage Tiled looks after
    (the database of the tables, chunks of arrays).
mimetype
    What the server reads it as.
path, uri
    Where it is. `path` is None for what is no file, as a database server.
size
    Bytes, as recorded or else as found on this machine; NA for directories and what is not here. The database of
    the tables is shared by all runs, so its size is not this run's.
exists
    Whether the path is there on *this* machine; NA where there is no path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from tiled.utils import path_from_uri

from tilewright.clients.layout import stream_parts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tiled.client.context import Context
    from tiled.structures.data_source import DataSource

_DTYPES = {
    "stream": "str",
    "data_key": "str",
    "managed": "str",
    "mimetype": "str",
    "path": "object",
    "uri": "str",
    "size": "Int64",
    "exists": "boolean",
}
_LOCAL_SCHEMES = ("file:", "duckdb:", "sqlite:")


def asset_table(context: Context, streams: Mapping[str, str]) -> pd.DataFrame:
    """Return the files behind the streams of a run; columns as at the top of this module.

    Parameters
    ----------
    streams
        Name → the stream's ``search`` link.
    """
    rows = [
        {"stream": stream, "data_key": item["id"], **_describe(source, asset)}
        for stream, link in streams.items()
        for item in stream_parts(context, link, {"include_data_sources": True}).values()
        for source in item["attributes"].get("data_sources") or []
        for asset in source["assets"]
    ]
    return pd.DataFrame(rows, columns=list(_DTYPES)).astype(_DTYPES)


def paths_of(source: DataSource[Any]) -> dict[int, Path]:
    """Return where the files of an array lie, by their numbers; none of those whose address is not that of a file."""
    return {
        asset.num: path_from_uri(asset.data_uri)
        for asset in source.assets
        if asset.data_uri.startswith("file:")
    }


def _describe(source: Mapping[str, Any], asset: Mapping[str, Any]) -> dict[str, Any]:
    uri = asset["data_uri"]
    path: Path | None = path_from_uri(uri) if uri.startswith(_LOCAL_SCHEMES) else None
    here = path is not None and path.exists()
    size = asset.get("size")
    if size is None and here and path is not None and path.is_file():
        size = path.stat().st_size
    return {
        "managed": source["management"],
        "mimetype": source["mimetype"],
        "path": None if path is None else str(path),
        "uri": uri,
        "size": size,
        "exists": pd.NA if path is None else here,
    }
