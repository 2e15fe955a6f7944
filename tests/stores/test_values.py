"""Values to bytes and back: exactly, or refused with what did not fit."""

import datetime
import math
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tilewright.errors import InputError
from tilewright.stores import ArrowTable, FLACFile, JSONValue, NPYArray, RawPCM, WAVFile
from tilewright.stores.copying import is_equal

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"))
)
PLAIN = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=10,
)


@given(PLAIN)
def test_json(value):
    back = JSONValue().decode(JSONValue().encode(value))
    assert back == value
    assert repr(back) == repr(value)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"a": [0, (1,)]}, "the tuple (1,) at 'a.1'"),
        (math.nan, "the float nan"),
        ({"x": math.inf}, "the float inf at 'x'"),
        ({1: 2}, "the key 1"),
        ({"\ud800": 2}, "the key "),
        ({"a": "\ud800"}, "the str "),
        (np.float64(1), "the float64"),
        ({"when": datetime.date(2026, 1, 1)}, "the date"),
        (b"x", "the bytes"),
    ],
)
def test_what_json_does_not_have(value, told):
    with pytest.raises(InputError, match=re.escape(told)):
        JSONValue().encode(value)


@given(arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, min_side=0)))
def test_npy(value):
    back = NPYArray().decode(NPYArray().encode(value))
    assert back.dtype == value.dtype
    assert back.tobytes() == value.tobytes()
    assert back.shape == value.shape


def test_npy_of_more_than_plain_arrays():
    for value in (np.zeros(2, [("a", "<i4"), ("b", "f8")]), np.asfortranarray(np.arange(6).reshape(2, 3))):
        back = NPYArray().decode(NPYArray().encode(value))
        assert (back == value).all()
        assert back.dtype == value.dtype
        assert back.flags.f_contiguous == value.flags.f_contiguous


@pytest.mark.parametrize("value", [[1, 2], None, np.array([None], dtype=object), pd.Series([1])], ids=repr)
def test_what_npy_does_not_hold(value):
    with pytest.raises(InputError, match="NPY holds numpy arrays"):
        NPYArray().encode(value)


FRAMES = [
    pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [0.5, math.nan]}),
    pd.DataFrame({"t": pd.to_datetime(["2026-01-01", None], utc=True), "c": pd.Categorical(["x", "y"])}),
    pd.DataFrame({"a": [1, 2]}, index=pd.Index(["p", "q"], name="key")),
    pd.DataFrame(
        {"a": pd.array([1, None], dtype="Int64")},
        index=pd.MultiIndex.from_tuples([(1, "a"), (2, "b")], names=["n", "s"]),
    ),
    pd.DataFrame(),
    pd.DataFrame({"a": []}),
]


@pytest.mark.parametrize("frame", FRAMES)
def test_frames(frame):
    pd.testing.assert_frame_equal(ArrowTable().decode(ArrowTable().encode(frame)), frame)


def test_tables():
    table = pa.table({"a": [1, None], "b": [[1], [2, 3]]}).replace_schema_metadata({"k": "v"})
    back = ArrowTable("table").decode(ArrowTable("table").encode(table))
    assert back.equals(table, check_metadata=True)


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (pd.DataFrame({"mixed": [1, "x"]}), "column mixed"),
        (pd.DataFrame({"t": [(1, 2)]}), "as another one"),
        (pd.DataFrame({1: [1], "a": [2]}), "as another one"),
        ([1], "holds a DataFrame"),
        (pa.table({"a": [1]}), "holds a DataFrame"),
    ],
)
def test_frames_that_arrow_does_not_have(frame, told):
    with pytest.raises(InputError, match=told):
        ArrowTable().encode(frame)


def sound(bits, channels, frames=1000):
    """Return samples of which each is its own number, at the full scale's both ends too."""
    most = 1 << (bits - 1)
    samples = np.arange(frames * channels, dtype=np.int64)
    samples[:2] = [-most, most - 1]
    samples <<= 8 if bits == 24 else 0
    samples = samples.astype("<i2" if bits == 16 else "<i4")
    return samples if channels == 1 else samples.reshape(-1, channels)


