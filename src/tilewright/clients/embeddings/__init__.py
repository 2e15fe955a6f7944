"""Datasets of embeddings: a run comes in; rows, vectors, neighbours, sounds and pictures go out. `Run.embeddings` makes one.

What is in which module, in the order in which a question meets them:

    dataset       what the user holds: `Dataset`
    describing    asks what the run has
    asking        makes a condition of what the user wrote
    places        where the vectors are: `blocks` of files that are here, or asked of the server
    vectors       those of some rows, read when they are needed
    neighbours    makes queries of what the user gave, and a table of what was found
    searching     finds the nearest of blocks exactly, by `scoring`; `approximate` by an index
    listening     finds the recording of a row; `pictures` draws

The name is loaded on first use: `searching` and `blocks` are wanted without the client of a server, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.first_use import on_first_use

if TYPE_CHECKING:
    from tilewright.clients.embeddings.dataset import Dataset

__all__ = ["Dataset"]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "dataset": ["Dataset"],
    },
)
