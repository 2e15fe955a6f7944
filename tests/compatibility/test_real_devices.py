"""Devices of ophyd, and flyers, from a RunEngine to what is read: equal to their files, and to what Bluesky's writer has."""

import itertools
from pathlib import Path

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import h5py
import numpy as np
import pandas as pd
import pytest
from bluesky.run_engine import RunEngineInterrupted
from event_model import compose_stream_resource
from ophyd.status import Status


def picture(number):
    """Return a picture whose values count on from picture to picture."""
    return np.arange(number * 20, number * 20 + 20, dtype="<f8").reshape(4, 5)


@pytest.fixture
def camera(detectors, files, tmp_path):
    """A camera whose first file has picture 1: ophyd takes number 0 when the device is made."""
    place = files / f"npy-{tmp_path.name}"
    place.mkdir()
    numbers = itertools.count()
    return detectors.SynSignalWithRegistry(
        func=lambda: picture(next(numbers)), name="camera", save_path=str(place)
    )


def written_by(camera):
    """Return the paths of a camera's files in the order of writing: their pictures count on."""
    return sorted(Path(camera.save_path).glob("*.npy"), key=lambda path: np.load(path)[0, 0])


def stacked(paths):
    return np.stack([np.load(path) for path in paths])


def test_cameras_in_a_scan(record, detectors, camera, files, monkeypatch, equal, same_as_bluesky):
    place = files / "img"
    place.mkdir()
    monkeypatch.setattr(detectors.img, "save_path", str(place))
    run, theirs, documents = record(
        bp.scan([detectors.img, camera, detectors.det], detectors.motor, -1, 1, 4)
    )
    assert [name for name, _ in documents].count("datum") == 2 * 4
    stream = run["primary"]
    equal(stream["camera"], stacked(written_by(camera)))
    equal(stream["img"], stacked(place.glob("*.npy")))
    same_as_bluesky(run, theirs)

    assert list(run.table()) == ["seq_num", "time", "det", "motor", "motor_setpoint"]
    dataset = stream.read()
    assert dict(dataset.sizes)["time"] == 4
    np.testing.assert_array_equal(dataset["camera"], [picture(n) for n in range(1, 5)])
    assets = run.assets().query("data_key == 'camera'")
    assert assets["path"].tolist() == [str(path) for path in written_by(camera)]
    assert assets["exists"].all()
    assert run.notes == []


def test_pictures_in_events(record, detectors):
    """`direct_img` writes no files."""
    run, theirs, _ = record(bp.count([detectors.direct_img], 3))
    pictures = run["primary"].read()["img"]
    assert (pictures.dtype, dict(pictures.sizes)) == ("float64", {"time": 3, "img_dim1": 10, "img_dim2": 10})
    np.testing.assert_array_equal(pictures, np.ones((3, 10, 10)))
    np.testing.assert_array_equal(pictures, theirs["primary"].read()["img"])
    assert run.notes == []


def test_a_camera_in_the_baseline(record, camera, detectors, equal):
    """One staging: the files of a Resource go to two streams, and none is in both."""
    plan = bpp.baseline_wrapper(bp.count([camera, detectors.det], 3), [camera])
    run, theirs, documents = record(plan)
    assert [name for name, _ in documents].count("resource") == 1
    paths = written_by(camera)
    equal(run["baseline"]["camera"], stacked([paths[0], paths[4]]))
    equal(run["primary"]["camera"], stacked(paths[1:4]))
    assert run.notes == []
    for name in ("baseline", "primary"):
        assert run[name]["camera"].structure() == theirs[name]["camera"].structure()
        assert run[name].read().sizes["time"] == len(run.table(name))
    # Bluesky's writer goes by the events' seq_num, and has the first files in both streams.
    equal(theirs["primary"]["camera"], stacked(paths[:3]))
    equal(theirs["baseline"]["camera"], stacked(paths[:2]))


def test_an_event_that_is_taken_again(record, camera, run_engine, catalog, equal):
    """The plan is interrupted and rewound: the camera's next file belongs to the same event."""
    times = itertools.count()

    @bpp.stage_decorator([camera])
    @bpp.run_decorator()
    def plan():
        for event in range(3):
            yield from bps.checkpoint()
            yield from bps.trigger_and_read([camera])
            if event == 1 and next(times) == 0:
                yield from bps.pause()

    with pytest.raises(RunEngineInterrupted):
        record(plan())
    (uid,) = run_engine.resume()
    run = catalog[uid]
    paths = written_by(camera)
    assert len(paths) == 4
    equal(run["primary"]["camera"], stacked(paths))
    np.testing.assert_array_equal(run["primary"].read()["camera"], stacked([paths[0], paths[2], paths[3]]))
    assert run.table(attempts=True)["seq_num"].tolist() == [1, 2, 2, 3]
    assert run.notes == ["'camera' has 4 rows in its files for 3 different seq_nums."]


def test_a_camera_staged_twice(record, camera, detectors, equal):
    """Each staging has another Resource, whose files are counted from 0."""

    def plan():
        yield from bps.open_run()
        for events in (2, 3):
            yield from bps.stage(camera)
            yield from bps.repeat(lambda: bps.trigger_and_read([camera, detectors.det]), events)
            yield from bps.unstage(camera)
        yield from bps.close_run()

    # Bluesky's writer raises at the second Resource of a data key, for lack of a template.
    run, _, documents = record(plan(), bluesky=False)
    assert [name for name, _ in documents].count("resource") == 2
    equal(run["primary"]["camera"], stacked(written_by(camera)))
    assert run["primary"].read().sizes["time"] == 5
    assert run.notes == []


