"""Blocks of sound come in, as a microphone's buffer gives them; the documents of runs go out.

    Blocks        the source: any iterator of (session, offset, bytes)
    play          a WAV or FLAC file as a buffer, at the pace of its sound or faster
    microphone    a sound card

`arriving` knows what it means when a block comes late, twice or not at all.
"""

from tilewright.audio import Pcm
from tilewright.sources.blocks.playing import play
from tilewright.sources.blocks.sessions import Block
from tilewright.sources.blocks.sound_card import microphone
from tilewright.sources.blocks.source import Blocks

__all__ = ["Block", "Blocks", "Pcm", "microphone", "play"]
