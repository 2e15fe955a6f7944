"""Documents in the orders and forms that older instruments emit them in, from the writer to the reader."""

import copy

import numpy as np
import pytest
from event_model import compose_run, pack_datum_page

from tilewright.testing.contract import streams_of_one_run
from tilewright.testing.documents import simple_run
from tilewright.testing.expected import compare_runs

SHAPE = (4, 5)


def frame(run, number):
    """Return an image that says which run and which event it belongs to."""
    return np.full(SHAPE, 100.0 * run + number)


@pytest.fixture
def legacy_run(files, tmp_path_factory):
    """Return a function that makes a run with Resource and Datums, and its files."""

    def make(number, events=3):
        place = files / f"run{number}-{tmp_path_factory.mktemp('x').name}"
        place.mkdir()
        run = compose_run()
        keys = {
            "x": {"source": "test", "dtype": "number", "shape": []},
            "img": {"source": "test", "dtype": "array", "shape": list(SHAPE), "external": "FILESTORE:"},
        }
        stream = run.compose_descriptor(name="primary", data_keys=keys)
        resource = run.compose_resource(
            spec="NPY_SEQ", root=str(place), resource_path="a", resource_kwargs={}
        )
        documents = {"open": [("start", run.start_doc), ("descriptor", stream.descriptor_doc)]}
        documents["resource"] = [("resource", resource.resource_doc)]
        documents["datum"], documents["event"] = [], []
        for row in range(events):
            np.save(place / f"a_{row}.npy", frame(number, row))
            datum = resource.compose_datum(datum_kwargs={"index": row})
            data = {"x": float(row), "img": datum["datum_id"]}
            event = stream.compose_event(
                data=data, timestamps=dict.fromkeys(data, 1000.0), filled={"img": False}
            )
            documents["datum"].append(("datum", datum))
            documents["event"].append(("event", event))
        documents["close"] = [("stop", run.compose_stop())]
        return documents

    return make


def assert_images(catalog, parts, number):
    run = catalog[parts["open"][0][1]["uid"]]
    assert run.notes == []
    expected = [frame(number, row) for row in range(len(parts["event"]))]
    np.testing.assert_array_equal(run["primary"]["img"].read(), expected)
    assert run.table()["x"].tolist() == [float(row) for row in range(len(expected))]


def without_run_start(documents):
    return [(name, {k: v for k, v in doc.items() if k != "run_start"}) for name, doc in documents]


def paged(datums):
    return [("datum_page", pack_datum_page(*(doc for _, doc in datums)))]


ORDERS = ["open", "resource", "datum", "event"], ["open", "event", "resource", "datum"]


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
@pytest.mark.parametrize("pages", [False, True], ids=["datums", "datum_page"])
@pytest.mark.parametrize("named", [True, False], ids=["run_start", "no-run_start"])
def test_resource_and_datum(order, pages, named, write, catalog, legacy_run):
    parts = legacy_run(1)
    given = parts | ({} if named else {"resource": without_run_start(parts["resource"])})
    given |= {"datum": paged(parts["datum"])} if pages else {}
    write([document for part in [*order, "close"] for document in given[part]])
    assert_images(catalog, parts, 1)


@pytest.mark.parametrize("named", [True, False], ids=["run_start", "no-run_start"])
def test_interleaved_runs_with_files(named, write, catalog, legacy_run):
    """A resource that names no run may belong to any that is going on, and so may its datums."""
    one, other = legacy_run(1), legacy_run(2)
    for part in ("open", "resource", "datum", "event", "close"):
        for parts in (one, other):
            unnamed = part == "resource" and not named
            write(without_run_start(parts[part]) if unnamed else parts[part])
    assert catalog[one["open"][0][1]["uid"]].table()["x"].tolist() == [0.0, 1.0, 2.0]
    np.testing.assert_array_equal(
        catalog[one["open"][0][1]["uid"]]["primary"]["img"].read(), [frame(1, row) for row in range(3)]
    )
    np.testing.assert_array_equal(
        catalog[other["open"][0][1]["uid"]]["primary"]["img"].read(), [frame(2, row) for row in range(3)]
    )


def test_several_descriptors_with_files(write, catalog, legacy_run):
    """The configuration changes in mid-run; the files go on."""
    parts = legacy_run(1)
    later = copy.deepcopy(parts["open"][1][1]) | {"uid": "later", "time": 2e9}
    later["configuration"] = {"camera": {"data": {"gain": 2}, "timestamps": {"gain": 2e9}, "data_keys": {}}}
    events = copy.deepcopy(parts["event"])
    for _, doc in events[1:]:
        doc["descriptor"] = "later"
    write(
        [*parts["open"], *parts["resource"], *parts["datum"], events[0], ("descriptor", later), *events[1:]]
    )
    write(parts["close"])
    assert_images(catalog, parts, 1)
    config = catalog[-1]["primary"].config
    assert config[["device", "key", "value", "since"]].to_numpy().tolist() == [["camera", "gain", 2, 2e9]]


def test_interleaved_runs_of_several_streams(write, catalog):
    one, other = streams_of_one_run("primary", "baseline", "primary"), streams_of_one_run("a", "primary", "a")
    documents = [document for pair in zip(one, other, strict=True) for document in pair]
    write(documents)
    assert compare_runs(documents, catalog.__getitem__) == []
    updates = catalog[one[0][1]["uid"]]["primary"].config
    assert updates["value"].tolist() == [0, 2]


def test_runs_one_within_the_other(write, catalog):
    outer, inner = simple_run(scan_id=1), simple_run(scan_id=2, paged=True)
    documents = [*outer[:5], *inner, *outer[5:]]
    write(documents)
    assert compare_runs(documents, catalog.__getitem__) == []
    assert catalog.table()["scan_id"].tolist() in ([1, 2], [2, 1])
