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
    if not _same_kind(array.dtype, dtype) or not _in_range(array, dtype):
        return None
    is_made_complex = dtype.kind == "c" and array.dtype.kind != "c"
    with np.errstate(all="ignore"):  # a value that does not fit is found below
        cast = array.astype(dtype)
        back = (cast.real if is_made_complex else cast).astype(array.dtype)
    return cast if np.array_equal(back, array, equal_nan=array.dtype.kind in "fcmM") else None


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
    if not _same_kind(one, other):
        return None
    kinds = {one.kind, other.kind}
    if kinds <= set(_INTEGERS):
        return np.dtype(np.uint64 if kinds == {"u"} else np.int64)
    if "f" in kinds and "c" not in kinds and kinds != {"b", "f"}:
        return np.dtype(np.float64)
    try:
        return np.promote_types(one, other)
    except TypeError:  # structures of different fields
        return None


def _same_kind(one: np.dtype[Any], other: np.dtype[Any]) -> bool:
    """Tell whether values of these could be the same at all. Nothing complex is taken for real."""
    return one.kind == other.kind or (one.kind in _NUMBERS and other.kind in _NUMBERS)


def _in_range(array: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    """Tell whether the numbers are in the range of an integer: past it, they come back from it as they were."""
    if dtype.kind in _INTEGERS and array.dtype.kind in _INTEGERS and array.size:
        info = np.iinfo(dtype)
        return int(info.min) <= int(array.min()) and int(array.max()) <= int(info.max)
    return not (array.dtype.kind == "c" and dtype.kind != "c")
