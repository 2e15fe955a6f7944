"""Files that dascore reads: those that it has written itself, beside what it says of them."""

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tilewright.das import dascore_files, probe, read
from tilewright.errors import InputError, SetupError
from tilewright.testing.cables import START, samples_of

STEP = 5_000_000
"""Nanoseconds."""


@pytest.mark.parametrize("by_time", [True, False])
def test_what_is_told(write_dascore, by_time):
    facts = probe(write_dascore(first=2_000, by_time=by_time, station="south", distance_units="m"))
    assert (facts.kind, facts.dataset, facts.dims) == ("dascore", "", ("time", "distance"))
    assert (facts.shape, facts.samples, facts.channels) == ((1_000, 8), 1_000, 8)
    assert (facts.dtype, facts.chunks) == (np.dtype("<f4"), None)
    assert (facts.start, facts.step) == (START + 2_000 * STEP, Fraction(1, 200))
    assert (facts.distance_start, facts.spacing, facts.gauge_length) == (30.0, 2.5, 10.0)
    assert (facts.units, facts.quantity, facts.irregular) == ("m / s", "velocity", "")
    assert facts.about["station"] == "south"
    assert (facts.about["file_format"], facts.about["file_version"]) == ("DASDAE", "1")


@pytest.mark.parametrize("by_time", [True, False])
@pytest.mark.parametrize(
    ("time", "distance"),
    [
        (slice(None), slice(None)),
        (slice(0, 1), slice(None)),
        (slice(999, 1_000), slice(7, 8)),
        (slice(-300, None, 9), slice(1, 6, 2)),
        (slice(20, 20), slice(1, 6)),
        (slice(400, 100, -3), slice(None)),
    ],
)
def test_samples(dascore, write_dascore, by_time, time, distance):
    path = write_dascore(by_time=by_time)
    found = read(probe(path), time, distance)
    assert np.array_equal(found, samples_of(0, 1_000, 8)[time, distance])
    assert np.array_equal(found, dascore.read(path)[0].transpose("time", "distance").data[time, distance])


def test_no_more_is_read_than_what_is_asked_for(dascore, write_dascore, monkeypatch):
    path, sizes, original = write_dascore(by_time=False), [], dascore.read

    def spied(*arguments, **options):
        patches = original(*arguments, **options)
        sizes.append(patches[0].shape)
        return patches

    monkeypatch.setattr(dascore, "read", spied)
    read(probe(path), slice(500, 520))
    assert sizes == [(8, 1), (8, 20)]


def test_a_step_that_is_no_whole_number_of_nanoseconds_is_as_dascore_has_it(dascore, write_dascore):
    stamps = np.datetime64(START, "ns") + np.arange(1_000) * np.timedelta64(333_333, "ns")
    facts = probe(write_dascore(coords={"time": stamps}))
    assert facts.step == Fraction(333_333, 10**9)
    assert np.array_equal(read(facts, slice(700, 703)), samples_of(700, 3, 8))


@pytest.mark.parametrize(
    ("unit", "metres"), [("m", 1.0), ("ft", 0.3048), ("km", 1_000.0), (None, 1.0), ("s", None)]
)
def test_units_of_distance(dascore, write_dascore, unit, metres):
    path = write_dascore()
    patch = dascore.read(path)[0].set_units(distance=unit)
    path.unlink()
    patch.io.write(path, "dasdae")
    if metres is None:
        with pytest.raises(InputError, match="its distances are in s: expected a unit of length"):
            probe(path)
        return
    facts = probe(path)
    assert facts.spacing == pytest.approx(2.5 * metres)
    assert facts.distance_start == pytest.approx(30 * metres)


def test_one_channel(write_dascore):
    facts = probe(write_dascore(channels=1))
    assert (facts.channels, facts.spacing, facts.distance_start) == (1, None, 30.0)
    assert np.array_equal(read(facts), samples_of(0, 1_000, 1))


def test_an_example_of_dascore(dascore, tmp_path):
    patch = dascore.get_example_patch("random_das")
    patch.io.write(tmp_path / "x.h5", "dasdae")
    facts = probe(tmp_path / "x.h5")
    assert np.array_equal(read(facts), patch.transpose("time", "distance").data)
    assert facts.start == patch.get_coord("time").min().astype("int64")
    assert (facts.spacing, facts.step) == (1.0, Fraction(4, 1_000))


def gap(count):
    return np.datetime64(START, "ns") + (np.arange(count) + 5 * (np.arange(count) > 400)) * np.timedelta64(
        STEP
    )


