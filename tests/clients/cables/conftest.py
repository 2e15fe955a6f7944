"""A server of ours that reads what the tests write, cables recorded in it, and runs of tiles made of them."""

import uuid
from contextlib import contextmanager
from functools import partial

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from tilewright import TiledWriter, open_catalog, serve
from tilewright.sources import Cable
from tilewright.sources.composing import descriptor, event, stop
from tilewright.testing.cables import RATE, START

STEP = 10**9 // RATE


@pytest.fixture(scope="module")
def server(readable):
    with serve(announce=False, readable_storage=readable) as server:
        yield server


@contextmanager
def a_catalog(server):
    """Yield an empty container in the server, opened as a catalog."""
    with (
        open_catalog(server.uri) as whole,
        open_catalog(whole.create_container(uuid.uuid4().hex[:8])) as catalog,
    ):
        yield catalog


@pytest.fixture
def catalog(server):
    with a_catalog(server) as catalog:
        yield catalog


def recorded(catalog, *places, **options):
    """Record files; return the cable."""
    source = Cable(places, **options)
    with TiledWriter(catalog) as writer:
        for document in source.documents():
            writer(*document)
    return catalog[source.uid()].cable()


@pytest.fixture
def record(catalog):
    """Record files; return the cable."""
    return partial(recorded, catalog)


@pytest.fixture(autouse=True)
def _drawn_in_memory():
    before = mpl.get_backend()
    mpl.use("Agg")
    yield
    plt.close("all")
    mpl.use(before)


@pytest.fixture
def at():
    """Return the time of a sample, and some nanoseconds."""
    return lambda sample, nanoseconds=0: np.datetime64(START + sample * STEP + nanoseconds, "ns")


def write_tiles(catalog, cable, samples=100, channels=3, missing=(), **more):
    """Write a run of tiles of a cable, as a processing job does; return it.

    They are of so many samples and channels, all of a time before those of the next, but for those that are missing. A picture's every
    element is its row.
    """
    uid = str(uuid.uuid4())
    start = {
        "uid": uid,
        "time": START / 1e9,
        "plan_name": "das_images",
        "source": "tilewright.processing",
        "derived_from": cable.run.uid,
        "acquisition": cable.name,
        "pipeline": {"steps": [{"step": "log", "reference": 1e-6, "floor": -120.0}], "dtype": "float32"},
        "tiling": {"seconds": samples / RATE, "channels": channels},
        "scale": {"low": -60.0, "high": 20.0},
        "software": {"tilewright": "0"},
    }
    tiles = [tile for number, tile in enumerate(_tiles(cable, samples, channels)) if number not in missing]
    described = descriptor(uid, "tiles", START / 1e9, _keys(tiles[0]))
    events = [
        event(
            f"{uid}-{row}",
            described[1]["uid"],
            row + 1,
            tile["start"] / 1e9,
            {**tile, "picture": _picture(row)},
        )
        for row, tile in enumerate(tiles)
    ]
    end = stop(uid, START / 1e9 + 1, {"tiles": len(tiles)})
    with TiledWriter(catalog) as writer:
        for document in [("start", {**start, **more}), described, *events, end]:
            writer(*document)
    return catalog[uid]


def _tiles(cable, samples, channels):
    """Yield what the tables of tiles have, of each file on its own."""
    facts = cable.facts
    for file in cable.files.itertuples():
        for first in range(0, file.samples, samples):
            for channel in range(0, facts["channels"], channels):
                last, end = min(first + samples, file.samples), min(channel + channels, facts["channels"])
                places = [facts["distance_start"] + one * facts["spacing"] for one in (channel, end)]
                yield {
                    "file": f"{file.first + first}-{channel}.png",
                    "start": file.start.value + first * STEP,
                    "stop": file.start.value + last * STEP,
                    "first_sample": file.first + first,
                    "stop_sample": file.first + last,
                    "first_channel": channel,
                    "stop_channel": end,
                    "distance_start": places[0],
                    "distance_stop": places[1],
                    "minimum": float(channel),
                    "maximum": float(first),
                    "mean": 0.5,
                    "version": "1",
                }


def _keys(tile):
    kinds = {
        str: ("string", {}),
        int: ("integer", {"dtype_numpy": "<i8"}),
        float: ("number", {"dtype_numpy": "<f8"}),
    }
    keys = {
        name: {"source": "test", "shape": [], "dtype": kinds[type(value)][0], **kinds[type(value)][1]}
        for name, value in tile.items()
    }
    picture = {"source": "test", "shape": [256, 256], "dtype": "array", "dtype_numpy": "|u1"}
    return {**keys, "picture": picture}


def _picture(row):
    """Return a picture whose elements are its row, but for the first line, which counts."""
    picture = np.full((256, 256), row % 256, np.uint8)
    picture[0] = np.arange(256)
    return picture
