"""Our runs in the hands of Bluesky's clients: they see what they see of the same run written by Bluesky's writer."""

import copy
import json
import uuid
from collections.abc import Mapping

import bluesky.plans as bp
import pytest
from bluesky_tiled_plugins.clients.bluesky_event_stream import BlueskyEventStreamV3
from bluesky_tiled_plugins.clients.bluesky_run import BlueskyRunV3
from bluesky_tiled_plugins.clients.catalog_of_bluesky_runs import CatalogOfBlueskyRuns
from bluesky_tiled_plugins.writing.tiled_writer import TiledWriter as BlueskyWriter
from event_model import unpack_event_page

from tilewright.testing.contract import streams_of_one_run
from tilewright.testing.documents import run_of, simple_run

from .structure_clients import bluesky_clients

# What is different on purpose, and why.
OURS_IN_THE_RUN = {"tilewright", "notes"}
"""Our report of the delivery. Both writers' `notes` say the same in other words."""
OURS_IN_THE_STREAM = {"name", "run_start", "object_keys"}
"""Bluesky's writer drops these; a descriptor is kept as it came."""
THEIRS_IN_A_DATA_KEY = {"object_name", "dtype_numpy"}
"""Bluesky's writer adds the device (known from object_keys) and a guess where the descriptor gives no dtype."""
NOT_COMPARED = {
    "a column without any value": "the descriptor's type here, text in Bluesky's: they infer it from the values",
    "a list of strings": "a column of lists here, an array of its own in Bluesky's: theirs reads as an array",
    "a data key called time": "`time_` in both tables; Bluesky's writer renames it in the descriptor too",
    "a value that fits no column": "Bluesky's writer raises, and the run has neither rows nor stop document",
    "a file of unknown mimetype": "Bluesky's writer raises; here it is bytes, which their read() must not be asked for",
}

COLUMNS = {
    "scalars": {
        "x": [0.5, float("nan")],
        "n": [1, -(2**60) - 1],
        "Big": [2**53 + 1, 0],
        "s": ["µm", ""],
        "b": [True, False],
    },
    "lists": {
        "v": [[1.0, 2.5], [3.0, 4.5]],
        "i": [[1, 2], [3, 2**62 + 1]],
        "m": [[[1.0, 2.0]], [[5.0, 6.0]]],
    },
    "gaps": {"x": [None, 0.5], "n": [2**60 + 1, None], "b": [None, True], "s": [None, "a"]},
    "float after int": {"n": [1, 2.5, 3]},
}
RUNS = {name: run_of(columns, dtypes={"n": "<i8"}) for name, columns in COLUMNS.items()} | {
    "streams": streams_of_one_run("primary", "baseline"),
    "descriptors": streams_of_one_run("primary", "primary"),
    "a page": simple_run(paged=True),
    "no descriptor": [document for document in simple_run(events=0) if document[0] != "descriptor"],
}


@pytest.fixture
def bluesky_catalog(container):
    """Return a function that opens the catalog with Bluesky's clients."""
    return lambda: container.new_variation(structure_clients=bluesky_clients())


def with_other_uids(documents):
    """Return the same documents under other uids, and the old uid of each new one."""
    uids = [
        uid for _, doc in documents for uid in ([doc["uid"]] if isinstance(doc["uid"], str) else doc["uid"])
    ]
    old_of = {str(uuid.uuid4()): uid for uid in uids}
    return json.loads(rename(json.dumps(documents), {old: new for new, old in old_of.items()})), old_of


def rename(text, names):
    for old, new in names.items():
        text = text.replace(old, new)
    return text


def written_by_both(documents, write, container, bluesky_catalog):
    """Write a run with both writers; return each as Bluesky's client has it, and the uids of ours by theirs."""
    other, names = with_other_uids(documents)
    write(documents)
    writer = BlueskyWriter(container)
    for name, doc in copy.deepcopy(other):
        writer(name, doc)
    catalog = bluesky_catalog()
    return catalog[documents[0][1]["uid"]], catalog[other[0][1]["uid"]], names


def same_uids(value, names, without):
    """Return a value as JSON has it, under the uids of `names`, without some keys at any depth."""
    return json.loads(
        rename(json.dumps(as_dicts(value)), names),
        object_hook=lambda found: {key: item for key, item in found.items() if key not in without},
    )


def as_dicts(value):
    if isinstance(value, Mapping):
        return {key: as_dicts(item) for key, item in value.items()}
    return value if isinstance(value, (str, int, float, type(None))) else [as_dicts(item) for item in value]


def as_text(value):
    return json.dumps(value, sort_keys=True)  # NaN is NaN


def rows(document):
    """Return the events of a document."""
    kind, doc = document
    return list(unpack_event_page(doc)) if kind == "event_page" else [doc] if kind == "event" else []


def values(array):
    """Return type and values of an array in a form that can be compared: NaN is NaN, 1 is not 1.0."""
    return str(array.dtype), repr(array.tolist())


def dataset(read):
    return {name: (variable.dims, values(variable.values)) for name, variable in read.variables.items()}


def look(run):
    """Return all that Bluesky's client shows of a run's data."""
    return {
        "streams": list(run),
        "columns": {name: list(run[name]) for name in run},
        "read": {name: dataset(run[name].read()) for name in run},
        "keys": {key: values(client.read()) for name in run for key, client in data_clients(run[name])},
    }


