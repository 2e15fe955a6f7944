"""A table of integers that grows at its end: rows come in one at a time, whole columns are searched. `blocks` keeps its sorted ones in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Table:
    """Columns of int64 side by side, with room to grow, so that adding one costs the same however many there are.

    Parameters
    ----------
    rows
        Shape (kinds, number): a row for each kind of number, in one piece each, so that it can be searched.

    Examples
    --------
    >>> table = Table(np.array([[1, 2], [10, 20]]))
    >>> table.append([3, 30])
    >>> table.rows.tolist(), len(table)
    ([[1, 2, 3], [10, 20, 30]], 3)
    """

    def __init__(self, rows: NDArray[np.int64]) -> None:
        self._room = np.ascontiguousarray(rows, np.int64)
        self._count = int(rows.shape[1])

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> NDArray[np.int64]:
        """What is in it: shape (kinds, number). It may be changed."""
        return self._room[:, : self._count]

    def append(self, column: Sequence[int]) -> None:
        """Add one of each kind at the end."""
        if self._count == self._room.shape[1]:
            room = np.empty((len(self._room), max(2 * self._count, 16)), np.int64)
            room[:, : self._count] = self._room
            self._room = room
        self._room[:, self._count] = column
        self._count += 1
