"""Records are what TensorFlow writes, and what is no record of embeddings is refused with the feature that is at fault."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.errors import InputError
from tilewright.tfrecords import encode_example, parse
from tilewright.tfrecords.wire import locate

from .files import (
    DIMENSION,
    FEATURES,
    FILENAME,
    entries,
    example,
    feature,
    field,
    number,
    record,
    tensor,
    unpacked,
    vectors,
)

FROM_TENSORFLOW = (
    b"\n\xae\xe1\x03\n\x1b\n\x0fembedding_shape\x12\x08\x1a\x06\n\x04\x0c\x01\x80\n\n\xac\xe0\x03\n\tembedding\x12\x9d\xe0\x03\n\x99\xe0"
    b'\x03\n\x95\xe0\x03\x08\x01\x12\r\x12\x02\x08\x0c\x12\x02\x08\x01\x12\x03\x08\x80\n"\x80\xe0\x03#\xfc >\xd5\x16T>W\x86\xcf\xbc'
)
"""The first bytes of a record of 12 x 1 x 1280 values that TensorFlow wrote, up to the third value."""


def test_a_record_is_byte_for_byte_what_tensorflow_writes():
    values = np.zeros((12, 1, 1280), "<f4")
    values[0, 0, :3] = np.frombuffer(FROM_TENSORFLOW[-12:], "<f4")
    order = ("embedding_shape", "embedding", "filename", "timestamp_s")
    data = encode_example(FILENAME, 6480, values, order=order)
    assert data.startswith(FROM_TENSORFLOW)  # the length of the whole is among its first bytes
    found = parse(data)
    assert found.vectors[0, 0, :3] == pytest.approx([0.15721183, 0.20711835, -0.02533261])
    assert found.values_at == len(FROM_TENSORFLOW) - 12


@pytest.mark.parametrize("order", list(itertools.permutations(FEATURES)), ids=" ".join)
@pytest.mark.parametrize("float_val", [False, True])
def test_every_order_of_features(order, float_val):
    data = record(7, order=order, float_val=float_val)
    found = parse(data)
    assert (found.filename, found.timestamp_s) == (FILENAME, 420.0)
    assert found.vectors.dtype == "<f4"
    np.testing.assert_array_equal(found.vectors, vectors(7))
    assert not found.vectors.flags.writeable
    np.testing.assert_array_equal(np.frombuffer(data, "<f4", 30, found.values_at), vectors(7).ravel())


def test_a_time_may_be_an_integer():
    found = parse(encode_example("a", 6480, vectors(0), integer_time=True))
    assert (found.timestamp_s, type(found.timestamp_s)) == (6480.0, float)


def test_floats_that_are_no_numbers_are_what_they_are():
    values = vectors(0)
    values[0, 0, :3] = np.nan, np.inf, -np.inf
    values.view("<u4")[0, 1, 0] = 0x7F800001  # a signalling NaN
    for float_val in (False, True):
        np.testing.assert_array_equal(
            parse(encode_example("a", 0, values, float_val=float_val)).vectors, values
        )


def test_values_with_a_tag_each_are_decoded():
    array = vectors(3)
    found = parse(example(entries(array, tensor(array, unpacked(array)))))
    np.testing.assert_array_equal(found.vectors, array)
    assert found.values_at is None


@pytest.mark.parametrize("packed", [True, False])
def test_the_last_of_too_few_values_stands_for_the_rest(packed):
    array = vectors(3)
    some = array.ravel()[:4]
    serialised = tensor(array, field(5, some.tobytes()) if packed else unpacked(some))
    found = parse(example(entries(array, serialised)))
    assert found.vectors.ravel().tolist() == [*some.tolist(), *[some[3]] * 26]
    assert found.values_at is None


def test_floats_that_look_like_the_head_are_not_taken_for_it():
    """The bytes of the vectors are in the file's name, too."""
    array = np.frombuffer(b"abcd" * 30, "<f4").reshape(3, 2, 5)
    data = encode_example("abcd" * 40, 0, array)
    assert parse(data).values_at == data.rindex(b"\x22\x78" + b"abcd" * 30) + 2


