"""Files of sound: a path comes in, what it says of itself and its samples go out.

`probe` opens a file once, and reads its header and its chunks of metadata; `read` seeks to the samples that are wanted.
Plain numbers in RIFF files are read as such; the rest is libsndfile's.
"""

from __future__ import annotations

from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.audio.facts import MIMETYPES, AudioFacts
from tilewright.audio.flac import tags
from tilewright.audio.pcm import PACKED, unpack
from tilewright.audio.riff import walk
from tilewright.errors import InputError
from tilewright.extras import extra

if TYPE_CHECKING:
    import os
    from io import FileIO
    from types import ModuleType

    from tilewright.audio.riff import Riff

_INTEGERS, _FLOATS = 1, 3
"""Codes of encodings."""
_PLAIN = {
    (_INTEGERS, 1): "i1",
    (_INTEGERS, 2): "i2",
    (_INTEGERS, 3): "i4",
    (_INTEGERS, 4): "i4",
    (_FLOATS, 4): "f4",
    (_FLOATS, 8): "f8",
}
"""dtype by encoding and bytes of a sample."""
_SUBTYPES = {
    "PCM_S8": ("i1", 8),
    "PCM_U8": ("i1", 8),
    "PCM_16": ("i2", 16),
    "PCM_24": ("i4", 24),
    "PCM_32": ("i4", 32),
    "FLOAT": ("f4", 32),
    "DOUBLE": ("f8", 64),
    "ULAW": ("i2", 8),
    "ALAW": ("i2", 8),
    "IMA_ADPCM": ("i2", 4),
    "MS_ADPCM": ("i2", 4),
    "VORBIS": ("f4", 32),
    "OPUS": ("f4", 32),
}
"""dtype and bits by libsndfile's name of the encoding."""
_MOST_FRAMES = 1 << 50
"""libsndfile's number of frames where a header does not tell is above it."""