def finished():
    status = Status()
    status.set_finished()
    return status


class PageFlyer:
    """A flyer whose values are collected as pages, two of them at each collection."""

    name = "flyer"
    parent = None

    def __init__(self):
        self.taken = 0
        self.rows = {"n": [], "x": [], "label": []}

    def kickoff(self):
        return finished()

    def complete(self):
        return finished()

    def read_configuration(self):
        return {"gain": {"value": 3, "timestamp": 1.0}}

    def describe_configuration(self):
        return {"gain": {"source": "sim", "dtype": "integer", "shape": []}}

    def describe_collect(self):
        source = {"source": "sim", "shape": []}
        keys = {
            "n": {**source, "dtype": "integer", "dtype_numpy": "<i8"},
            "x": {**source, "dtype": "number", "dtype_numpy": "<f8"},
            "label": {**source, "dtype": "string"},
        }
        return {"flying": keys}

    def collect_pages(self):
        for events in (3, 2):
            numbers = [self.taken + n for n in range(events)]
            self.taken += events
            data = {"n": numbers, "x": [n / 4 for n in numbers], "label": [f"no. {n}" for n in numbers]}
            for key, column in data.items():
                self.rows[key] += column
            stamps = {key: [1000.0 + n for n in numbers] for key in data}
            yield {"data": data, "timestamps": stamps, "time": stamps["n"], "seq_num": numbers}


class FileFlyer(PageFlyer):
    """One that also writes a trace for each event to an HDF5 file."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.traces = compose_stream_resource(
            mimetype="application/x-hdf5",
            uri=f"file://localhost{path}",
            data_key="trace",
            parameters={"dataset": "/traces", "chunk_shape": [2, 8]},
        )

    def describe_collect(self):
        (keys,) = super().describe_collect().values()
        trace = {"source": "sim", "dtype": "array", "dtype_numpy": "<i4", "shape": [8], "external": "STREAM:"}
        return {**keys, "trace": trace}

    def collect_asset_docs(self):
        events = self.taken + 5
        with h5py.File(self.path, "w", libver="latest") as file:
            file.create_dataset(
                "traces", data=np.arange(events * 8, dtype="<i4").reshape(events, 8), chunks=(2, 8)
            )
        if not self.taken:
            yield "stream_resource", self.traces.stream_resource_doc
        yield "stream_datum", self.traces.compose_stream_datum({"start": self.taken, "stop": events})


def assert_pages(run, flyer, documents):
    pages = [doc for name, doc in documents if name == "event_page"]
    assert "event" not in [name for name, _ in documents]
    assert [len(page["seq_num"]) for page in pages] == [3, 2] * (len(pages) // 2)
    table = run.table("flying", timestamps=True)
    assert table["seq_num"].tolist() == list(range(1, flyer.taken + 1))
    for key, column in flyer.rows.items():
        assert table[key].tolist() == column
        assert table[f"ts_{key}"].tolist() == [1000.0 + n for n in range(flyer.taken)]
    assert table.dtypes.astype(str).to_dict().items() >= {"n": "int64", "x": "float64"}.items()
    assert run["flying"].config.to_numpy().tolist()[0][:3] == ["flyer", "gain", 3]
    assert run.notes == []


def test_a_flyer_of_pages(record):
    flyer = PageFlyer()
    run, theirs, documents = record(bp.fly([flyer]))
    assert_pages(run, flyer, documents)
    pd.testing.assert_frame_equal(run.table("flying"), theirs.table("flying")[list(run.table("flying"))])
    dataset = run["flying"].read()
    assert dict(dataset.sizes) == {"time": 5}


def test_a_flyer_of_pages_and_files(record, files, equal, same_as_bluesky):
    flyer = FileFlyer(files / "traces.h5")

    def plan():
        yield from bps.open_run()
        yield from bps.declare_stream(flyer, name="flying", collect=True)
        for _ in range(2):
            yield from bps.kickoff(flyer, wait=True)
            yield from bps.complete(flyer, wait=True)
            yield from bps.collect(flyer, name="flying", return_payload=False)
        yield from bps.close_run()

    run, theirs, documents = record(plan())
    with h5py.File(flyer.path) as file:
        traces = file["traces"][:]
    equal(run["flying"]["trace"], traces)
    assert_pages(run, flyer, documents)
    same_as_bluesky(run, theirs)
    dataset = run["flying"].read()
    assert dict(dataset.sizes) == {"time": 10, "trace_dim1": 8}


def test_the_flyer_of_ophyd(record, detectors):
    """Its values come as events, which the RunEngine makes a page of."""
    run, theirs, documents = record(bp.fly([detectors.flyer2]))
    (page,) = [doc for name, doc in documents if name == "event_page"]
    table = run.table("flyer2")
    for key, column in page["data"].items():
        assert table[key].tolist() == column
    pd.testing.assert_frame_equal(table, theirs.table("flyer2")[list(table)])
    assert len(table) == 10
    assert run.notes == []
