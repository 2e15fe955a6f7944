"""How near vectors are to queries: float32 products come out with a bound of what they may be at most, and exact scores.

`searching` asks this for every stretch of vectors: first `Queries.products`, as quickly as the memory gives the vectors; then
`Queries.candidates`, which passes over nearly all of them by one comparison; `Queries.at_most`, which tells the few that can be among the
nearest; and for these `Queries.exactly`. Pure.

Within, more is always better: the product, the cosine, and minus the square of the Euclidean distance (`shown` turns it back).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from tilewright.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Metric = Literal["dot", "cosine", "euclidean"]

_TILE_BYTES = 320 << 10
"""Of float32 that are used twice or more, and still in the processor's own cache the second time."""
_DIMENSIONS = 1 << 20
"""With more, the bounds would say nothing."""
_SLACK = 32
"""Roundings beyond those of a sum of D products that a bound allows for: of its own arithmetic, of scaling, of `exactly`."""
_UNIT = 2.0**-24
"""Half the distance from 1 to the next float32."""
_TINY = 2.0**-126
"""The smallest number that a float32 has with all its digits: what is lost below it, at most, in each product."""
_MARGIN = 2.0**-20
"""By how much of itself a threshold is lowered: it is worked out in a few operations on float32, each of which may be off by 2**-24."""
_ROUNDED = 2.0**-40
"""More than what a few operations on float64 are off by."""
_SHORT = 2.0**-80
"""A squared length in float32 below which too much of it may be lost to tell the direction."""
_INFINITE_HALF = 65504.0**2
"""An infinite or NaN float16 is 65,536 or more where it is `widened`, a finite one at most 65,504; and a sum of squares that
is rounded at each step is never less than the largest of them."""
_EXPONENTS = 2.0**112
"""What a float16 moved into the place of a float32 lacks: the exponents are counted from 15 there, from 127 here."""
_EXACTLY = 256
"""Vectors at once of which float64 are made."""