def probe(path: str | os.PathLike[str]) -> AudioFacts:
    """Return what a file of sound says of itself, and how much of it is there.

    Raises
    ------
    InputError
        If it is empty, or no file of sound that can be read; the message names it.
    OSError
        If it cannot be opened.
    SetupError
        If libsndfile is needed, and the package soundfile is not installed.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            riff = walk(file)
        except ValueError as error:
            raise InputError(f"{path} is no file of sound that can be read: {error}.") from error
        if riff is not None and (dtype := _plain(riff)):
            return _of_plain(riff, dtype)
        if not file.seek(0, 2):
            raise InputError(f"{path} is empty.")
        if riff is not None and riff.offset is None:
            raise InputError(f"{path} ends before its samples.")
        return _of_libsndfile(path, riff, tags(file))


def read(
    path: str | os.PathLike[str], start: int, stop: int, facts: AudioFacts | None = None
) -> np.ndarray[Any, Any]:
    """Return frames `start` to before `stop` of a file: shape (frames,), or (frames, channels) of several channels.

    Fewer where the file ends before.

    Parameters
    ----------
    facts
        Of the file, as `probe` gave them; without, it is looked at first.

    Raises
    ------
    InputError, OSError, SetupError
        As `probe`; or if the file is not any longer what it was.
    """
    facts = probe(path) if facts is None else facts
    start, stop = max(start, 0), min(stop, facts.frames)
    if stop <= start:
        return np.empty((0, *facts.shape[1:]), facts.dtype)
    frames = stop - start
    if facts.offset is None:
        return _unpacked(Path(path), start, frames, facts)
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - to take a Path apart takes longer than to open it
        samples = _numbers(file, start, frames, facts)
    if len(samples) < frames * facts.channels:
        raise InputError(f"{path} has become shorter: frames {start} to {stop} are no longer there.")
    return samples.reshape(frames, *facts.shape[1:])


def _numbers(file: FileIO, start: int, frames: int, facts: AudioFacts) -> np.ndarray[Any, Any]:
    """Return plain samples, of all channels in turn, as `AudioFacts` has them."""
    assert facts.offset is not None, "asked by the caller"
    file.seek(facts.offset + start * facts.channels * facts.width)
    count = frames * facts.channels
    if facts.width == 1:
        return (_filled(file, np.empty(count, np.uint8)) ^ 0x80).view(np.int8)
    if facts.width * 8 == PACKED:
        packed = _filled(file, np.empty(count * facts.width, np.uint8))
        whole = np.empty(len(packed) // facts.width, facts.dtype)
        unpack(packed[: len(whole) * facts.width], whole, PACKED)
        return whole
    return _filled(file, np.empty(count, facts.dtype))


def _filled(file: FileIO, numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Read into an array from where a file is; return as much of it as is there.

    Half of what `numpy.fromfile` takes, which reads through a buffer.
    """
    room: Any = numbers  # whose own type is no buffer
    view, read = memoryview(room).cast("B"), 0
    while read < len(view) and (some := file.readinto(view[read:])):
        read += some
    return numbers[: read // numbers.itemsize]


def _plain(riff: Riff) -> str | None:
    """Return the dtype of samples that are plain numbers; None if they are packed, or there are none."""
    if riff.offset is None or not (riff.channels and riff.rate and riff.block) or riff.block % riff.channels:
        return None
    return _PLAIN.get((riff.code, riff.block // riff.channels))


def _of_plain(riff: Riff, dtype: str) -> AudioFacts:
    frames = riff.size // riff.block
    declared = None if riff.declared is None else riff.declared // riff.block
    return AudioFacts(
        riff.container,
        frames,
        declared,
        riff.rate,
        riff.channels,
        riff.bits,
        np.dtype(dtype).newbyteorder("<"),
        _remark(frames, declared),
        riff.offset,
        riff.block // riff.channels,
        riff.chunks,
    )


def _remark(frames: int, declared: int | None) -> str:
    if declared is None:
        return f"its header does not say how long it is, and it has {frames} frames" if frames else ""
    return f"its header promises {declared} frames, and it has {frames}" if frames < declared else ""


def _of_libsndfile(path: Path, riff: Riff | None, own_tags: dict[str, str]) -> AudioFacts:
    soundfile = _soundfile(path)
    try:
        with soundfile.SoundFile(path) as sound:
            container = "WAV" if sound.format == "WAVEX" else sound.format
            if container not in MIMETYPES or sound.subtype not in _SUBTYPES:
                raise InputError(f"{path} is {sound.format} with {sound.subtype}, which is not read here.")
            dtype, bits = _SUBTYPES[sound.subtype]
            declared = sound.frames if 0 <= sound.frames < _MOST_FRAMES else None
            frames = _count(soundfile, path, declared)
            return AudioFacts(
                container,
                frames,
                declared,
                sound.samplerate,
                sound.channels,
                bits,
                np.dtype(dtype),
                _remark(frames, declared),
                chunks={} if riff is None else riff.chunks,
                tags=sound.copy_metadata() | own_tags,
            )
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path} is no file of sound that can be read: {error.error_string}") from error


def _count(soundfile: ModuleType, path: Path, declared: int | None) -> int:
    """Return how many frames can be read: as declared if the last one can, else by halves."""

    def has(frame: int) -> bool:
        try:
            with soundfile.SoundFile(path) as sound:  # anew: a failure leaves it in no good state
                sound.seek(frame)
                return len(sound.read(1, dtype="float32", always_2d=True)) == 1
        except soundfile.LibsndfileError:
            return False

    if declared is not None and (declared == 0 or has(declared - 1)):
        return declared
    missing = declared or 1
    while declared is None and missing < _MOST_FRAMES and has(missing):
        missing *= 2
    return bisect_left(range(missing), True, key=lambda frame: not has(frame))


def _unpacked(path: Path, start: int, frames: int, facts: AudioFacts) -> np.ndarray[Any, Any]:
    soundfile = _soundfile(path)
    is_narrow = facts.dtype == np.int8
    wanted = np.int16 if is_narrow else facts.dtype
    try:
        with soundfile.SoundFile(path) as sound:
            sound.seek(start)
            samples = sound.read(frames, dtype=str(np.dtype(wanted)), always_2d=facts.channels > 1)
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path} cannot be read at frame {start}: {error.error_string}") from error
    if len(samples) < frames:
        raise InputError(
            f"{path} cannot be read: {len(samples)} of the frames {start} to {start + frames} are there."
        )
    narrowed: np.ndarray[Any, Any] = (samples >> 8).astype(np.int8) if is_narrow else samples
    return narrowed


def _soundfile(path: Path) -> ModuleType:
    with extra("audio", f"{path} has to be unpacked with libsndfile"):
        import soundfile  # noqa: PLC0415 - slow to import, and of no use for plain samples
    module: ModuleType = soundfile
    return module
