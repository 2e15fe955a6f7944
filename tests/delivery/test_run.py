"""One run's journal against a real server: adoption, widening, rebuilding, appends of unknown fate."""

import dataclasses

import pyarrow as pa
import pytest

from tilewright.delivery import Outcome, nodes
from tilewright.delivery.failures import FateUnknownError
from tilewright.delivery.remote import Remote
from tilewright.documents.notes import MAX_NOTE_LENGTH, MAX_NOTES
from tilewright.errors import FinalError
from tilewright.testing.documents import file_documents, run_of, simple_run
from tilewright.testing.expected import compare_runs


@pytest.fixture(autouse=True)
def _settle_quickly(monkeypatch):
    monkeypatch.setattr(nodes, "SETTLE_SECONDS", 0.01)


@dataclasses.dataclass(frozen=True, slots=True)
class Watched(Remote):
    """Notes what is asked of it, and fails on request after, or before, it has done it."""

    asked: list = dataclasses.field(default_factory=list)
    failures: list = dataclasses.field(default_factory=list)

    def append_rows(self, path, table, first_row):
        self.asked.append(("append", path[-1], table.num_rows))
        when = self.failures.pop(0) if self.failures else None
        if when == "before":
            raise FateUnknownError("the connection broke before")
        Remote.append_rows(self, path, table, first_row)
        if when == "after":
            raise FateUnknownError("the connection broke after")

    @property
    def deleted(self):
        return [name for what, name, _ in self.asked if what == "delete"]

    def delete(self, path):
        self.asked.append(("delete", path[-1], None))
        Remote.delete(self, path)

    def read_column(self, path, column):
        self.asked.append(("count", path[-1], None))
        return Remote.read_column(self, path, column)


@pytest.fixture
def watched(remote):
    fields = {field.name: getattr(remote, field.name) for field in dataclasses.fields(Remote)}
    return Watched(**fields).without_bundles()


def assert_delivered(catalog, documents):
    assert compare_runs(documents, catalog.__getitem__) == []


def test_a_run_in_pieces(journal, watched, catalog):
    documents = simple_run(events=9)
    delivery = journal.delivery(watched)
    for start in range(0, len(documents), 4):
        journal.append(documents[start : start + 4])
        outcome = journal.deliver(delivery)
    assert outcome is Outcome.DONE
    assert_delivered(catalog, documents)
    assert [rows for what, _, rows in watched.asked if what == "append"] == [2, 4, 3]
    assert catalog[documents[0][1]["uid"]].metadata["tilewright"]["verified"]
    assert catalog[documents[0][1]["uid"]].metadata["tilewright"]["state"] == "complete"


def test_what_is_there_is_not_sent_again(journal, watched, catalog):
    documents = simple_run(events=6)
    journal.append(documents)
    assert journal.deliver(journal.delivery(watched)) is Outcome.DONE
    watched.asked.clear()
    assert journal.deliver(journal.delivery(watched)) is Outcome.DONE
    assert {what for what, *_ in watched.asked} == {"count"}
    assert_delivered(catalog, documents)


def test_another_deliverer_carries_on(journal, watched, catalog):
    documents = simple_run(events=10)
    journal.append(documents[:6])
    journal.deliver(journal.delivery(watched))
    journal.append(documents[6:])
    journal.deliver(journal.delivery(watched))
    assert [rows for what, _, rows in watched.asked if what == "append"] == [4, 6]
    assert_delivered(catalog, documents)


@pytest.mark.parametrize(
    "failures", [["after"], ["before"], ["after", "before", "after"], [None, "after", "after"]]
)
def test_an_append_of_unknown_fate_is_neither_lost_nor_repeated(journal, watched, catalog, failures):
    documents = simple_run(events=9)
    watched.failures.extend(failures)
    delivery = journal.delivery(watched)
    for start in range(0, len(documents), 3):
        journal.append(documents[start : start + 3])
        outcome = journal.deliver(delivery)
    assert outcome is Outcome.DONE
    assert watched.failures == []
    assert_delivered(catalog, documents)


