"""Arrays in events: what type they are, and that nothing in them is altered."""

import numpy as np
import pytest

from tilewright.tables.array_types import IN_TABLE, ArrayType, declared_type
from tilewright.tables.blocks import Ragged, gather, join, type_of
from tilewright.tables.ragged import decode_ragged, encode_ragged

I4, I8, F4, F8 = map(np.dtype, ("i4", "i8", "f4", "f8"))
STRUCTURE = np.dtype([("n", "<i4"), ("name", "<U4")])


def seen(dtype, *row_shape):
    return ArrayType(np.dtype(dtype), row_shape, is_seen=True)


def numbers(*shape, dtype="f8", start=0):
    return np.arange(start, start + np.prod(shape), dtype=dtype).reshape(shape)


def rows(block):
    """Return each row of a block as an array."""
    if isinstance(block.values, np.ndarray):
        return list(block.dense(0, block.rows))
    found, lengths, at = [], block.values.lengths[0], 0
    inner = int(np.prod([length or 1 for length in block.type.row_shape[1:]]))
    for length in lengths:
        found.append(block.values.flat[at : at + length * inner].reshape(-1, *block.type.row_shape[1:]))
        at += length * inner
    return found


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"dtype": "array", "shape": [17], "dtype_numpy": "<i4"}, (I4, (17,))),
        ({"dtype": "array", "shape": [4, 5]}, (None, (4, 5))),
        ({"dtype": "array", "shape": [17], "dtype_numpy": STRUCTURE.descr}, (STRUCTURE, (17,))),
        ({"dtype": "array", "shape": [17], "dtype_numpy": "|O"}, (None, (17,))),
        ({"dtype": "array", "shape": [16]}, None),
        ({"dtype": "array", "shape": [None, 100]}, None),
        ({"dtype": "array", "shape": [0, 100]}, None),
        ({"dtype": "array", "shape": []}, None),
        ({"dtype": "number", "shape": [100]}, None),
        (
            {"dtype": "array", "shape": [17], "dtype_numpy": [["v", "<f8", [3]]]},
            None,
        ),  # no array can hold these
    ],
)
def test_what_a_descriptor_says(spec, expected):
    declared = declared_type(spec)
    assert (declared and (declared.dtype, declared.row_shape)) == expected


@pytest.mark.parametrize("most", [-1, 0, 3, 100])
def test_how_many_elements_stay_in_the_table(most):
    declared = declared_type({"dtype": "array", "shape": [3]}, most)
    assert (declared is not None) == (0 <= most < 3)


@pytest.mark.parametrize(
    "dtype", ["f8", "f4", ">f4", "f2", "i8", "u1", "?", "c16", "<U5", "S5", "M8[ns]", "m8[us]", STRUCTURE]
)
def test_arrays_come_out_as_they_went_in(dtype):
    dtype = np.dtype(dtype)
    values = [
        numbers(3, 7, start=21 * n).astype("u1").astype(dtype) if dtype.names is None else None
        for n in range(4)
    ]
    if dtype.names:
        values = [np.array([(n, f"{n}{i}") for i in range(21)], dtype).reshape(3, 7) for n in range(4)]
    kind = type_of(values, {"dtype": "array"}, 16)
    assert kind == seen(dtype, 3, 7)
    block = gather(values, kind).block
    assert block.dense(0, 4).dtype == dtype
    np.testing.assert_array_equal(block.dense(0, 4), np.stack(values))
    np.testing.assert_array_equal(block.dense(1, 3), np.stack(values[1:3]))


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([0.5] * 20, "f8"),
        ([1, 2.5] * 10, "f8"),
        (list(range(20)), "i8"),
        ([True, False] * 10, "?"),
        (["a", "bc"] * 10, "<U2"),
        ([b"a", b"bc"] * 10, "S2"),
        ([1j, 2.0] * 10, "c16"),
        ([2**63, 5] * 10, "u8"),
        ([[1, 2, 3], [4, 5, 6]] * 4, "i8"),
        (tuple(range(20)), "i8"),
        (np.array([1, 2.5] * 10, object), "f8"),
    ],
)
def test_lists_become_arrays_of_their_dtype(value, dtype):
    kind = type_of([value, value], {"dtype": "array"}, 16)
    assert kind.dtype == np.dtype(dtype)
    block = gather([value, value], kind).block
    assert block.dense(0, 2).tolist() == [np.array(value).tolist()] * 2


