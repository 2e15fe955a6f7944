"""Fibre-optic cables: a run comes in; samples by time and distance, gaps and pictures go out. `Run.cable` and `Run.tiles` make them.

    cable         what the user holds: `Cable`
    tiles         what the user holds of pictures that were made of a cable: `Tiles`
    describing    asks what the run has: the grid of channels, and when each file was recorded
    selecting     decides which samples and channels are meant, and makes a lazy array of them
    stored        samples by their index, from files that are here or by the server
    decoded       keeps what was unpacked last, for the reads that follow
    spectra       works out power over frequency and wavenumber
    pictures      draws a cable
    sheets        draws tiles

The names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.first_use import on_first_use

if TYPE_CHECKING:
    from tilewright.clients.cables.cable import Cable
    from tilewright.clients.cables.tiles import Tiles

__all__ = ["Cable", "Tiles"]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "cable": ["Cable"],
        "tiles": ["Tiles"],
    },
)
