import io
import json
import math
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tilewright.server.tables import column_array
from tilewright.tables.wire import ARROW_FILE, encode_rows

BIG = 2**53 + 1
"""The first integer that float64 does not hold."""

COLUMNS = {
    "i": pa.array([0, None, BIG], pa.int64()),
    "u8": pa.array([0, 1, 255], pa.uint8()),
    "f": pa.array([0.5, None, math.nan], pa.float64()),
    "f32": pa.array([0.5, 1.5, -2.5], pa.float32()),
    "b": pa.array([True, None, False]),
    "s": pa.array(["zero", None, ""]),
    "l": pa.array([[0, 1], [2, 3], [4, 5]], pa.list_(pa.int64())),
    "lf": pa.array([[0.5, math.nan], [], None], pa.list_(pa.float64())),
    "lb": pa.array([[True], [False, True], None], pa.list_(pa.bool_())),
    "ls": pa.array([["a"], ["b", "c"], []], pa.list_(pa.string())),
    "ln": pa.array([[BIG, None], None, [2]], pa.list_(pa.int64())),
    "n": pa.array([[[0], [1]], [[2], [3]], [[4, 5], []]], pa.list_(pa.list_(pa.int64()))),
    "Upper": pa.array([1, 2, 3], pa.int16()),
}
TABLE = pa.table(COLUMNS)


@pytest.fixture(scope="module")
def tables(server, connect):
    with connect(server) as client:
        client.create_appendable_table(TABLE.schema, key="full").append_partition(0, TABLE)
        client.create_appendable_table(TABLE.schema, key="empty")
        yield client


def get(server, path, **params):
    answer = httpx.get(
        f"{server.address}/api/v1/{path}",
        params=params,
        headers={"Authorization": f"Apikey {server.api_key}"},
    )
    answer.raise_for_status()
    return answer


def arrow(answer):
    return pa.ipc.open_file(answer.content).read_all()


def same(left, right):
    """Compare with NaN equal to NaN and a null different from it."""
    return repr(left.to_pydict()) == repr(right.to_pydict())


def test_nothing_is_lost_on_the_way_there_and_back(server, tables):
    table = arrow(get(server, "table/full/full", format="arrow"))
    assert table.schema.remove_metadata() == TABLE.schema
    assert same(table, TABLE)
    assert same(arrow(get(server, "table/partition/full", partition=0, format="arrow")), TABLE)


def test_an_empty_table(server, tables):
    table = arrow(get(server, "table/full/empty", format="arrow"))
    assert table.schema.remove_metadata() == TABLE.schema
    assert len(table) == 0
    assert len(tables["empty"].read()) == 0
    assert get(server, "table/full/empty", format="json").json() == {name: [] for name in COLUMNS}
    for name in COLUMNS:
        assert len(tables["empty"][name].read()) == 0


def test_columns_come_in_the_order_asked_for(server, tables):
    answer = get(server, "table/full/full", column=["s", "i", "Upper", "f"], format="arrow")
    assert arrow(answer).column_names == ["s", "i", "Upper", "f"]
    assert list(tables["full"].read().columns) == list(COLUMNS)


def test_a_column_that_is_not_there(server, tables):
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        get(server, "table/full/full", column=["nope"])


def test_tileds_client_reads_scalars_without_loss(tables):
    frame = tables["full"].read(["i", "b", "s", "f"])
    assert frame["i"].dtype == "Int64"
    assert frame["b"].dtype == "boolean"
    assert frame["i"].tolist() == [0, pd.NA, BIG]
    assert frame["b"].tolist() == [True, pd.NA, False]
    assert frame["f"].isna().tolist()[:2] == [False, True]
    assert frame["s"].isna().tolist() == [False, True, False]


def test_csv(server, tables):
    frame = pd.read_csv(io.StringIO(get(server, "table/full/full", format="csv").text))
    assert frame["i"].isna().tolist() == [False, True, False]
    assert frame["l"].tolist() == ["[0, 1]", "[2, 3]", "[4, 5]"]
    assert frame["n"].tolist()[2] == "[[4, 5], []]"


def test_json(server, tables):
    content = get(server, "table/full/full", format="application/json").json()
    assert content["i"] == [0, None, BIG]
    assert content["b"] == [True, None, False]
    assert content["s"] == ["zero", None, ""]
    assert content["f"] == [0.5, None, None]
    for name in ("l", "lb", "ls", "ln", "n"):
        assert content[name] == COLUMNS[name].to_pylist()
    lines = get(server, "table/full/full", format="application/json-seq").text.strip().split("\n")
    assert [json.loads(line.strip("\x1e"))["l"] for line in lines] == [[0, 1], [2, 3], [4, 5]]


def test_html_and_parquet(server, tables):
    assert "[[4, 5], []]" in get(server, "table/full/full", format="text/html").text
    content = get(server, "table/full/full", format="application/x-parquet").content
    assert pd.read_parquet(io.BytesIO(content))["l"].tolist()[1].tolist() == [2, 3]


@pytest.mark.parametrize(
    ("name", "kind", "values"),
    [
        ("i", "float64", [0, math.nan, float(BIG)]),
        ("u8", "uint8", [0, 1, 255]),
        ("f", "float64", [0.5, math.nan, math.nan]),
        ("f32", "float32", [0.5, 1.5, -2.5]),
        ("b", "float64", [1, math.nan, 0]),
        ("l", "int64", [[0, 1], [2, 3], [4, 5]]),
        ("Upper", "int16", [1, 2, 3]),
    ],
)
def test_a_column_as_an_array(tables, name, kind, values):
    array = tables["full"][name].read()
    assert array.dtype == kind
    np.testing.assert_array_equal(array, values)


