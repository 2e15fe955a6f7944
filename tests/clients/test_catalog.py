"""Catalog: looking up runs, one row a run, and being a Tiled container all the same."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest
from tiled.client.array import ArrayClient
from tiled.queries import Eq

from tilewright.clients import Catalog, Run, http, open_catalog
from tilewright.errors import InputError, NotFoundError

UIDS = [f"{letter}1b2c3d4-0000-0000-0000-00000000000{i}" for i, letter in enumerate("abc")]


@pytest.fixture
def three(write, catalog):
    """Three runs: scan_ids 1, 2, 1."""
    for i, uid in enumerate(UIDS):
        write.run(
            uid,
            scan_id=[1, 2, 1][i],
            plan_name=["count", "scan", "count"][i],
            time=1_700_000_000.0 + 1000 * i,
        )
    return catalog


def test_by_uid(three, requests):
    requests.clear()
    run = three[UIDS[1]]
    assert isinstance(run, Run)
    assert run.uid == UIDS[1]
    assert len(requests) == 1


def test_by_scan_id_the_latest(three):
    assert three[1].uid == UIDS[2]
    assert three[2].uid == UIDS[1]
    assert three[np.int64(2)].uid == UIDS[1]


def test_by_part_of_a_uid(three):
    assert three["b1b2"].uid == UIDS[1]
    assert three["b"].uid == UIDS[1]


def test_the_latest(three):
    assert [three[-1].uid, three[-2].uid, three[-3].uid] == UIDS[::-1]


def test_by_part_of_more_than_one_uid(write, catalog):
    for i in range(7):
        write.run(f"ab{i}")
    expected = r"^'ab' is the beginning of 7 uids: ab0, ab1, ab2, ab3, ab4, …\. Give more of it\.$"
    with pytest.raises(InputError, match=expected):
        catalog["ab"]


def test_wildcards_of_the_server_are_not_ours(write, catalog):
    write.run("a_1")
    write.run("ab1")
    assert catalog["a_"].uid == "a_1"
    with pytest.raises(NotFoundError):
        catalog["%"]
    with pytest.raises(NotFoundError):
        catalog["A"]


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ("b1b3", r"run 'b1b3'"),
        ("zzz", r"run 'zzz'"),
        (77, "run with scan_id 77"),
        (-4, "run -4 from the end"),
    ],
)
def test_what_is_not_there(three, key, asked):
    with pytest.raises(NotFoundError) as caught:
        three[key]
    message = str(caught.value)
    assert message.startswith(f"No {asked} among the 3 runs in the catalog at http://")
    assert message.endswith(
        "The latest: c1b2c3d4 (scan_id 1, count), b1b2c3d4 (scan_id 2, scan), a1b2c3d4 (scan_id 1, count)."
    )
    assert ("Did you mean 'b1b2c3d4'" in message) == (key == "b1b3")


def test_nothing_is_there(catalog):
    with pytest.raises(
        NotFoundError, match=r"^No run -1 from the end: there are no runs in the catalog at http://"
    ):
        catalog[-1]
    with pytest.raises(KeyError):
        catalog["a"]
    assert catalog.table().empty


def test_a_long_list_of_runs_is_shortened(write, catalog):
    for i in range(7):
        write.run(f"run-{i}", scan_id=i)
    with pytest.raises(
        NotFoundError,
        match=r"the 7 runs .* The latest: run-6 .*, run-5 .*, run-4 .*, run-3 .*, run-2 \(scan_id 2, count\)\.$",
    ):
        catalog[99]


@pytest.mark.parametrize("key", [None, 1.5, True, "", "/", slice(0, 2), ["a"], (1, 2)])
def test_what_is_no_key(three, key):
    with pytest.raises(
        InputError, match=r"^Cannot look up a run by .*: give a uid, its beginning, a scan_id, or -1"
    ):
        three[key]


def test_zero_is_no_scan_id(three):
    with pytest.raises(InputError, match=r"^Cannot look up run 0: give a scan_id, which starts at 1, or -1"):
        three[0]


def test_paths(write, catalog):
    write.stream(write.run("a1b2"), tables=[write.rows(x=[0, 1, 2])])
    assert isinstance(catalog["a1b2/primary/internal/x"], ArrayClient)
    assert catalog["a1b2", "primary", "x"].read().tolist() == [0, 1, 2]
    assert catalog["a1/primary/x"].read().tolist() == [0, 1, 2]
    with pytest.raises(NotFoundError, match="no stream 'secondary'"):
        catalog["a1b2/secondary/x"]


def test_it_is_a_tiled_container(three):
    assert len(three) == 3
    assert list(three) == list(three.keys()) == UIDS
    assert three.keys()[-1] == UIDS[2]
    assert [run.uid for run in three.values()[1:]] == UIDS[1:]
    assert {key: type(run) for key, run in three.items()} == dict.fromkeys(UIDS, Run)
    assert UIDS[0] in three
    assert "b1b2" not in three
    assert 1 not in three
    assert "" not in three
    assert three.get("nothing") is None


def test_a_search_gives_a_catalog(three):
    found = three.search(Eq("start.scan_id", 1))
    assert isinstance(found, Catalog)
    assert list(found) == [UIDS[0], UIDS[2]]
    assert found[-1].uid == UIDS[2]
    assert found["a"].uid == UIDS[0]
    with pytest.raises(NotFoundError, match=r"among the 2 runs"):
        found["b1b2"]
    assert found.table()["uid"].tolist() == [UIDS[0], UIDS[2]]
    assert list(open_catalog(found)) == list(found)


def test_sorted_the_other_way(three):
    turned = three.sort(("start.time", -1))
    assert turned[-1].uid == UIDS[0]
    assert turned.table()["uid"].tolist() == UIDS[::-1]
    assert turned.table(limit=1)["uid"].tolist() == [UIDS[0]]


def test_other_things_in_the_container_are_no_runs(three, container):
    container.create_container("zz_other")
    assert three[-1].uid == UIDS[2]
    assert three.table()["uid"].tolist() == UIDS
    assert "zz_other" in three
    assert three["zz_other"].metadata == {}
    assert "3 runs" in repr(three)


def test_repr(three):
    assert repr(three).startswith("<Catalog of 3 runs at http://127.0.0.1:")
    html = three._repr_html_()
    assert html.startswith("<p>The latest of 3 runs:</p>")
    assert all(uid in html for uid in UIDS)
    assert repr(three.search(Eq("start.scan_id", 2))).startswith("<Catalog of 1 run at")


def test_table(write, catalog):
    node = write.run(
        "a1", scan_id=7, plan_name="scan", time=1_700_000_000.5, num_events={"baseline": 2, "primary": 10}
    )
    write.stream(node, "not asked for")
    node = write.run("b2", stop=False, scan_id=None, plan_name=None)
    write.stream(node, "baseline")
    write.stream(node, "primary")
    write.run("c3", stop=False, time=None)
    frame = catalog.table()
    assert list(frame) == [
        "uid",
        "scan_id",
        "plan_name",
        "time",
        "duration",
        "exit_status",
        "streams",
        "events",
    ]
    assert frame.index.tolist() == [0, 1, 2]
    assert frame["uid"].tolist() == ["a1", "b2", "c3"]
    assert frame["scan_id"].tolist() == [7, pd.NA, 1]
    assert frame["plan_name"].tolist() == ["scan", None, "count"]
    start = pd.Timestamp("2023-11-14T22:13:20.5Z")
    assert frame["time"].tolist() == [start, start, pd.NaT]
    assert str(frame["time"].dt.tz) == "UTC"
    assert frame["duration"].tolist() == [pd.Timedelta("11.5s"), pd.NaT, pd.NaT]
    assert frame["exit_status"].tolist() == ["success", None, None]
    assert frame["streams"].tolist() == [["primary", "baseline"], ["primary", "baseline"], []]
    assert frame["events"].tolist() == [12, pd.NA, pd.NA]


def test_an_empty_table_has_the_same_types(three):
    full, empty = three.table(), three.table(plan_name="nothing")
    assert empty.empty
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()


def test_table_costs_one_request_a_page(write, catalog, requests, monkeypatch):
    monkeypatch.setattr(http, "PAGE_SIZE", 10)
    for i in range(25):
        write.run(f"r{i:03}", scan_id=i)
    requests.clear()
    assert catalog.table()["scan_id"].tolist() == list(range(25))
    assert len(requests) == 3
    requests.clear()
    assert catalog.table(limit=4)["scan_id"].tolist() == [21, 22, 23, 24]
    assert len(requests) == 1
    assert catalog.table(limit=20)["scan_id"].tolist() == list(range(5, 25))
    assert catalog.table(limit=100)["scan_id"].tolist() == list(range(25))
    assert catalog[-1].scan_id == 24
    assert catalog["r003"].scan_id == 3


@pytest.fixture
def samples(write, catalog):
    """Runs that differ in one thing each; the uid says in what."""
    day = 86_400.0
    write.run("iron", time=0 * day, sample="Fe", plan_name="scan", energy=7.112, dark=False)
    write.run("nested", time=1 * day, sample={"name": "Fe", "place": {"row": 3}}, energy=7)
    write.run("dark", time=2 * day, dark=True, sample=5)
    write.run("failed", time=3 * day, scan_id=12, num_events={})
    write.container["failed"].update_metadata(
        {"stop": {"exit_status": "fail", "time": 3 * day, "num_events": {}}}
    )
    return catalog


@pytest.mark.parametrize(
    ("filters", "uids"),
    [
        ({}, ["iron", "nested", "dark", "failed"]),
        ({"plan_name": "scan"}, ["iron"]),
        ({"sample": "Fe"}, ["iron"]),
        ({"sample": "Fe", "plan_name": "count"}, []),
        ({"sample": {"name": "Fe"}}, ["nested"]),
        ({"sample": {"place": {"row": 3}}}, ["nested"]),
        ({"sample__place__row": np.int64(3)}, ["nested"]),
        ({"sample.name": "Fe"}, ["nested"]),
        ({"energy": 7.112}, ["iron"]),
        ({"energy": 7}, ["nested"]),
        ({"dark": True}, ["dark"]),
        ({"dark": False}, ["iron"]),
        ({"scan_id": 12}, ["failed"]),
        ({"uid": "dark"}, ["dark"]),
        ({"uid": "dar"}, []),
        ({"exit_status": "fail"}, ["failed"]),
        ({"exit_status": "success", "limit": 1}, ["dark"]),
        ({"since": "1970-01-02"}, ["nested", "dark", "failed"]),
        ({"until": "1970-01-02"}, ["iron"]),
        ({"since": "1970-01-02T01:00:00+01:00", "until": "1970-01-03"}, ["nested"]),
        ({"since": "1970-01-02 00:00:01"}, ["dark", "failed"]),
        ({"since": date(1970, 1, 3)}, ["dark", "failed"]),
        ({"since": datetime(1970, 1, 4, tzinfo=UTC)}, ["failed"]),
        ({"since": pd.Timestamp("1970-01-04", tz="UTC")}, ["failed"]),
    ],
)
def test_filters(samples, filters, uids):
    assert samples.table(**filters)["uid"].tolist() == uids


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (
            {"since": "last tuesday"},
            r"^since='last tuesday' cannot be read as a time \(.*\): write it like '2026-",
        ),
        ({"until": "NaT"}, r"^until='NaT' is no time at all: leave until out"),
        ({"since": 5}, r"^since=5 is not a time: give text such as"),
        ({"since": datetime(2026, 1, 1)}, r"^since=datetime\.datetime.* has no time zone.*astimezone\(\)\.$"),  # noqa: DTZ001
        ({"until": pd.Timestamp("2026-01-01")}, r"^until=Timestamp.* has no time zone"),
        ({"sample": ["Fe", "Cu"]}, r"^Selecting runs by sample=\['Fe', 'Cu'\]: expected a string, a number"),
        ({"sample": {"name": None}}, r"^Selecting runs by sample\.name=None: expected a string"),
        ({"limit": 0}, r"^limit=0: expected how many runs to give, at least 1\.$"),
    ],
)
def test_filters_that_cannot_be(samples, filters, message):
    with pytest.raises(InputError, match=message):
        samples.table(**filters)
