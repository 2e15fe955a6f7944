"""Rows by a condition: three databases and Arrow against plain Python, and the route that gives them in pieces."""

import json
import math
import operator
import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager

import httpx
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tiled.server.schemas import DataSource
from tiled.storage import RemoteSQLStorage, register_storage, unregister_storage
from tiled.structures.core import StructureFamily
from tiled.structures.data_source import Management
from tiled.structures.table import TableStructure

from tilewright.server.storage import TableStorage
from tilewright.server.tables import TableAdapter
from tilewright.tables.conditions import (
    MAX_CONDITIONS,
    All,
    Column,
    Compare,
    Either,
    Holds,
    Missing,
    Not,
    OneOf,
    Where,
)
from tilewright.tables.matching import matches
from tilewright.tables.selection import MORE, Selection
from tilewright.tables.where import parse

BIG = 2**53
TYPES = {
    "n": pa.int64(),
    "small": pa.int8(),
    "count": pa.uint32(),
    "x": pa.float64(),
    "single": pa.float32(),
    "Text": pa.string(),
    "other text": pa.string(),
    "on": pa.bool_(),
    "off": pa.bool_(),
}
NUMBERS = ("n", "small", "count", "x", "single")
COMPARABLE = [
    ("n", "small"),
    ("count", "n"),
    ("small", "count"),
    ("x", "single"),
    ("small", "x"),
    ("single", "count"),
    ("Text", "other text"),
    ("on", "off"),
    ("x", "x"),
]
OPERATORS = {"==": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}

whole = st.integers(-3, 3) | st.sampled_from([BIG, BIG + 1, -BIG - 1, 2**63 - 1, -(2**63), 127, 128, 2**32])
real = st.sampled_from([0.0, -0.0, 0.1, 0.5, -2.5, 1.0, float(BIG), BIG + 2.0, 1e300, -1e300, 5e-324])
text = st.sampled_from(["", "a", "A", "é", "z", "\U0001f426", "\uffff", "'", '"; --', "a b", "%", "Dry-A"])
number = whole | real | st.sampled_from([2**64, 2**70, -(2**70), BIG + 3])


def values_of(name, nan):
    kind = TYPES[name]
    if pa.types.is_integer(kind):
        least = 0 if name == "count" else -(2 ** (kind.bit_width - 1))
        most = 2 ** (kind.bit_width if name == "count" else kind.bit_width - 1) - 1
        return whole.filter(lambda value: least <= value <= most)
    if pa.types.is_floating(kind):
        every = real | st.sampled_from([math.inf, -math.inf, *([math.nan] if nan else [])])
        return every.filter(lambda v: abs(v) < 1e38 or math.isinf(v)) if name == "single" else every
    return text if pa.types.is_string(kind) else st.booleans()


def tables(*, nan=True):
    row = st.fixed_dictionaries({name: st.none() | values_of(name, nan) for name in TYPES})
    return st.lists(row, max_size=8).map(lambda rows: pa.Table.from_pylist(rows, pa.schema(TYPES)))


def constants(name):
    return number if name in NUMBERS else st.booleans() if name in ("on", "off") else text


def leaves():
    ops = st.sampled_from(list(OPERATORS))
    name = st.sampled_from(list(TYPES))
    pair = st.sampled_from(COMPARABLE)
    return st.one_of(
        name.flatmap(lambda n: st.builds(Compare, st.just(n), ops, constants(n))),
        st.tuples(pair, ops).map(lambda found: Compare(found[0][0], found[1], Column(found[0][1]))),
        name.flatmap(lambda n: st.builds(OneOf, st.just(n), st.lists(constants(n), max_size=4).map(tuple))),
        name.map(Missing),
        st.sampled_from([Holds("on"), Holds("off")]),
    )


def conditions():
    def joined(inside):
        several = st.lists(inside, min_size=2, max_size=3).map(tuple)
        return st.one_of(inside.map(Not), several.map(All), several.map(Either))

    return st.recursive(leaves(), joined, max_leaves=6).map(Where)


