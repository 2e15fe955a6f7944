"""A common grid: against the sine that was recorded, and what becomes of gaps, rates and ends."""

from fractions import Fraction

import numpy as np
import pytest

from tilewright.clients.recordings import resampling
from tilewright.clients.recordings.moments import text
from tilewright.errors import InputError

from .conftest import SECOND, T0, File, Recorder

AMPLITUDE = 0.5


def sine(frequency, rate, offset):
    """Return what a unit records of a tone, that starts `offset` seconds after T0 and takes `rate` samples a second in truth."""
    return lambda start, stop: (
        AMPLITUDE * np.sin(2 * np.pi * frequency * (offset + np.arange(start, stop) / rate))
    )


def span(begin, end):
    return text(T0 + round(begin * SECOND)), text(T0 + round(end * SECOND))


def error(found, unit, frequency, inside=0.05):
    """Return the largest difference from the tone, away from the ends, in parts of its amplitude."""
    begin = (int(found["time"][0].astype(int)) - T0) / SECOND
    times = (
        begin + np.arange(found.sizes["time"]) / found.attrs["rate"]
    )  # the coordinate has whole nanoseconds: 3e-6 of 1 kHz
    kept = (times > times[0] + inside) & (times < times[-1] - inside)
    wanted = AMPLITUDE * np.sin(2 * np.pi * frequency * times)
    return np.abs(found.sel(unit=unit).to_numpy() - wanted)[kept].max() / AMPLITUDE


@pytest.fixture(scope="module")
def tones(deploy):
    """A tone of 1 kHz: by a unit that is right, one that is fast by 25 ppm, one of twice the rate that starts within a period."""
    fast = 16_000 / (1 - 25e-6)
    seconds = 4
    utc = T0 + round(Fraction(16_000 * seconds) / 16_000 * SECOND * (1 - Fraction(25, 1_000_000)))
    late = Fraction(12_345, SECOND)
    return deploy(
        Recorder(
            "right", [File(T0, 16_000 * seconds, 16_000)], content=sine(1000, 16_000, 0), subtype="FLOAT"
        ),
        Recorder(
            "fast",
            [File(T0, 16_000 * 2, 16_000), File(T0 + 2 * SECOND, 16_000 * 2, 16_000)],
            ties=[(0, None, T0, 0), (16_000 * seconds, None, utc, 0)],
            content=sine(1000, fast, 0),
            subtype="FLOAT",
        ),
        Recorder(
            "double",
            [File(T0 + 12_345, 32_000 * seconds, 32_000)],
            content=sine(1000, 32_000, float(late)),
            subtype="FLOAT",
        ),
    ).deployment()


