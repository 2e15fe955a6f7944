"""Files of cables of every kind: what is told, what is read, and what is refused."""

import sys
from fractions import Fraction

import h5py
import numpy as np
import pytest
import zarr

from tilewright.das import probe, read
from tilewright.errors import InputError, SetupError
from tilewright.testing.cables import (
    START,
    samples_of,
    stamps_of,
    write_prodml,
    write_silixa,
    write_store,
    write_terra15,
)

WRITERS = {"prodml": write_prodml, "silixa": write_silixa, "terra15": write_terra15, "zarr": write_store}


@pytest.mark.parametrize("kind", WRITERS)
def test_each_kind_is_known_by_its_content(tmp_path, kind):
    facts = probe(WRITERS[kind](tmp_path / "misleading.wav", 2_000, 1_200, 7))
    assert facts.kind == kind
    assert (facts.samples, facts.channels, facts.step) == (1_200, 7, Fraction(1, 200))
    assert facts.start == pytest.approx(
        START + 10 * 10**9, abs=0 if kind != "terra15" else 240
    )  # float64 seconds
    assert facts.irregular == ""
    whole = samples_of(2_000, 1_200, 7)
    by_time = facts.dims == ("time", "distance")
    assert np.array_equal(read(facts), whole if by_time else whole.T)
    part = read(facts, slice(-300, None, 9), slice(1, 6, 2))
    expected = whole[-300::9, 1:6:2]
    assert np.array_equal(part, expected if by_time else expected.T)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("by_time", [False, True])
def test_stores(tmp_path, zarr_format, by_time):
    attributes = {
        "OutputDataRate": 200.0,
        "SpatialSamplingInterval": 2.0419,
        "GaugeLength": 30.0,
        "RawDataUnit": "rad",
    }
    path = write_store(tmp_path / "x", zarr_format=zarr_format, by_time=by_time, attributes=attributes)
    facts = probe(path)
    assert facts.dims == (("time", "distance") if by_time else ("distance", "time"))
    assert (facts.dataset, facts.chunks) == ("RawData", (500, 3) if by_time else (3, 500))
    assert (facts.samples, facts.channels, facts.start) == (3_000, 8, START)
    assert (facts.spacing, facts.gauge_length, facts.units) == (2.0419, 30.0, "rad")
    assert facts.about == attributes


def test_a_store_is_read_where_it_is_touched(tmp_path):
    path = write_store(tmp_path / "x.zarr")
    facts = probe(path)
    for chunk in (path / "RawData").glob("[0-9]*"):
        if chunk.name != "1.2":
            chunk.write_bytes(b"damaged")
    assert np.array_equal(read(facts, slice(1_000, 1_500), slice(3, 6)), samples_of(1_000, 500, 8)[:, 3:6].T)


def test_a_store_tells_no_spacing(tmp_path):
    facts = probe(write_store(tmp_path / "x.zarr"))
    assert (facts.spacing, facts.distance_start, facts.gauge_length, facts.units) == (None, 0.0, None, None)


def test_loci_first(tmp_path):
    facts = probe(write_prodml(tmp_path / "x.h5", by_time=False))
    assert (facts.dims, facts.shape) == (("distance", "time"), (8, 1000))
    assert np.array_equal(read(facts, slice(5, 9)), samples_of(5, 4, 8).T)


@pytest.mark.parametrize("by_time", [False, True])
def test_unnamed_dimensions_are_told_by_the_time_stamps(tmp_path, by_time):
    facts = probe(write_prodml(tmp_path / "x.h5", by_time=by_time, named=False))
    assert facts.dims == (("time", "distance") if by_time else ("distance", "time"))


