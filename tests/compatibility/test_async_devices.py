"""`ophyd_async.sim`: a detector that writes HDF5 under SWMR, in step and fly scans, read back as its files hold it."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import h5py
import numpy as np
import pytest

FRAME = (240, 320)
DATA, SUM = "/entry/data/data", "/entry/sum"


@pytest.fixture
def blob(run_engine, files):
    """Return a function that makes a blob detector whose frames are all different, and come without waiting."""
    from ophyd_async.core import AutoIncrementFilenameProvider, StaticPathProvider, init_devices
    from ophyd_async.sim import PatternGenerator, SimBlobDetector

    def make(name, sleep=None):
        place = files / f"{name}-{uuid.uuid4().hex[:8]}"
        place.mkdir()

        async def next_pattern(_):
            generator.set_x(generator._x + 0.01)
            await (asyncio.sleep(0.001) if sleep is None else sleep())

        generator = PatternGenerator(next_pattern)
        provider = StaticPathProvider(AutoIncrementFilenameProvider(name), place)
        with init_devices():
            detector = SimBlobDetector(provider, generator, name=name)
        return detector

    return make
