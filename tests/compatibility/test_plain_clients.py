"""Our runs in the hands of Tiled's client, with our package's entry points and without."""

import numpy as np
import pytest
from tiled.client import from_uri
from tiled.client.container import Container

from tilewright.clients import Run, Stream
from tilewright.testing.documents import run_of, simple_run

from .structure_clients import plain_clients


@pytest.fixture
def bare(container):
    """The catalog as a Tiled shows it that knows nobody's special clients."""
    return container.new_variation(structure_clients=plain_clients())


def test_entry_points(write, server, container):
    documents = simple_run()
    write(documents)
    uid = documents[0][1]["uid"]
    client = from_uri(server.uri)
    run = client[container.item["id"]][uid]
    assert type(run) is Run
    assert type(run["primary"]) is Stream
    assert run.table()["x0"].tolist() == [event["data"]["x0"] for name, event in documents if name == "event"]
    client.context.close()


def test_numpy_types(write, bare):
    columns = {"x": [0.5, 1.5], "n": [1, 2**62 + 1], "b": [True, False], "s": ["a", "b"]}
    documents = run_of(columns)
    write(documents)
    run = bare[documents[0][1]["uid"]]
    assert type(run) is Container
    table = run["primary"].base["internal"].read()
    assert list(table) == ["seq_num", "time", *columns, *(f"ts_{key}" for key in columns)]
    for key, values in columns.items():
        assert table[key].tolist() == values
    numeric = ["seq_num", "time", "x", "n", "b", "ts_x"]
    assert [table[key].dtype for key in numeric] == [*map(np.dtype, ["i8", "f8", "f8", "i8", "?", "f8"])]
    for key, values in columns.items():
        array = run["primary"][key].read()
        assert isinstance(array.dtype, np.dtype)
        assert array.tolist() == values


def test_gaps(write, bare):
    """Numbers with gaps stay exact; that takes pandas' nullable types."""
    documents = run_of({"n": [2**60 + 1, None], "b": [None, True], "x": [None, 0.5], "s": [None, "b"]})
    write(documents)
    table = bare[documents[0][1]["uid"]]["primary"].base["internal"].read()
    assert table["n"][0] == 2**60 + 1
    assert table["n"].isna().tolist() == [False, True]
    assert (
        table["b"].isna().tolist()
        == table["x"].isna().tolist()
        == table["s"].isna().tolist()
        == [True, False]
    )
    assert table["x"].dtype == np.dtype("f8")


def test_lists_by_column(write, bare):
    documents = run_of({"v": [[1.0, 2.0], [3.0, 4.0]], "m": [[[1, 2], [3, 4]], [[5, 6], [7, 2**62 + 1]]]})
    write(documents)
    stream = bare[documents[0][1]["uid"]]["primary"]
    assert stream["v"].read().tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert stream["m"].read().tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 2**62 + 1]]]


def test_files_that_come_after_their_documents(late_files, bare, equal):
    for uid, there in late_files:
        equal(bare[uid]["primary"]["img"], there)
