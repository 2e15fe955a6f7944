"""What is known of a file of sound: `files` makes it, everybody else takes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

MIMETYPES: Mapping[str, str] = {
    "WAV": "audio/wav",
    "RF64": "audio/wav",
    "W64": "audio/wav",
    "FLAC": "audio/flac",
    "AIFF": "audio/aiff",
    "OGG": "audio/ogg",
}
"""By container. Files of one array have the same."""
CHUNK_BYTES = 64 << 20
"""Of an array's chunks, whatever its files are: a structure lists each, so that a week of 192 kHz has some 3,500; and clients
that ask for whole chunks get no more at once than they can hold."""


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """A file of sound.

    The full scale of `dtype` is the full scale of the recorder, and nothing is lost: 8 bits are int8 (WAV's own are
    128 above), 16 are int16, 24 are int32 with a low byte of zeros, 32 are int32; floats are what they are.
    """

    container: str
    """A key of `MIMETYPES`."""
    frames: int
    """Samples of each channel that are in the file, whatever its header says."""
    declared: int | None
    """What its header says; None where it says nothing: it was never closed, or is a stream."""
    rate: int
    """Frames a second, nominal."""
    channels: int
    bits: int
    """Of a sample, as it was recorded."""
    dtype: np.dtype[Any]
    """Of the samples as `read` gives them."""
    remark: str = ""
    """A clause on what is wrong with it, such as "its header promises 480000 frames, and it has 95999"."""
    offset: int | None = None
    """The first byte of the samples, where they are plain numbers; else None, and libsndfile has to unpack them."""
    width: int = 0
    """Bytes of a plain sample."""
    chunks: Mapping[str, bytes] = field(default_factory=dict)
    """Small chunks of a RIFF file by their ids, `guan`, `bext`, and those of its INFO list, such as `ICMT`."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of other containers: libsndfile's (title, artist, comment, date, software, …), and all of a FLAC file by their own names."""

    @property
    def mimetype(self) -> str:
        """Mimetype of its StreamResource."""
        return MIMETYPES[self.container]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of its samples: (frames,) of one channel, else (frames, channels)."""
        return (self.frames,) if self.channels == 1 else (self.frames, self.channels)


def chunk_frames(dtype: np.dtype[Any], channels: int) -> int:
    """Return how many frames make a chunk of an array of files, as its structure lists them: see `CHUNK_BYTES`.

    >>> import numpy as np
    >>> chunk_frames(np.dtype("<i2"), 1), chunk_frames(np.dtype("<i4"), 3)
    (33554432, 5592405)
    """
    return max(CHUNK_BYTES // (dtype.itemsize * channels), 1)
