"""What a descriptor says about one data key: its dtype, its shape, and whether its values lie in files.

In comes one value of `descriptor["data_keys"]`; tables and formats call these functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_DTYPE_OF_JSON_TYPE = {"number": "<f8", "array": "<f8", "integer": "<i8", "boolean": "|b1", "string": "<U0"}


def numpy_dtype(spec: Mapping[str, Any]) -> np.dtype[Any]:
    """Return the machine dtype of one element.

    The first of these that is present and not empty decides: `dtype_descr` (fields of a structure),
    `dtype_numpy`, `dtype_str` (its predecessor), and the fuzzy JSON `dtype`.

    Parameters
    ----------
    spec
        One data key of a descriptor.

    Returns
    -------
    numpy.dtype
        Strings declared only as JSON `string` have kind `U` and no length.

    Raises
    ------
    InputError
        If none of them is present, or the one that decides is not a dtype.

    Examples
    --------
    >>> numpy_dtype({"dtype": "integer"}).str, numpy_dtype({"dtype": "array"}).str
    ('<i8', '<f8')
    >>> numpy_dtype({"dtype": "array", "dtype_numpy": "<u2"}).str
    '<u2'
    >>> numpy_dtype({"dtype": "array", "dtype_numpy": "<f8", "dtype_descr": [["x", "<f4"], ["n", "|u1", [2]]]})
    dtype([('x', '<f4'), ('n', 'u1', (2,))])
    >>> numpy_dtype({"dtype": "string"}).kind
    'U'
    """
    declared = spec.get("dtype_descr") or spec.get("dtype_numpy") or spec.get("dtype_str")
    declared = declared or _DTYPE_OF_JSON_TYPE.get(str(spec.get("dtype")))
    if not declared:
        raise InputError(
            f"Reading a data key's dtype: dtype={spec.get('dtype')!r} is none of"
            f" {', '.join(_DTYPE_OF_JSON_TYPE)}, and there is no dtype_numpy. Correct the descriptor."
        )
    try:
        return np.dtype(declared if isinstance(declared, str) else _fields(declared))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Reading a data key's dtype: numpy does not understand {declared!r} ({error})."
            " Expected an array-protocol string such as '<f8', or a list of such fields."
        ) from error


def _fields(descr: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Give back the tuples that `numpy.dtype.descr` has and JSON turns to lists."""
    return [
        (name, kind if isinstance(kind, str) else _fields(kind), *map(tuple, length))
        for name, kind, *length in descr
    ]


def is_external(spec: Mapping[str, Any]) -> bool:
    """Tell whether the values lie in files, so that an event holds a reference or nothing.

    Examples
    --------
    >>> is_external({"dtype": "array", "external": "STREAM:"}), is_external({"dtype": "number"})
    (True, False)
    """
    return "external" in spec


def shape(spec: Mapping[str, Any]) -> tuple[int | None, ...]:
    """Return the shape of one event's value; None stands for a length that varies.

    Raises
    ------
    InputError
        If it is no list.

    Examples
    --------
    >>> shape({"shape": [480, 640]}), shape({"shape": None}), shape({"shape": [None, 2]})
    ((480, 640), (), (None, 2))
    """
    lengths = spec.get("shape") or ()
    if isinstance(lengths, str) or not isinstance(lengths, Sequence):
        raise InputError(f"Reading a data key's shape: expected a list of lengths, found {lengths!r}.")
    return tuple(lengths)
