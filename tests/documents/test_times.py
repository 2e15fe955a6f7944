"""Times of samples against exact rational arithmetic, and what is taken for a time."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.documents.times import SECOND, FileSpan, Piece, nearest, nominal, utc_ns
from tilewright.errors import InputError

WEEK = 7 * 86_400
START = 1_682_435_360 * SECOND
RATES = st.one_of(
    st.sampled_from([8_000, 22_050, 44_100, 48_000, 96_000, 192_000, 250_000, 384_000]).map(Fraction),
    st.fractions(min_value=1, max_value=1_000_000, max_denominator=10**9),
)


def test_a_week_at_192_khz_is_exact_always() -> None:
    rate, chance = 192_000, random.Random(1)
    (piece,) = nominal([FileSpan(0, rate * WEEK, START, Fraction(rate))])
    for _ in range(20_000):
        time = START + chance.randrange(WEEK * SECOND)
        index = piece.index(time)
        exact = Fraction((time - START) * rate, SECOND)
        assert index == -(-exact.numerator // exact.denominator)
        assert piece.exact(index) >= time > piece.exact(index - 1)
    # What nanosecond steps would make of an hour
    assert abs(3600 * rate * 5208 - 3600 * SECOND) / SECOND == pytest.approx(0.23, abs=0.001)


@given(
    rate=RATES,
    anchor=st.integers(-(2**60), 2**60),
    start=st.integers(0, 2**32),
    length=st.integers(0, 40_000),
)
def test_many_times_are_those_of_each_sample(rate: Fraction, anchor: int, start: int, length: int) -> None:
    piece = Piece(0, 2**39, 7, anchor, SECOND / rate, 0)
    times = piece.times(start, start + length)
    assert times.dtype == np.int64
    assert len(times) == length
    for place in {*range(min(length, 50)), *range(0, length, 997), *range(max(length - 50, 0), length)}:
        assert times[place] == piece.time(start + place)


def test_times_begin_anew_where_sums_would_overflow() -> None:
    period = Fraction(10**15 + 1, 10**11 + 3)  # a hundred million samples before 64 bits are full
    piece = Piece(0, 10**9, 0, START, period, 0)
    rest = period % 1
    most = ((1 << 62) - 2 * rest.denominator) // rest.numerator
    assert 10**6 < most < 10**9
    times = piece.times(0, 30_000_000)
    for index in (0, 1, 29_999_999):
        assert times[index] == piece.time(index)
    huge = Piece(0, 10**9, 0, START, Fraction(5 * 2**61 + 1, 2**61 - 1), 0)
    assert huge.times(5, 25).tolist() == [huge.time(index) for index in range(5, 25)]


@given(anchor=st.integers(0, 2**60), rate=RATES, time=st.integers(0, 2**60))
def test_index_is_the_first_sample_at_or_after(anchor: int, rate: Fraction, time: int) -> None:
    piece = Piece(0, 1, 0, anchor, SECOND / rate, 0)
    index = piece.index(time)
    assert piece.exact(index) >= time > piece.exact(index - 1)


def test_nearest() -> None:
    assert [nearest(Fraction(n, 4)) for n in (-3, -2, -1, 0, 1, 2, 3)] == [-1, 0, 0, 0, 0, 1, 1]


def test_a_piece_a_file_that_has_samples() -> None:
    files = [
        FileSpan(0, 10, START, Fraction(10)),
        FileSpan(10, 0, START + SECOND, Fraction(10)),
        FileSpan(10, 5, START + 2 * SECOND, Fraction(10), 1_000_000),
    ]
    first, second = nominal(files)
    assert (first.begins, first.ends, first.file, first.uncertainty) == (START, START + SECOND, 0, SECOND)
    assert (second.start, second.stop, second.file, second.uncertainty) == (10, 15, 2, 1_000_000)


MOMENT = 1_682_435_360_123_456_789


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2023-04-25T15:09:20.123456789Z", MOMENT),
        ("2023-04-25 15:09:20.123456789+00:00", MOMENT),
        ("2023-04-26T00:39:20.123456789+09:30", MOMENT),
        ("2023-04-25T15:09:20.123Z", MOMENT - 456_789),
        ("20230425T150920Z", MOMENT - 123_456_789),
        (datetime(2023, 4, 25, 15, 9, 20, 123_456, UTC), MOMENT - 789),
        (
            datetime(2023, 4, 26, 0, 39, 20, 123_456, timezone(timedelta(hours=9, minutes=30))),
            MOMENT - 789,
        ),
        (np.datetime64(MOMENT, "ns"), MOMENT),
        (np.datetime64("2023-04-25T15:09:20"), MOMENT - 123_456_789),
        (pd.Timestamp(MOMENT, tz="UTC"), MOMENT),
        (pd.Timestamp(MOMENT, tz="UTC").tz_convert("Australia/Adelaide"), MOMENT),
        ("1969-12-31T23:59:59.999999999Z", -1),
    ],
)
def test_times_that_are_taken(value: object, expected: int) -> None:
    assert utc_ns(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "2023-04-25T15:09:20",
        "2023-04-25",
        datetime(2023, 4, 25),  # noqa: DTZ001 - that is the point
        pd.Timestamp("2023-04-25"),
        pd.NaT,
    ],
)
def test_a_naive_time_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"begin of it.* has no time zone: give text with a zone"):
        utc_ns(value, "begin of it")


@pytest.mark.parametrize(
    "value",
    ["yesterday", 1_682_435_360, 3.5, None, np.datetime64("NaT"), np.datetime64(300_000, "D"), "", b"x"],
)
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="time"):
        utc_ns(value)
