"""Arrays that grow while a run goes on: rows come in, and the catalog's structure of the array goes out, longer.

`bundles` calls this for the steps `write` and `extend`, and `nodes` for a place to put a new array. Arrays of one row shape are
Zarr, as Tiled's are; ragged ones are rows of a table, as Tiled's are. They are read by Tiled's adapters.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus
from uuid import uuid4
from weakref import WeakKeyDictionary

import anyio
import numpy as np
import pyarrow as pa
from starlette.exceptions import HTTPException
from tiled.mimetypes import RAGGED_SQL_MIMETYPE, ZARR_MIMETYPE
from tiled.server.schemas import Asset, DataSource, Management
from tiled.storage import FileStorage
from tiled.structures.core import StructureFamily
from tiled.structures.table import TableStructure
from tiled.utils import path_from_uri

from tilewright.formats.layout import data_type, split
from tilewright.server.tables import TableAdapter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiled.catalog.adapter import CatalogNodeAdapter

CHUNK_BYTES = 2 << 20
"""Rows of a ragged array are put to those of its last chunk up to about this size."""
_NOT_FOUND, _CONFLICT = 404, 409
_CHUNK = "chunk_index"
"""Column that numbers the chunks of a ragged array, in Tiled's tables of them."""
_writing: WeakKeyDictionary[Any, asyncio.Lock] = WeakKeyDictionary()
"""By catalog: held while an array is made longer. A request that comes late, or twice, must not meet another."""


def lock_of(context: Any) -> asyncio.Lock:
    """Return what is to be held from looking at an array's structure until that is changed."""
    return _writing.setdefault(context, asyncio.Lock())


def place(storage: Any, source: DataSource, path: Sequence[str]) -> DataSource | None:
    """Return the data source of a new array with a place for its rows; None if Tiled has to make one.

    Zarr of version 3 has no name yet for texts, structures and numbers of the other byte order, and warns of it or changes
    them: these are of version 2.
    """
    if source.mimetype == RAGGED_SQL_MIMETYPE:
        return _place_ragged(storage, source)
    if source.mimetype != ZARR_MIMETYPE or not isinstance(storage, FileStorage) or source.structure.shape[0]:
        return None
    import zarr  # noqa: PLC0415 - slow, and not needed for tables

    placed = source.model_copy(deep=True)
    # A name of its own: where a server was killed before it had the node, or a node was deleted, a folder may be left.
    folder = f"{path[-1]}.{uuid4().hex[:8]}"
    uri = "/".join((storage.uri.rstrip("/"), *map(quote_plus, (*path[:-1], folder))))
    chunks = tuple(sizes[0] for sizes in placed.structure.chunks)
    dtype = placed.structure.data_type.to_numpy_dtype()
    is_plain = dtype.kind in "biufc" and dtype.isnative
    zarr.create_array(
        path_from_uri(uri),
        shape=placed.structure.shape,
        chunks=chunks,
        dtype=dtype,
        zarr_format=3 if is_plain else 2,
    )
    placed.structure.chunks = ((0,), *placed.structure.chunks[1:])
    placed.assets.append(Asset(data_uri=uri, is_directory=True, parameter="data_uri"))
    return placed


async def write(adapter: CatalogNodeAdapter, step: dict[str, Any]) -> DataSource:
    """Put rows into an array; return its data source as it is then. To be called with the lock held.

    Raises
    ------
    HTTPException
        409 if the array is of another type, or rows are missing before these; 404 if somebody has removed its folder.
    """
    source = await _own_source(adapter)
    structure = source.structure
    dtype = structure.data_type.to_numpy_dtype()
    if data_type(dtype) != step["data_type"] or list(structure.shape[1:]) != step["shape"][1:]:
        raise HTTPException(
            _CONFLICT, f"the array is of {dtype}, {structure.shape}, and rows are {step['shape']}"
        )
    first_row = step["first_row"]
    _check_follows(structure.shape[0], first_row)
    rows = np.frombuffer(step["data"], dtype).reshape(step["shape"])
    count = max(structure.shape[0], first_row + len(rows))
    try:
        chunk = await anyio.to_thread.run_sync(
            partial(_put, source.assets[0].data_uri, rows, first_row, count)
        )
    except FileNotFoundError as error:
        raise HTTPException(_NOT_FOUND, str(error)) from error
    chunks = (tuple(split(count, chunk)), *structure.chunks[1:])
    return source.model_copy(
        update={"structure": replace(structure, shape=(count, *structure.shape[1:]), chunks=chunks)}
    )


async def extend(adapter: CatalogNodeAdapter, step: dict[str, Any]) -> DataSource | None:
    """Add rows to a ragged array, those that are not there yet; return its data source then, or None if that has not changed.

    To be called with the lock held. Raises as `write` does.
    """
    source = await _own_source(adapter)
    there = source.structure.shape[0]
    _check_follows(there, step["first_row"])
    try:
        return await anyio.to_thread.run_sync(
            partial(_extend, source, adapter.node, step["rows"], there - step["first_row"])
        )
    except ValueError as error:
        raise HTTPException(_CONFLICT, str(error)) from error


