"""The loop that delivers a folder of journals: which it takes, which it leaves, and what it says of them."""

import os
import shutil
import threading
import time

import pytest

from tilewright.delivery import State, Worker, target
from tilewright.delivery import worker as worker_module
from tilewright.journal import Header, JournalDirectory, encode
from tilewright.testing.documents import simple_run
from tilewright.testing.expected import compare_runs


@pytest.fixture
def directory(tmp_path):
    return JournalDirectory(tmp_path / "journals")


@pytest.fixture
def work(directory, catalog):
    """Return a function that has a worker deliver until its state satisfies a condition; return the states."""
    running = []

    def run(is_enough, **options):
        states = [State()]
        worker = Worker(directory, target(catalog), states.append, **options)
        thread = threading.Thread(target=worker.work)
        thread.start()
        running.append((worker, thread))
        deadline = time.monotonic() + 20
        while not is_enough(states[-1]):
            assert time.monotonic() < deadline, states[-1]
            time.sleep(0.01)
        return worker, states

    yield run
    for worker, thread in running:
        worker.close()
        thread.join()


def record(directory, documents, catalog, *, close=True):
    writer = directory.create(Header(documents[0][1]["uid"], catalog, 0.0, "test"))
    for document in documents:
        writer.append(encode(*document))
    if close:
        writer.close()
    return writer


def test_what_lies_there_is_delivered_and_put_aside(work, directory, catalog):
    name = target(catalog).name
    runs = [simple_run(events=3, scan_id=number) for number in range(3)]
    for documents in runs:
        record(directory, documents, name)
    elsewhere = record(directory, simple_run(), "http://127.0.0.1:9/api/v1").path
    work(lambda state: state.reachable and state.idle)
    assert directory.waiting() == [elsewhere]
    for documents in runs:
        assert compare_runs(documents, catalog.__getitem__) == []


def test_a_run_that_another_process_records_is_its_own(work, directory, catalog):
    documents = simple_run(events=3)
    writer = record(directory, documents[:-1], target(catalog).name, close=False)
    worker, states = work(lambda state: state.idle)
    time.sleep(0.3)
    assert states[-1].runs == {}
    worker.watch(writer.path, documents[0][1]["uid"])  # it is told to
    deadline = time.monotonic() + 20
    while not (states[-1].runs and states[-1].idle):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(catalog[documents[0][1]["uid"]].table()) == 3
    writer.append(encode(*documents[-1]))
    writer.close()
    worker.wake()
    while directory.waiting():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert compare_runs(documents, catalog.__getitem__) == []


def test_a_service_takes_also_what_others_record(work, directory, catalog):
    documents = simple_run(events=3)
    writer = record(directory, documents[:-1], target(catalog).name, close=False)
    work(lambda state: state.runs and state.idle, everything=True)
    assert len(catalog[documents[0][1]["uid"]].table()) == 3
    writer.close()


@pytest.mark.parametrize("first", ["whole", "part"])
@pytest.mark.parametrize("kind", ["prefix", "different"])
def test_two_journals_of_one_run(work, directory, catalog, tmp_path, first, kind, caplog):
    """Whichever comes first, what is readable is delivered, and neither takes anything from the other."""
    documents = simple_run(events=6)
    whole = record(directory, documents, target(catalog).name).path
    other = documents[:5]
    if kind == "different":
        other = [(name, doc | {"seq_num": 99} if name == "event" else doc) for name, doc in documents]
    shutil.move(whole, tmp_path / "whole")
    part = record(directory, other, target(catalog).name).path
    shutil.move(part, tmp_path / "part")
    for turn, name in enumerate(["whole", "part"] if first == "whole" else ["part", "whole"]):
        shutil.copy(tmp_path / name, directory.path / f"{turn}-{whole.name}")
    work(lambda state: state.reachable and state.idle and not directory.waiting())
    kept = sorted([*directory.delivered.glob("*.twj"), *directory.unverified.glob("*.twj")])
    assert len(kept) == 2
    rows = catalog[documents[0][1]["uid"]].table(attempts=True)["seq_num"].tolist()
    if first == "whole" or kind == "prefix":
        assert rows == [1, 2, 3, 4, 5, 6]
    else:
        assert rows == [99] * 6
    assert ("nothing there was changed" in caplog.text) == (first == "whole" or kind == "different")
    assert len(list(directory.unverified.glob("*.twj"))) == (first == "whole" or kind == "different")


def test_files_that_are_no_journals_are_reported_once(work, directory, catalog, caplog):
    documents = simple_run(events=3)
    record(directory, documents, target(catalog).name)
    foreign = directory.path / "foreign.twj"
    foreign.write_text("something else")
    empty = directory.path / "empty.twj"
    empty.write_bytes(b"")
    long_ago = time.time() - 60
    for path in (foreign, empty):
        os.utime(path, (long_ago, long_ago))
    work(lambda state: state.reachable and state.idle)
    time.sleep(1.5)
    assert compare_runs(documents, catalog.__getitem__) == []
    assert caplog.text.count("A journal was left alone") == 2
    assert foreign.read_text() == "something else"
    assert empty.exists()


def test_a_backlog_keeps_few_files_open_and_no_new_run_waiting(work, directory, catalog, monkeypatch):
    """Of thousands of journals that were left behind, each would have two files open."""
    monkeypatch.setattr(worker_module, "AT_ONCE", 4)
    name = target(catalog).name
    left = [simple_run(events=1) for _ in range(12)]
    for documents in left:
        record(directory, documents, name)
    live = simple_run(events=1)
    record(directory, live[:-1], name, close=False)
    claims, order = [], []

    def enough(state):
        claims.append(len(list(directory.path.glob("*.claim"))))
        order.append(live[0][1]["uid"] in catalog)
        return len(directory.waiting()) == 1 and state.idle

    _, states = work(enough, everything=True)
    assert max(claims) <= 4 + 1
    assert order.index(True) < len(order) / 2
    assert len(states) > 3  # it tells how it gets on
    for documents in left:
        assert compare_runs(documents, catalog.__getitem__) == []


def test_a_large_journal_tells_how_it_gets_on(work, directory, catalog, monkeypatch):
    documents = simple_run(events=50)
    path = record(directory, documents, target(catalog).name).path
    monkeypatch.setattr("tilewright.delivery.run.CHUNK_BYTES", 2000)
    _, states = work(lambda state: not directory.waiting())
    levels = [state.runs[path.name].level_to for state in states if path.name in state.runs]
    assert len(set(levels)) > 3
    assert compare_runs(documents, catalog.__getitem__) == []
