"""What a unit recorded when, by one clock: the pieces of its files come in; the samples of a time go out, by bisection.

`units` makes one for each unit and clock, `selecting`, `tables` and `aligning` ask it. Pure; no DataFrame is touched here.

    pieces       A ├────────┤            in the order of their times, whatever the order of the files
                 B      ├────────┤
                 C                      ├─────┤
    stretches    A ├────────┤            what counts: where files overlap, the earlier one to its end
                 B           ├───┤       and the later one from there; no time twice
                 C                      ├─────┤

Two pieces follow each other without a break if half a sample period or less is between them, or is in both.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    import numpy as np
    from numpy.typing import NDArray

    from tilewright.documents.times import Piece


@dataclass(frozen=True, slots=True)
class Part:
    """Places on the grid of a piece: samples of the unit where they were recorded, mere times where not."""

    piece: Piece
    start: int
    stop: int
    """Those from `start` to before `stop`."""
    begins: int
    """Time of the first: nanoseconds since 1970, UTC."""
    ends: int
    """Time of the one after the last."""
    is_recorded: bool = True

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def half(self) -> int:
        """Half a sample period, in nanoseconds."""
        return int(self.piece.period) // 2

    def times(self) -> NDArray[np.int64]:
        """Return the time of each: nanoseconds since 1970, shape (number,)."""
        return self.piece.times(self.start, self.stop)

    def cut(self, start: int, stop: int) -> Part:
        """Return the part of it that lies between two places."""
        start = max(start, self.start)
        return part_of(self.piece, start, max(start, min(stop, self.stop)), is_recorded=self.is_recorded)

    def within(self, begin: int, end: int) -> Part:
        """Return its samples whose time t has begin <= t < end, exactly."""
        if begin <= self.begins - 1 and end >= self.ends + 1:  # a time is told to half a nanosecond
            return self
        return self.cut(self.piece.index(begin), self.piece.index(end))

    def follows(self, before: Part) -> bool:
        """Tell whether nothing is between a part and this one, and nothing in both."""
        return abs(self.begins - before.ends) <= before.half


def part_of(piece: Piece, start: int, stop: int, *, is_recorded: bool = True) -> Part:
    """Return places of a piece, with their times."""
    return Part(piece, start, stop, piece.time(start), piece.time(stop), is_recorded)


@dataclass(frozen=True, slots=True)
class Break:
    """Where the files of a unit do not follow each other."""

    kind: Literal["gap", "overlap", "jump back"]
    start: int
    """Nanoseconds since 1970, UTC: from here, nothing was recorded, or two files were …"""
    stop: int
    """… to here."""
    before: int
    """Number of the file before, among the unit's."""
    after: int

    @property
    def files(self) -> tuple[int, int]:
        """The two files."""
        return self.before, self.after


