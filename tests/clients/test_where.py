"""Rows by a condition: found by our server, and looked through where a server cannot be asked; the same rows both ways."""

import math
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from tiled.client import from_uri

from tilewright.clients import http, open_catalog
from tilewright.errors import InputError, TransientError
from tilewright.server import serve, serve_config
from tilewright.server.embedded import local_configuration
from tilewright.tables.selection import Selection
from tilewright.tables.where import parse

LIMIT = 20_000
"""Bytes that the server with a small limit gives at once."""
BIG = 2**53


@pytest.fixture(scope="module")
def ours():
    with serve(announce=False) as embedded:
        client = from_uri(embedded.uri)
        yield client
        client.context.close()


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A server of ours that gives little at once."""
    directory = tmp_path_factory.mktemp("limited")
    configuration = local_configuration(directory / "runs", "secret", []) | {"response_bytesize_limit": LIMIT}
    path = directory / "config.yml"
    path.write_text(yaml.safe_dump(configuration))
    with serve_config(path, port=0, announce=False) as embedded:
        client = from_uri(embedded.uri)
        yield client
        client.context.close()


@pytest.fixture(params=["stock", "ours"])
def stream(request, server, make_writer):
    """Return a function that writes one stream into a server of either kind and gives our client of it."""
    admin = server.admin if request.param == "stock" else request.getfixturevalue("ours")
    writer = make_writer(admin.create_container(f"c{uuid.uuid4().hex[:8]}"))

    def make(*tables, **more):
        writer.stream(writer.run("a1"), tables=tables, **more)
        return open_catalog(writer.container)["a1"]["primary"]

    return make


@pytest.fixture
def asked(monkeypatch):
    """Path and body of each request for rows."""
    seen = []
    ask = http.ask_ours

    def note(context, method, url, *args, **request):
        if "/tilewright/rows/" in url:
            seen.append(request["json"])
        return ask(context, method, url, *args, **request)

    monkeypatch.setattr(http, "ask_ours", note)
    return seen


def test_rows_that_meet_it(stream, make_writer):
    client = stream(
        make_writer.rows(
            range(1, 7),
            x=[0.5, 1.5, None, 3.5, 4.5, 5.5],
            n=pa.array([0, None, 2, 3, None, 5], pa.int16()),
            label=["a", "b", None, "a", "b", "a"],
            on=pa.array([True, False, None, True, False, False]),
            **{"motor-x": [0, 1, 2, 3, 4, 5]},
        )
    )
    whole = client.table(timestamps=True)
    for where, rows in {
        "x > 1 and label == 'a'": [3, 5],
        "not x > 1": [0, 2],
        "n is None": [1, 4],
        "n != 3": [0, 1, 2, 4, 5],
        "not on": [1, 2, 4, 5],
        "seq_num in [2, 3] or `motor-x` >= 5": [1, 2, 5],
        "time < 1001.5 or ts_x == 2004.0": [0, 1, 4],
        "x > 100": [],
    }.items():
        expected = whole.iloc[rows].reset_index(drop=True)
        found = client.table(where=where, timestamps=True)
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)
        assert list(found) == list(whole)
        some = client.table(["label", "seq_num"], where=parse(where))
        pd.testing.assert_frame_equal(some, expected[["label", "seq_num"]], check_dtype=False)
    assert client.table([], where="x > 1").shape == (4, 0)


def test_our_server_sends_only_what_is_asked_for(ours, make_writer, asked):
    writer = make_writer(ours.create_container())
    writer.stream(writer.run("a1"), tables=[writer.rows(range(1, 2001), x=list(range(2000)), y=[7] * 2000)])
    stream = open_catalog(writer.container)["a1"]["primary"]
    paths = []
    hooks = stream.context.http_client.event_hooks
    note = {"request": [*hooks["request"], lambda request: paths.append(request.url.path)]}
    stream.context.http_client.event_hooks = {**hooks, **note}
    found = stream.table("y", where="x == 1234")
    stream.context.http_client.event_hooks = hooks
    assert found.to_dict("list") == {"y": [7]}
    where = {"==": ["x", {"value": 1234}]}
    assert asked == [{"columns": ["y"], "where": where, "last_of": "seq_num", "first_row": 0}]
    assert [path.split("/")[4] for path in paths] == ["parts", "rows"]


def test_the_last_attempt_is_looked_at(stream, make_writer):
    """A row whose last attempt does not meet it is not found by an earlier one."""
    client = stream(make_writer.rows([1, 2, 3, 2, 3, 4], x=[0, 1, 2, 3, 1, 5]))
    assert client.table(where="x < 3").to_dict("list")["x"] == [0, 1]
    assert client.table("seq_num", where="x < 3")["seq_num"].tolist() == [1, 3]
    assert client.table("x", where="seq_num == 2")["x"].tolist() == [3]
    every = client.table(["seq_num", "x"], where="x < 3", attempts=True)
    assert every.to_numpy().tolist() == [[1, 0], [2, 1], [3, 2], [3, 1]]


@pytest.mark.parametrize("attempts", [False, True])
def test_a_table_in_parts(stream, make_writer, attempts):
    count = 30
    seq_num = [*range(1, 26), *range(21, 26)]
    first = make_writer.rows(seq_num, x=np.arange(count))
    second = make_writer.rows(seq_num, y=np.arange(count) % 7).drop_columns(["seq_num", "time"])
    third = make_writer.rows(seq_num, z=[f"z{n}" for n in range(count)]).drop_columns(["seq_num", "time"])
    client = stream(first, second, third)
    whole = client.table(attempts=attempts)
    assert len(whole) == (30 if attempts else 25)
    for columns, where, kept in (
        (None, "x > 5 and y == 3", (whole["x"] > 5) & (whole["y"] == 3)),
        (["z"], "y == 3", whole["y"] == 3),
        (["y"], "y == 3", whole["y"] == 3),
        (["z", "x"], "z in ['z3', 'z22', 'z27']", whole["z"].isin(["z3", "z22", "z27"])),
    ):
        expected = whole[kept].reset_index(drop=True)
        found = client.table(columns, where=where, attempts=attempts)
        pd.testing.assert_frame_equal(found, expected if columns is None else expected[columns])


def test_what_does_not_fit_is_told_before_anything_is_asked_for(stream, make_writer, asked):
    client = stream(
        make_writer.rows(site=[1, 2, 3], name=["a", "b", "c"]), arrays={"image": np.zeros((3, 2))}
    )
    for where, message in {
        "sit == 1": r"^no column 'sit' to compare\. Did you mean 'site' or 'ts_site'\? There are: seq_num, time, ",
        "image == 1": "^no column 'image' to compare",
        "name == 1": "^column 'name' is string and cannot be compared with 1",
        "site == 'a'": "^column 'site' is int64 and cannot be compared with 'a'",
        "site": "no condition by itself",
        "site =": "cannot read where='site ='",
    }.items():
        with pytest.raises(InputError, match=message):
            client.table(where=where)
    assert asked == []


def test_a_stream_without_rows(stream):
    keys = {
        key: {"source": "t", "dtype": dtype, "shape": []} for key, dtype in (("x", "number"), ("s", "string"))
    }
    client = stream(data_keys=keys)
    assert client.table(where="x > 1 and s == 'a'").shape == (0, 4)
    with pytest.raises(InputError, match="no column 'y'"):
        client.table(where="y > 1")


def test_a_run_takes_it_too(write, catalog):
    write.stream(write.run("a1"), tables=[write.rows(x=[0, 1, 2])])
    run = catalog["a1"]
    assert run.table("primary", "x", where="x != 1")["x"].tolist() == [0, 2]


def test_numbers_and_nan_are_exact_on_our_server(ours, make_writer):
    writer = make_writer(ours.create_container())
    writer.stream(
        writer.run("a1"),
        tables=[writer.rows(n=pa.array([BIG, BIG + 1, None]), f=pa.array([math.nan, None, 1.0]))],
    )
    stream = open_catalog(writer.container)["a1"]["primary"]
    for where, rows in {
        f"n == {BIG + 1}": [2],
        f"n == {BIG}.0": [1],
        "f > 0": [3],
        "not f > 0": [1, 2],
        "f is None": [2],
    }.items():
        assert stream.table(where=where)["seq_num"].tolist() == rows


def test_a_server_of_ours_from_before_is_asked_for_all_rows(ours, make_writer, monkeypatch, asked):
    """It takes lists of columns alone, and answers 422 to what it does not know: as this one does to a number."""
    writer = make_writer(ours.create_container())
    writer.stream(writer.run("a1"), tables=[writer.rows([1, 2, 2], x=[0, 1, 2])])
    monkeypatch.setattr(Selection, "to_json", lambda _: 17)
    stream = open_catalog(writer.container)["a1"]["primary"]
    assert stream.table("x", where="x >= 1")["x"].tolist() == [2]
    assert asked == [17, ["x", "seq_num"]]


def test_a_table_that_changed(ours, make_writer):
    writer = make_writer(ours.create_container())
    node = writer.stream(writer.run("a1"), tables=[writer.rows(x=[0, 1, 2])])
    link = node["internal"].item["links"]["full"]
    with pytest.raises(TransientError, match="changed while it was being read"):
        http.read_columns(node.context, link, ["gone"], where=parse("x > 1"))
    with pytest.raises(TransientError, match="changed while it was being read"):
        http.read_columns(node.context, f"{link}_gone", ["x"], where=parse("x > 1"))
    with pytest.raises(InputError, match=r"the server cannot find the rows where y > 1: 400: no column 'y'"):
        http.read_columns(node.context, link, ["x"], where=parse("y > 1"))


@pytest.mark.parametrize("repeated", [False, True])
def test_a_table_of_any_size_is_read_in_pieces(limited, make_writer, repeated, asked):
    writer = make_writer(limited.create_container())
    count = 20_000
    seq_num = np.arange(1, count + 1)
    if repeated:
        seq_num[-100:] -= 100
    columns = {"x": np.arange(count), "text": [f"row {n}" for n in range(count)]}
    writer.stream(writer.run("a1"), tables=[writer.rows(seq_num, **columns)])
    stream = open_catalog(writer.container)["a1"]["primary"]
    found = stream.table(["x", "text", "ts_x"])
    rows = np.r_[: count - 200, count - 100 : count] if repeated else np.arange(count)
    assert found["x"].tolist() == rows.tolist()
    assert found["text"].tolist() == [f"row {n}" for n in rows]
    assert found["ts_x"].tolist() == (2000.0 + rows).tolist()
    assert len(asked) > 20
    assert isinstance(asked[0], list)

    asked.clear()
    alone = stream.table("x", attempts=True)["x"].tolist()
    assert alone == list(range(count))
    asked.clear()
    where = "x >= 10000 and not x == 15000"
    kept = rows[(rows >= 10_000) & (rows != 15_000)]
    assert stream.table("text", where=where)["text"].tolist() == [f"row {n}" for n in kept]
    assert len(asked) > 5
