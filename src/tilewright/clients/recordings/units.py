"""The units of a deployment: what a stream says of one comes in, its facts, files and times by either clock go out.

`loading` makes them, everything else here asks them. Nothing is fetched in this module.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from fractions import Fraction
from functools import cached_property
from operator import index
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from tilewright.clients.recordings.timeline import Timeline
from tilewright.documents.clocks import TiePoint, corrected, drift_ppm
from tilewright.documents.times import SECOND, FileSpan, nominal
from tilewright.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa

Clock: TypeAlias = Literal["corrected", "nominal"]
CLOCKS: tuple[Clock, Clock] = ("corrected", "nominal")

AUDIO = "audio"
"""Data key of a unit's samples."""
COLUMNS = ("file", "start", "samples", "first", "rate")
"""Columns without which a stream is no unit of a deployment."""
POSITIONS = ("latitude", "longitude", "elevation", "x", "y", "z")
_KNOWN = ("device_id", "model", "firmware", "gain", *POSITIONS)


@dataclass(frozen=True)
class Unit:
    """One recorder of a deployment, with what is known of it now."""

    name: str
    stream: str
    """Name of its stream below the run."""
    facts: Mapping[str, Any]
    """Row, device id, gain, position and what else was told; only what is known."""
    dtype: np.dtype[Any]
    channels: int
    """Of its array: shape (samples,) for one channel, (samples, channels) for more."""
    events: pa.Table
    """One row a file, as stored."""
    ties: tuple[TiePoint, ...]
    row: int
    """Number in the deployment: the one that was told, else its place in the order of names."""

    @cached_property
    def files(self) -> tuple[FileSpan, ...]:
        """Its files, in the order of its array."""
        columns = [self.events[name].to_pylist() for name in ("first", "samples", "start", "rate")]
        precisions, positions = (
            self.events[name].to_pylist() if name in self.events.column_names else [other] * len(self.events)
            for name, other in (("precision", SECOND), ("position", 0))
        )
        return tuple(
            FileSpan(int(first), int(samples), int(start), _rate(rate), _whole(precision, SECOND), position)
            for first, samples, start, rate, precision, position in zip(
                *columns, precisions, positions, strict=True
            )
        )

    @cached_property
    def names(self) -> list[str]:
        """The path of each file, as it was found."""
        return [str(name) for name in self.events["file"].to_pylist()]

    @cached_property
    def samples(self) -> int:
        """Samples in its array."""
        return max((file.first + file.samples for file in self.files), default=0)

    @cached_property
    def rate(self) -> Fraction | None:
        """Nominal samples a second of its first file; None without files."""
        return self.files[0].rate if self.files else None

    @cached_property
    def _nominal(self) -> Timeline:
        return Timeline(nominal(self.files), [file.rate for file in self.files])

    @cached_property
    def _corrected(self) -> Timeline:
        return Timeline(corrected(self.files, self.ties), [file.rate for file in self.files])

    @cached_property
    def drift(self) -> float | None:
        """Millionths by which its clock is fast; None where its tie points do not tell."""
        return drift_ppm(self.files, self.ties)

    def known_until(self) -> int:
        """Return the time up to which its files are known; the corrected or the nominal one, whichever is earlier."""
        return min(self.timeline(clock).ends or 0 for clock in CLOCKS)

    def offset(self, tie: TiePoint) -> int:
        """Return by how many nanoseconds its clock was ahead of UTC at a tie point."""
        told = tie.nominal
        if tie.sample is not None:
            parts = [part for part in self._nominal.whole if part.start <= tie.sample <= part.stop]
            told = parts[-1].piece.time(tie.sample) if parts else told
        return told - tie.utc

    def clock(self, asked: Clock | None) -> Clock:
        """Return the clock that is meant: the corrected one if none is named and there are tie points.

        Raises
        ------
        InputError
            If the corrected one is asked for, and nothing is known to correct it by.
        """
        if asked is None:
            return "corrected" if self.ties else "nominal"
        if asked not in CLOCKS:
            raise InputError(f"clock={asked!r}: expected 'corrected' or 'nominal', or none of them.")
        if asked == "corrected" and not self.ties:
            raise InputError(
                f"The clock of unit {self.name} cannot be corrected: there are no tie points of it. Take clock='nominal', "
                "or give some: run.deployment(clocks=…)."
            )
        return asked

    def timeline(self, clock: Clock) -> Timeline:
        """Return what it recorded when, by a clock; made once."""
        return self._corrected if clock == "corrected" else self._nominal

    @property
    def path(self) -> tuple[str, str]:
        """Where its samples are, below the run."""
        return self.stream, AUDIO


