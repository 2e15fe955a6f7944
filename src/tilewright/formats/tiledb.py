"""TileDB: rows of a dense array in its directory, or of several arrays after one another; or one row of it as an array.

In come StreamResources of mimetype `application/x-tiledb`, whose `uri` is the array's directory. Called through the registry.
`TileDBAdapter` reads the arrays on the server. Indices count cells from the first one of the array's domain:

    the array in TileDB (unit, time)     without `row`: (units, samples), a row is a unit
                                         `row` k: the samples of unit k, a row is a sample
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tilewright.errors import InputError
from tilewright.formats.arrays import FileArray
from tilewright.formats.base import DataSource, FileFacts, Format, Json
from tilewright.formats.checking import FILES
from tilewright.sources.tiledb_schema import OpenArray, opened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from tilewright.formats.sliced import Region

MIMETYPE = "application/x-tiledb"
FILL = "fill"
"""Value of the parameter `unwritten`: cells never written count as there, up to the end of the domain."""

_ADAPTER_PARAMETERS = ("attribute", "row", "offset", "unwritten")
_LARGEST_TILE = 64 << 20
"""Bytes up to which chunks are best whole tiles. What is larger no client takes at once; the seed of this format has 1.4 GB."""


class TileDBArrays(FileArray):
    """An array, or a row of one, in one TileDB array for each StreamResource."""

    repeated = (*_ADAPTER_PARAMETERS, "chunk_shape")
    in_directories = True

    @property
    def metadata(self) -> dict[str, Json]:
        """Metadata for the array's node: what the resource gives as `metadata`, and what all formats have."""
        return {**(self._parameters.get("metadata") or {}), **super().metadata}

    def _adapter_parameters(self) -> dict[str, Json]:
        return adapter_parameters(self._parameters)


def adapter_parameters(parameters: Mapping[str, Any]) -> dict[str, Json]:
    """Return the arguments of the adapter: those of a StreamResource's parameters that say what to read.

    Raises
    ------
    InputError
        If one is not what it should be.

    Examples
    --------
    >>> adapter_parameters({"attribute": "sample", "row": 3, "chunk_shape": [192000], "offset": None})
    {'attribute': 'sample', 'row': 3}
    """
    given = {name: parameters[name] for name in _ADAPTER_PARAMETERS if parameters.get(name) is not None}
    expected = {
        "attribute": ("a text", isinstance(given.get("attribute", ""), str)),
        "row": ("an integer from 0", _is_index(given.get("row", 0))),
        "offset": ("a list of integers from 0", _are_indices(given.get("offset", []))),
        "unwritten": (repr(FILL), given.get("unwritten", FILL) == FILL),
    }
    for name, (what, is_so) in expected.items():
        if not is_so:
            raise InputError(f"The {name} of a TileDB array is {given[name]!r}; expected {what}.")
    if not isinstance(parameters.get("metadata") or {}, dict):
        raise InputError(
            f"The metadata of a TileDB array are {parameters['metadata']!r}; expected a mapping."
        )
    return given


