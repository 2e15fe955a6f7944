"""What a TileDB array says of itself: the path of its directory comes in, an `OpenArray` comes out.

Called by the source that registers such arrays, by the stores of recordings, and by `formats.tiledb` on the server. Cells are
counted from the first one of a domain, whatever its coordinate, so that nothing but this module has to do with coordinates:

    domain of a dimension     5   6   7   8   9  10        coordinates; times are integers in the dimension's unit
    cells                     0   1   2   3   4   5
    written                       x       x                `written` is (1, 4): what lies between and was not written is filled
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy as np

_OPEN_ARRAYS = 64
"""Arrays that stay open: to open one of a thousand fragments takes a quarter of a second, and the server does it for each request."""
_SETTLED_NS = 2_000_000_000
"""Age from which on the time of a directory's last change tells one change from the next, on any file system."""
_STAMPED = ("", "__fragments", "__commits", "__schema", "__meta")
"""Directories of an array that change when something is written."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension of an array's domain."""

    name: str
    first: int
    """Coordinate of the first cell; of times, counted since 1970 in `unit`."""
    length: int
    """Cells of the domain."""
    tile: int
    """Cells of a tile, which is read as a whole."""
    unit: str = ""
    """What times are counted in, as numpy names it (`ns`); empty for integers."""

    def coordinate(self, cell: int) -> Any:
        """Return the coordinate of a cell, as TileDB takes it."""
        import numpy as np  # noqa: PLC0415 - with TileDB

        coordinate = self.first + cell
        return np.int64(coordinate).view(f"M8[{self.unit}]") if self.unit else coordinate


class OpenArray:
    """A dense array that is open for reading, as it was at that moment. Threads may read it side by side.

    Parameters
    ----------
    path
        Its directory.

    Raises
    ------
    InputError
        If there is no such array, or it is sparse.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.attributes: dict[str, np.dtype[Any]] = {}
        """Those that can be read, by name, which may be empty for one that was given none."""
        self.refused: dict[str, str] = {}
        """The others, with the reason as a clause."""
        package = tiledb()
        try:
            with context():
                self._array = package.open(str(path))
                self._read_schema()
        except package.TileDBError as error:
            if not path.is_dir():
                raise InputError(f"{path} is no TileDB array: there is no such directory") from error
            raise InputError(f"{path} cannot be opened as a TileDB array: {error}") from error

    def _read_schema(self) -> None:
        schema = self._array.schema
        if schema.sparse:
            self._array.close()
            raise InputError(f"{self.path} is a sparse TileDB array; only dense ones are arrays of values")
        domain = schema.domain
        self.dimensions = tuple(_dimension(domain.dim(number), number) for number in range(domain.ndim))
        for attribute in map(schema.attr, range(schema.nattr)):
            if reason := _reason_against(attribute):
                self.refused[str(attribute.name)] = reason
            else:
                self.attributes[str(attribute.name)] = attribute.dtype

    def attribute(self, name: str | None) -> str:
        """Return the attribute of a name; the only one there is where None is given.

        Raises
        ------
        InputError
            If it cannot be read, or it is not said which one is meant.
        """
        if name is None and len(self.attributes) + len(self.refused) == 1:
            name = next(iter(self.attributes | self.refused))
        if name in self.refused:
            raise InputError(f"{self.path}: attribute {name!r} cannot be an array, for {self.refused[name]}")
        if name is None or name not in self.attributes:
            missing = "has several attributes" if name is None else f"has no attribute {name!r}"
            known = ", ".join(map(repr, self.attributes)) or "none that can be an array"
            raise InputError(f"{self.path} {missing}; the parameter 'attribute' names one, of {known}")
        return name

    def fill(self, attribute: str) -> Any:
        """Return what cells have that were never written, as JSON can hold it: NaN as text."""
        import numpy as np  # noqa: PLC0415 - with TileDB

        with context():
            values = np.ravel(self._array.schema.attr(attribute).fill)
        value = _plain(values[0] if len(values) == 1 else values)
        return str(value) if value != value else value  # noqa: PLR0124 - NaN is not itself

    @property
    def written(self) -> tuple[tuple[int, int], ...] | None:
        """The cells between which something was written, along each dimension: from, and up to before. None if nothing was."""
        with context():
            domain = self._array.nonempty_domain()
        return None if domain is None else self._cells(domain)

    def written_to(self, row: int) -> tuple[tuple[int, int], ...] | None:
        """Return the same of one cell of the first dimension, as far as the fragments tell; slow, for each of them is asked."""
        with context():
            domains = tiledb().array_fragments(str(self.path)).nonempty_domain
        found = [self._cells(domain) for domain in domains]
        found = [cells for cells in found if cells[0][0] <= row < cells[0][1]]
        if not found:
            return None
        along = zip(*found, strict=True)
        return tuple((min(start for start, _ in each), max(stop for _, stop in each)) for each in along)

    def read(self, attribute: str, region: Sequence[tuple[int, int]]) -> np.ndarray[Any, Any]:
        """Read the cells from one to before another along each dimension; those never written have the attribute's fill value.

        Parameters
        ----------
        region
            Not empty along any dimension, and within the domain.
        """
        ranges = tuple(
            slice(each.coordinate(start), each.coordinate(stop - 1))
            for (start, stop), each in zip(region, self.dimensions, strict=True)
        )
        named = {"attrs": [attribute]} if attribute else {}
        with context():
            found: np.ndarray[Any, Any] = self._array.query(dims=[], **named).multi_index[ranges][attribute]
        return found

    @property
    def metadata(self) -> dict[str, Any]:
        """The array's metadata (`A.meta`) as what documents can hold: arrays as lists, bytes as text."""
        with context():
            return {str(name): _plain(value) for name, value in self._array.meta.items()}

    @property
    def changed_ns(self) -> int:
        """When it was last written to, in nanoseconds since 1970, as its directories tell."""
        return max(_stamp(self.path), default=0)

    def close(self) -> None:
        """Give back what it holds; for arrays that are not from `opened`."""
        self._array.close()

    def _cells(self, domain: Sequence[Any]) -> tuple[tuple[int, int], ...]:
        both = zip(domain, self.dimensions, strict=True)
        return tuple(
            (_integer(low) - each.first, _integer(high) - each.first + 1) for (low, high), each in both
        )


