"""What can be read while a detector writes HDF5 under SWMR: the server in a process of its own, as it usually is."""

import asyncio
import subprocess
import sys

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import h5py
import numpy as np
import pytest
from ophyd_async.core import TriggerInfo

from tilewright import TiledWriter, open_catalog

SERVE = """
import sys
from tilewright import serve
with serve(sys.argv[1], readable_storage=sys.argv[2], announce=False) as server:
    print(server.uri, flush=True)
    sys.stdin.read()
"""
DATASETS = {"blob": "/entry/data/data", "blob-sum": "/entry/sum"}


@pytest.fixture
def catalog(files, tmp_path):
    """A catalog that another process serves, until its input ends."""
    command = [sys.executable, "-c", SERVE, str(tmp_path), str(files)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        with open_catalog(process.stdout.readline().strip()) as catalog:
            yield catalog
        process.stdin.close()


class Onlooker:
    """Reads a run while the detector writes it: the file as h5py sees it, and what the server has of it."""

    def __init__(self, writer, catalog):
        self.writer, self.catalog = writer, catalog
        self.path = None
        self.collected = 0

    def __call__(self, name, doc):
        if name == "descriptor":
            self.path = doc["data_keys"]["blob"]["source"].removeprefix("file://localhost")
        if name == "stream_datum":
            self.collected = doc["indices"]["stop"]

    def in_file(self, key):
        with h5py.File(self.path, libver="latest", swmr=True) as file:
            return file[DATASETS[key]][:]

    def frames_in_file(self):
        return len(self.in_file("blob-sum"))

    def compare(self, events, frames):
        """Compare what is published, whole and a slice of it, with the beginning of the file; return how much that has."""
        assert self.writer.flush()
        stream = self.catalog[-1]["main"]
        for key in DATASETS:
            written = self.in_file(key)
            assert len(np.unique(self.in_file("blob-sum"))) == len(written)  # a wrong place would be seen
            shape = (events, frames) if frames > 1 or key == "blob" else (events,)
            expected = written[: events * frames].reshape(*shape, *written.shape[1:])
            array = stream[key]
            assert (array.shape, array.dtype) == (expected.shape, expected.dtype)
            np.testing.assert_array_equal(array.read(), expected)
            np.testing.assert_array_equal(array[events - 1], expected[events - 1])
            np.testing.assert_array_equal(stream.read([key])[key], expected)
        return len(written)


@pytest.mark.parametrize("frames", [1, 2])
def test_a_fly_scan_that_is_going_on(frames, catalog, blob, run_engine):
    """Frames are collected in threes; then the detector writes on, and what no document names is not shown."""
    gate = asyncio.Semaphore(0)
    detector = blob("blob", gate)
    seen = []

    def write_up_to(look, frames):
        """Let the detector write, until the file has so many frames."""
        for _ in range(frames - look.frames_in_file()):
            gate.release()
        while look.frames_in_file() < frames:
            yield from bps.sleep(0.01)

    @bpp.stage_decorator([detector])
    @bpp.run_decorator()
    def plan(look):
        wanted = TriggerInfo(livetime=1.0, number_of_events=9, collections_per_event=frames)
        yield from bps.prepare(detector, wanted, wait=True)
        yield from bps.declare_stream(detector, name="main", collect=True)
        yield from bps.kickoff(detector, wait=True)
        for events in (3, 6):
            yield from write_up_to(look, events * frames)
            yield from bps.collect(detector, name="main")
            seen.append((look.compare(events, frames), look.collected))
            yield from write_up_to(look, events * frames + 1)
            seen.append((look.compare(events, frames), look.collected))
        yield from write_up_to(look, 9 * frames)
        yield from bps.complete(detector, wait=True)  # and the last three events are never collected

    with TiledWriter(catalog, strict=True) as writer:
        look = Onlooker(writer, catalog)
        run_engine.subscribe(look)
        run_engine.subscribe(writer)
        run_engine(plan(look))
        assert seen == [(3 * frames, 3), (3 * frames + 1, 3), (6 * frames, 6), (6 * frames + 1, 6)]
        assert look.compare(6, frames) == 9 * frames
    run = catalog[-1]
    assert run.stop["exit_status"] == "success"
    assert run.notes == []
