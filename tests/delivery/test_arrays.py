"""Large arrays in events, from the journal to a real server: written in step, made anew, and never twice."""

import itertools
import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import ormsgpack
import pytest

from tilewright.delivery import Outcome
from tilewright.delivery.remote import BUNDLE_ROUTE, Remote
from tilewright.delivery.verify import compare, repair

SIZE = 100


def spec(*shape, **more):
    return {"source": "test", "dtype": "array", "shape": list(shape), **more}


def wave(row, size=SIZE, dtype="f8"):
    """Return numbers that tell their row and place."""
    return (np.arange(size) + 1000 * row).astype(dtype)


def documents_of(rows, keys=None, *, as_page=False, start=None):
    """Return a run of rows, each of which may lack some keys; it may be another run than the one `start` says."""
    uid = start or str(uuid.uuid4())
    keys = {"x": {"source": "test", "dtype": "number", "shape": []}, **(keys or {"wave": spec(SIZE)})}
    descriptor = {
        "uid": f"{uid}-d{len(keys)}",
        "run_start": uid,
        "name": "primary",
        "time": 1.0,
        "data_keys": keys,
    }
    stamps = [dict.fromkeys(row, 3.0) for row in rows]
    if as_page:
        columns = [{key: [part[key] for part in parts] for key in rows[0]} for parts in (rows, stamps)]
        body = {
            "descriptor": descriptor["uid"],
            "seq_num": list(range(1, len(rows) + 1)),
            "time": [2.0] * len(rows),
        }
        middle = [("event_page", {**body, "data": columns[0], "timestamps": columns[1], "filled": {}})]
    else:
        middle = [
            (
                "event",
                {
                    "descriptor": descriptor["uid"],
                    "seq_num": n,
                    "time": 2.0,
                    "data": row,
                    "timestamps": stamp,
                },
            )
            for n, (row, stamp) in enumerate(zip(rows, stamps, strict=True), 1)
        ]
    begin = [("start", {"uid": uid, "time": 0.0}), ("descriptor", descriptor)]
    return [
        *begin,
        *middle,
        ("stop", {"uid": f"{uid}-stop", "run_start": uid, "time": 4.0, "exit_status": "success"}),
    ]


@pytest.fixture
def read(catalog):
    """Return a function that reads an array of a run, each row as an array; and checks it against the table."""

    def read(documents, key="wave"):
        stream = catalog[documents[0][1]["uid"]]["primary"]
        array = stream[key].read()
        table = stream.table()
        assert len(array) == len(table) == len(stream.read().time)
        assert key not in table
        return [np.asarray(row.tolist() if hasattr(row, "tolist") else row) for row in array]

    return read


