"""Corrected time: through every tie point, monotonic within a stretch, and as stated outside."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.documents.clocks import CHANGE, TiePoint, corrected, drift_ppm
from tilewright.documents.times import SECOND, FileSpan, nominal

START = 1_682_435_360 * SECOND
RATE = 48_000
MINUTE = 60 * RATE


def minutes(count: int, every: int = 60) -> list[FileSpan]:
    """Return files of a minute, one after so many seconds."""
    return [
        FileSpan(n * MINUTE, MINUTE, START + n * every * SECOND, Fraction(RATE), SECOND) for n in range(count)
    ]


def time_of(pieces: list, sample: int) -> int:
    (piece,) = [each for each in pieces if each.start <= sample < each.stop]
    return piece.time(sample)


def test_without_tie_points_it_is_the_units_own() -> None:
    files = minutes(3)
    assert corrected(files, []) == nominal(files)
    assert drift_ppm(files, []) is None


def test_counted_samples_between_tie_points_are_exact() -> None:
    ties = [
        TiePoint(0, START, 0, 10),
        TiePoint(0, START + SECOND, 47_999, 20),
        TiePoint(0, START + 2 * SECOND, 95_999, 10),
    ]
    pieces = corrected(minutes(1), ties)
    assert [(piece.start, piece.stop) for piece in pieces] == [
        (0, 47_999),
        (47_999, 95_999),
        (95_999, MINUTE),
    ]
    assert pieces[0].period == Fraction(SECOND, 47_999)
    assert pieces[1].period == Fraction(SECOND, 48_000)
    assert pieces[2].period == Fraction(
        2 * SECOND, 95_999
    )  # outside: the line through the first and the last
    assert [piece.is_extrapolated for piece in pieces] == [False, False, True]
    assert [pieces[n].time(s) for n, s in ((0, 0), (1, 47_999), (2, 95_999))] == [tie.utc for tie in ties]
    assert pieces[0].uncertainty == pieces[1].uncertainty == 20
    far = pieces[2].ends - ties[-1].utc
    assert pieces[2].uncertainty == pytest.approx(10 + far * float(CHANGE), rel=0.001)
    # 95,999 samples in 2 s where 96,000 should be: the clock is slow
    assert drift_ppm(minutes(1), ties) == pytest.approx(-1e6 / 96_000, rel=1e-3)


@given(
    ppm=st.integers(-90, 90),
    offset=st.integers(-5 * SECOND, 5 * SECOND),
    samples=st.lists(st.integers(0, 10 * MINUTE), min_size=2, max_size=8, unique=True),
)
def test_a_steady_clock_is_set_right_everywhere(ppm: int, offset: int, samples: list[int]) -> None:
    files = minutes(10)  # one stretch

    def truth(sample: int) -> Fraction:
        return START + offset + Fraction(sample * SECOND, RATE) * (1 - Fraction(ppm, 10**6))

    ties = [TiePoint(0, round(truth(sample)), sample, 0) for sample in samples]
    pieces = corrected(files, ties)
    assert pieces[0].start == 0
    assert pieces[-1].stop == 10 * MINUTE
    assert all(before.stop == after.start for before, after in pairwise(pieces))
    span = max(samples) - min(samples)
    for sample in (0, 1, MINUTE, 5 * MINUTE + 17, 10 * MINUTE - 1):
        slack = 2 + 10 * MINUTE / span  # tie points are whole nanoseconds
        assert abs(time_of(pieces, sample) - truth(sample)) <= slack


def test_a_table_of_drifts_is_a_line_in_the_units_time() -> None:
    files = minutes(48, every=3600)  # two days, a minute an hour
    ties = [
        TiePoint(START - SECOND, START - SECOND, None, 1000),
        TiePoint(START + 48 * 3600 * SECOND, START + 48 * 3600 * SECOND - 2 * SECOND, None, 1000),
    ]
    pieces = corrected(files, ties)
    assert len(pieces) == 48
    for piece, file in zip(pieces, files, strict=True):
        expected = file.start - Fraction(
            2 * SECOND * (file.start - ties[0].nominal), ties[1].nominal - ties[0].nominal
        )
        assert abs(piece.begins - expected) <= 1
        assert piece.uncertainty == 1000 + SECOND  # the start is told in whole seconds
        assert not piece.is_extrapolated
    assert drift_ppm(files, ties) == pytest.approx(2 / (48 * 3600) * 1e6, rel=1e-3)


def test_each_stretch_goes_by_its_own_tie_points() -> None:
    """Starts are told in whole seconds: what is off in one file must not pull the times of the next."""
    files = minutes(2, every=120)
    ties = [
        *(TiePoint(0, START + 400_000_000 + s * SECOND, s * RATE, 0) for s in (1, 50)),
        *(
            TiePoint(0, START + 120 * SECOND + 900_000_000 + s * SECOND, MINUTE + s * RATE, 0)
            for s in (1, 50)
        ),
    ]
    pieces = corrected(files, ties)
    assert time_of(pieces, MINUTE - 1) == START + 400_000_000 + 60 * SECOND - SECOND // RATE
    assert time_of(pieces, MINUTE) == START + 120 * SECOND + 900_000_000
    assert drift_ppm(files, ties) == 0


def test_one_tie_point_gives_its_offset_and_the_units_drift() -> None:
    files = minutes(2, every=120)
    only = TiePoint(0, START + SECOND, 0, 5)
    pieces = corrected(files, [only])
    assert [piece.begins for piece in pieces] == [START + SECOND, START + 121 * SECOND]
    assert [piece.is_extrapolated for piece in pieces] == [True, True]
    assert pieces[0].uncertainty == 5 + 300_000
    assert pieces[1].uncertainty == 5 + SECOND + 900_000
    assert drift_ppm(files, [only]) is None


def test_tie_points_too_near_each_other_tell_no_drift() -> None:
    files = minutes(2, every=120)
    ties = [TiePoint(0, START, 0), TiePoint(0, START + 120 * SECOND + SECOND // 2, MINUTE)]
    assert drift_ppm(files, ties) is None  # half a second in two minutes is the coarse start, and no clock
    pieces = corrected(files, ties)
    assert [piece.period for piece in pieces] == [Fraction(SECOND, RATE)] * 2
    assert [piece.uncertainty for piece in pieces] == [None, None]


def test_readings_of_the_clock_itself_tell_its_drift_however_near_they_are() -> None:
    files = minutes(2, every=120)
    ties = [TiePoint(START, START), TiePoint(START + 300 * SECOND, START + 300 * SECOND - 3_000_000)]
    assert drift_ppm(files, ties) == pytest.approx(10, rel=1e-3)


def test_a_tie_point_of_a_sample_that_was_not_recorded_counts_by_its_nominal_time() -> None:
    files = minutes(1)
    tie = TiePoint(START + 600 * SECOND, START + 601 * SECOND, 10 * MINUTE)
    (piece,) = corrected(files, [tie])
    assert piece.begins == START + SECOND


def test_the_sample_after_the_last_one_may_be_tied() -> None:
    """A pulse may come with the end of the file."""
    ties = [TiePoint(0, START, 0), TiePoint(0, START + 60 * SECOND, MINUTE)]
    (piece,) = corrected(minutes(1), ties)
    assert (piece.begins, piece.ends, piece.is_extrapolated) == (START, START + 60 * SECOND, False)


def test_the_same_moment_twice_counts_once() -> None:
    ties = [TiePoint(0, START, 0), TiePoint(0, START + 5, 0), TiePoint(0, START + 30 * SECOND, MINUTE // 2)]
    pieces = corrected(minutes(1), ties)
    assert pieces[0].begins == START + 5


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_tie_points_does_not_matter(order: int) -> None:
    ties = [TiePoint(0, START + s * SECOND + s, s * RATE) for s in (0, 10, 20, 30)]
    assert corrected(minutes(1), ties[::order]) == corrected(minutes(1), ties)
