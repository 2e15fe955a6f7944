"""The loop that delivers a folder of journals: which it takes, which it leaves, and what it says of them."""

import os
import shutil
import threading
import time

import pytest

from tilewright.delivery import State, Worker, target
from tilewright.delivery import deliverer as deliverer_module
from tilewright.delivery import run as run_module
from tilewright.delivery import worker as worker_module
from tilewright.delivery.failures import FateUnknownError
from tilewright.delivery.remote import Remote
from tilewright.delivery.run import Outcome, RunDelivery
from tilewright.errors import InputError
from tilewright.journal import Header, JournalDirectory, encode
from tilewright.journal.disk import let_go
from tilewright.testing.disk import FaultyDisk
from tilewright.testing.documents import run_of, simple_run
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


def test_a_backlog_holds_up_no_live_run_and_tells_how_far_it_is(work, directory, catalog, monkeypatch):
    monkeypatch.setattr(run_module, "CHUNK_BYTES", 4096)
    name = target(catalog).name
    backlog = record(directory, simple_run(events=2000), name).path
    worker, states = work(lambda state: any(run.level_to > 0 for run in state.runs.values()))
    documents = simple_run(events=3)
    live = record(directory, documents[:-1], name, close=False)
    worker.watch(live.path, documents[0][1]["uid"])
    size = live.path.stat().st_size
    deadline = time.monotonic() + 20
    while live.path.name not in states[-1].runs or states[-1].runs[live.path.name].level_to < size:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert backlog.exists()
    live.close()


def test_what_is_enough_for_a_request_does_not_wait_for_the_next_round(work, directory, catalog, monkeypatch):
    monkeypatch.setattr(worker_module, "INTERVAL", 3600)
    monkeypatch.setattr(worker_module, "ENOUGH_BYTES", 20_000)
    documents = simple_run(events=200)
    writer = record(directory, documents[:3], target(catalog).name, close=False)
    worker, states = work(lambda state: state.idle, eager=True)
    worker.watch(writer.path, documents[0][1]["uid"])
    deadline = time.monotonic() + 20
    while not (states[-1].runs and states[-1].idle):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for document in documents[3:-1]:
        writer.append(encode(*document))
    size = writer.path.stat().st_size
    assert size > 20_000
    while states[-1].runs[writer.path.name].level_to < size - 20_000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    writer.close()


def test_the_first_rows_do_not_wait_for_the_next_round(work, directory, catalog, monkeypatch):
    monkeypatch.setattr(worker_module, "INTERVAL", 3600)
    documents = simple_run(events=3)
    writer = record(directory, documents[:1], target(catalog).name, close=False)
    worker, states = work(lambda state: state.idle, eager=True)
    worker.watch(writer.path, documents[0][1]["uid"])
    deadline = time.monotonic() + 20
    for document in documents[1:3]:
        while not (
            states[-1].runs and states[-1].runs[writer.path.name].level_to == writer.path.stat().st_size
        ):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        writer.append(encode(*document))
    while not len(catalog[documents[0][1]["uid"]].streams):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    while states[-1].runs[writer.path.name].level_to < writer.path.stat().st_size:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(catalog[documents[0][1]["uid"]].table()) == 1
    writer.close()


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


def test_a_document_that_comes_just_before_a_journal_is_put_aside_is_delivered(
    work, directory, catalog, monkeypatch
):
    """Its run is opened again and closed between the last look of the delivery and its taking the lock."""
    documents = simple_run(events=3)
    path = record(directory, documents[:-2], target(catalog).name).path
    archive = JournalDirectory.archive

    def record_and_archive(self, path, **options):
        monkeypatch.undo()
        writer = directory.reopen(path)
        for document in documents[-2:]:
            writer.append(encode(*document))
        writer.close()
        return archive(self, path, **options)

    monkeypatch.setattr(JournalDirectory, "archive", record_and_archive)
    work(lambda state: state.reachable and state.idle and not directory.waiting())
    assert path.name in {each.name for each in directory.delivered.iterdir()}
    assert compare_runs(documents, catalog.__getitem__) == []


