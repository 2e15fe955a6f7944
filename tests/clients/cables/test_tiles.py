"""Pictures of a cable: each says which it is, and leads back to its samples."""

import numpy as np
import pandas as pd
import pytest

from tilewright import TiledWriter
from tilewright.clients.cables.sheets import arranged
from tilewright.errors import InputError, NotFoundError
from tilewright.testing.cables import START, samples_of, write_prodml

from .conftest import STEP, a_catalog, recorded, write_tiles


@pytest.fixture(scope="module")
def catalog(server):
    with a_catalog(server) as catalog:
        yield catalog


@pytest.fixture(scope="module")
def cable(catalog, readable):
    """Two files of 8 channels; half a second between them was not recorded."""
    folder = readable / "tiles"
    folder.mkdir()
    write_prodml(folder / "0.h5", 0, 400)
    write_prodml(folder / "1.h5", 500, 250)
    return recorded(catalog, folder)


@pytest.fixture(scope="module")
def tiles(catalog, cable):
    """Seven times of three tiles, the last of each as wide as what is left, and the last time as long."""
    return write_tiles(catalog, cable).tiles()


@pytest.fixture
def requests(tiles):
    """Bodies of the requests for spans of arrays that are made."""
    seen = []
    hooks = tiles.run.context.http_client.event_hooks

    def note(request):
        if "/spans/" in request.url.path:
            seen.append(request.read().decode())

    tiles.run.context.http_client.event_hooks = {**hooks, "request": [*hooks["request"], note]}
    yield seen
    tiles.run.context.http_client.event_hooks = hooks


def test_what_there_is(tiles, cable):
    assert (tiles.name, len(tiles)) == (cable.name, 21)
    assert tiles.raw.uid == cable.run.uid
    assert tiles.facts["scale"] == {"low": -60.0, "high": 20.0}
    assert list(tiles.facts) == ["pipeline", "tiling", "scale", "software"]
    told = "21 tiles of 0.5 s by 3 channels, 2021-11-01T23:11:14.834Z to 2021-11-01T23:11:18.584Z"
    assert repr(tiles) == f"<Tiles of {cable.name!r} in run {tiles.run.uid[:8]}: {told}>"
    assert cable.run.uid in tiles._repr_html_()
    assert tiles.refresh() is tiles


def test_the_table(tiles):
    table = tiles.table()
    assert table.index.tolist() == list(range(21))
    assert table.index.name == "row"
    assert list(table) == [
        *("file", "start", "stop", "first_sample", "stop_sample", "first_channel", "stop_channel"),
        *("distance_start", "distance_stop", "minimum", "maximum", "mean", "version"),
    ]
    assert table.loc[4, "start"] == pd.Timestamp(START + 100 * STEP, tz="UTC")
    assert table.loc[20, "stop"] == pd.Timestamp(START + 750 * STEP, tz="UTC")
    assert table.loc[20, ["first_sample", "stop_sample", "stop_channel"]].tolist() == [600, 650, 8]


@pytest.mark.parametrize(
    ("time", "distance", "rows"),
    [
        ((100, 200), None, [3, 4, 5]),
        ((99, 101), None, [0, 1, 2, 3, 4, 5]),
        ((400, 500), None, []),
        (None, (3, 6), [1, 4, 7, 10, 13, 16, 19]),
        ((500, 600), (2.5, 3), [12]),
        ((500, 600), (2.5, 3.5), [12, 13]),
    ],
)
def test_tiles_of_which_a_part_is_there(tiles, cable, at, time, distance, rows):
    first, spacing = cable.facts["distance_start"], cable.facts["spacing"]
    found = tiles.table(
        time and [at(one) for one in time], distance and [first + one * spacing for one in distance]
    )
    assert found.index.tolist() == rows
    assert found["file"].tolist() == tiles.table().loc[rows, "file"].tolist()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"time": ("2021-11-01T23:11:14", "2021-11-01T23:11:15")}, "zone"),
        ({"distance": (5, 3)}, "ends before it begins"),
        ({"distance": 7}, "two distances"),
    ],
)
def test_what_cannot_be_asked_for(tiles, options, told):
    with pytest.raises(InputError, match=told):
        tiles.table(**options)


