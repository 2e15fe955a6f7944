"""What the arrays in the events of one data key are: a descriptor and values come in, an `ArrayType` goes out.

`schema` asks what the descriptor says, `blocks` and `batch` what the values need. Pure.

    every row has the same shape      →  (rows, *row_shape), an array
    lengths vary from row to row      →  (rows, None, …), a ragged array
    "join_method": "concat"           →  (rows of all events, *row_shape), one array after the other
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.documents import ALL_IN_TABLE, MAX_ARRAY_SIZE, is_array, is_joined, numpy_dtype, shape
from tilewright.errors import InputError
from tilewright.tables.exact import wider_dtype
from tilewright.tables.values import MAX_DIMENSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_BYTES = {"f": 8, "c": 16}
_RAGGED_FLOATS = (4, 8)
"""Bytes of the floats that a database has lists of: a ragged array lies in a table (`tiled.adapters.ragged`)."""


@dataclass(frozen=True, slots=True)
class ArrayType:
    """The dtype of a data key's values, and the shape of the value of one event; of one row of it, if they are joined."""

    dtype: np.dtype[Any] | None
    """None as long as nobody has said it."""
    row_shape: tuple[int | None, ...]
    """None stands for a length that varies, or is 0."""
    is_seen: bool = False
    """Whether values had this shape, and it is not only the descriptor's word."""
    is_joined: bool = False
    """Whether an event brings any number of rows, those that follow the ones of the event before."""

    @property
    def is_ragged(self) -> bool:
        """Whether a length varies from row to row."""
        return None in self.row_shape

    @property
    def is_storable(self) -> bool:
        """Whether a server can hold an array of it.

        A ragged one takes numbers only. Others take what Zarr and Tiled both have a name for, and structures of that: not
        objects, numbers of more than 8 bytes, dates in steps of several units, or structures in which a field is a date, an
        array or a structure.
        """
        if self.dtype is None:
            return True
        if len(self.row_shape) >= MAX_DIMENSIONS:
            return False
        if self.is_ragged:
            is_float = self.dtype.kind == "f" and self.dtype.itemsize in _RAGGED_FLOATS
            return is_float or self.dtype.kind in "biu"
        if self.dtype.names is None:
            return self.dtype.kind == "V" or _is_simple(self.dtype)
        fields = (self.dtype[name] for name in self.dtype.names)
        return all(_is_simple(field) and field.kind not in "mM" for field in fields)

    @property
    def fill(self) -> Any:
        """What stands in a row without a value: NaN, or NaT, or else zero, False or an empty text."""
        if self.dtype is not None and self.dtype.kind in "fcmM":
            return self.dtype.type("NaT") if self.dtype.kind in "mM" else np.nan
        return np.zeros((), self.dtype)[()]

    def merge(self, other: ArrayType) -> ArrayType:
        """Return the type that holds what either holds; this one's dtype or number of dimensions, if there is none.

        What the descriptor says of the shape gives way to what was seen.

        Examples
        --------
        >>> one, other = ArrayType(np.dtype("i2"), (3, 4), True), ArrayType(np.dtype("f8"), (5, 4), True)
        >>> one.merge(other)
        ArrayType(dtype=dtype('float64'), row_shape=(None, 4), is_seen=True, is_joined=False)
        """
        if self.is_joined != other.is_joined:
            return self.of_events.merge(other.of_events)
        dtype = self.dtype or other.dtype
        if self.dtype is not None and other.dtype is not None:
            dtype = wider_dtype(self.dtype, other.dtype) or self.dtype
        return ArrayType(dtype, self._merged_shape(other), self.is_seen or other.is_seen, self.is_joined)

    @property
    def of_events(self) -> ArrayType:
        """The same as what the values of events are: of any length along their first dimension, if they are joined.

        Examples
        --------
        >>> ArrayType(np.dtype("i2"), (2,), is_joined=True).of_events
        ArrayType(dtype=dtype('int16'), row_shape=(None, 2), is_seen=False, is_joined=False)
        """
        return replace(self, row_shape=(None, *self.row_shape), is_joined=False) if self.is_joined else self

    @property
    def joined(self) -> ArrayType:
        """The type of the rows of such events' values; itself where these cannot be joined, as they are ragged within.

        Examples
        --------
        >>> ArrayType(np.dtype("i2"), (None, 2)).joined
        ArrayType(dtype=dtype('int16'), row_shape=(2,), is_seen=False, is_joined=True)
        """
        if not self.row_shape or None in self.row_shape[1:]:
            return self
        return replace(self, row_shape=self.row_shape[1:], is_joined=True)

    def _merged_shape(self, other: ArrayType) -> tuple[int | None, ...]:
        if self.is_seen != other.is_seen:
            return self.row_shape if self.is_seen else other.row_shape
        if len(self.row_shape) != len(other.row_shape):
            return self.row_shape
        both = zip(self.row_shape, other.row_shape, strict=True)
        return tuple(one if one == another else None for one, another in both)


