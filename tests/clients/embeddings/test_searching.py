"""Exact neighbours: against a calculation in float64 of every vector, where float32 alone would be wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.clients.embeddings import searching
from tilewright.clients.embeddings.scoring import Queries, widened
from tilewright.clients.embeddings.searching import nearest
from tilewright.errors import InputError

METRICS = ["dot", "cosine", "euclidean"]


def every_score(vectors, query, metric):
    """Return the score of every vector, in float64."""
    vectors, query = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "euclidean":
        return np.sqrt(((vectors - query) ** 2).sum(axis=1))
    products = (vectors * query).sum(axis=1)
    if metric == "dot":
        return products
    lengths = np.sqrt((vectors**2).sum(axis=1)) * np.sqrt((query**2).sum())
    return np.divide(products, lengths, np.full(len(vectors), np.nan), where=lengths > 0)


def by_hand(rows, vectors, queries, k, metric, leave_out=None):
    """Return rows and scores of the nearest, as `nearest` promises them."""
    able = np.isfinite(vectors).all(axis=1)
    found = []
    for number, query in enumerate(queries):
        scores = np.full(len(vectors), np.nan)
        scores[able] = every_score(vectors[able], query, metric)
        kept = ~np.isnan(scores)
        if leave_out is not None:
            kept &= rows != leave_out[number]
        worse = scores[kept] if metric == "euclidean" else -scores[kept]
        order = np.lexsort((rows[kept], worse))[:k]
        found.append((rows[kept][order], scores[kept][order].astype(np.float32)))
    shortest = min((len(some) for some, _ in found), default=0)
    return [some[:shortest].tolist() for some, _ in found], [
        scores[:shortest].tolist() for _, scores in found
    ]


def check(found, expected):
    assert found.rows.tolist() == expected[0]
    assert found.scores.tolist() == expected[1]
    assert (found.rows.dtype, found.scores.dtype) == (np.int64, np.float32)


@pytest.fixture
def small_chunks(monkeypatch):
    """Several chunks, and so several threads, of a few vectors."""
    monkeypatch.setattr(searching, "_CHUNK_BYTES", 4096)


@st.composite
def searches(draw):
    dimension = draw(st.integers(1, 20))
    count = draw(st.integers(0, 60))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    dtype = draw(st.sampled_from([np.float32, np.float16]))
    # Small whole numbers: many equal scores, and products without rounding.
    vectors = rng.integers(-3, 4, (count, dimension)).astype(dtype)
    for row in draw(st.lists(st.integers(0, max(0, count - 1)), max_size=3 if count else 0)):
        vectors[row, rng.integers(dimension)] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    queries = rng.integers(-3, 4, (draw(st.integers(0, 4)), dimension)).astype(np.float32)
    queries[~queries.any(axis=1), 0] = 1
    rows = np.sort(rng.choice(1000, count, replace=False))
    cuts = sorted(draw(st.lists(st.integers(0, count), max_size=4)))
    leave_out = rng.choice(rows, len(queries)) if count and draw(st.booleans()) else None
    norms = np.full(1000, np.nan, np.float32) if draw(st.booleans()) else None
    return vectors, rows, queries, cuts, leave_out, norms


@settings(deadline=None)
@given(search=searches(), k=st.integers(1, 70), metric=st.sampled_from(METRICS))
def test_blocks_of_any_shape(search, k, metric):
    vectors, rows, queries, cuts, leave_out, norms = search
    blocks = list(zip(np.split(rows, cuts), np.split(vectors, cuts), strict=True))
    for _ in range(1 if norms is None else 2):  # the second time, lengths are known
        found = nearest(blocks, queries, k, metric, leave_out=leave_out, norms=norms)
        assert found.searched == len(vectors)
        lost = ~np.isfinite(vectors).all(axis=1) | ((metric == "cosine") & ~vectors.any(axis=1))
        assert found.not_finite == lost.sum()
        if len(queries):
            check(found, by_hand(rows, vectors, queries, k, metric, leave_out))
        else:
            assert found.rows.shape == (0, min(k, len(vectors) - lost.sum()))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("queries", [1, 3, 150])
def test_threads_and_chunks(metric, dtype, queries, small_chunks):
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((3000, 40)).astype(dtype)
    asked = rng.standard_normal((queries, 40), dtype=np.float32)
    found = nearest([(7, vectors[:1]), (8, vectors[1:])], asked, 12, metric, threads=5)
    check(found, by_hand(np.arange(7, 3007), vectors, asked, 12, metric))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("offset", [0, 1, 1000, 1e6])
def test_nearly_equal_vectors_in_the_order_of_float64(metric, offset, small_chunks):
    """Of a large common offset, float32 products leave nothing of the differences."""
    rng = np.random.default_rng(2)
    vectors = (offset + rng.standard_normal((2000, 64)) * 1e-3 * max(1, offset / 100)).astype(np.float32)
    asked = vectors[[5, 500]] + np.float32(1e-3)
    alone = vectors @ asked.T
    expected = by_hand(np.arange(2000), vectors, asked, 20, metric)
    if offset >= 1000 and metric == "euclidean":
        squares = (vectors**2).sum(axis=1)[:, None] - 2 * alone + (asked**2).sum(axis=1)
        assert np.argsort(squares, axis=0, kind="stable")[:20].T.tolist() != expected[0]
    check(nearest([(0, vectors)], asked, 20, metric), expected)


@pytest.mark.parametrize("metric", METRICS)
def test_copies_of_one_vector_in_the_order_of_their_rows(metric, small_chunks):
    one = np.random.default_rng(3).standard_normal(1280).astype(np.float32)
    vectors = np.repeat(one[None], 700, axis=0)
    found = nearest([(100, vectors[350:]), (np.arange(40, 390), vectors[:350])], one[None], 5, metric)
    assert found.rows.tolist() == [[40, 41, 42, 43, 44]]
    assert len(set(found.scores[0].tolist())) == 1


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale", [1e-44, 1e-30, 1e-22, 1e-19, 1e19, 1e30, 3e38])
def test_values_whose_products_float32_cannot_hold(metric, scale):
    rng = np.random.default_rng(4)
    vectors = (rng.uniform(-1, 1, (300, 16)) * scale).astype(np.float32)
    asked = np.concatenate([rng.uniform(-1, 1, (2, 16)), rng.uniform(-1, 1, (2, 16)) * scale, np.eye(1, 16)])
    asked = asked.astype(np.float32)
    with np.errstate(over="ignore"):
        expected = by_hand(np.arange(300), vectors, asked, 9, metric)
    found = nearest([(0, vectors)], asked, 9, metric)
    check(found, expected)
    assert found.not_finite == (~vectors.any(axis=1)).sum() * (metric == "cosine")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_value_that_is_not_finite_where_the_query_is_zero(metric, dtype, bad):
    vectors = np.ones((50, 8), dtype)
    vectors[::10, 3] = bad
    vectors[7] = np.finfo(dtype).max
    query = np.zeros((1, 8), np.float32)
    query[0, 0] = 1
    found = nearest([(0, vectors)], query, 50, metric, norms=np.full(50, np.nan, np.float32))
    assert (found.searched, found.not_finite) == (50, 5)
    assert sorted(found.rows[0].tolist()) == [row for row in range(50) if row % 10]


def test_a_query_of_zeros_is_compared_all_the_same():
    vectors = np.arange(12, dtype=np.float32).reshape(6, 2)
    assert nearest([(0, vectors)], np.zeros((1, 2)), 2, "euclidean").scores.tolist() == [
        [1, np.float32(np.hypot(2, 3))]
    ]
    assert nearest([(0, vectors)], np.zeros((1, 2)), 2, "dot").rows.tolist() == [[0, 1]]


def test_what_is_known_of_rows_is_used_and_told():
    vectors = np.array([[3, 4], [np.nan, 0], [1e30, 0], [6, 8]], np.float32)
    norms = np.full(10, np.nan, np.float32)
    first = nearest([(5, vectors)], np.ones((1, 2)), 9, "cosine", norms=norms)
    assert norms.tolist()[5:9] == [25, -1, np.inf, 100]
    assert np.isnan(norms[[0, 1, 2, 3, 4, 9]]).all()
    again = nearest([(np.array([5, 6, 7, 8]), vectors)], np.ones((1, 2)), 9, "cosine", norms=norms)
    assert first.rows.tolist() == again.rows.tolist() == [[5, 8, 7]]
    assert (again.searched, again.not_finite) == (4, 1)


def test_few_vectors_are_scored_again():
    """Else the exact scores would cost more than the search."""
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((20_000, 64), dtype=np.float32)
    scored = []

    class Counted(Queries):
        def exactly(self, vectors, query):
            scored.append(len(vectors))
            return super().exactly(vectors, query)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "Queries", Counted)
        patch.setattr(searching, "_CHUNK_BYTES", 64 * 4 * 500)
        nearest([(0, vectors)], vectors[:1], 10, "cosine", threads=1)
    assert 10 <= sum(scored) < 1000


@pytest.mark.parametrize("count", [2, 3, 100, 5_000])
def test_each_thread_has_something_of_a_block(count):
    chunks = searching._chunks(7, np.zeros((count, 300), np.float32), 2)
    assert len(chunks) >= 2
    assert [first for first, _ in chunks] == np.cumsum([7, *(len(some) for _, some in chunks[:-1])]).tolist()
    assert sum(len(some) for _, some in chunks) == count


def test_a_block_is_done_with_before_the_next_one(small_chunks):
    rng = np.random.default_rng(6)
    vectors = rng.standard_normal((5000, 32), dtype=np.float32)
    buffer = np.empty((1000, 32), np.float32)

    def reused():
        for first in range(0, 5000, 1000):
            buffer[:] = vectors[first : first + 1000]
            yield first, buffer
            buffer[:] = 0

    check(nearest(reused(), vectors[:3], 9, "dot"), by_hand(np.arange(5000), vectors, vectors[:3], 9, "dot"))


@pytest.mark.parametrize(
    ("queries", "k", "metric", "words"),
    [
        (np.ones((1, 3)), 0, "dot", "k is 1 or more"),
        (np.ones(3), 1, "dot", "shape"),
        (np.ones((1, 4)), 1, "dot", "same model"),
        (np.array([[1, 2, 3], [1, np.nan, 3]]), 1, "dot", "Query 1 of 2 has values that are not finite"),
        (np.zeros((1, 3)), 1, "cosine", "no length"),
        (np.full((1, 3), 1e39), 1, "dot", "not finite"),
        (np.ones((1, 3)), 1, "manhattan", "choose one of dot, cosine, euclidean"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_questions_that_have_no_answer(queries, k, metric, words):
    with pytest.raises(InputError, match=words):
        nearest([(0, np.ones((2, 3), np.float32))], queries, k, metric)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ((0, np.ones((2, 3))), "float64"),
        ((0, np.ones(3, np.float32)), "shape"),
        ((np.arange(3), np.ones((2, 3), np.float32)), "3 rows and 2 vectors"),
        ((9, np.ones((2, 3), np.float32)), "norms is for 10 rows"),
    ],
)
def test_blocks_that_are_none(block, words):
    with pytest.raises(InputError, match=words):
        nearest([block], np.ones((1, 3)), 1, "dot", norms=np.full(10, np.nan, np.float32))


def test_leave_out_is_for_each_query():
    with pytest.raises(InputError, match="leave_out"):
        nearest([], np.ones((2, 3)), 1, "dot", leave_out=np.array([1]))


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    dimension=st.integers(1, 300),
    scales=st.tuples(st.integers(-149, 62), st.integers(-149, 62)),
    offset=st.sampled_from([0, 1, 1000]),
    metric=st.sampled_from(METRICS),
    dtype=st.sampled_from([np.float32, np.float16]),
)
def test_no_score_is_above_its_bound(seed, dimension, scales, offset, metric, dtype):
    rng = np.random.default_rng(seed)
    drawn = offset + rng.uniform(-1, 1, (31, dimension))
    with np.errstate(over="ignore"):
        vectors = np.ldexp(drawn[:30], scales[0]).astype(np.float32).astype(dtype)
    asked = np.ldexp(drawn[30:], scales[1]).astype(np.float32)
    if not asked.any():
        return
    queries = Queries(asked, metric)
    squares = np.empty(30, np.float32)
    products = queries.products(vectors, squares)
    bounds = queries.at_most(products[:, 0], squares, 0)
    said = np.isfinite(vectors).all(axis=1) & ~queries.odd(squares, np.dtype(dtype))
    scores = queries.exactly(vectors[said], 0)
    assert (bounds[said] >= scores).all()
    if metric == "cosine":
        assert (bounds[said] <= scores + 1e-3).all()  # and it tells something
    for worst in (-np.inf, *bounds[said], *scores, *np.nextafter(scores, np.inf)):
        told = queries.candidates(products, squares, np.array([worst]))[:, 0]
        assert told[said][bounds[said] >= worst].all()


@pytest.mark.parametrize("metric", METRICS)
def test_few_vectors_are_candidates(metric):
    """Not many more than those whose bound is as good."""
    vectors = np.random.default_rng(3).standard_normal((20_000, 64)).astype(np.float32)
    queries, squares = Queries(vectors[:3], metric), np.empty(20_000, np.float32)
    products = queries.products(vectors, squares)
    for query in range(3):
        bounds = queries.at_most(products[:, query], squares, query)
        worst = np.full(3, np.inf)
        worst[query] = np.sort(bounds)[-100]
        told = queries.candidates(products, squares, worst)
        assert 100 <= np.count_nonzero(told[:, query]) < 120


def test_every_float16_is_widened():
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(64, 1024)
    wide = widened(halves, np.empty(halves.shape, np.float32))
    finite = np.isfinite(halves)
    assert np.array_equal(wide[finite], halves[finite].astype(np.float32))
    assert (np.abs(wide[~finite]) >= 65_536).all()
