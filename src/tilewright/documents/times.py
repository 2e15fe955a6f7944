"""When a sample was taken: anchors, sample indices and rates come in; integer nanoseconds UTC go out, and back again.

The sources write what a unit's clock said, the clients select by it. No time is stored for a sample, and none is made
by adding a step: 1/192000 s rounded to nanoseconds would be wrong by 0.23 s after an hour. All is integers and fractions.

    file          a            b                  c
    samples       0 ... 2999   3000 ... 5999      6000 ...     `FileSpan`: index in the unit's array, and the clock's start
    nominal       one `Piece` a file: time(i) = anchor + (i - origin) · period
    corrected     the same pieces, cut at the tie points, each with the period that these give it: see `clocks`
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction  # noqa: TC003 - the doctests take it from here
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.documents.notes import quoted
from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SECOND = 1_000_000_000
"""Nanoseconds."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANGE = 1 << 63
"""Nanoseconds since 1970 that int64 and pandas hold: to the year 2262."""
_BLOCK = 1 << 14
"""Samples whose times are worked out at once: as many as stay in the cache, which is several times as fast."""
_BEYOND_MICROSECONDS = re.compile(r"([.,]\d{6})(\d{1,3})(?=\D|$)")
_ASK = "give text with a zone (2023-04-25T15:09:20Z, …+09:30), a datetime with a zone, a numpy.datetime64 (UTC) or a pandas.Timestamp with a zone"


def utc_ns(value: Any, what: str = "time") -> int:
    """Return a moment as nanoseconds since 1970, UTC.

    Parameters
    ----------
    value
        Text in ISO 8601 with a zone, a datetime or pandas.Timestamp with a zone, or a numpy.datetime64, which is UTC
        by its definition.
    what
        How the message calls it.

    Raises
    ------
    InputError
        If it has no zone, or is no time.

    Examples
    --------
    >>> utc_ns("1970-01-01T09:30:00.000000001+09:30"), utc_ns(np.datetime64(2, "s"))
    (1, 2000000000)
    """
    if isinstance(value, np.datetime64):
        return _of_numpy(value, what)
    extra = 0
    if isinstance(value, str):
        moment, extra = _parsed(value, what)
    elif isinstance(value, datetime):
        moment, extra = (
            value,
            getattr(value, "nanosecond", 0),
        )  # pandas.Timestamp is a datetime with nanoseconds
    else:
        raise InputError(f"The {what} is {quoted(value)}: {_ASK}.")
    if moment != moment or moment.utcoffset() is None:  # noqa: PLR0124 - NaT is not itself
        raise InputError(f"The {what} {quoted(str(value))} has no time zone: {_ASK}.")
    if extra and hasattr(moment, "nanosecond"):
        moment = moment.floor("us")  # type: ignore[attr-defined]
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000 + extra


def _of_numpy(value: np.datetime64, what: str) -> int:
    if np.isnat(value):
        raise InputError(f"The {what} is NaT: {_ASK}.")
    exact = value.astype("datetime64[ns]")
    if exact.astype(value.dtype) != value:
        raise InputError(f"The {what} {value} is past what nanoseconds in 64 bits hold (1678 to 2262).")
    return int(exact.astype(np.int64))


def _parsed(text: str, what: str) -> tuple[datetime, int]:
    """Return a time to the microsecond, and the nanoseconds beyond."""
    beyond = _BEYOND_MICROSECONDS.search(text)
    extra = int(beyond[2].ljust(3, "0")) if beyond else 0
    try:
        return datetime.fromisoformat(_BEYOND_MICROSECONDS.sub(r"\1", text.strip())), extra
    except ValueError as error:
        raise InputError(f"The {what} {quoted(text)} is no time in ISO 8601: {_ASK}.") from error


