"""Samples by row and index: ``deployment.samples[0:2, start:stop]`` comes in, a numpy array goes out.

`Deployment.samples` gives one. Rows are those of the table of units; an index counts a unit's samples from its first.
"""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.clients.recordings.fetching import Wanted, fetch
from tilewright.display import html_facts
from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tilewright.clients.recordings.units import Unit, Units
    from tilewright.clients.run import Run


class Samples:
    """The arrays of the units, one below the other: shape (rows, samples[, channels]). Nothing is fetched before it is asked for.

    ``samples[0:2, start:stop]``: rows are an int, a slice or a list of the numbers in the column row of `Deployment.units`; samples
    an int or a slice; a third index, of the channels, may follow.
    """

    def __init__(self, run: Run, units: Units) -> None:
        self._run = run
        self._units = units

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, samples of the unit that has most and, if the units have more than one, channels."""
        units = self._units.all
        most = max((unit.samples for unit in units), default=0)
        channels = max((unit.channels for unit in units), default=1)
        return (len(units), most) if channels == 1 else (len(units), most, channels)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the samples.

        Raises
        ------
        InputError
            The units do not have one type; take rows that do.
        """
        return _one_kind([unit for unit in self._units.all if unit.files])[0]

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __len__(self) -> int:
        return len(self._units.all)

    def __getitem__(self, key: Any) -> Any:
        """Fetch samples.

        Raises
        ------
        InputError
            A step, a negative index, units of several types, or past the end of one of the units.
        NotFoundError
            No such row.
        """
        rows, places, *more = key if isinstance(key, tuple) else (key, slice(None))
        if len(more) > 1:
            raise InputError(f"samples[…] takes rows, samples and channels; it was given {len(key)} indices.")
        units = self._rows(rows)
        _one_kind(units)
        start, stop = _bounds(places, units)
        got = fetch(self._run, [Wanted(unit, start, stop) for unit in units])
        out = got[0][None] if len(got) == 1 else np.stack(got)
        if not isinstance(places, slice):
            out = out[:, 0]
        if more:
            out = out[..., more[0]]
        return out if _is_many(rows) else out[0]

    def _rows(self, rows: Any) -> list[Unit]:
        if isinstance(rows, slice):
            start, stop = (None if one is None else _number(one, "row") for one in (rows.start, rows.stop))
            step = 1 if rows.step is None else _number(rows.step, "row")
            there = [unit.row for unit in self._units.all if unit.files]
            last = max(there, default=-1) + 1
            asked = range(start or 0, last if stop is None else min(stop, last), max(step, 1))
            found = [row for row in asked if row in set(there)]
            if not found:
                raise InputError(
                    f"No unit with samples has a row in {asked.start}:{asked.stop}; the rows are {_span(there)}."
                )
            return self._units.chosen(found)
        return self._units.chosen(
            [_number(row, "row") for row in rows] if _is_many(rows) else _number(rows, "row")
        )

    def __repr__(self) -> str:
        """Show shape and units; no request."""
        return f"<Samples {self.shape} of run {self._run.uid[:8]}>"

    def _repr_html_(self) -> str:
        """Show the same in a notebook."""
        rows = {unit.name: f"{unit.samples:,} samples of {unit.dtype}" for unit in self._units.all}
        return html_facts(f"Samples {self.shape} of run {self._run.uid[:8]}", rows)


def _is_many(rows: Any) -> bool:
    return isinstance(rows, slice) or hasattr(rows, "__iter__")


def _number(value: Any, what: str) -> int:
    try:
        number = index(value)
    except TypeError:
        raise InputError(f"samples[…]: the {what} {value!r} is no whole number.") from None
    if number < 0:
        raise InputError(
            f"samples[…]: the {what} is {number}; count from 0, for the units need not end together."
        )
    return number


def _bounds(places: Any, units: Sequence[Unit]) -> tuple[int, int]:
    """Return the samples that are asked for; past the end only where all units end there."""
    shortest = min(units, key=lambda unit: unit.samples)
    together = shortest.samples == max(unit.samples for unit in units)
    stop: int | None
    if not isinstance(places, slice):
        start = _number(places, "sample")
        stop = start + 1
        if start < shortest.samples:
            return start, start + 1
    else:
        if places.step not in {None, 1}:
            raise InputError("samples[…] takes no step: take [:, ::step] of what it returns.")
        start = 0 if places.start is None else _number(places.start, "sample")
        stop = None if places.stop is None else _number(places.stop, "sample")
        if together or (stop is not None and stop <= shortest.samples):
            stop = shortest.samples if stop is None else min(stop, shortest.samples)
            return min(start, stop), stop
    raise InputError(
        f"samples[…]: unit {shortest.name} (row {shortest.row}) ends after {shortest.samples:,} samples, before "
        f"{'the end of the others' if stop is None else f'{stop:,}'}. Ask for less, or for other rows."
    )


def _one_kind(units: Sequence[Unit]) -> tuple[np.dtype[Any], int]:
    """Return the type and the number of channels that all units have."""
    kinds: dict[tuple[np.dtype[Any], int], str] = {}
    for unit in units:
        kinds.setdefault((unit.dtype, unit.channels), unit.name)
    if len(kinds) > 1:
        told = "; ".join(
            f"{name}: {dtype}, {channels} channel(s)" for (dtype, channels), name in kinds.items()
        )
        raise InputError(f"These units do not have one kind of samples ({told}): ask for rows that do.")
    return next(iter(kinds), (np.dtype(np.int16), 1))


def _span(rows: Sequence[int]) -> str:
    return f"{min(rows)} to {max(rows)}" if rows else "none"
