"""Samples of many arrays in one answer: spans of the arrays of a run come in, their bytes one after the other go out.

`tilewright.server.catalog` mounts the router beside Tiled's routes; `tilewright.clients.spans` asks it, and Tiled's own
`/array/full` where a server has no such route. That is a request an array, each of which works out an ETag of all values and
packs them before it sends the first.

Nothing is looked up here that grows with an array: the files that a span touches are found with two queries for all spans,
and neither the structure, which lists every chunk, nor any other file is loaded.
"""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import numpy as np
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response, StreamingResponse
from sqlalchemy import bindparam, select
from starlette.status import HTTP_400_BAD_REQUEST, HTTP_404_NOT_FOUND, HTTP_409_CONFLICT
from tiled.adapters.utils import DataNotReadyError
from tiled.catalog import orm
from tiled.mimetypes import ZARR_MIMETYPE
from tiled.ndslice import NDSlice
from tiled.server.schemas import Management
from tiled.utils import ensure_awaitable, path_from_uri

from tilewright.audio.facts import MIMETYPES
from tilewright.das import open_zarr
from tilewright.errors import TilewrightError
from tilewright.formats import npy, tfrecord
from tilewright.formats.ranges import Places, ranges_of
from tilewright.formats.wav import Samples
from tilewright.server.access import admit_to_catalog, settings_of
from tilewright.server.files import refusal
from tilewright.server.nodes import Nodes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection
    from tiled.catalog.adapter import CatalogContainerAdapter

    from tilewright.formats.rows_in_files import Rows
    from tilewright.server.nodes import Path

SCOPES = ["read:metadata", "read:data"]
BYTES = "application/octet-stream"
PIECE_BYTES = 16 << 20
"""About what is read at once, while what was read before is being sent."""
_AT_ONCE = 16 << 20
"""Bytes up to which all is read before anything is sent: then a failure has a status of its own."""
_NO_END = 1 << 62
"""Stands for the length of an array in a single file, which only its structure tells."""
_NUMBERS_AT_ONCE = 5_000
"""Files that are looked up with one query: databases bound how many values one may have."""
_ROWS: dict[str, type[Rows]] = {
    **dict.fromkeys(MIMETYPES.values(), Samples),
    tfrecord.MIMETYPE: tfrecord.Vectors,
    npy.ROWS: npy.NPYRows,
}
"""What reads the files of a mimetype; all others are read through Tiled's adapters."""

router = APIRouter()


def _sources_query() -> Select[Any]:
    """Return the query for arrays of some of a run's streams; made once, for that takes longer than it does itself."""
    nodes: Any = orm.Node.__table__
    sources: Any = orm.DataSource.__table__
    stream, array = nodes.alias("stream"), nodes.alias("array")
    return (
        select(
            *(stream.c.key.label("stream"), array.c.key.label("key")),
            *(sources.c.id, sources.c.mimetype, sources.c.properties, sources.c.management),
        )
        .select_from(stream)
        .join(array, array.c.parent == stream.c.id)
        .join(sources, sources.c.node_id == array.c.id)
        .where(stream.c.parent == bindparam("run"))
        .where(stream.c.key.in_(bindparam("streams", expanding=True)))
        .where(array.c.key.in_(bindparam("keys", expanding=True)))
    )


def _uris_query() -> Select[Any]:
    """Return the query for files of data sources by their numbers."""
    assets: Any = orm.Asset.__table__
    links: Any = orm.DataSourceAssetAssociation.__table__
    return (
        select(links.c.data_source_id, links.c.num, assets.c.data_uri)
        .join(assets, assets.c.id == links.c.asset_id)
        .where(links.c.data_source_id.in_(bindparam("sources", expanding=True)))
        .where(links.c.num.in_(bindparam("numbers", expanding=True)))
    )


def _folders_query() -> Select[Any]:
    """Return the query for the folders of arrays that the server has written itself."""
    assets: Any = orm.Asset.__table__
    links: Any = orm.DataSourceAssetAssociation.__table__
    return (
        select(links.c.data_source_id, assets.c.data_uri)
        .join(assets, assets.c.id == links.c.asset_id)
        .where(links.c.data_source_id.in_(bindparam("sources", expanding=True)))
    )