def assert_rows(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", ["arrays", "lists"])
@pytest.mark.parametrize("as_page", [False, True])
def test_events_and_pages(journal, remote, read, kind, as_page):
    waves = [wave(row) for row in range(40)]
    rows = [
        {"x": float(n), "wave": each if kind == "arrays" else each.tolist()} for n, each in enumerate(waves)
    ]
    documents = documents_of(rows, as_page=as_page)
    journal.append(documents)
    delivery = journal.delivery(remote)
    assert journal.deliver(delivery) is Outcome.DONE
    assert delivery.verified
    assert_rows(read(documents), waves)
    structure = remote.get((documents[0][1]["uid"], "primary", "wave")).structure
    assert (structure["shape"], structure["chunks"]) == ([40, SIZE], [[40], [SIZE]])
    assert structure["dims"] == ["time", "dim_int_1"]
    assert remote.contact.bundles_from == 0.0  # no step has failed, and was taken by itself then


def test_an_array_in_pieces_lies_in_chunks_of_good_size(journal, remote, read, monkeypatch):
    monkeypatch.setattr("tilewright.delivery.arrays.CHUNK_BYTES", 8 * SIZE * 8)
    waves = [wave(row) for row in range(30)]
    documents = documents_of([{"x": float(n), "wave": each} for n, each in enumerate(waves)])
    delivery = journal.delivery(remote)
    for some in _batched(documents, 5):
        journal.append(some)
        outcome = journal.deliver(delivery)
    assert outcome is Outcome.DONE
    assert_rows(read(documents), waves)
    assert remote.get((documents[0][1]["uid"], "primary", "wave")).structure["chunks"] == [
        [8, 8, 8, 6],
        [SIZE],
    ]


def _batched(items, size):
    return [items[start : start + size] for start in range(0, len(items), size)]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([wave(n, dtype="i8").tolist() for n in range(3)] + [(wave(3) + 0.5).tolist()], "f8"),
        ([[f"{n}"] * SIZE for n in (1, 22, 333, 4444)], "<U4"),
        ([wave(n, dtype="u1") for n in range(3)] + [wave(900, dtype="i4")], "i8"),
    ],
)
def test_a_dtype_that_must_be_wider(journal, remote, read, values, dtype):
    """The array is made anew from the journal, whatever has been sent."""
    documents = documents_of([{"x": float(n), "wave": each} for n, each in enumerate(values)])
    delivery = journal.delivery(remote)
    for document in documents:
        journal.append([document])
        outcome = journal.deliver(delivery)
    assert outcome is Outcome.DONE
    assert delivery.verified
    found = read(documents)
    assert_rows(found, [np.array(each) for each in values])
    node = remote.get((documents[0][1]["uid"], "primary", "wave"))
    assert node.structure["data_type"]["itemsize"] == np.dtype(dtype).itemsize


def test_lengths_that_vary_though_nobody_said_so(journal, remote, read):
    waves = [wave(n, size) for n, size in enumerate([SIZE, SIZE, SIZE, 40, 0, SIZE, 3])]
    documents = documents_of([{"x": float(n), "wave": each} for n, each in enumerate(waves)])
    delivery = journal.delivery(remote)
    for document in documents:
        journal.append([document])
        journal.deliver(delivery)
    assert_rows(read(documents), waves)
    structure = remote.get((documents[0][1]["uid"], "primary", "wave")).structure
    assert structure["shape"] == [7, None]
    assert structure["chunks"] == [[7], None]  # rows that are put to those of the last chunk


def test_ragged_rows_lie_in_chunks(journal, remote, read, monkeypatch):
    monkeypatch.setattr("tilewright.server.arrays.CHUNK_BYTES", 8 * 200)
    waves = [wave(n, 15 + n % 3) for n in range(60)]
    documents = documents_of(
        [{"x": float(n), "wave": each} for n, each in enumerate(waves)], {"wave": spec(None)}
    )
    delivery = journal.delivery(remote)
    for some in _batched(documents, 4):
        journal.append(some)
        journal.deliver(delivery)
    assert_rows(read(documents), waves)
    (chunks, _) = remote.get((documents[0][1]["uid"], "primary", "wave")).structure["chunks"]
    assert sum(chunks) == 60
    assert 4 < len(chunks) < 15


def test_short_lists_stay_in_the_table_until_one_is_long(journal, remote, read, catalog):
    values = [[0.5, 1.5], [2.5], [float(n) for n in range(17)], [1.0]]
    documents = documents_of(
        [{"x": float(n), "wave": each} for n, each in enumerate(values)], {"wave": spec(2)}
    )
    delivery = journal.delivery(remote)
    journal.append(documents[:4])
    journal.deliver(delivery)
    run = catalog[documents[0][1]["uid"]]
    assert [list(value) for value in run.table()["wave"]] == values[:2]
    journal.append(documents[4:])
    assert journal.deliver(delivery) is Outcome.DONE
    assert_rows(read(documents), values)
    assert catalog[documents[0][1]["uid"]].notes == []


