"""What a descriptor says about a data key."""

from __future__ import annotations

import numpy as np
import pytest
from bluesky_tiled_plugins.writing.tiled_writer import JSON_TO_NUMPY_DTYPE

from tilewright.documents import is_external, numpy_dtype, shape
from tilewright.errors import InputError


@pytest.mark.parametrize("json_type", JSON_TO_NUMPY_DTYPE)
def test_json_types_as_bluesky_reads_them(json_type):
    assert numpy_dtype({"dtype": json_type}) == np.dtype(JSON_TO_NUMPY_DTYPE[json_type])


def test_what_is_more_exact_decides():
    spec = {"dtype": "number"}
    for name, declared, expected in [
        ("dtype_str", "<u1", "<u1"),
        ("dtype_numpy", "<i4", "<i4"),
        ("dtype_descr", [["x", "<f4"]], [("x", "<f4")]),
    ]:
        spec[name] = declared
        assert numpy_dtype(spec) == np.dtype(expected)


@pytest.mark.parametrize("empty", [None, "", []])
def test_what_is_empty_does_not_decide(empty):
    assert numpy_dtype({"dtype": "integer", "dtype_numpy": empty, "dtype_descr": empty}) == np.dtype("<i8")


def test_nested_structures():
    descr = [["at", [["s", "<i8"], ["ns", "<i8"]]], ["xy", "<f4", [2]]]
    expected = np.dtype([("at", [("s", "<i8"), ("ns", "<i8")]), ("xy", "<f4", (2,))])
    assert numpy_dtype({"dtype": "array", "dtype_numpy": descr}) == expected


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"dtype": "thing"},
        {"dtype": "array", "dtype_numpy": "<q9"},
        {"dtype": "array", "dtype_numpy": [["x"]]},
    ],
)
def test_no_dtype_at_all(spec):
    with pytest.raises(InputError, match="data key's dtype"):
        numpy_dtype(spec)


def test_shape_and_external():
    assert shape({"shape": (2, None)}) == (2, None)
    assert shape({}) == ()
    assert is_external({"external": None})
