"""Each filter keeps what its module states: in its passband, in its stopband, and of its symmetry."""

import numpy as np
import pytest
from scipy import signal

from tilewright.errors import InputError
from tilewright.processing import kernels

RATE = 100.0
RIPPLE = 10 ** (-kernels.ATTENUATION / 20)


def gains(taps, rate=RATE, points=8192):
    """Return frequencies in Hz, and the zero-phase response at each."""
    frequencies, response = signal.freqz(taps, worN=points, fs=rate)
    return frequencies, response * np.exp(2j * np.pi * frequencies / rate * kernels.reach(taps))


@pytest.mark.parametrize("factor", [2, 3, 5, 10])
def test_decimation_keeps_its_passband_and_lets_nothing_alias(factor):
    taps = kernels.low_pass(factor)
    frequencies, gain = gains(taps)
    nyquist = RATE / 2 / factor
    assert np.abs(gain[frequencies <= kernels.PASSBAND * nyquist] - 1).max() < RIPPLE
    assert np.abs(gain[frequencies >= nyquist]).max() < RIPPLE
    assert taps.sum() == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("transition", [0.5, 2.0, 10.0])
def test_a_hilbert_transformer_turns_by_a_quarter_and_keeps_amplitudes(transition):
    taps = kernels.hilbert(transition, RATE)
    frequencies, gain = gains(taps)
    inside = (frequencies >= transition) & (frequencies <= RATE / 2 - transition)
    assert np.abs(gain[inside] + 1j).max() < 2 * RIPPLE
    assert np.array_equal(taps, -taps[::-1])


@pytest.mark.parametrize(("low", "high", "order"), [(14, 35, 8), (1, 45, 4), (20, 22, 2), (0.1, 5, 3)])
def test_a_band_pass_is_butterworths_forwards_and_backwards(low, high, order):
    taps = kernels.band_pass(low, high, order, RATE)
    frequencies, gain = gains(taps)
    sections = signal.butter(order, [low, high], "bandpass", fs=RATE, output="sos")
    _, once = signal.freqz_sos(sections, worN=len(frequencies), fs=RATE)
    assert np.abs(gain - np.abs(once) ** 2).max() < 2 * kernels.TAIL * np.abs(taps).sum()
    assert np.abs(taps - taps[::-1]).max() < 1e-16
    assert abs(taps.sum()) < 1e-12


def test_a_band_pass_ends_where_its_tail_is_below_what_is_stated():
    taps = kernels.band_pass(14, 35, 8, RATE)
    sections = signal.butter(8, [14, 35], "bandpass", fs=RATE, output="sos")
    impulse = np.zeros(20_001)
    impulse[10_000] = 1
    endless = np.abs(signal.sosfiltfilt(sections, impulse, padlen=0))
    reach = kernels.reach(taps)
    left_out = [endless.sum() - endless[10_000 - r : 10_001 + r].sum() for r in (reach, reach - 1)]
    assert left_out[0] <= kernels.TAIL * endless.sum() < left_out[1]


def test_a_band_whose_response_does_not_end_is_refused():
    with pytest.raises(InputError, match="longer than 1048576 samples; take a wider band"):
        kernels.band_pass(10, 10.00001, 4, RATE)


def test_taps_are_shared_and_cannot_be_written_to():
    taps = kernels.low_pass(2)
    assert taps is kernels.low_pass(2)
    with pytest.raises(ValueError, match="read-only"):
        taps[0] = 1