def test_texts_of_varying_number_stay_in_the_table(journal, remote, catalog):
    values = [["a"] * 20, ["b"] * 21, ["c"] * 2]
    rows = [{"x": float(n), "wave": each} for n, each in enumerate(values)]
    documents = documents_of(rows, {"wave": spec(20, dtype_numpy="<U1")})
    journal.append(documents)
    assert journal.deliver(journal.delivery(remote)) is Outcome.DONE
    assert [list(value) for value in catalog[documents[0][1]["uid"]].table()["wave"]] == values


def test_rows_without_a_value_and_values_that_are_none(journal, remote, catalog, read):
    rows = [
        {"x": 0.0, "wave": wave(0)},
        {"x": 1.0},
        {"x": 2.0, "wave": "no wave"},
        {"x": 3.0, "wave": wave(3)},
    ]
    documents = documents_of(rows)
    journal.append(documents)
    assert journal.deliver(journal.delivery(remote)) is Outcome.DONE
    nothing = np.full(SIZE, np.nan)
    assert_rows(read(documents), [wave(0), nothing, nothing, wave(3)])
    run = catalog[documents[0][1]["uid"]]
    assert run.notes == ["'wave' of stream 'primary' has no value in 2 of its rows, which are nan"]
    assert run.table(columns=["ts_wave"])["ts_wave"].isna().tolist() == [False, True, False, False]
    (rejected,) = run.rejected().to_dict("records")
    assert (rejected["seq_num"], rejected["data_key"], rejected["value"]) == (3, "wave", "no wave")


VALUES = {
    "half": np.arange(SIZE, dtype="f2"),
    "past_63_bits": np.arange(SIZE, dtype="u8") + np.uint64(2**63),
    "minus_zero": np.full(SIZE, complex(-0.0, -0.0)),
    "nan": np.array(
        [0x7FF8_0000_0000_0001, 0xFFF8_0000_0000_0002, 0x7FF0_0000_0000_0000, 1 << 63] * 25, "u8"
    ).view("f8"),
    "bytes": np.array([b"a\0b"] * SIZE),
    "dates": np.array(["2020-01-01", "NaT"] * 50, "M8[ns]"),
    "days": np.array(["2020-01-01"] * SIZE, "M8[D]"),
    "big": np.arange(SIZE, dtype=">f8"),
    "big_texts": np.array([f"{n}" for n in range(SIZE)]).astype(">U2"),
    "structures": np.array([(n, -0.0) for n in range(SIZE)], [("n", ">i4"), ("x", "f8")]),
    "turned": np.asfortranarray(np.arange(SIZE).reshape(4, 25)),
    "steps": np.arange(4 * SIZE).reshape(2 * SIZE, 2)[::-2],
}
"""What is written, and read again to the last bit."""
NOWHERE = {
    "long": np.arange(SIZE, dtype="g"),
    "steps_of_25_s": np.arange(SIZE).astype("M8[25s]"),
    "no_unit": np.full(SIZE, np.datetime64("NaT")),
    "nested": np.zeros(SIZE, [("a", "i4"), ("s", [("p", "f4")])]),
    "dated": np.zeros(SIZE, [("a", "i4"), ("d", "M8[s]")]),
}
"""What no server holds as an array, and no table."""


@pytest.mark.parametrize("bundles", [True, False])
def test_every_dtype_with_a_row_without_a_value(journal, remote, catalog, bundles):
    remote = remote if bundles else remote.without_bundles()
    values = VALUES | (NOWHERE if np.dtype("g").itemsize > 8 else {})
    # A stock server's arrays have another order of bytes, and no name for texts.
    values = values if bundles else {"half": VALUES["half"], **NOWHERE}
    documents = documents_of([values, {}, values], {key: spec(SIZE) for key in values})
    journal.append(documents)
    assert journal.deliver(journal.delivery(remote)) is Outcome.DONE
    run = catalog[documents[0][1]["uid"]]
    for key in VALUES.keys() & values.keys():
        found = run["primary"][key].read()
        for row in (0, 2):
            assert found[row].dtype == values[key].dtype
            assert found[row].tobytes() == values[key].tobytes(), key
    rejected = run.rejected()
    assert sorted(rejected["data_key"]) == sorted(2 * list(NOWHERE.keys() & values.keys()))
    assert all(len(value) == SIZE for value in rejected["value"])
    run["primary"].read().load()


