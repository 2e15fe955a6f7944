"""`tilewright plot`, through the command line."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from tilewright.cli import main

from .conftest import SECOND, T0, File, Recorder


@pytest.fixture(autouse=True)
def _backend():
    before = mpl.get_backend()
    yield
    plt.close("all")
    mpl.use(before)


@pytest.fixture(scope="module")
def run(deploy):
    return deploy(
        Recorder("a", [File(T0, 5000), File(T0 + 6 * SECOND, 5000)]), Recorder("b", [File(T0 + SECOND, 5000)])
    )


@pytest.fixture
def plot(run, server, capsys, tmp_path):
    """Call the command; return its status, what it said, and the file."""

    def plot(*options, output="x.png"):
        path = tmp_path / output
        with pytest.raises(SystemExit) as end:
            main(["plot", run.uid, "--catalog", server.uri, "-o", str(path), *options])
        captured = capsys.readouterr()
        return end.value.code, captured.out + captured.err, path

    return plot


@pytest.mark.parametrize(
    "options",
    [
        ("coverage",),
        ("spectrogram",),
        ("spectrogram", "--unit", "b", "--start", "2023-04-25T15:09:22Z", "--stop", "2023-04-25T15:09:24Z"),
        ("waveform",),
        ("waveform", "--unit", "a", "--unit", "b", "--stop", "2023-04-25T15:09:24Z"),
    ],
)
def test_a_picture(plot, options):
    status, said, path = plot("--kind", *options)
    assert (status, said) == (0, f"{options[0]} of test written to {path}\n")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_other_files(plot):
    assert plot("--kind", "coverage", output="x.svg")[2].read_text().startswith("<?xml")
    assert plot("--kind", "coverage", output="x.pdf")[2].read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("options", "output", "message"),
    [
        (("coverage",), "x.txt", "expected a name that ends in .png"),
        (("coverage",), "no/x.png", "there is no directory"),
        (("coverage", "--start", "2023-04-25T15:09:22Z"), "x.png", "leave out --start and --stop"),
        (("spectrogram", "--unit", "a", "--unit", "b"), "x.png", "a spectrogram is of one unit"),
        (("spectrogram", "--unit", "c"), "x.png", "No unit 'c' in this deployment"),
        (("waveform", "--unit", "c"), "x.png", "No unit 'c' in this deployment"),
        (("waveform", "--start", "2023-04-25T15:09:22"), "x.png", "has no time zone"),
        (("waveform", "--channel", "3"), "x.png", "channels=3: unit a has channel 0"),
    ],
)
def test_what_cannot_be_drawn(plot, options, output, message):
    status, said, path = plot("--kind", *options, output=output)
    assert status == 1
    assert said.startswith("tilewright: ")
    assert said.count("\n") == 1
    assert message in said
    assert not path.exists()
