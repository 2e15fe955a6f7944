"""What a descriptor says about one data key: its dtype, its shape, and whether its values lie in files.

In comes one value of `descriptor["data_keys"]`; tables and formats call these functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tilewright.documents.notes import quoted
from tilewright.errors import InputError

MAX_ARRAY_SIZE = 16
"""Elements of an array in an event that stays in the table, if nobody says otherwise; Bluesky's writer has the same."""
ALL_IN_TABLE = -1
"""In place of such a number: whatever their size."""
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
    candidates = [spec.get(name) for name in ("dtype_descr", "dtype_numpy", "dtype_str")]
    declared = next((value for value in candidates if not _is_empty(value)), None)
    if declared is None and isinstance(spec.get("dtype"), str):
        declared = _DTYPE_OF_JSON_TYPE.get(spec["dtype"])
    if declared is None:
        raise InputError(
            f"Reading a data key's dtype: dtype={quoted(spec.get('dtype'))} is none of"
            f" {', '.join(_DTYPE_OF_JSON_TYPE)}, and there is no dtype_numpy. Correct the descriptor."
        )
    try:
        return np.dtype(declared if isinstance(declared, str) else _fields(declared))
    except Exception as error:  # numpy raises also SyntaxError, RecursionError and its deprecations
        raise InputError(
            f"Reading a data key's dtype: numpy does not understand {quoted(declared)} ({error})."
            " Expected an array-protocol string such as '<f8', or a list of such fields."
        ) from error


def _fields(descr: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Give back the tuples that `numpy.dtype.descr` has and JSON turns to lists."""
    return [
        (name, kind if isinstance(kind, str) else _fields(kind), *map(tuple, length))
        for name, kind, *length in descr
    ]


def dtype_of_setting(value: Any) -> str:
    """Return the JSON dtype of a value in a descriptor's configuration; text for what is none of the others.

    >>> [dtype_of_setting(value) for value in (True, 1, 0.5, "high", None)]
    ['boolean', 'integer', 'number', 'string', 'string']
    """
    if isinstance(value, bool):
        return "boolean"
    return "integer" if isinstance(value, int) else "number" if isinstance(value, float) else "string"


def is_array(spec: Mapping[str, Any]) -> bool:
    """Tell whether the values of a data key are arrays, by its descriptor."""
    declared = spec.get("dtype")
    return isinstance(declared, str) and declared == "array"


def is_joined(spec: Any) -> bool:
    """Tell whether a data key says that the values of its events are one array, each after that of the event before.

    Its `join_method` is "concat", as that of a StreamResource is whose files are one after the other.

    Examples
    --------
    >>> is_joined({"dtype": "array", "shape": [None], "join_method": "concat"})
    True
    """
    return isinstance(spec, Mapping) and is_array(spec) and str(spec.get("join_method")) == "concat"


def is_external(spec: Mapping[str, Any]) -> bool:
    """Tell whether the values lie in files, so that an event holds a reference or nothing.

    Examples
    --------
    >>> is_external({"dtype": "array", "external": "STREAM:"}), is_external({"dtype": "number"})
    (True, False)
    """
    return isinstance(spec, Mapping) and "external" in spec


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
    lengths = spec.get("shape")
    lengths = lengths.tolist() if isinstance(lengths, np.ndarray) else lengths
    lengths = () if _is_empty(lengths) else lengths
    if isinstance(lengths, str) or not isinstance(lengths, Sequence):
        raise InputError(f"Reading a data key's shape: expected a list of lengths, found {quoted(lengths)}.")
    return tuple(lengths)


def is_true(value: Any) -> bool:
    """Tell whether a flag, such as one in `filled`, is set; an array, which has no truth of its own, is."""
    try:
        return bool(value)
    except ValueError:
        return True


def _is_empty(value: Any) -> bool:
    """Tell whether a field is as good as missing; an array has no truth of its own."""
    return value is None or (not isinstance(value, np.ndarray) and not value)
