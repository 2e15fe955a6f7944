"""A file played as a live buffer."""

import numpy as np
import pytest
import soundfile

from tilewright.errors import InputError
from tilewright.sources.blocks import Pcm, play


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self):
        self.time = 1000.0

    def sleep(self, seconds):
        self.time += seconds

    def now(self):
        return self.time


@pytest.fixture
def write(tmp_path):
    def write(frames=1000, channels=1, subtype="PCM_16", rate=8000, name="sound.wav"):
        samples = np.arange(frames * channels, dtype="<i4").reshape(frames, channels) << 16
        soundfile.write(tmp_path / name, samples, rate, subtype=subtype)
        return tmp_path / name

    return write


@pytest.mark.parametrize(("subtype", "bits"), [("PCM_16", 16), ("PCM_24", 24), ("PCM_32", 32)])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_blocks_are_the_file(write, subtype, bits, channels):
    path = write(channels=channels, subtype=subtype)
    played = play(path, frames=300, speed=0, session=5.0)
    assert played.pcm == Pcm(8000, bits, channels)
    blocks = list(played)
    width = bits // 8 * channels
    assert [(block.session, block.offset) for block in blocks] == [(5.0, n * 300 * width) for n in range(4)]
    expected = soundfile.read(path, dtype=played.pcm.dtype.name)[0]
    np.testing.assert_array_equal(played.pcm.decode(b"".join(block.data for block in blocks)), expected)


def test_flac(write):
    assert sum(len(block.data) for block in play(write(name="sound.flac"), speed=0)) == 2000


@pytest.mark.parametrize("speed", [1.0, 4.0])
def test_its_pace(write, speed):
    clock = Clock()
    blocks = play(write(), frames=400, speed=speed, sleep=clock.sleep, now=clock.now)
    when = [(clock.time - 1000.0, block.session) for block in blocks]
    assert when == [
        (pytest.approx(frames / 8000 / speed), 1000.0) for frames in (400, 800, 1000)
    ]  # as its last frame is taken, of a session that began when it was first asked


@pytest.mark.parametrize("asked", [{"frames": 0}, {"speed": -1}])
def test_what_cannot_be_meant(write, asked):
    with pytest.raises(InputError, match="expected a block of one frame at least"):
        play(write(), **asked)


def test_no_file(tmp_path, write):
    with pytest.raises((InputError, OSError)):
        play(tmp_path / "nothing.wav")
    with pytest.raises(InputError, match="bits=8"):
        play(write(subtype="PCM_U8"))
