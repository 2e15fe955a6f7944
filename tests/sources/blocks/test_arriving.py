"""What each block is among those that came."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.audio import Pcm
from tilewright.errors import InputError
from tilewright.sources.blocks.arriving import Arrivals

PCM = Pcm(8000)


def data(start, stop):
    """Return the bytes of samples that say which frame of the session they are."""
    return np.arange(start, stop).astype("<i2").tobytes()


def take(arrivals, start, stop):
    return arrivals.take(2 * start, data(start, stop))


def statuses(*spans):
    arrivals = Arrivals(PCM)
    return [take(arrivals, *span).status for span in spans], arrivals


@pytest.mark.parametrize(
    ("spans", "expected", "missing"),
    [
        ([(0, 10), (10, 20), (20, 25)], ["in order"] * 3, []),
        ([(5, 10)], ["after a gap"], [(0, 5)]),
        ([(0, 10), (20, 30)], ["in order", "after a gap"], [(10, 20)]),
        ([(0, 10), (20, 30), (10, 20)], ["in order", "after a gap", "late"], []),
        ([(0, 10), (30, 40), (15, 20)], ["in order", "after a gap", "late"], [(10, 15), (20, 30)]),
        ([(0, 10), (0, 10), (10, 20), (0, 10)], ["in order", "again", "in order", "again"], []),
        ([(0, 10), (5, 15)], ["in order", "overlapping"], []),
        ([(0, 10), (0, 5)], ["in order", "overlapping"], []),
        ([(0, 10), (20, 30), (5, 25)], ["in order", "after a gap", "overlapping"], []),
        ([(0, 10), (10, 10), (10, 20)], ["in order", "empty", "in order"], []),
    ],
)
def test_statuses(spans, expected, missing):
    found, arrivals = statuses(*spans)
    assert (found, arrivals.missing) == (expected, missing)


def test_one_that_comes_again_adds_nothing_and_another_one_does():
    arrivals = Arrivals(PCM)
    take(arrivals, 0, 10)
    assert len(take(arrivals, 0, 10).samples) == 0
    other = arrivals.take(0, data(100, 110))
    assert (other.status, other.samples.tolist()) == ("overlapping", list(range(100, 110)))


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr("tilewright.sources.blocks.arriving.REMEMBERED", 60)
    arrivals = Arrivals(PCM)
    for start in range(0, 50, 10):
        take(arrivals, start, start + 10)
    assert take(arrivals, 40, 50).status == "again"
    assert take(arrivals, 0, 10).status == "overlapping"  # forgotten, so that it is kept rather than lost
    assert len(arrivals._recent) == 3


@pytest.mark.parametrize(("bits", "channels"), [(16, 1), (24, 1), (24, 2), (32, 3)])
@given(cuts=st.lists(st.integers(0, 120), max_size=8))
def test_blocks_cut_anywhere_are_whole_again(bits, channels, cuts):
    """A buffer may hand out bytes without regard to frames."""
    pcm = Pcm(8000, bits, channels)
    content = bytes(range(1, 1 + 10 * pcm.frame_bytes))
    edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    arrivals = Arrivals(pcm)
    found = [arrivals.take(a, content[a:b]) for a, b in itertools.pairwise(edges)]
    assert b"".join(pcm.encode(each.samples) for each in found) == content
    assert (arrivals.missing, arrivals.rest, {each.remark for each in found}) == ([], "", {""})


def test_bytes_that_make_no_frame_are_told():
    arrivals = Arrivals(PCM)
    assert arrivals.take(0, b"\1\2\3").samples.tolist() == [0x0201]
    assert arrivals.rest == "the 1 byte 03 at 2 are no whole frame"
    late = arrivals.take(7, b"\4\5\6\7")
    assert late.remark == "the 1 byte 03 at 2 are no whole frame; the 1 byte 04 at 7 are no whole frame"
    assert (late.position, late.samples.tolist(), arrivals.rest) == (
        4,
        [0x0605],
        "the 1 byte 07 at 10 are no whole frame",
    )


@pytest.mark.parametrize(
    ("offset", "content", "message"),
    [
        (-2, b"12", "A block's offset is -2"),
        (1.5, b"12", r"A block's offset is 1\.5"),
        (True, b"12", "A block's offset is True"),
        ("0", b"12", "A block's offset is '0'"),
        (0, "text", "The block at 0 is 'text': expected bytes"),
        (0, None, "The block at 0 is None"),
    ],
)
def test_what_is_no_block_changes_nothing(offset, content, message):
    arrivals = Arrivals(PCM)
    take(arrivals, 0, 10)
    with pytest.raises(InputError, match=message):
        arrivals.take(offset, content)
    assert take(arrivals, 10, 20).status == "in order"


@given(
    order=st.permutations(range(8)),
    twice=st.lists(st.integers(0, 7), max_size=4),
    lost=st.sets(st.integers(0, 7)),
)
def test_whatever_comes_is_there_once(order, twice, lost):
    sequence = [block for block in [*order, *twice] if block not in lost]
    arrivals = Arrivals(PCM)
    there = {}
    for block in sequence:
        arrived = take(arrivals, 5 * block, 5 * block + 5)
        for n, sample in enumerate(arrived.samples.tolist()):
            assert arrived.position + n not in there
            there[arrived.position + n] = sample
    assert there == {n: n for block in set(sequence) for n in range(5 * block, 5 * block + 5)}
    end = max((5 * block + 5 for block in sequence), default=0)
    gaps = {n for first, last in arrivals.missing for n in range(first, last)}
    assert gaps == set(range(end)) - set(there)
