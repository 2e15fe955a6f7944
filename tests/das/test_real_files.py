"""What three interrogators wrote, read as h5py shows it."""

from datetime import UTC, datetime
from fractions import Fraction

import h5py
import numpy as np
import pytest

from tilewright.das import probe, read

SECOND = 10**9


@pytest.fixture
def folder(test_data):
    return test_data / "das"


def assert_same_samples(facts, file):
    dataset = file[facts.dataset]
    assert (facts.shape, facts.dtype, facts.chunks) == (dataset.shape, dataset.dtype, dataset.chunks)
    assert np.array_equal(read(facts), dataset[:], equal_nan=True)
    part = read(facts, slice(10, 60, 7), slice(5, -3))
    assert part.size
    assert np.array_equal(part, dataset[10:60:7, 5:-3])


def test_prodml(folder):
    facts = probe(folder / "prodml_2.0.h5")
    with h5py.File(facts.path) as file:
        acquisition = file["Acquisition"]
        raw, about = acquisition["Raw[0]"], acquisition.attrs
        stamps = raw["RawDataTime"][:]
        assert_same_samples(facts, file)
        assert (facts.kind, facts.dataset) == ("prodml", "/Acquisition/Raw[0]/RawData")
        assert facts.dims == ("time", "distance")
        assert (facts.samples, facts.channels) == (len(stamps), about["NumberOfLoci"]) == (2500, 512)
        assert facts.start == stamps[0] * 1000
        assert facts.step == Fraction(1, 200) == 1 / Fraction(raw.attrs["OutputDataRate"])
        assert np.array_equal(stamps, stamps[0] + np.arange(2500) * 5000)
        assert facts.irregular == ""
        assert facts.spacing == about["SpatialSamplingInterval"]
        assert facts.distance_start == about["StartLocusIndex"] * about["SpatialSamplingInterval"]
        assert facts.gauge_length == about["GaugeLength"] == 10
        assert facts.units == raw.attrs["RawDataUnit"].decode() == "(nm/m)/s * Hz/m"
        assert facts.quantity == raw.attrs["RawDescription"].decode() == "Strain rate"
        assert facts.about["VendorCode"] == about["VendorCode"].decode()
        system = acquisition["Custom/SystemInformation/OSVersion"].attrs
        assert (
            facts.about["Custom"]["SystemInformation"]["OSVersion"]["HostName"] == system["HostName"].decode()
        )


def test_silixa(folder):
    facts = probe(folder / "silixa_h5_1.hdf5")
    with h5py.File(facts.path) as file:
        about = file["Acoustic"].attrs
        assert_same_samples(facts, file)
        assert (facts.kind, facts.dataset, facts.dims) == ("silixa", "/Acoustic", ("time", "distance"))
        assert about["GPSTimeStamp"] == "22/09/2023 18:29:26.158 (UTC)"
        moment = datetime(2023, 9, 22, 18, 29, 26, tzinfo=UTC)
        assert facts.start == int(moment.timestamp()) * SECOND + 158_000_000
        assert facts.step == Fraction(1, 500) == 1 / Fraction(about["SamplingFrequency[Hz]"])
        assert (facts.samples, facts.channels) == (100, 3840)
        assert facts.distance_start == float(about["Start Distance (m)"])
        exact = Fraction(about["SpatialResolution[m]"]) * Fraction(about["Fibre Length Multiplier"])
        assert facts.spacing == float(exact) == 2.041904
        # The last channel lies where the file says, to a tenth of a metre.
        assert facts.distance_start + 3839 * facts.spacing == pytest.approx(
            float(about["Stop Distance (m)"]), abs=0.1
        )
        assert facts.gauge_length == float(about["GaugeLength"])
        assert (facts.units, facts.quantity, facts.irregular) == (None, None, "")
        assert facts.about["SystemInfomation_OS_HostName"] == about["SystemInfomation.OS.HostName"]
        assert facts.about["SavingBandwidth (MB_s)"] == about["SavingBandwidth (MB/s)"]


def test_terra15(folder):
    facts = probe(folder / "terra15_v5_test_file.hdf5")
    with h5py.File(facts.path) as file:
        about, stamps = file.attrs, file["data_product/gps_time"][:]
        assert_same_samples(facts, file)
        assert (facts.kind, facts.dataset) == ("terra15", "/data_product/data")
        assert facts.start == round(Fraction(stamps[0]) * SECOND)
        assert float(facts.step) == about["dt_computer"]
        assert (facts.samples, facts.channels) == (about["nt"], about["nx"]) == (2060, 43)
        assert (facts.distance_start, facts.spacing) == (about["sensing_range_start"], about["dx"])
        assert facts.gauge_length == about["gauge_length"]
        assert (
            (facts.units, facts.quantity)
            == ("m/s", "velocity")
            == (about["data_product_units"], about["data_product"])
        )
        assert facts.about["serial_number"] == "TrebleBowie"
        assert "gpu_temperature" not in facts.about  # NaN
        off = np.abs(stamps - stamps[0] - np.arange(2060) * about["dt_computer"])
        first = int(np.argmax(off > about["dt_computer"] / 2))
        assert f"up to {off.max():.6g} s (1.9 samples)" in facts.irregular
        assert f"first at sample {first:,};" in facts.irregular
