"""A cable's samples by time and distance, of every kind of file: each value says which sample of which channel it is."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tilewright import TiledWriter, serve
from tilewright.errors import InputError
from tilewright.testing.cables import RATE, START, write_prodml, write_silixa, write_store, write_terra15

STEP = 10**9 // RATE
REAL = Path(os.environ.get("TILEWRIGHT_TEST_DATA", Path(__file__).parents[4] / "shared" / "data")) / "das"


@pytest.fixture(scope="module")
def server(readable):
    with serve(announce=False, readable_storage=[readable, *([REAL] if REAL.is_dir() else [])]) as server:
        yield server


def at(sample, nanoseconds=0):
    """Return the time of a sample, and some nanoseconds."""
    return np.datetime64(START + sample * STEP + nanoseconds, "ns")


def expected(samples, channels):
    return np.asarray(samples)[None, :] * 1000 + np.asarray(channels)[:, None]


KINDS = {"prodml": write_prodml, "silixa": write_silixa, "terra15": write_terra15}


@pytest.mark.parametrize("kind", [*KINDS, "zarr", "zarr by time"])
def test_samples_of_a_time_and_channels(record, folder, kind):
    if kind.startswith("zarr"):
        cable = record(write_store(folder / "x.zarr", count=1000, by_time=kind != "zarr"), spacing=2.0419)
    else:
        cable = record(KINDS[kind](folder / "x.h5"))
    step = cable.facts["spacing"]
    first = cable.facts["distance_start"]
    found = cable.select((at(250), at(700)), (first + 2 * step, first + 4.5 * step))
    assert (found.dims, found.shape) == (("distance", "time"), (3, 450))
    assert found.chunks is not None
    assert np.array_equal(found.to_numpy(), expected(range(250, 700), [2, 3, 4]))
    off = found["time"].to_numpy().astype(int) - [START + sample * STEP for sample in range(250, 700)]
    assert np.abs(off).max() <= (240 if kind == "terra15" else 0)  # its start is a float of seconds
    assert found["sample"].to_numpy().tolist() == list(range(250, 700))
    assert found["channel"].to_numpy().tolist() == [2, 3, 4]
    assert np.allclose(found["distance"], first + np.array([2, 3, 4]) * step)
    assert found.attrs["gaps"] == []
    assert found.attrs["rate"] == RATE
    whole = cable.select()
    assert np.array_equal(whole.to_numpy(), expected(range(1000), range(8)))


@pytest.mark.parametrize(
    ("begin", "end", "samples"),
    [
        (at(10), at(12), [10, 11]),
        (at(10, 1), at(12, 1), [11, 12]),
        (at(10, -1), at(12, -1), [10, 11]),
        (at(-5), at(1), [0]),
        (at(999), at(5000), [999]),
        (at(10, 1), at(10, 2), []),
        (at(2000), at(3000), []),
    ],
)
def test_times_are_exact(record, folder, begin, end, samples):
    cable = record(write_prodml(folder / "x.h5"))
    found = cable.select((begin, end))
    assert found["sample"].to_numpy().tolist() == samples
    assert np.array_equal(found.to_numpy(), expected(samples, range(8)))


def test_many_files_are_one_array_with_gaps(record, folder):
    for number, first in enumerate((0, 400, 900)):  # 800 to 900 is missing
        write_prodml(folder / f"{number}.h5", first, 400)
    cable = record(folder)
    assert repr(cable).startswith(f"<Cable {folder.name!r} of run ")
    assert "3 files" in repr(cable)
    found = cable.select((at(350), at(950)))
    samples = [*range(350, 800), *range(900, 950)]
    assert np.array_equal(found.to_numpy(), expected(samples, range(8)))
    assert found["time"].to_numpy().tolist() == [START + sample * STEP for sample in samples]
    assert found.attrs["gaps"] == [("2021-11-01T23:11:18.834Z", "2021-11-01T23:11:19.334Z")]
    (gap,) = cable.gaps().itertuples()
    assert (gap.kind, gap.file_before, gap.file_after) == ("gap", "1.h5", "2.h5")
    assert gap.stop - gap.start == pd.Timedelta(milliseconds=500)
    assert cable.files["first"].tolist() == [0, 400, 800]
    assert cable.files["gap"].dropna().tolist() == [pd.Timedelta(0), pd.Timedelta(milliseconds=500)]
    with pytest.raises(InputError, match=r"not all of that time was recorded.*18\.834Z to .*19\.334Z"):
        cable.select((at(350), at(950)), gaps="raise")
    assert cable.select((at(350), at(790)), gaps="raise").shape == (8, 440)
    with pytest.raises(InputError, match="not all of that time"):
        cable.select((at(1200), at(1400)), gaps="raise")
    with pytest.raises(InputError, match="nothing was recorded"):
        cable.select((at(820), at(850)), gaps="raise")


def test_files_that_overlap(record, folder):
    """The earlier one counts to its end."""
    write_prodml(folder / "a.h5", 0, 400)
    write_prodml(folder / "b.h5", 300, 400)
    cable = record(folder)
    found = cable.select()
    assert np.array_equal(found.to_numpy(), expected(range(700), range(8)))
    assert found["sample"].to_numpy().tolist() == [*range(400), *range(500, 800)]
    assert cable.gaps()["kind"].tolist() == ["overlap"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"time": ("2021-11-01T23:11:14", "2021-11-01T23:11:15")}, "zone"),
        ({"time": (at(5), at(3))}, "time"),
        ({"distance": 3}, "two distances"),
        ({"distance": (5, 3)}, "ends before it begins"),
        ({"gaps": "mask"}, "expected 'skip' or 'raise'"),
    ],
)
def test_what_cannot_be_selected(record, folder, options, told):
    with pytest.raises(InputError, match=told):
        record(write_prodml(folder / "x.h5")).select(**options)


def test_channels_without_distances(record, folder):
    cable = record(write_store(folder / "x.zarr", count=100))
    found = cable.select(distance=(2, 4))
    assert found["channel"].to_numpy().tolist() == found["distance"].to_numpy().tolist() == [2, 3]
    assert "units" not in found["distance"].attrs


def test_a_waterfall(record, folder):
    for number, first in enumerate((0, 400, 900)):
        write_prodml(folder / f"{number}.h5", first, 400)
    cable = record(folder)
    axes = cable.plot_waterfall((at(350), at(950)))
    assert axes.get_title(loc="left") == f"{folder.name}: 8 channels"
    assert [mesh.get_array().shape for mesh in axes.collections] == [(8, 450), (8, 50)]
    assert np.array_equal(axes.collections[1].get_array(), expected(range(900, 950), range(8)))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time (UTC)", "distance (m)")
    assert axes.figure.axes[1].get_ylabel() == "Phase (rad)"


def test_a_waterfall_of_a_large_span(record, folder):
    """A cell is the largest magnitude of its samples, the last one of those that are left."""
    cable = record(write_prodml(folder / "x.h5", count=2500, channels=1000))
    axes = cable.plot_waterfall(limits=(0, 1e6))
    assert axes.get_title(loc="left").endswith("the largest magnitude of 3 samples by 2 channels")
    (mesh,) = axes.collections
    cells = mesh.get_array()
    assert cells.shape == (500, 834)
    assert cells[0, :2].tolist() == [2001, 5001]
    assert cells[-1, -1] == 2499 * 1000 + 999
    assert mesh.get_clim() == (0, 1e6)


def test_nothing_to_draw(record, folder):
    cable = record(write_prodml(folder / "x.h5"))
    with pytest.raises(InputError, match="nothing was recorded there"):
        cable.plot_waterfall((at(2000), at(3000)))


def test_other_runs_are_no_cables(catalog):
    with TiledWriter(catalog) as writer:
        writer("start", {"uid": "x", "time": 0.0})
        writer("stop", {"uid": "y", "run_start": "x", "time": 1.0, "exit_status": "success"})
    with pytest.raises(InputError, match="is no acquisition of a cable"):
        catalog["x"].cable()


@pytest.mark.skipif(not REAL.is_dir(), reason="real files are not here")
@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        ("prodml_2.0.h5", "Acquisition/Raw[0]/RawData"),
        ("silixa_h5_1.hdf5", "Acoustic"),
        ("terra15_v5_test_file.hdf5", "data_product/data"),
    ],
)
def test_real_files_read_as_h5py_shows_them(record, name, dataset):
    import h5py

    cable = record(REAL / name)
    found = cable.select()
    with h5py.File(REAL / name) as file:
        raw = file[dataset][...]
    by_time = raw if cable.facts["dims"][0] == "distance" else raw.T
    assert found.dtype == raw.dtype
    assert np.array_equal(found.to_numpy(), by_time[:, : found.shape[1]], equal_nan=found.dtype.kind == "f")
    assert found.shape[1] > 0.9 * by_time.shape[1]