def tiledb() -> Any:
    """Import the package TileDB, which changes how numpy prints in the whole process, and put that right.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed.
    """
    import numpy as np  # noqa: PLC0415 - with TileDB

    try:
        with np.printoptions():
            import tiledb  # noqa: PLC0415 - slow to import, and an extra
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "TileDB arrays need the package tiledb: pip install 'tilewright[tiledb]'", name="tiledb"
        ) from error
    return tiledb


def context() -> AbstractContextManager[Any]:
    """Have TileDB use the threads and caches of this process while in it, and hand them on.

    A process needs one set, and must not use its parent's after a fork. TileDB makes one for each of asyncio's contexts unless it
    is told otherwise, of which a server has one for each request; and to make one takes a second.
    """
    scope: AbstractContextManager[Any] = tiledb().scope_ctx(_context(os.getpid()))
    return scope


@cache
def _context(process: int) -> Any:  # noqa: ARG001 - see `context`
    return tiledb().Ctx()


def opened(path: Path) -> OpenArray:
    """Return a dense array as it is at this moment; what was opened before and has not changed since is used again.

    Raises
    ------
    InputError
        If there is no such array, or it is sparse.
    """
    stamp = _stamp(path)
    if time.time_ns() - max(stamp, default=0) < _SETTLED_NS:
        return OpenArray(path)
    return _opened_before(os.getpid(), path, stamp)


@lru_cache(_OPEN_ARRAYS)
def _opened_before(process: int, path: Path, stamp: tuple[int, ...]) -> OpenArray:  # noqa: ARG001 - of what it is kept
    return OpenArray(path)


def _stamp(path: Path) -> tuple[int, ...]:
    """Return the times of the last change of those directories of an array that there are."""
    times = []
    for name in _STAMPED:
        try:
            times.append((path / name).stat().st_mtime_ns)
        except OSError:
            continue
    return tuple(times)


def _reason_against(attribute: Any) -> str:
    if attribute.isvar:
        return "its values vary in length"
    if attribute.isnullable:
        return "its values may be null"
    return "its values are enumerated" if attribute.enum_label else ""


def _dimension(dimension: Any, number: int) -> Dimension:
    import numpy as np  # noqa: PLC0415 - with TileDB

    kind = np.dtype(dimension.dtype)
    first, last = (_integer(bound) for bound in dimension.domain)
    unit = np.datetime_data(kind)[0] if kind.kind == "M" else ""
    name = f"dim_{number}" if dimension.isanon else str(dimension.name)
    length = last - first + 1
    return Dimension(name, first, length, min(_integer(dimension.tile), length), unit)


def _integer(coordinate: Any) -> int:
    import numpy as np  # noqa: PLC0415 - with TileDB

    return int(
        coordinate.astype("i8") if isinstance(coordinate, np.datetime64 | np.timedelta64) else coordinate
    )


def _plain(value: Any) -> Any:
    import numpy as np  # noqa: PLC0415 - with TileDB

    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, np.datetime64 | np.timedelta64):
        return str(value)
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    return [_plain(each) for each in value] if isinstance(value, tuple | list) else value
