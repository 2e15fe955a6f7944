import importlib.util
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tilewright.sources import read_documents
from tilewright.testing.documents import run_of, simple_run
from tilewright.testing.expected import (
    compare_metadata,
    compare_rows,
    compare_runs,
    expected_metadata,
    expected_tables,
)


@pytest.fixture(scope="module")
def reference():
    path = Path(__file__).with_name("reference_writer.py")
    spec = importlib.util.spec_from_file_location("reference_writer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def only_table(documents):
    [[table]] = [tables.values() for tables in expected_tables(documents).values()]
    return table


def as_read(expected):
    """Return the table as a perfect reader would."""
    rows = [[row.seq_num, row.time, *row.data.values(), *row.timestamps.values()] for row in expected.rows]
    return pd.DataFrame(rows, columns=expected.columns)


@pytest.fixture
def expected():
    return only_table(simple_run(events=4, keys=2))


def test_a_page_is_rows():
    events, paged = only_table(simple_run()), only_table(simple_run(paged=True))
    assert events == paged
    assert [row.data["x0"] for row in events.rows] == [float(n) for n in range(1, 11)]


def test_streams_and_runs_are_apart():
    documents = [*simple_run(uid="a"), *simple_run(uid="b", stream="baseline", events=0)]
    tables = expected_tables(documents)
    assert {uid: {name: len(table.rows) for name, table in of.items()} for uid, of in tables.items()} == {
        "a": {"primary": 10},
        "b": {"baseline": 0},
    }


@pytest.mark.parametrize("name", ["apstools.json.gz", "uid-219cc7b4.json", "uid-3ab777ae.json"])
def test_real_runs_read_by_the_reference(test_data, reference, name):
    documents = list(read_documents(test_data / "documents" / name))
    writer = reference.ReferenceWriter()
    writer(documents)
    assert compare_runs(documents, writer.runs.__getitem__) == []
    broken = reference.TrustsTheOrderOfKeys()  # their events have another order than their descriptors
    broken(documents)
    assert compare_runs(documents, broken.runs.__getitem__) != []


def test_large_and_external_values_are_elsewhere():
    documents = run_of({"image": [[0.0]], "large": [list(range(17))], "short": [list(range(16))], "x": [0]})
    documents[1][1]["data_keys"]["image"]["external"] = "STREAM:"
    table = only_table(documents)
    assert (table.keys, table.elsewhere) == (("short", "x"), ("image", "large"))
    read = pd.DataFrame(
        [[1, table.rows[0].time, list(range(16)), 0]], columns=["seq_num", "time", "short", "x"]
    )
    read = read.assign(**{f"ts_{key}": table.rows[0].timestamps[key] for key in table.keys})
    assert compare_rows(table, read) == []
    [difference] = compare_rows(table, read.assign(large=None))  # it need not be there, but must be right
    assert difference.startswith("seq_num 1, 'large': expected [0, 1,")


def test_metadata_is_the_documents():
    documents = simple_run(uid="a")
    metadata = expected_metadata([*documents, *simple_run(uid="b")[:1]])
    assert metadata["a"].start is documents[0][1]
    assert metadata["a"].descriptors == {"primary": [documents[1][1]]}
    assert metadata["a"].stop is documents[-1][1]
    assert (metadata["b"].stop, metadata["b"].descriptors) == (None, {})


def test_what_is_right_has_no_differences(expected):
    assert compare_rows(expected, as_read(expected)) == []


def test_rows(expected):
    table = as_read(expected)
    row = "the row with seq_num 2 at time 1700000002.0"
    assert compare_rows(expected, table.drop(index=1)) == [f"{row} is missing"]
    assert compare_rows(expected, table.iloc[[0, 1, 1, 1, 2, 3]]) == [f"{row} should not be there (2 times)"]
    [order] = compare_rows(expected, table.iloc[[0, 2, 1, 3]])
    assert order.startswith(f"wrong order: expected {row}, found the row with seq_num 3")


def test_columns(expected):
    table = as_read(expected)
    assert compare_rows(expected, table.drop(columns="x1")) == ["column 'x1' is missing"]
    assert compare_rows(expected, table.assign(y=0)) == ["column 'y' should not be there"]
    [order] = compare_rows(expected, table[["time", "seq_num", *table.columns[2:]]])
    assert order.startswith("columns are in the order ['time', 'seq_num'")
    assert "cannot compare rows without seq_num" in compare_rows(expected, table.drop(columns="seq_num"))


def test_values(expected):
    table = as_read(expected)
    table.loc[2, "x1"] = 7.5
    table.loc[0, "ts_x0"] = math.nan
    assert compare_rows(expected, table) == [
        "seq_num 1, 'ts_x0': expected 1700000001.0, found nan",
        "seq_num 3, 'x1': expected 3.001, found 7.5",
    ]


SAME = [
    (1, 1.0),
    (True, 1),
    (1, np.int8(1)),
    (math.nan, math.nan),
    (None, math.nan),
    (None, pd.NA),
    (None, None),
    ([1, 2], np.array([1.0, 2.0])),
    ((1, None), [1, math.nan]),
    ([[1], [2]], [np.array([1]), np.array([2])]),
    ("", ""),
    (np.float32(0.1), float(np.float32(0.1))),
]
DIFFERENT = [
    (1, "1"),
    ("1", 1),
    (1, None),
    (0, math.nan),
    (math.nan, None),
    (math.nan, pd.NA),
    (2**53 + 1, float(2**53)),
    (0.1, math.nextafter(0.1, 1)),
    ([1, 2], [1]),
    ([1], 1),
    ("", None),
    ([math.nan], [None]),
    ([1, 2], "[1, 2]"),
]


@pytest.mark.parametrize(("value", "read"), SAME, ids=repr)
def test_the_same(value, read):
    expected = only_table(run_of({"x": [0]}))
    expected.rows[0].data["x"] = value
    assert (
        compare_rows(expected, as_read(expected).astype(object).assign(x=pd.Series([read], dtype=object)))
        == []
    )


@pytest.mark.parametrize(("value", "read"), DIFFERENT, ids=repr)
def test_not_the_same(value, read):
    expected = only_table(run_of({"x": [0]}))
    expected.rows[0].data["x"] = value
    [difference] = compare_rows(expected, as_read(expected).assign(x=pd.Series([read], dtype=object)))
    assert difference == f"seq_num 1, 'x': expected {value!r}, found {read!r}"


@pytest.mark.parametrize("backend", ["default", "numpy_nullable", "pyarrow"])
def test_every_backend_of_pandas(backend):
    columns = {
        "int": [1, None, 2**53 + 1],
        "float": [0.5, None, math.inf],
        "bool": [None, True, False],
        "str": ["a", None, "c"],
        "list": [[1, 2], None, [3, 4]],
    }
    expected = only_table(run_of(columns))
    arrow = pa.table({name: [row.data.get(name) for row in expected.rows] for name in columns})
    mapper = {
        "pyarrow": pd.ArrowDtype,
        "numpy_nullable": {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}.get,
    }
    data = arrow.to_pandas(types_mapper=mapper.get(backend))
    table = pd.concat(
        [as_read(expected)[["seq_num", "time"]], data, as_read(expected).filter(like="ts_")], axis=1
    )
    differences = compare_rows(expected, table)
    if backend == "default":  # an integer column with a null becomes one of floats
        assert differences == [f"seq_num 3, 'int': expected {2**53 + 1}, found {float(2**53)!r}"]
    else:
        assert differences == []


def rejected(*rows):
    return pd.DataFrame(rows, columns=["seq_num", "data_key", "value", "reason"])


def test_rejected_values_count_once_if_verbatim():
    expected = only_table(run_of({"x": [0.5, "1", 2.5]}, dtypes={"x": "<f8"}))
    table = as_read(expected).assign(x=[0.5, None, 2.5])
    missing = "seq_num 2, 'x': expected '1', found nan"
    aside = "seq_num 2, 'x': {} is among the rejected values, and should not be"
    assert compare_rows(expected, table) == [missing]
    assert compare_rows(expected, table, rejected([2, "x", "1", "why"])) == []
    assert compare_rows(expected, table, rejected([2, "x", 1, "why"])) == [missing, aside.format(1)]
    twice = rejected([2, "x", "1", "why"], [2, "x", "1", "why"])
    assert compare_rows(expected, table, twice) == [aside.format("'1'")]
    other = rejected([3, "x", "1", "why"])
    assert compare_rows(expected, table, other) == [missing, aside.format("'1'").replace("2", "3", 1)]


def test_metadata_is_compared_deeply():
    document = {"a": (1, [2, {"b": math.nan}]), "c": np.float64(0.5), "d": None, "e": np.arange(2), "f": 1}
    same = {"a": [1, [2, {"b": math.nan}]], "c": 0.5, "d": None, "e": [0, 1], "f": 1.0}
    assert compare_metadata(document, same) == []
    other = {"a": [1, [3, {"b": None}]], "c": "0.5", "e": [0, 1, 2], "f": True, "g": 7}
    assert sorted(compare_metadata(document, other, "start")) == [
        "start.a[1][0]: expected 2, found 3",
        "start.a[1][1].b: expected nan, found None",
        "start.c: expected 0.5, found '0.5'",
        "start.d: missing",
        "start.e: expected [0, 1], found [0, 1, 2]",
        "start.f: expected 1, found True",
        "start.g: not in the document: 7",
    ]
    assert compare_metadata(None, {}) == ["document: expected None, found {}"]
    assert compare_metadata({"x": None}, {"x": math.nan}) == ["x: expected None, found nan"]
