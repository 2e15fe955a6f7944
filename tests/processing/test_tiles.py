"""Tiles lie where they say, whatever the chunks; pictures show which sample is where, in the scale that is stated."""

import io

import numpy as np
import pytest
from PIL import Image

from tilewright.errors import InputError
from tilewright.processing import Block, Decimate, Pipeline, Shape, Signal, Span
from tilewright.processing.pictures import (
    OWN_SCALE,
    SIZE,
    Drawing,
    Scale,
    Summary,
    draw,
    grey,
    pictures,
    png,
    summary,
)
from tilewright.processing.tiles import Place, Tile, Tiling, block_of, chunks_of, cut
from tilewright.processing.workers import Threads

RATE = 100.0


def placed(channels, samples):
    """Return values that say where they are: a thousand a channel, one a sample."""
    return 1000.0 * np.arange(channels)[:, None] + np.arange(samples)


def cable(channels=7, samples=950):
    values = placed(channels, samples)
    return Signal(lambda start, stop: values[:, start:stop], Shape(channels, samples, RATE))


NOTHING = Pipeline((), "float64")
DRAWING = Drawing(NOTHING, Tiling(2.0, 3), Scale(0.0, 7000.0))


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
@pytest.mark.parametrize("rows", [Span(0, 5), Span(0, 1), Span(1, 4), Span(4, 5)])
def test_tiles_have_the_values_of_their_place(at_once, rows):
    tiling = Tiling(2.0, 3)
    assert tiling.count(cable().shape) == (5, 3)
    found = []
    for part in chunks_of(rows, at_once):
        for tile in cut(block_of(NOTHING, cable(), tiling, part), tiling):
            at, of = tile.place.samples, tile.place.channels
            assert (at.start, of.start) == (tile.place.row * 200, tile.place.column * 3)
            assert np.array_equal(tile.values, placed(7, 950)[of.start : of.stop, at.start : at.stop])
            found.append((tile.place.row, tile.place.column, len(at), len(of)))
    assert found == [
        (row, column, 150 if row == 4 else 200, 1 if column == 2 else 3)
        for row in range(rows.start, rows.stop)
        for column in range(3)
    ]


def test_a_tile_has_rounded_samples_of_the_outputs():
    assert Tiling(15.0, 10).samples(99.99) == 1500
    assert Tiling(0.001, 10).samples(100.0) == 1
    block = block_of(Pipeline((Decimate(2),)), cable(), Tiling(2.0, 7), Span(0, 1))
    assert block.values.shape == (7, 100)


@pytest.mark.parametrize(("start", "stop"), [(0, 150), (100, 400), (800, 900), (1, 950)])
def test_a_part_of_a_tile_is_refused(start, stop):
    with pytest.raises(InputError, match=f"cannot cut samples {start} to {stop} into tiles of 200"):
        cut(Block(placed(7, stop - start), start, 950, RATE), Tiling(2.0, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Tiling(0, 10), "a tile's length in seconds"),
        (lambda: Tiling(15.0, 0), "a tile's number of channels"),
        (lambda: Tiling(15.0, 7.5), "a tile's number of channels"),
        (lambda: Scale(0.0, None), "the value that is white"),
        (lambda: Scale(float("nan"), 10), "the value that is black"),
        (lambda: Scale(10.0, 10.0), "expected the value that is black first"),
        (lambda: pictures(DRAWING, cable(), at_once=0), "the number of tiles a task"),
        (
            lambda: block_of(NOTHING, cable(), Tiling(2.0, 3), Span(3, 6)),
            "cannot take tiles 3 to 6 in time: there are 5",
        ),
        (lambda: block_of(NOTHING, cable(), Tiling(2.0, 3), Span(2, 2)), "cannot take tiles 2 to 2"),
        (lambda: pictures(DRAWING, cable(), Span(5, 6)), "cannot take tiles 5 to 6"),
    ],
)
def test_what_is_no_tiling_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_picture_has_time_downwards_and_distance_across():
    values = np.zeros((SIZE, SIZE), np.float32)
    values[10, 200] = 100.0
    picture = grey(values, Scale(0.0, 100.0), summary(values))
    assert (picture.shape, picture.dtype) == ((SIZE, SIZE), np.uint8)
    assert np.argwhere(picture).tolist() == [[200, 10]]
    assert picture[200, 10] == 255


def test_an_element_is_the_mean_of_its_area():
    values = np.random.default_rng(1).uniform(0, 255, (3 * SIZE, 6 * SIZE)).astype(np.float32)
    expected = values.reshape(SIZE, 3, SIZE, 6).mean(axis=(1, 3)).T
    assert np.abs(grey(values, Scale(0.0, 255.0), summary(values)) - expected).max() <= 0.5001


@pytest.mark.parametrize("shape", [(750, 1500), (1, 1), (3, 700), (257, 255)])
def test_tiles_of_any_shape_fill_their_picture(shape):
    """Evenly: means over areas that differ by a sample at most, or the nearest sample."""
    values = np.repeat(np.linspace(0, 200, shape[1], dtype=np.float32)[None], shape[0], axis=0)
    picture = grey(values, Scale(0.0, 200.0), summary(values)).astype(float)
    expected = (
        np.clip((np.arange(SIZE) + 0.5) / SIZE * shape[1] - 0.5, 0, shape[1] - 1) / max(1, shape[1] - 1) * 255
    )
    assert (picture == picture[:, :1]).all()
    assert np.abs(picture[:, 0] - expected).max() <= 0.5 + 255 / max(SIZE, shape[1])


def test_a_fixed_scale_keeps_amplitudes():
    for value, expected in ((139.0, 0), (140.0, 0), (150.0, 85), (160.0, 170), (170.0, 255), (171.0, 255)):
        values = np.full((5, 7), value, np.float32)
        assert (grey(values, Scale(140.0, 170.0), summary(values)) == expected).all()


def test_an_own_scale_is_from_the_least_to_the_greatest():
    values = np.linspace(-3, 7, SIZE * SIZE).reshape(SIZE, SIZE).astype(np.float32)
    picture = grey(values, OWN_SCALE, summary(values))
    notebook = ((values - values.min()) / (values.max() - values.min()) * 255).T
    assert np.abs(picture - notebook).max() <= 0.501
    flat = np.full((5, 7), 3.0, np.float32)
    assert (grey(flat, OWN_SCALE, summary(flat)) == 0).all()


def test_a_png_is_read_as_what_was_drawn():
    picture = np.arange(SIZE * SIZE).reshape(SIZE, SIZE).astype(np.uint8)
    read = Image.open(io.BytesIO(png(picture)))
    assert (read.format, read.mode) == ("PNG", "L")
    assert np.array_equal(np.asarray(read), picture)


def test_a_drawn_tile_says_what_its_values_are():
    place = Place(3, 1, Span(600, 800), Span(3, 6))
    values = placed(6, 800)[3:6, 600:800].astype(np.float32)
    drawn = draw(Tile(place, values), Scale(0.0, 10_000.0))
    assert (drawn.place, drawn.summary) == (place, Summary(3600.0, 5799.0, 4699.5))
    assert drawn.png == png(grey(values, Scale(0.0, 10_000.0), drawn.summary))


def test_pictures_are_the_same_whatever_is_computed_at_once():
    one = list(pictures(DRAWING, cable(), at_once=1, workers=Threads(1)))
    assert len(one) == 15
    assert list(pictures(DRAWING, cable(), at_once=3, workers=Threads(2))) == one
    assert list(pictures(DRAWING, cable(), Span(2, 4))) == [each for each in one if each.place.row in {2, 3}]