def _is_simple(dtype: np.dtype[Any]) -> bool:
    """Tell whether it is a dtype of numbers, texts, bytes or dates that can be stored."""
    if dtype.kind in "mM":
        unit, count = np.datetime_data(dtype)
        return unit != "generic" and count == 1
    most = _MOST_BYTES.get(dtype.kind, 0)
    return dtype.kind in "biufcSU" and 0 < dtype.itemsize <= (most or dtype.itemsize)


IN_TABLE = ArrayType(np.dtype(object), ())
"""In place of the type of an array: the values stay in the table, since no array can hold them."""


def declared_type(spec: Mapping[str, Any], most: int = MAX_ARRAY_SIZE) -> ArrayType | None:
    """Return the type of a data key's array, by its descriptor; None if its values belong into the table, or may do.

    Parameters
    ----------
    spec
        The data key in the descriptor.
    most
        How many elements stay in the table.

    Examples
    --------
    >>> declared_type({"dtype": "array", "shape": [2048], "dtype_numpy": "<i4"})
    ArrayType(dtype=dtype('int32'), row_shape=(2048,), is_seen=False, is_joined=False)
    >>> declared_type({"dtype": "array", "shape": [3]}), declared_type({"dtype": "number", "shape": []})
    (None, None)
    """
    if most == ALL_IN_TABLE or not is_array(spec):
        return None
    if is_joined(spec):
        kind = unseen_type(spec)
        return kind if kind.is_joined and kind.is_storable else None
    declared = shape(spec)
    lengths = tuple(length for length in declared if isinstance(length, int) and length > 0)
    if len(lengths) < len(declared) or math.prod(lengths) <= most:
        return None
    kind = ArrayType(declared_dtype(spec), lengths)
    return kind if kind.is_storable else None


def unseen_type(spec: Mapping[str, Any]) -> ArrayType:
    """Return the type of a data key's array as far as the descriptor tells it, which need not be far.

    Examples
    --------
    >>> unseen_type({"dtype": "array", "shape": [None, 2]})
    ArrayType(dtype=None, row_shape=(None, 2), is_seen=False, is_joined=False)
    """
    lengths = (length if isinstance(length, int) and length > 0 else None for length in shape(spec))
    kind = ArrayType(declared_dtype(spec), tuple(lengths))
    return kind.joined if is_joined(spec) else kind


def declared_dtype(spec: Mapping[str, Any]) -> np.dtype[Any] | None:
    """Return the dtype of a data key's elements if the descriptor says it, and not only that it is an array.

    Examples
    --------
    >>> declared_dtype({"dtype": "array"}), declared_dtype({"dtype": "array", "dtype_numpy": "<u2"})
    (None, dtype('uint16'))
    """
    said = {name: value for name, value in spec.items() if name != "dtype"}
    try:
        dtype = numpy_dtype(said)
    except InputError:  # it says nothing
        return None
    return None if dtype.kind == "O" or dtype.itemsize == 0 else dtype
