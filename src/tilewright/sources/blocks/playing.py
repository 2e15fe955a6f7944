"""A file of sound comes in, blocks go out as if a microphone's buffer gave them: for a demonstration, and for tests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tilewright.audio import Pcm, probe, read
from tilewright.errors import InputError
from tilewright.sources.blocks.sessions import SENSOR, Block

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

BLOCK_FRAMES = 4096


class play:  # noqa: N801 - reads as what it does, and is used as a function
    """A file, played as a live buffer: `Blocks(play("voice.wav"))`.

    Parameters
    ----------
    path
        WAV or FLAC, of 16, 24 or 32 bits.
    frames
        Of a block; the last one may have fewer.
    speed
        1 for the pace of the sound, 10 for ten times as fast; 0 for no waiting at all.
    session
        When it begins, in seconds since 1970, UTC. Default: when it is first asked for a block.
    sensor
        Name of the microphone.
    sleep, now
        For tests: `time.sleep`, and `time.time`.

    Raises
    ------
    InputError
        If there is no such file, or it has other samples.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        frames: int = BLOCK_FRAMES,
        speed: float = 1.0,
        session: float | None = None,
        sensor: str = SENSOR,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        if frames < 1 or speed < 0:
            raise InputError(
                f"play(frames={frames}, speed={speed}): expected a block of one frame at least, and no speed below 0."
            )
        self._path = path
        self._facts = probe(path)
        self._frames, self._speed = frames, speed
        self._session, self._sensor = session, sensor
        self._sleep, self._now = sleep, now
        self.pcm = Pcm(self._facts.rate, self._facts.bits, self._facts.channels)
        """What the blocks are."""

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks, each when its last frame would have been taken."""
        began = self._now()
        session = began if self._session is None else self._session
        for start in range(0, self._facts.frames, self._frames):
            stop = min(start + self._frames, self._facts.frames)
            if self._speed:
                wait = began + stop / self.pcm.rate / self._speed - self._now()
                self._sleep(max(0.0, wait))
            data = self.pcm.encode(read(self._path, start, stop, self._facts))
            yield Block(session, start * self.pcm.frame_bytes, data, self._sensor)
