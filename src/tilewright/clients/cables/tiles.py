"""Tiles of a cable: a run of pictures that were made of another run comes in; tables, pictures and raw samples go out.

`Run.tiles` makes it; notebooks and scripts use it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.clients.cables.selecting import stretch
from tilewright.clients.recordings.moments import text, timestamps, window
from tilewright.clients.spans import Span, fetch_spans
from tilewright.display import html_facts
from tilewright.errors import InputError, NotFoundError
from tilewright.tables.conditions import All, Compare, OneOf, Where

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from tilewright.clients.cables.cable import Cable
    from tilewright.clients.run import Run
    from tilewright.clients.stream import Stream
    from tilewright.tables.conditions import Condition

STREAM, ARRAY = "tiles", "picture"
SIZE = 256
"""Elements of a picture each side."""
_FACTS = ("pipeline", "tiling", "scale", "selection", "software")
_SEQ_NUM = "seq_num"
_TIMES = ("start", "stop")


class Tiles:
    """Pictures of a cable's samples, a row a tile: ``run.tiles().picture(12)``, and ``samples(12)`` are what it was made of.

    Rows are numbered from 0 in the order in which the tiles were made. Times and distances are given as to `Cable.select`.

    Parameters
    ----------
    run
        A run as a job of `tilewright.processing` makes it.

    Raises
    ------
    InputError
        If the run has no tiles.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._stream = _stream_of(run)

    @property
    def run(self) -> Run:
        """The run that it is."""
        return self._run

    @property
    def name(self) -> str:
        """Name of the acquisition that the tiles were made of."""
        return str(self._run.start.get("acquisition") or self._run.uid[:8])

    @property
    def facts(self) -> dict[str, Any]:
        """How all tiles were made: pipeline (steps, dtype), tiling (seconds, channels), scale (low, high), selection, software (versions)."""
        start = self._run.start
        return {name: start[name] for name in _FACTS if name in start}

    @cached_property
    def raw(self) -> Run:
        """The run that the tiles were made of.

        Raises
        ------
        NotFoundError
            If it is not in the catalog that this run is in.
        """
        return raw_of(self._run)

    def __len__(self) -> int:
        """Return how many pictures there were when it was first asked."""
        return int(self._array.shape[0])

    def table(self, time: Any = None, distance: Any = None) -> pd.DataFrame:
        """Return tiles, by their numbers. The server looks for them, and sends no others.

        Parameters
        ----------
        time, distance
            As of `Cable.select`: tiles of which a part is in them. None for all.

        Returns
        -------
        DataFrame
            Index: row. Columns: file, start and stop (UTC; of the first sample, and of the one after the last), first_sample, stop_sample,
            first_channel, stop_channel (indices in the raw run's array, the last one excluded), distance_start, distance_stop (m),
            minimum, maximum, mean (of the processed values), version.

        Raises
        ------
        InputError
            A time without a zone; an end that is not after its beginning.
        """
        return self._rows(_within(time, distance))

    def picture(self, row: int) -> NDArray[np.uint8]:
        """Return the picture of a tile, shape (256, 256): rows are time, downwards, columns are distance.

        Raises
        ------
        NotFoundError
            If there is no such row.
        """
        if not 0 <= row < len(self):
            raise self._no_such(row)
        return self._pictures([row])[0]

    def samples(self, row: int) -> xr.DataArray:
        """Return the raw samples that a tile was made of, exactly, as `Cable.select` does; lazy.

        Filters have looked at some more, before and after.

        Raises
        ------
        NotFoundError
            If there is no such row, or the raw run is gone.
        """
        found = self._rows(OneOf(_SEQ_NUM, (int(row) + 1,)))
        if found.empty:
            raise self._no_such(row)
        tile, half = found.iloc[0], round(500_000_000 / self._cable.rate)
        # By time: in the array, a file that came late lies behind. Half a sample earlier, as times are told to the nanosecond.
        begin, end = (np.datetime64(tile[name].value - half, "ns") for name in ("start", "stop"))
        return self._cable.select((begin, end))[int(tile["first_channel"]) : int(tile["stop_channel"])]

    def contact_sheet(
        self,
        time: Any = None,
        distance: Any = None,
        *,
        columns: int | None = None,
        limit: int = 200,
        ax: Axes | None = None,
    ) -> Figure:
        """Draw pictures side by side as they lie in the cable: distance to the right, time downwards.

        Of more than can be drawn, every second or every n-th is, in distance and in time; the title says which. Only what is drawn is
        fetched. Where there is no tile, it is blue.

        Parameters
        ----------
        time, distance
            Tiles of which a part is in them, as of `table`.
        columns
            How many side by side at most. None for 16.
        limit
            How many in all at most.

        Raises
        ------
        InputError
            If there are none; if `columns` or `limit` is less than 1; and as `table`.
        """
        from tilewright.clients.cables.sheets import contact_sheet  # noqa: PLC0415 - matplotlib

        table = self.table(time, distance)
        return contact_sheet(self.name, table, self._pictures, self.facts, (columns, limit), ax)

    def refresh(self) -> Tiles:
        """Ask again what there is; return the tiles themselves."""
        for known in ("raw", "_array", "_cable"):
            self.__dict__.pop(known, None)
        self._stream = _stream_of(self._run)
        return self

    @cached_property
    def _array(self) -> Any:
        return self._stream[ARRAY]

    @cached_property
    def _cable(self) -> Cable:
        return self.raw.cable()

    def _pictures(self, rows: Sequence[int]) -> list[NDArray[np.uint8]]:
        """Return pictures in this order, in one request."""
        spans = [Span((STREAM, ARRAY), row, row + 1, np.dtype(np.uint8), (SIZE, SIZE)) for row in rows]
        fetched = fetch_spans(self._run.context, self._run.item["links"]["search"], spans)
        return [one[0] for one in fetched]

    def _rows(self, condition: Condition | None) -> pd.DataFrame:
        import pandas as pd  # noqa: PLC0415 - slow to import

        columns = [name for name in self._stream.data_keys if name != ARRAY]
        where = None if condition is None else Where(condition)
        # A job makes no tile twice, so that nobody has to look for that.
        found = self._stream.table([_SEQ_NUM, *columns], where=where, attempts=True)
        numbers = pd.Index(found[_SEQ_NUM].to_numpy(np.int64) - 1, name="row")
        rows = found.set_index(numbers)[columns]
        return rows.assign(**{name: timestamps(rows[name].to_numpy(np.int64)) for name in _TIMES})

    def _no_such(self, row: Any) -> NotFoundError:
        return NotFoundError(f"There is no tile {row} in {self.name}; there are {len(self):,}, from 0 on.")

    def _described(self) -> str:
        tiling = self.facts.get("tiling") or {}
        of = f" of {tiling['seconds']:g} s by {tiling['channels']:,} channels" if tiling else ""
        ends = self._stream.table(_TIMES, attempts=True)
        if ends.empty:
            return f"no tiles{of} yet"
        return f"{len(ends):,} tiles{of}, {text(ends['start'].min())} to {text(ends['stop'].max())}"

    def __repr__(self) -> str:
        """Show name, tiles, how large they are, and span."""
        return f"<Tiles of {self.name!r} in run {self._run.uid[:8]}: {self._described()}>"

    def _repr_html_(self) -> str:
        """Show the same, and how they were made, as a table in a notebook."""
        facts = {"derived from": self._run.start.get("derived_from"), **self.facts}
        return html_facts(
            f"Tiles of {self.name}: {self._described()}", {name: str(value) for name, value in facts.items()}
        )


