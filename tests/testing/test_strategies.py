import event_model
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings

from tilewright.testing.expected import expected_metadata, expected_tables
from tilewright.testing.strategies import KINDS, NASTY_KEYS, RunOptions, identifying_value, interleaved, runs

QUICK = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
SEARCH = settings(
    max_examples=5_000,  # it draws constants of the project too, so what is found first changes with its code
    phases=[Phase.generate],  # the first find will do
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

PLAIN = RunOptions(
    keys=("x", "y"),
    kinds=("integer",),
    largest_array=0,
    nulls=False,
    pages=False,
    rewinds=False,
    incomplete=False,
    identifying=True,
)


def rows_of(documents):
    return [
        row
        for tables in expected_tables(documents).values()
        for table in tables.values()
        for row in table.rows
    ]


def values_of(documents):
    return [value for row in rows_of(documents) for value in row.data.values()]


@QUICK
@given(runs())
def test_runs_are_valid(documents):
    for name, doc in documents:
        event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)
    assert documents[0][0] == "start"
    assert len(expected_metadata(documents)) == 1


@QUICK
@given(runs())
def test_times_are_all_different(documents):
    times = [row.time for row in rows_of(documents)]
    assert len(set(times)) == len(times)


@QUICK
@given(runs(PLAIN))
def test_options_restrict(documents):
    names = {name for name, _ in documents}
    assert names == {"start", "descriptor", "event", "stop"}
    [tables] = expected_tables(documents).values()
    for table in tables.values():
        assert set(table.keys) <= {"x", "y"}
        assert [row.seq_num for row in table.rows] == list(range(1, len(table.rows) + 1))
        for row in table.rows:
            expected = {key: identifying_value("integer", row.seq_num, n) for n, key in enumerate(table.keys)}
            assert row.data == expected


@QUICK
@given(interleaved())
def test_interleaved_runs_keep_their_order(documents):
    metadata = expected_metadata(documents)
    assert len(metadata) >= 2
    for uid in metadata:
        mine = [(name, doc) for name, doc in documents if uid in (doc.get("uid"), doc.get("run_start"))]
        assert mine[0][0] == "start"
        assert all(name != "stop" for name, _ in mine[:-1])


def has_several_descriptors(documents):
    [metadata] = expected_metadata(documents).values()
    return any(
        len({repr(one["configuration"]) for one in several}) > 1 for several in metadata.descriptors.values()
    )


def has_alternating_streams(documents):
    events = [doc["descriptor"] for name, doc in documents if name == "event"]
    return len(events) > 2 and events[0] == events[2] != events[1]


def names_in(documents):
    return [name for name, _ in documents]


def repeats_seq_num(documents):
    [tables] = expected_tables(documents).values()
    return any(len({row.seq_num for row in table.rows}) < len(table.rows) for table in tables.values())


@pytest.mark.parametrize(
    "has",
    [
        has_several_descriptors,
        has_alternating_streams,
        repeats_seq_num,
        lambda run: {"event", "event_page"} <= set(names_in(run)),
        lambda run: names_in(run) == ["start"],
        lambda run: names_in(run) == ["start", "stop"],
        lambda run: "event" in names_in(run) and "stop" not in names_in(run),
        lambda run: any(value is None for value in values_of(run)),
        lambda run: any(value != value for value in values_of(run)),  # noqa: PLR0124 - NaN
        lambda run: float("inf") in values_of(run),
        lambda run: any(type(value) is int and abs(value) > 2**53 for value in values_of(run)),
        lambda run: any(isinstance(value, str) and not value.isascii() for value in values_of(run)),
        lambda run: any(isinstance(value, list) and len(value) > 8 for value in values_of(run)),
        lambda run: any(set(row.data) & set(NASTY_KEYS) for row in rows_of(run)),
    ],
)
def test_runs_may_have(has):
    find(runs(), has, settings=SEARCH)


def test_misfits_are_of_another_kind():
    options = RunOptions(kinds=("integer",), largest_array=0, misfits=True)
    find(runs(options), lambda run: any(isinstance(value, str) for value in values_of(run)), settings=SEARCH)


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_only(kind):
    python = {"number": float, "integer": int, "boolean": bool, "string": str}[kind]

    @QUICK
    @given(runs(RunOptions(kinds=(kind,), nulls=False, largest_array=0)))
    def check(documents):
        assert {type(value) for value in values_of(documents)} <= {python}

    check()
