"""`tilewright record wav`: folders of recordings into a catalog, whenever it is stopped and started again."""

import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tilewright import open_catalog, serve
from tilewright.audio import encode_wav
from tilewright.journal import JournalReader, default_directory
from tilewright.sources import Recordings

from .conftest import COMMAND, journalled

UNITS = ("24F3190361DA0000", "24F3190361DA539A")
BEGIN = datetime(2023, 4, 25, tzinfo=UTC)
FRAMES = 50


@pytest.fixture(scope="module")
def server(readable):
    with serve(announce=False, readable_storage=readable) as server:
        yield server


@pytest.fixture
def add(folder):
    """Write files number `start` to `stop` of each unit: the values of a unit's samples are their indices."""

    def add(start, stop):
        for unit in UNITS:
            for number in range(start, stop):
                samples = np.arange(number * FRAMES, number * FRAMES + FRAMES) % 2**15
                name = f"{unit}_{BEGIN + timedelta(seconds=number):%Y%m%d_%H%M%S}.wav"
                (folder / name).write_bytes(encode_wav(samples.astype("<i2"), 8000))

    return add


def assert_recorded(runs, files, *, units=UNITS, notes=False):
    """Check that each file is there once, and that each sample is where it belongs."""
    for unit in units:
        samples, names = [], []
        for run in runs:
            if unit not in run.streams:
                continue
            table = run.table(unit)
            assert table["first"].tolist() == [row * FRAMES for row in range(len(table))]
            samples.append(run[unit]["audio"][:])
            names += table["file"].tolist()
        assert names == sorted(set(names))
        assert len(names) == files
        assert np.array_equal(np.concatenate(samples), np.arange(files * FRAMES) % 2**15)
    for run in runs:
        assert run.metadata["tilewright"]["verified"] is True
        assert notes or run.notes == []


@contextmanager
def running(*arguments, cwd):
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process, number):
    """Send a signal; return the exit status and what was printed."""
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def until(condition, process=None, seconds=60, pause=0.05):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(pause)


def rows(catalog, unit=UNITS[0]):
    return len(catalog[-1].table(unit)) if len(catalog) and unit in catalog[-1].streams else 0


def test_a_folder(cli, add, folder, catalog, address):
    add(0, 3)
    result = cli("record", "wav", folder, "--zone", "Z", "--deployment", "north", "--catalog", address)
    (run,) = catalog.values()
    assert (result.status, result.err) == (0, "")
    assert result.out == f"north: 6 files of 2 units, 0.00 h; run {run.uid[:8]} is finished; 0 problems\n"
    assert run.start["deployment"] == "north"
    assert run.uid == Recordings(folder, deployment="north").uid()
    assert_recorded([run], 3)


def test_again_and_with_what_is_new(cli, add, folder, catalog, address):
    command = ("record", "wav", folder, "--zone", "Z", "--catalog", address)
    add(0, 3)
    cli(*command)
    first = catalog[-1]
    assert cli(*command) == (again := cli(*command))
    assert again.out == f"{folder.name}: nothing new; run {first.uid[:8]} is finished\n"
    assert (again.status, len(catalog)) == (0, 1)
    add(3, 5)
    more = cli(*command)
    second = catalog[-1]
    assert more.out == (
        f"{folder.name}: 4 files of 2 units, 0.00 h; run {second.uid[:8]} is finished,"
        f" continues {first.uid[:8]}; 0 problems\n"
    )
    assert second.start["continues"] == first.uid
    assert_recorded([first, second], 5)
    assert cli(*command).out.endswith(f"{first.uid[:8]}, {second.uid[:8]} is finished\n")


def test_the_journals_are_gone(cli, add, folder, catalog, address):
    """Delivered ones are removed after a week; the catalog knows as well."""
    command = ("record", "wav", folder, "--zone", "Z", "--catalog", address)
    add(0, 3)
    cli(*command)
    shutil.rmtree(default_directory())
    assert "nothing new" in cli(*command).out
    add(3, 4)
    cli(*command)
    assert_recorded(list(catalog.values()), 4)
    shutil.rmtree(default_directory())
    assert "nothing new" in cli(*command).out
    assert len(catalog) == 2