def test_a_tone_is_where_it_was(tones):
    found = tones.select(span(0.5, 3.5), align=True)
    assert found.dims == ("unit", "time")
    assert found.shape == (3, 48_000)
    assert found.attrs["rate"] == 16_000
    assert found["time"].to_numpy()[:2].astype(int).tolist() == [T0 + SECOND // 2, T0 + SECOND // 2 + 62_500]
    assert found["recorded"].all()
    assert "soxr VHQ" in found.attrs["method"]
    # float32, of which the tone was recorded, tells 6e-8.
    assert error(found, "right", 1000) < 2e-7
    assert error(found, "fast", 1000) < 2e-6
    assert error(found, "double", 1000) < 2e-6
    assert found.attrs["true_rates"]["fast"][0] == pytest.approx(16_000 / (1 - 25e-6), rel=1e-12)


def test_samples_that_are_on_the_grid_are_as_they_were(tones):
    found = tones.select(span(1, 2), "right", align=True)
    assert found.to_numpy().tolist() == tones.select(span(1, 2), "right").to_numpy().tolist()


@pytest.mark.parametrize("rate", [8000, 44_100, 12_345.5])
def test_a_rate_that_is_given(tones, rate):
    found = tones.select(span(0.5, 3.5), align=True, rate=rate)
    assert found.attrs["rate"] == rate
    assert found.sizes["time"] == int(np.ceil(3 * rate))
    assert max(error(found, unit, 1000) for unit in ("right", "fast", "double")) < 2e-6


def test_blocks_go_on_without_a_seam(tones, monkeypatch):
    whole = tones.select(span(0.5, 3.5), ["fast", "double"], align=True)
    monkeypatch.setattr(resampling, "_BLOCK", 1000)
    assert np.abs(tones.select(span(0.5, 3.5), ["fast", "double"], align=True) - whole).max() < 1e-6


def test_gaps_are_masked(deploy):
    files = [File(T0, 8000, 8000), File(T0 + 2 * SECOND, 8000, 8000)]
    deployment = deploy(Recorder("a", files), Recorder("b", [File(T0 + 62_500, 24_000, 8000)])).deployment()
    found = deployment.select(span(-0.5, 3.5), align=True)
    recorded = found["recorded"].to_numpy()
    starts = [np.flatnonzero(np.diff(row.astype(int), prepend=0)).tolist() for row in recorded]
    assert starts == [[4000, 12_000, 20_000, 28_000], [4001, 28_001]]
    assert not found.to_numpy()[~recorded].any()
    assert found.attrs["gaps"]["a"][1]["samples"] == 8000
    filled = deployment.select(span(-0.5, 3.5), align=True, gaps="fill", fill_value=np.nan)
    assert np.array_equal(np.isnan(filled), ~recorded)
    with pytest.raises(InputError, match="nothing from"):
        deployment.select(span(-0.5, 3.5), align=True, gaps="raise")
    with pytest.raises(InputError, match="cannot give segments"):
        deployment.select(span(-0.5, 3.5), align=True, gaps="segments")


def test_over_a_change_of_rate(deploy):
    files = [File(T0, 32_000, 16_000), File(T0 + 2 * SECOND, 16_000, 8000)]

    def tone(start, stop):
        places = np.arange(start, stop)
        times = np.where(places < 32_000, places / 16_000, 2 + (places - 32_000) / 8000)
        return AMPLITUDE * np.sin(2 * np.pi * 500 * times)

    found = (
        deploy(Recorder("a", files, content=tone, subtype="FLOAT"))
        .deployment()
        .select(span(1, 3), align=True)
    )
    assert found.attrs["rate"] == 8000
    assert found.attrs["true_rates"] == {"a": [16_000.0, 8000.0]}
    assert found["recorded"].all()
    assert error(found[:, :7000], "a", 500) < 2e-6
    assert error(found[:, 9000:], "a", 500) < 2e-6


def test_channels(deploy):
    unit = Recorder("a", [File(T0 + 31_000, 16_000, 16_000)], channels=2)
    deployment = deploy(unit, Recorder("b", [File(T0, 16_000, 16_000)])).deployment()
    with pytest.raises(InputError, match="The units have 1 and 2 channels"):
        deployment.select(span(0.2, 0.5), align=True)
    found = deployment.select(span(0.2, 0.5), "a", align=True)
    assert (found.dims, found.dtype) == (("unit", "time", "channel"), np.float32)
    assert np.allclose(found[..., 1] - found[..., 0], 1, atol=2e-3)  # float32 tells 5e-4 of 8000
    assert deployment.select(span(0.2, 0.5), align=True, channels=0).dims == ("unit", "time")


@pytest.mark.parametrize("rate", [0, -1])
def test_rates_that_are_none(tones, rate):
    with pytest.raises(InputError, match="expected samples a second"):
        tones.select(span(1, 2), align=True, rate=rate)


def test_a_rate_without_a_grid(tones):
    with pytest.raises(InputError, match="unless align=True asks for it"):
        tones.select(span(1, 2), rate=8000)


@pytest.mark.parametrize("shift", [Fraction(0), Fraction(1, 3), Fraction(7, 8)])
@pytest.mark.parametrize("frequency", [0.01, 0.2, 0.45])
def test_the_shift_alone(shift, frequency):
    """Of tones up to 0.9 of half the rate."""
    values = np.sin(2 * np.pi * frequency * np.arange(4000))[:, None]
    made = resampling.resample(values, 1000 + shift, Fraction(1), 2000)[:, 0]
    wanted = np.sin(2 * np.pi * frequency * (1000 + float(shift) + np.arange(2000)))
    assert np.abs(made - wanted).max() < 2e-6
