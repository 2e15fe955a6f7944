"""The rows of a stream of blocks come in; rows as of files go out, one for all blocks that follow each other. `loading` calls it.

blocks   0  1  2     4  3     5  6          rows as they came, of `tilewright.sources.blocks`
rows     ───────     ── ──    ─────         what is one file to all that comes after
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.documents.times import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

COLUMNS = ("offset", "position", "samples", "first", "rate")
"""Columns without which a stream has no blocks."""


def joined_rows(blocks: pa.Table, start: Mapping[str, Any]) -> pa.Table:
    """Return one row for each run of blocks that follow each other, in the order of the array.

    Parameters
    ----------
    blocks
        `COLUMNS` of the stream's rows; those that added nothing to its array are passed over.
    start
        The run's start document: `anchor`, when the session began, in nanoseconds UTC, and `precision` of that.

    Returns
    -------
    pa.Table
        Columns as of files (file, start, samples, first, rate, precision), and position: frames from `start` to the first sample, so that its
        time is exact.
    """
    import pyarrow as pa  # noqa: PLC0415 - slow to import

    columns = {name: blocks[name].to_numpy() for name in COLUMNS}
    columns = {name: values[columns["samples"] > 0] for name, values in columns.items()}
    begins = _begins(columns)
    ends = np.append(begins[1:], len(columns["first"]))[: len(begins)] - 1
    samples = np.add.reduceat(columns["samples"], begins) if len(begins) else columns["samples"]
    offsets = zip(columns["offset"][begins].tolist(), columns["offset"][ends].tolist(), strict=True)
    anchor, precision = int(start.get("anchor") or 0), int(start.get("precision") or SECOND)
    return pa.table(
        {
            "file": [
                f"block {one}" if one == other else f"blocks {one} to {other}" for one, other in offsets
            ],
            "start": np.full(len(begins), anchor),
            "samples": samples,
            "first": columns["first"][begins],
            "rate": columns["rate"][begins],
            "precision": np.full(len(begins), precision),
            "position": columns["position"][begins],
        }
    )


def _begins(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Return which blocks do not follow the one before."""
    position, samples, rate = columns["position"], columns["samples"], columns["rate"]
    is_first = np.ones(len(position), bool)
    is_first[1:] = (position[1:] != position[:-1] + samples[:-1]) | (rate[1:] != rate[:-1])
    return np.flatnonzero(is_first)