def meets(condition, row):  # noqa: PLR0911 - one for each kind
    """Tell what plain Python says."""
    match condition:
        case Not(inner):
            return not meets(inner, row)
        case All(parts):
            return all(meets(part, row) for part in parts)
        case Either(parts):
            return any(meets(part, row) for part in parts)
        case Missing(column):
            return row[column] is None
        case Holds(column):
            return row[column] is True
        case OneOf(column, values):
            return row[column] is not None and any(row[column] == value for value in values)
        case Compare(column, op, other):
            one, two = row[column], row[other.name] if isinstance(other, Column) else other
            return one is not None and two is not None and OPERATORS[op](one, two)


@given(conditions())
def test_a_condition_is_the_same_as_text_and_as_json(where):
    assert repr(parse(str(where), TYPES)) == repr(where)
    assert repr(Where.from_json(json.loads(json.dumps(where.to_json())))) == repr(where)


@given(tables(), conditions())
@example(pa.table({"single": pa.array([0.1], pa.float32())}), Where(Compare("single", "==", 0.1)))
def test_arrow_finds_what_python_does(table, where):
    expected = [meets(where.condition, row) for row in table.to_pylist()]
    assert matches(where, table).to_pylist() == expected
    pieces = pa.concat_tables([table.slice(0, 3), table.slice(3)])
    assert matches(where, pieces).to_pylist() == expected


@contextmanager
def postgresql():
    """Run a PostgreSQL of the tests' own, sorting texts by the rules of a language; yield an address."""
    if shutil.which("initdb") is None:
        pytest.skip("PostgreSQL is not installed")
    user = {"user": "postgres"} if os.geteuid() == 0 else {}  # it does not run as root
    # Where that user may go, and short: the path of a socket has up to 107 characters.
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        if user:
            shutil.chown(home, **user)
        data, log = f"{home}/data", f"{home}/log"
        icu = ["--locale-provider=icu", "--icu-locale=en-US", "-E", "UTF8", "-A", "trust", "-U", "tester"]

        def run(*command):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=home, **user)

        run("initdb", "-D", data, *icu)
        run("pg_ctl", "start", "-w", "-D", data, "-l", log, "-o", f"-k {home} -c listen_addresses=''")
        try:
            yield f"postgresql://tester@localhost/postgres?host={home}"
        finally:
            run("pg_ctl", "stop", "-w", "-D", data, "-m", "immediate")


@pytest.fixture(scope="module", params=["duckdb", "sqlite", "postgresql"])
def storage(request, tmp_path_factory):
    with ExitStack() as stack:
        if request.param == "postgresql":
            storage = RemoteSQLStorage(stack.enter_context(postgresql()))
        else:
            storage = TableStorage(
                f"{request.param}:///{tmp_path_factory.mktemp('tables')}/t.{request.param}"
            )
        register_storage(storage)
        stack.callback(unregister_storage, storage)
        stack.callback(storage.dispose)
        yield storage


def stored(storage, table):
    """Return the adapter of a new table with these rows."""
    source = DataSource(
        structure_family=StructureFamily.table,
        structure=TableStructure.from_arrow_table(table),
        mimetype="application/x-tiled-sql-table",
        parameters={},
        management=Management.writable,
        assets=[],
    )
    placed = TableAdapter.init_storage(storage, source)
    parameters = placed.parameters
    adapter = TableAdapter(storage.uri, placed.structure, parameters["table_name"], parameters["dataset_id"])
    if table.num_rows:
        adapter.append_rows(table, None)
    return adapter


def numbered(table):
    return table.append_column("row", pa.array(range(table.num_rows), pa.int64()))


def rows_where(adapter, where, **more):
    found, is_more = adapter.select(Selection(("row",), where, **more), 10**6)
    assert not is_more
    return found["row"].to_pylist()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_databases_find_what_python_does(storage, data):
    # SQLite stores null for NaN.
    table = numbered(data.draw(tables(nan=storage.dialect != "sqlite")))
    adapter = stored(storage, table)
    for where in data.draw(st.lists(conditions(), min_size=5, max_size=10)):
        expected = [row["row"] for row in table.to_pylist() if meets(where.condition, row)]
        assert rows_where(adapter, where) == expected