def test_columns_of_strings_and_ragged_lists_as_arrays(tables):
    full = tables["full"]
    assert full["s"].read().tolist() == ["zero", "None", ""]
    assert full["n"].read().tolist() == [[[0], [1]], [[2], [3]], [[4, 5], []]]
    assert repr(full["ln"].read().tolist()) == repr([[float(BIG), math.nan], [], [2.0]])
    assert full["lb"].read().tolist() == [[True], [False, True], []]
    assert full["ls"].read().tolist() == ["['a']", "['b', 'c']", "[]"]


@pytest.mark.parametrize(
    ("column", "shape", "kind"),
    [
        (pa.array([], pa.int64()), (0,), "i"),
        (pa.array([], pa.string()), (0,), "U"),
        (pa.array([], pa.list_(pa.float64())), (0, 0), "f"),
        (pa.array([[], []], pa.list_(pa.float64())), (2, 0), "f"),
        (pa.array([True, False]), (2,), "b"),
        (pa.array([[[1, 2]], [[3, 4]]]), (2, 1, 2), "i"),
        (pa.array([[1, None], [3, 4]]), (2, 2), "f"),
        (pa.array([["a", "b"], ["c", "d"]]), (2, 2), "U"),
        (pa.array([None, None], pa.int64()), (2,), "f"),
    ],
)
def test_shapes_of_columns(column, shape, kind):
    array = column_array(column)
    assert array.shape == shape
    assert array.dtype.kind == kind


def test_partitions(tables):
    table = tables.create_appendable_table(pa.schema([("i", pa.int64())]), key="partitions", npartitions=2)
    for partition, rows in ((1, [2, 3]), (0, [0]), (0, [1])):
        table.append_partition(partition, {"i": rows})
    assert table.read()["i"].tolist() == [0, 1, 2, 3]
    assert table.read_partition(1)["i"].tolist() == [2, 3]


def test_a_table_that_tiled_drops_with_anothers_last_row_is_made_again(client):
    """Tables of one schema share one table of the database."""
    schema = pa.schema([pa.field("x", pa.int64()), pa.field("shared_by", pa.string())])
    container = client.create_container()
    emptied = container.create_appendable_table(schema, key="emptied")
    still_empty = container.create_appendable_table(schema, key="still_empty")
    emptied.append_partition(0, pa.table({"x": [1], "shared_by": ["a"]}, schema=schema))
    container.delete_contents("emptied", external_only=False)
    assert len(still_empty.read()) == 0
    still_empty.append_partition(0, pa.table({"x": [7], "shared_by": ["b"]}, schema=schema))
    assert still_empty.read()["x"].tolist() == [7]


def test_a_plain_client_gets_the_types_it_always_got(client):
    schema = pa.schema([pa.field("n", pa.int64()), pa.field("x", pa.float64()), pa.field("s", pa.string())])
    table = client.create_container().create_appendable_table(schema, key="table")
    table.append_partition(0, pa.table({"n": [1, 2], "x": [0.5, 1.5], "s": ["a", "b"]}, schema=schema))
    frame = table.read()
    assert frame["n"].dtype == "int64"
    assert frame["x"].dtype == "float64"
    assert isinstance(frame["x"].to_numpy(), np.ndarray)


def append(server, key, rows, first_row):
    """Append as the delivery does; return the status."""
    return httpx.patch(
        f"{server.address}/api/v1/table/partition/{key}",
        params={"partition": "0"},
        content=encode_rows(rows, first_row),
        headers={"Authorization": f"Apikey {server.api_key}", "Content-Type": ARROW_FILE},
    ).status_code


def test_rows_that_are_there_are_passed_over(server, client):
    """A request may come twice, late, or overlap another one."""
    rows = pa.table({"row": list(range(20)), "list": [[row] for row in range(20)]})
    client.create_appendable_table(rows.schema, key="once")
    for first, count in ((0, 5), (0, 5), (3, 7), (10, 10), (0, 20), (5, 1)):
        assert append(server, "once", rows.slice(first, count), first) == 200
    assert same(arrow(get(server, "table/full/once")), rows)


def test_rows_that_would_leave_a_gap_are_refused(server, client):
    rows = pa.table({"row": list(range(20))})
    client.create_appendable_table(rows.schema, key="gap")
    append(server, "gap", rows.slice(0, 5), 0)
    assert append(server, "gap", rows.slice(6, 2), 6) == 500
    assert same(arrow(get(server, "table/full/gap")), rows.slice(0, 5))


def test_many_that_append_the_same_rows_at_once(server, client):
    rows = pa.table({"row": list(range(200))})
    client.create_appendable_table(rows.schema, key="race")
    with ThreadPoolExecutor(4) as pool:
        for first in range(0, 200, 20):
            list(pool.map(lambda _, at=first: append(server, "race", rows.slice(at, 20), at), range(4)))
    assert same(arrow(get(server, "table/full/race")), rows)


def test_a_dataframe_is_appended_without_its_index(server, client):
    frame = pd.DataFrame({"row": [1, 2]}, index=[7, 8])
    client.create_appendable_table(pa.schema([("row", pa.int64())]), key="frame").append_partition(0, frame)
    assert arrow(get(server, "table/full/frame")).to_pydict() == {"row": [1, 2]}
