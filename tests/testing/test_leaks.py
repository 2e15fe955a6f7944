"""The guard against leaks, seen from outside: small test files run in a pytest of their own."""

import socket
import tempfile
import textwrap
import threading
from pathlib import Path

import pytest

from tilewright.testing.leaks import resources

IMPORTS = """
import gc, os, socket, subprocess, sys, tempfile, threading, time
import pytest
KEPT = []

def listening():
    server = socket.create_server(("127.0.0.1", 0))
    KEPT.append(server)
    return server

def connected(server):
    client = socket.create_connection(server.getsockname())
    KEPT.append(client)
    KEPT.append(server.accept()[0])

def waiting(**options):
    event = threading.Event()
    thread = threading.Thread(target=event.wait, **options)
    thread.start()
    return thread, event

@pytest.fixture(scope="module")
def server():
    thread, event = waiting(name="server")
    tempfile.mkstemp()
    yield listening()
    event.set()
"""


@pytest.fixture
def outcome(pytester, monkeypatch):
    """Return a function that runs test code under the guard: its outcomes, and what pytest printed."""

    def run(code):
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # to start quickly
        pytester.makeconftest("from tilewright.testing import leaks\nleaks.GRACE_SECONDS = 0.5")
        pytester.makepyfile(IMPORTS + textwrap.dedent(code))
        result = pytester.runpytest_subprocess(
            "-p", "tilewright.testing.leaks", "-p", "no:cacheprovider", "-q"
        )
        return result.parseoutcomes(), result.stdout.str()

    return run


LEAKS = {
    # Not a daemon: it has to end by itself, after the grace period, or pytest could not.
    "thread": ("threading.Thread(target=time.sleep, args=[1], name='left').start()", "thread 'left'\n"),
    "daemon": ("waiting(name='left', daemon=True)", "thread 'left' (daemon)"),
    "listening": ("listening()", "socket listening on 127.0.0.1:"),
    "connected": ("with listening() as server: connected(server)", "connection from 127.0.0.1:"),
    "file": ("tempfile.NamedTemporaryFile(prefix='left', delete=False).close()", "temporary file left"),
    "folder": ("tempfile.mkdtemp(prefix='left')", "temporary file left"),
    "child": (
        "subprocess.run([sys.executable, '-c', 'import tempfile; tempfile.mkdtemp(prefix=\"left\")'], check=True)",
        "temporary file left",
    ),
}


def test_each_kind_of_leak_is_an_error_of_its_test(outcome):
    code = "".join(
        f"def test_{kind}():\n    {leak}\ndef test_after_{kind}(): pass\n"
        for kind, (leak, _) in LEAKS.items()
    )
    outcomes, printed = outcome(code)
    assert outcomes == {"passed": 2 * len(LEAKS), "errors": len(LEAKS)}
    for kind, (_, message) in LEAKS.items():
        _, report = printed.split(f"test_{kind} leaves behind:\n", maxsplit=1)  # the summary may say it again
        assert report.lstrip().startswith(message)


def test_what_goes_in_time_is_no_leak(outcome):
    outcomes, _ = outcome("""
        def test_it():
            thread = threading.Thread(target=time.sleep, args=[0.3])
            thread.start()

        def test_cycle():
            cycle = [tempfile.TemporaryFile(), listening()]
            KEPT.clear()
            cycle.append(cycle)

        def test_tidy(tmp_path):
            (tmp_path / "kept").write_text("pytest removes it")
            with tempfile.TemporaryDirectory(), listening() as server:
                connected(server)
            for kept in KEPT:
                kept.close()
    """)
    assert outcomes == {"passed": 3}


def test_the_time_that_the_collector_takes_does_not_count(outcome):
    outcomes, _ = outcome("""
        def test_it():
            gc.callbacks.append(lambda phase, info: time.sleep(0.7) if phase == "start" else KEPT[0].set())
            thread, event = waiting(daemon=True)
            KEPT.append(event)
    """)
    assert outcomes == {"passed": 1}


def test_fixtures_are_torn_down_first(outcome):
    outcomes, _ = outcome("""
        @pytest.fixture
        def tidy():
            with tempfile.TemporaryDirectory(), listening():
                thread, event = waiting()
                yield
                event.set()

        def test_it(tidy): pass
    """)
    assert outcomes == {"passed": 1}


def test_a_fixture_of_wider_scope_is_not_counted(outcome):
    outcomes, _ = outcome("""
        def test_first(): pass
        def test_server(server): connected(server)
        def test_again(server): connected(server)
        def test_late(request): request.getfixturevalue("server")
    """)
    assert outcomes == {"passed": 4}


def test_beside_a_fixture_of_wider_scope_leaks_are_found(outcome):
    outcomes, printed = outcome("""
        def test_thread(server): waiting(name="left", daemon=True)
        def test_socket(server): listening()
        def test_file(server): tempfile.mkdtemp()
    """)
    assert outcomes == {"passed": 3, "errors": 3}
    assert "server" not in printed.replace("(server)", "")


def test_a_client_that_outlives_the_test_may_reconnect(outcome):
    outcomes, _ = outcome("""
        @pytest.fixture(scope="module")
        def client():
            code = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1]); "
            code += "kept = [s.accept() for _ in range(2)]; input()"
            command = [sys.executable, "-u", "-c", code]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
                port = int(process.stdout.readline())
                connect = lambda: KEPT.append(socket.create_connection(("127.0.0.1", port)))
                connect()
                yield connect
                process.communicate(b"end")

        def test_it(client):
            KEPT.pop().close()
            client()
    """)
    assert outcomes == {"passed": 1}


def test_a_failing_test_stays_a_failing_test(outcome):
    outcomes, _ = outcome("""
        def test_it():
            tempfile.mkdtemp()
            assert False
    """)
    assert outcomes == {"failed": 1, "errors": 1}


def test_this_session_has_a_temporary_directory_of_its_own(tmp_path):
    private = Path(tempfile.gettempdir())
    assert private.name.startswith("tests-")
    assert not tmp_path.is_relative_to(private)


def test_a_run_leaves_no_temporary_directory(outcome, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("PYTEST_DEBUG_TEMPROOT")
    assert outcome("def test_it(tmp_path): tempfile.mkdtemp()")[0] == {"passed": 1, "errors": 1}
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("pytest-of-")] == []


def test_a_look_sees_all_there_is(tmp_path):
    event = threading.Event()
    before = resources(str(tmp_path))
    threads = [threading.Thread(target=event.wait) for _ in range(20)]
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(20)]
    try:
        for number, thread in enumerate(threads):
            thread.start()
            (tmp_path / str(number)).touch()
        found = resources(str(tmp_path)) - before
        assert len(found.connections) == len(found.files) == len(found.threads) == 20
    finally:
        event.set()
        for thread in threads:
            thread.join()
        for opened in sockets:
            opened.close()


@pytest.mark.parametrize("asked", ["getsockname", "getpeername"])
def test_a_look_stands_a_socket_that_goes_meanwhile(tmp_path, monkeypatch, asked):
    def gone(self):
        raise OSError("gone")

    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        monkeypatch.setattr(socket.socket, asked, gone)
        resources(str(tmp_path))
        monkeypatch.undo()
