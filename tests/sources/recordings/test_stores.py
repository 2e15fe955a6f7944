"""Stores of recordings: what was said to be in them is there, whatever happens. A sample's value is its index."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

from tilewright.errors import InputError, SetupError
from tilewright.sources.recordings.stored import Form
from tilewright.sources.recordings.stores import STORES, TileDBStore, ZarrStore

RATE = 1000


def needs_tiledb():
    with np.printoptions():  # which tiledb changes for all of a process
        pytest.importorskip("tiledb", reason="the extra tiledb is not installed")


PIECE = Form.of("<i2", 1, RATE).piece


@pytest.fixture(params=["zarr", "tiledb"])
def kind(request):
    if request.param == "tiledb":
        needs_tiledb()
    return STORES[request.param]


def ramp(start, stop, dtype="<i2", channels=1):
    values = np.arange(start * channels, stop * channels).astype(dtype)
    return values.reshape(-1, channels) if channels > 1 else values


@pytest.mark.parametrize("dtype", ["i1", "<i2", "<i4", "<f4", "<f8"])
@pytest.mark.parametrize("channels", [1, 3])
def test_file_after_file(kind, dtype, channels, tmp_path):
    store = kind.open(tmp_path / "unit", dtype, channels, RATE, {"unit": "24F3"})
    lengths = [2500, 1, 999, 20_000]
    for index, length in enumerate(lengths):
        start = sum(lengths[:index])
        assert store.length == start
        store.append(ramp(start, start + length, dtype, channels), at=start)
        store.check(start, ramp(start, start + length, dtype, channels))
    store.check(0, ramp(0, sum(lengths), dtype, channels))
    store.close()
    again = kind.open(tmp_path / "unit", dtype, channels, RATE)
    assert again.length == sum(lengths)
    again.check(1234, ramp(1234, 9876, dtype, channels))
    again.close()


def test_across_pieces(kind, tmp_path):
    store = kind.open(tmp_path / "unit", "<i2", 1, RATE)
    store.append(ramp(0, PIECE - 5), at=0)
    store.append(ramp(PIECE - 5, 2 * PIECE + 7), at=PIECE - 5)
    store.check(0, ramp(0, 2 * PIECE + 7))
    assert store.length == 2 * PIECE + 7


def test_silence_is_stored_too(kind, tmp_path):
    store = kind.open(tmp_path / "unit", "<i2", 1, RATE)
    store.append(np.zeros(3 * RATE, "<i2"), at=0)
    store.append(ramp(0, RATE), at=3 * RATE)
    store.append(np.full(RATE, np.iinfo("i2").min, "<i2"), at=4 * RATE)
    store.check(0, np.concatenate([np.zeros(3 * RATE, "<i2"), ramp(0, RATE), np.full(RATE, -32768, "<i2")]))


def test_what_is_no_number_is_equal_to_itself(kind, tmp_path):
    values = np.array([0.0, -0.0, np.nan, np.inf], "<f4")
    store = kind.open(tmp_path / "unit", "<f4", 1, RATE)
    store.append(values, at=0)
    store.append(values, at=0)
    store.check(0, values)
    with pytest.raises(SetupError, match="from 0 to 2 "):
        store.check(0, np.array([-0.0, 0.0, np.nan, np.inf], "<f4"))


def test_written_again(kind, tmp_path):
    """After a crash the source does not know what is there already."""
    store = kind.open(tmp_path / "unit", "<i2", 1, RATE)
    store.append(ramp(0, 3000), at=0)
    store.append(ramp(0, 3000), at=0)
    store.append(ramp(1000, 5000), at=1000)
    assert store.length == 5000
    store.check(0, ramp(0, 5000))


def test_nothing_is_overwritten(kind, tmp_path):
    store = kind.open(tmp_path / "unit", "<i2", 1, RATE)
    store.append(ramp(0, 3000), at=0)
    changed = ramp(2000, 4000)
    changed[500:510] += 1
    with pytest.raises(InputError, match="other samples from 2500 to 2510 than are to be written there"):
        store.append(changed, at=2000)
    assert store.length == 3000
    store.check(0, ramp(0, 3000))


def test_a_comparison_names_the_first_samples_that_differ(kind, tmp_path):
    store = kind.open(tmp_path / "unit", "<i2", 2, RATE)
    store.append(ramp(0, 3000, channels=2), at=0)
    other = ramp(1000, 2000, channels=2)
    other[700:702, 1] = other[900] = -1
    with pytest.raises(SetupError, match="gives back other samples from 1700 to 1702 than were written"):
        store.check(1000, other)
    with pytest.raises(SetupError, match="has 3000 samples, and should have 3500"):
        store.check(2500, ramp(2500, 3500, channels=2))


def test_what_cannot_be_appended(kind, tmp_path):
    store = kind.open(tmp_path / "unit", "<i2", 1, RATE)
    for samples, at, message in [
        (ramp(0, 10), 1, "holds 0 samples; those from 1 on would leave a gap"),
        (ramp(0, 10), -1, "would leave a gap"),
        (ramp(0, 10, "<i4"), 0, "cannot take int32"),
        (ramp(0, 10, channels=2), 0, "cannot take int16 of shape"),
    ]:
        with pytest.raises(InputError, match=message):
            store.append(samples, at=at)
    store.append(ramp(0, 0), at=0)
    assert store.length == 0
    store.append(ramp(0, 10).astype(">i2"), at=0)
    store.check(0, ramp(0, 10))


@pytest.mark.parametrize("other", [("<i4", 1, RATE), ("<i2", 2, RATE), ("<i2", 1, 2 * RATE)])
def test_a_store_of_something_else_is_left_as_it_is(kind, other, tmp_path):
    store = kind.open(tmp_path / "unit", "<i2", 1, RATE)
    store.append(ramp(0, 10), at=0)
    store.close()
    with pytest.raises(InputError, match="holds int16 of 1 channel at 1000 Hz, and cannot take"):
        kind.open(tmp_path / "unit", *other)
    again = kind.open(tmp_path / "unit", "<i2", 1, RATE)
    again.check(0, ramp(0, 10))


def test_what_is_no_store_is_left_as_it_is(kind, tmp_path):
    for name in ("empty", "other", "files", "file"):
        place = tmp_path / name
        if name == "file":
            place.write_text("something")
        elif name == "other":
            next(one for one in STORES.values() if one is not kind).open(place, "<i2", 1, RATE).close()
        else:
            place.mkdir()
            if name == "files":
                (place / "notes.txt").write_text("something")
        before = sorted(each.name for each in place.rglob("*"))
        with pytest.raises((InputError, SetupError), match=name):
            kind.open(place, "<i2", 1, RATE)
        assert sorted(each.name for each in place.rglob("*")) == before


def test_an_array_of_somebody_else(tmp_path):
    zarr.create_array(tmp_path / "unit", shape=(100,), chunks=(10,), dtype="<i2", zarr_format=3)[:] = ramp(
        0, 100
    )
    with pytest.raises(InputError, match="was not made here"):
        ZarrStore.open(tmp_path / "unit", "<i2", 1, RATE)
    assert zarr.open_array(tmp_path / "unit", mode="r").shape == (100,)


def test_an_append_that_was_cut_off_in_zarr(tmp_path, monkeypatch):
    """Whatever was written of it does not count, and is written again."""
    store = ZarrStore.open(tmp_path / "unit", "<i2", 1, RATE)
    store.append(ramp(0, 3000), at=0)
    for method in ("update_attributes", "__setitem__"):
        with monkeypatch.context() as patch:
            patch.setattr(zarr.Array, method, cut_off)
            with pytest.raises(KeyboardInterrupt):
                store.append(ramp(3000, 4000), at=3000)
        (tmp_path / "unit" / "c" / "0.writing").write_text("half of it")
        store = ZarrStore.open(tmp_path / "unit", "<i2", 1, RATE)
        assert store.length == 3000
        assert zarr.open_array(tmp_path / "unit", mode="r").shape == (3000,)
    store.append(np.zeros(500, "<i2"), at=3000)
    store.append(ramp(3500, 4500), at=3500)
    store.check(0, np.concatenate([ramp(0, 3000), np.zeros(500, "<i2"), ramp(3500, 4500)]))


def cut_off(*_, **__):
    raise KeyboardInterrupt


def test_an_append_that_was_cut_off_in_tiledb(tmp_path):
    needs_tiledb()
    store = TileDBStore.open(tmp_path / "unit", "<i2", 1, RATE)
    store.append(ramp(0, 3000), at=0)
    store.append(np.full(1000, 7, "<i2"), at=3000)
    commits = sorted((tmp_path / "unit" / "__commits").iterdir())
    commits[-1].unlink()  # the fragment is there, and was not committed
    store = TileDBStore.open(tmp_path / "unit", "<i2", 1, RATE)
    assert store.length == 3000
    store.append(ramp(3000, 4000), at=3000)
    store.check(0, ramp(0, 4000))


def test_a_store_that_was_being_made(kind, tmp_path):
    (tmp_path / ".unit.new" / "c").mkdir(parents=True)
    store = kind.open(tmp_path / "unit", "<i2", 1, RATE)
    store.append(ramp(0, 10), at=0)
    assert [path.name for path in tmp_path.iterdir()] == ["unit"]


@pytest.mark.parametrize("name", ["zarr", "tiledb"])
def test_a_process_that_is_killed(name, tmp_path):
    """It says after each append what is there; no less is there afterwards."""
    if name == "tiledb":
        needs_tiledb()
    script = (
        "import sys, numpy as np\nfrom tilewright.sources.recordings.stores import STORES\n"
        "store = STORES[sys.argv[1]].open(sys.argv[2], '<i4', 1, 1000)\n"
        "while True:\n"
        "    store.append(np.arange(store.length, store.length + 1777, dtype='<i4'), at=store.length)\n"
        "    print(store.length, flush=True)"
    )
    path = tmp_path / "unit"
    with subprocess.Popen(
        [sys.executable, "-c", script, name, path], stdout=subprocess.PIPE, text=True
    ) as process:
        said = [int(process.stdout.readline()) for _ in range(5)][-1]
        process.kill()
        said = max([said, *map(int, process.stdout.read().split())])
    store = STORES[name].open(path, "<i4", 1, 1000)
    assert store.length >= said
    assert store.length % 1777 == 0
    store.check(0, np.arange(store.length, dtype="<i4"))
    store.append(np.arange(store.length, store.length + 10, dtype="<i4"), at=store.length)


def test_the_disk_is_asked_before_an_append_returns(kind, tmp_path, monkeypatch):
    store = kind.open(tmp_path / "unit", "<i2", 1, RATE)
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda file: (synced.append(Path(f"/proc/self/fd/{file}").readlink()), fsync(file))
    )
    store.append(ramp(0, 10), at=0)
    names = {os.path.relpath(path, tmp_path / "unit") for path in synced}
    assert names >= ({".", "c", "zarr.json.writing"} if kind is ZarrStore else {"__fragments", "__commits"})


def test_many_appends_leave_few_things_to_open(tmp_path, monkeypatch):
    needs_tiledb()
    monkeypatch.setattr("tilewright.sources.recordings.stores._TIDY_EVERY", 5)
    store = TileDBStore.open(tmp_path / "unit", "<i2", 1, RATE)
    for start in range(0, 120, 10):
        store.append(ramp(start, start + 10), at=start)
    store.close()
    assert len(list((tmp_path / "unit" / "__commits").iterdir())) == 1
    assert len(list((tmp_path / "unit" / "__fragment_meta").iterdir())) == 1
    again = TileDBStore.open(tmp_path / "unit", "<i2", 1, RATE)
    again.check(0, ramp(0, 120))


@pytest.mark.parametrize("rate", [1, 250, 8000, 48_000, 192_000, 384_000, 2_000_000])
@pytest.mark.parametrize(("dtype", "channels"), [("i1", 1), ("<i2", 1), ("<i4", 4), ("<f8", 64)])
def test_sizes(rate, dtype, channels):
    form = Form.of(dtype, channels, rate)
    frame = channels * form.dtype.itemsize
    assert form.declared % form.chunk == form.piece % form.chunk == 0
    assert form.declared % form.piece == 0 or form.piece % form.declared == 0
    assert form.chunk in {rate, 1024}
    assert form.piece * frame <= max(128 << 20, form.chunk * frame)
    assert (8 << 20) <= form.declared * frame <= max(24 << 20, form.chunk * frame)


def test_what_the_documents_have(kind, tmp_path):
    store = kind.open(tmp_path / "24F3 unit", "<i2", 1, 192_000)
    assert store.uri == f"file://localhost{tmp_path}/24F3 unit"
    assert store.parameters == kind.parameters_of(Form.of("<i2", 1, 192_000))
    assert store.parameters["chunk_shape"] == [192_000 * 44]
    assert store.parameters["rate"] == 192_000
    if kind is TileDBStore:
        assert store.parameters["attribute"] == "sample"


def test_a_missing_package_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tiledb", None)
    with pytest.raises(SetupError, match="without the package tiledb"):
        TileDBStore.open(tmp_path / "unit", "<i2", 1, RATE)
    assert not any(tmp_path.iterdir())
    shutil.rmtree(tmp_path)
