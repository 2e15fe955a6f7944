"""Arrays whose rows lie in many files, some in each: what the catalog says of one comes in, an adapter goes out that opens few of them.

The formats whose files are read here derive from `RowsInFiles`: they say how to read rows of one file. Tiled names the adapter by the
mimetype, and asks it which files a slice touches, so that only these are looked up.

    files          a: 5 rows    b: 3    c: 3    d: 4
    ranges         [0, 0, 5]  [1, 0, 3, 2]  [3, 0, 4]       `RANGES`: as short for ten thousand files that are alike
    array[4:9]     a[4:5] b[0:3] c[0:1]
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.formats.arrays import DATA_URIS
from tilewright.formats.ranges import Places, ranges_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_KNOWN_PATHS = 4096


@dataclass(frozen=True, slots=True)
class Rows(ABC):
    """The rows of an array in files, to be read.

    Who reads them makes one of these from what the catalog says of the array: `RowsInFiles`, and `tilewright.server.spans` for many
    arrays at once.
    """

    uris: Mapping[int, str] | Sequence[str | None]
    """Addresses of the files by their numbers; those that are not needed may be missing."""
    places: Places
    dtype: np.dtype[Any]
    row: tuple[int, ...]
    """Shape of a row."""
    properties: Mapping[str, Any]
    """Of the data source."""

    def read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Return the rows from one to before another.

        Raises
        ------
        DataNotReadyError
            If a file has fewer rows than promised. Tiled's server answers that it may be tried again, if it was written to lately.
        ValueError
            If a file holds values of another dtype, or rows of another shape.
        InputError, OSError
            If a file is damaged, or cannot be opened.
        """
        parts = [
            self.of_file(file, path_of(self.uris[file]), first, last)
            for file, first, last in self.places.parts(start, stop)
        ]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.empty((0, *self.row), self.dtype)

    @abstractmethod
    def of_file(self, number: int, path: Path, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Return rows of one file; see `read` for what is raised."""


class RowsInFiles:
    """Makes the adapter of an array in files."""

    rows: type[Rows]
    supports_lazy_assets = True

    @classmethod
    def from_catalog(cls, data_source: Any, node: Any, /, **arguments: Any) -> Any:
        """Return the adapter. What its `read` raises: see `Rows.read`.

        Parameters
        ----------
        arguments
            See `uris_of`.
        """
        from tilewright.formats.sliced import Region, Sliced, SlicedAdapter  # noqa: PLC0415 - on the server only

        uris = uris_of(data_source, arguments)
        structure, properties = data_source.structure, data_source.properties or {}
        shape, dtype = tuple(structure.shape), structure.data_type.to_numpy_dtype()
        rows = cls.rows(uris, Places(ranges_of(properties, shape[0])), dtype, shape[1:], properties)

        def read(region: Region) -> np.ndarray[Any, Any]:
            (start, stop), *others = region
            return rows.read(start, stop)[(slice(None), *(slice(*each) for each in others))]

        return SlicedAdapter(Sliced(read, shape, dtype), structure, metadata=node.metadata_, specs=node.specs)

    @classmethod
    def file_indices_for_slice(
        cls,
        structure: Any,
        n_files: int,  # noqa: ARG003 - Tiled's signature
        slice: Any = ...,  # noqa: A002 - Tiled's name
        properties: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,  # noqa: ARG003
    ) -> tuple[int, ...] | None:
        """Return the numbers of the files that a slice touches."""
        from tilewright.formats.sliced import picked  # noqa: PLC0415 - on the server only

        (rows, *_), _ = picked(slice, structure.shape)
        if not rows:
            return ()
        places = Places(ranges_of(properties or {}, structure.shape[0]))
        return tuple(places.files(min(rows[0], rows[-1]), max(rows[0], rows[-1]) + 1))


def uris_of(data_source: Any, arguments: Mapping[str, Any]) -> Sequence[str | None]:
    """Return the addresses of an array's files by their numbers, None for those that are not needed.

    Parameters
    ----------
    data_source
        With all files, if there are no `data_uris`.
    arguments
        Of an adapter's `from_catalog`: `data_uris` are what is returned.
    """
    uris: Sequence[str | None] | None = arguments.get(DATA_URIS)
    if uris is None:
        return [asset.data_uri for asset in data_source.assets if asset.parameter == DATA_URIS]
    return uris


@lru_cache(_KNOWN_PATHS)
def path_of(uri: str) -> Path:
    """Return the path that a file's address names; to take an address apart takes as long as to open the file."""
    from tiled.utils import path_from_uri  # noqa: PLC0415 - on the server only

    path: Path = path_from_uri(uri)
    return path


def not_ready(path: Path, there: int, stop: int, what: str) -> Exception:
    """Return the error for a file that has fewer rows than promised."""
    from tiled.adapters.utils import DataNotReadyError  # noqa: PLC0415 - on the server only

    error: Exception = DataNotReadyError(
        f"{path} has {there} {what} of {stop} that are promised; try again later."
    )
    return error