class Queries:
    """What is asked: vectors, and how the distance to them is measured.

    Parameters
    ----------
    vectors
        Shape (queries, D), float32.
    metric
        See `Metric`.

    Raises
    ------
    InputError
        If they are not finite, of no length (with the cosine), or not of this shape.
    """

    def __init__(self, vectors: NDArray[np.float32], metric: Metric) -> None:
        self.exact = _checked(vectors, metric)
        """Shape (queries, D), float64."""
        self.metric = metric
        self._lengths = np.sqrt(np.sum(self.exact**2, axis=1))
        # By a power of two, which rounds nothing, so that no product overflows that need not.
        self._scales = np.exp2(np.frexp(np.abs(self.exact).max(axis=1))[1].astype(np.float64))
        self._columns = np.ascontiguousarray((self.exact / self._scales[:, None]).T, np.float32)
        roundings = (self.dimension + _SLACK) * _UNIT
        self._error = roundings / (1 - roundings)

    def __len__(self) -> int:
        return len(self.exact)

    @property
    def dimension(self) -> int:
        """How many values a vector has."""
        return int(self.exact.shape[1])

    def products(
        self, vectors: NDArray[np.floating], squares: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Return the products of vectors with the queries, scaled: shape (vectors, queries).

        Parameters
        ----------
        vectors
            Shape (vectors, D), float32 or float16.
        squares
            Takes the squared length of each, as far as float32 goes: shape (vectors,). A value that is not finite makes it
            infinite, NaN, or `odd`.
        """
        products = np.empty((len(vectors), len(self)), np.float32)
        is_plain = vectors.dtype == np.float32 and squares is None
        rows = max(1, len(vectors) if is_plain else _TILE_BYTES // (4 * self.dimension))
        wide = np.empty((rows, self.dimension), np.float32) if vectors.dtype == np.float16 else None
        # A single column is a vector to BLAS, whose product with a matrix is quicker than that of two matrices.
        columns, out = (self._columns[:, 0], products[:, 0]) if len(self) == 1 else (self._columns, products)
        with np.errstate(all="ignore"):  # what overflows or is not finite is found by its length
            for start in range(0, len(vectors), rows):
                tile = vectors[start : start + rows]
                if wide is not None:
                    tile = widened(tile, wide[: len(tile)])
                np.dot(tile, columns, out=out[start : start + rows])
                if squares is not None:
                    np.vecdot(tile, tile, out=squares[start : start + rows])
        return products

    def odd(self, squares: NDArray[np.float32], dtype: np.dtype[np.floating]) -> NDArray[np.bool_]:
        """Tell the vectors of which `at_most` says nothing, by their squared lengths: shape (vectors,)."""
        odd = ~(squares < longest(dtype))
        if self.metric == "cosine":
            odd |= squares < _SHORT
        return np.asarray(odd)

    def candidates(
        self, products: NDArray[np.float32], squares: NDArray[np.float32], worst: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Tell the vectors whose score may reach what is worst among the best: shape (vectors, queries).

        All for which `at_most` is not below it, and hardly others: by one comparison each, in float32, with a threshold that is lowered by
        more than its own rounding.

        Parameters
        ----------
        worst
            Shape (queries,).
        """
        lost = self.dimension * _TINY
        length = np.sqrt(_largest(squares) + lost)
        with np.errstate(all="ignore"):  # where it says nothing, all are told
            if self.metric == "dot":
                least = _without(worst, 2 * self._error * length * self._lengths) / self._scales
                return np.asarray(~(products < _lowered(least)))
            if self.metric == "cosine":
                slopes = _lowered(_without(worst, 3 * self._error) * self._lengths / self._scales)
                lengths = np.sqrt(np.maximum(squares, 0) + np.float32(lost))
                return np.asarray(~(products < lengths[:, None] * slopes))
            error = 2 * self._error * (length + self._lengths) ** 2 + 3 * lost
            least = _without(worst + (1 - _ROUNDED) * self._lengths**2, error) / (2 * self._scales)
            slopes = (0.5 / self._scales).astype(np.float32)
            margin = _MARGIN * (np.abs(least) + length**2 * slopes)
            return np.asarray(~(products < squares[:, None] * slopes + _lowered(least - margin)))

    def at_most(
        self, products: NDArray[np.float32], squares: NDArray[np.float32], query: int
    ) -> NDArray[np.float64]:
        """Return what the score of each vector with one of the queries may be at most: shape (vectors,).

        A sum of D products in float32, in whatever order, is off by at most Du/(1 - Du) times the sum of their
        magnitudes (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1; u = 2**-24), which is
        at most the product of the lengths (Cauchy and Schwarz).

        Parameters
        ----------
        products
            Those with this query, shape (vectors,).
        """
        with np.errstate(all="ignore"):  # where it says nothing
            return self._at_most(products * self._scales[query], squares.astype(np.float64), query)

    def _at_most(
        self, products: NDArray[np.float64], squares: NDArray[np.float64], query: int
    ) -> NDArray[np.float64]:
        lost, own = self.dimension * _TINY, self._lengths[query]
        lengths = np.sqrt(np.maximum(squares, 0) + lost)
        if self.metric == "dot":
            return np.asarray(products + lengths * (2 * self._error * own))
        if self.metric == "cosine":
            return np.asarray(products / (lengths * own) + 3 * self._error)
        error = 2 * self._error * (lengths + own) ** 2 + 3 * lost
        return np.asarray(2 * products - squares - own**2 + error)

    def exactly(self, vectors: NDArray[np.floating], query: int) -> NDArray[np.float64]:
        """Return the scores of vectors with one of the queries, calculated in float64: shape (vectors,).

        Equal vectors have equal scores: the sum of a row does not depend on the rows around it, as it may in BLAS. NaN for a
        cosine with a vector of no length.
        """
        scores = np.empty(len(vectors))
        for start in range(0, len(vectors), _EXACTLY):
            scores[start : start + _EXACTLY] = self._exactly(
                vectors[start : start + _EXACTLY].astype(np.float64), query
            )
        return scores

    def _exactly(self, vectors: NDArray[np.float64], query: int) -> NDArray[np.float64]:
        asked = self.exact[query]
        if self.metric == "euclidean":
            return np.asarray(-np.sum((vectors - asked) ** 2, axis=1))
        products = np.sum(vectors * asked, axis=1)
        if self.metric == "dot":
            return np.asarray(products)
        lengths = np.sqrt(np.sum(vectors**2, axis=1)) * self._lengths[query]
        return np.asarray(np.divide(products, lengths, np.full_like(products, np.nan), where=lengths > 0))


def _largest(squares: NDArray[np.float32]) -> float:
    """Return the largest that is finite, and 0 if none is."""
    largest = float(np.fmax.reduce(squares, initial=0))
    return largest if largest < np.inf else float(squares[squares < np.inf].max(initial=0))


def _without(scores: NDArray[np.float64], error: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Return scores less an error, and a little less, so that no rounding makes it more."""
    return np.asarray(scores - _ROUNDED * np.abs(scores) - (1 + _ROUNDED) * error)


def _lowered(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return thresholds in float32, lower than they were by a margin; minus infinity where they say nothing."""
    with np.errstate(over="ignore"):
        lower = (thresholds - _MARGIN * np.abs(thresholds) - _TINY).astype(np.float32)
    lower[np.isnan(lower)] = -np.inf
    return np.minimum(lower, np.finfo(np.float32).max)


def longest(dtype: np.dtype[np.floating]) -> float:
    """Return the squared length in float32 of vectors from which on they may be infinite, NaN, or have overflowed."""
    return _INFINITE_HALF if dtype == np.float16 else np.inf


def shown(scores: NDArray[np.float64], metric: Metric) -> NDArray[np.float32]:
    """Return scores as they are handed out; what is beyond float32 is infinite."""
    with np.errstate(over="ignore"):
        return (np.sqrt(-scores) if metric == "euclidean" else scores).astype(np.float32)


def widened(halves: NDArray[np.floating], out: NDArray[np.float32]) -> NDArray[np.float32]:
    """Write float16 as float32, three times as fast as numpy converts them; but what is not finite becomes 65,536 or more.

    >>> widened(np.array([[1, -0.1, 6e-8, -65504, np.inf]], np.float16), np.empty((1, 5), np.float32)).tolist()
    [[1.0, -0.0999755859375, 5.960464477539063e-08, -65504.0, 65536.0]]
    """
    #  float16              s eeeee mmmmmmmmmm                   as int16
    #  ssssssssssssssss     s eeeee mmmmmmmmmm                   as int32: the sign fills what is in front
    #  s sss eeeee mmmmmmmmmm 0000000000000                      moved
    #  s 000 eeeee mmmmmmmmmm 0000000000000                      a float32, 2**112 times too small
    bits = out.view(np.int32)
    np.copyto(bits, halves.view(np.int16))
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, np.int32(-0x7000_2000), out=bits)
    return np.multiply(out, np.float32(_EXPONENTS), out=out)


def _checked(vectors: NDArray[np.float32], metric: Metric) -> NDArray[np.float64]:
    """Return queries in float64, or say what is wrong with them."""
    if metric not in get_args(Metric):
        raise InputError(f"There is no metric {metric!r}: choose one of {', '.join(get_args(Metric))}.")
    if np.ndim(vectors) != 2 or not 0 < np.shape(vectors)[1] <= _DIMENSIONS:  # noqa: PLR2004 - queries, values
        raise InputError(
            f"Queries have the shape (queries, D), D up to {_DIMENSIONS:,}, and these {np.shape(vectors)}: give a single vector"
            " as vector[None, :]."
        )
    exact = np.asarray(vectors, np.float32).astype(np.float64)
    _refuse(np.isfinite(exact).all(axis=1), "has values that are not finite")
    if metric == "cosine":
        _refuse(exact.any(axis=1), "has no length, so that nothing has a cosine with it")
    return exact


def _refuse(right: NDArray[np.bool_] | np.bool_, what: str) -> None:
    wrong = ~np.asarray(right, bool)
    if wrong.any():
        raise InputError(
            f"Query {int(wrong.argmax())} of {len(wrong)} {what}: leave it out ({int(wrong.sum())} such)."
        )
