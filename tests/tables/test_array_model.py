"""Whatever values one key has, however they come: each is read back equal, or is set aside."""

import json

import hypothesis.extra.numpy as numbers
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.tables import Hints, SchemaTooNarrow, build, page_of, schema_for
from tilewright.tables.ragged import decode_ragged, encode_ragged

STRUCTURES = [[("a", "i2"), ("b", "f4")], [("a", "u1"), ("b", "f8")], [("a", "i1"), ("b", "<U2")]]
DTYPES = st.one_of(
    numbers.boolean_dtypes(),
    numbers.integer_dtypes(endianness="?"),
    numbers.unsigned_integer_dtypes(endianness="?"),
    numbers.floating_dtypes(sizes=(16, 32, 64), endianness="?"),
    numbers.complex_number_dtypes(sizes=(64, 128), endianness="?"),
    numbers.byte_string_dtypes(max_len=3),
    numbers.unicode_string_dtypes(max_len=3),
    numbers.datetime64_dtypes(min_period="s", max_period="s"),
    numbers.timedelta64_dtypes(min_period="s", max_period="s"),
    st.sampled_from(list(map(np.dtype, STRUCTURES))),
)
ARRAYS = DTYPES.flatmap(
    lambda dtype: numbers.arrays(dtype, numbers.array_shapes(min_dims=0, max_side=5, min_side=0))
)
INTEGERS = st.integers(-(2**65), 2**65)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    INTEGERS,
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=3),
    st.binary(max_size=3),
)
LISTS = st.one_of(
    *(
        st.lists(each, max_size=8)
        for each in (st.booleans(), st.integers(-300, 300), INTEGERS, st.floats(), SCALARS)
    )
)
VALUES = st.one_of(
    ARRAYS,
    ARRAYS.map(np.transpose),
    ARRAYS.map(np.ndarray.tolist),
    ARRAYS.map(lambda array: list(array) if array.ndim else array),
    st.recursive(LISTS, lambda inner: st.lists(inner, max_size=4), max_leaves=4),
    SCALARS,
    st.dictionaries(st.text(max_size=1), SCALARS, max_size=1),
)
DECLARED = st.sampled_from([None, "<f8", "<i4", "<u2", "<U3", "|b1", ">f4", STRUCTURES[0]])
SHAPES = st.lists(st.none() | st.integers(0, 6), max_size=3)


def delivered(values, spec, batches, most):
    """Return schema and rows after batches of these sizes, as the delivery comes to them."""
    keys, hints, count = {"k": spec}, Hints(), 0
    for size in batches:
        start, count = count, count + size
        while True:
            try:
                rows = build(pages(values[start:count], keys), schema_for(keys, hints, most), keys)
                break
            except SchemaTooNarrow as narrow:
                known, start = hints, 0  # from the first row on
                hints = known.merge(narrow.hints).ordered(keys)
                assert hints != known, "this would never end"
    schema = schema_for(keys, hints, most)
    return schema, rows if start == 0 else build(pages(values, keys), schema, keys)


def pages(values, keys):
    events = [
        {"seq_num": n, "time": 0.5, "data": {"k": value}, "timestamps": {"k": 0.5}}
        for n, value in enumerate(values)
    ]
    return [page_of(events, keys)]


def found(schema, rows, count):
    """Return the values as they would be read."""
    if not schema.arrays:
        return rows.table.column("k").to_pylist()
    (array,) = schema.arrays
    block = rows.arrays[array.name]
    assert (block.type, block.rows) == (array.type, count)
    if not array.type.is_seen:
        return [None] * count
    assert array.type.is_storable
    if array.type.is_ragged:
        assert len(decode_ragged(encode_ragged(block.values, array.type))) == count
        return nested(block.values)
    dense = block.dense(0, count)
    assert (dense.dtype, dense.shape) == (array.type.dtype, (count, *array.type.row_shape))
    return plain(dense)


def nested(ragged):
    items = ragged.flat.tolist()
    for lengths in reversed(ragged.lengths):
        ends = np.cumsum(lengths)
        items = [items[end - length : end] for end, length in zip(ends, lengths, strict=True)]
    return items


def plain(value):
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.tolist() if isinstance(value, np.generic) else value


def same(one, other):
    if isinstance(one, list) or isinstance(other, list):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return one == other or (one != one and other != other)  # noqa: PLR0124 - NaN


@pytest.mark.filterwarnings("ignore:Casting complex values to real")  # those that are real, of a structure
@given(st.lists(VALUES, min_size=1, max_size=6), SHAPES, DECLARED, st.integers(0, 5))
def test_each_value_is_read_or_set_aside(values, shape, dtype, most):
    spec = {"dtype": "array", "shape": shape, **({} if dtype is None else {"dtype_numpy": dtype})}
    count, types = len(values), []
    for batches in ([count], [1] * count):
        schema, rows = delivered(values, spec, batches, most)
        rejected = rows.table.to_pydict().get("rejected", [None] * count)
        read = found(schema, rows, count)
        for value, one, aside in zip(values, read, rejected, strict=True):
            is_aside = aside is not None and "k" in json.loads(aside)
            assert is_aside or value is None or same(plain(one), plain(value)), (one, value, schema.arrays)
        types.append([array.type for array in schema.arrays])
    if "[]" not in str(plain(values)):  # what has no values may come before there is anything to go by
        assert types[0] == types[1]


def test_durations_are_not_turned_to_numbers():
    """To NumPy, five days are an integer, and equal to 5."""
    schema, rows = delivered(
        [[np.timedelta64(5, "D")], np.array(5, "m8[D]")], {"dtype": "array", "shape": [1]}, [2], 0
    )
    assert set(map(bool, map(json.loads, rows.table.column("rejected").to_pylist()))) == {True}
    assert not schema.arrays[0].type.is_seen