def test_the_declared_dtype_is_kept_if_it_holds_the_values():
    spec = {"dtype": "array", "shape": [3], "dtype_numpy": "<u2"}
    assert type_of([list(range(20))], spec, 16) == seen("<u2", 20)
    assert type_of([[-1] * 20], spec, 16) == seen("i8", 20)
    assert type_of([[0.5] * 20], spec, 16) == seen("f8", 20)


def test_structures_come_as_lists_too():
    spec = {"dtype": "array", "shape": [2], "dtype_numpy": STRUCTURE.descr}
    value = [[n, f"s{n}"] for n in range(20)]
    kind = type_of([value], spec, 16)
    assert kind == seen(STRUCTURE, 20)
    assert gather([value], kind).block.dense(0, 1).tolist() == [[tuple(item) for item in value]]


@pytest.mark.parametrize(
    ("values", "kind", "needed"),
    [
        ([[1.5] * 20], seen("i4", 20), seen("f8", 20)),
        ([[2**40] * 20], seen("i4", 20), seen("i8", 20)),
        ([["abc"] * 20], seen("<U2", 20), seen("<U3", 20)),
        ([[1] * 20, [1] * 21], seen("i8", 20), seen("i8", None)),
        ([[[1, 2]] * 9, [[1, 2]] * 10], seen("i8", 9, 2), seen("i8", None, 2)),
        ([[[1], [1, 2]]], seen("i8", 2, 2), seen("i8", 2, None)),
        ([[1] * 21], ArrayType(None, (20,)), seen("i8", 21)),
        ([[1] * 21], ArrayType(I4, (4, 5)), seen("i4", 21)),
        ([[]], seen("i8", 20), seen("i8", None)),
    ],
)
def test_values_ask_for_a_wider_type(values, kind, needed):
    gathered = gather(values, kind)
    assert (gathered.block, gathered.needed) == (None, needed)
    assert gather(values, needed).block.missing == 0


@pytest.mark.parametrize(
    "value",
    [
        ["a"] * 20,
        [1, "a"] * 10,
        [1, None] * 10,
        [[1] * 20],
        [2**63 + 1, 0.5] * 10,
        [{"a": 1}] * 20,
        5,
        "text",
        np.array(5.0),
        np.array(["2020-01-01"] * 20, "M8[s]"),
        [2**70] * 20,
    ],
)
def test_what_fits_no_array_is_set_aside(value):
    gathered = gather([[0.5] * 20, value, [2.5] * 20], seen("f8", 20))
    assert list(gathered.rejected) == [1]
    assert gathered.block.missing == 1
    first, fill, last = gathered.block.dense(0, 3)
    assert np.isnan(fill).all()
    assert ((first == 0.5) & (last == 2.5)).all()


def test_rows_without_a_value():
    for dtype, fill in [
        ("i4", 0),
        ("?", False),
        ("<U3", ""),
        ("f4", np.nan),
        ("M8[s]", np.datetime64("NaT")),
    ]:
        value = np.ones(3, dtype) if dtype != "<U3" else np.array(["abc"] * 3)
        gathered = gather([None, value, None], seen(dtype, 3))
        assert (gathered.rejected, gathered.block.missing) == ({}, 2)
        np.testing.assert_array_equal(gathered.block.dense(0, 3)[[0, 2]], np.full((2, 3), fill))
        np.testing.assert_array_equal(gathered.block.dense(1, 2)[0], value)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i2", "u8", "?"])