_SOURCES_QUERY, _URIS_QUERY, _FOLDERS_QUERY = _sources_query(), _uris_query(), _folders_query()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A span of samples that is asked for."""

    path: tuple[str, str]
    """Stream and data key."""
    start: int
    stop: int
    dtype: np.dtype[Any]
    """What the client takes the samples for; they are not sent if they are something else."""
    row: tuple[int, ...]
    """Shape of a sample: () of one channel, else (channels,)."""

    @classmethod
    def of(cls, asked: dict[str, Any]) -> Wanted:
        """Check what is asked for.

        Raises
        ------
        HTTPException
            400 if it is no span.
        """
        try:
            stream, key = map(str, asked["path"])
            start, stop, row = int(asked["start"]), int(asked["stop"]), tuple(map(int, asked["row"]))
            span = cls((stream, key), start, stop, np.dtype(str(asked["dtype"])), row)
        except (KeyError, TypeError, ValueError) as error:
            raise HTTPException(
                HTTP_400_BAD_REQUEST, f"{asked!r} is no span of samples: {error!r}"
            ) from error
        if not 0 <= start <= stop or span.dtype.hasobject:
            raise HTTPException(HTTP_400_BAD_REQUEST, f"{asked!r} is no span of samples.")
        return span

    @property
    def row_bytes(self) -> int:
        """Bytes of a sample of all channels."""
        return self.dtype.itemsize * math.prod(self.row)

    @property
    def nbytes(self) -> int:
        """Bytes of all of it."""
        return (self.stop - self.start) * self.row_bytes


class _Readable(Protocol):
    def read(self, start: int, stop: int) -> np.ndarray[Any, Any]: ...


@router.post("/tilewright/spans/{path:path}", include_in_schema=False)
async def spans(request: Request, path: str) -> Response:
    """Send spans of the arrays of a run: their samples in C order, little-endian, one span after the other.

    400 for what is no span, and for more bytes than the server is set to give at once; 404 where Tiled's own route has to be
    asked (see `admit_to_catalog`), and for an array that is not there; 409 for samples that are not what was asked for, or
    cannot be read, with the reason.
    """
    root = await admit_to_catalog(request, "", SCOPES)
    keys = tuple(key for key in path.split("/") if key)
    wanted = _wanted(await request.body())
    size, limit = sum(span.nbytes for span in wanted), settings_of(request).response_bytesize_limit
    if size > limit:
        raise HTTPException(HTTP_400_BAD_REQUEST, f"Response would exceed {limit}. Ask for less at once.")
    request.state.endpoint = "data"
    pieces = _pieces(await _arrays(root, keys, wanted), wanted)
    if size <= _AT_ONCE:
        return Response(await anyio.to_thread.run_sync(_read_all, pieces), media_type=BYTES)
    first = await anyio.to_thread.run_sync(_read, pieces[0])
    headers = {"Content-Length": str(size)}
    return StreamingResponse(_ahead(first, pieces[1:]), media_type=BYTES, headers=headers)


def _wanted(body: bytes) -> list[Wanted]:
    try:
        asked = json.loads(body)
    except ValueError:
        asked = None
    if not isinstance(asked, list):
        raise HTTPException(HTTP_400_BAD_REQUEST, "Expected a list of spans, as JSON.")
    return [Wanted.of(one) for one in asked]


@dataclass(frozen=True, slots=True)
class _Piece:
    array: _Readable
    span: Wanted
    start: int
    stop: int


def _pieces(arrays: Sequence[_Readable], wanted: Sequence[Wanted]) -> list[_Piece]:
    """Cut spans into what is read at once."""
    pieces = []
    for array, span in zip(arrays, wanted, strict=True):
        each = max(PIECE_BYTES // max(span.row_bytes, 1), 1)
        pieces += [
            _Piece(array, span, at, min(at + each, span.stop)) for at in range(span.start, span.stop, each)
        ]
    return pieces


def _read_all(pieces: Sequence[_Piece]) -> bytes:
    """Read pieces, and put them together: each message goes through all of the application's layers, which takes 1 ms."""
    return b"".join([_read(piece) for piece in pieces])


def _read(piece: _Piece) -> memoryview:
    """Read a piece.

    Raises
    ------
    HTTPException
        409 if it cannot be read, or is something else than the client takes it for.
    """
    name = "/".join(piece.span.path)
    try:
        samples = piece.array.read(piece.start, piece.stop)
    except (TilewrightError, OSError, ValueError, DataNotReadyError) as error:
        raise HTTPException(HTTP_409_CONFLICT, f"{name} cannot be read: {error}") from error
    expected = (piece.stop - piece.start, *piece.span.row)
    if samples.dtype != piece.span.dtype or samples.shape != expected:
        found = f"{samples.dtype} of shape {samples.shape}"
        raise HTTPException(
            HTTP_409_CONFLICT, f"{name} is {found}, asked for was {piece.span.dtype} of shape {expected}"
        )
    whole: Any = np.ascontiguousarray(samples)  # whose own type is no buffer
    return memoryview(whole).cast("B")


async def _ahead(first: memoryview, pieces: Sequence[_Piece]) -> AsyncIterator[memoryview]:
    """Yield pieces, each of which is read while the one before is being sent."""
    ready = first
    for piece in pieces:
        reading = asyncio.ensure_future(anyio.to_thread.run_sync(_read, piece))
        try:
            yield ready
            ready = await reading
        finally:
            reading.cancel()  # if the client has gone
    yield ready


