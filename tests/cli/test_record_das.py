"""`tilewright record das`: files of a fibre-optic cable into a catalog, whenever it is stopped and started again."""

import shutil
import signal
import subprocess

import h5py
import numpy as np
import pytest

from tilewright import open_catalog, serve
from tilewright.testing.cables import samples_of, write_prodml, write_silixa, write_store, write_terra15

from .conftest import COMMAND


@pytest.fixture
def folder(folder):
    """Return a folder of this name that the server may read."""
    south = folder / "south"
    south.mkdir()
    return south


@pytest.fixture(scope="module")
def server(readable):
    with serve(announce=False, readable_storage=readable) as server:
        yield server


def assert_recorded(run, expected):
    """Check that the catalog has these samples, whole and in parts."""
    array = run["das"]["data"]
    assert array.dims == ("time", "distance")
    assert array.shape == expected.shape
    assert np.array_equal(array[:], expected)
    part = (slice(len(expected) // 3, -5, 7), slice(1, 6, 2))
    assert np.array_equal(array[part], expected[part])
    assert run.verify(files=True).equal
    assert run.notes == []


@pytest.mark.parametrize("write", [write_prodml, write_silixa, write_terra15])
def test_files(cli, folder, catalog, address, write):
    for number in range(3):
        write(folder / f"{number}.h5", 1000 * number)
    result = cli("record", "das", folder, "--catalog", address)
    (run,) = catalog.values()
    assert (result.status, result.err) == (0, "")
    assert result.out == f"south: 3 files, 15.00 s; run {run.uid[:8]} is finished; 0 problems\n"
    assert_recorded(run, samples_of(0, 3000, 8))
    assert run.table("das")["first"].tolist() == [0, 1000, 2000]
    again = cli("record", "das", folder, "--catalog", address)
    assert again.out == f"south: nothing new; run {run.uid[:8]} is finished\n"


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_store_by_distance(cli, folder, catalog, address, zarr_format):
    path = write_store(folder / "cable.zarr", zarr_format=zarr_format)
    command = ("record", "das", path, "--acquisition", "RCA", "--spacing", 2.0419, "--catalog", address)
    assert cli(*command).status == 0
    (run,) = catalog.values()
    array = run["das"]["data"]
    assert (array.dims, array.shape, array.dtype) == (("distance", "time"), (8, 3000), np.int32)
    assert np.array_equal(array[2:7, 1100:2100], samples_of(1100, 1000, 8).T[2:7])
    assert np.array_equal(array[:], samples_of(0, 3000, 8).T)
    assert (run.start["acquisition"], run.start["cable"]["spacing"]) == ("RCA", 2.0419)
    assert run.verify(files=True).equal
    assert run.notes == []


def test_stores_by_time(cli, folder, catalog, address):
    for number in range(2):
        write_store(folder / f"{number}.zarr", 3000 * number, by_time=True)
    assert cli("record", "das", folder, "--catalog", address).status == 0
    assert_recorded(catalog[-1], samples_of(0, 6000, 8))


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_store_in_s3(cli, tmp_path, upload, monkeypatch, zarr_format):
    """It is read where it is, with what the environment of the server says, and no secret gets into the catalog."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody-shall-know")
    url = upload(write_store(tmp_path / "x.zarr", zarr_format=zarr_format), "lab/south.zarr")
    command = ("record", "das", url, "--spacing", 2.0419, "--catalog", tmp_path / "data")
    result = cli(*command)
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("south: 1 file, 15.00 s; run ")
    assert "nothing new" in cli(*command).out
    with open_catalog(tmp_path / "data") as runs:
        (run,) = runs.values()
        array = run["das"]["data"]
        assert (array.dims, array.shape, array.dtype) == (("distance", "time"), (8, 3000), np.int32)
        assert np.array_equal(array[2:7, 1100:2100:3], samples_of(1100, 1000, 8).T[2:7, ::3])
        assert np.array_equal(array[:], samples_of(0, 3000, 8).T)
        assert np.array_equal(array.dask()[:, -200:].compute(), samples_of(2800, 200, 8).T)
        found = run.cable().select(distance=(4, 9))
        assert np.array_equal(found.to_numpy(), samples_of(0, 3000, 8).T[2:5])
        assert run.notes == []
        assert run.verify(files=True).equal
        assert run.table("das")["file"].tolist() == [url]
    for path in (tmp_path / "data").rglob("*"):
        assert path.is_dir() or b"nobody-shall-know" not in path.read_bytes()


def test_stores_of_a_web_server(cli, catalog, address, tmp_path, web):
    for number in range(2):
        write_store(tmp_path / f"{number} x.zarr", 3000 * number, by_time=True)
    urls = [f"{web}/{number}%20x.zarr" for number in range(2)]
    assert cli("record", "das", *urls, "--acquisition", "web", "--catalog", address).status == 0
    array = catalog[-1]["das"]["data"]
    assert np.array_equal(array[:], samples_of(0, 6000, 8))
    assert np.array_equal(array[2990:3010, 3:], samples_of(2990, 20, 8)[:, 3:])
    assert catalog[-1].verify(files=True).equal
    shutil.rmtree(tmp_path / "1 x.zarr")
    found = catalog[-1].verify(files=True)
    assert not found.equal
    assert "1%20x.zarr" in str(found)


def test_urls_that_are_refused(cli, catalog, address, web, tmp_path):
    for url, told in (
        (f"{web}/x.zarr", "is no store of a cable"),
        (f"{web}/x.h5", "HDF5 files are read from disks only"),
        (f"{web}/forbidden/x.zarr", "not allowed to read"),
        (f"{web}/busy/x.zarr", "try again later"),
    ):
        result = cli("record", "das", url, "--catalog", address)
        assert result.status != 0
        assert told in result.error
    assert list(catalog) == []


@pytest.mark.parametrize("by_time", [True, False])
def test_files_that_dascore_reads(cli, folder, catalog, address, dascore, write_dascore, by_time):
    paths = [
        write_dascore(folder / f"{number}.h5", first, 400, by_time=by_time)
        for number, first in enumerate((0, 400, 900))
    ]
    result = cli("record", "das", folder, "--catalog", address)
    assert result.err == "2.h5: it starts 0.5 s (100 samples) after 1.h5 ends: a gap\n"
    (run,) = catalog.values()
    own = [dascore.read(path)[0].transpose("time", "distance").data for path in paths]
    assert_recorded(run, np.concatenate(own))
    assert "dataset" not in run.start["cable"]
    assert (run.start["cable"]["kind"], run.start["cable"]["units"]) == ("dascore", "m / s")
    assert run.start["interrogator"]["file_format"] == "DASDAE"
    cable = run.cable()
    assert cable.gaps()["file_after"].tolist() == ["2.h5"]
    times = [dascore.read(path)[0].get_coord("time").values for path in paths]
    found = cable.select((times[0][350], times[2][50]), (32.5, 40.0))
    wanted = np.concatenate([own[0][350:], own[1], own[2][:50]])
    assert np.array_equal(found.to_numpy(), wanted.T[1:4])
    assert np.array_equal(found["time"].to_numpy(), np.concatenate([times[0][350:], times[1], times[2][:50]]))
    assert found["distance"].to_numpy().tolist() == [32.5, 35.0, 37.5]


def test_one_channel_that_dascore_reads(cli, folder, catalog, address, write_dascore):
    write_dascore(folder / "0.h5", channels=1)
    assert cli("record", "das", folder, "--catalog", address).status == 0
    (run,) = catalog.values()
    assert run["das"]["data"][5:9].tolist() == samples_of(5, 4, 1)[:, 0].tolist()
    assert run.verify(files=True).equal


def test_loci_first(cli, folder, catalog, address):
    write_prodml(folder / "0.h5", by_time=False)
    assert cli("record", "das", folder, "--catalog", address).status == 0
    array = catalog[-1]["das"]["data"]
    assert array.dims == ("distance", "time")
    assert np.array_equal(array[:], samples_of(0, 1000, 8).T)


def test_one_channel(cli, folder, catalog, address):
    for number in range(2):
        write_prodml(folder / f"{number}.h5", 1000 * number, channels=1)
    assert cli("record", "das", folder, "--catalog", address).status == 0
    array = catalog[-1]["das"]["data"]
    assert array[:].tolist() == samples_of(0, 2000, 1)[:, 0].tolist()


def test_room_for_more(cli, folder, catalog, address):
    write_terra15(folder / "0.h5", 0, 600, room=400)
    write_terra15(folder / "1.h5", 600, 500, room=9)
    assert cli("record", "das", folder, "--catalog", address).status == 0
    assert_recorded(catalog[-1], samples_of(0, 1100, 8))


@pytest.mark.parametrize("name", ["prodml_2.0.h5", "silixa_h5_1.hdf5", "terra15_v5_test_file.hdf5"])
def test_real_files(cli, tmp_path, test_data, name):
    path = test_data / "das" / name
    assert cli("record", "das", path, "--catalog", tmp_path / "data").status == 0
    with open_catalog(tmp_path / "data") as runs, h5py.File(path) as file:
        assert_recorded(runs[-1], file[runs[-1].start["cable"]["dataset"]][:])


def test_what_is_odd(cli, folder, catalog, address):
    write_prodml(folder / "0.h5")
    write_prodml(folder / "1.h5", 1600)
    write_prodml(folder / "2.h5", 2600, channels=9)
    result = cli("record", "das", folder, "--catalog", address)
    assert result.status == 1
    assert result.err.splitlines() == [
        "1.h5: it starts 3 s (600 samples) after 0.h5 ends: a gap",
        "2.h5: it is other than the files before it: channels 9, not 8; record it as another acquisition",
    ]
    assert "south: 2 files, 10.00 s;" in result.out
    assert result.out.endswith("2 problems\n")
    (run,) = catalog.values()
    assert run.table("rejected_files")["file"].tolist() == ["2.h5"]
    assert run.table("das")["gap"].tolist()[1] == 3 * 10**9


def test_what_comes_later_is_a_run_of_its_own(cli, folder, catalog, address):
    write_prodml(folder / "0.h5")
    cli("record", "das", folder, "--catalog", address)
    write_prodml(folder / "1.h5", 1000)
    result = cli("record", "das", folder, "--catalog", address)
    newer, older = catalog[-1], catalog[-2]
    assert f"run {newer.uid[:8]} is finished, continues {older.uid[:8]};" in result.out
    assert_recorded(newer, samples_of(1000, 1000, 8))


def test_watched(cli, folder, tmp_path):
    """Ctrl-C means that the acquisition is over: what has come meanwhile is recorded, and the run is finished."""
    write_prodml(folder / "0.h5")
    command = ("record", "das", folder, "--watch", "--finish", "--catalog", tmp_path / "data")
    with subprocess.Popen(
        [*COMMAND, *map(str, command)],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr.readline() == f"Watching {folder}. Stop it with Ctrl-C.\n"
        write_prodml(folder / "1.h5", 1000)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("south: 2 files, 10.00 s; run ")
    with open_catalog(tmp_path / "data") as runs:
        assert_recorded(runs[-1], samples_of(0, 2000, 8))
    assert "--finish says what Ctrl-C means" in cli("record", "das", folder, "--finish").error


def test_a_journal_that_is_gone(cli, folder, tmp_path):
    write_prodml(folder / "0.h5")
    write_prodml(folder / "x.h5", 3000, channels=9)
    command = ("record", "das", folder, "--catalog", tmp_path / "data")
    assert cli(*command).status == 1
    for journal in (tmp_path / "data" / "journal").glob("*.twj"):
        journal.unlink()
    result = cli(*command)
    assert (result.status, result.err) == (0, "")
    assert "nothing new" in result.out
    write_prodml(folder / "1.h5", 1000)
    assert "1 file, 5.00 s; " in cli(*command).out
    with open_catalog(tmp_path / "data") as runs:
        assert_recorded(runs[-1], samples_of(1000, 1000, 8))


@pytest.mark.slow
def test_killed_anywhere(cli, folder, tmp_path, killed):
    """Whenever it is killed, each sample is there once."""
    for number in range(120):
        write_prodml(folder / f"{number}.h5", 100 * number, 100)
    command = ("record", "das", folder, "--catalog", tmp_path / "data")
    for _ in killed(command, tmp_path / "data" / "journal", 120_000, 3):
        pass
    assert cli(*command).status == 0
    with open_catalog(tmp_path / "data") as runs:
        (run,) = runs.values()
        assert_recorded(run, samples_of(0, 12_000, 8))


def test_a_waterfall(cli, folder, tmp_path):
    write_prodml(folder / "x.h5", 0, 500)
    assert cli("record", "das", folder, "--catalog", tmp_path / "data").status == 0
    command = ("plot", -1, "--kind", "waterfall", "-o", tmp_path / "x.png", "--catalog", tmp_path / "data")
    for more in ((), ("--distance", 205, 210, "--start", "2021-11-01T23:11:15Z")):
        result = cli(*command, *more)
        assert result.out.endswith(f"written to {tmp_path / 'x.png'}\n"), result.err
        assert (tmp_path / "x.png").stat().st_size > 5_000