def test_problems_are_told(cli, add, folder, catalog, address):
    add(0, 2)
    (folder / "empty.wav").touch()
    cut = folder / f"{UNITS[0]}_20230425_000001.wav"
    cut.write_bytes(cut.read_bytes()[:-20])
    result = cli("record", "wav", folder, "--zone", "Z", "--catalog", address)
    assert result.status == 1
    assert result.err == f"{cut.name}: its header promises 50 frames, and it has 40\nempty.wav: it is empty\n"
    assert result.out.endswith("is finished; 2 problems\n")
    assert catalog[-1].table("rejected_files")["file"].tolist() == ["empty.wav"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--zone"),
        (["--zone", "Mars/Olympus"], "The zone 'Mars/Olympus' is not known"),
        (["--units", "missing.csv"], "missing.csv"),
        (["--finish"], "--finish says what Ctrl-C means to --watch"),
        (["--store-path", "stores"], "give the kind of store with it"),
        (["--store", "zarr"], "--store needs --store-path DIR"),
        (["--store", "hdf5", "--store-path", "stores"], "expected zarr or tiledb"),
    ],
)
def test_what_cannot_be_done(cli, add, folder, address, catalog, options, message):
    add(0, 1)
    result = cli("record", "wav", folder, "--catalog", address, *options)
    assert result.status == 1
    assert message in result.error
    assert len(catalog) == 0


def test_a_folder_that_is_not_there(cli, address, tmp_path):
    assert "there is no such folder" in cli("record", "wav", tmp_path / "none", "--catalog", address).error


def test_tables(cli, add, folder, catalog, address, tmp_path):
    add(0, 2)
    (units := tmp_path / "units.csv").write_text(
        f"unit,device_id,row\nsouth,{UNITS[1]},0\nnorth,{UNITS[0]},1\n"
    )
    (clocks := tmp_path / "clocks.csv").write_text("unit,time,drift\nsouth,2023-04-25T00:00:00Z,0.5\n")
    options = ["--zone", "Z", "--units", units, "--clocks", clocks]
    assert cli("record", "wav", folder, "--catalog", address, *options).status == 0
    run = catalog[-1]
    assert [unit["unit"] for unit in run.start["units"]] == ["south", "north"]
    assert run.table("clock_south")["nominal"].tolist() == [1682380800_500_000_000]
    assert_recorded([run], 2, units=["north", "south"])


def test_into_a_directory(cli, add, folder, tmp_path):
    """Its server may read the folder while the command runs, and whoever opens it later may, too."""
    add(0, 2)
    result = cli("record", "wav", folder, "--zone", "Z", "--catalog", tmp_path / "data")
    assert (result.status, result.err) == (0, "")
    with open_catalog(tmp_path / "data") as runs:
        assert_recorded([runs[-1]], 2)


@pytest.mark.parametrize("store", ["zarr", "tiledb"])
def test_converted_into_a_directory(cli, add, folder, tmp_path, store):
    """The stores lie beside the data, and the files need not be there any more."""
    add(0, 2)
    command = ("record", "wav", folder, "--zone", "Z", "--catalog", tmp_path / "data", "--store", store)
    assert cli(*command).status == 0
    assert "nothing new" in cli(*command).out
    shutil.rmtree(folder)
    assert sorted(path.name for path in (tmp_path / "data" / "recordings").glob("*/*")) == [
        f"{unit}.{store}" for unit in UNITS
    ]
    with open_catalog(tmp_path / "data") as runs:
        for unit in UNITS:
            assert runs[-1][unit]["audio"][:].tolist() == list(range(2 * FRAMES))


