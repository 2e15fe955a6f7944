"""A sound card, in place of which there is a pretended one."""

import sys
import threading
import types

import numpy as np
import pytest

from tilewright.errors import SetupError
from tilewright.sources.blocks import Blocks, microphone, sound_card


class PortAudioError(Exception):
    pass


def pretended(buffers, refuses=None):
    """Return a module like sounddevice whose card gives these (bytes, overflow), 0.25 s after they were taken."""
    module = types.ModuleType("sounddevice")
    module.asked = []

    class RawInputStream:
        def __init__(self, **asked):
            module.asked.append(asked)
            if refuses:
                raise PortAudioError(refuses)
            self.callback = asked["callback"]

        def __enter__(self):
            when = types.SimpleNamespace(currentTime=10.25, inputBufferAdcTime=10.0)
            for data, overflow in buffers:
                status = types.SimpleNamespace(input_overflow=overflow)
                self.callback(memoryview(data), len(data) // 2, when, status)

        def __exit__(self, *_):
            module.asked.append("closed")

    module.RawInputStream, module.PortAudioError = RawInputStream, PortAudioError
    return module


def test_blocks_of_a_card(monkeypatch):
    card = pretended([(bytes(200), False), (bytes(200), True), (bytes(200), False)])
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    monkeypatch.setattr(sound_card, "time", types.SimpleNamespace(time_ns=lambda: 5_000_000_000))
    blocks = list(microphone(3, rate=1000, frames=100, seconds=0.25, sensor="desk"))
    assert (
        card.asked[0].items()
        >= {"device": 3, "samplerate": 1000, "blocksize": 100, "dtype": "int16", "channels": 1}.items()
    )
    assert card.asked[-1] == "closed"
    assert [(len(block.data), block.offset, block.overflow) for block in blocks] == [
        (200, 0, False), (200, 200, True), (100, 400, False),
    ]  # fmt: skip
    assert {block.session for block in blocks} == {np.datetime64(4_750_000_000, "ns")}
    assert {block.sensor for block in blocks} == {"desk"}


def test_it_is_ended_from_outside(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", pretended([(bytes(200), False)] * 5))
    until = threading.Event()
    source = Blocks(microphone(until=until))
    documents = []
    for name, document in source.documents():
        documents.append((name, document))
        if name == "event" and document["seq_num"] == 2:
            until.set()
    assert [name for name, _ in documents] == ["start", "descriptor", "event", "event", "stop"]


def test_a_card_that_does_not(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", pretended([], refuses="Invalid number of channels"))
    with pytest.raises(
        SetupError, match=r"does not record Pcm.*Invalid number of channels.*lists what there is"
    ):
        list(microphone(channels=9))


def test_without_sounddevice(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(SetupError, match=r"tilewright\[soundcard\]"):
        list(microphone())


def test_without_portaudio(monkeypatch):
    class Finder:
        def find_spec(self, name, *_):
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    with pytest.raises(SetupError, match="libportaudio2"):
        list(microphone())
