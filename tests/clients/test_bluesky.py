"""Runs that Bluesky's own writer wrote, from a RunEngine and from instruments' documents, open with our classes."""

import gzip
import json
import warnings

import bluesky.plans as bp
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky_tiled_plugins.writing.tiled_writer import TiledWriter

from tilewright.clients import Run, Stream

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning"
)  # Bluesky's writer


@pytest.fixture(scope="module")
def simulated():
    """A detector and a motor; importing them makes a directory that stays as long as the process."""
    from ophyd.sim import det, motor

    return det, motor


def test_a_scan(container, catalog, simulated):
    det, motor = simulated
    documents = []
    engine = RunEngine(context_managers=[])
    engine.subscribe(TiledWriter(container))
    engine.subscribe(lambda name, doc: documents.append((name, doc)))
    (uid,) = engine(bp.scan([det], motor, -1, 1, 5), sample="x")

    run = catalog[uid]
    assert type(run) is Run
    assert type(run["primary"]) is Stream
    events = [doc for name, doc in documents if name == "event"]
    frame = run.table(timestamps=True)
    keys = ["det", "motor", "motor_setpoint"]
    assert sorted(frame) == sorted(["seq_num", "time", *keys, *(f"ts_{key}" for key in keys)])
    assert frame["seq_num"].tolist() == [1, 2, 3, 4, 5]
    assert frame["time"].tolist() == [event["time"] for event in events]
    for key in keys:
        assert frame[key].tolist() == [event["data"][key] for event in events]
        assert frame[f"ts_{key}"].tolist() == [event["timestamps"][key] for event in events]
    dataset = run["primary"].read()
    assert dataset["motor"].to_numpy().tolist() == frame["motor"].tolist()
    assert set(run["primary"].config["device"]) == {"det", "motor"}
    (row,) = catalog.table(sample="x").to_dict("records")
    assert (row["uid"], row["plan_name"], row["streams"], row["events"]) == (uid, "scan", ["primary"], 5)


def test_images(container, catalog):
    """Large arrays in events become arrays of their own."""
    from event_model import compose_run

    run = compose_run()
    writer = TiledWriter(container)
    writer("start", run.start_doc)
    keys = {
        "x": {"source": "t", "dtype": "number", "shape": []},
        "image": {"source": "t", "dtype": "array", "shape": [8, 8]},
    }
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    writer("descriptor", stream.descriptor_doc)
    images = np.arange(3 * 64.0).reshape(3, 8, 8)
    for i, image in enumerate(images):
        data = {"x": float(i), "image": image.tolist()}
        writer("event", stream.compose_event(data=data, timestamps=dict.fromkeys(data, 2000.0 + i)))
    writer("stop", run.compose_stop())

    run = catalog[run.start_doc["uid"]]
    assert list(run.table()) == ["seq_num", "time", "x"]
    np.testing.assert_array_equal(run["primary"].read()["image"].to_numpy(), images)
    assert run["primary"].read()["image"].dims[0] == "time"


def runs(path):
    """Return the documents of each run of a file, in its order."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt") as file:
        documents = json.load(file)
    found, uid_of = {}, {}
    for name, doc in documents:
        uid = doc["uid"] if name == "start" else doc.get("run_start") or uid_of.get(doc.get("descriptor"))
        if name == "descriptor":
            uid_of[doc["uid"]] = uid
        found.setdefault(uid, []).append((name, doc))
    return found


@pytest.mark.parametrize("name", ["uid-219cc7b4.json", "uid-3ab777ae.json"])
def test_runs_of_an_instrument(container, catalog, test_data, name):
    ((uid, documents),) = runs(test_data / "documents" / name).items()
    writer = TiledWriter(container)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for document in documents:
            writer(*document)

    run = catalog[uid]
    streams = {doc["uid"]: doc["name"] for kind, doc in documents if kind == "descriptor"}
    assert sorted(run.streams) == sorted(set(streams.values()))
    compared = 0
    for stream in run.streams:
        events = [doc for kind, doc in documents if kind == "event" and streams[doc["descriptor"]] == stream]
        last = {event["seq_num"]: event for event in events}
        frame = run.table(stream, timestamps=True)
        assert frame["seq_num"].tolist() == list(last)
        for key in frame.columns.intersection(list(events[0]["data"]) if events else []):
            for value, event in zip(frame[key], last.values(), strict=True):
                np.testing.assert_array_equal(value, event["data"][key])
                compared += 1
    assert compared > 90