def test_an_array_of_a_later_descriptor(journal, remote, read):
    """Its rows before are without a value."""
    early = documents_of([{"x": 0.0}, {"x": 1.0}], {"y": spec(2)})
    late = documents_of(
        [{"x": 2.0, "wave": wave(2)}], {"y": spec(2), "wave": spec(SIZE)}, start=early[0][1]["uid"]
    )
    documents = [*early[:-1], late[1], ("event", {**late[2][1], "seq_num": 3}), early[-1]]
    delivery = journal.delivery(remote)
    for document in documents:
        journal.append([document])
        journal.deliver(delivery)
    nothing = np.full(SIZE, np.nan)
    assert_rows(read(documents), [nothing, nothing, wave(2)])


def test_a_rewound_plan_has_a_row_for_each_attempt(journal, remote, catalog):
    documents = documents_of([{"x": float(n), "wave": wave(n)} for n in range(5)])
    events = [doc for name, doc in documents if name == "event"]
    for event, seq_num in zip(events, [1, 2, 3, 2, 3], strict=True):
        event["seq_num"] = seq_num
    journal.append(documents)
    assert journal.deliver(journal.delivery(remote)) is Outcome.DONE
    stream = catalog[documents[0][1]["uid"]]["primary"]
    assert_rows(stream["wave"].read(), [wave(n) for n in range(5)])
    assert_rows(stream.read()["wave"].to_numpy(), [wave(0), wave(3), wave(4)])


@pytest.mark.parametrize("most", [-1, 0, SIZE])
def test_what_stays_in_the_table_can_be_chosen(tmp_path, remote, catalog, most):
    from tilewright.delivery import RunDelivery
    from tilewright.journal import Header, JournalReader, JournalWriter, encode

    documents = documents_of(
        [{"x": 0.0, "wave": wave(0), "short": [1, 2]}], {"wave": spec(SIZE), "short": spec(2)}
    )
    writer = JournalWriter(tmp_path / "run.twj", Header("run", None, 0.0, "test", max_array_size=most))
    for document in documents:
        writer.append(encode(*document))
    writer.close()
    with JournalReader(writer.path) as reader:
        RunDelivery(reader, remote).step(ended=True)
    stream = catalog[documents[0][1]["uid"]]["primary"]
    assert set(stream.layout().arrays) == ({"wave", "short"} if most == 0 else set())
    np.testing.assert_array_equal(stream["wave"].read()[0], wave(0))


def test_names_that_others_have(journal, remote, catalog):
    keys = {
        "internal_0": spec(SIZE),
        "time": spec(SIZE),
        "a/b": spec(SIZE),
        "ts_x": spec(SIZE),
        "ts_time_": spec(2),
    }
    row = {"x": 0.5, **{key: wave(n) for n, key in enumerate(keys) if key != "ts_time_"}, "ts_time_": [1, 2]}
    documents = documents_of([row], keys)
    journal.append(documents)
    assert journal.deliver(journal.delivery(remote)) is Outcome.DONE
    run = catalog[documents[0][1]["uid"]]
    arrays = run["primary"].layout().arrays
    assert len(arrays) == 4
    assert sorted(array[0, 0] for array in (run["primary"][name].read() for name in arrays)) == [
        0,
        1000,
        2000,
        3000,
    ]
    assert set(run.table()) > {"seq_num", "time", "x"}
    assert run["primary"].read(["x"])["x"].item() == 0.5


EVERY = 13
"""More requests than it takes to come to where one was that failed."""


