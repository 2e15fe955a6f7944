import struct
from itertools import islice

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tilewright.errors import InputError, SetupError
from tilewright.journal import JournalDirectory, JournalReader, Recorder
from tilewright.testing.documents import simple_run


@pytest.fixture
def directory(tmp_path):
    return JournalDirectory(tmp_path / "journal")


@pytest.fixture
def opened():
    return []


def make(directory, opened):
    return Recorder(directory, "http://catalog", lambda path, uid: opened.append(path), lambda path: None)


@pytest.fixture
def recorder(directory, opened):
    recorder = make(directory, opened)
    yield recorder
    recorder.end_runs()
    recorder.close()


def read(path):
    with JournalReader(path) as reader:
        return list(reader)


def record(recorder, documents):
    return [run for name, doc in documents if (run := recorder.record(name, doc)) is not None]


def test_a_run_is_one_journal(recorder, opened):
    documents = simple_run(events=5)
    (ended,) = record(recorder, documents)
    assert opened == [ended.path]
    assert read(ended.path) == documents
    with JournalReader(ended.path) as reader:
        assert reader.header.run == documents[0][1]["uid"]
        assert reader.header.catalog == "http://catalog"


def test_interleaved_runs_go_each_to_their_own(recorder, opened):
    one, two = simple_run(events=3, scan_id=1), simple_run(events=3, scan_id=2)
    record(recorder, [document for pair in zip(one, two, strict=True) for document in pair])
    assert [read(path) for path in opened] == [one, two]


def test_a_document_is_recorded_as_it_was_when_it_came(recorder, opened):
    (_, start), *_ = simple_run()
    recorder.record("start", start)
    before = dict(start)
    start["changed"] = "afterwards"
    assert read(opened[0]) == [("start", before)]


def test_a_document_of_no_run_is_refused_by_name(recorder):
    documents = simple_run()
    with pytest.raises(InputError, match="it belongs to no run being recorded: descriptor is"):
        recorder.record(*next(d for d in documents if d[0] == "event"))
    with pytest.raises(InputError, match="it belongs to no run"):
        recorder.record("surprise", {"uid": "x"})


def test_a_resource_that_names_no_run_goes_to_every_run(recorder, opened):
    one, two = simple_run(scan_id=1), simple_run(scan_id=2)
    resource = {"uid": "r", "spec": "NPY_SEQ", "root": "/", "resource_path": "x", "resource_kwargs": {}}
    datum = {"datum_id": "r/0", "resource": "r", "datum_kwargs": {}}
    record(recorder, [one[0], two[0], ("resource", resource), ("datum", datum)])
    assert [[name for name, _ in read(path)] for path in opened] == [["start", "resource", "datum"]] * 2


def test_a_run_repeated_adds_nothing(recorder, opened, directory):
    documents = simple_run(events=5)
    for _ in range(3):
        record(recorder, documents)
    assert read(opened[0]) == documents
    assert len(list(directory.path.glob("**/*.twj"))) == 1


def test_a_run_cut_short_goes_on_where_it_was(recorder, opened, directory):
    documents = simple_run(events=5)
    record(recorder, documents[:4])
    recorder.end_runs()
    again = make(directory, opened)
    (ended,) = record(again, documents)
    again.close()
    assert read(ended.path) == documents


@pytest.mark.parametrize("length", [0, 1 << 20], ids=["none", "past the end"])
def test_a_run_repeated_adds_nothing_behind_damage(recorder, opened, directory, length):
    """Nothing behind a damaged length counts as new, although it might be the length of a torn tail."""
    documents = simple_run(events=5)
    record(recorder, documents)
    with JournalReader(opened[0]) as reader:
        list(islice(reader.payloads(1 << 20), 4))
        damaged = reader.position
    with opened[0].open("r+b") as file:
        file.seek(damaged)
        file.write(struct.pack("<I", length))
    record(recorder, documents)
    with JournalReader(opened[0]) as reader:
        found = list(reader)
        while reader.give_up_tail():
            found += reader
        assert found == documents
    assert len(list(directory.path.glob("**/*.twj"))) == 1


