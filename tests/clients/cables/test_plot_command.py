"""`tilewright plot` of a cable and of its tiles, through the command line."""

import pytest

from tilewright.cli import main
from tilewright.testing.cables import write_prodml

from .conftest import write_tiles


@pytest.fixture
def runs(record, folder, catalog):
    """A cable, and tiles of it."""
    cable = record(write_prodml(folder / "x.h5", 0, 1000))
    return {"cable": cable.run, "tiles": write_tiles(catalog, cable)}


@pytest.fixture
def plot(runs, catalog, capsys, tmp_path):
    """Call the command; return its status, what it said, and the file."""

    def plot(run, *options):
        path = tmp_path / "x.png"
        with pytest.raises(SystemExit) as end:
            main(["plot", runs[run].uid, "--catalog", address(catalog), "-o", str(path), "--kind", *options])
        captured = capsys.readouterr()
        return end.value.code, captured.out + captured.err, path

    return plot


def address(catalog):
    return f"{catalog.uri}?api_key={catalog.context.api_key}"


TIMES = ("--start", "2021-11-01T23:11:15Z", "--stop", "2021-11-01T23:11:17Z")


@pytest.mark.parametrize(
    ("run", "options"),
    [
        ("cable", ("fk",)),
        ("cable", ("fk", *TIMES, "--distance", "205", "215")),
        ("cable", ("fk", *TIMES[:2])),
        ("cable", ("waterfall", *TIMES[2:])),
        ("tiles", ("contact-sheet",)),
        ("tiles", ("contact-sheet", *TIMES, "--distance", "205", "215")),
        ("tiles", ("contact-sheet", *TIMES[2:])),
    ],
)
def test_a_picture(plot, run, options):
    status, said, path = plot(run, *options)
    assert (status, said) == (0, f"{options[0]} of x written to {path}\n")
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("run", "options", "message"),
    [
        ("tiles", ("fk",), "is no acquisition of a cable"),
        ("cable", ("contact-sheet",), "has no tiles"),
        ("cable", ("fk", "--distance", "9000", "9100"), "needs 4 channels"),
        ("tiles", ("contact-sheet", "--distance", "9000", "9100"), "no tiles there"),
        ("cable", ("fk", "--start", "2021-11-01T23:11:15"), "has no time zone"),
    ],
)
def test_what_cannot_be_drawn(plot, run, options, message):
    status, said, path = plot(run, *options)
    assert status == 1
    assert said.startswith("tilewright: ")
    assert said.count("\n") == 1
    assert message in said
    assert not path.exists()
