"""Each step against the same computed by SciPy or NumPy in float64, on the whole array."""

import numpy as np
import pytest
from scipy import signal as sp

from tilewright.errors import InputError
from tilewright.processing import (
    STEPS,
    Bandpass,
    Decimate,
    Envelope,
    Log,
    Median,
    Overlap,
    Pipeline,
    Shape,
    Signal,
    kernels,
    step_from_json,
)

RATE = 100.0


def noise(channels=4, samples=1500, seed=0):
    """Return values that tell their place: noise about a ramp over channels and samples."""
    rng = np.random.default_rng(seed)
    ramp = np.arange(channels)[:, None] * 3 + np.arange(samples) / 100
    return rng.normal(size=(channels, samples)) + ramp


def run(step, values, rate=RATE, dtype="float64"):
    """Return all outputs of one step, in one chunk."""
    signal = Signal(lambda start, stop: values[:, start:stop], Shape(*values.shape, rate))
    (block,) = Pipeline((step,), dtype).run(signal, chunk=values.shape[1])
    return block.values


def convolved(values, taps):
    """Return an FIR filter of the odd reflection, by NumPy."""
    half = len(taps) // 2
    extended = np.pad(values, ((0, 0), (half, half)), mode="reflect", reflect_type="odd")
    return np.stack([np.convolve(row, taps, mode="valid") for row in extended])


@pytest.mark.parametrize("factor", [2, 3, 7])
@pytest.mark.parametrize("samples", [1, 2, 5, 30, 1499, 1500])
def test_decimation_filters_and_takes_every_nth_sample(factor, samples):
    values = noise(samples=samples)
    expected = convolved(values, kernels.low_pass(factor))[:, ::factor]
    assert np.abs(run(Decimate(factor), values) - expected).max() < 1e-10


def test_decimation_lets_a_tone_pass_and_another_not_alias():
    at = np.arange(4000) / 200.0
    values = np.stack([np.sin(2 * np.pi * 30 * at), np.sin(2 * np.pi * 77 * at)])
    output = run(Decimate(2), values, 200.0)[:, 100:-100]
    assert np.abs(output[0] - values[0, ::2][100:-100]).max() < 2e-4
    assert np.abs(output[1]).max() < 2e-4


def test_decimation_in_distance_takes_means_or_first_ones():
    values = noise(channels=7)
    means = np.stack([values[0:3].mean(axis=0), values[3:6].mean(axis=0), values[6]])
    assert np.allclose(run(Decimate(1, 3), values), means, rtol=0, atol=1e-12)
    assert np.array_equal(run(Decimate(1, 3, "first"), values), values[::3])
    both = run(Decimate(2, 3), values)
    assert np.abs(both - convolved(means, kernels.low_pass(2))[:, ::2]).max() < 1e-10


@pytest.mark.parametrize("channels", [1, 2, 6, 7])
def test_the_median_along_distance_is_of_all_channels_at_a_sample(channels):
    values = noise(channels=channels, samples=300)
    assert np.array_equal(run(Median("distance"), values), values - np.median(values, axis=0))


@pytest.mark.parametrize("samples", [1, 150, 400, 450, 451])
def test_the_median_along_time_is_of_windows_from_the_first_sample_on(samples):
    values = noise(samples=samples)
    expected = np.concatenate(
        [
            part - np.median(part, axis=1, keepdims=True)
            for part in np.split(values, range(150, samples, 150), axis=1)
        ],
        axis=1,
    )
    assert np.array_equal(run(Median("time", window=1.5), values), expected)


def test_samples_are_not_written_to():
    values = noise().astype(np.float32)
    before = values.copy()
    for step in (Median(), Median("time", 1.0), Bandpass(14, 35), Envelope(), Log(), Decimate(1)):
        run(step, values, dtype="float32")
        assert np.array_equal(values, before), step


def test_the_band_pass_is_sosfiltfilt_with_a_long_padding():
    values = noise(samples=2000)
    sections = sp.butter(8, [14, 35], "bandpass", fs=RATE, output="sos")
    expected = sp.sosfiltfilt(sections, values, axis=1, padlen=1500)
    output = run(Bandpass(14, 35), values)
    assert np.abs(output - expected).max() < 2e-6 * np.abs(values).max()
    reach = Bandpass(14, 35).overlap(RATE).before
    default = sp.sosfiltfilt(sections, values, axis=1)[:, reach:-reach]
    assert np.abs(output[:, reach:-reach] - default).max() < 2e-5 * np.abs(values).max()


@pytest.mark.parametrize("samples", [1, 2, 3, 50, 120])
def test_the_band_pass_of_less_than_its_response_reflects_back_and_forth(samples):
    values = noise(samples=samples)
    expected = convolved(values, kernels.band_pass(14, 35, 8, RATE)) if samples > 1 else np.zeros_like(values)
    assert np.abs(run(Bandpass(14, 35), values) - expected).max() < 1e-9


