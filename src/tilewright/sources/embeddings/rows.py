"""The rows of a file, a vector each: what was found of its records comes in, columns go out, some records at a time.

`run_documents` makes event pages of them. A record of twelve windows of one channel is twelve rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.documents.times import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tilewright.sources.embeddings.facts import Contents
    from tilewright.sources.embeddings.names import NamePattern

RECORDS = 512
"""Records of a page: some 6,000 rows."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows that follow each other."""

    time: list[float]
    """Seconds since 1970, of the sound; of recordings whose names tell no times, from their beginnings."""
    data: dict[str, list[Any]]
    """By column."""


def pages(contents: Contents, pattern: NamePattern, file: int, window: float) -> Iterator[Page]:
    """Yield the rows of a file.

    Parameters
    ----------
    file
        Its number in the dataset.
    window
        Seconds from one window to the next.
    """
    for first in range(0, len(contents.offset), RECORDS):
        page = _page(contents, pattern, slice(first, first + RECORDS), file, window)
        if page.time:
            yield page


def _page(contents: Contents, pattern: NamePattern, part: slice, file: int, window: float) -> Page:
    record, number = _vectors(contents, part)
    names = np.array(contents.name[part])[record].tolist()
    within, channel = np.divmod(number, np.array(contents.channels[part])[record])
    offset = np.array(contents.seconds[part], float)[record] + within * window
    starts = [named.start or 0 for _, named in contents.names]
    values = [named.values for _, named in contents.names]
    data: dict[str, list[Any]] = {
        column.name: [values[name][place] for name in names] for place, column in enumerate(pattern.columns)
    }
    data["filename"] = [contents.names[name][0] for name in names]
    data["offset"] = offset.tolist()
    data["channel"] = channel.tolist()
    data["file"] = [file] * len(names)
    data["record"] = np.array(contents.offset[part])[record].tolist()
    time = np.array(starts, np.int64)[names] / SECOND + offset
    return Page(time.tolist(), data)


def _vectors(contents: Contents, part: slice) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return of each kept vector of these records the record, counted from the first of them, and its number within that."""
    counts = np.array(contents.windows[part]) * np.array(contents.channels[part])
    record = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(record)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = part.start
    partial = {at: mask for at, mask in contents.kept.items() if first <= at < first + len(counts)}
    if partial:
        kept = np.ones(len(record), bool)
        for at, mask in partial.items():
            kept[record == at - first] = mask
        record, number = record[kept], number[kept]
    return record, number