@dataclass(frozen=True)
class Units:
    """The units of a deployment, in the order of their rows."""

    all: tuple[Unit, ...]

    @cached_property
    def by_name(self) -> dict[str, Unit]:
        """Unit by its name."""
        return {unit.name: unit for unit in self.all}

    @cached_property
    def by_row(self) -> dict[int, Unit]:
        """Unit by its row; the first of those that share one."""
        return {unit.row: unit for unit in reversed(self.all)}

    def chosen(self, units: str | int | Iterable[str | int] | None, *, with_files: bool = True) -> list[Unit]:
        """Return the units that are asked for, each once, in the order asked.

        Parameters
        ----------
        units
            Names, row numbers or both; None for all.
        with_files
            Whether a unit has to have files: of all units, those without are left out.

        Raises
        ------
        NotFoundError
            No such unit; the message says which there are.
        InputError
            A unit that is named and has no files.
        """
        if units is None:
            found = [unit for unit in self.all if unit.files or not with_files]
            if not found:
                raise InputError("No unit of this deployment has any files (yet).")
            return found
        asked = [units] if isinstance(units, (str, int, np.integer)) else list(units)
        if not asked:
            raise InputError("units=[]: no unit was asked for; leave it out for all of them.")
        found = list({unit.name: unit for unit in map(self._one, asked)}.values())
        empty = [unit.name for unit in found if with_files and not unit.files]
        if empty:
            raise InputError(f"Unit {', '.join(empty)} has no files (yet).")
        return found

    def _one(self, asked: str | int) -> Unit:
        if isinstance(asked, str):
            found = self.by_name.get(asked)
            if found is None:
                close = get_close_matches(asked, list(self.by_name), n=1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                raise NotFoundError(
                    f"No unit {asked!r} in this deployment.{hint} There are: {_some(self.by_name)}."
                )
            return found
        try:
            return self.by_row[index(asked)]
        except TypeError:
            raise InputError(f"Units are named by text or by their row, not by {asked!r}.") from None
        except KeyError:
            raise NotFoundError(
                f"No unit has row {asked}. The rows are: {_some(sorted(self.by_row))}."
            ) from None


def in_order(units: Sequence[Unit]) -> Units:
    """Return units in the order of their rows, and a row for those that were not given one.

    A row that is not told is the first free one, in the order of names.
    """
    told = {unit.name: _row(unit.facts.get("row")) for unit in units}
    taken = {row for row in told.values() if row is not None}
    free = iter([row for row in range(len(units) + len(taken)) if row not in taken])
    rows = {name: next(free) if row is None else row for name, row in sorted(told.items())}
    placed = [replace(unit, row=rows[unit.name]) for unit in units]
    return Units(tuple(sorted(placed, key=lambda unit: (unit.row, unit.name))))


def fact_names(units: Sequence[Unit]) -> list[str]:
    """Return what is known of any of the units, first what the house knows, then the rest; without the row."""
    there = dict.fromkeys(name for unit in units for name in unit.facts)
    position = [name for name in POSITIONS if name in there]
    known = [name for name in _KNOWN if name not in POSITIONS or name in position]
    return [*known, *(name for name in there if name not in {*known, "row", "unit"})]


def _row(value: Any) -> int | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return int(value) if is_number and value == int(value) and value >= 0 else None


def _rate(value: Any) -> Fraction:
    """Return samples a second; a float's own digits count, not its binary fraction.

    >>> _rate(48000), _rate(0.1)
    (Fraction(48000, 1), Fraction(1, 10))
    """
    return Fraction(str(value))


def _whole(value: Any, otherwise: int) -> int:
    return int(value) if isinstance(value, (int, float)) and value == value else otherwise  # noqa: PLR0124 - NaN


def _some(names: Iterable[Any], most: int = 12) -> str:
    there = [str(name) for name in names]
    return ", ".join(there[:most]) + (f", … ({len(there)} in all)" if len(there) > most else "") or "none"