def test_the_envelope_of_tones_is_their_amplitude():
    """From the start on, too: their odd reflection at a zero crossing is what they were before."""
    at = np.arange(3000) / RATE
    amplitude = np.array([[1.0], [20.0], [300.0]])
    values = amplitude * np.sin(2 * np.pi * np.array([[5.0], [21.3], [44.0]]) * at)
    reach = Envelope(2.0).overlap(RATE).after
    output = run(Envelope(2.0), values)
    assert np.abs(output / amplitude - 1)[:, :-reach].max() < 2e-4
    assert np.abs(output[:, 500:-500] / np.abs(sp.hilbert(values, axis=1))[:, 500:-500] - 1).max() < 1e-2


def test_the_log_is_in_decibels_and_has_a_floor():
    values = np.array([[1.0, 1e-6, 1e-3, 0.0, -5.0, 1e-12, 1e-20]])
    assert np.allclose(run(Log(1e-6, floor=-80.0), values), [[120, 0, 60, -80, -80, -80, -80]], atol=1e-12)
    assert np.allclose(
        run(Log(1.0), values, dtype="float32"), [[0, -120, -60, -120, -120, -120, -120]], atol=1e-4
    )


@pytest.mark.parametrize("floor", [-120.0, -93.7, -0.1, 31.3, 100.1])
@pytest.mark.parametrize("reference", [1e-6, 3e-5, 1.0, 700.0])
def test_nothing_is_below_the_floor(reference, floor):
    values = np.array([[0.0, -1.0, 1e-30]])
    assert (run(Log(reference, floor), values, dtype="float32") >= np.float32(floor)).all()
    assert run(Log(reference, floor), values, dtype="float32") == pytest.approx(floor, abs=1e-3)


def test_overlaps_are_the_samples_that_are_needed_and_not_one_more():
    """An output depends on the sample at its overlap's end, and not on the one after."""
    for step in (Decimate(2), Decimate(5), Bandpass(14, 35), Envelope(5.0)):
        overlap = step.overlap(RATE)
        for beyond, changes in ((0, True), (1, False)):
            values = np.zeros((1, 2001))
            values[0, 1000 - overlap.before - beyond] = 1.0
            values[0, 1000 + overlap.after + beyond] = 3.0
            output = run(step, values)[0, 1000 // step.factor_time]
            assert (abs(output) > 1e-13) == changes, (step, beyond)
    assert Median().overlap(RATE) == Log().overlap(RATE) == Overlap(0, 0)
    assert Median("time", 2.0).overlap(RATE) == Overlap(199, 199)


STEPS_OF_ALL_KINDS = [
    Decimate(2, 5, "first"),
    Median(),
    Median("time", 15.0),
    Bandpass(14, 35, 4),
    Envelope(3.0),
    Log(1e-9, -30),
]


@pytest.mark.parametrize("step", STEPS_OF_ALL_KINDS)
def test_a_step_is_told_in_json(step):
    assert step_from_json(step.to_json()) == step


def test_every_step_is_tried():
    assert {type(step) for step in STEPS_OF_ALL_KINDS} == set(STEPS.values())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "expected an object whose step is decimate, median"),
        ({"step": "joined"}, "expected an object whose step is"),
        ({"step": ["median"]}, "expected an object whose step is"),
        ({"step": "decimate"}, "missing 1 required positional argument: 'time'"),
        ({"step": "decimate", "time": True}, "expected a whole number from 1"),
        ({"step": "decimate", "time": 0}, "expected a whole number from 1"),
        ({"step": "decimate", "time": 2.0}, "expected a whole number from 1"),
        ({"step": "decimate", "time": 2, "channels": "median"}, "expected mean or first"),
        ({"step": "decimate", "time": 2, "phase": 1}, "expected, of decimate, channels, distance, time"),
        ({"step": "median", "axis": "both"}, "expected distance or time"),
        ({"step": "median", "axis": ["time"]}, "expected distance or time"),
        ({"step": "median", "axis": "time"}, "cannot take None as the median's window"),
        ({"step": "median", "axis": "time", "window": 0}, "greater than 0"),
        ({"step": "median", "window": 15.0}, "along distance: expected none"),
        ({"step": "bandpass", "low": 35, "high": 14}, "expected the lower edge first"),
        ({"step": "bandpass", "low": "14", "high": 35}, "expected a finite number"),
        ({"step": "bandpass", "low": 0, "high": 35}, "greater than 0"),
        ({"step": "bandpass", "low": 14, "high": float("inf")}, "expected a finite number"),
        ({"step": "bandpass", "low": 14, "high": 35, "order": 0}, "expected a whole number from 1"),
        ({"step": "envelope", "transition": -1}, "greater than 0"),
        ({"step": "log", "reference": 0}, "greater than 0"),
        ({"step": "log", "floor": float("nan")}, "expected a finite number"),
        ({"step": "log", "floor": -800}, "an amplitude that float32 has"),
        ({"step": "log", "floor": 1e9}, "an amplitude that float32 has"),
    ],
)
def test_what_is_no_step_is_refused(data, message):
    with pytest.raises(InputError, match=message):
        step_from_json(data)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Bandpass(14, 50), "expected an upper edge below 50 Hz; decimate less"),
        (Envelope(25.0), "expected less than 25 Hz"),
    ],
)
def test_a_step_that_does_not_fit_the_rate_is_refused(step, message):
    with pytest.raises(InputError, match=message):
        run(step, noise())
