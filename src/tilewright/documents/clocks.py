"""Clocks that drift: a unit's files and its tie points come in; the pieces of its corrected time go out.

The clients call this when samples are selected; what was recorded stays as it is. Pure.

    nominal   what the unit's clock said ─────a────────b───────────────────c───
    utc       what it should have said  ──────a'─────────b'───────────────────c'──    a straight line from tie to tie

Files that follow each other without a break are one stretch. A file's start is mostly told in whole seconds, so that the
offset of the clock may differ by a second from one stretch to the next. Therefore, in this order:

    two tie points or more in a stretch    they alone count: lines between neighbours; outside of them, the line through the
                                           first and the last one, from the nearest
    one                                    that offset, with the drift of the unit
    none                                   the offset on the line between the nearest tie points before and after; where these
                                           are on one side only, that of the nearest, with the drift of the unit

The drift of a unit is that within its stretches; if none has two tie points, that between the first and the last reading of the clock itself
(no `sample`); else from its first to its last tie point, unless these are so near each other that the coarse starts would make up more of it
than a clock does.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from tilewright.documents.times import Piece, nearest, nominal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tilewright.documents.times import FileSpan

CREDIBLE = Fraction(100, 1_000_000)
"""Drift up to which the ends of a span tell it, if its coarsely told starts make up no more of it: crystals stay below."""
CHANGE = Fraction(5, 1_000_000)
"""By how much a drift may change outside the tie points, with temperature and age; for the uncertainty there."""
_FINEST = 1_000_000_000
"""Denominator of a period that follows from a line in time and not from counted samples: off by less than 1e-9 ns a sample."""


@dataclass(frozen=True, slots=True)
class TiePoint:
    """A moment at which it is known what a unit's clock should have said."""

    nominal: int
    """What it said: nanoseconds since 1970, UTC. Of no account where a `sample` is given that the unit recorded."""
    utc: int
    """What it was: nanoseconds since 1970."""
    sample: int | None = None
    """Index in the unit's array; None where it is not known, or nothing was recorded then."""
    uncertainty: int | None = None
    """Nanoseconds; None if unknown."""


def corrected(files: Sequence[FileSpan], ties: Sequence[TiePoint]) -> list[Piece]:
    """Return the pieces of a unit by its tie points, in the order of its files; see the head of this module.

    The nominal ones if there is no tie point. Their `uncertainty` is that of the tie points used; where a stretch has none of
    its own, and that of its start; outside of the tie points, and `CHANGE` of the way to the nearest.
    """
    stretches = _stretches(nominal(files))
    known = _Ties.of(ties, stretches)
    if not known.ties:
        return [piece for stretch in stretches for piece in stretch]
    drift = _drift(stretches, known)
    return [piece for stretch in stretches for piece in _of_stretch(stretch, known, drift)]


def drift_ppm(files: Sequence[FileSpan], ties: Sequence[TiePoint]) -> float | None:
    """Return by how many millionths a unit's clock is fast; None where its tie points do not tell."""
    stretches = _stretches(nominal(files))
    drift = _drift(stretches, _Ties.of(ties, stretches))
    return None if drift is None else float((1 / drift - 1) * 1_000_000)


