"""Jobs that make pictures: they are those of the whole acquisition computed at once, whatever interrupts it, wherever it is computed."""

import io
import json
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tilewright import TiledWriter
from tilewright.clients import cables
from tilewright.clients.carrying_on import so_far
from tilewright.errors import InputError, SetupError
from tilewright.processing import (
    Bandpass,
    Decimate,
    Envelope,
    Log,
    Median,
    Pipeline,
    Shape,
    Signal,
    das_images,
)
from tilewright.processing.images import DasImages
from tilewright.processing.pictures import OWN_SCALE, Scale, Summary, grey, summary
from tilewright.processing.workers import Threads, workers_of
from tilewright.sources import Cable
from tilewright.testing.cables import START, write_prodml, write_store
from tilewright.testing.whales import Call, sea

RATE, CHANNELS, SAMPLES = 200, 12, 200 * 47
SEED = Pipeline((Decimate(2), Median("distance"), Bandpass(14.0, 35.0), Envelope(), Log()))
FIXED = Scale(100.0, 180.0)
ROUNDING = 2e-6 * 5000
"""Of float32, in amplitude: of the largest sample."""
CALLS = (Call(5.0, 4.0), Call(22.5, 20.0, high=30.0))


def samples(first=0, count=SAMPLES):
    """Return samples of shape (time, distance)."""
    return sea(first, count, CHANNELS, calls=CALLS).T


def test_a_job_that_has_no_tile_yet_stands_for_its_cable(run, folder, catalog):
    made(job(run, folder), catalog, 1)
    begun = catalog[job(run, folder).uid()]
    assert begun.streams == []
    tiles = das_images(begun, folder / "out", pipeline=SEED, channels=4, scale=FIXED)
    assert (tiles.run.uid, len(tiles)) == (begun.uid, 16)


@pytest.fixture
def run(record, folder):
    """An acquisition of 47 s: three tiles of 15 s, and 2 s."""
    return record(write_store(folder / "sea.zarr", count=SAMPLES, values=samples()), spacing=2.0)


def whole(values, pipeline=SEED):
    """Return outputs of all samples at once; values have shape (time, distance)."""
    signal = Signal(lambda start, stop: values.T[:, start:stop], Shape(values.shape[1], len(values), RATE))
    shape = pipeline.shape(signal.shape)
    (block,) = pipeline.run(signal, chunk=shape.samples)
    return block.values


