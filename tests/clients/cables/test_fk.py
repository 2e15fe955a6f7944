"""Spectra over frequency and wavenumber: where a wave stands that travels so fast that way, and how much power there is."""

import h5py
import numpy as np
import pytest

from tilewright.clients.cables import cable as module
from tilewright.clients.cables.spectra import spectrum
from tilewright.errors import InputError
from tilewright.testing.cables import RATE, write_prodml, write_store

SPACING = 2.0


def wave(frequency, speed, samples=600, channels=90, amplitude=1.0):
    """Return a plane wave, shape (samples, channels), that travels towards larger distances if its speed is positive."""
    times, distances = np.arange(samples)[:, None] / RATE, np.arange(channels) * SPACING
    return amplitude * np.sin(2 * np.pi * frequency * (times - distances / speed))


@pytest.fixture
def record_wave(record, folder):
    """Record a file of these values, shape (samples, channels)."""

    def record_wave(values):
        path = write_prodml(folder / "x.h5", 0, *values.shape, dtype="<f4", spacing=SPACING)
        with h5py.File(path, "r+") as file:
            file["Acquisition/Raw[0]/RawData"][...] = values
        return record(path)

    return record_wave


def middles(edges):
    return (edges[:-1] + edges[1:]) / 2


def peak(density, frequencies, wavenumbers):
    row, column = np.unravel_index(np.argmax(density), density.shape)
    return middles(frequencies)[row], middles(wavenumbers)[column]