def test_every_tile_leads_back_to_its_samples(tiles):
    numbers = np.r_[0:400, 500:750]  # of the acquisition, by index
    table = tiles.table()
    for row, tile in table.iterrows():
        picture = tiles.picture(row)
        assert (picture.shape, picture.dtype, set(picture[1:].flat)) == ((256, 256), np.uint8, {row})
        found = tiles.samples(row)
        samples = np.arange(tile["first_sample"], tile["stop_sample"])
        channels = np.arange(tile["first_channel"], tile["stop_channel"])
        assert found.dims == ("distance", "time")
        assert found.chunks is not None
        assert found["sample"].to_numpy().tolist() == samples.tolist()
        assert found["channel"].to_numpy().tolist() == channels.tolist()
        assert np.array_equal(found, numbers[samples] * 1000 + channels[:, None])
        assert found["time"].to_numpy()[0] == tile["start"].to_datetime64()
        assert found["time"].to_numpy()[-1] + np.timedelta64(STEP) == tile["stop"].to_datetime64()
        assert found["distance"].to_numpy()[0] == pytest.approx(tile["distance_start"])
        assert found.attrs["gaps"] == []
        selected = tiles.raw.cable().select(
            (tile["start"], tile["stop"]), (tile["distance_start"] - 0.1, tile["distance_stop"] - 0.1)
        )
        assert selected.identical(found)


def test_samples_by_their_indices(cable):
    """Also over a gap, and where two files overlap."""
    found = cable.cut((390, 410), (2, 4))
    assert found["sample"].to_numpy().tolist() == list(range(390, 410))
    assert np.array_equal(found, samples_of(0, 750, 8)[np.r_[390:400, 500:510], 2:4].T)
    assert found.attrs["gaps"] == [("2021-11-01T23:11:16.834Z", "2021-11-01T23:11:17.334Z")]


def test_samples_of_files_that_overlap(record, folder):
    write_prodml(folder / "a.h5", 0, 400)
    write_prodml(folder / "b.h5", 300, 400)
    found = record(folder).cut((350, 510), (0, 8))  # 400 to 499 are of a time that the earlier file has
    assert np.array_equal(found, samples_of(350, 60, 8).T)
    assert found.attrs["gaps"] == []


@pytest.mark.parametrize("samples", [(0, 651), (-1, 3), (5, 5), (7, 5)])
def test_samples_that_are_not_there(cable, samples):
    with pytest.raises(InputError, match=r"samples .* there are 650"):
        cable.cut(samples, (0, 8))
    with pytest.raises(InputError, match=r"channels 0 to 9: there are 8"):
        cable.cut((0, 10), (0, 9))


@pytest.mark.parametrize("row", [-1, 21])
def test_rows_that_are_not_there(tiles, row):
    for ask in (tiles.picture, tiles.samples):
        with pytest.raises(NotFoundError, match=f"no tile {row} in .*; there are 21, from 0 on"):
            ask(row)


def test_the_raw_run_is_gone(catalog, cable):
    tiles = write_tiles(catalog, cable, derived_from="no-such-run").tiles()
    with pytest.raises(NotFoundError, match=r"made of run no-such-run, which is not in the catalog at http"):
        tiles.samples(0)
    assert tiles.picture(3)[1, 0] == 3
    assert len(tiles.table()) == 21


def test_other_runs_have_no_tiles(cable, catalog):
    with pytest.raises(InputError, match="has no tiles"):
        cable.run.tiles()
    with TiledWriter(catalog) as writer:
        writer("start", {"uid": "x", "time": 0.0})
        writer("stop", {"uid": "y", "run_start": "x", "time": 1.0, "exit_status": "success"})
    with pytest.raises(InputError, match="has no tiles"):
        catalog["x"].tiles()


def pictures_of(axes):
    """Return which row's picture is where on a sheet; None where there is none."""
    (image,) = axes.images
    shown = np.asarray(image.get_array())
    corners = shown[1 :: 256 + 8, :: 256 + 8]
    return [[int(one[0]) if one[0] == one[2] else None for one in line] for line in corners]


