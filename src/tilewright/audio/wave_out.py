"""A WAV file of samples: an array comes in, bytes that a browser plays go out.

Called by the server for `audio/wav`, and by the clients.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from tilewright.audio.pcm import PACKED
from tilewright.errors import InputError

_SUBTYPES = {"i1": "PCM_U8", "i2": "PCM_16", "i4": "PCM_32", "f4": "FLOAT", "f8": "DOUBLE"}
_MOST_DIMENSIONS = 2


def encode_wav(samples: np.ndarray[Any, Any], rate: int, *, bits: int | None = None) -> bytes:
    """Return a WAV file of samples.

    Parameters
    ----------
    samples
        Of shape (frames,) or (frames, channels); dtype int8, int16, int32, float32 or float64, at the full scale of that.
    rate
        Frames a second.
    bits
        24 to write only so many of int32, whose low byte is left out; None for all that the dtype has.

    Raises
    ------
    InputError
        If these are no samples.
    """
    import soundfile  # noqa: PLC0415 - slow to import

    kind = f"{samples.dtype.kind}{samples.dtype.itemsize}"
    if kind not in _SUBTYPES or samples.ndim not in (1, _MOST_DIMENSIONS):
        raise InputError(
            f"An array of {samples.dtype} of shape {samples.shape} is no sound: expected (frames,) or (frames, channels) of"
            " int8, int16, int32, float32 or float64."
        )
    if kind == "i1":  # which soundfile does not take
        samples = samples.astype(np.int16) << 8
    out = io.BytesIO()
    subtype = "PCM_24" if bits == PACKED and kind == "i4" else _SUBTYPES[kind]
    soundfile.write(out, np.ascontiguousarray(samples), int(rate), subtype=subtype, format="WAV")
    return out.getvalue()


def in_16_bits(samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return samples as the 16 bits that every browser plays; the full scale stays what it was.

    >>> in_16_bits(np.array([1 << 30, -(1 << 31)], np.int32)), in_16_bits(np.array([0.5, 2.0]))
    (array([ 16384, -32768], dtype=int16), array([16384, 32767], dtype=int16))
    """
    if samples.dtype.kind == "f":
        return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    bits = samples.dtype.itemsize * 8
    narrow = samples >> (bits - 16) if bits > 16 else samples.astype(np.int16) << (16 - bits)  # noqa: PLR2004
    return np.asarray(narrow, np.int16)
