"""The notebooks: each runs from top to bottom, and is committed with what it showed when it did."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
ABSOLUTE_PATH = re.compile(r"(?<![\w<:/.])/\w[\w.-]*/\w|\bfile:|[A-Z]:\\\w")
"""`/two/parts`, or the address or the drive of a file; neither a relative path, nor an HTML tag, nor part of a URL."""

EMBEDDED = re.compile(r"data:[\w/.+-]+;base64,[\w+/=]+")
"""Sound that a notebook plays."""

# In a process of its own: the kernel's client leaves sockets and an event loop to the end of the process.
EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
# One stream a cell, however often the kernel has emptied its buffer while the cell was printing.
NotebookClient(notebook, timeout=120, kernel_name="python3", coalesce_streams=True).execute()
nbformat.write(notebook, sys.argv[2])
"""


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def committed(path):
    return nbformat.read(path, as_version=4)


def execute(path, directory):
    """Execute a notebook in a directory and return it as it is afterwards."""
    result = directory / path.name
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, path, result],
        cwd=directory,
        # Importing ophyd's simulated devices makes temporary folders that stay.
        env=os.environ
        | {"TILEWRIGHT_JOURNAL": str(directory / "journal"), "TMPDIR": str(directory), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return nbformat.read(result, as_version=4)


def outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def kinds(notebook):
    """Return, for each code cell, what kinds of output it has."""
    return [
        [sorted(output.get("data", {output.output_type: None})) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def shown(notebook):
    """Return all text that is stored as output."""
    texts = [output.get("text", "") for output in outputs(notebook)]
    texts += [
        str(value)
        for output in outputs(notebook)
        for kind, value in output.get("data", {}).items()
        if not kind.startswith("image/")
    ]
    return EMBEDDED.sub("", "\n".join(texts))


def test_there_are_notebooks():
    assert [path.name for path in NOTEBOOKS][:1] == ["01_saving_bluesky_data.ipynb"]


@pytest.mark.slow
def test_runs_from_top_to_bottom_twice(path, committed, tmp_path):
    for _ in range(2):  # the second time it finds what the first one left
        executed = execute(path, tmp_path)
        assert kinds(executed) == kinds(committed)
        assert "error" not in {output.output_type for output in outputs(executed)}


def test_is_committed_as_executed(committed):
    counts = [cell.execution_count for cell in committed.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert {output.output_type for output in outputs(committed)} <= {
        "execute_result",
        "display_data",
        "stream",
    }
    assert "stderr" not in {output.get("name") for output in outputs(committed)}
    assert any("image/png" in output.get("data", {}) for output in outputs(committed))


def test_says_nothing_of_the_machine_it_ran_on(committed):
    assert not ABSOLUTE_PATH.search(shown(committed))
    assert not re.search(r"api_key=\w", shown(committed))
    assert committed.metadata.kernelspec == {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    assert set(committed.metadata) == {"kernelspec", "language_info"}


@pytest.mark.parametrize("text", ["/home/ann", "file://localhost/tmp/x.npy", "('/data/ann')", "C:\\Users"])
def test_the_machines_paths_are_recognised(text):
    assert ABSOLUTE_PATH.search(text)


@pytest.mark.parametrize("text", ["tilewright_data/camera/x.npy", "<td>3</td>", "http://127.0.0.1:1/api/v1"])
def test_relative_paths_are_fine(text):
    assert not ABSOLUTE_PATH.search(text)