def test_unsigned_numbers_past_those_with_a_sign(storage):
    if storage.dialect != "duckdb":
        pytest.skip("Tiled stores them in DuckDB alone")
    table = numbered(pa.table({"u": pa.array([0, 2**63, 2**64 - 1, None, BIG + 1], pa.uint64())}))
    adapter = stored(storage, table)
    for expression, rows in {
        f"u > {2**63 - 1}": [1, 2],
        f"u == {2**64 - 1}": [2],
        f"u < {2**64}": [0, 1, 2, 4],
        f"u in [{2**63}, {float(BIG)!r}, -1]": [1],
        "u > -1": [0, 1, 2, 4],
    }.items():
        assert rows_where(adapter, parse(expression)) == rows
        assert matches(parse(expression), table).to_pylist() == [n in rows for n in range(5)]


def test_the_largest_condition(storage):
    table = numbered(pa.table({"n": list(range(MAX_CONDITIONS + 2)), "s": ["'"] * (MAX_CONDITIONS + 2)}))
    adapter = stored(storage, table)
    either = " or ".join(f"n == {n}" for n in range(MAX_CONDITIONS))
    assert rows_where(adapter, parse(either)) == list(range(MAX_CONDITIONS))
    listed = f"n in {list(range(1, 10_001))}"
    assert rows_where(adapter, parse(listed)) == list(range(1, MAX_CONDITIONS + 2))
    deep = "not (" * 48 + "n == 3" + ")" * 48
    assert rows_where(adapter, parse(deep)) == [3]


def test_only_the_last_of_rows_taken_again(storage):
    """It is chosen before it is asked whether it meets the condition."""
    table = numbered(pa.table({"seq_num": [1, 2, 3, 2, None, 3, None], "x": [0, 1, 0, 5, 0, 0, 1]}))
    adapter = stored(storage, table)
    assert rows_where(adapter, parse("x < 5"), last_of="seq_num") == [0, 4, 5, 6]
    assert rows_where(adapter, None, last_of="seq_num") == [0, 3, 4, 5, 6]
    assert rows_where(adapter, parse("x < 5")) == [0, 1, 2, 4, 5, 6]
    assert rows_where(adapter, parse("seq_num == 2"), last_of="seq_num", first_row=0) == [3]
    assert rows_where(adapter, parse("x < 5"), last_of="seq_num", first_row=2) == [5, 6]