def test_a_wider_number_makes_the_table_anew(journal, watched, catalog):
    documents = run_of({"n": [1, 2, 3, 4.5, 5], "x": [0.5] * 5}, dtypes={"n": "<i8"})
    delivery = journal.delivery(watched)
    for document in documents:
        journal.append([document])
        journal.deliver(delivery)
    assert_delivered(catalog, documents)
    assert watched.deleted == ["primary"]


def test_a_wider_number_in_the_first_batch_costs_nothing(journal, watched, catalog):
    documents = run_of({"n": [1, 2, 3, 4.5, 5]}, dtypes={"n": "<i8"})
    journal.append(documents)
    journal.deliver(journal.delivery(watched))
    assert_delivered(catalog, documents)
    assert not watched.deleted


def with_another_stream(documents):
    """Return a run with a second stream that has the same rows."""
    another = []
    for name, doc in documents:
        another.append((name, doc))
        if name == "descriptor":
            another.append((name, doc | {"uid": "another", "name": "another"}))
        elif name == "event":
            another.append((name, doc | {"uid": f"another {doc['uid']}", "descriptor": "another"}))
    return another


def test_a_server_that_fails_while_a_table_of_another_stream_has_to_be_wider(journal, watched, catalog):
    documents = run_of({"n": [1, 2, 3, 4.5, 5]}, dtypes={"n": "<i8"})
    documents = [
        (name, doc | {"data": {"n": int(doc["data"]["n"])}} if doc.get("descriptor") == "another" else doc)
        for name, doc in with_another_stream(documents)
    ]
    journal.append(documents[:-6])
    delivery = journal.delivery(watched)
    journal.deliver(delivery)
    watched.failures.append("before")
    journal.append(documents[-6:])
    assert journal.deliver(delivery) is Outcome.DONE
    assert watched.failures == []
    assert_delivered(catalog, documents)


def test_what_goes_wrong_with_many_documents_takes_no_memory(journal, remote, monkeypatch):
    odd = [
        (name, {**doc, "extra": 1}) for name, doc in simple_run(events=MAX_NOTES + 10)
    ]  # no columns are made of these
    journal.append(odd)
    delivery = journal.delivery(remote)

    def fail(name, doc):
        raise ValueError(f"not today: {doc['uid']}" + "!" * 1000)

    monkeypatch.setattr(delivery._translator, "translate", fail)
    assert journal.deliver(delivery, ended=True) is Outcome.DONE
    assert len(delivery.problems) == MAX_NOTES + 1
    assert max(map(len, delivery.problems)) <= MAX_NOTE_LENGTH
    assert not delivery.verified


def test_a_widened_table_is_adopted_by_the_next_deliverer(journal, watched, catalog):
    documents = run_of({"n": [1, 2.5, 3, 4, 5]}, dtypes={"n": "<i8"})
    journal.append(documents[:4])
    journal.deliver(journal.delivery(watched))
    watched.asked.clear()
    journal.append(documents[4:])
    journal.deliver(journal.delivery(watched))
    assert not watched.deleted
    assert_delivered(catalog, documents)


def test_rows_that_should_not_be_there_are_put_right(journal, remote, catalog):
    documents = simple_run(events=5)
    journal.append(documents[:-1])
    delivery = journal.delivery(remote)
    journal.deliver(delivery)
    path = (documents[0][1]["uid"], "primary", "internal")
    remote.append_rows(
        path, pa.Table.from_pylist([{"seq_num": 1}, {"seq_num": 2}], remote.get(path).arrow_schema), 5
    )
    journal.append(documents[-1:])
    assert journal.deliver(delivery) is Outcome.DONE
    assert_delivered(catalog, documents)


