"""Samples as plain numbers: the bytes of a microphone's buffer come in, arrays go out, and back again.

`files` reads the samples of plain WAV files so, `sources.blocks` what a buffer gives, and `stores` what is stored. Samples have shape
(frames,) of one channel, else (frames, channels). The full scale of the dtype is the full scale of the recorder: 16 bits are int16,
24 bits are int32 with a low byte of zeros, 32 bits are int32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.documents.notes import quoted
from tilewright.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

DTYPES: dict[int, np.dtype[Any]] = {16: np.dtype("<i2"), 24: np.dtype("<i4"), 32: np.dtype("<i4")}
"""Of samples, by their bits."""
PACKED = 24
"""Bits whose bytes are not those of an array."""
_LOW_BYTE = 0xFF


@dataclass(frozen=True)
class RawPCM:
    r"""Samples one after the other, signed and little-endian, channels in turn; 24 bits take 3 bytes.

    Parameters
    ----------
    bits
        Of a sample: 16, 24 or 32.
    channels
        Samples of a frame.

    Examples
    --------
    >>> RawPCM(16).encode(np.array([1, -2], np.int16)), RawPCM(24).decode(bytes([0, 1, 0])).tolist()
    (b'\x01\x00\xfe\xff', [65536])
    """

    bits: int = 16
    channels: int = 1

    def __post_init__(self) -> None:
        check_format(self.bits, self.channels, tuple(DTYPES))

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Of the samples."""
        return DTYPES[self.bits]

    @property
    def is_packed(self) -> bool:
        """Whether its bytes are not those of an array."""
        return self.bits == PACKED

    @cached_property
    def frame_bytes(self) -> int:
        """Bytes of a frame."""
        return self.bits // 8 * self.channels

    def shape(self, frames: int) -> tuple[int, ...]:
        """Return the shape of so many frames."""
        return (frames,) if self.channels == 1 else (frames, self.channels)

    def encode(self, value: Any) -> bytes:
        """Return samples as bytes; bytes of whole frames are taken as they are."""
        if isinstance(value, (bytes, bytearray, memoryview)):
            data = bytes(value)
            self._refuse_parts(len(data))
            return data
        return packed(samples_of(value, self.bits, self.channels), self.bits)

    def decode(self, data: bytes) -> NDArray[Any]:
        """Return the samples of bytes."""
        self._refuse_parts(len(data))
        out = np.empty(self.shape(len(data) // self.frame_bytes), self.dtype)
        unpack(data, out, self.bits)
        return out

    def view(self, data: bytes) -> NDArray[Any]:
        """Return the samples of bytes as `decode` does, but for reading only: without a copy, unless they are packed."""
        self._refuse_parts(len(data))
        return (
            self.decode(data)
            if self.is_packed
            else np.frombuffer(data, self.dtype).reshape(self.shape(len(data) // self.frame_bytes))
        )

    def _refuse_parts(self, count: int) -> None:
        if count % self.frame_bytes:
            raise InputError(
                f"{count} bytes are no whole frames of {self.frame_bytes} bytes ({self.channels} x {self.bits} bits)."
            )


@dataclass(frozen=True)
class Pcm:
    """Raw PCM, and how many frames of it are a second.

    Parameters
    ----------
    rate
        Frames a second.
    bits
        Of a sample: 16, 24 or 32.
    channels
        Samples of a frame.

    Raises
    ------
    InputError
        If one of them is none of these.

    Examples
    --------
    >>> pcm = Pcm(44_100, bits=24, channels=2)
    >>> pcm.frame_bytes, pcm.decode(bytes(range(12))).shape
    (6, (2, 2))
    """

    rate: int
    bits: int = 16
    channels: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.rate, bool) or not isinstance(self.rate, int) or self.rate < 1:
            raise InputError(f"rate={self.rate!r}: expected a whole number of frames a second, from 1 on.")
        assert self.raw, "is checked by being made"

    @cached_property
    def raw(self) -> RawPCM:
        """Its frames, whatever the rate."""
        return RawPCM(self.bits, self.channels)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the samples."""
        return self.raw.dtype

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame."""
        return self.raw.frame_bytes

    def decode(self, data: bytes) -> NDArray[Any]:
        """Return the samples of bytes: see `RawPCM.decode`."""
        return self.raw.decode(data)

    def encode(self, samples: NDArray[Any]) -> bytes:
        """Return samples as bytes: see `RawPCM.encode`."""
        return self.raw.encode(samples)


def samples_of(value: Any, bits: int, channels: int) -> NDArray[Any]:
    """Return samples as an array, checked.

    Raises
    ------
    InputError
        Another dtype, shape, or values past the bits; the message says which.
    """
    dtype = DTYPES[bits]
    shape = "(frames,)" if channels == 1 else f"(frames, {channels})"
    if not isinstance(value, np.ndarray):
        raise InputError(f"{quoted(value)} are no samples: expected an array of {dtype}, shape {shape}.")
    is_shape = value.ndim == 1 if channels == 1 else value.shape[1:] == (channels,)
    if value.dtype != dtype or not is_shape:
        raise InputError(
            f"An array of {value.dtype} of shape {value.shape} does not fit {channels} x {bits} bits: expected {dtype}, shape {shape}."
        )
    if bits == PACKED and np.any(value & _LOW_BYTE):
        raise InputError("Samples of 24 bits are int32 with a low byte of zeros, and these have more in it.")
    return value


def packed(samples: NDArray[Any], bits: int) -> bytes:
    """Return samples as raw PCM."""
    if bits != PACKED:
        return np.ascontiguousarray(samples).tobytes()
    whole = np.ascontiguousarray(samples).reshape(-1).view(np.uint8).reshape(-1, 4)
    return whole[:, 1:].tobytes()


def unpack(data: Any, out: NDArray[Any], bits: int) -> None:
    """Put the samples of raw PCM into an array, whose memory is in one piece."""
    if bits == PACKED:
        whole = out.reshape(-1).view(np.uint8).reshape(-1, 4)
        whole[:, 0] = 0
        whole[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    else:
        out.reshape(-1)[:] = np.frombuffer(data, out.dtype)


def check_format(bits: int, channels: int, widths: tuple[int, ...]) -> None:
    """Raise InputError for bits that are none of these widths, or a number of channels that is none."""
    if bits not in widths:
        raise InputError(f"bits={bits!r}: expected {', '.join(map(str, widths[:-1]))} or {widths[-1]}.")
    if isinstance(channels, bool) or not isinstance(channels, int) or channels < 1:
        raise InputError(f"channels={channels!r}: expected an integer from 1 on.")
