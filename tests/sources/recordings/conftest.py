"""Folders of recordings whose samples say where they belong: a sample's value is its index in its unit's array, modulo 2**15."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tilewright import serve
from tilewright.audio import encode_wav
from tilewright.sources import Recordings

BEGIN = datetime(2023, 4, 25, 15, 0, 0, tzinfo=UTC)
RATE = 8000


def ramp(first, frames, dtype="<i2", channels=1):
    """Return frames whose values are their indices; further channels are 1, 2, … more."""
    values = (np.arange(first, first + frames) % 2**15)[:, None] + np.arange(channels)
    return (values if channels > 1 else values[:, 0]).astype(dtype)


@dataclass
class Folder:
    """A folder of recordings, and what each unit's array is to be."""

    path: Path
    written: dict = field(default_factory=dict)
    """Frames of each unit so far."""

    def add(self, unit, second, *, frames=80, rate=RATE, name=None, count=True, **kinds):
        """Write a file that starts so many seconds after the beginning; return its path."""
        first = self.written.get(unit, 0)
        time = BEGIN + timedelta(seconds=second)
        path = self.path / (name or f"{unit}_{time:%Y%m%d_%H%M%S}.wav")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_wav(ramp(first, frames, **kinds), rate))
        if count:
            self.written[unit] = first + frames
        return path

    def source(self, **options):
        return Recordings(self.path, **{"zone": "Z", "deployment": "test", **options})

    def documents(self, **options):
        return list(self.source(**options).documents())


@pytest.fixture(scope="module")
def server(readable):
    """A server that may read the recordings; in place of the one that all tests share."""
    with serve(announce=False, readable_storage=readable) as server:
        yield server


@pytest.fixture
def recordings(folder):
    """An empty folder that the server may read."""
    return Folder(folder)


def rows(documents, stream):
    """Return the data of a stream's events."""
    uids = {doc["uid"] for name, doc in documents if name == "descriptor" and doc["name"] == stream}
    return [doc["data"] for name, doc in documents if name == "event" and doc["descriptor"] in uids]


def column(documents, stream, key):
    return [row[key] for row in rows(documents, stream)]


@pytest.fixture
def table():
    """The rows of a stream out of documents, or one column of them."""
    return lambda documents, stream, key=None: (
        rows(documents, stream) if key is None else column(documents, stream, key)
    )
