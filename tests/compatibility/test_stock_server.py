"""Our writer and our clients with a Tiled server that has nothing of ours.

What is written is stored there as it is here, except that a NaN in a list is stored as null, and a whole number
beside a null in a list is right up to 2**53 only: Tiled turns what it receives into pandas, where lists are NumPy
arrays.

Reading is another matter, whatever we send. Tiled reads its tables through NumPy, so whole numbers beside a null
come as floats (exact up to 2**53; our clients give them their type back, and warn past that), a null among floats
comes as NaN, and a list of any type with a null in it as above. One server for reads and appends at the same time,
with its tables in DuckDB, may end by a segmentation fault: nothing here reads while it writes.
"""

import math
import shutil
import uuid

import duckdb
import pytest
from tiled.client import from_uri

from tilewright import TiledWriter, open_catalog
from tilewright.testing.contract import streams_of_one_run
from tilewright.testing.documents import run_of, simple_run
from tilewright.testing.expected import compare_runs


@pytest.fixture(scope="module")
def stock_client(stock):
    client = from_uri(stock)
    yield client
    client.context.close()


@pytest.fixture
def container(stock_client):
    return stock_client.create_container(f"c{uuid.uuid4().hex[:8]}")


@pytest.fixture
def write(container):
    """Return a function that writes documents, and fails unless all is delivered within 10 s."""
    with TiledWriter(container, strict=True, on_stop="return") as writer:

        def write(documents):
            for name, doc in documents:
                writer(name, doc)
            assert writer.flush(10), writer.status().last_error
            assert writer.status().failed == {}

        yield write
        writer.close(0)


@pytest.fixture
def stored(container, stock_home, tmp_path):
    """Return a function that reads a column of a run in a copy of the server's database."""

    def read(uid, column, stream="primary"):
        node = container.new_variation(include_data_sources=True)[uid][stream].base["internal"]
        parameters = node.data_sources()[0].parameters
        for path in stock_home.glob("tables.duckdb*"):
            shutil.copy(path, tmp_path)
        with duckdb.connect(str(tmp_path / "tables.duckdb")) as database:
            query = (
                f'SELECT "{column}" FROM "{parameters["table_name"]}" WHERE _dataset_id = ? ORDER BY rowid'
            )
            return [value for (value,) in database.execute(query, [parameters["dataset_id"]]).fetchall()]

    return read


RUNS = {
    "scalars": run_of({"n": [1, 2**62 + 1], "b": [True, False], "s": ["a", "µm"], "Big": [0.5, math.nan]}),
    "gaps": run_of(
        {"x": [None, 0.5], "n": [None, 2**53 - 1], "b": [None, True], "s": [None, "a"], "v": [None, [0.5]]}
    ),
    "nothing": run_of({"x": [None, None], "n": [None, None]}, dtypes={"n": "<i8"}),
    "lists": run_of({"v": [[1.0, math.nan], [2.0, 3.0]], "i": [[1, 2**62], [3, 4]], "s": [["a"], ["b"]]}),
    "a page": simple_run(paged=True),
    "wider": run_of({"n": [1, 2, 2.5, None]}, dtypes={"n": "<i8"}),
    "rejected": run_of(
        {"x": [0.5, "out of range", 2.5], "n": [1, 2**70, 3]}, dtypes={"x": "<f8", "n": "<i8"}
    ),
    "attempts": run_of({"row": list(range(5))}, seq_nums=[1, 2, 2, 3, 3]),
    "descriptors": streams_of_one_run("primary", "primary", "baseline"),
    "no events": simple_run(events=0, keys=1),
    "no descriptor": [document for document in simple_run(events=0) if document[0] != "descriptor"],
}


@pytest.mark.parametrize("name", RUNS)
def test_written_and_read_back(name, write, container):
    write(RUNS[name])
    assert compare_runs(RUNS[name], open_catalog(container).__getitem__) == []


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("<i8", [2**60 + 1, None, -(2**63) + 1]),
        ("<i8", [None, 2**63 - 1]),
        ("<u8", [2**64 - 1, None, 3]),
        ("<u1", [255, None, 0]),
        ("|b1", [True, None, False]),
        ("<f8", [0.1, None, math.nan, math.inf]),
        ("<f4", [0.5, None, math.nan]),
        ("<U9", ["a", None, ""]),
        ("<i8", [None, None]),
    ],
)
def test_scalars_are_stored_as_they_are(dtype, values, write, stored):
    """Beside a null too, where pandas would make floats of whole numbers and NaN of null."""
    documents = run_of({"x": values}, dtypes={"x": dtype})
    write(documents)
    assert repr(stored(documents[0][1]["uid"], "x")) == repr(values)


def test_lists_are_stored_as_they_are(write, stored):
    columns = {
        "i": [[2**62 + 1, 2], None],
        "v": [None, [0.1, math.inf]],
        "s": [["a", "b"], None],
        "m": [[[1], [2]], None],
    }
    documents = run_of(columns)
    write(documents)
    for key, values in columns.items():
        assert repr(stored(documents[0][1]["uid"], key)) == repr(values)


def test_past_what_a_float_holds(write, container):
    """Stored as it is (above), and said to be inexact when it is read."""
    documents = run_of({"n": [2**60 + 1, None]})
    write(documents)
    run = open_catalog(container)[documents[0][1]["uid"]]
    with pytest.warns(UserWarning, match="past 2\\*\\*53"):
        assert run.table()["n"][0] == float(2**60)


def test_an_empty_table_outlives_the_widening_of_another(write, container):
    """Tables of one schema share one table of the database, which Tiled drops with the last rows in it."""
    empty = run_of({"shared": []}, dtypes={"shared": "<i8"})
    wider = run_of({"shared": [1]}, dtypes={"shared": "<i8"})
    write(empty)
    *_, (name, event), stop = wider
    write(wider[:-1])
    write([(name, event | {"uid": str(uuid.uuid4()), "seq_num": 2, "data": {"shared": 2.5}}), stop])
    catalog = open_catalog(container)
    assert catalog[wider[0][1]["uid"]].table()["shared"].tolist() == [1.0, 2.5]
    assert len(catalog[empty[0][1]["uid"]].table()) == 0
