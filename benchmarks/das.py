"""Fibre-optic cables: from samples to pictures of a band's envelope, beside the same chain of scipy without pictures.

7,500 channels at 200 Hz, of which every second sample is kept: the median of all channels is subtracted, 14 to 35 Hz are passed, the envelope is
taken in decibels, and tiles of 15 s and a tenth of the cable become PNGs of 256 by 256. Times real time: how many seconds of the cable are done in
one. Beside it the chain of the notebook that this replaces: samples strided without a filter, `filtfilt`, `hilbert`, in two threads over the same
tiles, without overlap (each tile rings at its ends) and without pictures.

    pictures   samples are in memory, pictures stay there: what computing and drawing take, with all overlap
    job        from a Zarr store on a disk (chunks of 3,000 by 3,000, compressed) to files on it and a run in the catalog: in a process that
               has just been started, with what it imports, and once more in the same, which is what each further stretch of the cable takes
    memory     the most that the job's process takes, of 75 s and of 300 s
"""

from __future__ import annotations

import resource
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from bench.lines import OURS, Figures, lines, show
from bench.measuring import Options, alone, in_turn
from bench.processes import served

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SCIPY = "scipy"
CHANNELS, RATE, BAND, TILE, TILES = 7_500, 200, (14.0, 35.0), 15, 10
"""Places along the fibre; Hz; Hz; seconds of a tile; tiles side by side."""
SECONDS, SHORT = 300, 75
"""Of the store; of the samples in memory, which are repeated, and of the shorter job."""
CHUNKS = (3_000, 3_000)
MEGA = 1e6


def measure(name: str, seconds: int, short: int) -> Figures:
    """Return the figure of one run on samples in memory."""
    samples = _samples(0, short * RATE)
    return {"das-pictures": _by_scipy(samples) if name == SCIPY else _in_memory(samples, seconds)}


def _samples(first: int, count: int) -> NDArray[np.int32]:
    """Return samples of a cable that hears a few calls: shape (channels, count)."""
    from tilewright.testing.whales import Call, sea  # noqa: PLC0415 - each process imports what it measures

    calls = [Call(20.0 + 40 * number, 2_000.0 * (1 + number % 7)) for number in range(10)]
    return sea(first, count, CHANNELS, calls=calls, rate=RATE)