BAD = {
    "has no evenly spaced times": {"coords": {"time": gap(1_000)}},
    "has no evenly spaced distances": {"coords": {"distance": np.array([0.0, 1, 2, 4, 5, 6, 7, 8])}},
    "tells a step of -2.5": {"coords": {"distance": -2.5 * np.arange(8)}},
    "does not tell when it starts: its times are int64": {"coords": {"time": np.arange(1_000)}},
    "has no evenly spaced times .*a step of": {"count": 1},
}


@pytest.mark.parametrize("reason", BAD)
def test_what_is_refused(write_dascore, reason):
    with pytest.raises(InputError, match=reason) as raised:
        probe(write_dascore(**BAD[reason]))
    assert "x.h5" in str(raised.value)


def test_several_patches(dascore, write_dascore):
    path = write_dascore()
    dascore.read(write_dascore("y.h5", first=2_000))[0].io.write(path, "dasdae")
    with pytest.raises(InputError, match="has 2 patches, as dascore calls arrays: expected one"):
        probe(path)


def test_other_dimensions(dascore, tmp_path):
    values, times = np.zeros((20, 3)), np.datetime64(START, "ns") + np.arange(20) * np.timedelta64(STEP, "ns")
    patch = dascore.Patch(
        values, coords={"time": times, "frequency": np.arange(3)}, dims=("time", "frequency")
    )
    patch.io.write(tmp_path / "x.h5", "dasdae")
    with pytest.raises(InputError, match="is by time, frequency: expected time and distance"):
        probe(tmp_path / "x.h5")


def test_values_that_are_no_real_numbers(dascore, write_dascore):
    path = write_dascore()
    patch = dascore.read(path)[0]
    path.unlink()
    patch.new(data=patch.data.astype(complex)).io.write(path, "dasdae")
    with pytest.raises(InputError, match="holds complex128: expected numbers"):
        probe(path)


@pytest.mark.parametrize("name", ["prodml_2.0.h5", "silixa_h5_1.hdf5", "terra15_v5_test_file.hdf5"])
def test_other_formats_of_dascore(dascore, test_data, name):
    """Those that we read ourselves, so that two readers can be compared."""
    path = test_data / "das" / name
    ours, theirs = probe(path), dascore_files.facts(path)
    assert (theirs.kind, theirs.dims, theirs.dtype) == ("dascore", ours.dims, ours.dtype)
    assert (theirs.samples, theirs.channels) == (ours.samples, ours.channels)
    assert theirs.spacing == pytest.approx(ours.spacing, rel=0.01)
    assert float(theirs.step) == pytest.approx(float(ours.step), rel=1e-3)
    assert np.array_equal(read(theirs), read(ours), equal_nan=True)
    assert np.array_equal(read(theirs, slice(30, 70, 3)), read(ours, slice(30, 70, 3)), equal_nan=True)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def test_pickles_are_not_looked_into(dascore, tmp_path):
    import pickle

    path, mark = tmp_path / "x.h5", tmp_path / "mark"
    patch = dascore.get_example_patch("random_das")
    for what in (patch, ["dascore.core.Patch", Bomb(mark)]):
        path.write_bytes(pickle.dumps(what, protocol=0))
        with pytest.raises(InputError, match="is a pickle, which is not read"):
            probe(path)
    assert not mark.exists()


def test_files_that_dascore_does_not_know_either(dascore, tmp_path):
    path = tmp_path / "x.h5"
    path.write_text("time,strain\n")
    with pytest.raises(InputError, match=r"is no HDF5 file, or damaged: .*; and dascore does not know it"):
        probe(path)


def test_every_truncation_is_told(write_dascore):
    path = write_dascore(count=50)
    whole = path.read_bytes()
    for size in range(1, len(whole), len(whole) // 25):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"x\.h5"):
            probe(path)


def test_a_file_that_has_changed(write_dascore):
    path = write_dascore()
    facts = probe(path)
    path.unlink()
    write_dascore(count=500)
    with pytest.raises(InputError, match="has changed"):
        read(facts)
    path.unlink()
    write_dascore(channels=9)
    with pytest.raises(InputError, match="has changed"):
        read(facts)


def test_without_dascore(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "dascore", None)
    path = tmp_path / "x.sgy"
    path.write_bytes(b"x" * 4_000)
    with pytest.raises(
        InputError, match=r"dascore may know it, .*python -m pip install 'tilewright\[dascore\]'"
    ):
        probe(path)


def test_it_went_away_meanwhile(write_dascore, monkeypatch):
    facts = probe(write_dascore())
    monkeypatch.setitem(sys.modules, "dascore", None)
    with pytest.raises(SetupError, match=r"without dascore: .*tilewright\[dascore\]"):
        read(facts)
