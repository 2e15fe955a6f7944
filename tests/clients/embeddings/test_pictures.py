"""A map of vectors."""

import numpy as np
import pytest

from tilewright.clients.embeddings.pictures import components, drawn
from tilewright.errors import InputError
from tilewright.sources import Embeddings
from tilewright.testing.embeddings import records
from tilewright.tfrecords import write_records


def test_principal_components():
    dice = np.random.default_rng(1)
    places = dice.standard_normal((500, 2)) * [10, 3]
    turned = np.linalg.qr(dice.standard_normal((6, 6)))[0][:2]
    vectors = (places @ turned + 100 + 0.01 * dice.standard_normal((500, 6))).astype("f4")
    found, shares = components(vectors)
    centred = places - places.mean(axis=0)
    for axis in (0, 1):
        assert abs(np.corrcoef(found[:, axis], centred[:, axis])[0, 1]) > 0.99
    assert shares.sum() == pytest.approx(1.0, abs=1e-4)
    assert np.allclose(components(vectors[::-1])[0][::-1], found, atol=1e-6)


@pytest.mark.parametrize("vectors", [np.ones((5, 4)), np.ones((3, 1))])
def test_vectors_that_are_all_the_same(vectors):
    found, shares = components(vectors.astype("f4"))
    assert found.shape == (len(vectors), 2)
    assert np.isfinite(found).all()
    assert shares.tolist() == [0, 0]


def test_a_sample():
    numbers = np.arange(10, 1000)
    assert drawn(numbers[:5], 10, 0).tolist() == [10, 11, 12, 13, 14]
    found = drawn(numbers, 100, 3)
    assert (np.diff(found) > 0).all()
    assert found.tolist() == drawn(numbers, 100, 3).tolist() != drawn(numbers, 100, 4).tolist()
    with pytest.raises(InputError, match="3 vectors at least"):
        drawn(numbers, 1, 0)


@pytest.mark.parametrize(
    ("color", "entries"),
    [(None, None), ("subsite_name", ["Dry-A", "Dry-B", "Wet-A", "Wet-B"]), ("site_id", ["285", "286"])],
)
def test_a_map(dataset, color, entries):
    axes = dataset.plot_map(color, sample=300)
    assert axes.get_title(loc="left") == "north: 300 of 1,200 vectors"
    assert "of the variance" in axes.get_xlabel()
    assert sum(len(one.get_offsets()) for one in axes.collections) == 300
    legend = axes.get_legend()
    assert (legend and [text.get_text() for text in legend.get_texts()]) == entries


def test_a_scale_of_colours(dataset):
    axes = dataset.plot_map("offset", "site_id == 286")
    assert axes.get_title(loc="left") == "north: 240 of 240 vectors"
    assert axes.figure.axes[1].get_ylabel() == "offset"


def test_many_texts(record, folder):
    """The most frequent ones have colours."""
    (folder / "in").mkdir()
    write_records(folder / "in" / "x.tfrecord", records(50, minutes=2))
    dataset = record(Embeddings(folder / "in")).embeddings()
    axes = dataset.plot_map("filename")
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert len(texts) == 20
    assert texts[0] == "6 others"
    assert sum(len(one.get_offsets()) for one in axes.collections) == 600


def test_times_have_a_scale(record, folder):
    (folder / "in").mkdir()
    write_records(folder / "in" / "x.tfrecord", records(50, minutes=2))
    axes = record(Embeddings(folder / "in")).embeddings().plot_map("recording_start")
    assert axes.figure.axes[1].get_ylabel() == "recording_start (UTC)"


def test_another_method(dataset):
    def first_two(vectors):
        return vectors[:, :2]

    axes = dataset.plot_map(method=first_two, where="row < 9")
    assert axes.collections[0].get_offsets()[:, 0].tolist() == list(range(9))
    assert axes.get_xlabel().endswith("first_two, first dimension")
    with pytest.raises(InputError, match=r"shape \(1200,\) for 1200 vectors"):
        dataset.plot_map(method=lambda vectors: vectors[:, 0])


def test_what_cannot_be_drawn(dataset):
    with pytest.raises(InputError, match="color='x' is no column"):
        dataset.plot_map("x")
    with pytest.raises(InputError, match="3 vectors at least, and there are 2"):
        dataset.plot_map(where="row < 2")