def _in_memory(samples: NDArray[np.int32], seconds: int) -> float:
    """Return how many times real time: computed and drawn, in threads."""
    from tilewright.processing import Shape, Signal, Span, das_pipeline  # noqa: PLC0415
    from tilewright.processing.pictures import Drawing, Scale, pictures  # noqa: PLC0415
    from tilewright.processing.tiles import Tiling  # noqa: PLC0415

    length = samples.shape[1]

    def read(start: int, stop: int) -> NDArray[np.int32]:
        """Return samples, which are the same again and again."""
        place, count = start % length, stop - start
        if place + count <= length:
            return samples[:, place : place + count]
        return np.concatenate([samples[:, place:], samples[:, : place + count - length]], axis=1)

    drawing = Drawing(das_pipeline(RATE, BAND), Tiling(TILE, -(-CHANNELS // TILES)), Scale(80.0, 160.0))
    whole = Signal(read, Shape(CHANNELS, seconds * RATE, RATE))
    list(pictures(drawing, whole, Span(0, 2)))  # modules are imported, filters are made
    began = time.perf_counter()
    drawn = sum(1 for _ in pictures(drawing, whole))
    assert drawn == -(-seconds // TILE) * TILES
    return seconds / (time.perf_counter() - began)


def _by_scipy(samples: NDArray[np.int32]) -> float:
    """Return how many times real time: the notebook's chain, in two threads, a tile each."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    from scipy import signal  # noqa: PLC0415

    taps = signal.butter(8, [edge / (RATE / 4) for edge in BAND], "bandpass")

    def envelope(part: NDArray[np.float64]) -> NDArray[np.float64]:
        passed = signal.filtfilt(*taps, part, axis=1)
        decibels: NDArray[np.float64] = 20 * np.log10(np.abs(signal.hilbert(passed, axis=1)) / 1e-6)
        return decibels

    envelope(samples[:10, ::2].astype(float))  # modules are imported
    began = time.perf_counter()
    kept = samples[:, ::2]
    with ThreadPoolExecutor(2) as threads:
        for start in range(0, kept.shape[1], TILE * RATE // 2):
            part = kept[:, start : start + TILE * RATE // 2]
            part = part - np.median(part, axis=0)
            for _ in threads.map(envelope, np.array_split(part, TILES)):
                pass
    return samples.shape[1] / RATE / (time.perf_counter() - began)


def job(uri: str, uid: str, folder: Path, seconds: int, number: int) -> Figures:
    """Return the figures of two jobs on the first seconds of a recorded cable; others for each number."""
    from tilewright import open_catalog  # noqa: PLC0415 - each process imports what it measures
    from tilewright.processing import das_images  # noqa: PLC0415

    figures: Figures = {}
    with open_catalog(uri) as catalog:
        files = catalog[uid].cable().files
        span = (files["start"][0], files["start"][0] + np.timedelta64(seconds, "s"))
        for name, high in (("first", 160.0 + number / 100), ("later", 180.0 + number / 100)):
            began = time.perf_counter()
            tiles = das_images(
                catalog[uid], folder, band=BAND, tile=TILE, channels=TILES, scale=(80.0, high), time=span
            )
            figures[name] = seconds / (time.perf_counter() - began)
            assert len(tiles.table()) == -(-seconds // TILE) * TILES
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGA
    return figures | {"memory": most}


def write_store(path: Path, seconds: int) -> Path:
    """Write a store as the cable of the Regional Cabled Array is kept, a minute at a time."""
    import zarr  # noqa: PLC0415 - so that --help is quick

    from tilewright.testing.cables import START  # noqa: PLC0415

    group: Any = zarr.open_group(path, mode="w", zarr_format=2)
    count = seconds * RATE
    data = group.create_array("RawData", shape=(CHANNELS, count), dtype="<i4", chunks=CHUNKS)
    times = group.create_array("RawDataTime", shape=(count,), dtype="<i8", chunks=CHUNKS[1:])
    data.attrs["_ARRAY_DIMENSIONS"], times.attrs["_ARRAY_DIMENSIONS"] = ["distance", "time"], ["time"]
    times[:] = START // 1000 + np.arange(count) * (1_000_000 // RATE)
    for start in range(0, count, CHUNKS[1]):
        stop = min(start + CHUNKS[1], count)
        data[:, start:stop] = _samples(start, stop - start)
    return path


def recorded(uri: str, store: Path) -> str:
    """Record the store; return the uid of its run."""
    from tilewright import TiledWriter  # noqa: PLC0415 - so that --help is quick
    from tilewright.sources import Cable  # noqa: PLC0415

    source = Cable(store, spacing=2.0419)
    with TiledWriter(uri) as writer:
        for document in source.documents():
            writer(*document)
    return source.uid()


def main() -> None:
    """Measure both in turn, several times."""
    options = Options(__doc__, (OURS, SCIPY))
    seconds, short = options.size(SECONDS, least=30), options.size(SHORT, least=15)
    numbers = iter(range(1_000))
    with served() as place:
        store = write_store(place.folder / "sea.zarr", seconds)
        uid = recorded(place.uri, store)

        def measured(name: str) -> Figures:
            figures = alone(measure, name, seconds, short)
            if name == OURS:
                number = next(numbers)
                less, more = (
                    alone(job, place.uri, uid, place.folder / f"{length} {number}", length, number)
                    for length in (short, seconds)
                )
                figures |= {
                    "das-job": more["first"],
                    "das-job-later": more["later"],
                    "das-job-memory": more["memory"],
                    "das-job-memory-short": less["memory"],
                }
            return figures

        results = in_turn(options, measured)
        show(lines(results, dict.fromkeys(results, f"{seconds} s of {CHANNELS:,} channels")))


if __name__ == "__main__":
    main()