@pytest.mark.parametrize("bundles", [True, False])
@pytest.mark.parametrize("sizes", [[SIZE] * 4, [SIZE, SIZE, 30, 0]])
def test_whichever_request_fails(journal, make_failing, read, monkeypatch, sizes, bundles):
    """And whether the delivery goes on, or another begins anew. Each request fails in one of the runs."""
    monkeypatch.setattr("tilewright.delivery.run.LATE_SECONDS", 0.0)
    monkeypatch.setattr("tilewright.delivery.nodes.SETTLE_SECONDS", 0.01)
    waves = [wave(row, size) for row, size in enumerate(sizes)]
    for first, when in zip(range(EVERY), itertools.cycle(["before", "after", "after"]), strict=False):
        failing = make_failing(first, EVERY, when)
        failing = failing if bundles else failing.without_bundles()
        documents = documents_of([{"x": float(n), "wave": each} for n, each in enumerate(waves)])
        one = journal.another(f"{first}.twj")
        delivery, outcome, is_first = one.delivery(failing), None, True
        for some in [*_batched(documents, 4), []]:
            one.append(some)
            outcome = one.step_on(delivery)
            if failing.failures and is_first:
                delivery, is_first = one.delivery(failing) if first % 2 else delivery, False
        while outcome is not Outcome.DONE:
            outcome = one.step_on(delivery)
        assert_rows(read(documents), waves)
        assert delivery.verified
        one.close()


@pytest.mark.parametrize("sizes", [[SIZE] * 3, [SIZE, 30, 0]])
def test_a_comparison_finds_what_differs_and_repairs_it(journal, remote, read, catalog, sizes):
    from tilewright.delivery import target

    waves = [wave(row, size) for row, size in enumerate(sizes)]
    documents = documents_of([{"x": float(n), "wave": each} for n, each in enumerate(waves)])
    journal.append(documents)
    journal.deliver(journal.delivery(remote))
    journal.close()
    uid = documents[0][1]["uid"]
    where = target(catalog)
    assert compare(journal.path, where).equal
    remote.delete((uid, "primary", "wave"))
    assert "primary/wave is not in the catalog" in str(compare(journal.path, where))
    assert repair(journal.path, where).equal
    assert_rows(read(documents), waves)


def test_values_that_were_changed_are_found(journal, remote, read, catalog):
    from tilewright.delivery import target

    waves = [wave(row) for row in range(4)]
    documents = documents_of([{"x": float(n), "wave": each} for n, each in enumerate(waves)])
    journal.append(documents)
    journal.deliver(journal.delivery(remote))
    journal.close()
    path, where = (documents[0][1]["uid"], "primary", "wave"), target(catalog)
    remote.write_rows(path, wave(77)[np.newaxis], 2)
    comparison = compare(journal.path, where)
    assert "primary/wave has other values in row 3" in str(comparison)
    assert repair(journal.path, where).equal
    assert_rows(read(documents), waves)


@pytest.fixture
def one_by_one(journal, remote):
    """Return a function that delivers each document by itself."""

    def deliver(documents):
        delivery = journal.delivery(remote)
        for document in documents:
            journal.append([document])
            outcome = journal.deliver(delivery)
        assert outcome is Outcome.DONE
        assert delivery.verified
        journal.close()

    return deliver


