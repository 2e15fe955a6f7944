"""Sound as bytes: samples come in, raw PCM, WAV or FLAC goes out, and back. `make_store` and `audio_store` wrap persisters with it.

Samples have shape (frames,) for one channel, else (frames, channels). The full scale of the dtype is the full scale of the
recorder, as everywhere in `tilewright.audio`: 16 bits are int16, 24 bits are int32 with a low byte of zeros, 32 bits are int32.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tilewright.audio.pcm import DTYPES, RawPCM, check_format, samples_of
from tilewright.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FLACFile", "RawPCM", "WAVFile"]


@dataclass(frozen=True)
class _SoundFile(ABC):
    """Samples as a file of sound."""

    rate: int
    """Frames a second."""
    bits: int = 16
    channels: int = 1

    _format: ClassVar[str] = ""
    _widths: ClassVar[tuple[int, ...]] = (16, 24)

    def __post_init__(self) -> None:
        if isinstance(self.rate, bool) or not isinstance(self.rate, int) or self.rate < 1:
            raise InputError(
                f"rate={self.rate!r}: {self._format} has a whole number of frames a second, from 1 on."
            )
        check_format(self.bits, self.channels, self._widths)

    def encode(self, value: Any) -> bytes:
        """Return samples as a file."""
        samples = samples_of(value, self.bits, self.channels)
        return self._encode(np.ascontiguousarray(samples))

    @abstractmethod
    def _encode(self, samples: NDArray[Any]) -> bytes:
        """Return samples, which are checked and in one piece, as a file."""

    def decode(self, data: bytes) -> NDArray[Any]:
        """Return the samples of a file."""
        import soundfile  # noqa: PLC0415 - slow to import

        try:
            with soundfile.SoundFile(io.BytesIO(data)) as sound:
                self._refuse_another(sound)
                dtype = str(DTYPES[self.bits].newbyteorder("="))
                samples: NDArray[Any] = sound.read(dtype=dtype, always_2d=self.channels > 1)
                declared = sound.frames
        except soundfile.LibsndfileError as error:
            raise InputError(
                f"These {len(data)} bytes are no {self._format} file: {error.error_string}"
            ) from error
        if len(samples) < declared:
            raise InputError(
                f"This {self._format} file is cut short: {len(samples)} of {declared} frames are there."
            )
        return samples

    def _refuse_another(self, sound: Any) -> None:
        there = (sound.format, sound.samplerate, sound.channels, sound.subtype)
        wanted = (self._format, self.rate, self.channels, f"PCM_{self.bits}")
        if there != wanted:
            told = [
                f"{name} {is_} (expected {was})"
                for name, is_, was in zip(_FACTS, there, wanted, strict=True)
                if is_ != was
            ]
            raise InputError(f"This file of sound is another one: {', '.join(told)}.")


_FACTS = ("format", "rate", "channels", "encoding")


@dataclass(frozen=True)
class WAVFile(_SoundFile):
    """Samples as WAV files.

    Parameters
    ----------
    rate
        Frames a second; a file of another rate is refused.
    bits
        Of a sample: 16, 24 or 32.
    channels
        Samples of a frame.
    """

    _format: ClassVar[str] = "WAV"
    _widths: ClassVar[tuple[int, ...]] = (16, 24, 32)

    def _encode(self, samples: NDArray[Any]) -> bytes:
        from tilewright.audio import encode_wav  # noqa: PLC0415 - not before it is needed

        return encode_wav(samples, self.rate, bits=self.bits)

    def decode(self, data: bytes) -> NDArray[Any]:
        """Return the samples of a file."""
        size = int.from_bytes(data[4:8], "little") + 8
        if data[:4] == b"RIFF" and size > len(data):  # libsndfile reads what is there
            raise InputError(f"This WAV file is cut short: {len(data)} of its {size} bytes are there.")
        return super().decode(data)


@dataclass(frozen=True)
class FLACFile(_SoundFile):
    """Samples as FLAC files, at least one frame each.

    Parameters
    ----------
    rate
        Frames a second; a file of another rate is refused.
    bits
        Of a sample: 16 or 24.
    channels
        Samples of a frame, 8 at most.
    """

    _format: ClassVar[str] = "FLAC"

    def _encode(self, samples: NDArray[Any]) -> bytes:
        import soundfile  # noqa: PLC0415 - slow to import

        if not len(samples):
            raise InputError("A FLAC file has at least one frame: there is nothing to store.")
        out = io.BytesIO()
        try:
            soundfile.write(out, samples, self.rate, subtype=f"PCM_{self.bits}", format="FLAC")
        except soundfile.LibsndfileError as error:
            raise InputError(
                f"FLAC does not take {self.channels} channels at {self.rate} Hz: {error.error_string}"
            ) from error
        return out.getvalue()