@pytest.mark.parametrize("deliveries", [1, 2])
def test_rows_that_only_the_server_has_are_kept(work, directory, catalog, deliveries):
    """They were delivered from the memory of a process that was killed while the disk was full."""
    documents = run_of({"row": list(range(300))})
    uid, where = documents[0][1]["uid"], target(catalog)
    disk = FaultyDisk()
    writer = JournalDirectory(directory.path, disk=disk.disk).create(Header(uid, where.name, 0.0, "test"))
    for number, document in enumerate(documents[:250]):
        disk.room = None if number < 100 else 0
        writer.append(encode(*document))
    remote = where.connect()
    with writer.reader() as reader:
        delivery = RunDelivery(reader, remote)
        while delivery.step() is Outcome.MORE or delivery.rows != {"primary": 248}:
            pass
    remote.close()
    rows = catalog[uid].table()
    let_go(writer._file.fd)  # as the end of the process does
    for _ in range(deliveries):
        for path in directory.unverified.glob("*.twj"):
            path.rename(directory.path / path.name)
        work(lambda state: state.reachable and state.idle and not directory.waiting())
        assert catalog[uid].table().equals(rows)
        assert len(rows) == 248
    report = catalog[uid].metadata["tilewright"]
    assert (report["state"], report["verified"]) == ("interrupted", False)
    assert any("150 rows that the journal lacks" in note for note in catalog[uid].notes)

    writer = directory.reopen(directory.find(uid, where.name))  # the run is taken up again
    for document in documents[100:]:
        writer.append(encode(*document))
    writer.close()
    work(lambda state: state.reachable and state.idle and not directory.waiting())
    assert compare_runs(documents, catalog.__getitem__) == []


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


def test_a_file_that_is_removed_while_it_is_looked_at_stops_nothing(work, directory, catalog, monkeypatch):
    documents = simple_run(events=3)
    record(directory, documents, target(catalog).name)
    foreign = directory.path / "foreign.twj"
    foreign.write_text("something else")
    reader = worker_module.JournalReader

    def removing(path, tail=None):
        if path == foreign:
            foreign.unlink()
            raise InputError("it is no journal")
        return reader(path, tail)

    monkeypatch.setattr(worker_module, "JournalReader", removing)
    work(lambda state: state.reachable and state.idle)
    assert compare_runs(documents, catalog.__getitem__) == []


def test_a_folder_in_which_nothing_can_be_claimed_is_told(work, directory, catalog, monkeypatch):
    record(directory, simple_run(events=3), target(catalog).name)
    monkeypatch.setattr(JournalDirectory, "claim", lambda *_: None)
    monkeypatch.setattr(JournalDirectory, "problem", "it is read-only")
    work(lambda state: state.last_error == "it is read-only")


def test_a_thread_that_is_not_started_yet_can_be_asked_and_closed(directory, catalog):
    """As it may be while it takes over from a child."""
    thread = deliverer_module._Thread(directory, target(catalog))
    assert not thread.holds(directory.path / "nothing.twj")
    thread.close()


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


@pytest.mark.usefixtures("one_by_one")
def test_of_many_journals_that_do_not_get_on_few_are_kept_open(work, directory, catalog, monkeypatch):
    """A server that answers 500 to everything must not cost all the files that a process may open."""
    monkeypatch.setattr(worker_module, "MOST_STUCK", 2)
    left = [simple_run(events=1) for _ in range(10)]
    for documents in left:
        record(directory, documents, target(catalog).name)
    create, broken = Remote.create, threading.Event()
    broken.set()

    def failing(self, path, *args, **options):
        if broken.is_set():
            raise FateUnknownError("500")
        return create(self, path, *args, **options)

    monkeypatch.setattr(Remote, "create", failing)
    worker, _ = work(lambda state: sum(run.trouble is not None for run in state.runs.values()) == len(left))
    assert sum(run.delivery is not None for run in worker._runs.values()) <= 2 + 1
    broken.clear()
    work(lambda _: not directory.waiting())
    for documents in left:
        assert compare_runs(documents, catalog.__getitem__) == []
