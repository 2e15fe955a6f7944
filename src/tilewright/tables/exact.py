"""From one dtype to another without losing anything, or not at all; called for arrays in events.

What "wider" means is said in `values`, for single numbers; here it is the same for whole arrays, and for NumPy's further
kinds: complex numbers, dates, texts of a fixed width, and structures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUMBERS = "biufc"
_INTEGERS = "iu"


def exact(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Return the array with another dtype, or None if a value of it would be another one then.

    Examples
    --------
    >>> exact(np.array([1.0, 2.0]), np.dtype("i2")), exact(np.array([1.0, 2.5]), np.dtype("i2"))
    (array([1, 2], dtype=int16), None)
    """
    if array.dtype == dtype:
        return array
    if not array.size:  # it has no values, and what numpy takes an empty list for tells nothing
        return np.empty(array.shape, dtype)
    if array.dtype.names is not None or dtype.names is not None:
        return _exact_fields(array, dtype)
    return _exact_values(array, dtype) if _same_kind(array.dtype, dtype) else None


def _exact_values(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    is_made_complex = dtype.kind == "c" and array.dtype.kind != "c"
    with np.errstate(all="ignore"):  # a value that does not fit is found below
        if not _in_range(array, dtype):
            return None
        cast = array.astype(dtype)
        held = cast.real if is_made_complex else cast
        back = held.astype(array.dtype)
        if not _in_range(held, array.dtype):
            return None
    return cast if np.array_equal(back, array, equal_nan=array.dtype.kind in "fcmM") else None


def _exact_fields(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Return structures with another dtype of each field: numpy's own cast makes texts of numbers."""
    if array.dtype.names != dtype.names:
        return None
    cast = np.empty(array.shape, dtype)
    for name in dtype.names or ():
        part = exact(array[name], dtype[name])
        if part is None:
            return None
        cast[name] = part
    return cast


def wider_dtype(one: np.dtype[Any], other: np.dtype[Any]) -> np.dtype[Any] | None:
    """Return the dtype that holds what either holds; None if there is none.

    Integers widen to int64 and floats to float64, as in tables.

    Examples
    --------
    >>> wider_dtype(np.dtype("i2"), np.dtype("u1")), wider_dtype(np.dtype("u2"), np.dtype("f4"))
    (dtype('int64'), dtype('float64'))
    >>> wider_dtype(np.dtype("U3"), np.dtype("U8")), wider_dtype(np.dtype("U3"), np.dtype("f8"))
    (dtype('<U8'), None)
    """
    if one == other:
        return one
    if one.names is not None or other.names is not None:
        return _wider_fields(one, other)
    return _wider_values(one, other) if _same_kind(one, other) else None


def _wider_values(one: np.dtype[Any], other: np.dtype[Any]) -> np.dtype[Any] | None:
    if (native := one.newbyteorder("=")) == other.newbyteorder("="):
        return native
    kinds = {one.kind, other.kind}
    if kinds <= set(_INTEGERS):
        return np.dtype(np.uint64 if kinds == {"u"} else np.int64)
    if "f" in kinds and "c" not in kinds and kinds != {"b", "f"}:
        return np.dtype(np.float64)
    try:
        return np.promote_types(one, other)
    except TypeError:  # years and days, say
        return None


def _wider_fields(one: np.dtype[Any], other: np.dtype[Any]) -> np.dtype[Any] | None:
    if one.names is None or one.names != other.names:
        return None
    fields = [(name, wider_dtype(one[name], other[name])) for name in one.names]
    if any(dtype is None for _, dtype in fields):
        return None
    return np.dtype([(name, dtype) for name, dtype in fields if dtype is not None])


def _same_kind(one: np.dtype[Any], other: np.dtype[Any]) -> bool:
    """Tell whether values of these could be the same at all. Nothing complex is taken for real."""
    return one.kind == other.kind or (one.kind in _NUMBERS and other.kind in _NUMBERS)


def _in_range(array: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    """Tell whether the numbers are in the range of an integer: past it, some come back from it as they were.

    Which of the floats past it do so depends on the processor.
    """
    if array.dtype.kind == "c":
        return dtype.kind == "c"
    if dtype.kind not in _INTEGERS:
        return True
    info = np.iinfo(dtype)
    if array.dtype.kind in _INTEGERS:
        return int(info.min) <= int(array.min()) and int(array.max()) <= int(info.max)
    if array.dtype.kind == "f":
        return bool(((array >= float(info.min)) & (array < float(int(info.max) + 1))).all())
    return True