@pytest.mark.parametrize("inner", [(), (3,), (2, 2)])
def test_ragged_rows(dtype, inner):
    values = [numbers(n, *inner, start=100 * n).astype(dtype) for n in (3, 0, 30, 7)]
    kind = type_of(values, {"dtype": "array"}, 16)
    assert kind == seen(dtype, None, *inner)
    block = gather([*values, None], kind).block
    assert (block.rows, block.missing) == (5, 1)
    for found, value in zip(rows(block), [*values, values[1]], strict=True):
        assert found.dtype == value.dtype
        np.testing.assert_array_equal(found, value)


def test_rows_that_are_ragged_within():
    value = [[1, 2], [3], []]
    kind = type_of([value * 10, value * 9], {"dtype": "array"}, 16)
    assert kind == seen("i8", None, None)
    block = gather([value * 10, value * 9], kind).block
    assert [each.tolist() for each in block.values.lengths] == [[30, 27], [2, 1, 0] * 19]
    assert block.values.flat.tolist() == [1, 2, 3] * 19


def test_blocks_one_after_the_other():
    kind = seen("i4", 2)
    parts = [gather([[n, n + 1], None], kind).block for n in range(3)]
    whole = join(parts)
    assert (whole.rows, whole.missing) == (6, 3)
    assert whole.dense(0, 6).tolist() == [[0, 1], [0, 0], [1, 2], [0, 0], [2, 3], [0, 0]]
    kind = seen("i4", None)
    whole = join([gather([[n] * n, [7]], kind).block for n in range(3)])
    assert [row.tolist() for row in rows(whole)] == [[], [7], [1], [7], [2, 2], [7]]


def test_what_cannot_be_ragged_is_no_array():
    values = [["a"] * 20, ["b"] * 21]
    assert type_of(values, {"dtype": "array"}, 16) is None
    assert not gather(values, seen("<U1", 20)).needed.is_storable
    assert not IN_TABLE.is_storable


@pytest.mark.parametrize(
    "shape", [(None,), (None, 3), (2, None), (None, None), (None, 3, 2), (None, 2, None)]
)
def test_ragged_rows_travel_as_tiled_writes_them(shape):
    """As Tiled's own serializer makes them, form and buffers; and they come back."""
    from tiled.serialization.ragged import from_zipped_buffers
    from tiled.structures.ragged import RaggedStructure, make_ragged_array

    values = [_nested(shape, n) for n in (2, 0, 5)]
    kind = seen("i8", *shape)
    block = gather(values, kind).block
    content = encode_ragged(block.values, kind)
    array = from_zipped_buffers(content, None)
    assert array.tolist() == values
    theirs = make_ragged_array(values, shape=(3, *shape))
    structure = RaggedStructure.from_array(theirs, shape=(3, *shape))
    assert (
        structure.awkward_form == array._impl.layout.form_with_key("node{id}")
        or array.tolist() == theirs.tolist()
    )
    assert len(decode_ragged(content)) == 3
    assert decode_ragged(encode_ragged(block.values.tail(2), kind)) == decode_ragged(content)[2:]


def _nested(shape, count):
    """Return nested lists of a shape, of which the lengths that vary are `count`, and the numbers count on."""
    lengths = [count if length is None else length for length in shape]
    return numbers(*lengths, dtype="i8", start=count).tolist()


def test_a_part_of_ragged_rows():
    part = Ragged((np.array([2, 0, 1]), np.array([1, 2, 3])), np.arange(6)).tail(1)
    assert [each.tolist() for each in part.lengths] == [[0, 1], [3]]
    assert part.flat.tolist() == [3, 4, 5]


