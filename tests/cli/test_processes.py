"""What a user's terminal sees: real processes, Ctrl-C, exit status."""

import os
import re
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tilewright import open_catalog
from tilewright.testing.documents import simple_run
from tilewright.testing.expected import compare_runs

from .conftest import COMMAND

LOCAL = Path(__file__).parents[2] / "server_config" / "local.yml"


def environment(directory):
    """Return one in which the folder that importing ophyd.sim makes, and leaves, is in the test's directory."""
    return os.environ | {"TMPDIR": str(directory)}


@contextmanager
def running(*arguments, cwd):
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(cwd),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def stop(process, number):
    """Send a signal; return exit status, what was printed since, and the seconds it took."""
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err, time.monotonic() - began


def test_demo_ends_by_itself_and_shows_every_step(tmp_path):
    done = subprocess.run(
        [*COMMAND, "demo", "--directory", "data"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    out = done.stdout
    with open_catalog(tmp_path / "data") as catalog:
        (uid,) = catalog
        expected = catalog[uid].table()
    rows = [line.split() for line in out.split("run.table()\n")[1].split("\n\n")[0].splitlines()]
    assert rows[0] == list(expected)
    assert [float(row[4]) for row in rows[1:]] == pytest.approx(expected["motor"].tolist(), abs=1e-6)
    assert len(rows) == 11
    assert "internal: table, 10 rows\n" in out
    for node in (uid[:8], f"{uid[:8]}/primary", f"{uid[:8]}/primary/internal"):
        assert re.search(rf"^{node} +(container|table, application/x-tiled-sql-table)$", out, re.MULTILINE)
    assert f"    duckdb://localhost/{tmp_path}/data/storage.duckdb\n" in out
    for name in ("catalog.db", "storage.duckdb", rf"journal/delivered/{uid}\S*\.twj"):
        assert re.search(rf"^ *[\d,]+ bytes  {name}$", out, re.MULTILINE)
    assert re.search(rf"^http://127\.0\.0\.1:\d+/ui/browse/{uid}\?api_key=\w+$", out, re.MULTILINE)


def test_demo_keep_serving(tmp_path):
    with running("demo", "--directory", tmp_path, "--keep-serving", cwd=tmp_path) as process:
        for line in process.stdout:
            if line.startswith("http"):
                link = line.strip()
            if line.startswith("The server stays up"):
                break
        address, uid, key = re.fullmatch(r"(.*)/ui/browse/(.*)\?api_key=(.*)", link).groups()
        page = httpx.get(link)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        with open_catalog(f"{address}?api_key={key}") as catalog:
            assert len(catalog[uid].table()) == 10
        status, out, err, seconds = stop(process, signal.SIGINT)
    assert (status, out, err) == (0, "Stopped.\n", "")
    assert seconds < 10  # it does not wait for whoever keeps a connection


@pytest.mark.parametrize(
    ("arguments", "number"),
    [(["served"], signal.SIGINT), (["--config", LOCAL, "--port", "0"], signal.SIGTERM)],
    ids=["a directory, Ctrl-C", "a configuration, SIGTERM"],
)
def test_serve_until_a_signal(cli, tmp_path, arguments, number):
    with running("serve", *arguments, cwd=tmp_path) as process:
        place = tmp_path / ("served" if arguments == ["served"] else "tilewright_data")
        first, second, third = (process.stdout.readline() for _ in range(3))
        assert re.fullmatch(rf"Tiled serves {place} at http://127\.0\.0\.1:\d+\?api_key=\w+\n", first)
        uri = re.fullmatch(r"For other commands: export TILEWRIGHT_CATALOG='(.*)'\n", second)[1]
        assert third == "Stop it with Ctrl-C.\n"
        assert cli("runs", "--catalog", uri).out == f"No runs in {uri}.\n"
        for command in (["runs"], ["replay", __file__]):
            result = cli(*command, "--catalog", place)
            assert result.status == 1
            assert (
                f"the process {process.pid} at {uri.split('/api')[0]} is serving it already" in result.error
            )
            assert result.error.endswith("by the address and key it printed: --catalog 'http://…?api_key=…'.")
        with httpx.Client() as idle:  # a connection that is kept alive does not hold it up
            assert idle.get(first.split()[-1]).status_code == 200
            status, out, err, seconds = stop(process, number)
    assert (status, out, err) == (0, "Stopped.\n", "")
    assert seconds < 10  # it does not wait for whoever keeps a connection


def test_serve_takes_a_directory_or_a_configuration(cli, tmp_path):
    result = cli("serve", tmp_path, "--config", LOCAL)
    assert result.status == 1
    assert result.error.startswith("tilewright: --config says itself what to serve")


def test_replay_interrupted_and_repeated(cli, write, tmp_path, catalog, address):
    runs = [simple_run(scan_id=number, events=3) for number in range(1, 61)]
    documents = [document for run in runs for document in run]
    path = write(documents)
    with running("replay", path, "--catalog", address, cwd=tmp_path) as process:
        while not len(catalog):
            assert process.poll() is None
            time.sleep(0.02)
        status, out, err, seconds = stop(process, signal.SIGINT)
    assert (status, out) == (130, "")
    assert err == "tilewright: interrupted; repeat the command to carry on\n"
    assert seconds < 10
    assert complete(catalog) < len(runs)
    assert cli("replay", path, "--catalog", address).status == 0
    assert complete(catalog) == len(catalog) == len(runs)
    assert compare_runs(documents, catalog.__getitem__) == []


def complete(catalog):
    """Return how many runs have their stop document."""
    return len(catalog.table(exit_status="success"))
