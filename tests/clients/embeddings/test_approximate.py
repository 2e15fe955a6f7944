"""An index of usearch: mostly what an exact search finds, and never of other data."""

import json
import sys

import numpy as np
import pytest

from tilewright.clients.embeddings.approximate import Approximate
from tilewright.clients.embeddings.searching import nearest
from tilewright.errors import InputError, NotFoundError, SetupError

METRICS = ["dot", "cosine", "euclidean"]
COUNT, DIMENSION = 2000, 24
DATA = "run 1, 2000 rows"


@pytest.fixture(scope="module")
def vectors():
    """Two thousand, in a space of four dimensions and a bit, as embeddings are."""
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((COUNT, 4)) @ rng.standard_normal((4, DIMENSION))
    return (vectors + rng.standard_normal((COUNT, DIMENSION)) / 10).astype(np.float32)


def built(vectors, metric, first=0, **kwargs):
    blocks = [(first, vectors[:700]), (first + np.arange(700, len(vectors)), vectors[700:])]
    return Approximate.build(blocks, len(vectors), DIMENSION, metric, DATA, **kwargs)


@pytest.mark.parametrize("metric", METRICS)
def test_finds_nearly_all_that_an_exact_search_finds(vectors, metric):
    index = built(vectors, metric, 50)
    own = np.arange(0, COUNT, 100)
    exact = nearest([(50, vectors)], vectors[own], 10, metric, leave_out=own + 50)
    assert index.recall(vectors[own], exact, leave_out=own + 50) > 0.9
    asked = []

    def fetch(rows):
        asked.append(rows)
        return vectors[rows - 50]

    found = index.search(vectors[own], 10, leave_out=own + 50, fetch=fetch)
    assert (np.diff(asked[0]) > 0).all()
    assert (found.rows.shape, found.searched, found.not_finite) == ((20, 10), COUNT, 0)
    for rows, scores, true_rows, true_scores in zip(
        *(one for pair in (found, exact) for one in (pair.rows, pair.scores)), strict=True
    ):
        known = dict(zip(true_rows.tolist(), true_scores.tolist(), strict=True))
        assert [
            known.get(row, score) for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
        ] == scores.tolist()
    near = index.search(vectors[own], 10, leave_out=own + 50)
    assert np.allclose(near.scores, found.scores, rtol=1e-3, atol=1e-3)


def test_recall_is_what_of_the_exact_neighbours_is_found(vectors):
    few = vectors[:20]  # each has all others for neighbours: however threads build the index, it finds all
    index = built(few, "cosine")
    exact = nearest([(0, few)], few[:4], 10, "cosine")
    worse = exact.rows.copy()
    worse[:, 5:] = COUNT + 1
    assert index.recall(vectors[:4], exact) == 1.0
    assert index.recall(vectors[:4], type(exact)(worse, exact.scores, COUNT, 0)) == 0.5


def test_vectors_that_are_not_finite_are_left_out(vectors):
    damaged = vectors.copy()
    damaged[[3, 800]], damaged[900] = np.nan, 0
    for metric, lost in (("dot", 2), ("cosine", 3)):
        index = built(damaged, metric)
        found = index.search(vectors[:1], COUNT)
        assert (len(index), found.searched, found.not_finite) == (COUNT - lost, COUNT, lost)
        assert not {3, 800} & set(found.rows[0].tolist())


@pytest.mark.parametrize("precision", ["f16", "bf16", "i8"])
def test_smaller_ones_are_nearly_as_good(vectors, precision, tmp_path):
    index = built(vectors, "cosine", precision=precision)
    exact = nearest([(0, vectors)], vectors[::50], 10, "cosine")
    assert index.recall(vectors[::50], exact) > 0.8
    index.save(tmp_path / "index")
    again = Approximate.load(tmp_path / "index", COUNT, DIMENSION, "cosine", DATA)
    assert again.search(vectors[:1], 5).rows.tolist() == index.search(vectors[:1], 5).rows.tolist()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_fewer_vectors_than_neighbours(vectors, count):
    index = built(vectors[:count], "dot")
    assert index.search(vectors[:2], 5, fetch=lambda rows: vectors[rows]).rows.shape == (2, count)
    assert index.search(vectors[:1], 5).rows.shape == (1, count)
    assert index.search(vectors[:0], 5).rows.shape == (0, count)


def test_saved_and_loaded(vectors, tmp_path):
    index = built(vectors, "euclidean")
    index.save(tmp_path / "index")
    index.save(tmp_path / "index")
    again = Approximate.load(tmp_path / "index", COUNT, DIMENSION, "euclidean", DATA)
    first, second = (one.search(vectors[:5], 10) for one in (index, again))
    assert again.metric == "euclidean"
    assert first.rows.tolist() == second.rows.tolist()
    assert first.scores.tolist() == second.scores.tolist()


@pytest.mark.parametrize(
    "wanted",
    [
        (COUNT + 1, DIMENSION, "dot", DATA),
        (COUNT, DIMENSION + 1, "dot", DATA),
        (COUNT, DIMENSION, "cosine", DATA),
        (COUNT, DIMENSION, "dot", "run 2"),
    ],
)
def test_an_index_of_other_data_is_refused(vectors, tmp_path, wanted):
    built(vectors, "dot").save(tmp_path / "index")
    with pytest.raises(InputError, match="of other vectors"):
        Approximate.load(tmp_path / "index", *wanted)


@pytest.mark.parametrize("damage", ["absent", "not whole", "foreign", "cut", "other json", "no json"])
def test_an_index_that_cannot_be_read(vectors, tmp_path, damage):
    path, beside = tmp_path / "index", tmp_path / "index.json"
    built(vectors, "dot").save(path)
    if damage == "absent":
        path.unlink()
    elif damage == "not whole":
        beside.unlink()
    elif damage == "foreign":
        path.write_bytes(b"RIFF" * 1000)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "other json":
        beside.write_text(json.dumps({"length": 3}))
    else:
        beside.write_text("{")
    with pytest.raises(NotFoundError if damage == "absent" else InputError, match="build"):
        Approximate.load(path, COUNT, DIMENSION, "dot", DATA)


def test_questions_that_have_no_answer(vectors):
    index = built(vectors[:10], "dot")
    with pytest.raises(InputError, match="k is 1 or more"):
        index.search(vectors[:1], 0)
    with pytest.raises(InputError, match="Queries of 5 values"):
        index.search(vectors[:1, :5], 1)
    with pytest.raises(InputError, match="cannot take shape"):
        Approximate.build([(0, vectors[:, :5])], COUNT, DIMENSION, "dot", DATA)
    with pytest.raises(InputError, match="found nothing"):
        index.recall(vectors[:1], nearest([], vectors[:1], 3, "dot"))


def test_without_usearch_it_is_said_how_to_get_it(vectors, monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(SetupError, match=r"pip install 'tilewright\[usearch\]'"):
        built(vectors[:5], "dot")
