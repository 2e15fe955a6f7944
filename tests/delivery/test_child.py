"""The delivery in a process of its own: what it survives, what it leaves, and what it costs the caller."""

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import psutil
import pytest

from tilewright import TiledWriter, open_catalog, serve
from tilewright.delivery import child as child_module
from tilewright.delivery import deliverer as deliverer_module
from tilewright.testing.documents import run_of, simple_run
from tilewright.testing.expected import compare_runs


def write(writer, documents):
    for name, doc in documents:
        writer(name, doc)


def assert_readable(catalog, documents):
    assert compare_runs(documents, catalog.__getitem__) == []


def children(pid=None):
    found = psutil.Process(pid).children()
    return [child for child in found if "tilewright.delivery.child" in " ".join(child.cmdline())]


def until(true, seconds=20):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "journal"


@pytest.fixture
def writer(server, journal):
    with TiledWriter(server.uri, journal=journal, deliver="process", strict=True) as writer:
        yield writer


@pytest.fixture
def whole(server):
    with open_catalog(server.uri) as catalog:
        yield catalog


def test_runs_are_readable_when_stop_returns_and_nothing_is_left(server, journal, whole, caplog):
    with TiledWriter(server.uri, journal=journal, deliver="process", strict=True) as writer:
        for number in range(3):
            documents = simple_run(events=20, scan_id=number)
            write(writer, documents)
            assert_readable(whole, documents)
        assert writer.status().waiting == ()
        assert writer.status().reachable
        (child,) = children()
        assert os.getpgid(child.pid) != os.getpgid(0)  # Ctrl-C is not for it
    assert not child.is_running()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_rows_are_visible_while_the_run_goes_on(writer, whole):
    documents = run_of({"row": list(range(30))})
    write(writer, documents[:20])
    assert writer.flush(20)
    assert len(whole[documents[0][1]["uid"]].table()) == 18
    assert writer.status().waiting_documents == 0
    write(writer, documents[20:])
    assert_readable(whole, documents)


def test_a_killed_deliverer_is_replaced(writer, whole, caplog):
    documents = run_of({"row": list(range(30))})
    write(writer, documents[:20])
    assert writer.flush(20)
    (child,) = children()
    child.kill()
    write(writer, documents[20:])
    assert_readable(whole, documents)
    until(lambda: "another one is started" in caplog.text)
    (other,) = children()
    assert other.pid != child.pid


def test_a_pipe_is_not_closed_while_it_is_written_to(writer):
    """Else what is said to the child might go into another file that gets its number: a journal, say."""
    hand = writer._deliverer._hand
    process = hand._process
    with hand._lock:  # as who says something
        process.kill()
        process.wait()
        time.sleep(0.5)
        assert not process.stdin.closed
    until(lambda: process.stdin.closed)


def test_the_log_of_the_deliverer_reaches_the_users(journal, caplog):
    with TiledWriter("http://127.0.0.1:9?api_key=secret", journal=journal, deliver="process") as writer:
        write(writer, simple_run())
        until(lambda: writer.status().reachable is False)
        assert "cannot reach" in writer.status().last_error
        assert not writer.flush(0.5)
        assert not writer.close(timeout=1)
    assert caplog.text.count("waits, the journals are kept") == 1
    assert "secret" not in caplog.text


def test_delivery_begins_when_the_server_comes(tmp_path, journal, caplog):
    documents = simple_run(events=20)
    with serve(tmp_path / "data", announce=False, api_key="key") as first:
        port = first.port
    with TiledWriter(
        f"http://127.0.0.1:{port}?api_key=key", journal=journal, deliver="process", on_stop="return"
    ) as writer:
        write(writer, documents)
        until(lambda: writer.status().reachable is False)
        with serve(tmp_path / "data", announce=False, api_key="key", port=port) as server:
            assert writer.flush(30)
            with open_catalog(server.uri) as catalog:
                assert_readable(catalog, documents)
    assert "goes on" in caplog.text


