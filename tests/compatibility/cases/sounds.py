"""WAV and FLAC: recordings, an event a file, whose rows are samples."""

import numpy as np
import soundfile

from .base import FLAC, WAV, Emitter, case, external, file_uri, indexed

RATE = 8000


def recording(folder, mimetype, samples, lengths, subtype, dtype):
    """Write files of so many samples each, and the documents about them; the values are soundfile's."""
    container = {WAV: "WAV", FLAC: "FLAC"}[mimetype]
    row = list(samples.shape[1:])
    run, first, parts = Emitter(img=external(row, dtype, dtype="array" if row else "number")), 0, []
    for number, length in enumerate(lengths):
        path = folder / f"{number}.{container.lower()}"
        soundfile.write(path, samples[first : first + length], RATE, subtype, format=container)
        resource = run.resource(mimetype, file_uri(path), rate=RATE, chunk_shape=[16])
        run.datum(resource, first, first + length, seq_nums=(number + 1, number + 2))
        run.event()
        parts.append(soundfile.read(path, dtype=str(np.dtype(dtype)))[0])
        first += length
    return run.written(img=np.concatenate(parts))


@case("WAV and FLAC")
def files_of_samples(folder, stack):
    """WAV of 16 bits: an event a file, as many rows as samples."""
    return recording(folder, WAV, indexed(40, dtype="<i2"), (10, 10, 13, 7), "PCM_16", "<i2")


@case("WAV and FLAC")
def files_of_two_channels(folder, stack):
    """WAV of 24 bits and two channels."""
    return recording(folder, WAV, indexed(40, 2, dtype="<i4") << 8, (17, 23), "PCM_24", "<i4")


@case("WAV and FLAC")
def packed_files_of_samples(folder, stack):
    """FLAC of 16 bits and three channels."""
    return recording(folder, FLAC, indexed(40, 3, dtype="<i2"), (1, 39), "PCM_16", "<i2")
