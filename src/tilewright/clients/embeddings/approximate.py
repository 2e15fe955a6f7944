"""Approximate search by an index of usearch: blocks of vectors come in; neighbours that are mostly the nearest go out.

For very many searches of the same vectors: building the index takes about a millisecond a vector, as long as some
thousand exact searches; a search takes a millisecond or two. What it finds is what `searching.nearest` finds but for some: `Approximate.recall` says how much of it. `neighbours`
calls this. usearch is an extra: https://unum-cloud.github.io/USearch (HNSW, doi:10.1109/TPAMI.2018.2889473).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tilewright.clients.embeddings.scoring import Metric, Queries, shown
from tilewright.clients.embeddings.searching import Neighbours
from tilewright.errors import InputError, NotFoundError
from tilewright.extras import extra

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    Fetch = Callable[[NDArray[np.int64]], NDArray[np.floating]]
    """Gives the vectors of rows, which come in ascending order, each once: shape (rows, D)."""

_KINDS: dict[Metric, str] = {"dot": "ip", "cosine": "cos", "euclidean": "l2sq"}
"""What usearch calls them. Its distances are 1 - dot, 1 - cosine, and the square of the distance."""
_ADDED = 4096
"""Vectors that are added at once."""
Precision = Literal["f32", "f16", "bf16", "i8"]
"""Of the vectors in an index, as usearch calls them. All are in memory when it is searched."""


@dataclass(frozen=True, slots=True)
class _About:
    """What an index is of, kept beside it, so that it is not used for anything else."""

    length: int
    """Rows of the data."""
    dimension: int
    metric: Metric
    data: str
    """Which data, as the caller says."""
    precision: Precision
    not_finite: int
    """Vectors that are not in it, as they cannot be neighbours."""


class Approximate:
    """An index of vectors. Made by `build` or `load`."""

    def __init__(self, index: Any, about: _About) -> None:
        self._index, self._about = index, about

    def __len__(self) -> int:
        return len(self._index)

    @property
    def metric(self) -> Metric:
        """What it is for."""
        return self._about.metric

    @classmethod
    def build(
        cls,
        blocks: Iterable[tuple[int | NDArray[np.int64], NDArray[np.floating]]],
        length: int,
        dimension: int,
        metric: Metric,
        data: str,
        *,
        precision: Precision = "f32",
    ) -> Approximate:
        """Return an index of all vectors of blocks, as `searching.nearest` takes them.

        Parameters
        ----------
        length
            Rows of the data.
        data
            A name of the data, by which `load` knows that an index is of it: with whatever tells one version from another.
        precision
            How the index keeps them.

        Raises
        ------
        InputError
            If vectors have another dimension.
        SetupError
            If usearch is not installed.
        """
        index = _index(dimension, metric, precision)
        left = 0
        for rows, vectors in blocks:
            if vectors.ndim != 2 or vectors.shape[1] != dimension:  # noqa: PLR2004 - vectors, values
                raise InputError(
                    f"An index of vectors of {dimension} values cannot take shape {vectors.shape}."
                )
            numbers = rows + np.arange(len(vectors)) if np.ndim(rows) == 0 else np.asarray(rows)
            for start in range(0, len(vectors), _ADDED):
                part = vectors[start : start + _ADDED].astype(np.float32)
                able = np.isfinite(part).all(axis=1)
                if metric == "cosine":
                    able &= part.any(axis=1)
                left += len(part) - int(np.count_nonzero(able))
                if able.any():
                    index.add(numbers[start : start + _ADDED][able].astype(np.uint64), part[able])
        return cls(index, _About(length, dimension, metric, data, precision, left))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index into a file, and what it is of beside it: the same name with `.json` behind.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        place = Path(path)
        beside = _beside(place)
        beside.unlink(missing_ok=True)  # an index that is not whole has none
        self._index.save(str(place))
        beside.write_text(json.dumps(asdict(self._about)), encoding="utf-8")

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], length: int, dimension: int, metric: Metric, data: str
    ) -> Approximate:
        """Return the index that was saved, if it is of these vectors.

        Raises
        ------
        InputError
            If it is of others, or cannot be read.
        NotFoundError
            If there is none.
        SetupError
            If usearch is not installed.
        """
        place = Path(path)
        if not place.exists():
            raise NotFoundError(f"There is no index at {place}: build one, and save it there.")
        about = _read(place)
        wanted = _About(length, dimension, metric, data, about.precision, about.not_finite)
        if about != wanted:
            raise InputError(
                f"The index {place} is of other vectors: {about}, not {wanted}. Remove it, and build it again."
            )
        index = _index(dimension, metric, about.precision)
        try:
            index.load(str(place))
        except (RuntimeError, ValueError) as error:
            raise InputError(
                f"Cannot read the index {place}: {error}. Remove it, and build it again."
            ) from error
        return cls(index, about)

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        leave_out: NDArray[np.int64] | None = None,
        fetch: Fetch | None = None,
    ) -> Neighbours:
        """Return what the index finds near each query.

        Parameters
        ----------
        queries
            Shape (queries, D).
        leave_out
            A row that each query is not to find; shape (queries,).
        fetch
            Gives the true vectors, of which scores are calculated as `searching.nearest` does, and the order; without, they
            are as near as the index's precision.

        Raises
        ------
        InputError
            As `searching.nearest` does.
        """
        if k < 1:
            raise InputError(f"The {k} nearest were asked for: k is 1 or more.")
        asked = Queries(queries, self.metric)
        if asked.dimension != self._about.dimension:
            raise InputError(
                f"Queries of {asked.dimension} values cannot be searched for among vectors of {self._about.dimension}."
            )
        found = self._found(asked, min(k + (leave_out is not None), len(self)))
        if fetch is not None:
            found = _scored(asked, found, fetch)
        if leave_out is not None:
            found = [
                (rows[rows != left], scores[rows != left])
                for (rows, scores), left in zip(found, leave_out, strict=True)
            ]
        count = min([k, len(self), *(len(rows) for rows, _ in found)])
        rows, scores = np.empty((len(found), count), np.int64), np.empty((len(found), count))
        for number, (some, theirs) in enumerate(found):
            rows[number], scores[number] = some[:count], theirs[:count]
        left = self._about.not_finite
        return Neighbours(rows, shown(scores, self.metric), len(self) + left, left)

    def recall(
        self, queries: NDArray[np.float32], exact: Neighbours, *, leave_out: NDArray[np.int64] | None = None
    ) -> float:
        """Return how much of what an exact search found the index finds: 1.0 is all.

        Parameters
        ----------
        queries
            Those of the exact search, and `leave_out` too.

        Raises
        ------
        InputError
            If the exact search found nothing.
        """
        if not exact.rows.size:
            raise InputError(
                "The exact search found nothing, of which an index could find a part: take more queries."
            )
        found = self.search(queries, exact.rows.shape[1], leave_out=leave_out)
        both = sum(len(np.intersect1d(*pair)) for pair in zip(found.rows, exact.rows, strict=True))
        return both / exact.rows.size

    def _found(self, asked: Queries, count: int) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Return rows and scores (see `scoring`) of each query, the best first."""
        if not count or not len(asked):
            return [(np.empty(0, np.int64), np.empty(0))] * len(asked)
        matches = self._index.search(asked.exact.astype(np.float32), count)
        keys, distances = np.atleast_2d(matches.keys), np.atleast_2d(matches.distances).astype(np.float64)
        counts = getattr(matches, "counts", [keys.shape[1]])  # those of a single query are cut already
        scores = -distances if self.metric == "euclidean" else 1 - distances
        return [
            (keys[number, :there].astype(np.int64), scores[number, :there])
            for number, there in enumerate(counts)
        ]


def _scored(
    asked: Queries, found: list[tuple[NDArray[np.int64], NDArray[np.float64]]], fetch: Fetch
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return what was found in the order of the true scores."""
    rows = np.unique(np.concatenate([np.empty(0, np.int64), *(some for some, _ in found)]))
    if not len(rows):
        return found
    vectors = fetch(rows)
    scored = []
    for query, (some, _) in enumerate(found):
        scores = asked.exactly(vectors[np.searchsorted(rows, some)], query)
        order = np.lexsort((some, -scores))
        scored.append((some[order], scores[order]))
    return scored


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _read(path: Path) -> _About:
    """Return what an index is of."""
    beside = _beside(path)
    try:
        return _About(**json.loads(beside.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{path} cannot be used as an index: {beside.name}, which says of what it is, cannot be read ({error}). Remove it, and"
            " build it again."
        ) from error


def _index(dimension: int, metric: Metric, precision: Precision) -> Any:
    with extra("usearch", "approximate search, unlike the exact one, needs usearch"):
        from usearch.index import Index  # noqa: PLC0415
    return Index(ndim=dimension, metric=_KINDS[metric], dtype=precision)