def test_an_expired_key_is_renewed(tmp_path, journal, caplog):
    documents = simple_run(events=20)
    with serve(tmp_path / "data", announce=False, api_key="good") as server:
        uri = server.uri.partition("?")[0]
        with TiledWriter(
            f"{uri}?api_key=k3y0ld", journal=journal, deliver="process", on_stop="return"
        ) as writer:
            write(writer, documents)
            until(lambda: writer.status().last_error is not None)
            assert writer.status().reachable
            assert "answered 401" in writer.status().last_error
            assert list(journal.glob("*.twj"))
            writer.renew_key("good")
            assert writer.flush(20)
            with open_catalog(server.uri) as catalog:
                assert_readable(catalog, documents)
    assert "k3y0ld" not in caplog.text


def test_a_thread_that_takes_over_has_the_renewed_key(server, journal, whole, monkeypatch):
    uri = server.uri.partition("?")[0]
    with TiledWriter(f"{uri}?api_key=k3y0ld", journal=journal, deliver="process", on_stop="return") as writer:
        writer.renew_key(server.api_key)
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        (child,) = children()
        child.kill()
        documents = simple_run(events=3)
        write(writer, documents)
        assert writer.flush(20)
        assert_readable(whole, documents)


@pytest.mark.parametrize("parts", [1, 2], ids=["killed in mid-run", "killed after stop"])
def test_a_deliverer_outlives_its_writer_to_deliver_what_there_is(server, journal, whole, parts):
    documents = run_of({"row": list(range(40))})
    code = f"""
    import os, pickle, signal, sys
    from tilewright import TiledWriter
    writer = TiledWriter({server.uri!r}, journal={str(journal)!r}, deliver="process", on_stop="return")
    documents = pickle.loads(bytes.fromhex(sys.stdin.read()))
    for document in documents:
        writer(*document)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    import pickle

    given = documents if parts == 2 else documents[:25]
    script = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        input=pickle.dumps(given).hex(),
        text=True,
        check=False,
        timeout=60,
    )
    assert script.returncode == -signal.SIGKILL
    until(lambda: not list(journal.glob("*.twj")), seconds=30)
    assert_readable(whole, given)
    state = whole[documents[0][1]["uid"]].metadata["tilewright"]["state"]
    assert state == ("complete" if parts == 2 else "interrupted")


def test_a_client_whose_credentials_cannot_be_told_has_a_thread(catalog, journal):
    catalog.context.http_client.auth = lambda request: request
    try:
        with TiledWriter(catalog, journal=journal, deliver="process", strict=True) as writer:
            documents = simple_run(events=3)
            write(writer, documents)
            assert children() == []
            assert_readable(catalog, documents)
    finally:
        catalog.context.http_client.auth = None


def test_a_deliverer_that_cannot_live_gives_way_to_a_thread(server, journal, whole, monkeypatch, caplog):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with TiledWriter(server.uri, journal=journal, deliver="process", strict=True) as writer:
        documents = simple_run(events=3)
        write(writer, documents)
        assert_readable(whole, documents)
        assert "this one delivers instead" in caplog.text


def test_a_child_that_cannot_live_may_be_given_up_before_its_start_is_over(
    server, journal, whole, monkeypatch, caplog
):
    class Slow(child_module.Child):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self._thread.join(1.0)

    monkeypatch.setattr(deliverer_module, "Child", Slow)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with TiledWriter(server.uri, journal=journal, deliver="process", strict=True) as writer:
        documents = run_of({"row": list(range(30))})
        write(writer, documents[:20])
        assert writer.flush(20)
        write(writer, documents[20:])
        assert_readable(whole, documents)
    assert "this one delivers instead" in caplog.text


def test_a_python_that_is_not_there_gives_way_to_a_thread(server, journal, whole, monkeypatch, caplog):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with TiledWriter(server.uri, journal=journal, deliver="process", strict=True) as writer:
        documents = simple_run(events=3)
        write(writer, documents)
        assert_readable(whole, documents)
    assert "this one delivers instead" in caplog.text


def test_a_python_that_goes_away_gives_way_to_a_thread(writer, whole, monkeypatch, caplog):
    documents = run_of({"row": list(range(30))})
    write(writer, documents[:20])
    assert writer.flush(20)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    (child,) = children()
    child.kill()
    write(writer, documents[20:])
    assert_readable(whole, documents)
    assert "this one delivers instead" in caplog.text


@pytest.fixture
def python(tmp_path, monkeypatch):
    """Return a function that has shell commands come before each Python that is started."""

    def put_before(commands):
        script = tmp_path / "python"
        script.write_text(f'#!/bin/sh\n{commands}\nexec {sys.executable} "$@"\n')
        script.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(script))

    return put_before


def test_a_line_cut_short_by_a_kill_and_one_of_somebody_else_are_passed_over(
    server, journal, whole, python, tmp_path, caplog
):
    mark = tmp_path / "mark"
    python(
        f"""if [ ! -e {mark} ]; then touch {mark}; printf '{{"log": [20, "to be cut sh'; kill -9 $$; fi\n"""
        "echo hello"
    )
    with TiledWriter(server.uri, journal=journal, deliver="process", strict=True) as writer:
        documents = run_of({"row": list(range(30))})
        write(writer, documents)
        assert_readable(whole, documents)
        assert len(children()) == 1
    assert caplog.text.count("another one is started") == 1


def test_close_does_not_wait_for_others_who_hold_the_childs_output(server, journal, python, tmp_path):
    """As a process forked while the child was started does."""
    pid = tmp_path / "pid"
    python(f"sleep 60 & echo $! > {pid}")
    with TiledWriter(server.uri, journal=journal, deliver="process", strict=True) as writer:
        write(writer, simple_run(events=3))
        began = time.monotonic()
    assert time.monotonic() - began < 20
    os.kill(int(pid.read_text()), signal.SIGKILL)


def test_a_uid_longer_than_a_pipe_takes_at_once_costs_others_nothing(server, journal, whole, caplog):
    with TiledWriter(server.uri, journal=journal, deliver="process", on_stop="return") as writer:
        documents = simple_run(events=3)
        uid = "u" * 100_000
        write(
            writer,
            [("start", documents[0][1] | {"uid": uid}), ("stop", documents[-1][1] | {"run_start": uid})],
        )
        write(writer, documents[:-1])
        assert writer.flush(20)
        assert len(whole[documents[0][1]["uid"]].table()) == 3
    assert "ended" not in caplog.text


def test_a_fork_that_ends_leaves_the_deliverer_alone(server, journal, whole):
    code = f"""
    import os, sys
    from tilewright import TiledWriter
    from tilewright.testing.documents import simple_run
    writer = TiledWriter({server.uri!r}, journal={str(journal)!r}, deliver="process")
    *first, stop = simple_run(events=3)
    for document in first:
        writer(*document)
    writer.flush(20)
    pid = writer._deliverer._hand.pid
    if os.fork() == 0:
        sys.exit(0)
    os.wait()
    writer(*stop)
    writer.flush(20)
    print(first[0][1]["uid"], pid == writer._deliverer._hand.pid)
    """
    script = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, timeout=60
    )
    uid, same = script.stdout.split()
    assert same == "True"
    assert "another one is started" not in script.stderr
    assert whole[uid].metadata["tilewright"]["state"] == "complete"


def test_a_child_waits_for_no_reader_when_its_parent_is_gone(monkeypatch):
    """A fork of the parent may hold the pipe open, and does not read it."""
    reading, writing = os.pipe()
    parent = child_module._Parent(os.getppid(), writing)
    telling = threading.Thread(target=parent.tell, args=({"log": [20, "x" * 1_000_000]},), daemon=True)
    telling.start()
    telling.join(0.2)
    assert telling.is_alive()
    monkeypatch.setattr(os, "getppid", lambda: 1)
    telling.join(5)
    assert not telling.is_alive()
    os.close(reading)
    os.close(writing)
