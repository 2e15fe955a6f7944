"""Deployments of recorders: a run comes in; samples by time, tables and pictures go out. `Run.deployment` makes one.

What is in which module, in the order in which a selection meets them:

    deployment    what the user holds: `Deployment`
    loading       asks for streams and rows; makes `units`, with their tie points (`ties`) and a `timeline` by each clock
    plans, gaps   decide which samples make an array, and what becomes of gaps
    fetching      asks for them
    selecting     puts them together; `assembling` gives them their coordinates
    aligning      puts units on one grid, by `resampling`

Beside it are `sampling` (samples by row and index), `tables`, `pictures` with their `overviews`, and `listening`; `moments` has the
times at the edge.

The name is loaded on first use: `timeline` and `gaps` are wanted without the client of a server, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.first_use import on_first_use

if TYPE_CHECKING:
    from tilewright.clients.recordings.deployment import Deployment

__all__ = ["Deployment"]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "deployment": ["Deployment"],
    },
)