def _stretches(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Put together files that follow each other without a break."""
    stretches: list[list[Piece]] = []
    for piece in pieces:
        before = stretches[-1][-1] if stretches else None
        if before is not None and _goes_on(before, piece):
            stretches[-1].append(piece)
        else:
            stretches.append([piece])
    return stretches


def _goes_on(before: Piece, piece: Piece) -> bool:
    apart = abs(piece.anchor - before.exact(before.stop))
    return before.period == piece.period and before.stop == piece.start and apart <= piece.period / 2


@dataclass(frozen=True, slots=True)
class _Ties:
    """The tie points of a unit by the time that its clock said, which is that of their samples."""

    ties: list[TiePoint]
    times: list[int]
    """Their nominal times, which increase."""

    @classmethod
    def of(cls, ties: Sequence[TiePoint], stretches: Sequence[Sequence[Piece]]) -> _Ties:
        """Place tie points among the files; the sample of one that was not recorded is left away."""
        pieces = [piece for stretch in stretches for piece in stretch]
        starts = [piece.start for piece in pieces]
        placed = [_placed(tie, pieces, starts) for tie in ties]
        by_time = {tie.nominal: tie for tie in placed}  # each moment once, the last one said of it
        times = sorted(by_time)
        return cls([by_time[time] for time in times], times)

    def inside(self, stretch: Sequence[Piece]) -> list[TiePoint]:
        """Return those of a stretch."""
        first, last = stretch[0], stretch[-1]
        some = self.ties[bisect_left(self.times, first.begins) : bisect_right(self.times, last.ends)]
        return [tie for tie in some if tie.sample is None or first.start <= tie.sample <= last.stop]

    def around(self, stretch: Sequence[Piece]) -> tuple[TiePoint | None, TiePoint | None]:
        """Return the nearest before and after one that has none."""
        place = bisect_right(self.times, stretch[0].begins)
        before = self.ties[place - 1] if place else None
        return before, self.ties[place] if place < len(self.ties) else None


def _placed(tie: TiePoint, pieces: Sequence[Piece], starts: Sequence[int]) -> TiePoint:
    if tie.sample is None:
        return tie
    number = bisect_right(starts, tie.sample) - 1
    if number < 0 or tie.sample > pieces[number].stop:  # the sample after the last may be tied, too
        return replace(tie, sample=None)
    return replace(tie, nominal=pieces[number].time(tie.sample))


def _drift(stretches: Sequence[Sequence[Piece]], known: _Ties) -> Fraction | None:
    """Return how many nanoseconds pass while a unit's clock counts one; None where that is not told."""
    utc = told = 0
    for stretch in stretches:
        inner = known.inside(stretch)
        if len(inner) > 1:
            utc += inner[-1].utc - inner[0].utc
            told += inner[-1].nominal - inner[0].nominal
    if told:
        return Fraction(utc, told)
    read = [
        tie for tie in known.ties if tie.sample is None
    ]  # from the clock itself: no start of a file is in it
    if len(read) > 1:
        return _slope(read[0], read[-1])
    if len(known.ties) < 2:  # noqa: PLR2004
        return None
    first, last = known.ties[0], known.ties[-1]
    coarse = max((piece.uncertainty or 0 for stretch in stretches for piece in stretch), default=0)
    if Fraction(coarse, last.nominal - first.nominal) > CREDIBLE:
        return None
    return _slope(first, last)


@dataclass(frozen=True, slots=True)
class _Line:
    """Corrected time over nominal time, up to some nominal time."""

    tie: TiePoint
    """It goes through this one."""
    slope: Fraction
    until: TiePoint | None = None
    """Where the next line begins; None for the last one of a stretch."""
    uncertainty: int | None = None
    is_extrapolated: bool = False
    period: Fraction | None = None
    """Nanoseconds a sample, where samples were counted between two tie points of the stretch."""
    is_own: bool = False
    """Whether `tie` lies in the stretch, so that its sample can be counted from."""

    def at(self, time: Fraction) -> Fraction:
        return self.tie.utc + (time - self.tie.nominal) * self.slope


def _of_stretch(stretch: Sequence[Piece], known: _Ties, drift: Fraction | None) -> list[Piece]:
    """Cut the files of a stretch where lines meet, and give each part its line."""
    lines = _lines(stretch, known, drift)
    pieces = []
    for piece in stretch:
        start = piece.start
        for line in lines:
            stop = min(max(_cut(piece, line), start), piece.stop)
            if stop > start:
                pieces.append(_on_line(replace(piece, start=start, stop=stop), line))
                start = stop
    return pieces


def _cut(piece: Piece, line: _Line) -> int:
    """Return the first sample that is no longer on a line: a tie point's own, if that is told."""
    if line.until is None:
        return piece.stop
    return piece.index(line.until.nominal) if line.until.sample is None else line.until.sample


def _on_line(piece: Piece, line: _Line) -> Piece:
    """Return a part of a file with the times of a line."""
    uncertainty = line.uncertainty
    if line.is_extrapolated and uncertainty is not None:
        way = max(abs(piece.begins - line.tie.nominal), abs(piece.ends - line.tie.nominal))
        uncertainty += nearest(way * CHANGE)
    period = line.period or (piece.period * line.slope).limit_denominator(_FINEST)
    origin, anchor = piece.start, nearest(line.at(piece.exact(piece.start)))
    if line.is_own and line.tie.sample is not None:
        origin, anchor = line.tie.sample, line.tie.utc
    return replace(
        piece,
        origin=origin,
        anchor=anchor,
        period=period,
        uncertainty=uncertainty,
        is_extrapolated=line.is_extrapolated,
    )


def _lines(stretch: Sequence[Piece], known: _Ties, drift: Fraction | None) -> list[_Line]:
    """Return the lines of a stretch, in their order."""
    inner = known.inside(stretch)
    if len(inner) > 1:
        return _between(inner)
    steady = Fraction(1) if drift is None else drift
    if inner:
        return [_Line(inner[0], steady, uncertainty=inner[0].uncertainty, is_extrapolated=True, is_own=True)]
    coarse = stretch[0].uncertainty
    before, after = known.around(stretch)
    if before is not None and after is not None:
        return [_Line(before, _slope(before, after), uncertainty=_sum(_worst(before, after), coarse))]
    near = before or after
    assert near is not None, "there are tie points"
    return [_Line(near, steady, uncertainty=_sum(near.uncertainty, coarse), is_extrapolated=True)]


def _between(inner: Sequence[TiePoint]) -> list[_Line]:
    """Return the lines through the tie points of one stretch, and those before and after."""
    first, last = inner[0], inner[-1]

    def outside(tie: TiePoint, until: TiePoint | None) -> _Line:
        slope, period = _slope(first, last), _period(first, last)
        return _Line(tie, slope, until, tie.uncertainty, is_extrapolated=True, period=period, is_own=True)

    between = [
        _Line(near, _slope(near, far), far, _worst(near, far), period=_period(near, far), is_own=True)
        for near, far in pairwise(inner)
    ]
    return [outside(first, first), *between, outside(last, None)]


def _slope(near: TiePoint, far: TiePoint) -> Fraction:
    return Fraction(far.utc - near.utc, far.nominal - near.nominal)


def _period(near: TiePoint, far: TiePoint) -> Fraction | None:
    """Return the nanoseconds a sample between two tie points, if both are counted."""
    if near.sample is None or far.sample is None or near.sample == far.sample:
        return None
    return Fraction(far.utc - near.utc, far.sample - near.sample)


def _worst(one: TiePoint, other: TiePoint) -> int | None:
    return (
        None
        if one.uncertainty is None or other.uncertainty is None
        else max(one.uncertainty, other.uncertainty)
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