@pytest.mark.parametrize(
    "values",
    [
        [[2**53 + 1] * SIZE, [0.5] * SIZE],
        [[1.0, 2.0], list(range(17)), [0.5]],
        [[], list(range(SIZE)), [True] * SIZE],
        [np.arange(20, dtype=">i2"), np.arange(30, dtype=">i2")],
        [np.arange(20, dtype="f2"), np.arange(30, dtype="f2")],
        [[], [[1.0, 2.0]] * SIZE, [[3.0, 4.0]] * 10],
        [["a"] * 20, ["b"] * 21],
        [["a"] * 20, [], ["b"] * 20],
        [np.arange(SIZE, dtype="u8") + np.uint64(2**63), np.arange(SIZE) - 1],
    ],
)
def test_what_came_together_makes_no_difference(one_by_one, journal, catalog, values):
    """A comparison, which takes all together, finds the same as came one by one; each value is read or is set aside."""
    from tilewright.delivery import target

    documents = documents_of([{"wave": value} for value in values], {"wave": spec(None)})
    one_by_one(documents)
    comparison = compare(journal.path, target(catalog))
    assert comparison.equal, str(comparison)
    run = catalog[documents[0][1]["uid"]]
    rejected = {row.seq_num: row.value for row in run.rejected().itertuples()}
    found = run["primary"]["wave"].read() if "wave" in run["primary"].layout().arrays else run.table()["wave"]
    for number, value in enumerate(values):
        one = rejected.get(number + 1, found[number])
        assert (one.tolist() if hasattr(one, "tolist") else list(one)) == np.asarray(value).tolist()


def test_many_arrays_that_must_be_wider_at_once(one_by_one, catalog):
    keys = {f"wave{n}": spec(SIZE) for n in range(6)}
    documents = documents_of(
        [{key: list(range(SIZE)) for key in keys}, {key: [0.5] * SIZE for key in keys}],
        {key: said | {"dtype_numpy": "<i4"} for key, said in keys.items()},
    )
    one_by_one(documents)
    for key in keys:
        found = catalog[documents[0][1]["uid"]]["primary"][key].read()
        assert found.tolist() == [list(range(SIZE)), [0.5] * SIZE]


def test_an_array_that_goes_back_into_the_table(one_by_one, catalog):
    values = [["a"] * 20, ["b"] * 20, ["c"] * 21]
    documents = documents_of([{"wave": value} for value in values], {"wave": spec(20, dtype_numpy="<U1")})
    one_by_one(documents)
    stream = catalog[documents[0][1]["uid"]]["primary"]
    assert [list(value) for value in stream.table()["wave"]] == values
    assert not stream.layout().arrays


@pytest.mark.parametrize("sent", [3, 5])
@pytest.mark.parametrize("sizes", [[SIZE] * 3, [SIZE, 30, 0]])
def test_an_array_that_somebody_deletes(journal, remote, read, sizes, sent):
    """In mid-run, or when all has been sent but the stop document."""
    waves = [wave(row, size) for row, size in enumerate(sizes)]
    documents = documents_of([{"x": float(n), "wave": each} for n, each in enumerate(waves)])
    delivery = journal.delivery(remote)
    journal.append(documents[:sent])
    journal.deliver(delivery)
    remote.delete((documents[0][1]["uid"], "primary", "wave"))
    journal.append(documents[sent:])
    assert journal.deliver(delivery, ended=True) is Outcome.DONE
    assert_rows(read(documents), waves)


def test_one_run_in_two_catalogs_of_a_server(journal, server, catalog, read):
    from tilewright import open_catalog
    from tilewright.delivery import target

    documents = documents_of([{"x": 0.0, "wave": wave(7)}])
    journal.append(documents)
    with open_catalog(server.uri) as whole, open_catalog(whole.create_container(uuid.uuid4().hex)) as other:
        for each in (catalog, other):
            remote = target(each).connect()
            journal.deliver(journal.delivery(remote))
            assert remote.contact.bundles_from == 0.0
        remote.delete((documents[0][1]["uid"],))
    assert_rows(read(documents), [wave(7)])