def test_the_rate_of_a_file_that_tells_none(tmp_path):
    for rate, step in ((200, Fraction(1, 200)), (1_000_000 // 333, None)):
        path = write_prodml(tmp_path / "x.h5", count=3_000, rate=rate)
        with h5py.File(path, "r+") as file:
            del file["Acquisition/Raw[0]"].attrs["OutputDataRate"]
        facts = probe(path)
        stamps = stamps_of(0, 3_000, rate)
        mean = Fraction(int(stamps[-1] - stamps[0]), 2_999 * 1_000_000)
        assert facts.step == (step or mean)
        assert facts.irregular == ""


def test_a_gap_in_a_file_does_not_change_its_step(tmp_path):
    path = write_prodml(tmp_path / "x.h5", rate=None)
    with h5py.File(path, "r+") as file:
        stamps = file["Acquisition/Raw[0]/RawDataTime"][:]
        stamps[700:] += 60_000_000
        file["Acquisition/Raw[0]/RawDataTime"][:] = stamps
    facts = probe(path)
    assert facts.step == Fraction(1, 200)
    assert "up to 60 s (12,000.0 samples) off a grid of 0.005 s, first at sample 700;" in facts.irregular


@pytest.mark.parametrize(("late", "is_told"), [(2_500, False), (2_501, True)])
def test_half_a_step_is_on_the_grid(tmp_path, late, is_told):
    path = write_prodml(tmp_path / "x.h5")
    with h5py.File(path, "r+") as file:
        file["Acquisition/Raw[0]/RawDataTime"][400] += late
    assert ("first at sample 400;" in probe(path).irregular) == is_told


def test_another_start_in_prodml(tmp_path):
    path = write_prodml(tmp_path / "x.h5")
    stamps = "Acquisition/Raw[0]/RawDataTime"
    for told, remark in (
        (b"2021-11-01T23:11:14.834000+00:00", ""),
        (
            b"2021-11-01T23:11:15.834Z",
            "its PartStartTime 2021-11-01T23:11:15.834Z is 1 s after its first time stamp",
        ),
        (b"yesterday", "its PartStartTime cannot be read"),
    ):
        with h5py.File(path, "r+") as file:
            file[stamps].attrs["PartStartTime"] = told
        assert probe(path).irregular.startswith(remark)
        assert bool(probe(path).irregular) == bool(remark)


@pytest.mark.parametrize(
    ("unit", "metres"), [(b"m", 2.0), (b"ft", 0.6096), ("M", 2.0), (b"", 2.0), (b"furlong", None)]
)
@pytest.mark.parametrize("end", ["Unit", ".uom"])
def test_units_of_length(tmp_path, unit, metres, end):
    path = write_prodml(tmp_path / "x.h5", spacing=2.0)
    with h5py.File(path, "r+") as file:
        attributes = file["Acquisition"].attrs
        del attributes["SpatialSamplingInterval.uom"]
        attributes[f"SpatialSamplingInterval{end}"] = unit
    if metres is None:
        with pytest.raises(InputError, match="is in 'furlong': expected one of m, "):
            probe(path)
    else:
        assert probe(path).spacing == metres
        assert probe(path).distance_start == 100 * metres


def test_room_for_more_is_no_samples(tmp_path):
    facts = probe(write_terra15(tmp_path / "x.hdf5", count=600, room=400))
    assert (facts.samples, facts.shape) == (600, (1_000, 8))
    assert np.array_equal(read(facts), samples_of(0, 600, 8))


def test_version_4_of_terra15_calls_the_group_as_the_product(tmp_path):
    path = write_terra15(tmp_path / "x.hdf5")
    with h5py.File(path, "r+") as file:
        file.move("data_product", "velocity")
        file.attrs["file_version"] = 4
        file["velocity/gps_time"] = file["velocity/posix_time"][:] + 7  # which counts
    facts = probe(path)
    assert facts.dataset == "/velocity/data"
    assert facts.start == pytest.approx(START + 7 * 10**9, abs=240)
    assert np.array_equal(read(facts), samples_of(0, 1_000, 8))


def test_clocks_of_silixa(tmp_path):
    path = write_silixa(tmp_path / "x.h5")
    with h5py.File(path, "r+") as file:
        file["Acoustic"].attrs["GPSTimeStamp"] = "no fix"
    assert probe(path).start == 1_577_836_800 * 10**9
    with h5py.File(path, "r+") as file:
        file["Acoustic"].attrs["CPUTimeStamp"] = ""
    with pytest.raises(InputError, match="does not tell when it starts"):
        probe(path)


def change(path, **attributes):
    """Set attributes of a ProdML file's groups; None takes one away."""
    with h5py.File(path, "r+") as file:
        for group in (file["Acquisition"], file["Acquisition/Raw[0]"]):
            for name in set(attributes) & set(group.attrs):
                if attributes[name] is None:
                    del group.attrs[name]
                else:
                    group.attrs[name] = attributes[name]
    return path


def foreign(path):
    with h5py.File(path, "w") as file:
        file["entry/data"] = np.arange(3)
    return path


def without(path, name, value=None):
    with h5py.File(path, "r+") as file:
        del file[name]
        if value is not None:
            file[name] = value
    return path


RAW = "Acquisition/Raw[0]"
BAD = {
    "there is no such file": lambda path: path,
    "is empty": lambda path: path.touch() or path,
    "is no HDF5 file, or damaged": lambda path: path.write_text("time,strain\n") and path,
    "truncated file": lambda path: path.write_bytes(write_prodml(path).read_bytes()[:9_000]) and path,
    "is no file of a cable that is known: looked for .*ProdML.*Silixa.*Terra15.* It has entry": foreign,
    "has no raw samples: /Acquisition has Raw": lambda path: without(write_prodml(path), f"{RAW}/RawData"),
    "has no time stamps": lambda path: without(write_prodml(path), f"{RAW}/RawDataTime"),
    "has 999 time stamps": lambda path: without(write_prodml(path), f"{RAW}/RawDataTime", np.arange(999)),
    "expected numbers by time and distance": lambda path: without(
        write_prodml(path), f"{RAW}/RawData", np.arange(9)
    ),
    "holds no samples": lambda path: write_prodml(path, count=0),
    "'OutputDataRate' is 0: expected a number above 0": lambda path: change(
        write_prodml(path), OutputDataRate=0.0
    ),
    "'OutputDataRate' is None: expected a number": lambda path: change(
        write_prodml(path), OutputDataRate=np.nan
    ),
    "'SpatialSamplingInterval' is 'far': expected": lambda path: change(
        write_prodml(path), SpatialSamplingInterval="far"
    ),
    "do not run forward": lambda path: without(
        write_prodml(path, rate=None), f"{RAW}/RawDataTime", np.zeros(1_000)
    ),
    "has one time stamp": lambda path: write_prodml(path, count=1, rate=None),
    "holds no samples yet": lambda path: write_terra15(path, count=0, room=5),
    "has no array /data_product/data": lambda path: without(write_terra15(path), "data_product/data"),
    "its first time stamp is nan": lambda path: without(
        write_terra15(path), "data_product/posix_time", np.full(1_000, np.nan)
    ),
    "is no Zarr store": lambda path: path.mkdir() or path,
    "is no store of a cable": lambda path: zarr.open_group(path, mode="w").store and path,
    "RawDataTime.*expected numbers in 1 dimensions": lambda path: (
        zarr.open_group(write_store(path)).create_array(
            "RawDataTime", shape=(2, 2), dtype="i8", overwrite=True
        )
        and path
    ),
}


@pytest.mark.parametrize("reason", BAD)
def test_bad_files(tmp_path, reason):
    path = BAD[reason](tmp_path / "x.h5")
    with pytest.raises(InputError, match=reason) as raised:
        probe(path)
    assert str(path) in str(raised.value)


def test_every_truncation_is_told(tmp_path):
    """A file that was cut off anywhere is refused, or read as far as it is whole; nothing else is raised."""
    whole = write_prodml(tmp_path / "whole.h5").read_bytes()
    path = tmp_path / "x.h5"
    for size in range(1, len(whole), len(whole) // 40):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"x\.h5"):
            probe(path)


def test_damaged_bytes_are_told(tmp_path):
    """Bytes of the superblock, one after the other: refused, or read. (HDF5 itself crashes over some further behind.)"""
    whole = bytearray(write_prodml(tmp_path / "whole.h5").read_bytes())
    path, refused = tmp_path / "x.h5", 0
    for at in range(96):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            read(probe(path))
        except InputError as error:
            refused += 1
            assert "x.h5" in str(error)  # noqa: PT017 - each damage is told, or does not matter
    assert refused > 20


@pytest.mark.parametrize("name", ["RawData/.zarray", "RawDataTime/.zarray", ".zgroup", "RawDataTime/0"])
def test_damaged_stores(tmp_path, name):
    path = write_store(tmp_path / "x.zarr")
    (path / name).write_bytes(b"{damaged")
    with pytest.raises(InputError, match=r"x\.zarr"):
        probe(path)


def test_a_file_that_has_changed(tmp_path):
    path = write_prodml(tmp_path / "x.h5")
    facts = probe(path)
    write_prodml(path, count=500)
    with pytest.raises(InputError, match="has changed"):
        read(facts)


@pytest.mark.parametrize(("write", "needed"), [(write_prodml, "h5py"), (write_store, "zarr")])
def test_without_the_extra(tmp_path, monkeypatch, write, needed):
    path = write(tmp_path / "x")
    monkeypatch.setitem(sys.modules, needed, None)
    with pytest.raises(SetupError, match=rf"without {needed}: .*tilewright\[das\]"):
        probe(path)
