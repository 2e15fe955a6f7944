"""The nearest of many vectors: blocks of vectors and queries come in; the rows of the nearest go out, exactly, in one pass.

Every block is looked at in chunks, by as many threads as there are processors; a chunk's vectors are read from memory once,
whatever the number of queries. What is kept is the best so far, so memory is bounded by threads and chunks. `neighbours`
calls this with blocks of `places`. Pure.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.clients.embeddings.scoring import Metric, Queries, longest, shown
from tilewright.errors import InputError
from tilewright.extras import extra

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    Chunk = tuple[int | NDArray[np.int64], NDArray[np.floating]]
    """Rows, as a block has them, and their vectors."""

__all__ = ["Metric", "Neighbours", "nearest"]

_CHUNK_BYTES = 64 << 20
"""Of vectors that a thread looks at in one go, at most, …"""
_LEAST_CHUNK_BYTES = 4 << 20
"""… and at least, but for the last and where a block has fewer for each thread: so many that what Python does in between hardly counts."""
_QUERIES = 64
"""That share a pass over a chunk; what is calculated of each vector with each query takes 8 bytes, a few times."""
_FIRST = 16
"""Candidates that are scored exactly at once, at first; then twice as many each time."""
_MOST_THREADS = 8
"""More do not read memory faster."""
_NOT_FINITE = -1.0
"""In `norms`: the vector has a value that is not finite."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest rows of each query, the best first."""

    rows: NDArray[np.int64]
    """Shape (queries, k), or less than k if there are less."""
    scores: NDArray[np.float32]
    """Of the same shape: the dot product, the cosine of the angle, or the Euclidean distance."""
    searched: int
    """Vectors that were looked at, …"""
    not_finite: int
    """… and those of them that cannot be neighbours: a value is not finite, or (with the cosine) they have no length."""


