"""Files of sound whose samples say where they are: every encoding, damaged headers, real recorders' files."""

from __future__ import annotations

import io
import struct
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from tilewright.audio import encode_wav, probe, read
from tilewright.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = 1000
ENCODINGS = [
    ("WAV", "PCM_U8", "i1", 8),
    ("WAV", "PCM_16", "i2", 16),
    ("WAV", "PCM_24", "i4", 24),
    ("WAV", "PCM_32", "i4", 32),
    ("WAV", "FLOAT", "f4", 32),
    ("WAV", "DOUBLE", "f8", 64),
    ("WAVEX", "PCM_24", "i4", 24),
    ("RF64", "PCM_16", "i2", 16),
    ("RF64", "PCM_24", "i4", 24),
    ("W64", "PCM_16", "i2", 16),
    ("FLAC", "PCM_S8", "i1", 8),
    ("FLAC", "PCM_16", "i2", 16),
    ("FLAC", "PCM_24", "i4", 24),
    ("AIFF", "PCM_16", "i2", 16),
    ("WAV", "ULAW", "i2", 8),
    ("OGG", "VORBIS", "f4", 32),
]
LOSSY = {"ULAW", "VORBIS"}


def ramp(dtype: str, channels: int) -> np.ndarray[Any, Any]:
    """Return samples each of which says which one it is, as far as its bits go, at full scale of its dtype."""
    numbers = np.arange(FRAMES * channels)
    if dtype == "i1":
        return ((numbers % 256) - 128).astype("i1").reshape(-1, channels)
    if dtype[0] == "f":
        return (numbers / 2**20).astype(dtype).reshape(-1, channels)
    return ((numbers - FRAMES) << (8 if dtype == "i4" else 0)).astype(dtype).reshape(-1, channels)


def write(
    path: Path, container: str, subtype: str, samples: np.ndarray[Any, Any], rate: int = 192_000
) -> None:
    wide = samples.astype("i2") << 8 if samples.dtype == np.int8 else samples
    soundfile.write(path, wide, rate, subtype=subtype, format=container)


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize(("container", "subtype", "dtype", "bits"), ENCODINGS)
def test_every_encoding(
    tmp_path: Path, container: str, subtype: str, dtype: str, bits: int, channels: int
) -> None:
    path, rate = tmp_path / "x", 48_000 if container == "OGG" else 192_000
    samples = ramp(dtype, channels)
    write(path, container, subtype, samples, rate)
    facts = probe(path)
    assert (facts.frames, facts.declared, facts.rate, facts.channels) == (FRAMES, FRAMES, rate, channels)
    assert (facts.bits, facts.dtype, facts.remark) == (bits, np.dtype(dtype), "")
    expected = samples[:, 0] if channels == 1 else samples
    assert facts.shape == expected.shape
    if subtype in LOSSY:
        expected = soundfile.read(path, dtype=str(np.dtype(dtype)))[0]
    for start, stop in (
        (0, FRAMES),
        (0, 1),
        (333, 666),
        (FRAMES - 1, FRAMES),
        (990, 5000),
        (7, 7),
        (2000, 3000),
    ):
        got = read(path, start, stop, facts)
        assert got.dtype == facts.dtype
        np.testing.assert_array_equal(got, expected[start:stop])
    np.testing.assert_array_equal(read(path, 10, 20), expected[10:20])


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_numbers_are_those_of_libsndfile(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, np.random.default_rng(1).uniform(-1, 1, (FRAMES, 3)), 44_100, subtype=subtype)
    facts = probe(path)
    theirs, _ = soundfile.read(path, dtype=str(facts.dtype))
    np.testing.assert_array_equal(read(path, 0, FRAMES, facts), theirs)


def wav(
    samples: bytes, data_size: int, *, riff_size: int = 0, after: bytes = b"", before: bytes = b""
) -> bytes:
    """Return a mono file of 16 bits whose header says what it is told to."""
    return (
        struct.pack("<4sI4s4sIHHIIHH", b"RIFF", riff_size, b"WAVE", b"fmt ", 16, 1, 1, 8000, 16_000, 2, 16)
        + before
        + struct.pack("<4sI", b"data", data_size)
        + samples
        + after
    )