async def _arrays(root: CatalogContainerAdapter, run: Path, wanted: Sequence[Wanted]) -> list[_Readable]:
    """Return what reads each span: rows in files by themselves, all else through Tiled's adapters.

    Raises
    ------
    HTTPException
        404 if one is not there; 409 if a file must not be read.
    """
    run_id = (await Nodes(root).find(run)).id if run else root.node.id
    async with root.context.engine.connect() as db:
        sources = await _sources(db, run_id, wanted)
        places = {
            path: Places(ranges_of(found.properties or {}, _NO_END))
            for path, found in sources.items()
            if found.mimetype in _ROWS
        }
        files: dict[int, set[int]] = {}
        for span in wanted:
            if span.path in places:
                touched = files.setdefault(sources[span.path].id, set())
                touched.update(places[span.path].files(span.start, span.stop))
        uris = await _uris(db, files)
        folders = await _folders(db, [found for found in sources.values() if _is_own(found)])
    may_not = refusal(root)
    for uri in (uri for of_one in uris.values() for uri in of_one.values()):
        if reason := may_not(uri):
            raise HTTPException(HTTP_409_CONFLICT, f"{uri} {reason}")
    others: dict[tuple[str, str], _Readable] = {}
    for path in sources.keys() - places.keys():
        folder = folders.get(sources[path].id)
        others[path] = await _Other.at(root, (*run, *path)) if folder is None else _Own(folder)

    def rows(span: Wanted) -> Rows:
        source = sources[span.path]
        kind, properties = _ROWS[source.mimetype], source.properties or {}
        return kind(uris[source.id], places[span.path], span.dtype, span.row, properties)

    return [rows(span) if span.path in places else others[span.path] for span in wanted]


async def _sources(db: AsyncConnection, run_id: int, wanted: Sequence[Wanted]) -> dict[tuple[str, str], Any]:
    """Return id, mimetype and properties of the arrays that are asked for, by stream and data key.

    Raises
    ------
    HTTPException
        404 if one is not there.
    """
    paths = {span.path for span in wanted}
    asked = {"run": run_id, "streams": [stream for stream, _ in paths], "keys": [key for _, key in paths]}
    found = {(one.stream, one.key): one for one in (await db.execute(_SOURCES_QUERY, asked)).all()}
    if missing := paths - found.keys():
        raise HTTPException(HTTP_404_NOT_FOUND, f"No such array: {'/'.join(min(missing))}")
    return {path: found[path] for path in paths}


async def _uris(db: AsyncConnection, files: dict[int, set[int]]) -> dict[int, dict[int, str]]:
    """Return the addresses of these files of each data source, by their numbers."""
    uris: dict[int, dict[int, str]] = {source: {} for source in files}
    numbers = sorted(set[int]().union(*files.values()))  # mostly the same ones of each source
    for first in range(0, len(numbers), _NUMBERS_AT_ONCE):
        asked = {"sources": list(files), "numbers": numbers[first : first + _NUMBERS_AT_ONCE]}
        for source, number, uri in (await db.execute(_URIS_QUERY, asked)).all():
            if number in files[source]:
                uris[source][number] = uri
    return uris


def _is_own(source: Any) -> bool:
    """Tell whether an array is of the values of events: the server has written it, see `tilewright.server.arrays`."""
    return bool(source.mimetype == ZARR_MIMETYPE and source.management != Management.external)


async def _folders(db: AsyncConnection, sources: Sequence[Any]) -> dict[int, str]:
    """Return the address of the folder of each of these data sources, by its id."""
    asked = {"sources": [source.id for source in sources]}
    rows = (await db.execute(_FOLDERS_QUERY, asked)).all() if sources else []
    return dict(map(tuple, rows))


@dataclass(frozen=True)
class _Own:
    """An array that the server has written itself. Tiled's way to it is five queries and three adapters: 30 ms on a slow machine."""

    uri: str
    """Of its folder."""

    @cached_property
    def _array(self) -> Any:
        return open_zarr(path_from_uri(self.uri))

    def read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Return the samples from one to before another."""
        return np.asarray(self._array[start:stop])


@dataclass(frozen=True, slots=True)
class _Other:
    """An array that is no files of sound: stored by Tilewright in Zarr or TileDB, or by somebody else."""

    adapter: Any

    @classmethod
    async def at(cls, root: CatalogContainerAdapter, path: Path) -> _Other:
        """Return the array at a path."""
        node = await root.lookup_adapter(list(path))
        return cls(await ensure_awaitable(node.get_adapter))

    def read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Return the samples from one to before another."""
        return np.asarray(self.adapter.read(NDSlice(slice(start, stop))))