@pytest.mark.parametrize("bundles", [True, False])
def test_a_server_without_a_place_for_files(journal, tmp_path, bundles):
    """What can be ragged is in its database; all else stays in the table."""
    from tilewright import open_catalog
    from tilewright.delivery import target
    from tilewright.server import serve_config
    from tilewright.server.embedded import local_configuration

    configuration = local_configuration(tmp_path, "secret", [])
    configuration["trees"][0]["args"]["writable_storage"].pop(0)
    (tmp_path / "config.yml").write_text(json.dumps(configuration))
    waves = [wave(row).tolist() for row in range(3)]
    documents = documents_of([{"wave": each} for each in waves])
    journal.append(documents)
    with (
        serve_config(tmp_path / "config.yml", port=0, announce=False) as server,
        open_catalog(server.uri) as catalog,
    ):
        remote = target(catalog).connect()
        remote = remote if bundles else remote.without_bundles()
        assert journal.deliver(journal.delivery(remote)) is Outcome.DONE
        stream = catalog[documents[0][1]["uid"]]["primary"]
        assert [list(value) for value in stream.table()["wave"]] == waves
        assert not stream.layout().arrays
        journal.close()
        assert compare(journal.path, target(catalog)).equal


def test_values_of_a_key_whose_files_are_known(one_by_one, catalog, tmp_path):
    """Nothing is written to files that are not the server's own."""
    import zarr

    waves = [wave(row) for row in range(3)]
    documents = documents_of([{"wave": each} for each in waves], {"wave": spec(SIZE, external="STREAM:")})
    for name, doc in documents:
        if name == "event":
            doc["filled"] = {"wave": True}
    uid = documents[0][1]["uid"]
    theirs = zarr.create_array(tmp_path / "theirs", shape=(3, SIZE), dtype="f8")
    theirs[:] = 7
    resource = {"uid": "r", "run_start": uid, "data_key": "wave", "mimetype": "application/x-zarr"}
    resource |= {"uri": f"file://localhost{tmp_path}/theirs", "parameters": {}}
    datum = {"uid": "r/0", "stream_resource": "r", "descriptor": documents[1][1]["uid"]}
    datum |= {"indices": {"start": 0, "stop": 3}, "seq_nums": {"start": 1, "stop": 4}}
    one_by_one([*documents[:2], ("stream_resource", resource), ("stream_datum", datum), *documents[2:]])
    assert (theirs[:] == 7).all()
    assert_rows(catalog[uid]["primary"]["wave"].read(), waves)
    assert list(catalog[uid]["primary"].layout().arrays) == ["wave", "wave_"]


def test_another_max_array_size_than_before(tmp_path, remote, catalog):
    """The stream is made anew, and nothing of it is left over."""
    from tilewright.delivery import RunDelivery
    from tilewright.journal import Header, JournalReader, JournalWriter, encode

    documents = documents_of([{"wave": wave(row)} for row in range(3)])
    for most in (16, -1, SIZE, 16):
        path = tmp_path / f"{uuid.uuid4()}.twj"
        writer = JournalWriter(path, Header("run", None, 0.0, "test", max_array_size=most))
        for document in documents:
            writer.append(encode(*document))
        writer.close()
        with JournalReader(path) as reader:
            delivery = RunDelivery(reader, remote)
            while delivery.step(ended=True) is not Outcome.DONE:
                pass
        stream = catalog[documents[0][1]["uid"]]["primary"]
        assert (list(stream.layout().arrays) == ["wave"]) == (most == 16)
        assert_rows(stream["wave"].read(), [wave(row) for row in range(3)])


def test_an_array_without_a_row_can_be_read(remote):
    from tilewright.delivery.arrays import StoredArray
    from tilewright.delivery.steps import Bundle
    from tilewright.tables import ArrayColumn, ArrayType

    bundle = Bundle(remote)
    for name, length in {"ragged": None, "dense": SIZE}.items():
        column = ArrayColumn(name, name, ArrayType(np.dtype("f8"), (length,), is_seen=True))
        StoredArray.of((), column, ("time", "x"), {}).create(bundle, None, print)
    assert bundle.send()
    assert remote.read_ragged(("ragged",), 0, 5) == []
    assert remote.read_rows(("dense",), 0, 5).shape == (0, SIZE)


