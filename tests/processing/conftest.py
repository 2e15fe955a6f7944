"""A server that may read what the tests write, and cables in it."""

import pytest

from tilewright import TiledWriter, serve
from tilewright.sources import Cable


@pytest.fixture(scope="module")
def server(readable):
    with serve(announce=False, readable_storage=readable) as server:
        yield server


@pytest.fixture
def record(catalog):
    """Record files as one acquisition; return its run."""

    def record(*places, **options):
        source = Cable(places, **options)
        with TiledWriter(catalog) as writer:
            for document in source.documents():
                writer(*document)
        return catalog[source.uid()]

    return record
