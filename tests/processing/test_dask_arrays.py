"""On Dask, outputs are what `Pipeline.run` gives, by any scheduler, and tasks read what they need."""

from concurrent.futures import ThreadPoolExecutor

import dask.array as da
import numpy as np
import pytest

from tilewright.errors import InputError
from tilewright.processing import Bandpass, Decimate, Envelope, Log, Median, Pipeline, Shape, Signal
from tilewright.processing.dask_arrays import to_dask

RATE = 200.0
SEED = Pipeline((Decimate(2), Median("distance"), Bandpass(14, 35), Envelope(), Log()))
VALUES = np.random.default_rng(3).integers(-(10**6), 10**6, (12, 5000), dtype="int32")


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_outputs_are_the_same(scheduler):
    signal = Signal(lambda start, stop: VALUES[:, start:stop], Shape(*VALUES.shape, RATE))
    expected = np.concatenate([block.values for block in SEED.run(signal, chunk=700)], axis=1)
    lazy = to_dask(SEED, da.from_array(VALUES, chunks=(5, 1500)), RATE, chunk=700)
    assert (lazy.shape, lazy.dtype) == ((12, 2500), np.float32)
    assert lazy.chunks == ((12,), (700, 700, 700, 400))
    with ThreadPoolExecutor(2) as pool:  # of threads; Dask's own stay for the next computation
        options = {"pool": pool} if scheduler == "threads" else {"num_workers": 2}
        assert np.array_equal(lazy.compute(scheduler=scheduler, **options), expected)


def test_a_part_reads_the_chunks_that_it_reaches():
    read = set()

    def chunk(block_info):
        read.add(block_info[None]["chunk-location"][1])
        start, stop = block_info[None]["array-location"][1]
        return VALUES[:, start:stop]

    array = da.map_blocks(chunk, chunks=((12,), (500,) * 10), dtype="int32", meta=np.zeros((0, 0), "int32"))
    to_dask(SEED, array, RATE, chunk=250)[:, 1000:1250].compute(scheduler="synchronous")
    # Outputs 1000 to 1250 lie on inputs 2000 to 2500; the overlap of 2.3 s is within a chunk each side.
    assert read == {3, 4, 5}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((SEED, da.zeros(10), RATE, 10), "expected two dimensions"),
        ((SEED, da.zeros((2, 10)), 0, 10), "greater than 0"),
        ((SEED, da.zeros((2, 10)), RATE, 0), "a chunk's number of samples"),
        ((SEED, da.zeros((2, 10)), 50.0, 10), "14 to 35 Hz at 25 samples a second"),
        ((SEED, da.zeros((2, 0)), RATE, 10), "an acquisition's number of samples"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    *given, chunk = arguments
    with pytest.raises(InputError, match=message):
        to_dask(*given, chunk=chunk)