def nearest(
    blocks: Iterable[tuple[int | NDArray[np.int64], NDArray[np.floating]]],
    queries: NDArray[np.float32],
    k: int,
    metric: Metric,
    *,
    leave_out: NDArray[np.int64] | None = None,
    norms: NDArray[np.float32] | None = None,
    threads: int | None = None,
) -> Neighbours:
    """Return the k nearest of all vectors to each query.

    The result is what a calculation in float64 of every vector gives: these rows in this order, of equal scores the smaller
    row first, and the scores rounded to float32. The products of float32 only rule out: a vector is passed over if its
    product is below the k-th best so far by more than float32 can be wrong, in the worst case, for vectors of these
    lengths. All others are scored again in float64 (of 400,000 vectors, some hundred; if all are nearly equal, all, and
    that takes some five times as long).

    Parameters
    ----------
    blocks
        Rows and vectors: the number of the first row, of rows that follow each other, or that of each, shape (vectors,);
        vectors of float32 or float16 in C order, shape (vectors, D), also mapped from a file. Each row comes once. A block
        is done with when the next one is asked for.
    queries
        Shape (queries, D).
    leave_out
        A row that each query is not to find, as a row that looks for others like it: shape (queries,).
    norms
        What is known of the vectors, by row: NaN at first, shape (rows of all there are,). What is not known is
        calculated and written here, so that the next search, with whatever metric, saves a third of its time.
    threads
        How many; by default one for each processor that this process may use, up to 8.

    Raises
    ------
    InputError
        If k is below 1, or queries are not finite, of no length (with the cosine), or of another dimension than vectors.
    """
    if k < 1:
        raise InputError(f"The {k} nearest were asked for: k is 1 or more.")
    queries = np.asarray(queries)
    if leave_out is not None and np.shape(leave_out) != queries.shape[:1]:
        raise InputError(
            f"leave_out is a row for each query, shape {queries.shape[:1]}, and not {np.shape(leave_out)}."
        )
    search = _Search(queries, metric, k + (leave_out is not None), norms)
    threads = threads or _processors()
    # Else each call would wake threads of BLAS's own, and wait for them: five to ten times as long if anybody else is at work.
    with _blas().limit(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        for rows, vectors in blocks:
            search.check(vectors)
            first = int(rows) if np.ndim(rows) == 0 else np.asarray(rows, np.int64)
            plain = np.asarray(vectors)  # each slice of a numpy.memmap would cost ten of an array
            _share(search, _chunks(first, plain, threads), pool, threads)
    return search.found(k, leave_out)


def _processors() -> int:
    """Return how many threads are of use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(_MOST_THREADS, usable)


@cache
def _blas() -> Any:
    """Return what knows the libraries that numpy calculates with, and how many threads each uses."""
    with extra("embeddings", "searching needs threadpoolctl"):
        from threadpoolctl import ThreadpoolController  # noqa: PLC0415
    return ThreadpoolController()


def _chunks(rows: int | NDArray[np.int64], vectors: NDArray[np.floating], threads: int) -> list[Chunk]:
    """Return a block in pieces, one for each thread at least."""
    if isinstance(rows, np.ndarray) and len(rows) != len(vectors):
        raise InputError(f"A block has {len(rows)} rows and {len(vectors)} vectors.")
    size, count = vectors.shape[1] * vectors.itemsize, len(vectors)
    least = min(_LEAST_CHUNK_BYTES // size, -(-count // threads))
    chunks: list[Chunk] = []
    start = 0
    while start < count:
        # Less and less, so that no thread waits long for another one at the end.
        step = max(1, min(_CHUNK_BYTES // size, max(least, -(-(count - start) // (2 * threads)))))
        here = rows + start if isinstance(rows, int) else rows[start : start + step]
        chunks.append((here, vectors[start : start + step]))
        start += step
    return chunks


def _share(search: _Search, chunks: Sequence[Chunk], pool: Executor, threads: int) -> None:
    """Look at chunks, each thread at the next one when it is done with one, and return when all are done with."""
    waiting, taking = iter(chunks), threading.Lock()

    def work() -> None:
        while True:
            with taking:
                chunk = next(waiting, None)
            if chunk is None:
                return
            search.look(*chunk)

    jobs = [pool.submit(work) for _ in range(min(threads, len(chunks)) - 1)]
    work()
    for job in jobs:
        job.result()


class _Search:
    """A search that is going on, which several threads take part in."""

    def __init__(
        self, queries: NDArray[np.float32], metric: Metric, keep: int, norms: NDArray[np.float32] | None
    ) -> None:
        starts = range(0, max(1, len(queries)), _QUERIES)
        self._groups = [Queries(queries[start : start + _QUERIES], metric) for start in starts]
        self._best = [[_Best(keep) for _ in range(len(group))] for group in self._groups]
        self._metric, self._norms = metric, norms
        self._counting = threading.Lock()
        self._searched = self._left = 0

    def check(self, vectors: NDArray[np.floating]) -> None:
        """Raise InputError for vectors that the queries cannot be compared with."""
        dimension = self._groups[0].dimension
        if vectors.dtype not in {np.dtype(np.float32), np.dtype(np.float16)} or vectors.shape[1:] != (
            dimension,
        ):
            raise InputError(
                f"Queries of {dimension} values are compared with float32 or float16 vectors of as many values, and these are"
                f" {vectors.dtype} of shape {vectors.shape}: were they made by the same model?"
            )

    def look(self, rows: int | NDArray[np.int64], vectors: NDArray[np.floating]) -> None:
        """Look at a chunk."""
        first, *others = self._groups
        squares, products = self._measured(first, rows, vectors)
        able = squares != _NOT_FINITE
        if self._metric == "cosine":
            able[squares == 0] = vectors[squares == 0].any(axis=1)  # else too short for float32 to tell
        with self._counting:
            self._searched += len(vectors)
            self._left += len(vectors) - int(np.count_nonzero(able))
        self._choose(0, products, squares, able, rows, vectors)
        for number, group in enumerate(others, 1):
            self._choose(number, group.products(vectors), squares, able, rows, vectors)

    def _measured(
        self, queries: Queries, rows: int | NDArray[np.int64], vectors: NDArray[np.floating]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the squared lengths of vectors, `_NOT_FINITE` where that is so, and the products with the first queries."""
        place = slice(rows, rows + len(vectors)) if isinstance(rows, int) else rows
        if self._norms is not None:
            squares = self._norms[place]
            if len(squares) != len(vectors):
                raise InputError(f"norms is for {len(self._norms)} rows, and there are more of them.")
            if not np.isnan(squares).any():
                return squares, queries.products(vectors)
        squares = np.empty(len(vectors), np.float32)
        products = queries.products(vectors, squares)
        doubtful = np.flatnonzero(~(squares < longest(vectors.dtype)))
        squares[doubtful[~np.isfinite(vectors[doubtful]).all(axis=1)]] = _NOT_FINITE
        if self._norms is not None:
            self._norms[place] = squares
        return squares, products

    def _choose(
        self,
        number: int,
        products: NDArray[np.float32],
        squares: NDArray[np.float32],
        able: NDArray[np.bool_],
        rows: int | NDArray[np.int64],
        vectors: NDArray[np.floating],
    ) -> None:
        """Score those of a chunk exactly that may be among the best of a group of queries."""
        group, best = self._groups[number], self._best[number]
        odd = group.odd(squares, vectors.dtype)
        hits = group.candidates(products, squares, np.array([one.worst for one in best]))
        if odd.any():
            hits[odd] = True
        if not able.all():
            hits[~able] = False
        for query in np.flatnonzero(hits.any(axis=0)).tolist():
            one, waiting = best[query], np.flatnonzero(hits[:, query])
            bound = group.at_most(products[waiting, query], squares[waiting], query)
            bound[odd[waiting]] = np.inf
            order = np.argsort(-bound)
            waiting, bound, size = waiting[order], bound[order], max(_FIRST, one.keep)
            while len(waiting) and bound[0] >= one.worst:
                now, waiting, bound = waiting[:size], waiting[size:], bound[size:]
                size *= 2
                numbers = now + rows if isinstance(rows, int) else rows[now]
                one.take(numbers, group.exactly(vectors[now], query))

    def found(self, k: int, leave_out: NDArray[np.int64] | None) -> Neighbours:
        """Return what was found, when all threads are done."""
        best = [one for group in self._best for one in group]
        kept = [np.ones(len(one.rows), bool) for one in best]
        if leave_out is not None:
            kept = [one.rows != left for one, left in zip(best, leave_out, strict=True)]
        count = min([k, self._searched - self._left, *(int(np.count_nonzero(one)) for one in kept)])
        rows, scores = np.empty((len(best), count), np.int64), np.empty((len(best), count))
        for number, (one, keep) in enumerate(zip(best, kept, strict=True)):
            rows[number], scores[number] = one.rows[keep][:count], one.scores[keep][:count]
        return Neighbours(rows, shown(scores, self._metric), self._searched, self._left)


class _Best:
    """The best rows so far of one query, in order.

    Parameters
    ----------
    keep
        How many.
    """

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.rows = np.empty(0, np.int64)
        self.scores = np.empty(0)
        self.worst = -np.inf
        """A score below it is none of the best."""
        self._taking = threading.Lock()

    def take(self, rows: NDArray[np.int64], scores: NDArray[np.float64]) -> None:
        """Take rows among the best, if they are."""
        with self._taking:
            rows, scores = np.concatenate([self.rows, rows]), np.concatenate([self.scores, scores])
            order = np.lexsort((rows, -scores))[: self.keep]
            self.rows, self.scores = rows[order], scores[order]
            if len(order) == self.keep:
                self.worst = float(self.scores[-1])
