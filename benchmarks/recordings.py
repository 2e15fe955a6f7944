"""Recordings of audio units: registering their files, and fetching samples by time, beside reading the files with soundfile.

The files are AudioMoth's: 16 bits at 192 kHz, with the comment in the header. Those of the long deployment (32 units, a week,
a file an hour) are sparse, but for the first six minutes of each unit, from which samples are read; all of it is in the page cache.
soundfile opens each file that is needed, seeks and reads into an array; it gets the paths and places told.

    adapter    1 s of 8 units by what the server reads files with, from what the catalog has of an array to the samples
    http       the same through a server in a process of its own, one request
    large      5 minutes of 2 units through the server
    select     1 s of all 32 units: `Deployment.select`, from the two times to an xarray.DataArray with exact times
    open       an array over so many files of 1,000 samples each: its description, and a slice from its middle
    register   10,000 files of 100 samples in 8 units: from the scan of the folder until the server has all rows and all files
"""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from bench.lines import OURS, Figures, lines, show
from bench.measuring import Options, alone, in_turn, median_seconds
from bench.processes import served
from bench.sounds import START, Recorders
from bench.writers import Place, ours

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOUNDFILE = "soundfile"
RATE = 192_000
UNITS, HOURS = 32, 7 * 24
FEW, MANY = 10, 10_000
"""Files of the arrays that are opened."""
AT, LONG = 5, 300
"""Seconds: where a span begins, and how long the large one is."""
LARGE_REPEATS = 5
MILLI, MEGA = 1e3, 1e6


def measure(name: str, place: Place, long: Recorders, small: Recorders) -> Figures:
    """Return the figures of one run."""
    return _with_soundfile(long) if name == SOUNDFILE else _with_ours(place, long, small)


def record(place: Place, recorders: Recorders, name: str) -> str:
    """Record a deployment; return the uid of its run when all of it can be read."""
    from tilewright.sources import Recordings  # noqa: PLC0415 - each process imports what it measures

    source = Recordings(recorders.folder, deployment=name)
    with ours(place, on_stop="return") as write:
        for document in source.documents():
            write(*document)
        assert write.flush(), "files were refused"
    assert not source.problems, source.problems
    return source.uid()


def _with_soundfile(long: Recorders) -> Figures:
    import soundfile  # noqa: PLC0415 - each process imports what it measures

    def read(units: int, seconds: int) -> list[np.ndarray[Any, Any]]:
        start, stop = AT * RATE, (AT + seconds) * RATE
        paths = [long.path(unit, 0) for unit in range(units)]
        return [soundfile.read(path, start=start, stop=stop, dtype="int16")[0] for path in paths]

    large = median_seconds(lambda: read(2, LONG), LARGE_REPEATS)
    return {
        "recordings-adapter": median_seconds(lambda: read(8, 1)) * MILLI,
        "recordings-http": median_seconds(lambda: read(8, 1)) * MILLI,
        "recordings-large": 2 * LONG * RATE * 2 / large / MEGA,
        "recordings-select": median_seconds(lambda: read(long.units, 1)) * MILLI,
    }


def _with_ours(place: Place, long: Recorders, small: Recorders) -> Figures:
    from tilewright import open_catalog  # noqa: PLC0415 - each process imports what it measures
    from tilewright.clients.spans import Span, fetch_spans  # noqa: PLC0415

    began = time.perf_counter()
    registered = record(place, small, f"small {began}")
    figures = {"recordings-register": small.units * small.files / (time.perf_counter() - began)}
    with open_catalog(place.uri) as runs:
        _check_rows(runs[registered], small)
        run = runs[record(place, long, f"long {began}")]
        link, dtype = run.item["links"]["search"], np.dtype("<i2")

        def fetch(units: int, seconds: int) -> list[np.ndarray[Any, Any]]:
            start, stop = AT * RATE, (AT + seconds) * RATE
            spans = [Span((long.unit(unit), "audio"), start, stop, dtype) for unit in range(units)]
            return fetch_spans(run.context, link, spans)

        adapter = _adapter(long)
        for unit, samples in enumerate(fetch(8, 1)):
            np.testing.assert_array_equal(samples, adapter(unit))
        large = median_seconds(lambda: fetch(2, LONG), LARGE_REPEATS)
        figures |= {
            "recordings-adapter": median_seconds(lambda: [adapter(unit) for unit in range(8)]) * MILLI,
            "recordings-http": median_seconds(lambda: fetch(8, 1)) * MILLI,
            "recordings-large": 2 * LONG * RATE * 2 / large / MEGA,
            "recordings-select": _select(run, long, adapter),
        }
        return figures | _open(runs, place, small)