def test_rows_in_another_order_are_put_right(journal, remote, catalog):
    documents = simple_run(events=5)
    journal.append(documents[:3])
    delivery = journal.delivery(remote)
    journal.deliver(delivery)
    path = (documents[0][1]["uid"], "primary", "internal")
    wrong = [{"seq_num": number} for number in (3, 2, 4, 5)]  # as many as there should be
    remote.append_rows(path, pa.Table.from_pylist(wrong, remote.get(path).arrow_schema), 1)
    journal.append(documents[3:])
    assert journal.deliver(delivery) is Outcome.DONE
    assert_delivered(catalog, documents)


def test_a_request_that_arrives_twice_changes_nothing(journal, watched, catalog):
    """As one does that its client gave up, and sent again, before it arrived."""
    documents = simple_run(events=9)
    sent = []
    append = Watched.append_rows

    class Repeating(Watched):
        def append_rows(self, path, table, first_row):
            append(self, path, table, first_row)
            sent.append((path, table, first_row))
            for late in sent:
                append(self, *late)

    repeating = Repeating(
        **{field.name: getattr(watched, field.name) for field in dataclasses.fields(Watched)}
    )
    delivery = journal.delivery(repeating)
    for start in range(0, len(documents), 3):
        journal.append(documents[start : start + 3])
        outcome = journal.deliver(delivery)
    assert outcome is Outcome.DONE
    assert len(sent) > 2
    assert not watched.deleted
    assert_delivered(catalog, documents)


def other_rows(documents):
    """Return a run with as many rows, of which some have other seq_nums."""
    return [
        (name, doc | {"seq_num": doc["seq_num"] + 2} if name == "event" else doc) for name, doc in documents
    ]


def widened(documents):
    """Return a run whose table would have to be made anew."""
    return [
        (name, doc | {"data": dict.fromkeys(doc["data"], "text")} if name == "event" else doc)
        for name, doc in documents[:5]
    ]


@pytest.mark.parametrize("change", [lambda documents: documents[:5], other_rows, lambda d: d[:-1], widened])
def test_another_journal_of_a_run_takes_nothing_away(journal, remote, catalog, caplog, change):
    documents = simple_run(events=6)
    journal.append(documents)
    journal.deliver(journal.delivery(remote))
    shorter = journal.another("copy.twj")
    shorter.append(change(documents))
    delivery = shorter.delivery(remote)
    assert journal.deliver(delivery, ended=True) is Outcome.DONE
    assert not delivery.verified
    assert "nothing there was changed" in caplog.text
    assert_delivered(catalog, documents)
    assert catalog[documents[0][1]["uid"]].metadata["tilewright"]["state"] == "complete"
    shorter.close()


def test_a_mismatch_that_stays_is_reported_and_not_repaired_for_ever(journal, watched):
    object.__setattr__(watched, "failures", [])

    class Lying(Watched):
        def read_column(self, path, column):
            return pa.chunked_array([range(999)])

    lying = Lying(**{field.name: getattr(watched, field.name) for field in dataclasses.fields(Watched)})
    journal.append(simple_run(events=5))
    with pytest.raises(FinalError, match=r"made anew 3 times.*999 rows, the journal 5"):
        journal.deliver(journal.delivery(lying))


def test_a_run_that_is_another_is_left_alone(journal, remote, catalog):
    documents = simple_run(events=3)
    uid = documents[0][1]["uid"]
    catalog.create_container(uid, metadata={"start": {"uid": uid, "time": 0.0}})
    journal.append(documents)
    with pytest.raises(FinalError, match=r"already has a run .* whose start document is another"):
        journal.deliver(journal.delivery(remote))
    assert catalog[uid].metadata["start"] == {"uid": uid, "time": 0.0}
    assert len(catalog[uid]) == 0


def test_a_run_cut_off_is_readable_and_marked(journal, remote, catalog):
    documents = simple_run(events=5)[:-2]
    journal.append(documents)
    assert journal.deliver(journal.delivery(remote), ended=True) is Outcome.DONE
    assert_delivered(catalog, documents)
    run = catalog[documents[0][1]["uid"]]
    assert run.metadata["tilewright"]["state"] == "interrupted"
    assert run.metadata["tilewright"]["rows"] == {"primary": 4}


