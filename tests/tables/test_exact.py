"""Casts that lose nothing, or are none."""

import numpy as np
import pytest

from tilewright.tables.exact import exact, wider_dtype


@pytest.mark.parametrize(
    ("values", "dtype", "fits"),
    [
        (np.array([0, 255]), "u1", True),
        (np.array([0, 256]), "u1", False),
        (np.array([-1]), "u8", False),
        (np.array([2**63], "u8"), "i8", False),
        (np.array([2**53]), "f8", True),
        (np.array([2**53 + 1]), "f8", False),
        (np.array([np.nan, np.inf]), "f4", True),
        (np.array([np.nan]), "i8", False),
        (np.array([np.inf]), "i8", False),
        (np.array([0.1]), "f4", False),
        (np.array([1.0, 0.0]), "?", True),
        (np.array([2]), "?", False),
        (np.array([True]), "f8", True),
        (np.array([1 + 0j]), "f8", False),
        (np.array([1.5]), "c16", True),
        (np.array(["abc"]), "<U2", False),
        (np.array(["ab"]), "<U9", True),
        (np.array(["1"]), "f8", False),
        (np.array(["2020-01-01T00:00:01"], "M8[s]"), "M8[ns]", True),
        (np.array(["2020-01-01T00:00:01"], "M8[s]"), "M8[D]", False),
        (np.array(["NaT"], "M8[s]"), "M8[ns]", True),
        (np.array([1], "m8[s]"), "i8", False),
        (np.array([], "i8"), "u1", True),
        (np.array([], "f8"), "<U1", True),
        (np.array([2**63 - 1]), "f8", False),
        (np.array([2**64 - 1], "u8"), "c16", False),
        (np.array([2.0**63]), "i8", False),
        (np.array([2.0**64]), "u8", False),
        (np.array([65504], "f2"), "u8", True),
        (np.array([(1, np.nan)], [("a", "i1"), ("b", "f4")]), [("a", "i8"), ("b", "f8")], True),
        (np.array([(200,)], [("a", "u1")]), [("a", "i1")], False),
        (np.array([(1,)], [("a", "i1")]), [("a", "<U4")], False),
        (np.array([(1,)], [("a", "i1")]), [("b", "i1")], False),
        (np.array([(1,)], [("a", "i1")]), "i1", False),
    ],
)
def test_a_cast_keeps_every_value_or_is_none(values, dtype, fits):
    cast = exact(values, np.dtype(dtype))
    assert (cast is not None) == fits
    if cast is not None:
        assert cast.dtype == np.dtype(dtype)
        assert str(cast.tolist()) == str(values.tolist()) or np.array_equal(
            cast, values, equal_nan=cast.dtype.kind in "fcmM"
        )


@pytest.mark.parametrize(
    ("one", "other", "wider"),
    [
        ("i2", "i4", "i8"), ("u1", "u2", "u8"), ("i1", "u1", "i8"), ("i8", "u8", "i8"), ("i2", "f4", "f8"),
        ("f4", "f8", "f8"), ("?", "i2", "i2"), ("?", "f4", "f4"), ("f8", "c8", "c16"), ("<U2", "<U5", "<U5"),
        ("M8[s]", "M8[ns]", "M8[ns]"), ("f8", "<U5", None), ("M8[s]", "i8", None),
        ([("a", "i2"), ("b", "<U2")], [("a", "f4"), ("b", "<U3")], [("a", "f8"), ("b", "<U3")]),
        ([("a", "i2")], [("a", "<U2")], None), ([("a", "i2")], [("b", "i2")], None), ([("a", "i2")], "i2", None),
    ],
)  # fmt: skip
def test_the_wider_of_two(one, other, wider):
    expected = None if wider is None else np.dtype(wider)
    assert (
        wider_dtype(np.dtype(one), np.dtype(other)) == wider_dtype(np.dtype(other), np.dtype(one)) == expected
    )