def _is_index(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_indices(values: object) -> bool:
    return isinstance(values, list) and all(map(_is_index, values))


@dataclass(frozen=True, slots=True)
class Part:
    """That part of a TileDB array which a StreamResource means."""

    array: OpenArray
    attribute: str
    first: tuple[int, ...]
    """Its first cell, along each dimension of the TileDB array."""
    shape: tuple[int, ...]
    """Of what is there."""
    tiles: tuple[int, ...]
    """Cells of a tile along the dimensions of `shape`."""

    @classmethod
    def of(
        cls,
        array: OpenArray,
        parameters: Mapping[str, Any],
        row_shape: Sequence[int],
        *,
        exactly: bool = False,
    ) -> Part:
        """Return the part of an array.

        Parameters
        ----------
        parameters
            See `adapter_parameters`.
        row_shape
            As declared. The domain is mostly larger than what is in it, so that a row is as declared if it fits into the domain.
        exactly
            Whether to tell for a `row` what was written to it, and not what was written to any.

        Raises
        ------
        InputError
            If the array has no such attribute, or no such cells.
        """
        first = list(parameters.get("offset") or [0] * len(array.dimensions))
        if len(first) != len(array.dimensions):
            raise InputError(
                f"{array.path} has {len(array.dimensions)} dimensions, and offset {first} is for {len(first)}"
            )
        row, is_row = parameters.get("row"), parameters.get("row") is not None
        first[0] += row or 0
        for cell, dimension in zip(first, array.dimensions, strict=True):
            if cell >= dimension.length:
                what = f"cell {cell} of dimension {dimension.name!r}"
                raise InputError(f"{array.path} has no {what}, which has {dimension.length}")
        if is_row and not first[1:]:
            raise InputError(
                f"{array.path} has one dimension only, and no rows to choose from with row={row}"
            )
        dimensions = array.dimensions[is_row:]
        domain = [each.length - cell for each, cell in zip(dimensions, first[is_row:], strict=True)]
        if parameters.get("unwritten") == FILL:
            there = domain
        else:
            cells = array.written_to(first[0]) if is_row and exactly else array.written
            stops = [0] * len(first) if cells is None else [stop for _, stop in cells]
            there = [max(stop - cell, 0) for stop, cell in zip(stops[is_row:], first[is_row:], strict=True)]
        fits = len(row_shape) == len(domain) - 1 and all(map(int.__le__, row_shape, domain[1:]))
        shape = (there[0], *(row_shape if fits else there[1:]))
        tiles = tuple(each.tile for each in dimensions)
        return cls(array, array.attribute(parameters.get("attribute")), tuple(first), shape, tiles)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of its values."""
        return self.array.attributes[self.attribute]

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """The tiles, if chunks of the array can be whole ones."""
        begins = self.first[len(self.first) - len(self.tiles) :]
        if math.prod(self.tiles) * self.dtype.itemsize > _LARGEST_TILE:
            return None
        if any(cell % tile for cell, tile in zip(begins, self.tiles, strict=True)):
            return None
        return tuple(min(tile, max(length, 1)) for tile, length in zip(self.tiles, self.shape, strict=True))

    def read(self, region: Region) -> np.ndarray[Any, Any]:
        """Read a region of it."""
        fixed = len(self.first) - len(region)  # 1 where it is a row
        begins = self.first[fixed:]
        cells = [(cell + start, cell + stop) for cell, (start, stop) in zip(begins, region, strict=True)]
        found = self.array.read(self.attribute, [(cell, cell + 1) for cell in self.first[:fixed]] + cells)
        return found[0] if fixed else found


class TileDBAdapter:
    """Makes the adapter of TileDB arrays in a catalog; Tiled names it by the mimetype."""

    @classmethod
    def from_catalog(cls, data_source: Any, node: Any, /, **parameters: Any) -> Any:
        """Return the adapter.

        Raises
        ------
        DataNotReadyError
            If the arrays hold fewer rows than promised.
        ValueError
            If they hold values of another dtype, or cannot be read.
        """
        from tiled.utils import path_from_uri  # noqa: PLC0415 - on the server only

        from tilewright.formats.in_use import without_rows  # noqa: PLC0415
        from tilewright.formats.sliced import Sliced, adapter_of  # noqa: PLC0415

        if (empty := without_rows(data_source, node)) is not None:
            return empty
        row_shape = data_source.structure.shape[1:]
        assets = data_source.assets[: data_source.properties.get(FILES)]
        paths = [path_from_uri(asset.data_uri) for asset in assets]
        parts = [Part.of(opened(path), parameters, row_shape) for path in paths]
        return adapter_of([Sliced(part.read, part.shape, part.dtype) for part in parts], data_source, node)


def measure(path: Path, source: DataSource) -> FileFacts:
    """Return what the schema of an array says, and its non-empty domain.

    Raises
    ------
    InputError
        If it is no dense array that can be read.
    """
    part = Part.of(opened(path), source.parameters, source.structure["shape"][1:], exactly=True)
    return FileFacts(part.shape, part.dtype, part.chunks)


FORMAT = Format(
    mimetypes=(MIMETYPE,),
    open=TileDBArrays,
    adapters={MIMETYPE: f"{__name__}:{TileDBAdapter.__name__}"},
    measure=measure,
)