def test_a_note_that_holds_no_more_is_taken_back(journal, remote, catalog):
    """A run cut off within a document, and completed later by whoever had kept the rest."""
    documents = simple_run(events=5)
    uid = documents[0][1]["uid"]
    journal.append(documents[:4])
    delivery = journal.delivery(remote)
    delivery._problems.add("something went wrong")
    journal.deliver(delivery, ended=True)
    assert catalog[uid].metadata["notes"] == ["something went wrong"]
    journal.append(documents[4:])
    journal.deliver(journal.delivery(remote), ended=True)
    assert catalog[uid].metadata["notes"] == []


def test_a_cut_off_run_that_goes_on_is_completed(journal, remote, catalog):
    documents = simple_run(events=5)
    journal.append(documents[:4])
    journal.deliver(journal.delivery(remote), ended=True)
    journal.append(documents[4:])
    journal.deliver(journal.delivery(remote), ended=True)
    assert_delivered(catalog, documents)
    assert catalog[documents[0][1]["uid"]].metadata["tilewright"]["state"] == "complete"


def test_a_journal_without_a_start_is_nothing(journal, remote, catalog):
    assert journal.deliver(journal.delivery(remote), ended=True) is Outcome.DONE
    assert len(catalog) == 0


def test_damage_is_told_in_the_run(journal, remote, catalog):
    documents = simple_run(events=5)
    journal.append(documents)
    data = bytearray(journal.writer.path.read_bytes())
    data[data.index(b"seq_num") + 1] ^= 0xFF
    journal.writer.path.write_bytes(data)
    journal.deliver(journal.delivery(remote), ended=True)
    run = catalog[documents[0][1]["uid"]]
    assert run.metadata["tilewright"]["verified"] is False
    assert any("the journal is damaged: bytes" in note for note in run.notes)
    assert len(run.table()) == 4


def test_more_columns_than_one_table_takes(journal, watched, catalog):
    documents = simple_run(events=3, keys=1100)
    journal.append(documents)
    journal.deliver(journal.delivery(watched))
    assert_delivered(catalog, documents)
    assert [key for what, key, _ in watched.asked if what == "append"] == [
        "internal_0",
        "internal_1",
        "internal_2",
    ]


def test_a_large_backlog_goes_out_in_requests_of_a_bounded_size(journal, watched, catalog, monkeypatch):
    monkeypatch.setattr(nodes, "MAX_REQUEST_BYTES", 10_000)
    documents = simple_run(events=500)
    journal.append(documents)
    journal.deliver(journal.delivery(watched))
    sizes = [rows for what, _, rows in watched.asked if what == "append"]
    assert sum(sizes) == 500
    assert max(sizes) <= 200
    assert_delivered(catalog, documents)


def test_an_array_the_server_refuses_costs_the_run_nothing(journal, remote, catalog):
    documents = simple_run(events=3)
    descriptor = documents[1][1]
    descriptor["data_keys"]["image"] = {
        "dtype": "array",
        "shape": [2, 2],
        "dtype_numpy": "<u2",
        "external": "S:",
        "source": "s",
    }
    documents[-1:-1] = file_documents(
        "image",
        uri="ftp://elsewhere/x.h5",
        mimetype="application/x-hdf5",
        descriptor=descriptor["uid"],
        run_start=documents[0][1]["uid"],
        dataset="/d",
        chunk_shape=[1, 2, 2],
    )
    journal.append(documents)
    assert journal.deliver(journal.delivery(remote)) is Outcome.DONE
    assert len(catalog[documents[0][1]["uid"]].table()) == 3


def test_columns_that_widen_one_after_the_other(journal, watched, catalog):
    rows = 6
    columns = {f"n{key}": [row + (0.5 if row == key + 1 else 0) for row in range(rows)] for key in range(5)}
    documents = run_of(columns, dtypes=dict.fromkeys(columns, "<i8"))
    delivery = journal.delivery(watched)
    for document in documents:
        journal.append([document])
        journal.deliver(delivery)
    assert_delivered(catalog, documents)