def data_clients(stream):
    return [(f"{stream.item['id']}/{key}", stream[key]) for key in stream.metadata["data_keys"]]


def look_v2(run):
    return {
        name: {part: dataset(run.v2[name][part].read()) for part in ("data", "timestamps")} for name in run
    }


@pytest.mark.parametrize("name", RUNS)
def test_a_run(name, write, container, bluesky_catalog):
    """Columns and their order, values and their types, start, stop, descriptors, and the documents made of it."""
    ours, theirs, names = written_by_both(RUNS[name], write, container, bluesky_catalog)
    assert type(ours) is type(theirs) is BlueskyRunV3
    assert all(type(ours[stream]) is BlueskyEventStreamV3 for stream in ours)
    seen = look(ours)
    assert seen == look(theirs)
    assert bool(seen["read"]) == any(document == "descriptor" for document, _ in RUNS[name])

    assert same_uids(ours.metadata, names, OURS_IN_THE_RUN) == same_uids(theirs.metadata, names, {"notes"})
    assert (ours.start, ours.stop) == (RUNS[name][0][1], RUNS[name][-1][1])
    for stream in ours:
        mine = same_uids(ours[stream].metadata, names, OURS_IN_THE_STREAM | THEIRS_IN_A_DATA_KEY)
        assert mine == same_uids(theirs[stream].metadata, names, THEIRS_IN_A_DATA_KEY)

    exported, theirs_exported = list(ours.documents()), list(theirs.documents())
    different = THEIRS_IN_A_DATA_KEY | {"object_keys"}  # rebuilt from `object_name`
    assert as_text(same_uids(exported, names, different)) == as_text(
        same_uids(theirs_exported, names, different)
    )
    order = [list(doc["data"]) for kind, doc in exported if kind == "event"]
    assert order == [list(doc["data"]) for kind, doc in theirs_exported if kind == "event"]
    assert len(order) == sum(len(rows(document)) for document in RUNS[name])


def test_no_events(write, bluesky_catalog):
    documents = simple_run(events=0, keys=1)
    write(documents)
    run = bluesky_catalog()[documents[0][1]["uid"]]
    assert list(run) == ["primary"]
    assert not any(variable.size for variable in run["primary"].read().variables.values())
    assert [kind for kind, _ in run.documents()] == ["start", "descriptor", "stop"]


def test_a_run_engine(write, container, bluesky_catalog, run_engine, detectors):
    documents = []
    run_engine.subscribe(lambda name, doc: documents.append((name, copy.deepcopy(doc))))
    run_engine(bp.scan([detectors.det, detectors.det1], detectors.motor, -5, 5, 10), sample="copper")
    # Without numpy's scalars, which a comparison of documents would have to know.
    documents = json.loads(json.dumps(documents, default=float))
    ours, theirs, _ = written_by_both(documents, write, container, bluesky_catalog)
    assert look(ours) == look(theirs)
    assert look_v2(ours) == look_v2(theirs)
    v2 = ours.v2["primary"]
    config = {device: dataset(client.read()) for device, client in v2["config"].items()}
    assert config == {
        device: dataset(client.read()) for device, client in theirs.v2["primary"]["config"].items()
    }
    assert config["det"]

    mine = json.loads(json.dumps(dict(ours["primary"].metadata["data_keys"])))
    for key, spec in dict(theirs["primary"].metadata["data_keys"]).items():
        assert mine[key] == {k: v for k, v in spec.items() if k not in THEIRS_IN_A_DATA_KEY or k in mine[key]}
    assert [doc["data"] for kind, doc in ours.documents() if kind == "event"] == [
        doc["data"] for kind, doc in documents if kind == "event"
    ]
    (descriptor,) = ours["primary"].descriptors
    assert descriptor["object_keys"] == documents[1][1]["object_keys"]
    assert descriptor["configuration"] == documents[1][1]["configuration"]


def test_finding_a_run(write, bluesky_catalog):
    """By scan_id, by part of the uid, and as the last one."""
    first, last = simple_run(scan_id=1), simple_run(scan_id=2)
    write([*first, *last])
    catalog = bluesky_catalog()
    assert type(catalog) is CatalogOfBlueskyRuns
    uid = first[0][1]["uid"]
    assert catalog[1].start["uid"] == catalog[uid[:8]].start["uid"] == uid
    assert catalog[-1].start["scan_id"] == 2
    assert len(catalog) == 2


def test_validation_by_bluesky(write, bluesky_catalog):
    """Bluesky's own check of a run's integrity finds nothing."""
    from bluesky_tiled_plugins.writing.validator import validate

    documents = simple_run()
    write(documents)
    assert validate(bluesky_catalog()[documents[0][1]["uid"]], fix_errors=False, raise_on_error=True)


def test_a_file_of_unknown_mimetype(write, bluesky_catalog, file_run):
    """See NOT_COMPARED; what is not bytes can be read by name."""
    documents = file_run("application/x-nobody", "file://localhost/elsewhere/a.bin", {})
    write(documents)
    stream = bluesky_catalog()[documents[0][1]["uid"]]["primary"]
    assert values(stream.read(["x"])["x"].values) == ("float64", "[0.0, 1.0, 2.0]")


def test_files_that_come_after_their_documents(late_files, bluesky_catalog, equal):
    for uid, there in late_files:
        run = bluesky_catalog()[uid]
        assert isinstance(run, BlueskyRunV3)
        equal(run["primary"]["img"], there)
