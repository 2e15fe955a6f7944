"""Recordings converted while they are recorded: the same documents but for the place, and the same samples."""

import numpy as np
import pytest

from tilewright import TiledWriter
from tilewright.clients.carrying_on import so_far
from tilewright.errors import InputError, SetupError
from tilewright.sources.recordings.stored import StoredArray

A, B = "24F3190361DA539A", "24F3190361DA0000"
pytestmark = pytest.mark.parametrize("store", ["zarr", "tiledb"])


@pytest.fixture
def stores(recordings, store):
    """Return a source of the folder that converts."""
    place = recordings.path.parent / f"{recordings.path.name}_stores"
    return lambda **options: recordings.source(store=store, store_path=place, **options)


def write(catalog, documents):
    with TiledWriter(catalog, strict=True) as writer:
        for name, doc in documents:
            writer(name, doc)
    return catalog[-1]


def test_the_samples_read_back(recordings, stores, catalog, table):
    for second in range(5):
        recordings.add(A, second * 60, frames=70 + second)
    recordings.add(B, 0, dtype="<f4", channels=2)
    recordings.add(A, 400, rate=16000)
    documents = list(stores().documents())
    plain = recordings.documents()
    for unit in (A, B):
        assert table(documents, unit) == table(plain, unit)
    resources = [doc for name, doc in documents if name == "stream_resource"]
    assert [doc["parameters"]["rate"] for doc in resources] == [8000, 8000]
    run = write(catalog, documents)
    assert run[A]["audio"][:].tolist() == list(range(70 + 71 + 72 + 73 + 74 + 80))
    assert run[B]["audio"][:, 1].tolist() == list(range(1, 81))
    assert run.metadata["tilewright"]["verified"] is True
    assert not list(recordings.path.parent.rglob("*.writing"))


def test_nothing_to_note(recordings, stores, catalog):
    recordings.add(A, 0)
    assert write(catalog, stores().documents()).notes == []


def test_cut_off_after_any_document(recordings, stores):
    for second in (0, 60):
        recordings.add(A, second)
        recordings.add(B, second)
    whole = list(stores().documents())
    for length in range(len(whole)):
        assert list(stores().documents(whole[:length])) == whole


def test_cut_off_between_the_samples_and_their_documents(recordings, stores, catalog, table):
    """What came meanwhile, and starts earlier, does not take their place."""
    recordings.add(A, 60)
    last = recordings.add(A, 120)
    before = []
    source = stores().documents()
    while sum(name == "stream_datum" for name, _ in before) < 1 or before[-1][0] != "event":
        before.append(next(source))
    next(source)  # a document that did not arrive; the samples of the second file are in the store
    source.close()
    early = recordings.add(A, 0)
    documents = list(stores().documents(before))
    assert table(documents, A, "file")[1:] == [last.name, early.name]
    assert write(catalog, documents)[A]["audio"][:].tolist() == list(range(240))


def test_a_disk_that_gives_back_others(recordings, stores, monkeypatch):
    recordings.add(A, 0)
    append = StoredArray.append

    def damaged(self, samples, at):
        append(self, np.where(samples == 33, 34, samples).astype(samples.dtype), at)

    monkeypatch.setattr(StoredArray, "append", damaged)
    with pytest.raises(SetupError, match="other samples from 33 to 34"):
        list(stores().documents())


def test_what_is_new_after_the_stop_has_stores_of_its_own(recordings, stores, catalog):
    recordings.add(A, 0)
    first = list(stores().documents())
    recordings.add(A, 60)
    second = list(stores().documents(earlier=first))
    assert write(catalog, second)[A]["audio"][:].tolist() == list(range(80, 160))


def test_rebuilt_from_the_catalog(recordings, stores, catalog, tmp_path):
    for second in (0, 60):
        recordings.add(A, second)
    documents = list(stores().documents())
    write(catalog, documents)
    found = so_far(stores(), tmp_path / "elsewhere", catalog)
    assert found.earlier == documents


def test_what_is_not_said(recordings, store):
    with pytest.raises(InputError, match="say where the store is to be"):
        recordings.source(store=store)
    with pytest.raises(InputError, match="expected zarr or tiledb"):
        recordings.source(store=f"{store}9", store_path="x")


def test_what_a_server_has_to_read(recordings, stores):
    assert [path.name for path in stores().readable] == [f"{recordings.path.name}_stores"]
