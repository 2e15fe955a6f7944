"""`tilewright record tfrecord`: files of embeddings into a catalog, whenever it is stopped and started again."""

import signal
import subprocess
import time

import numpy as np
import pytest

from tilewright import open_catalog, serve
from tilewright.journal import JournalReader
from tilewright.testing.embeddings import records, write_dataset
from tilewright.tfrecords import write_records

from .conftest import COMMAND


@pytest.fixture(scope="module")
def server(readable):
    with serve(announce=False, readable_storage=readable) as server:
        yield server


def assert_recorded(run, rows):
    """Check that each vector is there once, and that each row is that of its vector."""
    table = run.table("embeddings")
    assert table["seq_num"].tolist() == list(range(1, rows + 1))
    vectors = run["embeddings"]["embedding"]
    assert vectors.shape[0] == rows
    numbers = vectors[:, 0]
    assert sorted(numbers.tolist()) == list(range(rows))
    assert np.array_equal(numbers % 12, table["offset"] // 5 % 12)
    assert run.metadata["tilewright"]["verified"] is True
    assert run.notes == []


def test_files(cli, folder, catalog, address):
    write_dataset(folder, 3, 5, dimension=16)
    paths = sorted(folder.iterdir())
    result = cli(
        "record", "tfrecord", *paths, "--dataset", "one percent", "--model", "perch", "--catalog", address
    )
    (run,) = catalog.values()
    assert (result.status, result.err) == (0, "")
    assert result.out == f"one percent: 3 files, 180 embeddings; run {run.uid[:8]} is finished; 0 problems\n"
    assert (run.start["dataset"], run.start["model"]) == ("one percent", "perch")
    assert_recorded(run, 180)
    again = cli(
        "record", "tfrecord", folder, "--dataset", "one percent", "--model", "perch", "--catalog", address
    )
    assert again.out == f"one percent: nothing new; run {run.uid[:8]} is finished\n"


@pytest.mark.parametrize("store", ["npy", "zarr"])
def test_vectors_are_written_out_beside_the_data(cli, folder, tmp_path, store):
    write_dataset(folder, 2, 5, dimension=16)
    command = ("record", "tfrecord", folder, "--store", store, "--dtype", "float16")
    assert cli(*command, "--catalog", tmp_path / "data").status == 0
    with open_catalog(tmp_path / "data") as runs:
        assert_recorded(runs[-1], 120)
        assert runs[-1]["embeddings"]["embedding"].dtype == np.float16
    assert (tmp_path / "data" / "embeddings").is_dir()


def test_what_is_rejected(cli, folder, catalog, address):
    payloads = list(records(4))
    places = write_records(folder / "x.tfrecord", [*payloads[:2], b"foreign", *payloads[2:]])
    result = cli("record", "tfrecord", folder, "--catalog", address)
    (run,) = catalog.values()
    assert result.status == 1
    assert result.err.startswith(f"x.tfrecord, byte {places[2]:,}: ")
    assert "1 file, 48 embeddings;" in result.out
    assert "1 problem\n" in result.out
    assert run.table("rejected")["record"].tolist() == [places[2]]
    strict = cli("record", "tfrecord", folder, "--strict", "--dataset", "other", "--catalog", address)
    assert (strict.status, strict.error.count(f"x.tfrecord, byte {places[2]:,}: ")) == (1, 1)


def test_a_pattern_of_ones_own(cli, folder, catalog, address):
    write_dataset(folder, 1, 2, dimension=16)
    pattern = r"site_(?P<site>\d+)/(?P<stamp>\w+)\+"
    assert cli("record", "tfrecord", folder, "--pattern", pattern, "--catalog", address).status == 0
    table = catalog[-1].table("embeddings")
    assert table["site"].tolist() == [285] * 24
    assert table["stamp"].tolist() == ["20201014T000000"] * 24


def test_what_comes_later_is_a_run_of_its_own(cli, folder, catalog, address):
    write_dataset(folder, 2, 3, dimension=16)
    first = cli("record", "tfrecord", folder, "--catalog", address)
    write_records(folder / "x.tfrecord", records(2, first=72, dimension=16))
    result = cli("record", "tfrecord", folder, "--catalog", address)
    newer, older = catalog[-1], catalog[-2]
    assert first.out.endswith(f"run {older.uid[:8]} is finished; 0 problems\n")
    assert f"run {newer.uid[:8]} is finished, continues {older.uid[:8]};" in result.out
    assert newer["embeddings"]["embedding"][:, 0].tolist() == list(range(72, 96))


@pytest.mark.slow
def test_killed_anywhere(cli, folder, tmp_path, killed):
    """Whenever it is killed, each vector is there once."""
    rows, cut = write_dataset(folder, 6, 1000, dimension=64), 0
    command = ("record", "tfrecord", folder, "--catalog", tmp_path / "data")
    journals = tmp_path / "data" / "journal"
    for _ in killed(command, journals, 250 * rows, 4):  # a little less than the journal's end
        documents = [name for path in journals.glob("*.twj") for name, _ in JournalReader(path)]
        cut += "stop" not in documents
    assert cut >= 2
    assert cli(*command).status == 0
    with open_catalog(tmp_path / "data") as runs:
        (run,) = runs.values()
        assert_recorded(run, rows)


def test_interrupted(cli, folder, tmp_path):
    write_dataset(folder, 6, 400, dimension=64)
    command = ("record", "tfrecord", folder, "--catalog", tmp_path / "data")
    with subprocess.Popen(
        [*COMMAND, *map(str, command)],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        while not list((tmp_path / "data" / "journal").glob("*.twj")):
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "tilewright: interrupted; repeat the command to carry on\n"
    assert cli(*command).status == 0
    with open_catalog(tmp_path / "data") as runs:
        assert_recorded(runs[-1], 6 * 400 * 12)
