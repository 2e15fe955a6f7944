"""A dense TileDB array that exists comes in, the documents of a run that registers it where it lies go out.

    with TiledWriter(server) as writer:
        for name, doc in TileDBArrays("/data/deployment1"):
            writer(name, doc)

The run has one stream, `primary`, with one data key for each attribute, which is the whole array: as far as it was written, or all
of its domain. `formats.tiledb` makes nodes of it. The array's own metadata (`A.meta`) are in the descriptor's configuration and
in the metadata of each node, beside what its dimensions are. Nothing of its values is read.
"""

from __future__ import annotations

import json
import math
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tilewright.documents.resources import file_uri
from tilewright.errors import InputError, SetupError
from tilewright.sources.tiledb_schema import OpenArray

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from tilewright.documents import Document

MIMETYPE = "application/x-tiledb"
SOURCE = "tilewright.sources.tiledb_arrays"
UNNAMED = "values"
"""Data key of an attribute that was given no name."""
CHUNK_BYTES = 16 << 20
"""About how much a chunk has: the array's structure lists all of them, and clients fetch whole ones."""
_LARGEST_TILE = 64 << 20
"""Bytes of a tile beyond which chunks are parts of it: a client could not take it at once."""
_NAMESPACE = uuid.UUID("0c0ab1c4-7a0b-5d0f-9f3e-5f3b3c1f7f0a")
"""Ours: what follows from other things than a run's uid."""