def test_watched_stopped_and_finished(cli, add, folder, catalog, address, tmp_path):
    """Ctrl-C leaves the run open; it is carried on by watching again, and finished without."""
    command = ("record", "wav", folder, "--zone", "Z", "--catalog", address)
    add(0, 3)
    with running(*command, "--watch", cwd=tmp_path) as process:
        until(lambda: rows(catalog) == 3, process)
        add(3, 5)
        until(lambda: rows(catalog) == 5, process)
        status, out, err = ended(process, signal.SIGINT)
    assert (status, err) == (0, f"Watching {folder}. Stop it with Ctrl-C.\n")
    uid = catalog[-1].uid
    assert out == (
        f"{folder.name}: 10 files of 2 units, 0.00 h; run {uid[:8]} is open, to be carried on; 0 problems\n"
    )
    assert catalog[-1].stop is None
    assert catalog[-1].metadata["tilewright"]["state"] == "interrupted"
    add(5, 6)
    with running(*command, "--watch", cwd=tmp_path) as process:
        until(lambda: rows(catalog) == 6, process)
        assert ended(process, signal.SIGTERM)[0] == 0
    result = cli(*command)
    assert result.out == (
        f"{folder.name}: 12 files of 2 units, 0.00 h (0 new); run {uid[:8]} is finished; 0 problems\n"
    )
    (run,) = catalog.values()
    assert run.stop["exit_status"] == "success"
    assert run.metadata["tilewright"]["state"] == "complete"
    assert_recorded([run], 6)


def test_what_is_odd_is_told_while_it_watches(add, folder, address, tmp_path):
    add(0, 2)
    (folder / "text.wav").write_text("this is no sound at all, whatever it is called")
    with running(
        "record", "wav", folder, "--zone", "Z", "--catalog", address, "--watch", cwd=tmp_path
    ) as process:
        assert process.stderr.readline() == f"Watching {folder}. Stop it with Ctrl-C.\n"
        until(lambda: "text.wav: " in process.stderr.readline() or add(2, 3), process)
        assert ended(process, signal.SIGINT)[0] == 1


def test_watched_and_finished_at_once(add, folder, catalog, address, tmp_path):
    add(0, 2)
    with running(
        "record", "wav", folder, "--zone", "Z", "--catalog", address, "--watch", "--finish", cwd=tmp_path
    ) as process:
        until(lambda: "Watching" in process.stderr.readline(), process)
        status, out, _ = ended(process, signal.SIGINT)
    assert status == 0
    assert "is finished" in out
    assert_recorded(list(catalog.values()), 2)


def test_interrupted_and_repeated(cli, add, folder, catalog, address, tmp_path):
    add(0, 1500)
    command = ("record", "wav", folder, "--zone", "Z", "--catalog", address)
    with running(*command, cwd=tmp_path) as process:
        until(lambda: journalled(default_directory()) > 5000, process)
        status, out, err = ended(process, signal.SIGINT)
    assert (status, out) == (130, "")
    assert err == "tilewright: interrupted; repeat the command to carry on\n"
    assert cli(*command).status == 0
    assert_recorded(list(catalog.values()), 1500)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        ("address", 2000, []),
        ("directory", 2000, []),
        ("directory", 80, ["--store", "zarr"]),
        ("directory", 80, ["--store", "tiledb"]),
    ],
    ids=["address", "directory", "zarr", "tiledb"],
)
def test_killed_anywhere(cli, add, folder, catalog, address, tmp_path, case, killed):
    """Whenever it is killed, and whatever comes meanwhile: each file is there once, and each sample where it belongs."""
    (where, files, options), cut = case, 0
    target = address if where == "address" else tmp_path / "data"
    command = ("record", "wav", folder, "--zone", "Z", "--catalog", target, *options)
    add(0, files)
    journals = default_directory() if where == "address" else tmp_path / "data" / "journal"
    whole = 700 * len(UNITS) * files  # bytes, a little less than the journal's end
    for _ in killed(command, journals, whole, 5):
        documents = [name for path in journals.glob("*.twj") for name, _ in JournalReader(path)]
        cut += "stop" not in documents
        add(files, files + 5)
        files += 5
    assert cut >= 2
    assert cli(*command).status == 0
    if where == "address":
        assert_recorded(list(catalog.values()), files)
        return
    with open_catalog(target) as runs:
        assert_recorded(list(runs.values()), files, notes=bool(options))


def test_the_server_is_away(cli, add, folder, monkeypatch):
    """What was recorded is not known then, and so nothing is."""
    add(0, 1)
    result = cli(
        "record", "wav", folder, "--zone", "Z", "--catalog", "http://127.0.0.1:9/api/v1?api_key=secret"
    )
    assert result.status == 1
    assert "127.0.0.1:9" in result.error
    assert "secret" not in result.error