def with_a_later_descriptor(documents, data_key, spec, values, *, after):
    """Return the documents with a second descriptor that has one more data key, from row `after` on."""
    (_, first), events = documents[1], documents[2:-1]
    second = {**first, "uid": "later", "data_keys": {**first["data_keys"], data_key: spec}}
    changed = []
    for (name, doc), value in zip(events[after:], values, strict=True):
        data = {**doc["data"], data_key: value}
        stamps = {**doc["timestamps"], data_key: 7.5}
        changed.append((name, {**doc, "descriptor": "later", "data": data, "timestamps": stamps}))
    return [*documents[:2], *events[:after], ("descriptor", second), *changed, documents[-1]]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_later_descriptor_with_another_data_key(journal, watched, catalog, at_once):
    spec = {"dtype": "integer", "shape": [], "source": "s"}
    documents = with_a_later_descriptor(simple_run(events=6), "extra", spec, [40, 50, 60], after=3)
    delivery = journal.delivery(watched)
    for piece in [documents] if at_once else [[document] for document in documents]:
        journal.append(piece)
        journal.deliver(delivery)
    run = catalog[documents[0][1]["uid"]]
    table = run.table(timestamps=True)
    assert table["extra"].fillna(-1).tolist() == [-1, -1, -1, 40, 50, 60]
    assert table["x0"].tolist() == simple_run_column(6)
    assert run.metadata["tilewright"]["verified"]
    assert journal.deliver(journal.delivery(watched)) is Outcome.DONE
    assert catalog[documents[0][1]["uid"]].table()["extra"].count() == 3


def test_columns_of_a_later_descriptor_keep_their_order_when_the_table_is_made_anew(
    journal, watched, catalog, monkeypatch
):
    """What is external and yet filled is learned last, stands between the others, and is not read in one step."""
    monkeypatch.setattr("tilewright.delivery.run.CHUNK_BYTES", 500)
    image = {"dtype": "number", "shape": [], "source": "s", "external": "FILESTORE:"}
    start, descriptor, *events, stop = simple_run(events=6)
    keys = descriptor[1]["data_keys"]
    later = {
        **descriptor[1],
        "uid": "later",
        "data_keys": {**keys, "image": image, "extra": next(iter(keys.values()))},
    }
    filled = [
        (name, {**doc, "descriptor": "later", "data": {**doc["data"], "image": 1.5, "extra": 2.5}})
        for name, doc in events[3:]
    ]
    journal.append([start, descriptor, *events[:3], ("descriptor", later), *filled, stop])
    assert journal.deliver(journal.delivery(watched), ended=True, tries=100) is Outcome.DONE
    table = catalog[start[1]["uid"]].table()
    assert [name for name in table if name in ("x0", "image", "extra")] == ["x0", "image", "extra"]
    assert table["image"].fillna(0).tolist() == [0, 0, 0, 1.5, 1.5, 1.5]


def simple_run_column(events):
    return [float(row) for row in range(1, events + 1)]


def test_a_run_deleted_in_mid_delivery_is_made_again(journal, remote, catalog):
    documents = simple_run(events=6)
    delivery = journal.delivery(remote)
    journal.append(documents[:5])
    journal.deliver(delivery)
    catalog.delete_contents(documents[0][1]["uid"], recursive=True, external_only=False)
    journal.append(documents[5:])
    assert journal.deliver(delivery) is Outcome.DONE
    assert_delivered(catalog, documents)


def test_a_record_that_ends_past_the_end_is_not_waited_for_for_ever(journal, remote, catalog):
    """A length that is damaged to more than is left: what follows is found all the same."""
    documents = simple_run(events=8)
    journal.append(documents[:4])
    place = journal.writer.path.stat().st_size
    journal.append(documents[4:])
    data = bytearray(journal.writer.path.read_bytes())
    data[place : place + 4] = (1 << 20).to_bytes(4, "little")
    journal.writer.path.write_bytes(data)
    assert journal.deliver(journal.delivery(remote), ended=True) is Outcome.DONE
    run = catalog[documents[0][1]["uid"]]
    assert run.stop is not None
    assert run.table()["seq_num"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]  # its checksum fits what is there
    assert not run.metadata["tilewright"]["verified"]