def _stream_of(run: Run) -> Stream:
    """Return the stream of tiles.

    Raises
    ------
    InputError
        If the run has none.
    """
    try:
        stream: Stream = run[STREAM]
    except NotFoundError:
        keys = {}
    else:
        keys = stream.data_keys
    if ARRAY not in keys or "first_sample" not in keys:
        raise InputError(
            f"Run {run.uid[:8]} has no tiles: no stream {STREAM!r} with pictures as {ARRAY!r}, and what they were made of. "
            "`tilewright.processing` makes such runs of a cable's."
        )
    return stream


def _within(time: Any, distance: Any) -> Condition | None:
    """Return the condition that a part of a tile is in a time and a stretch of fibre; None for all."""
    conditions: list[Condition] = []
    if time is not None:
        begin, end = window(time)
        conditions += [Compare("start", "<", end), Compare("stop", ">", begin)]
    if distance is not None:
        first, last = stretch(distance)
        conditions += [Compare("distance_start", "<", last), Compare("distance_stop", ">", first)]
    return All(tuple(conditions)) if conditions else None


def raw_of(run: Run) -> Run:
    """Return the run that a run of tiles was made of; there need not be any tile yet.

    Raises
    ------
    NotFoundError
        If it is not in the catalog that this run is in.
    """
    from tilewright.clients.connect import catalog_of  # noqa: PLC0415 - imports this room

    uid, catalog = run.start.get("derived_from"), catalog_of(run)
    try:
        found: Run = catalog[str(uid)]
    except NotFoundError:
        raise NotFoundError(
            f"Run {run.uid[:8]} was made of run {uid}, which is not in the catalog at {catalog.uri}: it was deleted, or it is in "
            "another catalog. Tables and pictures can be had without it, raw samples cannot."
        ) from None
    return found