class Timeline:
    """The pieces of a unit by one clock.

    Parameters
    ----------
    pieces
        In any order; those without samples are none.
    rates
        Nominal samples a second of each file, by its number.
    """

    def __init__(self, pieces: Sequence[Piece], rates: Sequence[Fraction]) -> None:
        whole = [part_of(piece, piece.start, piece.stop) for piece in pieces if piece.stop > piece.start]
        self.rates = rates
        self.whole = sorted(whole, key=lambda part: part.begins)
        """Every piece whole, also where they overlap, in the order of their beginnings."""
        self.stretches: list[Part] = []
        """What counts of them, disjoint, in the order of their times."""
        self.breaks: list[Break] = []
        """Where they do not follow each other, in the order of their times."""
        for part in self.whole:
            self._add(part)
        self._begins = [part.begins for part in self.stretches]
        self._ends = [part.ends for part in self.stretches]
        self._whole_begins = [part.begins for part in self.whole]

    def _add(self, part: Part) -> None:
        """Add the piece that begins next."""
        kept = part
        if self.stretches:
            last = self.stretches[-1]
            files = last.piece.file, part.piece.file
            if part.begins < last.ends - part.half:
                self._note(Break("overlap", part.begins, min(last.ends, part.ends), *files))
                kept = part.cut(part.piece.index(last.ends - part.half), part.stop)
            elif part.begins > last.ends + part.half:
                self._note(Break("gap", last.ends, part.begins, *files))
        if len(kept) > 0:
            self.stretches.append(kept)

    def _note(self, found: Break) -> None:
        """Note where pieces do not follow each other; of files that are cut at tie points, once."""
        last = self.breaks[-1] if self.breaks else None
        if last is not None and (last.kind, last.files, last.stop) == (found.kind, found.files, found.start):
            self.breaks[-1] = replace(last, stop=found.stop)
        else:
            self.breaks.append(found)

    @property
    def begins(self) -> int | None:
        """Time of the first sample; None without samples."""
        return self._begins[0] if self._begins else None

    @property
    def ends(self) -> int | None:
        """Time after the last sample; None without samples."""
        return self._ends[-1] if self._ends else None

    def rate(self, part: Part) -> Fraction:
        """Return the nominal samples a second of a part's file."""
        return self.rates[part.piece.file]

    def between(self, begin: int, end: int) -> list[Part]:
        """Return what was recorded from a time to before another, in the order of time, no time twice."""
        found = []
        for number in range(bisect_right(self._ends, begin - 1), bisect_left(self._begins, end + 1)):
            part = self.stretches[number].within(begin, end)
            if len(part) > 0:
                found.append(part)
        return found

    def whole_between(self, begin: int, end: int) -> list[Part]:
        """Return what was recorded from a time to before another, every file whole, also where they overlap."""
        last = bisect_left(self._whole_begins, end + 1)
        found = [part.within(begin, end) for part in self.whole[:last] if part.ends >= begin]
        return [part for part in found if len(part) > 0]

    def before(self, time: int) -> Part | None:
        """Return the last stretch that has begun at a time, whether it is over or not."""
        number = bisect_right(self._begins, time) - 1
        return self.stretches[number] if number >= 0 else None

    def after(self, time: int) -> Part | None:
        """Return the first stretch that begins at a time or later."""
        number = bisect_left(self._begins, time)
        return self.stretches[number] if number < len(self.stretches) else None

    def at(self, time: int) -> Part | None:
        """Return the stretch that has a time."""
        number = bisect_right(self._begins, time) - 1
        return self.stretches[number] if number >= 0 and time < self._ends[number] else None

    def stretch(self, part: Part) -> Part:
        """Return the stretch that a recorded part is of."""
        return self.stretches[self.number(part)]

    def number(self, part: Part) -> int:
        """Return the place of that stretch among the stretches."""
        return bisect_right(self._begins, part.begins) - 1

    def reach(self, part: Part) -> tuple[int, int]:
        """Return how far the unit's array goes on without a break around a stretch: over tie points and files."""
        return self._reaches[self.number(part)]

    @cached_property
    def _reaches(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        begun = 0
        for number, part in enumerate(self.stretches):
            following = self.stretches[number + 1] if number + 1 < len(self.stretches) else None
            if following is None or not self._goes_on(part, following):
                found += [(self.stretches[begun].start, part.stop)] * (number + 1 - begun)
                begun = number + 1
        return found

    def _goes_on(self, before: Part, after: Part) -> bool:
        return after.start == before.stop and after.follows(before) and self.rate(after) == self.rate(before)

    def segments(self, parts: Sequence[Part]) -> list[list[Part]]:
        """Put together parts that follow each other without a break and have one rate."""
        found: list[list[Part]] = []
        for part in parts:
            for segment in reversed(found[-2:]):  # an overlapping file may lie between
                if part.follows(segment[-1]) and self.rate(part) == self.rate(segment[-1]):
                    segment.append(part)
                    break
            else:
                found.append([part])
        return found
