"""The command line called in this process, and files of documents for it."""

import gzip
import json
import random
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from tilewright.cli import main
from tilewright.testing.documents import run_of, simple_run


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str

    @property
    def error(self):
        """The one line on stderr."""
        assert self.err.count("\n") == 1, self.err
        assert self.out == ""
        return self.err.strip()


@pytest.fixture
def cli(capsys):
    """Call the command line in this process."""

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        return Result(end.value.code, *capsys.readouterr())

    return call


@pytest.fixture
def address(server, catalog):
    """The address, with its key, of an empty catalog in the shared server."""
    return f"{catalog.uri.rstrip('/')}?api_key={server.api_key}"


def json_lines(documents):
    return "".join(json.dumps(pair) + "\n" for pair in documents)


def json_records(documents):
    return "".join(json.dumps({"name": name, "doc": doc}) + "\n" for name, doc in documents)


SHAPES = {"list": json.dumps, "lines": json_lines, "records": json_records}


@pytest.fixture
def write(tmp_path):
    """Write documents into a file of one of the shapes; return its path."""

    def write(documents, name="documents.json", *, shape="lines", compress=False):
        data = SHAPES[shape](documents).encode()
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if compress else data)
        return path

    return write


@pytest.fixture(scope="session")
def three_runs():
    """Two simple runs, and one that has columns of all kinds and a repeated seq_num."""
    columns = {
        "count": [1, 2, 3, 4],
        "label": ["a", None, "ü", "d"],
        "open": [True, False, None, True],
        "spectrum": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]],
    }
    mixed = run_of(columns, seq_nums=[1, 2, 2, 3], scan_id=3)
    return [*simple_run(scan_id=1), *simple_run(scan_id=2, stream="baseline", paged=True), *mixed]


COMMAND = [sys.executable, "-c", "from tilewright.cli import main; main()"]
"""The command line in a process of its own."""


@pytest.fixture
def killed(tmp_path):
    """Start a command again and again and kill it, each time when its journals have grown to another part of `whole` bytes."""

    def killed(command, journals, whole, times):
        dice = random.Random(5)
        for part in range(times):
            reached = whole * (part + dice.random()) / times
            process = subprocess.Popen(
                [*COMMAND, *map(str, command)],
                cwd=tmp_path,
                stderr=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            while process.poll() is None and journalled(journals) <= reached:
                time.sleep(0.001)
            process.kill()
            process.wait()
            yield

    return killed


def journalled(journals):
    """Return how many bytes the journals have."""
    return sum(path.stat().st_size for path in journals.glob("*.twj"))