def test_a_run_whose_journal_is_pruned_at_this_moment_is_recorded_anew(
    recorder, opened, directory, monkeypatch
):
    documents = simple_run(events=5)
    record(recorder, documents)
    find = JournalDirectory.find

    def find_and_remove(self, uid, catalog):
        path = find(self, uid, catalog)
        path.unlink()
        monkeypatch.undo()
        return path

    monkeypatch.setattr(JournalDirectory, "find", find_and_remove)
    record(recorder, documents)
    assert read(opened[-1]) == documents


def test_another_run_of_the_same_uid_is_refused(recorder, opened):
    documents = simple_run(events=5)
    record(recorder, documents)
    name, doc = documents[2]
    with pytest.raises(InputError, match="was recorded before with other documents"):
        record(recorder, [*documents[:2], (name, {**doc, "time": 0.0})])
    assert read(opened[0]) == documents


def test_runs_without_stop_are_closed_at_the_end(recorder):
    record(recorder, simple_run()[:-1])
    assert len(recorder.open_runs) == 1
    recorder.end_runs()
    assert recorder.open_runs == []


# Documents that lead nowhere, when the recorder is not strict. The corpus in `tests/hostile` has the plain cases.


@pytest.fixture
def lenient(directory, opened):
    recorder = Recorder(
        directory, "http://catalog", lambda path, uid: opened.append(path), lambda path: None, strict=False
    )
    yield recorder
    recorder.end_runs()
    recorder.close()


def test_each_kind_is_refused_once_unless_strict(lenient, recorder):
    event = next(document for document in simple_run() if document[0] == "event")
    for _ in range(3):
        with pytest.raises(InputError, match="it belongs to no run"):
            recorder.record(*event)
    with pytest.raises(InputError, match=r"descriptor is '.*' \(it will be, if that run starts soon\)"):
        lenient.record(*event)
    with pytest.raises(InputError, match=r"it names none\. Others like it are not reported"):
        lenient.record("surprise", {})
    for number in range(3):
        assert lenient.record(*event) is None
        assert lenient.record(f"surprise {number}", {}) is None


def test_what_comes_before_its_start_is_bounded(lenient, opened, monkeypatch):
    monkeypatch.setattr("tilewright.journal.recorder.EARLY_BYTES", 10_000)
    start, descriptor, *events, stop = simple_run(events=200)
    with pytest.raises(InputError):
        lenient.record(*events[0])
    with pytest.raises(InputError):
        lenient.record(*descriptor)
    record(lenient, events[1:])
    assert sum(len(early.payload) for early in lenient._early) <= 10_000
    record(lenient, [descriptor, start, stop])
    names = [name for name, _ in read(opened[0])]
    assert names[:2] == ["start", "descriptor"]
    assert 10 < names.count("event") < 100  # the last of them
    assert read(opened[0])[2:-1] == events[-names.count("event") :]
    assert lenient._early_bytes == 0


def test_a_document_after_the_stop_opens_the_journal_again_until_another_run_starts(lenient, opened):
    documents, other = simple_run(events=5), simple_run(events=1)
    record(lenient, [*documents[:5], documents[-1], *documents[5:-1]])
    assert len(lenient.open_runs) == 1
    assert [doc.get("seq_num") for _, doc in read(opened[0])] == [None, None, 1, 2, 3, None, 4, 5]
    record(lenient, other[:1])
    assert [run.uid for run in lenient.open_runs] == [other[0][1]["uid"]]
    assert len(opened) == 3


def test_a_journal_that_is_too_large_is_not_opened_again(lenient, opened, monkeypatch):
    monkeypatch.setattr("tilewright.journal.recorder.REOPENED_BYTES", 100)
    documents = simple_run(events=2)
    record(lenient, documents)
    with pytest.raises(InputError, match=r"after the stop document of run .* too large"):
        lenient.record(*documents[2])
    assert record(lenient, documents[2:]) == []
    assert read(opened[0]) == documents


