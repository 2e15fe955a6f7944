"""A sound card goes in, blocks come out as they are recorded; with `sounddevice`, where that is installed."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.audio import Pcm
from tilewright.errors import SetupError
from tilewright.extras import extra
from tilewright.sources.blocks.playing import BLOCK_FRAMES
from tilewright.sources.blocks.sessions import SENSOR, Block

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_POLL = 0.1
"""Seconds: how soon it is seen that it shall end."""


class microphone:  # noqa: N801 - reads as what it is, and is used as a function
    """A sound card's input as a stream of blocks: `Blocks(microphone(rate=48_000))`.

    The session begins when the first sample was taken, by the card's own clock if the driver tells it. Where the driver says that
    something was lost, the next block has the flag `overflow`; how much was lost it does not say, so that times after it are
    early by that.

    Parameters
    ----------
    device
        Number or name, as sounddevice has them. Default: the system's.
    rate, bits, channels
        What to record: frames a second; 16, 24 or 32; channels.
    frames
        Of a block.
    seconds
        How long; None until `until` is set, or the loop is left.
    until
        Ends it when set.
    sensor
        Name of the microphone.
    """

    def __init__(
        self,
        device: int | str | None = None,
        *,
        rate: int = 44_100,
        bits: int = 16,
        channels: int = 1,
        frames: int = BLOCK_FRAMES,
        seconds: float | None = None,
        until: threading.Event | None = None,
        sensor: str = SENSOR,
    ) -> None:
        self.pcm = Pcm(rate, bits, channels)
        """What the blocks are."""
        self._device, self._frames, self._seconds, self._sensor = device, frames, seconds, sensor
        self._until = until or threading.Event()

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks, each as soon as it was recorded.

        Raises
        ------
        SetupError
            If sounddevice is not installed, finds no PortAudio, or the card does not record so.
        """
        sounddevice = _sounddevice()
        taken: queue.SimpleQueue[tuple[np.datetime64, bytes, bool]] = queue.SimpleQueue()

        def take(data: Any, _frames: int, when: Any, status: Any) -> None:
            behind = max(0.0, float(when.currentTime - when.inputBufferAdcTime))
            began = np.datetime64(time.time_ns() - round(behind * 1e9), "ns")
            taken.put((began, bytes(data), bool(status.input_overflow)))

        try:
            stream = sounddevice.RawInputStream(
                samplerate=self.pcm.rate,
                blocksize=self._frames,
                device=self._device,
                channels=self.pcm.channels,
                dtype=f"int{self.pcm.bits}",
                callback=take,
            )
        except (sounddevice.PortAudioError, ValueError) as error:
            raise SetupError(
                f"The sound card {self._device if self._device is not None else '(default)'} does not record {self.pcm}: {error}."
                " `python -m sounddevice` lists what there is."
            ) from error
        with stream:
            yield from self._blocks(taken)

    def _blocks(self, taken: queue.SimpleQueue[tuple[np.datetime64, bytes, bool]]) -> Iterator[Block]:
        session, offset = None, 0
        most = None if self._seconds is None else round(self._seconds * self.pcm.rate) * self.pcm.frame_bytes
        while not self._until.is_set() and (most is None or offset < most):
            with suppress(queue.Empty):
                began, data, overflow = taken.get(timeout=_POLL)
                session = began if session is None else session
                data = data if most is None else data[: most - offset]
                yield Block(session, offset, data, self._sensor, overflow)
                offset += len(data)


def _sounddevice() -> ModuleType:
    try:
        with extra("soundcard", "recording from a sound card needs sounddevice"):
            import sounddevice  # noqa: PLC0415
    except OSError as error:
        raise SetupError(
            f"sounddevice finds no PortAudio ({error}): install it, on Debian with `apt install libportaudio2`."
        ) from error
    module: ModuleType = sounddevice
    return module
