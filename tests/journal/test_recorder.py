import pytest

from tilewright.errors import InputError
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
