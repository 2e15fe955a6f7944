"""Plain numbers and arrays, in both directions."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tilewright.audio import Pcm
from tilewright.errors import InputError

FORMATS = [(bits, channels) for bits in (16, 24, 32) for channels in (1, 2, 5)]


@pytest.mark.parametrize(("bits", "channels"), FORMATS)
@given(data=st.data())
def test_bytes_come_back(bits, channels, data):
    pcm = Pcm(8000, bits, channels)
    frames = data.draw(st.integers(0, 20))
    content = data.draw(st.binary(min_size=frames * pcm.frame_bytes, max_size=frames * pcm.frame_bytes))
    samples = pcm.decode(content)
    assert samples.shape == ((frames,) if channels == 1 else (frames, channels))
    assert samples.dtype == pcm.dtype
    assert pcm.encode(samples) == content


@pytest.mark.parametrize(("bits", "channels"), FORMATS)
def test_as_libsndfile_has_it(bits, channels):
    pcm = Pcm(8000, bits, channels)
    content = np.random.default_rng(1).bytes(50 * pcm.frame_bytes)
    expected, _ = soundfile.read(
        io.BytesIO(content), dtype=pcm.dtype.name, samplerate=8000, channels=channels,
        format="RAW", subtype=f"PCM_{bits}", endian="LITTLE",
    )  # fmt: skip
    np.testing.assert_array_equal(pcm.decode(content), expected)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"bits": 12}, "bits=12: expected 16, 24 or 32"),
        ({"rate": 0}, "rate=0: expected a whole number of frames a second"),
        ({"rate": 44.1}, r"rate=44\.1"),
        ({"channels": True}, "channels=True"),
    ],
)
def test_what_is_no_format(asked, message):
    with pytest.raises(InputError, match=message):
        Pcm(**{"rate": 8000, **asked})


def test_what_is_no_whole_frame():
    with pytest.raises(InputError, match="7 bytes are no whole frames of 6 bytes"):
        Pcm(8000, 24, 2).decode(bytes(7))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((3, 2), "<i2"), "expected int16, shape"),
        (np.zeros(3, "<i4"), "An array of int32"),
        (np.zeros(3, "f4"), "An array of float32"),
        (np.int16(3), "expected an array of int16"),
    ],
)
def test_what_does_not_fit(samples, message):
    with pytest.raises(InputError, match=message):
        Pcm(8000).encode(samples)


def test_more_than_24_bits():
    with pytest.raises(InputError, match="these have more in it"):
        Pcm(8000, 24).encode(np.array([257], "<i4"))
