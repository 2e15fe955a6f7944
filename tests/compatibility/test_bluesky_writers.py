"""Runs that Bluesky's two writers wrote, in the hands of our clients: they hold what the documents say."""

import copy
import json

import bluesky.plans as bp
import pytest
from bluesky.callbacks.tiled_writer import TiledWriter as CoreWriter
from bluesky_tiled_plugins.writing.tiled_writer import TiledWriter as PluginsWriter

from tilewright.clients import Run, Stream
from tilewright.testing.contract import streams_of_one_run
from tilewright.testing.documents import run_of, simple_run
from tilewright.testing.expected import compare_runs

pytestmark = pytest.mark.filterwarnings(
    "ignore:The order of arguments has changed:DeprecationWarning"
)  # CoreWriter

WRITERS = {"bluesky": CoreWriter, "bluesky_tiled_plugins": PluginsWriter}

# Not here: what Bluesky's writers cannot keep (a text among numbers, an int past 64 bits, a gap before the first
# value of a batch of its own), and the streams they make no table for (no events).
COLUMNS = {
    "n": [1, 2**62 + 1, -1],
    "b": [True, False, True],
    "s": ["a", "µm", ""],
    "Big": [0.5, 1.5, float("inf")],
    "v": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
    "i": [[1, 2], [3, 2**62 + 1], [5, 6]],
    "wider": [1, 2.5, 3],
    "x_gap": [None, 0.5, None],
    "n_gap": [2**60 + 1, None, 3],
    "b_gap": [True, None, False],
    "s_gap": [None, "a", None],
}
RUNS = {
    "columns": run_of(COLUMNS, dtypes={"wider": "<i8"}),
    "attempts": run_of({"row": list(range(7))}, seq_nums=[1, 2, 3, 2, 3, 3, 4]),
    "streams": streams_of_one_run("primary", "baseline", "monitor"),
    "descriptors": streams_of_one_run("primary", "primary"),
    "a page": simple_run(paged=True),
    "no descriptor": [document for document in simple_run(events=0) if document[0] != "descriptor"],
}


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("writer", WRITERS)
def test_hand_made_runs(writer, name, container, catalog):
    write = WRITERS[writer](container)
    for document, doc in copy.deepcopy(RUNS[name]):
        write(document, doc)
    assert compare_runs(RUNS[name], catalog.__getitem__) == []


@pytest.mark.parametrize("writer", WRITERS)
def test_a_run_engine(writer, container, catalog, run_engine, detectors):
    documents = []
    run_engine.subscribe(lambda name, doc: documents.append((name, copy.deepcopy(doc))))
    run_engine.subscribe(WRITERS[writer](container))
    (uid,) = run_engine(bp.scan([detectors.det, detectors.det1], detectors.motor, -5, 5, 10))
    run = catalog[uid]
    assert type(run) is Run
    assert type(run["primary"]) is Stream
    assert sorted(run.table()) == sorted(["seq_num", "time", *documents[1][1]["data_keys"]])
    for document, doc in documents:
        if document == "descriptor":  # Bluesky's writers order the columns by their own set of keys
            order = [key for key in run.table() if key in doc["data_keys"]]
            doc["data_keys"] = {key: doc["data_keys"][key] for key in order}
    assert compare_runs(documents, catalog.__getitem__) == []


def test_recorded_documents(test_data, container, catalog):
    """A run of a beamline, by the newer of the writers."""
    documents = json.loads((test_data / "documents" / "uid-219cc7b4.json").read_text())
    write = PluginsWriter(container)
    for document, doc in copy.deepcopy(documents):
        write(document, doc)
    run = catalog[documents[0][1]["uid"]]
    assert run.start == documents[0][1]
    assert len(run.streams) == len({doc["name"] for document, doc in documents if document == "descriptor"})
    values = [d for d in compare_runs(documents, catalog.__getitem__) if "order" not in d]
    assert values == []