NUMBERS = np.arange(100, dtype="<i2")


@pytest.mark.parametrize(
    ("content", "frames", "declared", "remark"),
    [
        (wav(NUMBERS.tobytes(), 200), 100, 100, ""),
        (wav(NUMBERS.tobytes(), 0), 100, None, "does not say how long it is, and it has 100 frames"),
        (wav(NUMBERS.tobytes(), 0xFFFFFFFF), 100, None, "does not say how long"),
        (wav(NUMBERS.tobytes(), 4000), 100, 2000, "promises 2000 frames, and it has 100"),
        (wav(NUMBERS.tobytes()[:-1], 200), 99, 100, "promises 100 frames, and it has 99"),
        (wav(b"", 0), 0, 0, ""),
        (wav(b"", 200), 0, 100, "promises 100 frames, and it has 0"),
        (wav(b"", 0, after=struct.pack("<4sI", b"guan", 4) + b"x: y"), 0, 0, ""),
        (wav(NUMBERS.tobytes(), 200, after=b"garbage after the end"), 100, 100, ""),
    ],
)
def test_headers_of_recorders_that_lost_their_power(
    tmp_path: Path, content: bytes, frames: int, declared: int | None, remark: str
) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    facts = probe(path)
    assert (facts.frames, facts.declared) == (frames, declared)
    assert remark in facts.remark
    assert bool(remark) == bool(facts.remark)
    np.testing.assert_array_equal(read(path, 0, 1000), NUMBERS[:frames])


def test_every_prefix_of_a_file_has_an_outcome(tmp_path: Path) -> None:
    """A file may end anywhere; each gives what is there, or a message that names it."""
    info = b"INFO" + struct.pack("<4sI", b"ICMT", 6) + b"hello\0"
    whole = wav(NUMBERS.tobytes(), 200, before=struct.pack("<4sI", b"LIST", len(info)) + info)
    path = tmp_path / "cut.wav"
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        try:
            facts = probe(path)
        except InputError as error:
            assert "cut.wav" in str(error)  # noqa: PT017 - of many
            assert length < len(whole) - 199
        else:
            np.testing.assert_array_equal(read(path, 0, 100, facts), NUMBERS[: facts.frames])
            assert bool(facts.remark) == (facts.frames < 100)


def test_chunks_of_metadata_before_and_after_the_samples(tmp_path: Path) -> None:
    info = b"INFO" + struct.pack("<4sI", b"ICMT", 5) + b"hello\0" + struct.pack("<4sI", b"IART", 2) + b"me"
    before = struct.pack("<4sI", b"LIST", len(info)) + info + struct.pack("<4sI", b"bext", 3) + b"abc\0"
    after = struct.pack("<4sI", b"guan", 4) + b"x: y"
    path = tmp_path / "x.wav"
    path.write_bytes(wav(NUMBERS.tobytes(), 200, before=before, after=after))
    assert probe(path).chunks == {"ICMT": b"hello", "IART": b"me", "bext": b"abc", "guan": b"x: y"}
    np.testing.assert_array_equal(read(path, 0, 100), NUMBERS)


def test_sizes_past_32_bits(tmp_path: Path) -> None:
    """A sparse file of 5 GB, whose last sample says that it is the last."""
    path, frames = tmp_path / "long.wav", 2_500_000_000
    with path.open("wb") as file:
        file.write(
            struct.pack(
                "<4sI4s4sIQQQI",
                b"RF64",
                0xFFFFFFFF,
                b"WAVE",
                b"ds64",
                28,
                2 * frames + 72,
                2 * frames,
                frames,
                0,
            )
        )
        file.write(struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 192_000, 384_000, 2, 16))
        file.write(struct.pack("<4sI", b"data", 0xFFFFFFFF))
        offset = file.tell()
        file.seek(offset + 2 * (frames - 1))
        file.write(b"\x07\x00")
    facts = probe(path)
    assert (facts.container, facts.frames, facts.remark) == ("RF64", frames, "")
    assert read(path, frames - 2, frames + 5, facts).tolist() == [0, 7]


