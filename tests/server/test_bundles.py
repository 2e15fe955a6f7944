"""Steps that are taken together come to the same as Tiled's own requests, and none more than once."""

import sqlite3
from contextlib import closing, suppress

import httpx
import ormsgpack
import pyarrow as pa
import pytest

from tilewright.delivery import target
from tilewright.delivery.failures import FateUnknownError, NotThereError
from tilewright.delivery.nodes import Mismatch, TablePart, table_source
from tilewright.delivery.remote import BUNDLE_ROUTE
from tilewright.delivery.steps import Append, Bundle, Check, Close, Create, SetItems, Update
from tilewright.tables.wire import checksum

SCHEMA = pa.schema([("seq_num", pa.int64()), ("x", pa.float64())])
SPECS = [{"name": "A", "version": "1"}]


def rows(first, count):
    return pa.table({"seq_num": range(first, first + count), "x": [0.5] * count}, schema=SCHEMA)


def files(first, count):
    return [
        {
            "data_uri": f"file://localhost/data/{number}.tif",
            "is_directory": False,
            "parameter": "data_uris",
            "num": number,
        }
        for number in range(first, first + count)
    ]


def images(first, count):
    """Return the data source of a sequence, with the files from `first` on."""
    shape = [first + count, 2, 2]
    structure = {
        "data_type": {"endianness": "little", "kind": "u", "itemsize": 2, "dt_units": None},
        "chunks": [[1] * shape[0], [2], [2]],
        "shape": shape,
        "dims": None,
        "resizable": False,
    }
    return {
        "structure_family": "array",
        "structure": structure,
        "mimetype": "multipart/related;type=image/tiff",
        "parameters": {},
        "management": "external",
        "assets": files(first, count),
    }


@pytest.fixture(params=["together", "one by one"])
def remote(catalog, request):
    remote = target(catalog).connect()
    return remote if request.param == "together" else remote.without_bundles()


@pytest.fixture
def send(remote):
    """Return a function that has steps taken, and returns whether they all made sense, and what came of each."""

    def send(*steps):
        bundle, results = Bundle(remote), []
        for step in steps:
            bundle.add(step, results.append)
        return bundle.send(), results

    return send


def run(uid="run"):
    table = Create((uid, "s", "t"), "table", {"about": "rows"}, [], table_source(SCHEMA))
    return [Create((uid,), "container", {"start": 1}, SPECS), Create((uid, "s"), "container", {}, []), table]


def described(remote, *path):
    """Return what a server says of a node, but for what is different in each."""
    answer = remote.http.get(
        "/".join((remote.api, "metadata", *remote.root, *path)), params={"include_data_sources": True}
    ).json()["data"]["attributes"]
    for source in answer.get("data_sources") or []:
        source["id"] = None
        source["parameters"].pop("dataset_id", None)
        for asset in source["assets"]:
            asset["id"] = None
    return {key: value for key, value in answer.items() if key != "ancestors"}


def test_a_whole_run(send, remote):
    table = ("run", "s", "t")
    whole, results = send(
        *run(),
        Append(table, rows(1, 3), 0),
        Append(table, rows(4, 2), 3),
        Check(table, "seq_num", 5, checksum(rows(1, 5).column("seq_num"))),
        SetItems(("run",), {"stop": {"a": None}}),
        Close(table),
        Close(("run",)),
    )
    assert whole
    assert [node.created for node in results[:3]] == [True] * 3
    assert results[5].rows == 5
    assert remote.read_table(table, ["seq_num", "x"]).equals(rows(1, 5))
    assert remote.get(("run",)).metadata == {"start": 1, "stop": {"a": None}}


def test_the_same_is_in_the_catalog_either_way(catalog):
    found = []
    for number, remote in enumerate((target(catalog).connect(), target(catalog).connect().without_bundles())):
        uid = f"run{number}"
        bundle = Bundle(remote)
        array = (uid, "s", "images")
        sources = []
        for step in [
            *run(uid),
            Create(array, "array", {"k": 1}, [], images(0, 3)),
            SetItems((uid,), {"stop": 2}),
        ]:
            bundle.add(step, sources.append)
        assert bundle.send()
        source = sources[3].data_source["id"]
        bundle.add(Update(array, images(3, 2) | {"id": source}))
        bundle.add(Update(array, images(3, 2) | {"id": source}))  # a request that came twice
        assert bundle.send()
        found.append([described(remote, *path) for path in ((uid,), (uid, "s"), (uid, "s", "t"), array)])
    assert found[0] == found[1]
    assert [asset["num"] for asset in found[0][3]["data_sources"][0]["assets"]] == list(range(5))


def test_what_is_there_already_ends_a_bundle(send, remote):
    assert send(*run())[0]
    appended = Append(("run", "s", "t"), rows(1, 3), 0)
    whole, results = send(*run(), appended)
    assert not whole
    assert [(node.created, node.metadata) for node in results] == [(False, {"start": 1})]
    assert remote.read_table(("run", "s", "t"), ["seq_num"]).num_rows == 0
    other = Create(("run", "other"), "container", {}, [])
    whole, results = send(other, run()[1], appended)
    assert (whole, [node.created for node in results]) == (False, [True, False])


