"""Selection by time, through a real server: which samples, with which times, and what becomes of gaps."""

import datetime
import json
import random
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilewright.clients.recordings import fetching
from tilewright.clients.recordings.moments import text
from tilewright.errors import InputError, NotFoundError

from .conftest import SECOND, T0, File, Recorder, exact, ramp

RATE = 1000


def at(seconds):
    """Return a time, so many seconds after T0, as text."""
    return text(T0 + round(seconds * SECOND))


def span(begin, end):
    return at(begin), at(end)


def hours(*starts, samples=4000, rate=RATE, **more):
    return [File(T0 + round(start * SECOND), samples, rate, **more) for start in starts]


@pytest.fixture(scope="module")
def simple(deploy):
    """Three units, two of which started together; the third later, and by a part of a period off."""
    return deploy(
        Recorder("a", hours(0, 4, 10)),
        Recorder("b", hours(0, 4, 8)),
        Recorder("c", hours(1.0003)),
    ).deployment()


def test_units_of_the_same_times_are_one_array(simple):
    found = simple.select(span(1, 3), ["a", "b"])
    assert isinstance(found, xr.DataArray)
    assert found.dims == ("unit", "time")
    assert found["unit"].to_numpy().tolist() == ["a", "b"]
    assert found.dtype == np.int16
    assert found.to_numpy().tolist() == [list(range(1000, 3000))] * 2
    assert found["sample"].to_numpy().tolist() == found.to_numpy().tolist()
    assert found["time"].dtype == "datetime64[ns]"
    assert found["time"].to_numpy().astype(int).tolist() == [T0 + n * 1_000_000 for n in range(1000, 3000)]
    assert found["recorded"].to_numpy().all()
    assert {name: found.attrs[name] for name in ("rate", "clock", "uncertainty_ns", "gaps", "overlaps")} == {
        "rate": 1000,
        "clock": "nominal",
        "uncertainty_ns": 0,
        "gaps": {},
        "overlaps": {},
    }
    assert found.attrs["run"] == simple.run.uid
    json.dumps(found.attrs)


def test_other_offsets_are_an_array_a_unit(simple):
    found = simple.select(span(1, 3))
    assert list(found) == ["a", "b", "c"]
    assert [array.shape for array in found.values()] == [(1, 2000)] * 3
    third = found["c"]
    assert third["time"].to_numpy()[:1].astype(int).tolist() == [T0 + 1_000_300_000 - 0]
    assert third["sample"].to_numpy()[0].tolist() == third.to_numpy()[0].tolist() == list(range(2000))


def test_one_request_for_all(simple, monkeypatch):
    assert len(simple.units) == 3
    asked = []
    real = fetching.fetch_spans
    monkeypatch.setattr(fetching, "fetch_spans", lambda *given: asked.append(given) or real(*given))
    simple.select(span(3.5, 11))
    assert len(asked) == 1


