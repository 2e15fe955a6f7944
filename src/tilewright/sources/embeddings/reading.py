"""One TFRecord file, read from its beginning to its end: records come in, what is kept of them goes out. `source` calls it.

Every checksum is checked. What is damaged is told with its place, and the rest goes on; the vectors that are kept are handed on
in their order, for whoever converts them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tilewright.errors import InputError
from tilewright.sources.embeddings.facts import Contents, Rejected
from tilewright.tfrecords import Damage, frames, parse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from tilewright.sources.embeddings.names import Named, NamePattern
    from tilewright.tfrecords import Example, Frame

_KNOWN_NAMES = 1 << 16
"""Names whose meaning is remembered: the records of a recording have the same one."""
_LISTED = 5
"""Vectors of a record that a reason names."""


class Reader:
    """Reads files of one dataset, whose vectors all have the same length.

    Parameters
    ----------
    pattern
        Of the names of recordings.
    dimension
        Of the vectors; None: that of the first record that can be read.
    strict
        Whether the first record that is not as it should be ends it.
    """

    def __init__(self, pattern: NamePattern, dimension: int | None = None, *, strict: bool = False) -> None:
        self.dimension = dimension
        self._strict = strict
        self._named = lru_cache(_KNOWN_NAMES)(pattern)

    def read(
        self,
        path: Path,
        take: Callable[[NDArray[np.float32]], int] = lambda _vectors: 0,
        tell: Callable[[int], None] = lambda _records: None,
    ) -> Contents:
        """Return what a file holds.

        Parameters
        ----------
        take
            Gets the vectors that are kept, shape (vectors, dimension), as they come; they are no longer there when it has returned.
            Says how many of them had values that were too large for it.
        tell
            Called with the records so far, now and then.

        Raises
        ------
        InputError
            If it is strict, and something is not as it should be: the message names the file and the place in it.
        OSError
            If the file cannot be read.
        """
        contents = Contents()
        places: dict[str, int] = {}
        goes_on = False
        for frame in frames(path):
            if isinstance(frame, Damage):
                reason = frame.reason
                self._reject(contents, path, Rejected(frame.offset, None, reason))
                goes_on = False
            else:
                goes_on = self._add(contents, places, path, frame, take, goes_on=goes_on)
            contents.records += 1
            if not contents.records & 0xFF:
                tell(contents.records)
        tell(contents.records)
        return contents

    def _add(
        self,
        contents: Contents,
        places: dict[str, int],
        path: Path,
        frame: Frame,
        take: Callable[[NDArray[np.float32]], int],
        *,
        goes_on: bool,
    ) -> bool:
        """Take a record; say whether the next one's vectors follow those of this one."""
        filename: str | None = None
        try:
            example = parse(frame.data)
            filename = example.filename
            named = self._named(filename)
            self._check(example)
        except InputError as error:
            self._reject(contents, path, Rejected(frame.offset, filename, str(error)))
            return False
        windows, channels, dimension = example.vectors.shape
        vectors = example.vectors.reshape(-1, dimension)
        finite = np.isfinite(vectors)
        mask: NDArray[np.bool_] | None = None if finite.all() else np.asarray(finite.all(axis=1))
        self._note(contents, places, example, named, frame.offset, mask)
        if mask is None:
            contents.overflowed += take(vectors)
            if goes_on:
                contents.stretches[-1][2] += windows * channels
            else:
                contents.stretches.append([frame.offset, 0, windows * channels])
            return True
        self._leave_out(contents, path, frame.offset, filename, mask, channels)
        contents.overflowed += take(vectors[mask])
        return False

    def _check(self, example: Example) -> None:
        dimension = example.vectors.shape[2]
        if self.dimension is None:
            self.dimension = dimension
        elif dimension != self.dimension:
            raise InputError(f"its vectors have {dimension} values, and those before it {self.dimension}")

    def _note(
        self,
        contents: Contents,
        places: dict[str, int],
        example: Example,
        named: Named,
        offset: int,
        mask: NDArray[np.bool_] | None,
    ) -> None:
        contents.dimension = example.vectors.shape[2]
        if example.filename not in places:
            places[example.filename] = len(contents.names)
            contents.names.append((example.filename, named))
        if mask is not None:
            contents.kept[len(contents.offset)] = mask
        contents.name.append(places[example.filename])
        contents.offset.append(offset)
        contents.seconds.append(example.timestamp_s)
        windows, channels, _ = example.vectors.shape
        contents.windows.append(windows)
        contents.channels.append(channels)

    def _leave_out(
        self,
        contents: Contents,
        path: Path,
        offset: int,
        filename: str,
        mask: NDArray[np.bool_],
        channels: int,
    ) -> None:
        """Take note of the vectors of a record that have values which are no numbers."""
        without = np.flatnonzero(~mask)
        contents.not_finite += len(without)
        which = ", ".join(
            f"window {number // channels} channel {number % channels}" for number in without[:_LISTED]
        )
        more = f" and {len(without) - _LISTED} more" if len(without) > _LISTED else ""
        reason = f"vectors with values that are no finite numbers: {which}{more}"
        self._reject(contents, path, Rejected(offset, filename, reason))
        edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
        for first, stop in edges.reshape(-1, 2).tolist():
            contents.stretches.append([offset, first, stop - first])

    def _reject(self, contents: Contents, path: Path, rejected: Rejected) -> None:
        if self._strict:
            raise InputError(f"{path}, byte {rejected.record:,}: {rejected.reason}")
        contents.rejected.append(rejected)