MAPS = [
    *(RawPCM(bits, channels) for bits in (16, 24, 32) for channels in (1, 3)),
    *(WAVFile(44100, bits, channels) for bits in (16, 24, 32) for channels in (1, 3)),
    *(FLACFile(44100, bits, channels) for bits in (16, 24) for channels in (1, 3)),
]


@pytest.mark.parametrize("value_map", MAPS, ids=repr)
def test_sound(value_map):
    samples = sound(value_map.bits, value_map.channels)
    data = value_map.encode(samples)
    back = value_map.decode(data)
    assert is_equal(back, samples)
    back += 1  # it can be written to
    if not isinstance(value_map, FLACFile):
        assert is_equal(value_map.decode(value_map.encode(samples[:0])), samples[:0])
    assert is_equal(value_map.decode(value_map.encode(samples[::-1])), samples[::-1])


@pytest.mark.parametrize("value_map", MAPS, ids=repr)
def test_what_is_no_such_sound(value_map):
    samples = sound(value_map.bits, value_map.channels)
    for wrong in (
        samples.astype("f4"),
        samples.astype("i8"),
        samples[..., None],
        samples.tolist(),
        None,
        np.float64(1),
    ):
        with pytest.raises(InputError, match="expected"):
            value_map.encode(wrong)
    if value_map.bits == 24:
        with pytest.raises(InputError, match="low byte of zeros"):
            value_map.encode(samples + 1)


@pytest.mark.parametrize("value_map", MAPS, ids=repr)
def test_what_is_cut_short_is_told(value_map):
    data = value_map.encode(sound(value_map.bits, value_map.channels))
    with pytest.raises(InputError, match=r"whole frames|cut short|no FLAC"):
        value_map.decode(data[:-1])
    if not isinstance(value_map, RawPCM):
        for count in (0, 3, 20, len(data) // 2):
            with pytest.raises(InputError, match=r"cut short|are no "):
                value_map.decode(data[:count])


def test_another_file_is_told():
    samples = sound(16, 1)
    for made in (WAVFile, FLACFile):
        with pytest.raises(InputError, match=r"rate 44100 \(expected 48000\)"):
            made(48000).decode(made(44100).encode(samples))
        with pytest.raises(InputError, match=r"encoding PCM_16 \(expected PCM_24\)"):
            made(44100, 24).decode(made(44100).encode(samples))
        with pytest.raises(InputError, match=r"channels 1 \(expected 2\)"):
            made(44100, channels=2).decode(made(44100).encode(samples))
    with pytest.raises(InputError, match=r"format FLAC \(expected WAV\)"):
        WAVFile(44100).decode(FLACFile(44100).encode(samples))


def test_raw_pcm_is_little_endian():
    assert RawPCM(16).encode(np.array([1, -2], "i2")) == b"\x01\x00\xfe\xff"
    assert RawPCM(24).encode(np.array([0x010203 << 8], "i4")) == b"\x03\x02\x01"
    assert RawPCM(32).encode(np.array([0x01020304], "i4")) == b"\x04\x03\x02\x01"


@pytest.mark.parametrize(
    "value_map",
    [JSONValue(), NPYArray(), ArrowTable(), ArrowTable("table"), WAVFile(8000), FLACFile(8000)],
    ids=repr,
)
@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", b"garbage" * 100, b"RIFF" + bytes(100), b"fLaC" + bytes(100), b"\x93NUMPY" + bytes(50)],
)
def test_garbage(value_map, data):
    with pytest.raises(InputError, match=r"bytes are no|cut short"):
        value_map.decode(data)


@pytest.mark.parametrize(
    ("value_map", "value"),
    [(NPYArray(), np.arange(100)), (ArrowTable(), FRAMES[0]), (JSONValue(), {"a": [1, 2, 3]})],
    ids=repr,
)
def test_every_truncation(value_map, value):
    data = value_map.encode(value)
    for count in range(0, len(data), 7):
        with pytest.raises(InputError):
            value_map.decode(data[:count])


@pytest.mark.parametrize(
    "make",
    [
        lambda: RawPCM(8),
        lambda: RawPCM(16, 0),
        lambda: WAVFile(0),
        lambda: WAVFile(44100.0),
        lambda: FLACFile(44100, 32),
        lambda: ArrowTable("csv"),
    ],
)
def test_what_cannot_be_made(make):
    with pytest.raises(InputError, match=r"expected|whole number"):
        make()