def test_the_ends_are_half_open_and_exact(simple):
    for begin, end, wanted in (
        (1, 1.001, 1),
        (1, 1.001000001, 2),
        (1.000000001, 1.001, 0),
        (1.0005, 1.0006, 0),
    ):
        times = T0 + int(Fraction(str(begin)) * SECOND), T0 + int(-(-Fraction(str(end)) * SECOND // 1))
        found = simple.select([np.datetime64(time, "ns") for time in times], "a")
        assert found.sizes["time"] == wanted


def test_times_of_all_kinds(simple):
    ours = datetime.timezone(datetime.timedelta(hours=9, minutes=30))
    begin, end = (
        datetime.datetime(2023, 4, 26, 0, 39, 21, tzinfo=ours),
        pd.Timestamp("2023-04-25T15:09:22", tz="UTC"),
    )
    whole = simple.select(("2023-04-25T15:09:21Z", np.datetime64("2023-04-25T15:09:22")), "a")
    assert whole.identical(simple.select((begin, end), "a"))
    assert whole.identical(simple.select(slice(begin, end), 0))
    assert whole.sizes == {"unit": 1, "time": 1000}


@pytest.mark.parametrize(
    ("time", "message"),
    [
        (("2023-04-25T15:09:21", at(2)), "time to begin at .* has no time zone"),
        ((at(1), datetime.datetime(2023, 4, 25)), "time to end at .* has no time zone"),  # noqa: DTZ001
        ((at(2), at(2)), "is not before"),
        ((at(2), at(1)), "is not before"),
        (at(2), "expected two times"),
        ((at(1), at(2), at(3)), "expected two times"),
        (None, "expected two times"),
        ((1, 2), "The time to begin at is 1"),
    ],
)
def test_times_that_are_none(simple, time, message):
    with pytest.raises(InputError, match=message):
        simple.select(time)


def test_units_by_name_and_row(simple):
    assert simple.select(span(1, 2), "b")["unit"].to_numpy().tolist() == ["b"]
    assert simple.select(span(1, 2), [1, "a", np.int64(1)])["unit"].to_numpy().tolist() == ["b", "a"]
    with pytest.raises(NotFoundError, match=r"No unit 'd' in this deployment\. There are: a, b, c\."):
        simple.select(span(1, 2), "d")
    with pytest.raises(NotFoundError, match=r"No unit has row 7\. The rows are: 0, 1, 2\."):
        simple.select(span(1, 2), [7])
    with pytest.raises(InputError, match="units=\\[\\]"):
        simple.select(span(1, 2), [])
    with pytest.raises(InputError, match=r"not by 1\.5"):
        simple.select(span(1, 2), [1.5])


def test_a_gap_is_masked(simple):
    found = simple.select(span(7, 11), "a")
    assert found["time"].to_numpy().astype(int).tolist() == [T0 + n * 1_000_000 for n in range(7000, 11000)]
    recorded = found["recorded"].to_numpy()[0]
    assert recorded.tolist() == [True] * 1000 + [False] * 2000 + [True] * 1000
    assert found.to_numpy()[0].tolist() == [*range(7000, 8000), *[0] * 2000, *range(8000, 9000)]
    assert found["sample"].to_numpy()[0].tolist() == [*range(7000, 8000), *[-1] * 2000, *range(8000, 9000)]
    assert found.attrs["gaps"] == {"a": [{"start": at(8), "stop": at(10), "samples": 2000}]}
    assert int(found.where(found["recorded"]).count()) == 2000


def test_units_with_other_gaps_are_one_array_still(simple):
    found = simple.select(span(7, 13), ["a", "b"])
    assert isinstance(found, xr.DataArray)
    for row, hole in enumerate((range(1000, 3000), range(5000, 6000))):
        recorded = found["recorded"].to_numpy()[row]
        assert np.flatnonzero(~recorded).tolist() == list(hole)
        values = found.to_numpy()[row]
        assert values[recorded].tolist() == found["sample"].to_numpy()[row][recorded].tolist()
        assert not values[~recorded].any()
    assert list(found.attrs["gaps"]) == ["a", "b"]


def test_a_gap_is_filled(simple):
    found = simple.select(span(7, 11), "a", gaps="fill", fill_value=-7)
    assert "recorded" not in found.coords
    assert (found.to_numpy()[0][1000:3000] == -7).all()
    assert found.attrs["gaps"]["a"][0]["samples"] == 2000
    for value in (np.nan, 0.5, 40_000):
        with pytest.raises(InputError, match="does not fit samples of int16"):
            simple.select(span(7, 11), "a", gaps="fill", fill_value=value)


def test_a_gap_makes_segments(simple):
    found = simple.select(span(7, 13), ["a", "c"], gaps="segments")
    assert [array.to_numpy()[0].tolist() for array in found["a"]] == [
        list(range(7000, 8000)),
        list(range(8000, 11000)),
    ]
    assert [array["time"].to_numpy()[0].astype(int) for array in found["a"]] == [
        T0 + 7 * SECOND,
        T0 + 10 * SECOND,
    ]
    assert found["c"] == []


def test_a_gap_is_an_error(simple):
    expected = (
        r"Unit a did not record all of that time: nothing from 2023-04-25T15:09:28Z to 2023-04-25T15:09:30Z "
        r"\(after a/0001\.wav, before a/0002\.wav\)"
    )
    with pytest.raises(InputError, match=expected):
        simple.select(span(7, 11), gaps="raise")
    assert simple.select(span(1, 8), ["a", "b"], gaps="raise").shape == (2, 7000)
    with pytest.raises(InputError, match="expected one of mask, segments, raise, fill"):
        simple.select(span(7, 11), gaps="skip")


@pytest.mark.parametrize(("begin", "end"), [(-5, -2), (20, 22), (8.5, 9.5)])
def test_where_nothing_was_recorded_all_is_masked(simple, begin, end):
    found = simple.select(span(begin, end), "a")
    assert found["time"].to_numpy().astype(int).tolist() == [
        T0 + n * 1_000_000 for n in range(round(begin * 1000), round(end * 1000))
    ]
    assert not found["recorded"].any()
    assert not found.any()
    assert simple.select(span(begin, end), "a", gaps="segments") == {"a": []}


def test_random_times_of_a_week_at_192_khz(deploy):
    """Of hours that are not there, but for their times: no samples are asked for."""
    rate, hour = 192_000, 3600 * SECOND
    run = deploy(Recorder("a", hours(0, samples=10, rate=rate)))
    deployment = run.deployment()
    files = [
        {
            "file": f"{n}.wav",
            "start": T0 + n * hour,
            "samples": 3600 * rate,
            "first": n * 3600 * rate,
            "rate": rate,
        }
        for n in range(168)
    ]
    import pyarrow as pa

    unit = deployment._contents().units.all[0]
    object.__setattr__(unit, "events", pa.Table.from_pylist([{**file, "precision": 0} for file in files]))
    line = unit.timeline("nominal")
    draw = random.Random(1)
    for _ in range(2000):
        begin = T0 + draw.randrange(168 * hour)
        end = begin + draw.randrange(1, 2 * SECOND)
        parts = line.between(begin, end)
        found = [n for part in parts for n in (part.start, part.stop)] or [0, 0]
        wanted = exact(begin, rate, T0), min(exact(end, rate, T0), 168 * 3600 * rate)
        assert (found[0], found[-1]) == wanted or (not parts and wanted[0] == wanted[1])


def test_an_overlap(deploy):
    deployment = deploy(Recorder("a", hours(0, 3))).deployment()
    found = deployment.select(span(2, 5), "a")
    assert found["sample"].to_numpy()[0].tolist() == [*range(2000, 4000), *range(5000, 6000)]
    assert found.to_numpy().tolist() == found["sample"].to_numpy().tolist()
    assert np.diff(found["time"].to_numpy().astype(int)).tolist() == [1_000_000] * 2999
    assert found.attrs["overlaps"] == {
        "a": [{"start": at(3), "stop": at(4), "files": ["a/0000.wav", "a/0001.wav"]}]
    }
    both = deployment.select(span(2, 5), "a", gaps="segments")["a"]
    assert [array["sample"].to_numpy()[0].tolist() for array in both] == [
        list(range(2000, 4000)),
        list(range(4000, 6000)),
    ]


def test_a_change_of_rate(deploy):
    files = [File(T0, 4000, 1000), File(T0 + 4 * SECOND, 2000, 500), File(T0 + 8 * SECOND, 2000, 500)]
    deployment = deploy(Recorder("a", files)).deployment()
    expected = r"rate of unit a changes from 1000 to 500 Hz at 2023-04-25T15:09:24Z, with file a/0001\.wav"
    with pytest.raises(InputError, match=expected):
        deployment.select(span(3, 5))
    found = deployment.select(span(3, 9), gaps="segments")["a"]
    assert [(array.attrs["rate"], array.sizes["time"]) for array in found] == [(1000, 1000), (500, 2500)]
    assert found[1].to_numpy()[0].tolist() == list(range(4000, 6500))
    assert deployment.select(span(4, 9)).attrs["rate"] == 500


def test_other_rates_and_dtypes_are_an_array_a_unit(deploy):
    deployment = deploy(
        Recorder("a", hours(0)),
        Recorder("b", hours(0, rate=500)),
        Recorder("c", hours(0), subtype="PCM_24"),
        Recorder("d", hours(0), subtype="FLOAT"),
    ).deployment()
    found = deployment.select(span(1, 2))
    assert {unit: (array.sizes["time"], str(array.dtype)) for unit, array in found.items()} == {
        "a": (1000, "int16"),
        "b": (500, "int16"),
        "c": (1000, "int32"),
        "d": (1000, "float32"),
    }
    assert found["c"].to_numpy()[0].tolist() == [n << 16 for n in range(1000, 2000)]
    assert found["d"].to_numpy()[0].tolist() == list(range(1000, 2000))
    filled = deployment.select(span(3, 5), "d", gaps="fill", fill_value=np.nan)
    assert np.isnan(filled).sum() == 1000


def test_channels(deploy):
    deployment = deploy(Recorder("a", hours(0), channels=3), Recorder("b", hours(0), channels=3)).deployment()
    found = deployment.select(span(1, 2))
    assert found.dims == ("unit", "time", "channel")
    assert found["channel"].to_numpy().tolist() == [0, 1, 2]
    assert found.to_numpy().tolist() == [ramp(1000, 2000, 3).tolist()] * 2
    one = deployment.select(span(1, 2), channels=2)
    assert (one.dims, one.to_numpy()[1].tolist()) == (("unit", "time"), list(range(1002, 2002)))
    some = deployment.select(span(1, 5), "b", channels=[2, 0])
    assert (some.shape, some["channel"].to_numpy().tolist()) == ((1, 4000, 2), [2, 0])
    assert some.to_numpy()[0, 0].tolist() == [1002, 1000]
    assert not some.to_numpy()[0, 3000:].any()
    for channels in (3, -1, [0, 5], [], "left", True):
        with pytest.raises(InputError, match="channels="):
            deployment.select(span(1, 2), channels=channels)


@pytest.fixture(scope="module")
def drifting(deploy):
    """A unit that is fast by 100 ppm in its first file, by none in its second; one that is right."""
    ties = [
        (0, None, T0, 1000),
        (4000, None, T0 + 4 * SECOND - 400_000, 3000),
        (8000, None, T0 + 8 * SECOND - 400_000, 2000),
    ]
    return deploy(Recorder("a", hours(0, 4, 8), ties=ties), Recorder("b", hours(0, 4)))


def test_the_corrected_clock(drifting):
    deployment = drifting.deployment()
    found = deployment.select(span(0, 12), "a")
    times, samples = found["time"].to_numpy().astype(int), found["sample"].to_numpy()[0]
    wanted = [
        T0 + n * 999_900 if n < 4000 else T0 + 4 * SECOND - 400_000 + (n - 4000) * SECOND // 1000
        for n in range(8000)
    ]
    assert times[:8000].tolist() == wanted
    assert samples[:8000].tolist() == list(range(8000))
    assert found.attrs["clock"] == "corrected"
    told = found.attrs["times"]["a"]
    assert [part["method"] for part in told] == ["interpolated", "extrapolated"]
    assert told[0]["uncertainty_ns"] == 3000
    assert found.attrs["uncertainty_ns"] > 3000
    nominal = deployment.select(span(0, 12), "a", clock="nominal")
    assert nominal.attrs["clock"] == "nominal"
    assert nominal["time"].to_numpy().astype(int)[:8000].tolist() == [T0 + n * 1_000_000 for n in range(8000)]


def test_each_unit_by_what_is_known_of_it(drifting):
    deployment = drifting.deployment()
    found = deployment.select(span(0, 12))
    assert {unit: array.attrs["clock"] for unit, array in found.items()} == {"a": "corrected", "b": "nominal"}
    with pytest.raises(InputError, match="clock of unit b cannot be corrected"):
        deployment.select(span(0, 12), clock="corrected")
    with pytest.raises(InputError, match="expected 'corrected' or 'nominal'"):
        deployment.select(span(0, 12), clock="local")
    assert isinstance(deployment.select(span(0, 8), clock="nominal"), xr.DataArray)


def test_clocks_that_are_given(drifting):
    table = pd.DataFrame(
        {
            "unit": ["b", "b"],
            "sample": [0, 4000],
            "utc": [pd.Timestamp(T0, tz="UTC"), pd.Timestamp(T0 + 4_000_004_000, tz="UTC")],
        }
    )
    deployment = drifting.deployment(clocks=table)
    found = deployment.select(span(0, 4), "b")
    assert found["time"].to_numpy().astype(int).tolist() == [T0 + n * 1_000_001 for n in range(4000)]
    assert deployment.select(span(0, 4), "a").attrs["clock"] == "corrected"
    assert deployment.clocks().loc["b", "drift_ppm"] == pytest.approx(-1, rel=1e-5)
    drifts = pd.DataFrame({"unit": "b", "time": [at(0), at(4)], "drift": [0.0, -0.000004]})
    assert drifting.deployment(clocks=drifts).clocks().loc["b", "drift_ppm"] == pytest.approx(-1, rel=1e-5)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"unit": ["b"], "utc": [T0]}, "has the columns unit, utc: give a DataFrame"),
        ({"sample": [0], "utc": [T0]}, "has no column unit, and there are 2 units"),
        ({"unit": ["x"], "sample": [0], "utc": [T0]}, "Row 0 .* unit 'x', which is not in the deployment"),
        ({"unit": ["b"], "sample": [0], "utc": ["2023-04-25T15:00"]}, "Row 0 .* has no time zone"),
        ({"unit": ["b"], "sample": [None], "utc": [T0]}, "neither a sample nor a nominal time"),
    ],
)
def test_clocks_that_are_none(drifting, columns, message):
    with pytest.raises(InputError, match=message):
        drifting.deployment(clocks=pd.DataFrame(columns)).clocks()
