"""Our routes beside Tiled's: who may ask what, and rows in the order they were appended."""

import httpx
import msgpack
import pyarrow as pa
import pytest
from tiled.structures.core import Spec


def ask(server, method, path, *, key=True, **request):
    headers = {"Authorization": f"Apikey {server.api_key}"} if key else {}
    return httpx.request(method, f"{server.address}/api/v1/tilewright/{path}", headers=headers, **request)


def test_a_key_is_needed(server):
    assert (
        ask(server, "GET", "listing/", key=False, params={"value": "start.uid"}).status_code
        == httpx.codes.UNAUTHORIZED
    )
    assert ask(server, "POST", "rows/a/b", key=False, json=["x"]).status_code == httpx.codes.UNAUTHORIZED
    assert ask(server, "GET", "parts/", key=False).status_code == httpx.codes.UNAUTHORIZED


@pytest.mark.parametrize("value", ["", "start..uid", "start.uid') --", 'start."uid"', "$[0]"])
def test_places_are_names_and_dots(server, value):
    assert (
        ask(server, "GET", "listing/", params={"value": value}).status_code
        == httpx.codes.UNPROCESSABLE_ENTITY
    )


def test_what_is_not_there(server, client):
    client.create_appendable_table(pa.schema([("x", pa.int64())]), key="there")
    answer = ask(server, "POST", "rows/there", json=["x", "y"])
    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert answer.json()["detail"].startswith("No such field")
    assert ask(server, "POST", "rows/away", json=["x"]).status_code == httpx.codes.NOT_FOUND
    assert ask(server, "GET", "listing/away", params={"value": "a"}).status_code == httpx.codes.NOT_FOUND
    assert ask(server, "GET", "listing/there", params={"value": "a"}).status_code == httpx.codes.NOT_FOUND
    assert ask(server, "GET", "parts/away").status_code == httpx.codes.NOT_FOUND
    assert ask(server, "GET", "parts/there").status_code == httpx.codes.NOT_FOUND


def test_parts_are_described_as_tiled_does(server, client):
    box = client.create_container("parts", metadata={"a": [1, None, "é"]}, specs=[Spec("Box", "1")])
    box.create_container("z", metadata={"b": {"c": 0.1}})
    box.create_appendable_table(pa.schema([("x", pa.int64())]), key="table", metadata={"d": True})
    box.write_array([[1, 2], [3, 4]], key="array")
    headers = {"Authorization": f"Apikey {server.api_key}", "Accept": "application/x-msgpack"}
    with httpx.Client(base_url=f"{server.address}/api/v1/", headers=headers) as http:
        described = msgpack.unpackb(http.get("tilewright/parts/parts").content)
        assert described[0] == msgpack.unpackb(http.get("metadata/parts").content)["data"]
        assert described[1:] == msgpack.unpackb(http.get("search/parts").content)["data"]
        (root, *runs) = msgpack.unpackb(http.get("tilewright/parts/").content)
        assert root == msgpack.unpackb(http.get("metadata/").content)["data"]
        assert [run["id"] for run in runs][-1] == "parts"


def test_listing_gives_values_as_they_are_stored(server, client):
    metadata = {"a": {"b_1": 0.1 + 0.2, "c": [1, 1.0, True, None]}, "e": "é\n"}
    client.create_container("box").create_container("inside", metadata=metadata)
    answer = ask(server, "GET", "listing/box", params={"value": ["a.b_1", "a.c", "a.no", "e", "e.f", "a"]})
    expected = ["inside", 0.1 + 0.2, [1, 1.0, True, None], None, "é\n", None, metadata["a"]]
    (line,) = answer.text.splitlines()
    assert repr(httpx.Response(200, text=line).json()) == repr(expected)


@pytest.mark.parametrize("tables", ["duckdb", "sqlite"])
def test_rows_come_in_the_order_they_were_appended(configuration, connect, tables):
    """Tables of the same columns share one of the database, and one of them is deleted and others grow again."""
    from tilewright.server import serve_config

    piece, kinds = 30_000, ("a", "b", "c")
    with (
        serve_config(configuration(tables=tables, key="secret"), port=0, announce=False) as server,
        connect(server) as client,
    ):
        nodes = {
            key: client.create_appendable_table(pa.schema([("x", pa.int64()), ("y", pa.float64())]), key=key)
            for key in kinds
        }
        for turn in range(6):
            for key in kinds if turn < 3 else "ac":
                x = range(turn * piece, (turn + 1) * piece)
                rows = pa.table({"x": pa.array(x), "y": pa.array([-float(i) for i in x])})
                nodes[key].append_partition(0, rows)
            if turn == 2:
                client.delete_contents("b", external_only=False)
        for key in "ac":
            answer = ask(server, "POST", f"rows/{key}", json=["y", "x"])
            table = pa.ipc.open_stream(answer.content).read_all()
            assert table.column_names == ["y", "x"]
            assert table["x"].to_pylist() == list(range(6 * piece))
            assert table["y"][-1].as_py() == 1.0 - 6 * piece
            assert nodes[key].read()["x"].tolist() == list(range(6 * piece))