def message_of(source: DataSource, step: dict[str, Any]) -> dict[str, Any]:
    """Return what live subscribers of an array are told of new rows: where these are, so that who wants them fetches them.

    Not the rows themselves: Tiled keeps what it sends in memory, for a thousand messages, which would be gigabytes of images.
    """
    shape = list(source.structure.shape)
    patch = {"offset": [step["first_row"], *(0 for _ in shape[1:])], "shape": list(step["shape"])}
    told = source.model_copy(update={"assets": []})  # Tiled's client takes none that is not numbered
    return {"type": "array-ref", "data_source": told.model_dump(), "patch": patch, "shape": shape}


async def _own_source(adapter: CatalogNodeAdapter) -> DataSource:
    """Return the data source of an array, unless that has somebody else's files."""
    (source,) = await adapter.data_sources(include_assets=True)
    if source.management == Management.external:
        raise HTTPException(_CONFLICT, "its values lie in files that are not the server's own")
    return source


def _check_follows(there: int, first_row: int) -> None:
    if there < first_row:
        raise HTTPException(_CONFLICT, f"the array has {there} rows, and row {first_row} was to follow them")


def _put(uri: str, rows: np.ndarray[Any, Any], first_row: int, count: int) -> int:
    """Write rows of a Zarr array that shall have this many; return how many of them a chunk has."""
    import zarr  # noqa: PLC0415

    array: Any = zarr.open_array(path_from_uri(uri), mode="r+")
    # Else a chunk of zeros only is left out, and with it the minus before those in complex numbers and structures.
    array = array.with_config({"write_empty_chunks": True})
    if array.shape[0] != count:
        array.resize((count, *array.shape[1:]))
    array[first_row : first_row + len(rows)] = rows
    return int(array.chunks[0])


def _place_ragged(storage: Any, source: DataSource) -> DataSource:
    table = TableAdapter.init_storage(storage, _as_table(source))
    placed = source.model_copy(deep=True)
    placed.assets += table.assets
    placed.parameters |= {name: table.parameters[name] for name in ("table_name", "dataset_id")}
    return placed


def _as_table(source: DataSource) -> DataSource:
    """Describe the table that a ragged array is in: a row for each chunk, a list for each of its buffers.

    As Tiled does (`RaggedSQLAdapter._get_tabular_data_source`), but without a primary key: DuckDB cannot replace a row that has
    one within a transaction.
    """
    buffers = source.structure.awkward_form.expected_from_buffers()
    columns = {name: [np.empty(0, dtype)] for name, dtype in buffers.items()}
    return DataSource(
        structure_family=StructureFamily.table,
        structure=TableStructure.from_dict({**columns, _CHUNK: [np.int64(0)]}),
        parameters=dict(source.parameters),
        assets=list(source.assets),
    )


def _extend(source: DataSource, node: Any, content: bytes, skip: int) -> DataSource | None:
    import awkward  # noqa: PLC0415 - slow, and rarely needed
    from tiled.adapters.ragged import RaggedSQLAdapter  # noqa: PLC0415
    from tiled.serialization.ragged import from_zipped_buffers  # noqa: PLC0415
    from tiled.structures.ragged import make_ragged_array  # noqa: PLC0415

    structure = source.structure
    rows = from_zipped_buffers(content, structure)
    if len(rows) <= skip:
        return None
    rows = make_ragged_array(rows[skip:]) if skip else rows
    chunks, size = list(structure.chunks[0] or ()), structure.size + rows.size
    if chunks and chunks[-1] + len(rows) <= _rows_of_a_chunk(structure, size):
        last = RaggedSQLAdapter.from_catalog(source, node).read((slice(-chunks[-1], None),))
        rows = make_ragged_array(awkward.concatenate([last._impl, rows._impl]))  # noqa: SLF001 - as Tiled does
        chunks.pop()
    form, length, buffers = awkward.to_buffers(rows._impl)  # noqa: SLF001
    if form != structure.awkward_form:
        raise ValueError(f"the array is {structure.awkward_form}, and the rows are {form}")
    columns = {key: [buffer.ravel()] for key, buffer in buffers.items()}
    table = TableAdapter.from_catalog(_as_table(source), node)
    table.replace_from(_CHUNK, len(chunks), pa.table({**columns, _CHUNK: [np.int64(len(chunks))]}))
    chunks.append(length)
    longer = replace(
        structure,
        shape=(sum(chunks), *structure.shape[1:]),
        chunks=(tuple(chunks), *structure.chunks[1:]),
        size=size,
    )
    return source.model_copy(update={"structure": longer})


def _rows_of_a_chunk(structure: Any, size: int) -> int:
    """Return how many rows make a chunk, if all are as those so far."""
    rows = max(1, structure.shape[0])
    row_bytes = max(1, size * structure.data_type.to_numpy_dtype().itemsize // rows)
    return int(max(1, CHUNK_BYTES // row_bytes))