def test_a_journal_whose_start_cannot_be_read_is_not_taken_for_delivered(journal, remote):
    journal.append(simple_run(events=2))
    data = bytearray(journal.writer.path.read_bytes())
    data[data.index(b"scan_id")] ^= 0xFF
    journal.writer.path.write_bytes(data)
    with pytest.raises(FinalError, match="its start document cannot be read"):
        journal.deliver(journal.delivery(remote), ended=True)


ODD = {
    "a page without time": ("event_page", {"seq_num": [9], "data": {"x0": [1.0]}}),
    "a page of unequal columns": ("event_page", {"seq_num": [9], "time": [1.0], "data": {"x0": [1.0, 2.0]}}),
    "a page with a number for a column": ("event_page", {"seq_num": [9], "time": [1.0], "data": {"x0": 1.0}}),
    "an event whose timestamps are a list": (
        "event",
        {"seq_num": 9, "time": 1.0, "data": {}, "timestamps": [1]},
    ),
    "an event whose data is a number": ("event", {"seq_num": 9, "time": 1.0, "data": 5}),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_document_costs_its_run_nothing_but_itself(journal, remote, catalog, odd):
    documents = simple_run(events=4)
    (name, doc) = odd
    documents.insert(4, (name, {**doc, "descriptor": documents[1][1]["uid"], "uid": "odd"}))
    journal.append(documents)
    assert journal.deliver(journal.delivery(remote)) is Outcome.DONE
    run = catalog[documents[0][1]["uid"]]
    assert run.table()["seq_num"].tolist() == [1, 2, 9, 3, 4]
    rejected = run.rejected()
    assert rejected["seq_num"].tolist() == ([9] if "time" in doc else [])


def test_a_data_key_of_no_known_type(journal, remote, catalog):
    documents = simple_run(events=3)
    documents[1][1]["data_keys"]["x1"]["dtype_numpy"] = "rubbish"
    journal.append(documents)
    assert journal.deliver(journal.delivery(remote)) is Outcome.DONE
    run = catalog[documents[0][1]["uid"]]
    assert run.table()["x0"].tolist() == [1.0, 2.0, 3.0]
    assert run.rejected()["value"].tolist() == [1.001, 2.001, 3.001]
    assert any("is taken for text" in note for note in run.notes)


def test_external_data_keys_whose_names_are_taken(journal, remote, catalog):
    keys = ["internal", "time", "ts_x0", "a/b", "a_b", "rejected"]
    documents = simple_run(events=3)
    (_, start), (_, descriptor) = documents[:2]
    for key in keys:
        descriptor["data_keys"][key] = {"dtype": "array", "shape": [2], "external": "S:", "source": "s"}
    place = {"uri": "file://localhost/nowhere/x", "mimetype": "application/x-strange"}
    files = [
        file_documents(key, **place, descriptor=descriptor["uid"], run_start=start["uid"]) for key in keys
    ]
    documents[-1:-1] = [document for pair in files for document in pair]
    journal.append(documents)
    assert journal.deliver(journal.delivery(remote)) is Outcome.DONE
    run = catalog[start["uid"]]
    assert run.table()["x0"].tolist() == [1.0, 2.0, 3.0]
    assert set(run.base["primary"].base) == {
        "internal",
        "k_internal",
        "time_",
        "ts_x0_",
        "a_b",
        "a_b_",
        "rejected_",
    }
    assert sum("is the node" in note for note in run.notes) == len(keys)


def test_live_rows_go_out_together_and_not_one_by_one(journal, watched):
    documents = simple_run(events=30)
    delivery = journal.delivery(watched)
    for document in documents[:-1]:
        journal.append([document])
    assert delivery.step() is Outcome.WAITING
    assert [rows for what, _, rows in watched.asked if what == "append"] == [30]
    assert delivery.level_to == delivery.reader.position