def assert_tiles_of(tiles, outputs, factor=2, scale=FIXED, first_row=0):
    """Check that tiles are these outputs (distance, time), whole, each once and in order."""
    table = tiles.table()
    step = 10**9 // RATE
    seen = np.zeros(outputs.shape, int)
    for row, tile in table.iterrows():
        time = slice(
            (tile["start"].value - START) // step // factor - first_row,
            -(-(tile["stop"].value - START) // step // factor) - first_row,
        )
        values = outputs[tile["first_channel"] : tile["stop_channel"], time]
        seen[tile["first_channel"] : tile["stop_channel"], time] += 1
        of = summary(values)
        expected = grey(values, scale, of)
        assert np.abs(tiles.picture(row).astype(int) - expected).max() <= 1
        assert np.allclose((tile["maximum"], tile["mean"]), (of.maximum, of.mean), atol=0.01)
        least = 1e-6 * 10 ** (np.array([tile["minimum"], of.minimum]) / 20)
        assert np.ptp(least) < ROUNDING
    assert (seen == 1).all()


def test_pictures_are_of_the_whole_and_lead_back_to_samples(run, folder):
    tiles = das_images(run, folder / "out", pipeline=SEED, channels=4, scale=FIXED)
    assert len(tiles.table()) == 4 * 4
    assert_tiles_of(tiles, whole(samples()))
    for row, tile in tiles.table().iterrows():
        back = tiles.samples(row)
        time = slice(tile["first_sample"], tile["stop_sample"])
        assert np.array_equal(
            back.to_numpy(), samples().T[tile["first_channel"] : tile["stop_channel"], time]
        )
        with Image.open(folder / "out" / tile["file"]) as image:
            assert np.array_equal(np.asarray(image), tiles.picture(row))
    table = tiles.table()
    assert table["stop_sample"].max() == SAMPLES
    assert (table["distance_stop"] - table["distance_start"]).round(6).tolist() == [6.0] * 16
    start = tiles.run.start
    assert start["derived_from"] == run.uid
    assert Pipeline.from_json(start["pipeline"]) == SEED
    assert start["scale"] == {"low": 100.0, "high": 180.0}
    assert set(start["software"]) == {"tilewright", "numpy", "scipy", "pillow"}
    assert tiles.run.verify(files=True).equal
    assert tiles.run.notes == []
    assert tiles.run.stop["exit_status"] == "success"


def test_distances_are_metres_where_somebody_told_the_spacing(run, record, folder):
    unknown = record(write_store(folder / "unknown.zarr", count=4000, values=samples(0, 4000)))
    for raw, units in ((run, "m"), (unknown, None)):
        tiles = das_images(raw, folder / raw.uid, pipeline=SEED, channels=1, scale=FIXED)
        assert tiles.run["tiles"].data_keys["distance_start"].get("units") == units
    assert tiles.table()[["distance_start", "distance_stop"]].to_numpy().tolist() == [[0.0, 12.0]] * 2


def test_three_lines(run, folder, catalog):
    tiles = das_images(catalog[-1], folder / "out", band=(14, 35), tile="15s", channels=10)
    assert tiles.facts["pipeline"]["steps"][0] == {
        "step": "decimate",
        "time": 2,
        "distance": 1,
        "channels": "mean",
    }
    scale = tiles.facts["scale"]
    outputs = whole(samples())
    assert np.isclose([scale["low"], scale["high"]], np.percentile(outputs, [1, 99.9]), atol=0.06).all()
    assert len(tiles.table()) == 4 * 6  # two channels each: twelve are no ten parts
    assert_tiles_of(tiles, outputs, scale=Scale(**scale))


def job(run, folder, **options):
    return DasImages(run.cable(), SEED, folder / "out", **{"parts": 4, "scale": FIXED, **options})


def made(source, catalog, most=None):
    """Give some documents of a job to a writer, all there are without a number; return how many came."""
    with TiledWriter(catalog, strict=True) as writer:
        found = so_far(source, writer.journal, catalog)
        documents = source.documents(found.before, found.earlier)
        count = 0
        for count, document in enumerate(documents, start=1):
            writer(*document)
            if count == most:
                break
        documents.close()
    return count


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 17, 40, 49, 50, 51])
def test_interrupted_anywhere_it_makes_what_is_missing(run, folder, catalog, most):
    made(job(run, folder), catalog, most)
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*.png")}
    counted = []
    source = job(run, folder)
    source.progress = lambda done, of: counted.append((done, of))
    made(source, catalog)
    tiles = catalog[source.uid()].tiles()
    assert_tiles_of(tiles, whole(samples()))
    known = max(0, (most - 2) // 3)
    again = [path for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert len(again) <= 1 + (known % 4 > 0) * (
        known % 4
    )  # those whose event was not told: one row is computed again
    if most < 50:
        assert counted[0] == (known // 4 * 4, 16)
        assert counted[-1] == (16, 16)
    assert len(list((folder / "out").rglob("*.png"))) == 16


def test_a_finished_job_does_nothing(run, folder, catalog):
    first = das_images(run, folder / "out", pipeline=SEED, channels=4, scale=(100.0, 180.0))
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*")}
    source = job(run, folder)
    source._workers = None  # nobody is asked for anything
    assert made(source, catalog) == 0
    again = das_images(run, folder / "out", pipeline=SEED, channels=4, scale=(100.0, 180.0))
    assert again.run.uid == first.run.uid
    assert {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*")} == before
    assert len(catalog) == 2


def test_a_file_that_was_lost_is_written_again(run, folder, catalog):
    tiles = das_images(run, folder / "out", pipeline=SEED, channels=4, scale=FIXED)
    lost = folder / "out" / tiles.table()["file"][6]
    content = lost.read_bytes()
    lost.unlink()
    assert made(job(run, folder), catalog) == 0
    assert lost.read_bytes() == content
    assert len(catalog) == 2


def test_without_a_journal_another_run_has_what_is_missing(run, folder, catalog, monkeypatch, tmp_path):
    made(job(run, folder), catalog, 1 + 1 + 3 * 6)
    monkeypatch.setenv("TILEWRIGHT_JOURNAL", str(tmp_path / "elsewhere"))
    made(job(run, folder), catalog)
    older, newer = catalog[job(run, folder).uid()], catalog[job(run, folder).uid(2)]
    assert newer.start["continues"] == older.uid
    keys = [
        tuple(row)
        for each in (older, newer)
        for row in each.tiles().table()[["first_sample", "first_channel"]].to_numpy()
    ]
    assert len(keys) == len(set(keys)) == 16
    assert made(job(run, folder), catalog) == 0


def test_gaps_are_not_filtered_across(record, folder):
    parts = [(0, 4000), (4000, 2000), (7000, 2400)]
    for number, (first, count) in enumerate(parts):
        write_prodml(folder / f"{number}.h5", first, count, CHANNELS, values=samples(first, count))
    run = record(*(folder / f"{number}.h5" for number in range(3)), acquisition="gappy")
    tiles = das_images(run, folder / "out", pipeline=SEED, channels=4, scale=FIXED)
    table = tiles.table()
    assert table["start"].map(lambda time: (time.value - START) // (10**9 // RATE)).unique().tolist() == [
        0,
        3000,
        7000,
    ]
    outputs = np.full((CHANNELS, 4700), np.nan, np.float32)
    outputs[:, :3000], outputs[:, 3500:] = whole(samples(0, 6000)), whole(samples(7000, 2400))
    for row, tile in table.iterrows():
        first = (tile["start"].value - START) // (10**9 // RATE) // 2
        stop = (tile["stop"].value - START) // (10**9 // RATE) // 2
        values = outputs[tile["first_channel"] : tile["stop_channel"], first:stop]
        assert np.isclose(tile["mean"], values.mean(dtype=float), atol=0.01)
        assert np.array_equal(
            tiles.samples(row).to_numpy(),
            samples(2 * first, 2 * (stop - first)).T[tile["first_channel"] : tile["stop_channel"]],
        )


def test_files_that_overlap(record, folder):
    """The earlier one counts to its end, in the tile's samples too."""
    write_prodml(folder / "0.h5", 0, 4000, CHANNELS, values=samples(0, 4000))
    write_prodml(folder / "1.h5", 3500, 2500, CHANNELS, values=samples(3500, 2500) + 7)
    run = record(folder / "0.h5", folder / "1.h5", acquisition="overlapping")
    tiles = das_images(run, folder / "out", pipeline=SEED, channels=1, scale=FIXED)
    values = np.concatenate([samples(0, 4000), samples(4000, 2000) + 7])
    assert_tiles_of(tiles, whole(values))
    assert np.array_equal(tiles.samples(1).to_numpy(), values[3000:].T)


def test_an_acquisition_that_goes_on(catalog, folder):
    """Only what will not change is made, and its run stays open; in the end all is as if it had been made at once."""
    source, seen = Cable(folder, acquisition="live"), []
    for first, count in ((0, 4000), (4000, 5400)):
        write_prodml(folder / f"{first}.h5", first, count, CHANNELS, values=samples(first, count))
        with TiledWriter(catalog) as writer:
            for name, document in source.documents(so_far(source, writer.journal, catalog).before):
                if name != "stop" or first:
                    writer(name, document)
        raw = catalog[source.uid()]
        made(job(raw, folder), catalog)
        derived = catalog[job(raw, folder).uid()]
        seen.append((len(derived.tiles().table()), derived.stop is not None))
    assert seen == [(4, False), (16, True)]
    assert_tiles_of(derived.tiles(), whole(samples()))


def test_a_file_that_comes_late(catalog, folder):
    """It lies at the end of the array, and fills a gap: what reached into that was not made before, and leads back to all its samples."""
    source, made_first = Cable(folder, acquisition="late"), 0
    for part in ([(0, 4000), (6000, 3000)], [(4000, 2000)]):
        for first, count in part:
            write_prodml(folder / f"{first}.h5", first, count, CHANNELS, values=samples(first, count))
        with TiledWriter(catalog) as writer:
            for name, document in source.documents(so_far(source, writer.journal, catalog).before):
                if name != "stop" or len(part) == 1:
                    writer(name, document)
        raw = catalog[source.uid()]
        made(job(raw, folder), catalog)
        tiles = catalog[job(raw, folder).uid()].tiles()
        made_first = made_first or len(tiles)
    assert made_first == 4  # the first 15 s; what comes after reaches into the gap, or is not complete
    assert raw.table("das")["first"].tolist() == [0, 4000, 7000]
    assert_tiles_of(tiles, whole(samples(0, 9000)))
    for row, tile in tiles.table().iterrows():
        first = (tile["start"].value - START) // (10**9 // RATE)
        expected = samples(first, 3000).T[tile["first_channel"] : tile["stop_channel"]]
        assert np.array_equal(tiles.samples(row).to_numpy(), expected)


def test_a_time_and_channels(run, folder):
    time = ("2021-11-01T23:11:31Z", "2021-11-01T23:11:44Z")
    tiles = das_images(
        run, folder / "out", pipeline=SEED, channels=2, scale=FIXED, time=time, distance=(6, 18)
    )
    table = tiles.table()
    assert table[["first_sample", "stop_sample"]].drop_duplicates().to_numpy().tolist() == [[3000, 6000]]
    assert table[["first_channel", "stop_channel"]].to_numpy().tolist() == [[3, 6], [6, 9]]
    outputs = whole(samples()[:, 3:9])
    assert np.isclose(
        table["mean"], [outputs[:3, 1500:3000].mean(), outputs[3:, 1500:3000].mean()], atol=0.01
    ).all()
    assert tiles.facts["selection"]["channels"] == [3, 9]


def test_fewer_channels_and_each_its_own_scale(run, folder):
    pipeline = Pipeline((Decimate(2, 5, "first"), *SEED.steps[1:]), "float64")
    tiles = das_images(run, folder / "out", pipeline=pipeline, channels=2, scale=OWN_SCALE)
    assert tiles.table()[["first_channel", "stop_channel"]].to_numpy().tolist()[:2] == [[0, 10], [10, 12]]
    outputs = whole(samples(), pipeline)
    first = tiles.table().iloc[0]
    of = Summary(first["minimum"], first["maximum"], first["mean"])
    assert np.abs(tiles.picture(0) - grey(outputs[:2, :1500], OWN_SCALE, of).astype(int)).max() <= 1
    assert np.isclose(tiles.table()["maximum"][1], outputs[2:, :1500].max(), atol=0.01)


def test_what_cannot_be_read_is_told_and_made_later(record, folder, catalog):
    for number in range(4):
        values = samples(3000 * number, 3000)
        write_prodml(folder / f"{number}.h5", 3000 * number, 3000, CHANNELS, values=values)
    run = record(*(folder / f"{number}.h5" for number in range(4)), acquisition="damaged")
    damaged = folder / "2.h5"
    content = damaged.read_bytes()
    damaged.write_bytes(content[:20_000])
    with pytest.raises(InputError, match=r"not all could be made, .*2\.h5 is no HDF5 file, or damaged"):
        das_images(run, folder / "out", pipeline=SEED, channels=4, scale=FIXED)
    open_one = catalog[job(run, folder).uid()]
    assert open_one.stop is None
    assert (
        open_one.tiles().table()["first_sample"].tolist() == [0] * 4
    )  # the next tile's filter reaches what is damaged
    with pytest.raises(InputError, match="not all could be made"):  # what tells the scale is what can be read
        das_images(run, folder / "measured", pipeline=SEED, channels=4)
    damaged.write_bytes(content)
    tiles = das_images(run, folder / "out", pipeline=SEED, channels=4, scale=FIXED)
    assert tiles.run.uid == open_one.uid
    assert tiles.run.stop is not None
    outputs = whole(samples(0, 12_000))
    assert len(tiles.table()) == 16
    order = np.lexsort(tiles.table()[["first_channel", "first_sample"]].to_numpy().T)
    means = [
        outputs[channel : channel + 3, 1500 * row :][:, :1500].mean()
        for row in range(4)
        for channel in range(0, 12, 3)
    ]
    assert np.isclose(tiles.table()["mean"].to_numpy()[order], means, atol=0.01).all()


def test_another_folder_is_refused(run, folder, catalog):
    made(job(run, folder), catalog, 20)
    with pytest.raises(InputError, match="give that folder"):
        das_images(run, folder / "other", pipeline=SEED, channels=4, scale=FIXED)
    assert not (folder / "other").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"band": (14, 120)}, "14.0 to 120.0 Hz at 200 samples a second"),
        ({"band": (35, 14)}, "expected the lower edge first"),
        ({"band": 14}, "expected two frequencies"),
        ({}, "say what is done"),
        ({"band": (14, 35), "pipeline": SEED}, "say what is done"),
        ({"pipeline": SEED, "every": 5}, "every: a pipeline has its steps"),
        ({"band": (14, 35), "median": "both"}, "expected 'distance', 'time' or 'none'"),
        ({"band": (14, 35), "window": 3.0}, "give median='time' with it"),
        ({"band": (14, 35), "tile": "soon"}, "is no duration"),
        ({"band": (14, 35), "tile": 0}, "a tile's length in seconds"),
        ({"band": (14, 35), "channels": 0}, "the number of tiles side by side"),
        ({"band": (14, 35), "distance": (900, 901)}, "no channels at distance"),
        ({"band": (14, 35), "time": ("2021-11-01T23:11", "2021-11-01T23:12")}, "has no time zone"),
        (
            {"band": (14, 35), "time": ("2021-11-02T23:11Z", "2021-11-02T23:12Z")},
            "nothing was recorded of sea in that time",
        ),
        ({"band": (14, 35), "threads": 0}, "a number of threads"),
        ({"band": (14, 35), "threads": 1, "cluster": "tcp://x"}, "give one of them"),
    ],
)
def test_what_does_not_fit_is_refused_and_makes_nothing(run, folder, catalog, options, message):
    with pytest.raises(InputError, match=message):
        das_images(run, folder / "out", **options)
    assert not (folder / "out").exists()
    assert len(catalog) == 1


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Return the address of a cluster whose two workers are processes."""
    pytest.importorskip("distributed", reason="the extra cluster is not installed")
    told = tmp_path_factory.mktemp("cluster") / "scheduler.json"
    dask, common = [sys.executable, "-m", "dask"], ["--scheduler-file", str(told)]
    commands = (
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", ":0", *common],
        [*dask, "worker", "--nworkers", "2", "--nthreads", "1", "--no-dashboard", *common],
    )
    with ExitStack() as undo:
        for command in commands:
            process = undo.enter_context(subprocess.Popen(command, stderr=subprocess.DEVNULL))
            undo.callback(process.terminate)
            until(told.exists)
        yield json.loads(told.read_text())["address"]


def until(happened):
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_cluster_gives_the_same(run, folder, catalog, cluster):
    assert made(job(run, folder, workers=Threads(1)), catalog) == 2 + 3 * 16 + 1
    with workers_of(cluster) as workers:
        assert workers.dashboard.startswith("http://127.0.0.1:")
        there = job(run, folder / "there", workers=workers)
        documents = list(there.documents())
    assert sum(name == "event" for name, _ in documents) == 16
    here = {path.name: path.read_bytes() for path in (folder / "out").rglob("*.png")}
    assert {path.name: path.read_bytes() for path in (folder / "there").rglob("*.png")} == here


def test_files_that_are_elsewhere_are_asked_of_the_server(run, folder, monkeypatch):
    here = list(DasImages(run.cable(), SEED, folder / "here", scale=FIXED).documents())
    stored = cables.Cable.stored
    monkeypatch.setattr(cables.Cable, "stored", lambda cable: replace(stored(cable), paths={}))
    there = list(DasImages(run.cable(), SEED, folder / "there", scale=FIXED).documents())
    assert len(here) == len(there)
    for path in (folder / "here").rglob("*.png"):
        other = folder / "there" / path.relative_to(folder / "here")
        assert other.read_bytes() == path.read_bytes()


def test_a_folder_that_the_server_may_not_read(run, tmp_path, monkeypatch):
    monkeypatch.setattr("tiled.client.utils.TILED_RETRY_ATTEMPTS", 1)
    tiles = das_images(run, tmp_path / "out", pipeline=SEED, channels=1, scale=FIXED)
    assert len(tiles.table()) == 4
    assert any(str(tmp_path) in note for note in map(str, tiles.run.notes))
    with pytest.raises(SetupError, match="the run's notes do, if it may not read the files"):
        tiles.picture(0)


def test_pictures_are_written_whole(run, folder):
    source = DasImages(run.cable(), SEED, folder / "out", scale=FIXED, workers=Threads(1))
    for name, doc in source.documents():
        if name == "event":
            content = (folder / "out" / doc["data"]["file"]).read_bytes()
            assert Image.open(io.BytesIO(content)).size == (256, 256)
    assert not list((folder / "out").rglob("*.part"))
