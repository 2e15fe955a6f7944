"""Values of events that are one array, each after that of the event before: from the journal to a server, made anew, never twice."""

import itertools

import numpy as np
import pytest

from tilewright.delivery import Outcome, target
from tilewright.delivery.verify import check_report, compare, repair
from tilewright.testing.documents import run_of

LENGTHS = [7, 3, 11, 1, 5, 8]
NEVER_AGAIN = 1_000_000
"""Requests until the next one fails."""


def blocks(lengths=LENGTHS, dtype="<i2", channels=None):
    """Return blocks of samples that count on from one to the next, in each channel from another thousand."""
    ends = np.cumsum([0, *lengths])
    parts = [np.arange(start, stop) for start, stop in itertools.pairwise(ends)]
    if channels:
        parts = [part[:, None] + 1000 * np.arange(channels) for part in parts]
    return [part.astype(dtype) for part in parts]


def documents_of(values, dtype="<i2", shape=(None,), **more):
    """Return a run of `values`, whose key says that they are joined."""
    documents = run_of({"x": [float(n) for n in range(len(values))], "wave": values})
    key = documents[1][1]["data_keys"]["wave"]
    key.update({"dtype": "array", "shape": list(shape), "join_method": "concat", **more})
    key.pop("dtype_numpy", None)
    if dtype:
        key["dtype_numpy"] = dtype
    return documents


@pytest.fixture
def one_by_one(journal, remote):
    """Return a function that delivers each document by itself."""

    def deliver(documents, remote=remote):
        delivery = journal.delivery(remote)
        for document in documents:
            journal.append([document])
            outcome = journal.deliver(delivery)
        assert outcome is Outcome.DONE
        assert delivery.verified
        return delivery

    return deliver


@pytest.fixture
def at_once(journal, remote):
    """Return a function that delivers all documents together."""

    def deliver(documents):
        journal.append(documents)
        delivery = journal.delivery(remote)
        assert journal.deliver(delivery) is Outcome.DONE
        assert delivery.verified

    return deliver


@pytest.fixture(params=["one_by_one", "at_once"])
def deliver(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def stream_of(catalog):
    return lambda documents: catalog[documents[0][1]["uid"]]["primary"]


@pytest.mark.parametrize("channels", [None, 2])
@pytest.mark.parametrize("kind", ["arrays", "lists"])
def test_one_array_of_all_values(deliver, stream_of, remote, kind, channels):
    values = blocks(channels=channels)
    shape = (None, channels) if channels else (None,)
    sent = values if kind == "arrays" else [value.tolist() for value in values]
    documents = documents_of(sent, shape=shape)
    deliver(documents)
    array = stream_of(documents)["wave"]
    assert (array.shape, array.dtype) == ((sum(LENGTHS), *shape[1:]), np.dtype("<i2"))
    np.testing.assert_array_equal(array.read(), np.concatenate(values))
    table = stream_of(documents).table()
    assert (len(table), "wave" in table) == (len(LENGTHS), False)
    structure = remote.get((documents[0][1]["uid"], "primary", "wave")).structure
    assert structure["dims"] == (["wave_dim0", "dim_int_1"] if channels else ["wave_dim0"])


def test_values_of_one_length(deliver, stream_of):
    """They could be stacked; the descriptor says otherwise."""
    values = blocks([4, 4, 4])
    documents = documents_of(values, shape=(4,))
    deliver(documents)
    np.testing.assert_array_equal(stream_of(documents)["wave"].read(), np.arange(12))


def test_pages(at_once, stream_of):
    values = blocks([4, 4, 4])
    documents = run_of({"wave": [np.asarray(v) for v in values]}, paged=True)
    documents[1][1]["data_keys"]["wave"].update(shape=[None], join_method="concat", dtype_numpy="<i2")
    at_once(documents)
    np.testing.assert_array_equal(stream_of(documents)["wave"].read(), np.arange(12))


def test_events_without_a_value(deliver, stream_of, catalog):
    first, second = blocks([4, 5])
    documents = documents_of([None, first, None, "no wave", second, None])
    deliver(documents)
    np.testing.assert_array_equal(stream_of(documents)["wave"].read(), np.arange(9))
    run = catalog[documents[0][1]["uid"]]
    assert run.notes == ["'wave' of stream 'primary' has no value in 4 of its events"]
    assert run.rejected()["value"].tolist() == ["no wave"]


def test_a_dataset_has_a_dimension_for_it(deliver, stream_of):
    documents = documents_of(blocks([2, 1, 3]), dims=["sample"])
    deliver(documents)
    dataset = stream_of(documents).read()
    assert dict(dataset.sizes) == {"time": 3, "sample": 6}
    assert dataset["wave"].dims == ("sample",)
    assert dataset["wave"].to_numpy().tolist() == list(range(6))


@pytest.mark.parametrize("name", ["sample", "time", "seq_num"])
def test_a_dataset_of_as_many_events_as_rows(deliver, stream_of, name):
    documents = documents_of(blocks([2, 1, 0]), dims=[name])
    deliver(documents)
    dataset = stream_of(documents).read()
    assert dataset["wave"].dims == (name if name == "sample" else "wave_dim0",)


def test_a_rewound_plan_has_all_attempts(deliver, stream_of):
    documents = documents_of(blocks([2, 3, 4]))
    events = [doc for name, doc in documents if name == "event"]
    for event, seq_num in zip(events, [1, 2, 2], strict=True):
        event["seq_num"] = seq_num
    deliver(documents)
    dataset = stream_of(documents).read()
    assert (dataset.sizes["time"], len(dataset["wave"])) == (2, 9)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([*blocks([3, 4]), np.array([70_000], "i4")], "i8"),
        ([*blocks([3, 4]), [0.5]], "f8"),
        ([np.array([1, 2], ">i2"), np.array([3], ">i2")], "i2"),
        ([[], [], [1, 2]], "i2"),
    ],
)
def test_a_dtype_that_must_be_another(deliver, stream_of, values, dtype):
    documents = documents_of(values)
    deliver(documents)
    array = stream_of(documents)["wave"].read()
    assert array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(array, np.concatenate([np.asarray(value, dtype) for value in values]))