def test_a_journal_that_is_gone_is_not_opened_again(lenient, opened):
    documents = simple_run(events=2)
    record(lenient, documents)
    opened[0].unlink()
    with pytest.raises(InputError, match="its journal is not there any more"):
        lenient.record(*documents[2])


def test_runs_that_ended_are_forgotten_in_the_end(lenient, monkeypatch):
    monkeypatch.setattr("tilewright.journal.recorder.ENDED_RUNS", 3)
    runs = [simple_run(events=1) for _ in range(10)]
    for documents in runs:
        record(lenient, documents)
    assert len(lenient._routes) == 3 * 2  # each by its uid and its descriptor's
    assert lenient._shared == {}


def test_a_run_that_differs_from_its_journal_is_kept_apart_and_given_again_adds_nothing(
    lenient, opened, directory
):
    documents = simple_run(events=5, uid="same")
    name, doc = documents[4]
    others = [*documents[:4], (name, {**doc, "time": 0.0}), *documents[5:]]
    for each in (documents, others, documents, others):
        record(lenient, each)
    first, second = dict.fromkeys(opened)
    assert read(first) == documents
    uid = JournalReader(second).header.run
    assert uid.startswith("same-")
    (start, note, descriptor, *events, stop) = read(second)
    assert start == ("start", {**documents[0][1], "uid": uid})
    assert note[0] == "tilewright:note"
    assert descriptor == ("descriptor", {**documents[1][1], "run_start": uid})
    assert events == others[2:-1]
    assert stop == ("stop", {**documents[-1][1], "run_start": uid})
    assert len(list(directory.path.glob("**/*.twj"))) == 2


def test_a_run_that_could_not_be_recorded_is_told_once(lenient, directory, opened):
    documents = simple_run(events=3)
    other = Recorder(directory, "http://catalog", lambda path, uid: None, lambda path: None)
    record(other, documents[:2])  # another writer has the journal
    with pytest.raises(SetupError):
        lenient.record(*documents[0])
    assert record(lenient, documents[1:]) == []
    assert opened == []
    other.end_runs()
    other.close()


def test_documents_for_which_there_is_no_room_are_told_once_a_run(lenient, opened, caplog, monkeypatch):
    documents = simple_run(events=5)
    record(lenient, documents[:3])

    def full(self, payload):
        raise SetupError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("tilewright.journal.writer.JournalWriter.append", full)
        with pytest.raises(SetupError):
            lenient.record(*documents[3])
        record(lenient, documents[4:6])
    record(lenient, documents[6:])
    assert read(opened[0]) == documents[:3] + documents[6:]
    assert "3 documents were lost" in caplog.text


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["start", "descriptor", "event", "stop", "resource", "datum", "surprise"])
            | st.integers(),
            st.none()
            | st.dictionaries(
                st.sampled_from(["uid", "run_start", "descriptor", "resource"]),
                st.sampled_from(["a", "b", "", 1, None, True]) | st.lists(st.integers(), max_size=1),
            ),
        ),
        max_size=12,
    )
)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes_is_in_some_journal_or_refused_in_words(tmp_path_factory, documents):
    directory, opened = JournalDirectory(tmp_path_factory.mktemp("any")), []
    recorder = Recorder(directory, "c", lambda path, uid: opened.append(uid), lambda path: None, strict=False)
    for name, doc in documents:
        was_open = bool(recorder.open_runs)
        try:
            recorder.record(name, doc)
        except InputError:
            assert not was_open  # while a run is being recorded, each document has its place
    recorder.end_runs()
    recorder.close()
    recorded = [read(directory.find(uid, "c")) for uid in dict.fromkeys(opened)]
    assert all(journal[0][0] == "start" for journal in recorded)
