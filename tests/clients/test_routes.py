"""The same frames from a stock Tiled server and from ours, which has routes of its own for them."""

import math
import uuid
from contextlib import contextmanager

import pandas as pd
import pyarrow as pa
import pytest
from tiled.client import from_uri

from tilewright.clients import http, open_catalog
from tilewright.server import serve

DAY = 86_400.0
BIG = 2**53 + 1
ODD_RUNS = [
    {
        "uid": "a1",
        "time": 0.1234567890123456,
        "scan_id": 2**53 + 1,
        "plan_name": "scan",
        "sample": {"name": "Fe"},
    },
    {"uid": "b2", "time": 1 * DAY, "scan_id": None, "plan_name": None, "energy": 7.1},
    {"uid": "c3", "time": None, "stop": False, "scan_id": "seven"},
    {"uid": "dä4", "time": "noon", "scan_id": 2**64 - 1, "plan_name": 'sc"an\n\\', "dark": True},
    {"uid": "e5", "time": 4 * DAY, "scan_id": 3.0, "plan_name": ["a", {"b": None}], "num_events": {}},
    {"uid": "f6", "time": 5 * DAY, "scan_id": True, "num_events": {"baseline": 2, "primary": BIG}},
    {"uid": "g7", "time": 5.5 * DAY, "scan_id": 7, "num_events": "many"},
]


@pytest.fixture(scope="module")
def ours():
    with serve(announce=False) as embedded:
        client = from_uri(embedded.uri)
        yield client
        client.context.close()


@contextmanager
def noting(catalog):
    """Note the path of each request."""
    seen, hooks = [], catalog.context.http_client.event_hooks

    def note(request):
        seen.append(request.url.path)

    catalog.context.http_client.event_hooks = {**hooks, "request": [*hooks["request"], note]}
    yield seen
    catalog.context.http_client.event_hooks = hooks


@pytest.fixture
def both(ours, server, make_writer):
    """A container in a stock server and one in ours, for the same to be written into."""
    key = f"c{uuid.uuid4().hex[:8]}"
    return [make_writer(client.create_container(key)) for client in (server.admin, ours)]


@pytest.fixture
def odd(both, monkeypatch):
    monkeypatch.setattr(http, "PAGE_SIZE", 2)
    for writer in both:
        for run in ODD_RUNS:
            node = writer.run(**run)
            if run.get("stop") is False:
                writer.stream(node, "baseline")
                writer.stream(node, "primary")
        writer.container.create_container("zz_other")
        writer.container.create_container(
            "no_dicts", metadata={"start": [1], "stop": "no"}, specs=writer.BLUESKY_RUN
        )
    return [open_catalog(writer.container) for writer in both]


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"plan_name": "scan"},
        {"plan_name": 'sc"an\n\\'},
        {"plan_name": "nothing"},
        {"scan_id": 7},
        {"sample": {"name": "Fe"}},
        {"dark": True, "uid": "dä4"},
        {"exit_status": "success"},
        {"since": "1970-01-02", "until": "1970-01-06"},
        {"limit": 3},
        {"limit": 4, "exit_status": "success"},
        {"limit": 100, "since": "1970-01-05"},
    ],
)
@pytest.mark.parametrize("order", [None, ("start.time", 1), ("start.plan_name", -1)])
def test_catalog_tables(odd, filters, order):
    frames = []
    for catalog, expected in zip(odd, (False, True), strict=True):
        turned = catalog if order is None else catalog.sort(order)
        with noting(catalog) as paths:
            frames.append(turned.table(**filters))
        assert any("/tilewright/listing/" in path for path in paths) is expected
        assert any(path.startswith("/api/v1/search/") for path in paths[:1]) is not expected
    assert not frames[0].empty or "nothing" in filters.values()
    pd.testing.assert_frame_equal(*frames)
    # Which of 1, 1.0 and True it is, is not told by comparing.
    assert repr(frames[0].to_dict("list")) == repr(frames[1].to_dict("list"))


def test_many_runs_take_one_request(odd):
    for catalog, requests in zip(odd, (3, 1), strict=True):
        with noting(catalog) as paths:
            assert len(catalog.table(exit_status="success")) == 6
        assert len(paths) == requests + 2  # and the streams of the two that nobody counted


def test_rows(both):
    n = 5_000  # of more than one Arrow batch
    columns = {
        "x": [float(i) for i in range(n)],
        "gaps": pa.array([None if i % 7 == 0 else i for i in range(n)]),
        "text": pa.array([None if i % 5 == 0 else f"t{i}" for i in range(n)]),
        "nan": pa.array([math.nan if i % 3 == 0 else 0.5 for i in range(n)]),
        "on": pa.array([i % 2 == 0 for i in range(n)]),
        "pair": pa.array([[i, i + 1] for i in range(n)]),
    }
    seq_num = [*range(1, n - 9), *range(n - 19, n - 9)]
    streams = []
    for writer in both:
        writer.stream(writer.run("a1"), tables=[writer.rows(seq_num, **columns)])
        streams.append(open_catalog(writer.container)["a1"]["primary"])
    for arguments in (
        {},
        {"timestamps": True},
        {"columns": "gaps"},
        {"columns": ["on", "x"], "attempts": True},
    ):
        frames = []
        for stream, expected in zip(streams, (False, True), strict=True):
            with noting(stream) as paths:
                frames.append(stream.table(**arguments))
            assert any("/tilewright/rows/" in path for path in paths) is expected
        assert len(frames[0]) == (n if arguments.get("attempts") else n - 10)
        pd.testing.assert_frame_equal(*frames)


def test_a_table_takes_two_requests_and_three_of_a_stock_server(both):
    for writer, expected in zip(both, (["metadata", "search", "table"], ["tilewright"] * 2), strict=True):
        writer.stream(writer.run("a1"), tables=[writer.rows([1, 2], x=[0.5, 1.5])])
        run = open_catalog(writer.container)["a1"]
        run.table()  # finds out whether the server has our routes
        with noting(run) as paths:
            assert run.table(columns="x")["x"].tolist() == [0.5, 1.5]
        assert [path.split("/")[3] for path in paths] == expected


def test_a_table_in_a_file_comes_by_tileds_route(ours):
    frame = pd.DataFrame({"x": [1, 2, 3]})
    node = ours.write_table(frame)
    with noting(node) as paths:
        table = http.read_columns(node.context, node.item["links"]["full"], ["x"])
    assert table["x"].to_pylist() == [1, 2, 3]
    assert [path.split("/")[3] for path in paths] == ["tilewright", "table"]