@dataclass(frozen=True, slots=True)
class FileSpan:
    """One file of a unit, in the order of its array."""

    first: int
    """Index of its first sample in the unit's array."""
    samples: int
    start: int
    """What the unit's clock said at the first sample, or `before` it: nanoseconds since 1970, UTC."""
    rate: Fraction
    """Samples a second, nominal."""
    precision: int = SECOND
    """Nanoseconds within which `start` is told: a second where a file's name tells whole ones."""
    before: int = 0
    """Samples from `start` to its first one, by which that is later: of blocks, whose places are counted from when they began."""

    @property
    def begins(self) -> int:
        """What the unit's clock said at its first sample: the nearest nanosecond, UTC."""
        return self.start + duration_ns(self.before, self.rate)

    @property
    def ends(self) -> int:
        """What it said one sample after its last."""
        return self.start + duration_ns(self.before + self.samples, self.rate)


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples of one file whose times lie on one line.

    Examples
    --------
    >>> piece = Piece(100, 400, 100, 5 * SECOND, Fraction(SECOND, 3), 0)
    >>> piece.time(101), piece.index(5_333_333_334), piece.times(100, 103).tolist()
    (5333333333, 102, [5000000000, 5333333333, 5666666667])
    """

    start: int
    stop: int
    """Its samples are those from `start` to before `stop` of the unit's array."""
    origin: int
    """A sample, maybe outside, …"""
    anchor: int
    """… and its time: nanoseconds since 1970, UTC."""
    period: Fraction
    """Nanoseconds from one sample to the next, above 0."""
    file: int
    """Number of the file among the unit's."""
    uncertainty: int | None = None
    """Nanoseconds by which times may be wrong; None if nothing is known of it."""
    is_extrapolated: bool = False
    """Whether it lies outside the tie points that its line was drawn through."""

    def exact(self, index: int) -> Fraction:
        """Return the time of a sample in nanoseconds, as a fraction."""
        return self.anchor + (index - self.origin) * self.period

    def time(self, index: int) -> int:
        """Return the time of a sample: the nearest nanosecond, the later one of two."""
        return nearest(self.exact(index))

    def index(self, time: int) -> int:
        """Return the first sample at or after a time in nanoseconds; it may lie outside."""
        return self.origin - int((self.anchor - time) // self.period)

    @property
    def begins(self) -> int:
        """Time of the first sample."""
        return self.time(self.start)

    @property
    def ends(self) -> int:
        """Time of the sample after the last."""
        return self.time(self.stop)

    def times(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the times of samples `start` to before `stop`: shape (stop - start,), each as `time` gives it.

        The sum of whole nanoseconds and that of the rest of each period are kept apart; after as many samples as 64 bits
        hold the second of, or as the processor's cache holds all of it, both begin anew from an exact time.
        """
        period, rest = divmod(self.period, 1)
        parts, step = rest.denominator, rest.numerator
        # Twice a sum of at most so many rests, and half a nanosecond, are below 2**63.
        most = max(min((_RANGE // 2 - 2 * parts) // max(step, 1), _BLOCK), 1)
        out = np.empty(max(stop - start, 0), np.int64)
        places = np.arange(min(most, len(out)), dtype=np.int64)
        wholes, rests = places * int(period), places * (2 * step)
        for begin in range(start, stop, most):
            block = out[begin - start :][:most]
            base, ahead = divmod(self.exact(begin), 1)
            np.add(rests[: len(block)], 2 * int(ahead * parts) + parts, out=block)
            np.floor_divide(block, 2 * parts, out=block)
            block += wholes[: len(block)]
            block += int(base)
        return out


def nearest(value: Fraction) -> int:
    """Return the nearest integer, the larger one of two.

    >>> nearest(Fraction(5, 2)), nearest(Fraction(-5, 2))
    (3, -2)
    """
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def duration_ns(samples: int, rate: Fraction | int) -> int:
    """Return how long so many samples take: the nearest nanosecond.

    >>> duration_ns(192_001, 192_000), duration_ns(1, Fraction(3, 2))
    (1000005208, 666666667)
    """
    times, by = samples * SECOND * rate.denominator, rate.numerator
    return (2 * times + by) // (2 * by)


def nominal(files: Sequence[FileSpan]) -> list[Piece]:
    """Return the pieces of a unit by its own clock: one a file that has samples, in the order of the files.

    The uncertainty is how coarsely the start is told.
    """
    return [
        Piece(
            file.first,
            file.first + file.samples,
            file.first - file.before,
            file.start,
            SECOND / file.rate,
            number,
            file.precision,
        )
        for number, file in enumerate(files)
        if file.samples
    ]
