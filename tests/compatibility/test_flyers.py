"""Flyers that emit event pages, with and without files, from a RunEngine to what is read."""

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import h5py
import numpy as np
import pandas as pd
from event_model import compose_stream_resource
from ophyd.status import Status


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
