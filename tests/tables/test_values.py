import datetime
import itertools
import math
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.journal import Unencodable
from tilewright.tables.values import convert, wider

BOOL, I2, I8, U8, F4, F8, TEXT = (
    pa.bool_(),
    pa.int16(),
    pa.int64(),
    pa.uint64(),
    pa.float32(),
    pa.float64(),
    pa.string(),
)

FITS = [
    ([1.5, 2, None, math.inf], F8),
    ([2**53, -(2**53), 2**60], F8),
    ([True, 0.5], F8),
    ([1, None, -3], I8),
    ([1.0, 2], I8),
    ([True, 5], I8),
    ([2**63 - 1, -(2**63)], I8),
    ([2**64 - 1, 0], U8),
    ([True, None, False], BOOL),
    ([1, 0], BOOL),
    (["a", None, ""], TEXT),
    ([np.str_("a")], TEXT),
    ([np.int8(3), np.float32(0.5), np.uint64(7)], F8),
    ([0.5, None, math.inf], F4),
    ([None, None], I8),
    ([], F8),
    ([[1.5, None], None, []], pa.list_(F8)),
    ([np.arange(3), [4]], pa.list_(I8)),
    ([np.arange(4).reshape(2, 2), [[5, 6]]], pa.list_(pa.list_(I8))),
    ([["a", "b"], []], pa.list_(TEXT)),
    ([[True], [False, None]], pa.list_(BOOL)),
    ([np.array(5), np.float64(6)], I8),
]


def plain(value):
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


@pytest.mark.parametrize(("values", "type_"), FITS, ids=str)
def test_what_fits_comes_out_equal(values, type_):
    converted = convert(values, type_)
    assert converted.widened is None
    assert converted.rejected == {}
    assert converted.array.type == type_
    assert converted.array.to_pylist() == [plain(value) for value in values]


def test_nan_is_not_null():
    array = convert([math.nan, None, 1.0], F8).array
    assert array.null_count == 1
    assert math.isnan(array[0].as_py())
    assert convert([math.nan, None, 0.5], F4).array.null_count == 1


WIDENS = [
    ([1, 2.5], I8, F8),
    ([1, math.nan], I8, F8),
    ([True, 2], BOOL, I8),
    ([True, 0.5], BOOL, F8),
    ([40_000], I2, I8),
    ([-1], pa.uint8(), I8),
    ([0.1], F4, F8),
    ([2**24 + 1], F4, F8),
    ([1e300], F4, F8),
    ([0.5], U8, F8),
    ([[1, 2], [2.5]], pa.list_(I8), pa.list_(F8)),
]


@pytest.mark.parametrize(("values", "type_", "needed"), WIDENS, ids=str)
def test_what_needs_a_wider_number_says_so(values, type_, needed):
    converted = convert(values, type_)
    assert converted.array is None
    assert converted.widened == needed
    again = convert(values, needed)
    assert again.rejected == {}
    np.testing.assert_equal(again.array.to_pylist(), values)


REJECTED = [
    ("text", F8),
    (b"bytes", TEXT),
    (5, TEXT),
    (2**53 + 1, F8),
    (10**400, F8),
    (2**64, I8),
    (-1, U8),
    (10**30, BOOL),
    (1j, F8),
    ([1.0], F8),
    (1.0, pa.list_(F8)),
    (["x"], pa.list_(F8)),
    ([[1.0]], pa.list_(F8)),
    ({"a": 1}, F8),
    ("\ud800", TEXT),
    ("a NUL \0 in it", TEXT),
    ({1, 2}, pa.list_(I8)),
    (frozenset({1, 2}), pa.list_(I8)),
    (["\0"], pa.list_(TEXT)),
    (10**4000, I8),
    (np.array([5]), I8),
    (datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), F8),
    (Unencodable("f", "<f>"), F8),
]


@pytest.mark.parametrize(("value", "type_"), REJECTED, ids=str)
def test_what_fits_no_number_is_set_aside_and_costs_nothing_else(value, type_):
    good = {"string": "good", "list<item: string>": ["good"]}.get(
        str(type_), [1] if pa.types.is_list(type_) else True
    )
    converted = convert([good, value, None], type_)
    assert converted.widened is None
    assert list(converted.rejected) == [1]
    assert "does not fit a column of" in converted.rejected[1]
    assert converted.array.to_pylist() == [good, None, None]


numbers = st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.none() | st.text(max_size=3)
types = st.sampled_from([BOOL, pa.int8(), I2, I8, pa.uint8(), U8, F4, F8, TEXT])


