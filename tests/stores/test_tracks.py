"""Where in arrays the frames of blocks are, beside going over all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.stores.tracks import Place, Track

SIZE = 4
"""Bytes of a frame."""


def rows(blocks):
    """Return rows as of a run's table, of (first frame in the session, frames, first in the array, run)."""
    made = np.array([(SIZE * at, SIZE * count, first, run) for at, count, first, run in blocks], np.int64)
    return made.reshape(-1, 4).T


@given(
    order=st.permutations(range(6)),
    lengths=st.lists(st.integers(1, 5), min_size=6, max_size=6),
    data=st.data(),
)
def test_each_frame_is_where_it_was_put(order, lengths, data):
    """Blocks of a session that came in any order, some into another run."""
    begins = np.cumsum([0, *lengths])
    array, blocks = {}, []
    counts = [0, 0]
    for number in order:
        run = data.draw(st.integers(0, 1))
        blocks.append((begins[number], lengths[number], counts[run], run))
        for frame in range(lengths[number]):
            array[run, counts[run] + frame] = begins[number] + frame
        counts[run] += lengths[number]
    track = Track()
    split = data.draw(st.integers(0, 6))
    track.add(rows(blocks[:split]))
    for at, count, first, run in blocks[split:]:
        track.written[SIZE * int(at)] = Place(SIZE * count, int(first), run)
    start = data.draw(st.integers(0, int(begins[-1]) - 1))
    stop = data.draw(st.integers(start + 1, int(begins[-1])))
    offsets = np.array(
        [SIZE * b for b, n in zip(begins, lengths, strict=False) if b < stop and b + n > start]
    )
    found = list(track.stretches(offsets, SIZE, start, stop))
    frames = [array[one.run, one.first + n] for one in found for n in range(one.stop - one.start)]
    assert frames == list(range(start, stop))
    assert [one.start for one in found[1:]] == [one.stop for one in found[:-1]]
    for at, count, first, run in blocks:
        assert track.find(SIZE * int(at)) == Place(SIZE * count, int(first), run)
    assert track.find(SIZE * int(begins[-1])) is None


def test_blocks_in_order_are_one_stretch():
    track = Track()
    track.add(rows([(n * 10, 10, n * 10, 3) for n in range(1000)]))
    (found,) = track.stretches(np.arange(0, 4000, 10)[:50] * SIZE, SIZE, 5, 495)
    assert (found.run, found.first, found.start, found.stop) == (3, 5, 5, 495)


def test_the_later_of_two_counts():
    track = Track()
    track.add(rows([(0, 10, 0, 0), (10, 10, 10, 0), (0, 10, 20, 0)]))
    assert track.find(0) == Place(40, 20, 0)
    track.written[0] = Place(8, 30, 1)
    assert track.find(0) == Place(8, 30, 1)
    assert track.settled()[:, 0].tolist() == [0, 8, 30, 1]


def test_a_longer_block_before_the_next_one_ends_there():
    track = Track()
    track.add(rows([(0, 15, 0, 0), (10, 10, 15, 0)]))
    found = [(one.first, one.start, one.stop) for one in track.stretches(np.array([0, 40]), SIZE, 0, 20)]
    assert found == [(0, 0, 10), (15, 10, 20)]


@pytest.mark.parametrize("track", [Track(), Track(rows([(0, 10, 0, 0)]))])
def test_a_block_that_is_not_there(track):
    with pytest.raises(KeyError):
        list(track.stretches(np.array([80]), SIZE, 20, 30))