class TileDBArrays:
    """Documents of runs that register dense TileDB arrays, one run for each.

    Parameters
    ----------
    paths
        The arrays' directories.
    attributes
        Those that are to be registered; all that can be arrays where none are named.
    region
        `"written"`: between the first cell and the last that were written. `"domain"`: all cells there can be.
    metadata
        Fields of the start documents.

    Raises
    ------
    InputError
        While iterated over: there is no such array, it is sparse, empty, or has no such attribute.
    SetupError
        While iterated over: the package TileDB is not installed.

    Notes
    -----
    Every uid follows from the array and what is written in it: whoever registers it again, unchanged, makes the same documents, and
    the run is there once. An array that has grown makes another run.
    """

    def __init__(
        self,
        *paths: str | os.PathLike[str],
        attributes: Sequence[str] | None = None,
        region: Literal["written", "domain"] = "written",
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self._paths = [Path(path).absolute() for path in paths]
        self._attributes = attributes
        if region not in ("written", "domain"):
            raise InputError(f"The region of a TileDB array is {region!r}; expected 'written' or 'domain'.")
        self._region = region
        self._metadata = dict(metadata or {})

    def __iter__(self) -> Iterator[Document]:
        """Yield the documents."""
        for path in self._paths:
            try:
                array = OpenArray(path)
            except ModuleNotFoundError as error:
                raise SetupError(str(error)) from error
            try:
                yield from self._run(array)
            finally:
                array.close()

    def _run(self, array: OpenArray) -> Iterator[Document]:
        names = [array.attribute(name) for name in self._attributes or array.attributes or [None]]
        cells = self._cells(array)
        shape = [stop - start for start, stop in cells]
        time = array.changed_ns / 1e9
        identity = json.dumps([str(array.path), names, cells, array.changed_ns, self._metadata], default=str)
        uid = str(uuid.uuid5(_NAMESPACE, identity))

        def derived(what: str) -> str:
            return str(uuid.uuid5(uuid.UUID(uid), what))

        start = {"plan_name": "tiledb_arrays", "source": SOURCE, "array": str(array.path)}
        yield "start", {**start, **self._metadata, "uid": uid, "time": time}
        keys = {name or UNNAMED: name for name in names}
        yield (
            "descriptor",
            {
                "uid": derived("descriptor"),
                "run_start": uid,
                "time": time,
                "name": "primary",
                "data_keys": {key: _data_key(array, name, shape) for key, name in keys.items()},
                "object_keys": {array.path.name: list(keys)},
                "configuration": {array.path.name: _configuration(array.metadata, time)},
                "hints": {},
            },
        )
        for key, name in keys.items():
            about = _about(array, name, [start for start, _ in cells])
            yield (
                "stream_resource",
                {
                    **self._resource(array, name, cells, about),
                    "data_key": key,
                    "run_start": uid,
                    "uid": derived(key),
                },
            )
            yield (
                "stream_datum",
                {
                    "uid": derived(f"{key}/0"),
                    "stream_resource": derived(key),
                    "descriptor": derived("descriptor"),
                    "indices": {"start": 0, "stop": 1},
                    "seq_nums": {"start": 1, "stop": 2},
                },
            )
        stop = {"uid": derived("stop"), "run_start": uid, "time": time, "exit_status": "success"}
        yield "stop", {**stop, "num_events": {"primary": 1}}

    def _cells(self, array: OpenArray) -> list[tuple[int, int]]:
        """Return the cells that are registered, along each dimension."""
        if self._region == "domain":
            return [(0, each.length) for each in array.dimensions]
        if array.written is None:
            raise InputError(
                f"{array.path} is empty: nothing was written yet, so that there is nothing to register"
            )
        return list(array.written)

    def _resource(
        self, array: OpenArray, name: str, cells: list[tuple[int, int]], about: dict[str, Any]
    ) -> dict[str, Any]:
        tiles = [each.tile for each in array.dimensions]
        shape = [stop - start for start, stop in cells]
        parameters: dict[str, Any] = {
            "join_method": "concat",  # the one event of the run has all of it
            "chunk_shape": chunk_shape(shape, tiles, array.attributes[name].itemsize),
            "metadata": about,
        }
        if name:
            parameters["attribute"] = name
        if any(start for start, _ in cells):
            parameters["offset"] = [start for start, _ in cells]
        if self._region == "domain":
            parameters["unwritten"] = "fill"
        return {"mimetype": MIMETYPE, "uri": file_uri("", str(array.path)), "parameters": parameters}


def chunk_shape(shape: Sequence[int], tiles: Sequence[int], itemsize: int) -> list[int]:
    """Return a chunk of about `CHUNK_BYTES`: several tiles along the last dimensions, or a part of a tile that is too large.

    Examples
    --------
    >>> chunk_shape([32, 10**9], [1, 192_000], 2), chunk_shape([2, 10**10], [1, 691_200_000], 2)
    ([1, 8256000], [1, 8388608])
    >>> chunk_shape([1000, 64, 64], [100, 64, 64], 8), chunk_shape([20, 4], [5, 2], 4)
    ([500, 64, 64], [20, 4])
    """
    chunk = [min(tile, length) for tile, length in zip(tiles, shape, strict=True)]
    for dimension in reversed(range(len(chunk))):
        rest = math.prod(chunk[:dimension] + chunk[dimension + 1 :]) * itemsize
        if rest * chunk[dimension] > _LARGEST_TILE:
            chunk[dimension] = max(1, CHUNK_BYTES // rest)
        else:
            several = max(1, CHUNK_BYTES // (rest * chunk[dimension]))
            chunk[dimension] = min(chunk[dimension] * several, shape[dimension])
    return chunk


def _data_key(array: OpenArray, name: str, shape: list[int]) -> dict[str, Any]:
    return {
        "source": f"tiledb:{array.path}",
        "dtype": "array",
        "shape": shape,
        "dtype_numpy": array.attributes[name].str,
        "dims": [each.name for each in array.dimensions],
        "external": "STREAM:",
    }


def _about(array: OpenArray, name: str, first: list[int]) -> dict[str, Any]:
    """Return what the node's metadata say of the array."""
    dimensions = []
    for each, cell in zip(array.dimensions, first, strict=True):
        coordinate = each.coordinate(cell)
        found = {"name": each.name, "first": str(coordinate) if each.unit else coordinate, "tile": each.tile}
        dimensions.append(found | ({"unit": each.unit} if each.unit else {}))
    return {"attribute": name, "dimensions": dimensions, "fill": array.fill(name), "meta": array.metadata}


def _configuration(metadata: Mapping[str, Any], time: float) -> dict[str, Any]:
    """Return metadata as the configuration of a descriptor."""
    return {
        "data": dict(metadata),
        "timestamps": dict.fromkeys(metadata, time),
        "data_keys": {name: _described(value) for name, value in metadata.items()},
    }


def _described(value: Any) -> dict[str, Any]:
    kinds = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array"}
    shape = [len(value)] if isinstance(value, list) else []
    return {"source": "A.meta", "dtype": kinds.get(type(value), "string"), "shape": shape}