@given(st.lists(numbers, max_size=8), types)
def test_no_value_ever_changes(values, type_):
    """Widen as long as asked: in the end each value is there, equal, or was set aside; and it ends."""
    for _ in range(4):
        converted = convert(values, type_)
        if converted.widened is None:
            break
        assert wider(type_, converted.widened) == converted.widened
        type_ = converted.widened
    else:
        pytest.fail("widening does not end")
    for position, (value, stored) in enumerate(zip(values, converted.array.to_pylist(), strict=True)):
        if position in converted.rejected:
            assert stored is None
        elif isinstance(value, float) and math.isnan(value):
            assert math.isnan(stored)
        else:
            assert stored == value


@given(types, types)
def test_wider_is_commutative_and_idempotent(one, other):
    both = wider(one, other)
    assert both == wider(other, one)
    if both is not None:
        assert wider(both, one) == both
        assert wider(both, other) == both


@pytest.mark.parametrize(
    "value", [np.datetime64("2026-01-01", "ns"), np.timedelta64(5, "ns"), np.array([5], "m8[ns]")], ids=repr
)
def test_dates_and_durations_are_no_numbers(value):
    target = pa.list_(I8) if value.ndim else I8
    converted = convert([value], target)
    assert list(converted.rejected) == [0]
    assert converted.array.to_pylist() == [None]


def test_a_column_that_may_not_widen_rejects_what_would_need_it():
    converted = convert([1, 2.5, 3.0, None], I8, widens=False)
    assert converted.array.to_pylist() == [1, None, 3, None]
    assert list(converted.rejected) == [1]


def test_a_set_is_no_list_even_among_sets():
    assert list(convert([{1}, {2}], pa.list_(I8)).rejected) == [0, 1]


def test_the_reason_names_what_could_not_be_encoded_by_its_own_type():
    reason = convert([Unencodable("Motor", "<Motor m1>")], F8).rejected[0]
    assert reason == "Motor does not fit a column of double: <Motor m1>"


NUMBERS = [
    np.uint64(2**64 - 1),
    np.int64(2**53 + 1),
    2**53 + 1,
    2**64 - 1,
    -1,
    True,
    np.bool_(True),
    np.float16(1.5),
    np.float32(1.5),
    np.longdouble("0.1"),
    0.1,
    1e300,
    None,
]
"""Of each type; none is another one rounded, cut off or taken for its bits."""


def stored(values, type_):
    """Return what a column of this type has of the values in the end; None for what is rejected."""
    converted = convert(values, type_)
    if converted.widened is not None:
        converted = convert(values, converted.widened)
    return [
        None if position in converted.rejected else value
        for position, value in enumerate(converted.array.to_pylist())
    ], converted.rejected


@pytest.mark.parametrize("one", NUMBERS, ids=repr)
@pytest.mark.parametrize("shape", ["scalars", "lists", "arrays", "one list"])
def test_numbers_of_different_types_stay_what_they_are(one, shape):
    for other, scalar in itertools.product(NUMBERS, (F8, I8, F4, BOOL, U8)):
        values, type_ = {
            "scalars": ([one, other], scalar),
            "lists": ([[one], [other]], pa.list_(scalar)),
            "arrays": ([np.array([one]), np.array([other])], pa.list_(scalar)),
            "one list": ([[one, other]], pa.list_(scalar)),
        }[shape]
        found, rejected = stored(values, type_)
        for position, (value, kept) in enumerate(zip(values, found, strict=True)):
            assert position in rejected or plain(value) == kept, (values, type_, found)


ODD_ONE_OUT = {"no": "number"}


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ([np.float32(1.5), np.int8(1)], pa.list_(F8)),
        ([np.array([1, 2])], pa.list_(pa.list_(I8))),
        (np.array([[1.5], [2]], object), pa.list_(pa.list_(F8))),
        (np.array([1.5, np.float32(2)], object), pa.list_(F8)),
        ([[1, 2], {3}], pa.list_(pa.list_(I8))),
        ([[1, 2], frozenset({3})], pa.list_(pa.list_(I8))),
        ([{"a": 1}], pa.list_(I8)),
        (0.0, BOOL),
        (1.0, BOOL),
        ([1.0], pa.list_(BOOL)),
        (np.longdouble("0.5"), F8),
        ([np.longdouble("0.5"), 1.5], pa.list_(F8)),
    ],
    ids=repr,
)
def test_whether_a_value_fits_does_not_depend_on_the_others_of_its_batch(value, type_):
    """Else the table would not be the same if it is made anew from other batches."""
    alone, rejected = stored([value], type_)
    beside, also_rejected = stored([value, ODD_ONE_OUT], type_)
    assert (alone[0], 0 in rejected) == (beside[0], 0 in also_rejected)


def test_dicts_of_many_keys_cost_what_they_hold():
    """Arrow would make a field of each key, and each row have all: 400 million."""
    values = [{f"k{number}": number} for number in range(20_000)]
    start = time.perf_counter()
    assert (
        len(convert(values, F8).rejected)
        == len(convert([[value] for value in values], F8).rejected)
        == 20_000
    )
    assert time.perf_counter() - start < 10  # seconds
