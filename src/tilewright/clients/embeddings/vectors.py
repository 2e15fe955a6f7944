"""Vectors of a dataset that are read when they are needed: rows come in, arrays go out. `Dataset.vectors` makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tilewright.clients.embeddings.places import Places


class Vectors:
    """Vectors of some rows of a dataset, or of all: an array of shape (rows, dimension) that reads what a slice touches.

    ``vectors[10:20]`` and ``vectors[[3, 1]]`` are NumPy arrays, ``numpy.asarray(vectors)`` is all of them.

    Parameters
    ----------
    places
        Where the vectors are.
    rows
        Their numbers in the dataset, in ascending order; None for all.
    length
        How many the dataset has.
    """

    def __init__(
        self,
        places: Places,
        rows: NDArray[np.int64] | None,
        length: int,
        dimension: int,
        dtype: np.dtype[Any],
        *,
        uid: str,
        model: str | None,
    ) -> None:
        self._places, self._rows, self._length = places, rows, length
        self.dtype = dtype
        self.dimension = dimension
        self.uid = uid
        """Of the dataset's run."""
        self.model = model
        """What made them; None if nobody said it."""

    @property
    def rows(self) -> NDArray[np.int64]:
        """The number of each in its dataset."""
        return np.arange(self._length) if self._rows is None else self._rows

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, dimension)."""
        return len(self), self.dimension

    @property
    def ndim(self) -> int:
        """2."""
        return 2

    @property
    def nbytes(self) -> int:
        """What all of them would take in memory."""
        return len(self) * self.dimension * self.dtype.itemsize

    def __len__(self) -> int:
        """Return how many there are."""
        return self._length if self._rows is None else len(self._rows)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Return vectors: of an integer one, shape (dimension,); of a slice, a list of integers or a mask several.

        Raises
        ------
        IndexError
            If there is no such vector.
        """
        key, *rest = key if isinstance(key, tuple) else (key,)
        wanted = self.rows[key]
        found = self._read(np.atleast_1d(wanted))
        one = found[0] if np.ndim(wanted) == 0 else found
        whole: NDArray[Any] = one[(..., *rest)] if rest else one
        return whole

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        """Return all of them."""
        found = self._read(self.rows)
        return found if dtype is None else found.astype(dtype, copy=bool(copy))

    def blocks(self) -> Iterator[tuple[int | NDArray[np.int64], NDArray[Any]]]:
        """Yield all of them, some megabytes at a time, with their rows: see `places.Places.blocks`."""
        return self._places.blocks(self._rows)

    def __repr__(self) -> str:
        model = "" if self.model is None else f" by {self.model}"
        return f"<Vectors{model}: {len(self):,} of {self.dimension:,} {self.dtype}, {self.nbytes / 1e6:,.1f} MB, not read yet>"

    def _read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the vectors of rows in any order."""
        ascending, places = np.unique(rows, return_inverse=True)
        out = np.empty((len(ascending), self.dimension), self.dtype)
        for numbers, vectors in self._places.blocks(ascending):
            there = numbers + np.arange(len(vectors)) if np.ndim(numbers) == 0 else numbers
            out[np.searchsorted(ascending, there)] = vectors
        return out if np.array_equal(ascending, rows) else out[places]
