"""What a file of sound says of itself, and its samples: paths come in, facts and arrays go out.

`sources` look at recorders' files with it, `formats` read them on the server, `clients` and the server's `audio/wav` encode
with it. No documents here, and no times.
"""

from tilewright.audio.facts import MIMETYPES, AudioFacts, chunk_frames
from tilewright.audio.files import probe, read
from tilewright.audio.pcm import Pcm, RawPCM
from tilewright.audio.wave_out import encode_wav, in_16_bits

__all__ = [
    "MIMETYPES",
    "AudioFacts",
    "Pcm",
    "RawPCM",
    "chunk_frames",
    "encode_wav",
    "in_16_bits",
    "probe",
    "read",
]