@pytest.mark.parametrize(
    ("dtype", "storable"),
    [
        ("f2", True), ("c16", True), (">U3", True), ("V8", True), ("M8[D]", True),
        ("g", np.dtype("g").itemsize == 8), ("G", np.dtype("G").itemsize == 16), ("M8", False), ("M8[25s]", False),
        ("O", False), ("S0", False),
        ([("a", "c8"), ("b", "<U3")], True), ([("a", "M8[s]")], False), ([("a", "V3")], False),
        ([("a", "i4", (2,))], False), ([("a", [("b", "i4")])], False),
    ],
)  # fmt: skip
def test_what_a_server_can_hold(dtype, storable):
    assert seen(dtype, 20).is_storable == storable


def test_an_array_of_very_many_dimensions_is_set_aside():
    value = np.zeros((1,) * 39 + (20,))
    assert type_of([value], {}, 16) is None
    assert type_of([value.tolist()], {}, 16) is None
    assert type_of([(value + 1j).tolist()], {}, 16) is None


@pytest.mark.parametrize("dtype", [">f8", ">U2", ">M8[s]", [("a", ">i4"), ("b", "<f8")]])
def test_the_order_of_bytes_is_kept(dtype):
    value = np.zeros(20, dtype)
    kind = seen(dtype, 20)
    block = gather([value, None, value], kind).block
    assert block.dense(0, 3).dtype == kind.dtype
    assert join([block, block]).dense(0, 6).dtype == kind.dtype
    assert gather([value, value], kind).block.dense(0, 2).dtype == kind.dtype


def test_ragged_numbers_have_the_order_of_bytes_of_the_processor():
    values = [numbers(20, dtype=">i2"), numbers(17, dtype=">i2")]
    kind = type_of(values, {}, 16)
    assert kind == seen("i2", None)
    assert [row.tolist() for row in rows(gather(values, kind).block)] == [value.tolist() for value in values]


def test_what_lies_between_the_fields_of_a_structure_is_left_out():
    value = np.array([(n, n + 0.5) for n in range(20)], np.dtype([("a", "i1"), ("b", "f8")], align=True))
    kind = seen([("a", "i1"), ("b", "f8")], 20)
    assert type_of([value], {}, 16) == kind
    for values in ([value, value], [value, None], np.stack([value, value])):
        assert gather(values, kind).block.dense(0, 2)[0].tolist() == value.tolist()


@pytest.mark.parametrize("empty", [[], np.empty(0)])
@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (list(range(20)), "i8"),
        ([True] * 20, "?"),
        ([[1.5, 2.5]] * 20, "f8"),
        (numbers(2, 3, 4, dtype="i2"), "i2"),
    ],
)
def test_an_empty_value_tells_no_more_than_that_a_length_varies(value, dtype, empty):
    """Neither the dtype nor the number of dimensions, whether it comes first or last."""
    inner = np.shape(value)[1:]
    for values in ([empty, value], [value, empty]):
        kind = type_of(values, {}, 16)
        assert kind == seen(dtype, None, *inner)
        gathered = gather(values, kind)
        assert not gathered.rejected
        assert sorted(map(len, rows(gathered.block))) == [0, len(value)]
    texts = gather([["a"] * 20, empty], seen("<U1", 20))
    assert not texts.needed.is_storable  # these stay in the table


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1j, float("nan")], "c16"),
        ([np.array([1j, 2j], "c8"), np.array([3j, 4j], "c8")], "c8"),
        ([np.float32(1), 2.0], "f8"),
        ([2**63 + 1, 1], "u8"),
        ([np.array([b"a", b"b"])], "S1"),
    ],
)
def test_lists_that_arrow_makes_nothing_of(value, dtype):
    found = type_of([value], {}, 0)
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(rows(gather([value], found).block)[0], np.array(value))


def test_a_nan_in_a_structure():
    kind = seen([("a", "f8"), ("n", "i4")], 2)
    value = [[float("nan"), 1], [0.5, 2]]
    assert str(gather([value], kind).block.dense(0, 1)[0].tolist()) == "[(nan, 1), (0.5, 2)]"
    assert gather([["ab", "cd"]], seen([("p", "<U1"), ("q", "<U1")], 2)).rejected  # texts are no structures
