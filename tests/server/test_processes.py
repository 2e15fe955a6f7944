"""What becomes of a process with a server in it when the script fails, ends, or is stopped."""

import os
import signal
import subprocess
import sys
import time

import pytest

START = """
from tilewright.server import serve
server = serve({directory!r})
"""


def run(script, directory, **options):
    return subprocess.run(
        [sys.executable, "-c", START.format(directory=directory) + script],
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
        **options,
    )


def test_an_exception_ends_the_process(tmp_path):
    began = time.monotonic()
    done = run("raise RuntimeError('the plan failed')", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.strip().endswith("RuntimeError: the plan failed")
    assert time.monotonic() - began < 20
    assert "Finished server process" in (tmp_path / "error.log").read_text()


def test_a_script_that_just_ends(tmp_path):
    done = run("", str(tmp_path))
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.startswith(f"Tiled serves {tmp_path} at http://127.0.0.1:")
    assert "Finished server process" in (tmp_path / "error.log").read_text()


def test_a_temporary_directory_goes_with_the_process(tmp_path):
    done = run("print(server.directory)", None, env=os.environ | {"TMPDIR": str(tmp_path)})
    assert done.returncode == 0
    assert str(tmp_path) in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_fork_leaves_the_server_alone(tmp_path):
    script = """
import os, sys, httpx
child = os.fork()
if child == 0:
    server.close()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert httpx.get(server.uri.replace("?", "/metadata/?")).status_code == 200
"""
    done = run(script, None, env=os.environ | {"TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 1), (signal.SIGTERM, -signal.SIGTERM)])
def test_signals_stay_the_users(tmp_path, number, status):
    script = "import signal; print(signal.getsignal(signal.SIGTERM).name, flush=True); server.wait()"
    process = subprocess.Popen(
        [sys.executable, "-c", START.format(directory=str(tmp_path)) + script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = [process.stdout.readline(), process.stdout.readline()]
        assert lines[1] == "SIG_DFL\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    if number == signal.SIGINT:
        assert errors.strip().endswith("KeyboardInterrupt")
        assert "Finished server process" in (tmp_path / "error.log").read_text()
        assert process.returncode in (status, -signal.SIGINT)
    else:
        assert process.returncode == status


def test_a_killed_server_can_be_started_again(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", START.format(directory=str(tmp_path)) + "server.wait()"],
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    process.kill()
    process.communicate()
    done = run("", str(tmp_path))
    assert done.returncode == 0, done.stderr