ARRAY = vectors(0)
CONTENT = field(4, ARRAY.tobytes())
DAMAGED = [
    (b"\xff\xff", "no tf.train.Example"),
    (record(0)[:-1], "no tf.train.Example"),
    (b"", "no feature 'timestamp_s', 'filename', 'embedding', 'embedding_shape'; there are: none"),
    *[
        (record(0, order=[name for name in FEATURES if name != left_out]), f"no feature '{left_out}'")
        for left_out in FEATURES
    ],
    *[
        (example(entries(ARRAY) | {name: feature(name, kind, b"")}), f"'{name}' .*expected")
        for name, kinds in {
            "timestamp_s": (1, 2, 3),
            "filename": (1, 2, 3),
            "embedding": (1, 2, 3),
            "embedding_shape": (1, 2, 3),
        }.items()
        for kind in kinds
    ],
    (example(entries(ARRAY) | {"filename": field(1, field(1, b"filename"))}), "'filename' is empty"),
    (example(entries(ARRAY) | {"filename": feature("filename", 1, field(1, b"\xff"))}), "'filename'.*UTF-8"),
    (
        example(entries(ARRAY) | {"filename": feature("filename", 1, field(1, b"a") * 2)}),
        "'filename' has 2 values",
    ),
    (encode_example("a", np.nan, ARRAY), "'timestamp_s' is nan"),
    (example(entries(ARRAY, b"\xff\xff")), "'embedding' is no TensorProto"),
    (example(entries(ARRAY, tensor(ARRAY, CONTENT, dtype=2))), "'embedding' has TensorFlow's dtype 2"),
    (example(entries(ARRAY, b"")), "'embedding' has TensorFlow's dtype 0"),
    (example(entries(ARRAY, shape=(3, 5, 2))), r"'embedding' has shape \(3, 2, 5\), .* is \(3, 5, 2\)"),
    (example(entries(ARRAY, shape=(6, 5))), r"'embedding_shape' is \(6, 5\)"),
    (example(entries(ARRAY, shape=(3, 2, 5, 1))), "'embedding_shape'.*three"),
    (example(entries(ARRAY, shape=(0, 2, 5))), "'embedding_shape'.*1 or more"),
    (example(entries(ARRAY, tensor(ARRAY, CONTENT, dims=(6, 5)))), r"'embedding' has shape \(6, 5\)"),
    (example(entries(ARRAY, tensor(ARRAY, CONTENT, dims=()))), r"'embedding' has shape \(\)"),
    (
        example(entries(ARRAY, tensor(ARRAY, field(4, ARRAY.tobytes()[:-1])))),
        "'embedding' has 119 bytes of values.*120",
    ),
    (
        example(entries(ARRAY, tensor(ARRAY, field(4, ARRAY.tobytes() + b"abcd")))),
        "'embedding' has 124 bytes",
    ),
    (example(entries(ARRAY, tensor(ARRAY, b""))), "'embedding' has 0 values"),
    (
        example(entries(ARRAY, tensor(ARRAY, field(5, ARRAY.tobytes() + b"abcd")))),
        "'embedding' has 31 values",
    ),
    (
        example([*entries(ARRAY).values(), entries(ARRAY + 1)["embedding"]]),
        "'embedding' is there more than once",
    ),
]


@pytest.mark.parametrize(("data", "words"), DAMAGED)
def test_what_is_no_record_of_embeddings_is_refused_in_words(data, words):
    with pytest.raises(InputError, match=words):
        parse(data)


UNUSUAL = {
    "values with a tag each": tensor(ARRAY, unpacked(ARRAY)),
    "values in two pieces": tensor(ARRAY, field(5, ARRAY.tobytes()[:40]) + field(5, ARRAY.tobytes()[40:])),
    "values twice": tensor(ARRAY, field(4, b"no") + CONTENT),
    "values in two fields": tensor(ARRAY, CONTENT + field(5, b"abcd")),
    "values before their shape": CONTENT + tensor(ARRAY, b""),
    "shape in two pieces": number(1, 1)
    + b"".join(field(2, field(2, number(1, n))) for n in ARRAY.shape)
    + CONTENT,
    "dimensions with names": number(1, 1)
    + field(2, b"".join(field(2, number(1, n) + field(2, b"x")) for n in ARRAY.shape))
    + CONTENT,
    "an unknown field": field(9, b"x") + tensor(ARRAY, CONTENT),
}


@pytest.mark.parametrize("serialised", list(UNUSUAL.values()), ids=list(UNUSUAL))
def test_other_layouts_are_left_to_protobuf(serialised):
    data = example(entries(ARRAY, serialised))
    assert locate(data, len(data)) is None
    found = parse(data)
    np.testing.assert_array_equal(found.vectors, ARRAY)
    assert found.values_at is None


def test_an_example_in_two_pieces_is_left_to_protobuf():
    parts = entries(ARRAY)
    data = example({"embedding": parts.pop("embedding")}) + example(parts)
    assert locate(data, len(data)) is None
    np.testing.assert_array_equal(parse(data).vectors, ARRAY)


@given(
    order=st.permutations(FEATURES),
    windows=st.integers(1, 13),
    channels=st.integers(1, 3),
    dimension=st.integers(1, 300),
    float_val=st.booleans(),
    data=st.data(),
)
def test_the_head_says_where_the_floats_are_or_nothing(order, windows, channels, dimension, float_val, data):
    whole = record(1, windows, channels, dimension, order=order, float_val=float_val)
    found = parse(whole)
    located = locate(whole, len(whole))
    assert located is not None
    assert (located.values_at, located.shape) == (found.values_at, found.vectors.shape)
    cut = data.draw(st.integers(0, len(whole)))
    head = locate(whole[:cut], len(whole))
    assert head == (located if cut >= located.values_at else None)


@given(st.binary(max_size=80), st.integers(0, 400), st.integers(0, 255))
def test_whatever_the_bytes_are_the_walk_and_protobuf_agree(noise, place, byte):
    """A record with a byte changed, and bytes put in front of it; both ways end in words or in the same place."""
    data = bytearray(record(1, dimension=DIMENSION))
    data[place % len(data)] = byte
    for one in (bytes(data), noise, noise + bytes(data)):
        located = locate(one, len(one))
        try:
            found = parse(one)
        except InputError:
            continue
        if located is not None:
            assert (located.values_at, located.shape) == (found.values_at, found.vectors.shape)
            assert (
                np.frombuffer(one, "<f4", found.vectors.size, located.values_at).tobytes()
                == found.vectors.tobytes()
            )
        else:
            assert found.values_at is None
