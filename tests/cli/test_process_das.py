"""`tilewright process das-images`: pictures of a cable, whenever it is stopped and started again."""

import signal
import subprocess

import numpy as np
import pytest

from tilewright import TiledWriter, open_catalog
from tilewright.journal import JournalReader
from tilewright.testing.cables import write_store
from tilewright.testing.documents import simple_run
from tilewright.testing.whales import Call, sea

from .conftest import COMMAND, journalled

CHANNELS, SECONDS = 40, 200
JOB = ("process", "das-images", "-1", "--band", 14, 35, "--tile", "5s", "--channels", 10, "--scale", 100, 180)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    values = sea(0, 200 * SECONDS, CHANNELS, calls=[Call(20.0, 40.0)]).T
    path = tmp_path_factory.mktemp("recorded") / "sea.zarr"
    return write_store(path, count=len(values), channels=CHANNELS, values=values)


@pytest.fixture
def data(cli, store, tmp_path):
    """A directory with a catalog of a cable."""
    assert cli("record", "das", store, "--spacing", 2.0419, "--catalog", tmp_path / "data").status == 0
    return tmp_path / "data"


def made(data):
    """Return the tiles of a catalog's job, and their pictures."""
    with open_catalog(data) as runs:
        derived = [run for run in runs.values() if run.start["plan_name"] == "das_images"]
        (run,) = derived
        tiles = run.tiles()
        pictures = run["tiles"]["picture"][:]
        assert run.verify(files=True).equal
        assert run.stop is not None
        files = {path.name for path in (data / "pictures").rglob("*") if path.is_file()}
        table = tiles.table().drop(columns="version")
        assert files == {name.rpartition("/")[2] for name in table["file"]}
        return table, pictures


def test_a_job_and_the_same_again(cli, data):
    result = cli(*JOB, "--catalog", data)
    assert result.status == 0
    assert result.out.startswith("pictures of sea: 400 tiles; run ")
    assert result.out.endswith(" is finished; 0 problems\n")
    table, pictures = made(data)
    assert len(table) == len(pictures) == SECONDS // 5 * 10
    again = cli(*JOB, "--catalog", data)
    assert (again.status, again.err) == (0, "")
    assert "nothing new" in again.out
    sheet = data / "sheet.png"
    assert cli("plot", "-1", "--kind", "contact-sheet", "-o", sheet, "--catalog", data).status == 0
    assert sheet.stat().st_size > 10_000


def test_killed_anywhere(cli, store, data, killed, tmp_path):
    """Whenever it is killed, each tile is there once, and no more were made again than those that were in progress."""
    cut = 0
    for _ in killed((*JOB, "--catalog", data), data / "journal", 400 * 1300, 4):
        documents = [pair for path in (data / "journal").glob("*.twj") for pair in JournalReader(path)]
        if not documents or documents[-1][0] == "stop":
            continue  # it was done before
        cut += 1
        told = [doc["data"]["file"].rpartition("/")[2] for name, doc in documents if name == "event"]
        files = {path.name for path in (data / "pictures").rglob("*.png")}
        assert len(told) == len(set(told))
        assert len(files - set(told)) <= 1  # the one in progress; what was computed beside it is in memory
    assert cut >= 2
    assert cli(*JOB, "--catalog", data).status == 0
    for command in (("record", "das", store, "--spacing", 2.0419), JOB):
        assert cli(*command, "--catalog", tmp_path / "once").status == 0
    for found, expected in zip(made(data), made(tmp_path / "once"), strict=True):
        assert np.array_equal(found, expected)


def test_interrupted(data, tmp_path):
    with subprocess.Popen(
        [*COMMAND, *map(str, (*JOB, "--catalog", data))],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while journalled(data / "journal") < 50_000:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "tilewright: interrupted; repeat the command to carry on\n"


def test_what_is_asked_for_is_told(cli, data):
    options = (
        "--every",
        2,
        "--left",
        "first",
        "--median",
        "time",
        "--window",
        10,
        "--decimate",
        1,
        "--own-scale",
    )
    command = (
        *JOB[:-3],
        *options,
        "--start",
        "2021-11-01T23:11:20Z",
        "--distance",
        10,
        60,
        "--catalog",
        data,
    )
    assert cli(*command).status == 0
    with open_catalog(data) as runs:
        facts = next(run for run in runs.values() if run.start["plan_name"] == "das_images").tiles().facts
    steps = {step.pop("step"): step for step in facts["pipeline"]["steps"]}
    assert steps["decimate"] == {"time": 1, "distance": 2, "channels": "first"}
    assert steps["median"] == {"axis": "time", "window": 10.0}
    assert facts["scale"] == {"low": None, "high": None}
    assert facts["selection"]["channels"] == [5, 30]
    assert facts["tiling"] == {"seconds": 5.0, "channels": 2}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--own-scale",), "give one of them"),
        (("--cluster", "tcp://x", "--threads", 2), "give one of them"),
        (("--window", 3), "give median='time' with it"),
        (("--distance", 900, 901), "no channels at distance"),
        (("--start", "2021-11-01"), "no time zone"),
    ],
)
def test_what_is_refused(cli, data, options, message):
    result = cli(*JOB, *options, "--catalog", data)
    assert result.status == 1
    assert message in result.error
    assert not (data / "pictures").exists()


def test_a_cluster_that_is_not_there(data, tmp_path):
    pytest.importorskip("distributed", reason="the extra cluster is not installed")
    arguments = (*JOB, "--cluster", "tcp://127.0.0.1:9", "--catalog", data)
    result = subprocess.run(
        [*COMMAND, *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "no scheduler of a Dask cluster answers at tcp://127.0.0.1:9" in result.stderr
    assert not (data / "pictures").exists()


def test_an_address_needs_a_folder(cli):
    result = cli(*JOB, "--catalog", "http://127.0.0.1:1/")
    assert "say where the pictures are to lie (--folder DIR)" in result.error


def test_other_runs(cli, data):
    """Pictures stand for what they were made of, so that "the latest" can be repeated; all else is refused."""
    assert cli(*JOB, "--catalog", data).status == 0
    with open_catalog(data) as runs, TiledWriter(runs) as writer:
        derived = next(run.uid for run in runs.values() if run.start["plan_name"] == "das_images")
        for document in simple_run():
            writer(*document)
        other = document[1]["run_start"]
    assert "nothing new" in cli(*JOB[:2], derived, *JOB[3:], "--catalog", data).out
    result = cli(*JOB[:2], other, *JOB[3:], "--catalog", data)
    assert "is no acquisition of a cable" in result.error