def test_a_contact_sheet(tiles, cable):
    figure = tiles.contact_sheet()
    (axes,) = figure.axes
    (bar,) = axes.child_axes
    assert pictures_of(axes) == [[3 * line + column for column in range(3)] for line in range(7)]
    shown = np.asarray(axes.images[0].get_array())
    assert shown.shape == (7 * 264 - 8, 3 * 264 - 8, 3)
    assert shown[264, 264:520, 0].tolist() == list(range(256))  # time is downwards
    assert (shown[:, 256:264] == 255).all()
    figure.canvas.draw()
    assert [one.get_text() for one in axes.get_yticklabels()][:3] == [
        "23:11:14.834",
        "23:11:15.334",
        "23:11:15.834",
    ]
    assert [one.get_text() for one in axes.get_xticklabels()] == ["204.2", "210.3", "216.4"]
    assert axes.get_ylabel() == "time (UTC), 2021-11-01"
    assert axes.get_xlabel() == "distance (m)"
    assert axes.xaxis.get_label_position() == "top"
    assert (
        axes.get_title(loc="left")
        == f"{cable.name}: 21 tiles of 0.5 s by 3 channels\ntimes without tiles are left out"
    )
    assert (bar.get_ylim(), bar.get_ylabel()) == ((-60, 20), "level (dB re 1e-06)")


def test_a_part_of_the_cable(tiles, at, requests):
    figure = tiles.contact_sheet((at(110), at(350)), (215, 217))
    (axes,) = figure.axes
    assert pictures_of(axes) == [[4, 5], [7, 8], [10, 11]]
    assert " ".join(axes.get_title(loc="left").split()) == "tiles: 6 tiles of 0.5 s by 3 channels"
    (body,) = requests
    assert body.count('"start"') == 6


def test_more_than_can_be_drawn(tiles, requests):
    figure = tiles.contact_sheet(columns=2, limit=5)
    axes = figure.axes[0]
    assert pictures_of(axes) == [[0, 2], [12, 14]]
    title = " ".join(axes.get_title(loc="left").split())
    assert ": 4 of 21 tiles of 0.5 s by 3 channels shown are 1 of 4 in time and 1 of 2 in distance" in title
    (body,) = requests
    assert body.count('"start"') == 4
    assert pictures_of(tiles.contact_sheet(limit=1).axes[0]) == [[0]]


def test_tiles_that_are_missing(catalog, cable):
    tiles = write_tiles(catalog, cable, missing=(0, 4), scale={"low": None, "high": None}).tiles()
    (axes,) = tiles.contact_sheet().axes
    (bar,) = axes.child_axes
    assert pictures_of(axes)[:2] == [[None, 0, 1], [2, None, 3]]
    title = axes.get_title(loc="left")
    assert ": 19 tiles of" in title
    assert "each with its own scale; times without tiles are left out; blue: no tile" in " ".join(
        title.split()
    )
    assert [one.get_text() for one in bar.get_yticklabels()] == ["least", "greatest"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"columns": 0}, "columns=0"),
        ({"limit": -1}, "limit=-1"),
        ({"distance": (0, 10)}, "no tiles there"),
    ],
)
def test_what_cannot_be_drawn(tiles, options, told):
    with pytest.raises(InputError, match=told):
        tiles.contact_sheet(**options)


def test_an_axes_of_ones_own(tiles):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    assert tiles.contact_sheet(ax=axes) is figure
    assert len(axes.images) == 1


def test_which_are_drawn():
    """Of 50 times by 40 columns of tiles."""
    begins = pd.to_datetime(np.repeat(np.arange(50) * 15, 40), unit="s", utc=True)
    channels = np.tile(np.arange(40) * 750, 50)
    stops = begins + pd.Timedelta(15, "s")
    table = pd.DataFrame(
        {"start": begins, "stop": stops, "first_channel": channels, "distance_start": channels * 2.0}
    )
    grid = arranged(table, None, 200)
    assert grid.every == (4, 3)
    assert grid.channels.tolist() == list(range(0, 30_000, 2250))
    assert grid.distances.tolist() == list(range(0, 60_000, 4500))
    assert (grid.times / 1e9).tolist() == list(range(0, 750, 60))
    assert len(grid.drawn) == 13 * 14
    assert grid.drawn.loc[163, ["line", "column"]].tolist() == [1, 1]
