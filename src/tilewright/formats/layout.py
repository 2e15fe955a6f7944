"""The arithmetic of rows, shape and chunks of an array whose values lie in files.

In come a data key's description and the parameters of its StreamResource; out goes a `Layout`, which turns a
number of rows into Tiled's array structure. Called by every format. Pure.

    stack (the usual):  n rows of shape (y, x)  →  (n, y, x)
    concat (deprecated in Bluesky, usual for CSV):  n rows of shape (k, x)  →  (n·k, x)
"""

from __future__ import annotations

import dataclasses
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tiled.structures.array import BuiltinDtype, StructDtype

from tilewright.documents import is_true, numpy_dtype, shape
from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from tilewright.formats.base import Json

Join = Literal["stack", "concat"]
MAX_CHUNKS = 10_000_000
"""Chunks along one dimension: Tiled's structure lists each of them."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How one row after another makes an array."""

    dtype: np.dtype[Any]
    row_shape: tuple[int, ...]
    """Shape of one row, which is one event; () for a single number."""
    chunk_shape: tuple[int, ...]
    """Sizes of the chunks along the leading dimensions of the whole array; () for one chunk."""
    join: Join
    """`stack` adds a dimension on the left for the rows; `concat` lengthens the leftmost one."""
    join_chunks: bool
    """With `concat`: whether a chunk may hold values of two rows."""
    dims: tuple[str, ...]
    """Names of the dimensions of the whole array; () if they have none."""

    @property
    def row_length(self) -> int:
        """Length of one row along its own first dimension: frames in an image sequence, 1 for a number."""
        return self.row_shape[0] if self.row_shape else 1

    def shape(self, rows: int) -> tuple[int, ...]:
        """Return the shape of an array of so many rows."""
        if self.join == "concat" and self.row_shape:
            return (rows * self.row_length, *self.row_shape[1:])
        return (rows, *self.row_shape)

    def chunks(self, rows: int) -> list[list[int]]:
        """Return the sizes of the chunks along each dimension of an array of so many rows."""
        whole = self.shape(rows)
        sizes = [split(length, size) for length, size in zip(whole, self.chunk_shape, strict=False)]
        if sizes and self.join == "concat" and not self.join_chunks:
            sizes[0] = split(self.row_length, self.chunk_shape[0]) * rows or [0]
        return sizes + [[length] for length in whole[len(self.chunk_shape) :]]

    def check_chunks(self) -> None:
        """Refuse chunks of more dimensions than the array has.

        Raises
        ------
        InputError
            If they have.
        """
        whole = self.shape(0)
        if len(self.chunk_shape) > len(whole):
            raise InputError(
                f"chunk_shape {self.chunk_shape} has more dimensions than the array: one row of it has shape"
                f" {self.row_shape}, and rows are joined by {self.join!r}. Give at most {len(whole)} sizes."
            )

    def check_rows(self, rows: int) -> None:
        """Refuse so many rows that nobody could list their chunks.

        Raises
        ------
        InputError
            If there are.
        """
        sizes = zip(self.shape(rows), self.chunk_shape, strict=False)
        counts = [length // size for length, size in sizes]
        if counts and self.join == "concat" and not self.join_chunks:  # each row has chunks of its own
            counts[0] = rows * max(1, -(-self.row_length // self.chunk_shape[0]))
        if any(count > MAX_CHUNKS for count in counts):
            raise InputError(
                f"{rows} rows of shape {self.row_shape} in chunks of {self.chunk_shape} are more than {MAX_CHUNKS}"
                " chunks. Correct the indices, or give a larger chunk_shape."
            )

    def structure(self, rows: int) -> dict[str, Json]:
        """Return Tiled's array structure, as JSON, for so many rows."""
        return {
            "data_type": data_type(self.dtype),
            "chunks": self.chunks(rows),
            "shape": list(self.shape(rows)),
            "dims": list(self.dims) or None,
            "resizable": False,
        }


def split(length: int, size: int) -> list[int]:
    """Split a length into chunks of one size, with what remains at the end.

    Examples
    --------
    >>> split(13, 5), split(0, 5)
    ([5, 5, 3], [0])
    """
    rest = [length % size] if length % size else []
    return [size] * (length // size) + rest or [0]


def read_layout(
    parameters: Mapping[str, Any], spec: Mapping[str, Any], *, join: Join, join_chunks: bool
) -> Layout:
    """Read the layout of one data key out of its documents.

    Parameters
    ----------
    parameters
        Of the StreamResource: `join_method`, `join_chunks`, `chunk_shape` and `multiplier` (frames an event).
    spec
        The data key in the descriptor.
    join, join_chunks
        What the format takes where the parameters say nothing.

    Raises
    ------
    InputError
        If the dtype is unknown, or a length varies.
    """
    join = parameters.get("join_method", join)
    if join not in ("stack", "concat"):
        raise InputError(f"join_method={join!r} of a StreamResource: expected 'stack' or 'concat'.")
    row_shape = lengths(shape(spec), "shape of the data key")
    if row_shape == (1,) and join == "stack":
        row_shape = ()
    row_shape = _with_frames(row_shape, parameters.get("multiplier"))
    dims = spec.get("dims")
    dims = dims if is_true(dims) else ()
    if not (isinstance(dims, (list, tuple)) and all(isinstance(name, str) for name in dims)):
        raise InputError(f"The dims of the data key are {dims!r}: expected a list of names.")
    return Layout(
        dtype=_served_dtype(spec),
        row_shape=row_shape,
        chunk_shape=lengths(parameters.get("chunk_shape") or (), "chunk_shape", least=1),
        join=join,
        join_chunks=bool(parameters.get("join_chunks", join_chunks)),
        dims=("time", *dims) if dims and join == "stack" else tuple(dims),
    )


def lengths(values: Sequence[Any], what: str, *, least: int = 0) -> tuple[int, ...]:
    """Check that these are lengths of dimensions, and return them.

    Raises
    ------
    InputError
        If one is no integer (None: it varies from row to row), or is less than `least`.
    """
    try:
        whole = tuple(operator.index(value) for value in values)
    except TypeError as error:
        raise InputError(
            f"The {what} is {values!r}: expected a fixed integer for each dimension. An array in files cannot"
            " have a length that varies."
        ) from error
    if any(length < least for length in whole):
        raise InputError(f"The {what} is {values!r}: expected {least} or more in each dimension.")
    return whole


def _with_frames(row_shape: tuple[int, ...], multiplier: int | None) -> tuple[int, ...]:
    """Put the number of frames of each event into the shape, if it is not there.

    Examples
    --------
    >>> _with_frames((), 5), _with_frames((1, 2, 3), 5), _with_frames((2, 3), 5), _with_frames((5, 2, 3), 5)
    ((5,), (5, 2, 3), (5, 2, 3), (5, 2, 3))
    """
    if not multiplier:
        return row_shape
    (frames,) = lengths((multiplier,), "multiplier", least=1)
    if row_shape[:1] == (frames,):
        return row_shape
    return (frames, *(row_shape[1:] if row_shape[:1] == (1,) else row_shape))


def _served_dtype(spec: Mapping[str, Any]) -> np.dtype[Any]:
    """Return the dtype, once it is certain that Tiled has a name for it (it has none for objects)."""
    dtype = numpy_dtype(spec)
    try:
        data_type(dtype)
    except ValueError as error:
        raise InputError(
            f"Tiled cannot serve arrays of dtype {dtype} ({error}). Declare a fixed-size dtype_numpy."
        ) from error
    return dtype


def data_type(dtype: np.dtype[Any]) -> dict[str, Json]:
    """Return a dtype as Tiled's structures have it."""
    kind = BuiltinDtype if dtype.fields is None else StructDtype
    json: dict[str, Json] = dataclasses.asdict(kind.from_numpy_dtype(dtype), dict_factory=_plain)
    return json


def _plain(items: list[tuple[str, Any]]) -> dict[str, Json]:
    return {name: getattr(value, "value", value) for name, value in items}