def test_values_that_cannot_be_joined_are_ragged(deliver, stream_of, journal, catalog):
    values = [np.zeros((3, 2), "<i2"), np.ones((4, 2), "<i2"), np.full((2, 5), 7, "<i2")]
    documents = documents_of(values, shape=(None, 2))
    deliver(documents)
    found = stream_of(documents)["wave"].read()
    assert [np.asarray(row.tolist()).shape for row in found] == [(3, 2), (4, 2), (2, 5)]
    assert compare(journal.path, target(catalog)).equal


@pytest.mark.parametrize("bundles", [True, False])
def test_a_stock_server_takes_it(journal, remote, stream_of, bundles, monkeypatch):
    monkeypatch.setattr("tilewright.delivery.arrays.CHUNK_BYTES", 16)
    remote = remote if bundles else remote.without_bundles()
    documents = documents_of(blocks())
    delivery = journal.delivery(remote)
    for document in documents:
        journal.append([document])
        outcome = journal.deliver(delivery)
    assert outcome is Outcome.DONE
    np.testing.assert_array_equal(stream_of(documents)["wave"].read(), np.arange(sum(LENGTHS)))
    structure = remote.get((documents[0][1]["uid"], "primary", "wave")).structure
    assert structure["chunks"] == [[8, 8, 8, 8, 3]]


@pytest.mark.parametrize("bundles", [True, False])
@pytest.mark.parametrize("when", ["before", "after"])
def test_whichever_request_fails(journal, make_failing, stream_of, monkeypatch, when, bundles):
    """And whether the delivery goes on, or another begins anew."""
    monkeypatch.setattr("tilewright.delivery.run.LATE_SECONDS", 0.0)
    monkeypatch.setattr("tilewright.delivery.nodes.SETTLE_SECONDS", 0.01)
    monkeypatch.setattr("tilewright.delivery.arrays.CHUNK_BYTES", 16)
    for at in range(1, 12):
        failing = make_failing(at, NEVER_AGAIN, when)
        failing = failing if bundles else failing.without_bundles()
        documents = documents_of(blocks())
        one = journal.another(f"{at}.twj")
        delivery, is_first = one.delivery(failing), True
        for some in (documents[:3], documents[3:5], documents[5:], []):
            one.append(some)
            outcome = one.step_on(delivery)
            if failing.failures and is_first:
                delivery, is_first = one.delivery(failing) if at % 2 else delivery, False
        while outcome is not Outcome.DONE:
            outcome = one.step_on(delivery)
        np.testing.assert_array_equal(stream_of(documents)["wave"].read(), np.arange(sum(LENGTHS)))
        assert delivery.verified
        one.close()


def test_what_differs_is_found_and_repaired(at_once, journal, remote, catalog, stream_of):
    documents = documents_of(blocks())
    at_once(documents)
    journal.close()
    uid = documents[0][1]["uid"]
    path, where = (uid, "primary", "wave"), target(catalog)
    assert compare(journal.path, where).equal
    assert check_report(uid, where).equal
    remote.write_rows(path, np.array([77], "<i2"), 12)
    assert "primary/wave has other values in row 13" in str(compare(journal.path, where))
    assert repair(journal.path, where).equal
    remote.write_rows(path, np.array([77], "<i2"), sum(LENGTHS))
    assert f"primary/wave has {sum(LENGTHS) + 1} rows; {sum(LENGTHS)} were delivered" in str(
        check_report(uid, where)
    )
    assert "has more rows than the journal" in str(compare(journal.path, where))
    remote.delete(path)
    assert "primary/wave is not in the catalog" in str(compare(journal.path, where))
    assert repair(journal.path, where).equal
    np.testing.assert_array_equal(stream_of(documents)["wave"].read(), np.arange(sum(LENGTHS)))


@pytest.mark.parametrize("sent", [4, 7])
def test_an_array_that_somebody_deletes(journal, remote, stream_of, sent):
    documents = documents_of(blocks())
    delivery = journal.delivery(remote)
    journal.append(documents[:sent])
    journal.deliver(delivery)
    remote.delete((documents[0][1]["uid"], "primary", "wave"))
    journal.append(documents[sent:])
    assert journal.deliver(delivery, ended=True) is Outcome.DONE
    np.testing.assert_array_equal(stream_of(documents)["wave"].read(), np.arange(sum(LENGTHS)))