def _check_rows(run: Any, small: Recorders) -> None:
    for unit in range(small.units):
        stream = run[small.unit(unit)]
        assert len(stream.table(["samples"])) == small.files
        assert stream["audio"].shape == (small.files * round(small.seconds * small.rate),)


def _adapter(long: Recorders) -> Callable[[int], np.ndarray[Any, Any]]:
    """Return what reads a second of a unit as the server does, from what the catalog has of its array."""
    from tiled.ndslice import NDSlice  # noqa: PLC0415 - each process imports what it measures
    from tiled.structures.array import ArrayStructure, BuiltinDtype  # noqa: PLC0415

    from tilewright.formats.wav import AudioAdapter  # noqa: PLC0415

    frames = round(long.seconds * RATE)
    shape = (frames * long.files,)
    structure = ArrayStructure(BuiltinDtype.from_numpy_dtype(np.dtype("<i2")), (shape,), shape)
    properties = {"ranges": [[0, 0, frames, long.files]]}
    wanted, node = NDSlice(slice(AT * RATE, (AT + 1) * RATE)), SimpleNamespace(metadata_={}, specs=[])
    assets = [
        [f"file://localhost{long.path(unit, file)}" for file in range(long.files)]
        for unit in range(long.units)
    ]

    def read(unit: int) -> np.ndarray[Any, Any]:
        touched = AudioAdapter.file_indices_for_slice(structure, long.files, wanted, properties)
        uris: list[str | None] = [None] * long.files
        for file in touched or ():
            uris[file] = assets[unit][file]
        source = SimpleNamespace(structure=structure, properties=properties)
        return AudioAdapter.from_catalog(source, node, data_uris=uris).read(wanted)

    return read


def _select(run: Any, long: Recorders, adapter: Callable[[int], np.ndarray[Any, Any]]) -> float:
    """Return the milliseconds that a second of all units takes."""
    deployment = run.deployment()
    begin = np.datetime64(START.replace(tzinfo=None), "ns") + np.timedelta64(AT, "s")
    span = begin, begin + np.timedelta64(1, "s")
    selected = deployment.select(time=span)
    assert selected.shape == (long.units, RATE)
    for unit in range(long.units):
        np.testing.assert_array_equal(selected.sel(unit=long.unit(unit)), adapter(unit))
    return median_seconds(lambda: deployment.select(time=span)) * MILLI


def _open(runs: Any, place: Place, small: Recorders) -> Figures:
    """Return the milliseconds to open an array and read a slice of it, of few files and of many."""
    figures = {}
    for files, case in (
        (FEW, "recordings-open-few"),
        (min(MANY, small.units * small.files), "recordings-open-many"),
    ):
        one = Recorders(place.folder / f"{case}-{time.monotonic_ns()}", 1, files, 0.125, 8000)
        one.write()
        run = runs[record(place, one, one.folder.name)]
        middle = files // 2 * 1000 - 500

        def read(run: Any = run, name: str = one.unit(0), middle: int = middle) -> np.ndarray[Any, Any]:
            samples: np.ndarray[Any, Any] = run[f"{name}/audio"][middle : middle + 1000]
            return samples

        assert len(read()) == 1000
        figures[case] = median_seconds(read) * MILLI
    return figures


def prepared(folder: Path, options: Options) -> tuple[Recorders, Recorders]:
    """Write the files of both deployments."""
    units = options.size(UNITS, least=8)
    long = Recorders(folder / "long", units, options.size(HOURS, least=2), 3600, RATE, filled=AT + LONG)
    small = Recorders(folder / "small", 8, options.size(MANY // 8, least=2), 1 / 80, 8000)
    long.write()
    small.write()
    return long, small


def main() -> None:
    """Measure both in turn, several times."""
    options = Options(__doc__, (OURS, SOUNDFILE))
    with served() as place:
        long, small = prepared(place.folder, options)
        results = in_turn(options, lambda name: alone(measure, name, place, long, small))
        size = f"{long.units} units of {long.files} files"
        show(lines(results, dict.fromkeys(results, size)))


if __name__ == "__main__":
    main()