@pytest.mark.parametrize("last_of", [None, "again"])
@pytest.mark.parametrize("most", [1, 100, 40_000, 10**6])
def test_pieces_are_all_rows_in_their_order(storage, most, last_of):
    count = 200 if most < 10_000 else 12_000
    again = pa.array([n // 2 for n in range(count)])
    table = numbered(pa.table({"even": [n % 2 == 0 for n in range(count)], "again": again}))
    adapter = stored(storage, table)
    for where, expected in (
        (parse("not even"), list(range(1, count, 2))),
        (None, list(range(1 if last_of else 0, count, 2 if last_of else 1))),
    ):
        found, more, pieces = [], True, 0
        while more:
            piece, more = adapter.select(Selection(("row", "even"), where, last_of, len(found)), most)
            assert piece.num_rows == 1 or piece.nbytes <= most + 16  # bits are sent in whole bytes
            assert piece.num_rows or not more
            found += piece["row"].to_pylist()
            pieces += 1
        assert found == expected
        assert (pieces == 1) is (most == 10**6)


def test_rows_of_other_tables_and_partitions(storage):
    """Tables of one schema share one table of the database."""
    table = pa.table({"row": [1, 2, 3], "x": [0.5, 1.5, 2.5]})
    adapters = [stored(storage, table), stored(storage, pa.table({"row": [4, 5], "x": [1.5, 0.5]}))]
    assert [rows_where(adapter, parse("x > 1 or x < 1")) for adapter in adapters] == [[1, 2, 3], [4, 5]]
    empty = stored(storage, table.slice(0, 0))
    assert rows_where(empty, parse("x > 1"), last_of="row") == []


# The route


def ask(server, key, body):
    return httpx.post(
        f"{server.address}/api/v1/tilewright/rows/{key}",
        json=body,
        headers={"Authorization": f"Apikey {server.api_key}"},
    )


@pytest.fixture(scope="module")
def asked(server, connect):
    table = pa.table({"row": [0, 1, 2], "Site": ["a", "b", None], "list": [[1], [2], None]})
    with connect(server) as client:
        client.create_appendable_table(table.schema, key="asked").append_partition(0, table)
    return "asked"


def test_a_selection_is_sent(server, asked):
    where = parse("Site != 'a'").to_json()
    answer = ask(server, asked, {"columns": ["list", "row"], "where": where, "first_row": 1})
    assert answer.status_code == httpx.codes.OK
    assert MORE not in answer.headers
    table = pa.ipc.open_stream(answer.content).read_all()
    assert table.to_pydict() == {"list": [None], "row": [2]}


def test_a_list_of_columns_is_all_rows(server, asked):
    table = pa.ipc.open_stream(ask(server, asked, ["Site"]).content).read_all()
    assert table.to_pydict() == {"Site": ["a", "b", None]}


@pytest.mark.parametrize(
    ("where", "detail"),
    [
        (
            {"==": ["site", {"value": "a"}]},
            "no column 'site' to compare. Did you mean 'Site'? There are: row, Site",
        ),
        ({"==": ["_dataset_id", {"value": 1}]}, "no column '_dataset_id'"),
        ({"==": ["Site", {"value": 1}]}, "column 'Site' is string and cannot be compared with 1"),
        ({"in": ["row", [1, "b"]]}, "column 'row' is int64 and cannot be compared with 'b'"),
        ({"<": ["row", {"column": "Site"}]}, "columns 'row' (int64) and 'Site' (string) cannot be compared"),
        ({"==": ["list", {"value": 1}]}, "column 'list' is list<item: int64> and cannot be compared"),
        ({"holds": "row"}, "column 'row' is int64, and no condition by itself"),
        ({"==": ["row", {"value": None}]}, "cannot read the `where`"),
        ("row == 1", "cannot read the `where`"),
        ({"not": {"not": {}}}, "cannot read the `where`"),
    ],
)
def test_what_does_not_fit_is_told(server, asked, where, detail):
    answer = ask(server, asked, {"columns": ["row"], "where": where})
    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert detail in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"columns": []},
        {"columns": "row"},
        {"columns": [1]},
        {"columns": ["row"], "first_row": -1},
        {"columns": ["row"], "first_row": True},
        {"columns": ["row"], "first_row": 2**63},
        {"columns": ["row"], "last_of": 3},
        {"columns": ["row"], "were": None},
    ],
)
def test_what_is_no_selection_is_told(server, asked, body):
    answer = ask(server, asked, body)
    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert answer.json()["detail"].startswith("cannot read the request for rows")


@pytest.mark.parametrize("more", [{"columns": ["nope"]}, {"columns": ["row"], "last_of": "nope"}])
def test_a_column_that_is_not_there(server, asked, more):
    answer = ask(server, asked, more)
    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert answer.json()["detail"].startswith("No such field")


def test_a_key_is_needed(server, asked):
    url = f"{server.address}/api/v1/tilewright/rows/{asked}"
    assert httpx.post(url, json={"columns": ["row"]}).status_code == httpx.codes.UNAUTHORIZED


def test_a_hostile_depth_is_refused(server, asked):
    deep = '{"not":' * 100_000 + "1" + "}" * 100_000
    answer = httpx.post(
        f"{server.address}/api/v1/tilewright/rows/{asked}",
        content=f'{{"columns": ["row"], "where": {deep}}}',
        headers={"Authorization": f"Apikey {server.api_key}", "Content-Type": "application/json"},
    )
    assert httpx.codes.BAD_REQUEST <= answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR
