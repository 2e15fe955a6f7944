"""Timelines: gaps, overlaps and bisection against plain arithmetic over every sample."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.clients.recordings.gaps import without_holes
from tilewright.clients.recordings.timeline import Timeline
from tilewright.documents.times import SECOND, FileSpan, nominal

RATE = 1000
PERIOD = SECOND // RATE


def timeline(*starts_and_samples, rate=RATE):
    """Return the timeline of files that start so many periods after 0 and have so many samples, in this order."""
    files, first = [], 0
    for start, samples in starts_and_samples:
        files.append(FileSpan(first, samples, round(start * PERIOD), Fraction(rate), 0))
        first += samples
    return Timeline(nominal(files), [file.rate for file in files])


def kept(line):
    return [(part.start, part.stop) for part in line.stretches]


def breaks(line):
    return [(one.kind, one.start / PERIOD, one.stop / PERIOD, one.files) for one in line.breaks]


def test_files_that_follow_each_other():
    line = timeline((0, 10), (10, 10))
    assert kept(line) == [(0, 10), (10, 20)]
    assert breaks(line) == []
    assert [len(segment) for segment in line.segments(line.stretches)] == [2]


@pytest.mark.parametrize("off", [-0.5, -0.2, 0.2, 0.5])
def test_half_a_period_is_no_gap_and_no_overlap(off):
    line = timeline((0, 10), (10 + off, 10))
    assert kept(line) == [(0, 10), (10, 20)]
    assert breaks(line) == []


def test_a_gap():
    assert breaks(timeline((0, 10), (10.6, 10))) == [("gap", 10, 10.6, (0, 1))]


def test_an_overlap_is_the_earlier_file_s():
    line = timeline((0, 10), (7, 10))
    assert kept(line) == [(0, 10), (13, 20)]
    assert breaks(line) == [("overlap", 7, 10, (0, 1))]
    assert [(part.start, part.stop) for part in line.whole] == [(0, 10), (10, 20)]


def test_an_overlap_by_other_than_whole_periods():
    line = timeline((0, 10), (7.3, 10))
    assert kept(line) == [(0, 10), (13, 20)]  # at 10.3: no time twice, and no hole of half a period
    assert breaks(line) == [("overlap", 7.3, 10, (0, 1))]


def test_a_file_within_another():
    line = timeline((0, 10), (2, 5), (10, 5))
    assert kept(line) == [(0, 10), (15, 20)]
    assert breaks(line) == [("overlap", 2, 7, (0, 1))]
    assert [[part.start for part in segment] for segment in line.segments(line.whole)] == [[0, 15], [10]]


def test_files_out_of_order():
    line = timeline((20, 10), (0, 10), (10, 10))
    assert kept(line) == [(10, 20), (20, 30), (0, 10)]
    assert breaks(line) == []


def test_a_change_of_rate_ends_a_segment():
    files = [FileSpan(0, 10, 0, Fraction(1000), 0), FileSpan(10, 10, 10 * PERIOD, Fraction(500), 0)]
    line = Timeline(nominal(files), [file.rate for file in files])
    assert len(line.segments(line.stretches)) == 2


def test_nothing():
    line = timeline()
    assert (line.begins, line.ends, line.between(0, 1), line.before(1), line.after(0)) == (
        None,
        None,
        [],
        None,
        None,
    )
    assert without_holes(line, 0, SECOND) == []


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), min_size=1, max_size=5)


@given(spans, st.integers(-20 * PERIOD, 100 * PERIOD), st.integers(1, 60 * PERIOD))
def test_every_sample_that_counts_is_found_where_its_time_is(files, begin, length):
    """Of every time the file that begins first has it, unless it is over; each is found from its time on, before the end."""
    line = timeline(*files)
    places, first = [], 0
    for start, samples in files:
        places += [(start + n, first + n) for n in range(samples)]
        first += samples
    wanted, reached = {}, -1
    for part in line.whole:
        wanted |= {
            time: sample for time, sample in places if part.start <= sample < part.stop and time >= reached
        }
        reached = max(reached, part.ends // PERIOD)
    end = begin + length
    found = [sample for part in line.between(begin, end) for sample in range(part.start, part.stop)]
    assert found == [wanted[time] for time in sorted(wanted) if begin <= time * PERIOD < end]


@given(spans, st.integers(-20 * PERIOD, 100 * PERIOD), st.integers(1, 60 * PERIOD))
def test_a_grid_without_holes_has_every_period_once(files, begin, length):
    """Files start at whole periods, so that the grid of each is that of all."""
    line, end = timeline(*files), begin + length
    times = [time for part in without_holes(line, begin, end) for time in part.times().tolist()]
    assert times == [n * PERIOD for n in range(-20, 161) if begin <= n * PERIOD < end]
    recorded = {time for part in line.between(begin, end) for time in part.times().tolist()}
    told = {
        time for part in without_holes(line, begin, end) if part.is_recorded for time in part.times().tolist()
    }
    assert told == recorded


starts = st.lists(st.tuples(st.floats(0, 60), st.integers(1, 20)), min_size=1, max_size=5)


@given(starts, st.integers(-20 * PERIOD, 100 * PERIOD), st.integers(1, 60 * PERIOD))
def test_times_go_forward_by_half_a_period_to_one_and_a_half(files, begin, length):
    line = timeline(*files)
    times = [time for part in without_holes(line, begin, begin + length) for time in part.times().tolist()]
    assert all(begin <= time < begin + length for time in times)
    steps = [(after - before) / PERIOD for before, after in pairwise(times)]
    assert all(0.499 < step < 1.501 for step in steps)


@pytest.mark.parametrize("begin", [9, 9.5, 10])
def test_a_span_that_begins_in_the_last_period_of_a_file(begin):
    line = timeline((0, 2), (5.25, 5 - 1), (20, 10))  # whose grids are not those of each other
    for end in (15, 25):
        parts = without_holes(line, round((begin + 0.25) * PERIOD), end * PERIOD)
        assert parts[0].piece.origin == 2
        assert not parts[0].is_recorded
        assert [part.is_recorded for part in parts[1:]] == [True] * (end == 25)


def test_the_grid_of_what_was_before_goes_on():
    line = timeline((0, 10), (20.3, 10))
    parts = without_holes(line, 12 * PERIOD, 25 * PERIOD)
    assert [(part.is_recorded, len(part)) for part in parts] == [(False, 8), (True, 5)]
    assert parts[0].begins == 12 * PERIOD
    assert parts[1].begins == 20.3 * PERIOD


def test_the_grid_of_what_comes_is_carried_back():
    parts = without_holes(timeline((20.3, 10)), 12 * PERIOD, 25 * PERIOD)
    assert [(part.is_recorded, len(part), part.begins) for part in parts] == [
        (False, 8, 12.3 * PERIOD),
        (True, 5, 20.3 * PERIOD),
    ]


def test_how_far_the_array_goes_on():
    line = timeline((0, 10), (10, 10), (20, 10), (31, 10), (40, 10))
    assert [line.reach(part) for part in line.stretches] == [(0, 30)] * 3 + [(30, 40), (41, 50)]