@pytest.mark.parametrize("samples", [600, 601])
@pytest.mark.parametrize("channels", [90, 91])
@pytest.mark.parametrize("speed", [1500.0, -1500.0, 300.0, -90.0])
def test_a_wave_stands_at_its_frequency_and_wavenumber(speed, samples, channels):
    made = spectrum(wave(20.0, speed, samples, channels).T, RATE, SPACING)
    assert made.density.shape == (samples // 2 + 1, channels)
    frequency, wavenumber = peak(made.density, made.frequencies, made.wavenumbers)
    assert frequency == pytest.approx(20.0, abs=RATE / samples)
    assert wavenumber == pytest.approx(20.0 / speed, abs=0.6 / (channels * SPACING))
    assert (made.frequencies[0], made.frequencies[-1]) == (0, RATE / 2)
    assert np.diff(made.wavenumbers) == pytest.approx(1 / (channels * SPACING))


@pytest.mark.parametrize("shape", [(32, 100), (33, 101)])
@pytest.mark.parametrize("scale", [1.0, 1e-15, 1e9])
def test_all_power_is_there(shape, scale):
    """Parseval's theorem, and the variance of white noise."""
    samples = scale * (np.random.default_rng(1).standard_normal(shape) + 100 * np.arange(shape[0])[:, None])
    tapers = np.multiply.outer(*(np.sin(np.pi * np.arange(one) / one) ** 2 for one in shape))
    tapered = (samples - samples.mean(axis=1, keepdims=True)) * tapers
    for most in (None, (7, 5)):
        made = spectrum(samples, RATE, SPACING, most)
        bins = [1 / (RATE / shape[1]), shape[0] * SPACING]
        counts = np.multiply.outer(*(many(length, each) for many, length, each in counted(shape, made.each)))
        power = (made.density * counts).sum() / np.prod(bins)
        assert power == pytest.approx((tapered**2).sum() / (tapers**2).sum(), rel=1e-5)
        assert power == pytest.approx(scale**2, rel=0.1)


def counted(shape, each):
    """Return what counts the bins of cells of frequencies, and of wavenumbers."""

    def many(length, each):
        return np.diff([*range(0, length, each), length])

    return (many, shape[1] // 2 + 1, each[0]), (many, shape[0], each[1])


def test_cells_are_means():
    samples = np.random.default_rng(2).standard_normal((50, 120)).astype("f4")
    whole, made = spectrum(samples, RATE, SPACING), spectrum(samples, RATE, SPACING, (20, 13))
    assert made.each == (4, 4)
    assert made.density.shape == (16, 13)
    assert np.allclose(made.density[2, 3], whole.density[8:12, 12:16].mean())
    assert np.allclose(made.density[-1, -1], whole.density[60:, 48:].mean())
    assert made.frequencies[:3] == pytest.approx([0, 3.5 * RATE / 120, 7.5 * RATE / 120])
    assert made.wavenumbers[-1] == whole.wavenumbers[-1]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_have_no_spectrum(bad):
    samples = np.random.default_rng(2).standard_normal((9, 20))
    samples[4, 7] = bad
    with pytest.raises(InputError, match="samples of channel 4 of these are no finite numbers"):
        spectrum(samples, RATE, SPACING)
    with pytest.raises(InputError, match="all samples of each channel are the same"):
        spectrum(np.full((9, 20), 3), RATE, SPACING)


def test_a_picture(record_wave, at):
    cable = record_wave(wave(20.0, 400.0) + wave(50.0, -1500.0, amplitude=0.1))
    axes = cable.plot_fk()
    (mesh,) = axes.collections
    shown = mesh.get_array()
    assert shown.shape == (301, 90)
    sides = mesh.get_coordinates()
    frequency, wavenumber = peak(shown, sides[:, 0, 1], sides[0, :, 0])
    assert (frequency, wavenumber) == (pytest.approx(20, abs=0.4), pytest.approx(0.05, abs=0.004))
    left = shown[:, :45]
    frequency, wavenumber = peak(left, sides[:, 0, 1], sides[0, :46, 0])
    assert (frequency, wavenumber) == (pytest.approx(50, abs=0.4), pytest.approx(-1 / 30, abs=0.004))
    axes.figure.canvas.draw()
    assert axes.get_xlabel() == "wavenumber (1/m); - travels towards smaller distances, + towards larger ones"
    assert axes.get_ylabel() == "frequency (Hz)"
    assert axes.get_ylim() == (0, 100)
    assert axes.figure.axes[1].get_ylabel() == "power density (dB re 1 rad²/(Hz/m))"
    assert axes.get_title(loc="left") == "x: 90 channels, 200 to 378 m\n"
    texts = [text.get_text() for text in axes.texts]
    assert texts == [
        "100 m/s",
        "400 m/s",
        "1,500 m/s",
        "5,000 m/s",
        "3 s from 2021-11-01 23:11:14.834 UTC; Hann tapers",
    ]
    assert len(axes.lines) == 8


def test_speeds_outside_of_what_is_looked_at_take_no_room(record_wave):
    axes = record_wave(wave(20.0, 400.0)).plot_fk()
    axes.set(xlim=(-0.05, 0.05), ylim=(0, 10))
    axes.figure.canvas.draw()
    speeds = [text for text in axes.texts if text.get_text().endswith(" m/s")]
    assert axes.get_tightbbox().width < 1.3 * axes.bbox.width
    assert all(text.get_clip_on() for text in speeds)
    assert [text.get_text() for text in speeds if axes.bbox.overlaps(text.get_window_extent())] == []


def test_a_part(record_wave, at):
    cable = record_wave(wave(20.0, 400.0))
    axes = cable.plot_fk((at(100), at(250)), (220, 260), limits=(-60, 0))
    (mesh,) = axes.collections
    assert mesh.get_array().shape == (76, 20)
    assert mesh.get_clim() == (-60, 0)
    assert axes.texts[-1].get_text() == "0.75 s from 2021-11-01 23:11:15.334 UTC; Hann tapers"
    assert axes.get_title(loc="left") == "x: 20 channels, 220 to 258 m\n"


def test_a_large_part_is_drawn_by_means(record, folder):
    cable = record(write_prodml(folder / "x.h5", count=3300, channels=1300))
    axes = cable.plot_fk()
    assert axes.collections[0].get_array().shape == (551, 650)
    axes.figure.canvas.draw()
    assert axes.get_title(loc="left").endswith(" m\n\n")
    rule = axes.texts[-1]
    assert rule.get_window_extent().width < axes.bbox.width
    assert rule.get_text().endswith("Hann tapers\neach cell the mean of 3 frequencies by 2 wavenumbers")


def test_channels_without_distances(record, folder):
    axes = record(write_store(folder / "x.zarr", count=100)).plot_fk()
    assert axes.get_xlabel().startswith("wavenumber (cycles per channel); ")
    assert axes.figure.axes[1].get_ylabel() == "power density (dB re 1/(Hz/channel))"
    assert axes.collections[0].get_coordinates()[0, [0, -1], 0].tolist() == [-0.5625, 0.4375]
    assert not axes.lines


def test_a_gap(record, folder, at):
    write_prodml(folder / "0.h5", 0, 400)
    write_prodml(folder / "1.h5", 500, 400)
    cable = record(folder)
    with pytest.raises(
        InputError, match=r"without a gap.* from 2021-11-01T23:11:16\.834Z to 2021-11-01T23:11:17\.334Z"
    ):
        cable.plot_fk()
    assert (
        cable.plot_fk((at(-50), at(450))).texts[-1].get_text().startswith("2 s from 2021-11-01 23:11:14.834")
    )


def test_too_much(record, folder, at, monkeypatch):
    assert module._SPECTRUM == 64_000_000
    monkeypatch.setattr(module, "_SPECTRUM", 8 * 999)
    cable = record(write_prodml(folder / "x.h5"))
    with pytest.raises(
        InputError, match=r"7,992 samples at most, and these are 8,000 \(8 channels of 1,000\): take less"
    ):
        cable.plot_fk()
    assert cable.plot_fk((at(0), at(999)))


@pytest.mark.parametrize(("time", "distance"), [((2000, 3000), None), ((0, 3), None), ((0, 100), (204, 207))])
def test_too_little(record, folder, at, time, distance):
    cable = record(write_prodml(folder / "x.h5"))
    with pytest.raises(InputError, match="needs 4 channels and 4 samples at least"):
        cable.plot_fk([at(one) for one in time], distance)
