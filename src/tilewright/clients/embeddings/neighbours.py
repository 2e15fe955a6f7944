"""Neighbours with what is known of them: a query of any kind comes in, a DataFrame goes out. `Dataset.nearest` calls it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tilewright.clients.embeddings import searching
from tilewright.clients.embeddings.vectors import Vectors
from tilewright.errors import InputError

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from tilewright.clients.embeddings.approximate import Approximate
    from tilewright.clients.embeddings.dataset import Dataset
    from tilewright.clients.embeddings.searching import Metric, Neighbours

_SAMPLE, _SAMPLE_K = 100, 10
"""Rows by which the recall of an index is measured, and how many neighbours of each."""
_SAMPLE_SEED = 0


@dataclass(frozen=True, slots=True)
class _Query:
    """What is searched for."""

    names: NDArray[np.int64]
    """What the result calls each."""
    vectors: NDArray[np.float32]
    """Shape (queries, dimension)."""
    own: NDArray[np.int64] | None
    """The row of each, if they are rows of the dataset that is searched."""


def nearest(
    dataset: Dataset, query: Any, k: int, where: str | None, metric: Metric, index: Approximate | None
) -> pd.DataFrame:
    """Return neighbours: see `Dataset.nearest`."""
    asked = _asked(dataset, query)
    if index is None:
        blocks = dataset.places.blocks(dataset.numbers(where))
        found = searching.nearest(blocks, asked.vectors, k, metric, leave_out=asked.own, norms=dataset.norms)
        return _table(dataset, asked, found, metric, 1.0)
    found = _by_index(dataset, asked, k, where, metric, index)
    return _table(dataset, asked, found, metric, dataset.recall(index))


def index(dataset: Dataset, metric: Metric, path: str | os.PathLike[str] | None) -> Approximate:
    """Return an index of all vectors: see `Dataset.index`."""
    from tilewright.clients.embeddings.approximate import Approximate  # noqa: PLC0415 - an extra

    place = None if path is None else Path(path)
    if place is not None and place.exists():
        return Approximate.load(place, len(dataset), dataset.dimension, metric, dataset.run.uid)
    made = Approximate.build(
        dataset.places.blocks(), len(dataset), dataset.dimension, metric, dataset.run.uid
    )
    if place is not None:
        made.save(place)
    return made


def recall(dataset: Dataset, index: Approximate) -> float:
    """Return how many of the ten nearest of a hundred rows, drawn at random, an index finds: 1.0 is all."""
    count = min(_SAMPLE, len(dataset))
    rows = np.sort(np.random.default_rng(_SAMPLE_SEED).choice(len(dataset), count, replace=False))
    queries = np.asarray(dataset.vectors(rows=rows.tolist()), np.float32)
    exact = searching.nearest(
        dataset.places.blocks(), queries, _SAMPLE_K, index.metric, leave_out=rows, norms=dataset.norms
    )
    return index.recall(queries, exact, leave_out=rows)


def _by_index(
    dataset: Dataset, asked: _Query, k: int, where: str | None, metric: Metric, index: Approximate
) -> Neighbours:
    if where is not None:
        raise InputError(
            "an index is searched as a whole: leave out where=, or the index, which is exact then"
        )
    if index.metric != metric:
        raise InputError(f"the index is for metric={index.metric!r}, and cannot be searched by {metric!r}")

    def fetch(rows: NDArray[np.int64]) -> NDArray[Any]:
        return np.asarray(dataset.vectors(rows=rows.tolist()))

    return index.search(asked.vectors, k, leave_out=asked.own, fetch=fetch)


def _asked(dataset: Dataset, query: Any) -> _Query:
    """Return what is searched for.

    Raises
    ------
    InputError
        If it is nothing that can be compared with this dataset.
    """
    if isinstance(query, Vectors):
        _check_model(dataset, query)
        rows = query.rows
        own = rows if query.uid == dataset.run.uid else None
        return _Query(rows, np.asarray(query, np.float32), own)
    given = np.asarray(query)
    if given.dtype.kind in "iu" and given.ndim <= 1:
        own = np.atleast_1d(given).astype(np.int64)
        there = dataset.vectors(rows=own.tolist())
        return _Query(own, np.asarray(there, np.float32)[np.searchsorted(there.rows, own)], own)
    if given.dtype.kind != "f" or given.ndim not in (1, 2):
        raise InputError(
            f"nearest() cannot search for {given.dtype} of shape {given.shape}: give a row's number, a vector of floats, several of either, "
            "or what vectors() returns"
        )
    vectors = np.atleast_2d(given).astype(np.float32)
    return _Query(np.arange(len(vectors)), vectors, None)


def _check_model(dataset: Dataset, query: Vectors) -> None:
    """Refuse vectors that another model made, or that may be of another one."""
    if query.uid == dataset.run.uid:
        return
    if query.model is None or dataset.model is None:
        raise InputError(
            "nobody said which model made these vectors, and those of different models are not to be compared: record the datasets with "
            "--model, or open them with run.embeddings(model=…)"
        )
    if query.model != dataset.model:
        raise InputError(
            f"vectors of {query.model!r} cannot be compared with those of {dataset.model!r}: each model has its own space"
        )


def _table(dataset: Dataset, asked: _Query, found: Neighbours, metric: Metric, recall: float) -> pd.DataFrame:
    """Return neighbours with what is known of their rows."""
    queries, k = found.rows.shape
    rows = found.rows.ravel()
    result = pd.DataFrame(
        {
            "query": np.repeat(asked.names, k),
            "rank": np.tile(np.arange(1, k + 1), queries),
            "score": found.scores.ravel(),
            "row": rows,
        }
    )
    about = dataset.rows(rows).reset_index(drop=True)
    result = pd.concat([result, about], axis=1)
    result.attrs = {
        "metric": metric,
        "searched": found.searched,
        "not_finite": found.not_finite,
        "recall": recall,
    }
    return result