@pytest.mark.parametrize("length", [lambda _: SIZE, lambda n: SIZE + n % 3])
def test_requests_that_come_again_change_nothing(journal, remote, read, monkeypatch, length):
    """Each one that there was, after each that follows it."""
    contents = []
    send = Remote._send

    def noted(self, method, route, path, **more):
        if route == BUNDLE_ROUTE:
            contents.append(more["content"])
        return send(self, method, route, path, **more)

    monkeypatch.setattr(Remote, "_send", noted)
    waves = [wave(row, length(row)) for row in range(12)]
    documents = documents_of([{"x": float(n), "wave": each} for n, each in enumerate(waves)])
    delivery = journal.delivery(remote)
    for some in _batched(documents, 4):
        journal.append(some)
        outcome = journal.deliver(delivery)
        for content in list(contents):
            steps = ormsgpack.unpackb(content)["steps"]
            again = [step for step in steps if step["do"] in ("write", "extend", "append")]
            remote.send_bundle([lambda step=step: step for step in again], lambda: None)
            del contents[-1]
        seen = sum(name == "event" for name, _ in documents[: documents.index(some[-1]) + 1])
        assert_rows(read(documents), waves[:seen])
    assert outcome is Outcome.DONE
    assert remote.contact.bundles_from == 0.0


@pytest.mark.parametrize("length", [lambda _: SIZE, lambda n: SIZE + n % 3])
def test_a_server_that_dies_between_the_rows_and_their_number(
    journal, remote, read, catalog, monkeypatch, length
):
    """What can be read in the meantime is right, and no row is there twice in the end."""
    from tilewright.server import sources

    monkeypatch.setattr("tilewright.delivery.remote.WITHOUT_BUNDLES", 0.0)
    count, set_structure = itertools.count(), sources.set_structure

    async def dies(*args):
        if next(count) % 3 == 1:
            raise RuntimeError("killed")
        await set_structure(*args)

    monkeypatch.setattr(sources, "set_structure", dies)
    waves = [wave(row, length(row)) for row in range(12)]
    documents = documents_of([{"x": float(n), "wave": each} for n, each in enumerate(waves)])
    delivery = journal.delivery(remote)
    for some in _batched(documents, 3):
        journal.append(some)
        if journal.step_on(delivery) is None:
            found = catalog[documents[0][1]["uid"]]["primary"]["wave"].read()
            assert_rows([np.asarray(row.tolist()) for row in found], waves[: len(found)])
        outcome = journal.deliver(delivery)
    assert outcome is Outcome.DONE
    assert next(count) > 4
    assert delivery.verified
    assert_rows(read(documents), waves)


@pytest.mark.parametrize("length", [lambda _: SIZE, lambda n: SIZE + n % 3])
def test_whoever_reads_while_it_grows(journal, remote, catalog, server, length):
    """Sees rows as they are in the end, though not all of them; as many as there were when the array was asked for."""
    from tilewright import open_catalog

    waves = [wave(row, length(row)) for row in range(200)]
    documents = documents_of([{"x": float(n), "wave": each} for n, each in enumerate(waves)])
    uid = documents[0][1]["uid"]
    delivery = journal.delivery(remote)
    journal.append(documents[:6])
    journal.deliver(delivery)
    key = remote.root[0]

    def deliver():
        for some in _batched(documents[6:], 4):
            journal.append(some)
            journal.deliver(delivery)

    with open_catalog(server.uri) as ours, ThreadPoolExecutor() as pool:
        done, reads = pool.submit(deliver), 0
        while not done.done():
            dataset = ours[key][uid]["primary"].read()
            assert_rows(list(dataset["wave"].to_numpy()), waves[: dataset.sizes["time"]])
            array = ours[key][uid]["primary"]["wave"]
            for found in (array.read(), array.read()):
                assert_rows([np.asarray(row.tolist()) for row in found], waves[: len(found)])
            reads += 1
        done.result()
    assert reads
    assert len(catalog[uid]["primary"]["wave"].read()) == len(waves)
