"""Folders of TFRecords."""

import pytest

from tilewright.testing.embeddings import records
from tilewright.tfrecords import write_records


@pytest.fixture
def folder(tmp_path):
    """A folder of two files, of three records each; a recording has two."""
    place = tmp_path / "in"
    place.mkdir()
    write_records(place / "a.tfrecord", records(3, minutes=2))
    write_records(place / "b.tfrecord", records(3, first=36, minutes=2))
    return place
