"""A server of ours that reads what the tests write, and datasets in it."""

import uuid

import pytest

from tilewright import TiledWriter, open_catalog, serve
from tilewright.sources import Embeddings
from tilewright.testing.embeddings import write_dataset


@pytest.fixture(scope="module")
def server(readable):
    with serve(announce=False, readable_storage=readable) as server:
        yield server


@pytest.fixture
def catalog(server):
    """An empty container in the server, opened as a catalog."""
    with (
        open_catalog(server.uri) as whole,
        open_catalog(whole.create_container(uuid.uuid4().hex[:8])) as catalog,
    ):
        yield catalog


@pytest.fixture
def record(catalog):
    """Record a source; return its run."""

    def record(source):
        with TiledWriter(catalog) as writer:
            for name, doc in source.documents():
                writer(name, doc)
        return catalog[source.uid()]

    return record


DIMENSION = 16
FILES, RECORDS = 5, 20
ROWS = FILES * RECORDS * 12


@pytest.fixture(params=["register", "npy", "zarr"])
def run(record, folder, request):
    """A run of five files of 240 vectors; the first value of each is its row."""
    write_dataset(folder / "in", FILES, RECORDS, dimension=DIMENSION)
    options = {} if request.param == "register" else {"store": request.param, "store_path": folder / "out"}
    return record(Embeddings(folder / "in", dataset="north", model="perch", **options))


@pytest.fixture
def dataset(record, folder):
    """A dataset of vectors in their TFRecords."""
    write_dataset(folder / "in", FILES, RECORDS, dimension=DIMENSION)
    return record(Embeddings(folder / "in", dataset="north", model="perch")).embeddings()