def test_a_flac_that_was_cut(tmp_path: Path) -> None:
    whole, path = io.BytesIO(), tmp_path / "cut.flac"
    numbers = np.arange(50_000, dtype="i2")
    soundfile.write(whole, numbers, 48_000, format="FLAC")
    path.write_bytes(whole.getvalue()[: len(whole.getvalue()) * 2 // 3])
    facts = probe(path)
    assert 4096 < facts.frames < 50_000
    assert "promises 50000 frames" in facts.remark
    np.testing.assert_array_equal(read(path, 0, 50_000, facts), numbers[: facts.frames])
    np.testing.assert_array_equal(read(path, 4000, 4100, facts), numbers[4000:4100])


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"no sound at all" * 100, b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0\1\0\1\0"]
)
def test_what_is_no_sound_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.wav"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.wav (is|ends)"):
        probe(path)


def test_a_file_that_has_become_shorter(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, NUMBERS, 8000)
    facts = probe(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"x\.wav has become shorter"):
        read(path, 0, 100, facts)


@pytest.mark.parametrize(
    ("container", "subtype", "dtype", "bits"), [case for case in ENCODINGS if case[1] not in LOSSY]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_encoded_is_read_again(
    tmp_path: Path, container: str, subtype: str, dtype: str, bits: int, channels: int
) -> None:
    samples = ramp(dtype, channels)
    samples = samples[:, 0] if channels == 1 else samples
    path = tmp_path / "x.wav"
    path.write_bytes(encode_wav(samples, 250_000))
    facts = probe(path)
    assert (facts.rate, facts.dtype) == (250_000, np.dtype(dtype))
    np.testing.assert_array_equal(read(path, 0, FRAMES, facts), samples)


@pytest.mark.parametrize(
    "samples", [np.zeros((2, 2, 2), "i2"), np.zeros(4, "u4"), np.zeros(4, "c8"), np.zeros((), "i2")]
)
def test_what_is_no_sound_is_not_encoded(samples: np.ndarray[Any, Any]) -> None:
    with pytest.raises(InputError, match="is no sound"):
        encode_wav(samples, 8000)


def comments(*texts: bytes) -> bytes:
    """Return a block of tags of a FLAC file."""
    body = struct.pack("<I", 3) + b"me." + struct.pack("<I", len(texts))
    body += b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return bytes([4]) + len(body).to_bytes(3, "big") + body


def flac_with(block: bytes) -> bytes:
    """Return a FLAC file with a further block of metadata after the first."""
    out = io.BytesIO()
    soundfile.write(out, np.arange(100, dtype="i2"), 48_000, format="FLAC")
    whole = out.getvalue()
    end = 8 + int.from_bytes(whole[5:8], "big")
    return whole[:4] + bytes([whole[4] & 0x7F]) + whole[5:end] + block + whole[end:]


def test_the_tags_of_a_flac_file(tmp_path: Path) -> None:
    path = tmp_path / "x.flac"
    path.write_bytes(
        flac_with(
            comments(b"SensorUid=00012345", "Ort=Wald am B\u00e4ch=2".encode(), b"SensorUid=other", b"bare")
        )
    )
    facts = probe(path)
    assert facts.frames == 100
    assert {name: facts.tags[name] for name in ("SensorUid", "Ort", "bare")} == {
        "SensorUid": "00012345",
        "Ort": "Wald am B\u00e4ch=2",
        "bare": "",
    }


def test_tags_that_are_cut_short(tmp_path: Path) -> None:
    from tilewright.audio.flac import tags

    whole = flac_with(comments(b"a=1", b"b=2"))
    found = []
    for length in range(len(whole)):
        path = tmp_path / "x.flac"
        path.write_bytes(whole[:length])
        with path.open("rb") as file:
            found.append(tags(file))
    assert (found[0], found[-1]) == ({}, {"a": "1", "b": "2"})
    assert {"a": "1"} in found
    assert all(before.items() <= after.items() for before, after in pairwise(found))
