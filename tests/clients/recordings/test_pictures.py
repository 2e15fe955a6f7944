"""Pictures: what is read for them, what they say, and that they are drawn."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from tilewright.clients.recordings import fetching, overviews
from tilewright.clients.recordings.moments import text
from tilewright.errors import InputError

from .conftest import SECOND, T0, File, Recorder

RATE = 8000


def span(begin, end):
    return text(T0 + round(begin * SECOND)), text(T0 + round(end * SECOND))


@pytest.fixture(autouse=True)
def _files():
    """Draw into memory, and close what was drawn."""
    before = mpl.get_backend()
    mpl.use("Agg")
    yield
    plt.close("all")
    mpl.use(before)


def tone(start, stop):
    """A tone of 1 kHz, half the full scale; and of 2 kHz, a tenth, from the sixth second on."""
    seconds = np.arange(start, stop) / RATE
    second = 0.1 * np.sin(2 * np.pi * 2000 * seconds) * (seconds >= 5)
    return 0.5 * np.sin(2 * np.pi * 1000 * seconds) + second


@pytest.fixture(scope="module")
def deployment(deploy):
    files = [
        File(T0, 5 * RATE, RATE),
        File(T0 + 5 * SECOND, 5 * RATE, RATE),
        File(T0 + 14 * SECOND, RATE, RATE),
    ]
    return deploy(
        Recorder("tone", files, content=tone),
        Recorder("twice", [File(T0, 4 * RATE, RATE), File(T0 + 3 * SECOND, 4 * RATE, RATE)], content=tone),
        Recorder("never", []),
        Recorder("stereo", [File(T0, 500, RATE)], channels=2),
    ).deployment()


@pytest.fixture
def read(monkeypatch):
    """Count the samples that are fetched."""
    counts = []
    real = fetching.fetch_spans

    def counted(context, link, spans):
        counts.append(sum(one.stop - one.start for one in spans))
        return real(context, link, spans)

    monkeypatch.setattr(fetching, "fetch_spans", counted)
    return counts


def request(deployment, begin, end, units="tone"):
    return deployment._request(span(begin, end), units, clock=None, channels=0)


def test_the_level_of_a_tone(deployment):
    made = overviews.levels(request(deployment, 0, 16), 800)
    assert made.frequencies[[0, 100, 400]].tolist() == [0, 1000, 4000]
    middles = ((made.edges[:-1] + made.edges[1:]) / 2 - T0) / SECOND
    first, second = made.levels[100], made.levels[200]
    inside = ((middles > 0.1) & (middles < 9.9)) | ((middles > 14.1) & (middles < 14.9))
    assert np.allclose(first[inside], 20 * np.log10(0.5), atol=0.01)
    assert np.allclose(second[inside & (middles > 5.1)], -20, atol=0.01)
    assert (second[middles < 4.9] < -80).all()
    assert np.isnan(made.levels[:, (middles > 10.01) & (middles < 13.99)]).all()
    assert not np.isnan(made.levels[:, inside]).any()


def test_an_envelope(deployment):
    made = overviews.envelopes(request(deployment, -1, 16), 170)["tone"]
    middles = ((made.edges[:-1] + made.edges[1:]) / 2 - T0) / SECOND
    inside = ((middles > 0) & (middles < 10)) | ((middles > 14) & (middles < 15))
    assert np.isnan(made.low).tolist() == (~inside).tolist()
    assert np.allclose(made.high[inside & (middles < 5)], 0.5, atol=1e-4)
    assert np.allclose(made.low, -made.high, atol=2e-2, equal_nan=True)
    assert (made.read, made.there) == (800, 800)


def test_no_more_is_read_than_is_shown(deployment, read, monkeypatch):
    monkeypatch.setattr(overviews, "_SAMPLES", 8000)
    made = overviews.envelopes(request(deployment, 0, 10), 100)["tone"]
    assert (made.read, made.there) == (80, 800)
    assert np.allclose(made.high[:40], 0.5, atol=0.02)
    assert read == [8000]
    read.clear()
    made = overviews.levels(request(deployment, 0, 10), 64, columns=100)
    assert (made.windows, made.is_sparse) == (4, True)
    assert sum(read) <= 2 * 4 * 64 * 100
    assert np.allclose(made.levels[8, 1:-1], 20 * np.log10(0.5), atol=0.2)


def test_large_spans_are_read_in_parts(deployment, read, monkeypatch):
    whole = overviews.levels(request(deployment, 0, 10), 64, columns=100)
    monkeypatch.setattr(overviews, "_REQUEST", 4096)
    read.clear()
    parts = overviews.levels(request(deployment, 0, 10), 64, columns=100)
    assert len(read) > 5
    assert np.array_equal(parts.levels, whole.levels)


@pytest.mark.parametrize("window", [1, 0, 100_000])
def test_windows_that_do_not_fit(deployment, window):
    with pytest.raises(InputError, match=r"window|recorded no 100000 samples in one go"):
        deployment.plot_spectrogram(span(0, 1), "tone", window=window)


def test_spectrogram(deployment):
    axes = deployment.plot_spectrogram(span(0, 10), "tone", limits=(-100, None))
    assert axes.get_title(loc="left").strip() == "tone"
    assert axes.get_ylabel() == "frequency (kHz)"
    assert axes.get_xlabel() == "seconds from 2023-04-25 15:09:20 UTC"
    bar = axes.figure.axes[1]
    assert bar.get_ylabel() == "level (dB re full scale)"
    assert bar.get_ylim()[0] == -100
    assert "one spectrum of 1,024 samples (Hann, 7.812 Hz apart)" in axes.texts[0].get_text()
    axes.figure.canvas.draw()
    other = deployment.plot_spectrogram(span(0, 100), "tone", ax=plt.figure().subplots())
    assert other.get_xlabel() == "time (UTC), 2023-04-25"
    assert "mean power of" not in axes.texts[0].get_text()
    other.figure.canvas.draw()


def test_coverage(deployment):
    axes = deployment.plot_coverage()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["tone", "twice", "never", "stereo"]
    assert axes.get_title(loc="left") == "test: what was recorded (6 files; orange: two files have that time)"
    assert axes.get_xlabel() == "time (UTC), 2023-04-25"
    bars = [len(bars.get_paths()) for bars in axes.collections]
    assert bars[:4] == [2, 0, 1, 1]
    axes.figure.canvas.draw()
    assert deployment.plot_coverage("never", ax=axes) is axes


def test_waveform(deployment):
    figure = deployment.plot_waveform(span(-1, 16))
    assert [axes.get_ylabel() for axes in figure.axes] == ["tone", "twice", "stereo"]
    assert figure.axes[0].get_title(loc="left") == (
        "samples, parts of the full scale; channel 0, least and greatest of each 17 ms"
    )
    figure.canvas.draw()
    figure = deployment.plot_waveform(span(9.99, 10.01), ["tone"])
    assert figure.axes[0].get_title(loc="left") == "samples, parts of the full scale; every sample"
    values = figure.axes[0].lines[0].get_ydata()
    assert np.allclose(values[:80], tone(79_920, 80_000), atol=1e-4)
    assert np.isnan(values[80:]).all()
    figure.canvas.draw()
    both = deployment.plot_waveform(span(0.02, 0.05), ["tone", "twice", "stereo"])
    assert len(both.axes) == 3
    nothing = deployment.plot_waveform(span(11, 12), "tone")
    nothing.canvas.draw()