def test_rows_that_are_there_are_passed_over(send, remote):
    """A bundle that is sent again, for nobody knows whether it has arrived."""
    send(*run(), Append(("run", "s", "t"), rows(1, 3), 0))
    for _ in range(2):
        assert send(Append(("run", "s", "t"), rows(2, 4), 1))[0]
    assert remote.read_table(("run", "s", "t"), ["seq_num", "x"]).equals(rows(1, 5))


def test_rows_counted_by_other_requests_too(catalog):
    """The server remembers how many rows there are; rows that come by Tiled's own route count."""
    ours, stock = target(catalog).connect(), target(catalog).connect().without_bundles()
    table = ("run", "s", "t")
    for remote, first, count in ((ours, 0, 3), (stock, 3, 2), (ours, 4, 3), (stock, 5, 4), (ours, 9, 1)):
        bundle = Bundle(remote)
        for step in run() if first == 0 else ():
            bundle.add(step)
        bundle.add(Append(table, rows(first + 1, count), first))
        assert bundle.send()
    assert ours.read_table(table, ["seq_num", "x"]).equals(rows(1, 10))


def test_a_table_made_anew_has_its_own_rows(send, remote):
    """The catalog gives the ids of deleted nodes to new ones."""
    table = ("run", "s", "t")
    send(*run(), Append(table, rows(1, 3), 0))
    for first in (11, 21):
        remote.delete(table)
        count = Check(table, "seq_num", 2, None)
        whole, results = send(run()[2], Append(table, rows(first, 2), 0), count)
        assert (whole, results[-1].rows) == (True, 2)
    assert remote.read_table(table, ["seq_num", "x"]).equals(rows(21, 2))


@pytest.mark.parametrize("wanted", [(4, None), (3, 17)], ids=["number", "order"])
def test_what_does_not_hold_ends_a_bundle(send, remote, wanted):
    send(*run(), Append(("run", "s", "t"), rows(1, 3), 0))
    whole, results = send(Check(("run", "s", "t"), "seq_num", *wanted), SetItems(("run",), {"stop": 1}))
    assert (whole, results[0].rows) == (False, 3)
    assert remote.get(("run",)).metadata == {"start": 1}


def test_a_gap_before_the_rows(remote):
    bundle = Bundle(remote)
    for step in run():
        bundle.add(step)
    part = TablePart(("run", "s", "t"), ["seq_num", "x"], rows=0, is_there=True)
    with pytest.raises(Mismatch):
        part.append(bundle, remote, rows(5, 2), 4)
    bundle.add(Append(part.path, rows(5, 2), 4))
    told = []
    bundle.add(SetItems(("run",), {"late": 1}), told.append)
    with pytest.raises(FateUnknownError):
        bundle.send()
    assert told == []
    with suppress(FateUnknownError):  # Tiled's route ends the connection
        remote.get(("run",))
    assert remote.get(("run",)).metadata == {"start": 1}


@pytest.mark.parametrize("seconds", [0.0, 3600.0])
def test_structures_that_were_replaced_are_not_kept_for_long(catalog, server, monkeypatch, seconds):
    """But those of others are, and so are those that somebody else has too."""
    monkeypatch.setattr("tilewright.server.sources.KEPT_SECONDS", seconds)

    def structures():
        with closing(sqlite3.connect(server.directory / "catalog.db")) as database:
            (count,) = database.execute("SELECT COUNT(*) FROM structures").fetchone()
        return count

    remote, counts = target(catalog).connect(), []
    bundle = Bundle(remote)
    bundle.add(Create(("run",), "container", {}, []))
    for key in ("one", "two"):
        bundle.add(Create(("run", key), "array", {}, [], images(0, 71)))
    bundle.send()
    source = remote.get(("run", "one")).data_source["id"]
    for count in range(72, 92):
        bundle = Bundle(remote)
        bundle.add(Update(("run", "one"), images(count - 1, 1) | {"id": source}))
        bundle.send()
        counts.append(structures())
    assert (counts[-1] > counts[0]) == (seconds > 0)
    assert remote.get(("run", "two")).structure["shape"] == [71, 2, 2]
    assert remote.get(("run", "one")).structure["shape"] == [91, 2, 2]


def test_nowhere(remote):
    for step in (
        Create(("none", "s"), "container", {}, []),
        Append(("none", "s", "t"), rows(1, 1), 0),
        SetItems(("none",), {}),
        Check(("none", "t"), "seq_num", 0, None),
        Update(("none",), images(0, 1) | {"id": 1}),
    ):
        bundle = Bundle(remote)
        bundle.add(step)
        with pytest.raises(NotThereError):
            bundle.send()


def test_a_step_that_is_refused_and_can_be_done_without(remote):
    refused, done = [], []
    bundle = Bundle(remote)
    bundle.add(run()[0])
    odd = {**images(0, 1), "mimetype": "application/x-nobody-knows"}
    bundle.add(
        Create(("run", "odd"), "array", {}, [], odd), failed=lambda error: refused.append(str(error)) or True
    )
    bundle.add(run()[1], done.append)
    assert not bundle.send()
    assert (len(refused), done) == (1, [])
    assert "415" in refused[0] or "x-nobody-knows" in refused[0]


def test_without_a_key(server):
    answer = httpx.post(
        f"{server.address}/api/v1/{BUNDLE_ROUTE}/", content=ormsgpack.packb({"steps": []}), timeout=30
    )
    assert answer.status_code == httpx.codes.UNAUTHORIZED
