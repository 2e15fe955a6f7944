"""What becomes of the times in which a unit recorded nothing: a timeline and a span of time come in, parts without holes go out.

`plans`, `selecting` and `tilewright.stores` call this. Pure.

    recorded      A ├──┬──┬──┬──┤             B ├──┬──┬──┤
    with gaps     A ├──┬──┬──┬──┼──┬──┬──┬──┬─┐ B ├──┬──┬──┤     A's grid goes on to half a period before B

Before the first recording of all, the grid of what comes next is carried back.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from tilewright.clients.recordings.moments import text
from tilewright.clients.recordings.timeline import part_of
from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tilewright.clients.recordings.timeline import Part, Timeline
    from tilewright.clients.recordings.units import Unit

Gaps: TypeAlias = Literal["mask", "segments", "raise", "fill"]
GAPS = ("mask", "segments", "raise", "fill")
_SHOWN = 5
"""Gaps that a message names."""


def without_holes(timeline: Timeline, begin: int, end: int) -> list[Part]:
    """Return what was recorded in a span of time, and between, before and after it the grid that goes on.

    Parameters
    ----------
    begin, end
        Nanoseconds since 1970, UTC; every part lies in them, `end` excluded.
    """
    recorded = timeline.between(begin, end)
    if not recorded:
        return _nothing(timeline, begin, end)
    parts = _head(timeline, recorded[0], begin)
    for number, part in enumerate(recorded):
        parts.append(part)
        following = recorded[number + 1] if number + 1 < len(recorded) else None
        parts += _tail(timeline, part, end) if following is None else _on(part, part.stop, _limit(following))
    return parts


def refuse_gaps(unit: Unit, timeline: Timeline, parts: Sequence[Part]) -> None:
    """Raise if a part was not recorded.

    Raises
    ------
    InputError
        Which names the gaps and the files before and after.
    """
    holes = [part for part in parts if not part.is_recorded]
    if holes:
        more = f"; and {len(holes) - _SHOWN} more" if len(holes) > _SHOWN else ""
        told = "; ".join(_told(unit, timeline, hole) for hole in holes[:_SHOWN])
        raise InputError(
            f"Unit {unit.name} did not record all of that time: nothing {told}{more}. See deployment.gaps()."
        )


def refuse_rates(unit: Unit, timeline: Timeline, parts: Sequence[Part]) -> None:
    """Raise if recorded parts have different rates, which no single array can have.

    Raises
    ------
    InputError
        Which names the file where it changes.
    """
    recorded = [part for part in parts if part.is_recorded]
    for before, after in pairwise(recorded):
        rates = timeline.rate(before), timeline.rate(after)
        if rates[0] != rates[1]:
            raise InputError(
                f"The rate of unit {unit.name} changes from {float(rates[0]):g} to {float(rates[1]):g} Hz at "
                f"{text(after.begins)}, with file {unit.names[after.piece.file]}: one array cannot hold both. Select up to there, or "
                "take gaps='segments', or align=True."
            )


def filling(gaps: Gaps, fill_value: float, dtype: np.dtype[Any]) -> Any:
    """Return what stands where nothing was recorded.

    Raises
    ------
    InputError
        Samples of this dtype cannot be that.
    """
    if gaps != "fill":
        return 0
    with np.errstate(invalid="ignore"):  # of NaN where there is none: it is told below
        value = np.asarray(fill_value).astype(dtype)
    if not np.array_equal(value, fill_value, equal_nan=dtype.kind == "f"):
        raise InputError(f"fill_value={fill_value!r} does not fit samples of {dtype}, which are not altered.")
    return value


def _nothing(timeline: Timeline, begin: int, end: int) -> list[Part]:
    """Return the grid in a span without recordings."""
    before, after = timeline.before(begin), timeline.after(end)
    if before is not None:
        stop = end if after is None else min(end, _limit(after))
        return _on(before, max(before.stop, before.piece.index(begin)), stop)
    return [] if after is None else _back(after, begin, end)


def _head(timeline: Timeline, first: Part, begin: int) -> list[Part]:
    """Return the grid from the beginning of a span to the first recording in it."""
    if first.start > timeline.stretch(first).start:  # it was going on when the span begins
        return []
    before = timeline.before(begin)
    if before is not None and timeline.rate(before) == timeline.rate(first):
        return _on(before, max(before.stop, before.piece.index(begin)), _limit(first))
    return _back(first, begin, first.begins)


def _tail(timeline: Timeline, last: Part, end: int) -> list[Part]:
    """Return the grid from the last recording in a span to its end."""
    after = timeline.after(end)
    return _on(last, last.stop, end if after is None else min(end, _limit(after)))


def _on(part: Part, start: int, until: int) -> list[Part]:
    """Carry the grid of a part on to before a time."""
    stop = part.piece.index(until)
    return [part_of(part.piece, start, stop, is_recorded=False)] if stop > start else []


def _back(part: Part, begin: int, end: int) -> list[Part]:
    """Carry the grid of a part back to a time."""
    start, stop = part.piece.index(begin), min(part.start, part.piece.index(end))
    return [part_of(part.piece, start, stop, is_recorded=False)] if stop > start else []


def _limit(part: Part) -> int:
    """Return the time up to which the grid before a part goes on."""
    return part.begins - part.half


def _told(unit: Unit, timeline: Timeline, hole: Part) -> str:
    before, after = timeline.before(hole.begins + hole.half), timeline.after(hole.ends - hole.half)
    files = [
        f"{word} {unit.names[part.piece.file]}"
        for word, part in (("after", before), ("before", after))
        if part is not None
    ]
    return f"from {text(hole.begins)} to {text(hole.ends)} ({', '.join(files)})"
