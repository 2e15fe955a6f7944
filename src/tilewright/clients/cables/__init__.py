"""Fibre-optic cables: a run comes in; samples by time and distance, gaps and pictures go out. `Run.cable` makes one.

    cable         what the user holds: `Cable`
    describing    asks what the run has: the grid of channels, and when each file was recorded
    selecting     decides which samples and channels are meant, and makes a lazy array of them
    pictures      draws it

The name is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewright.clients.cables.cable import Cable

__all__ = ["Cable"]


def __getattr__(name: str) -> Any:
    if name != "Cable":
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from tilewright.clients.cables.cable import Cable  # noqa: PLC0415

    return Cable
