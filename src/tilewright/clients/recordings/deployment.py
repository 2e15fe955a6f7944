"""A deployment of recorders: a run comes in; its units, samples by time or by index, tables and pictures go out.

`Run.deployment` makes it; notebooks, scripts and `tilewright plot` use it.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from tilewright.clients.recordings.gaps import GAPS, Gaps
from tilewright.clients.recordings.loading import Contents, Description, describe, load
from tilewright.clients.recordings.moments import text, window
from tilewright.clients.recordings.selecting import Channels, Request, chosen_channels, select
from tilewright.display import html_table
from tilewright.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tilewright.clients.recordings.sampling import Samples
    from tilewright.clients.recordings.units import Clock, Unit
    from tilewright.clients.run import Run

_SHOWN = 40
"""Units that the page of a notebook shows."""


class Deployment:
    """Recordings of several units over days, by time: ``run.deployment().select(time=(t0, t1))``.

    What streams there are is asked when it is opened; files and clocks when they are first needed. Both are kept; `refresh` asks again. A
    run that is going on is asked again by itself when a time is wanted that lies past what is known.

    Times are text with a zone ("2023-04-25T15:09:20Z", "…+09:30"), datetimes with a zone, numpy.datetime64 (UTC) or
    pandas.Timestamps with a zone; a time without a zone is refused.

    Parameters
    ----------
    run
        A run with a stream for each unit, as `tilewright.sources.recordings` makes it.
    clocks
        Tie points to be used instead of those of the run; see `Run.deployment`.

    Raises
    ------
    InputError
        The run is no deployment.
    """

    def __init__(self, run: Run, clocks: pd.DataFrame | None = None) -> None:
        self._run = run
        self._given = clocks
        self._described: Description = describe(run)
        self._known: Contents | None = None
        self._lock = Lock()

    def refresh(self) -> Deployment:
        """Ask again what there is; return the deployment itself."""
        with self._lock:
            self._described, self._known = describe(self._run), None
        return self

    @property
    def run(self) -> Run:
        """The run that it is."""
        return self._run

    @property
    def name(self) -> str:
        """Name of the deployment, or of the blocks' source; the beginning of the run's uid if it was given none."""
        start = self._described.start
        return str(start.get("deployment") or start.get("name") or self._run.uid[:8])

    @property
    def units(self) -> pd.DataFrame:
        """The units, by name, in the order of their rows.

        Columns: row, device_id, model, firmware, gain, what is known of the position (latitude, longitude, elevation, x, y, z) and
        other facts, rate (Hz, of the first file), dtype, channels, files, samples, start, stop (of all that was recorded;
        timestamps in UTC).
        """
        from tilewright.clients.recordings.tables import units_table  # noqa: PLC0415 - imports pandas

        return units_table(self._contents().units.all)

    @property
    def rejected(self) -> pd.DataFrame:
        """Files that are no part of the recording: file, size (bytes), reason."""
        return self._contents().rejected.copy()

    @property
    def samples(self) -> Samples:
        """Samples by row and index: ``deployment.samples[0:2, start:stop]``. See `Samples`."""
        from tilewright.clients.recordings.sampling import Samples  # noqa: PLC0415

        return Samples(self._run, self._contents().units)

    def select(
        self,
        time: Any,
        units: str | int | Iterable[str | int] | None = None,
        *,
        clock: Clock | None = None,
        channels: Channels = None,
        gaps: Gaps = "mask",
        fill_value: float = 0,
        align: bool = False,
        rate: float | None = None,
    ) -> xr.DataArray | dict[str, Any]:
        """Return the samples of a span of time, as they were recorded, each with its exact time. One request.

        Parameters
        ----------
        time
            Two times, (t0, t1): the samples whose time t has t0 <= t < t1, by exact rational arithmetic.
        units
            Names, row numbers, one or several; None for all that have files.
        clock
            "corrected": by the tie points of the unit's clock, linear between two and with the drift of the unit outside;
            "nominal": by what the unit's clock said. None for corrected where a unit has tie points; ``attrs["clock"]`` says.
        channels
            A number, or several; None for all.
        gaps
            What becomes of times in which a unit recorded nothing. A gap of half a sample period or less is none.
            "mask": the grid of the unit goes on through them, with samples 0 where the coordinate ``recorded`` is False.
            "fill": the same with `fill_value`, without that coordinate. "segments": a list of arrays a unit, one for each
            piece without a break; the only way across a change of rate. "raise": an error that names gaps and files.
            In each of them ``attrs["gaps"]`` lists what is in the array.
        fill_value
            For "fill"; has to fit the dtype.
        align
            Whether to put all units on one grid, which begins at t0: the one case in which samples are altered. Each linear
            piece is shifted by the fraction of a sample that is needed (sinc under a Kaiser window) and resampled from its
            true rate with soxr (VHQ); gaps are masked. ``attrs["method"]`` has it in full. Samples are floats then, on the scale
            of the recorder's numbers.
        rate
            Samples a second of that grid; None for the lowest nominal rate of the units.

        Returns
        -------
        DataArray or dict
            Where the units have the very same times, and samples of one kind: one array, dims (unit, time[, channel]). Else a
            dict of one array a unit, dims (unit: 1, time[, channel]); with "segments", a dict of lists of these.
            Coordinates: ``time`` (datetime64[ns], UTC; exact to the nanosecond), ``sample`` (index in the unit's array, -1 where
            nothing was recorded), ``recorded``, ``channel``. Attrs: rate (nominal), clock, uncertainty_ns (largest; None if
            unknown), times (how those of the recorded were found, span by span), gaps, overlaps, units (facts), run.
            A unit that recorded nothing in that time has an array that is masked all over, or an empty list of segments.
            Where two files overlap, the earlier one counts to its end; "segments" gives both whole.

        Raises
        ------
        InputError
            A time without a zone, or t0 not before t1; a change of rate; gaps, if they are to be raised.
        NotFoundError
            No such unit; the message says which there are.
        """
        request = self._request(time, units, clock=clock, channels=channels, gaps=gaps, fill_value=fill_value)
        if align:
            from tilewright.clients.recordings.aligning import align as aligned  # noqa: PLC0415 - rarely used

            return aligned(request, rate)
        if rate is not None:
            raise InputError(f"rate={rate!r}: samples are not resampled unless align=True asks for it.")
        return select(request)

    def coverage(
        self, units: str | int | Iterable[str | int] | None = None, *, clock: Clock | None = None
    ) -> pd.DataFrame:
        """Return what was recorded when, one row a piece without a break.

        Columns: unit, start, stop, duration, samples, rate (Hz), files (their number).
        """
        from tilewright.clients.recordings.tables import coverage_table  # noqa: PLC0415 - imports pandas

        return coverage_table(self._chosen(units), clock)

    def gaps(
        self, units: str | int | Iterable[str | int] | None = None, *, clock: Clock | None = None
    ) -> pd.DataFrame:
        """Return where the files of a unit do not follow each other, one row a place.

        Columns: unit, start, stop, duration, kind, file_before, file_after. Kinds: "gap"; "overlap" (the next file begins
        before the former ends); "jump back" (the unit's clock went back behind the start of the file it had just
        written, or the file was found late: by the unit's own clock, with a negative duration).
        """
        from tilewright.clients.recordings.tables import gaps_table  # noqa: PLC0415 - imports pandas

        return gaps_table(self._chosen(units), clock)

    def clocks(self) -> pd.DataFrame:
        """Return what is known of the clocks, one row a unit.

        Columns: ties (number of tie points), method (of the times that `select` gives: "corrected" or "nominal"), drift_ppm
        (millionths by which the clock is fast against UTC), first_tie, last_tie, first_offset, last_offset (by how much it
        was ahead of UTC there), uncertainty (largest).
        """
        from tilewright.clients.recordings.tables import clocks_table  # noqa: PLC0415 - imports pandas

        return clocks_table(self._contents().units.all)

    def files(self, unit: str | int | Iterable[str | int] | None = None) -> pd.DataFrame:
        """Return the files, one row each, in the order of each unit's array.

        Columns: unit, file, start, stop (by the unit's own clock), and what else its event says: samples, first, rate, bits, channels,
        battery, temperature, gap (to the file before; negative where they overlap), precision (ns, of the start),
        start_from, remark.
        """
        from tilewright.clients.recordings.tables import files_table  # noqa: PLC0415 - imports pandas

        return files_table(self._chosen(unit))

    def listen(
        self, time: Any, unit: str | int, *, channel: int = 0, speed: float = 1.0, clock: Clock | None = None
    ) -> Any:
        """Return what a notebook plays: `IPython.display.Audio`; what was not recorded is silence.

        Parameters
        ----------
        time
            Two times, ten minutes apart at most: the sound lies in the page.
        speed
            Below 1 it is slower and lower: bats at 40 kHz are heard at 4 kHz with 0.1.
        """
        from tilewright.clients.recordings.listening import listen  # noqa: PLC0415

        return listen(self._request(time, unit, clock=clock, channels=channel), speed)

    def sound_url(self, time: Any, unit: str | int, *, clock: Clock | None = None) -> str:
        """Return the address at which a browser plays it as WAV; without a key, which the server may want besides.

        Raises
        ------
        InputError
            Nothing was recorded then, or not in one go.
        """
        from tilewright.clients.recordings.listening import sound_url  # noqa: PLC0415

        return sound_url(self._request(time, unit, clock=clock))

    def plot_coverage(
        self,
        units: str | int | Iterable[str | int] | None = None,
        *,
        clock: Clock | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw what was recorded when: a line a unit, a bar a piece without a break; overlapping files in orange."""
        from tilewright.clients.recordings.pictures import plot_coverage  # noqa: PLC0415

        return plot_coverage(self.name, self._chosen(units), clock, ax)

    def plot_spectrogram(
        self,
        time: Any,
        unit: str | int,
        *,
        channel: int = 0,
        window: int = 1024,
        limits: tuple[float | None, float | None] = (None, None),
        clock: Clock | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw the levels of a unit over time and frequency, of spans of milliseconds to weeks.

        There are 1,000 columns at most. Of a long span a column is the mean power of four spectra spread over its time, and no
        more is read than they are made of; the title says so.

        Parameters
        ----------
        window
            Samples of a spectrum, under a Hann window.
        limits
            Lowest and highest level of the colours: dB, 0 for a sine of full scale.

        Raises
        ------
        InputError
            Nothing as long as the window was recorded then.
        """
        from tilewright.clients.recordings.pictures import plot_spectrogram  # noqa: PLC0415

        request = self._request(time, unit, clock=clock, channels=channel)
        return plot_spectrogram(request, window, limits, ax)

    def plot_waveform(
        self,
        time: Any,
        units: str | int | Iterable[str | int] | None = None,
        *,
        channel: int = 0,
        clock: Clock | None = None,
    ) -> Figure:
        """Draw the samples of units, one above the other, in parts of the full scale; grey where nothing was recorded.

        Of a long span, up to 1,000 columns are drawn, each from the least to the greatest of its samples. Where these are more
        than sixteen million in all, as many from the middle of each column as make that; the title says so.
        """
        from tilewright.clients.recordings.pictures import plot_waveform  # noqa: PLC0415

        return plot_waveform(self._request(time, units, clock=clock, channels=channel))

    def _request(
        self,
        time: Any,
        units: Any,
        *,
        clock: Clock | None,
        channels: Channels = None,
        gaps: Gaps = "mask",
        fill_value: float = 0,
    ) -> Request:
        """Check what is asked for."""
        begin, end = window(time)
        if gaps not in GAPS:
            raise InputError(f"gaps={gaps!r}: expected one of {', '.join(GAPS)}.")
        chosen = self._chosen(units, until=end, with_files=True)
        for unit in chosen:
            unit.clock(clock)
        picked = chosen_channels(channels, chosen)
        return Request(self._run, chosen, begin, end, clock, picked, gaps, fill_value)

    def _chosen(self, units: Any, *, until: int | None = None, with_files: bool = False) -> list[Unit]:
        """Return units; of a run that is going on, asked for anew if one is unknown or a time past what is known is wanted."""
        asked = (
            units
            if units is None or isinstance(units, str) or not hasattr(units, "__iter__")
            else list(units)
        )
        contents = self._contents()
        if self._described.is_over:
            return contents.units.chosen(asked, with_files=with_files)
        try:
            chosen = contents.units.chosen(asked, with_files=with_files)
        except (NotFoundError, InputError):
            return self.refresh()._contents().units.chosen(asked, with_files=with_files)  # noqa: SLF001  # itself
        if until is not None and any(unit.known_until() < until for unit in chosen):
            return self.refresh()._contents().units.chosen(asked, with_files=with_files)  # noqa: SLF001  # itself
        return chosen

    def _contents(self) -> Contents:
        """Return what is known; fetch it the first time."""
        with self._lock:
            if self._known is None:
                self._known = load(self._described, self._given)
            return self._known

    def _span(self) -> str:
        """Return from when to when there is anything, as text."""
        lines = [unit.timeline(unit.clock(None)) for unit in self._contents().units.all]
        begins = [line.begins for line in lines if line.begins is not None]
        ends = [line.ends for line in lines if line.ends is not None]
        return f"{text(min(begins))} to {text(max(ends))}" if begins else "nothing recorded"

    def __repr__(self) -> str:
        """Show name, units, files and span."""
        units = self._contents().units.all
        files = sum(len(unit.files) for unit in units)
        state = "" if self._described.is_over else ", going on or cut off"
        return f"<Deployment {self.name!r} of run {self._run.uid[:8]}: {len(units)} units, {files:,} files, {self._span()}{state}>"

    def _repr_html_(self) -> str:
        """Show the units as a table in a notebook."""
        contents = self._contents()
        rows = [
            [
                unit.row,
                unit.name,
                str(unit.facts.get("model") or ""),
                _rate_text(unit),
                f"{len(unit.files):,}",
                *_ends(unit),
                unit.clock(None),
            ]
            for unit in contents.units.all[:_SHOWN]
        ]
        more = len(contents.units.all) - _SHOWN
        note = f"and {more} more; " if more > 0 else ""
        if len(contents.rejected):
            note += f"files that are no part of it: {len(contents.rejected)}, see .rejected; "
        title = f"Deployment {self.name} of run {self._run.uid[:8]}: {self._span()}"
        headings = ["row", "unit", "model", "rate", "files", "start", "stop", "clock"]
        return html_table(title, headings, rows, note=note.removesuffix("; "))


def _rate_text(unit: Unit) -> str:
    return "" if unit.rate is None else f"{float(unit.rate):,.10g} Hz"


def _ends(unit: Unit) -> list[str]:
    line = unit.timeline(unit.clock(None))
    return ["" if end is None else text(end) for end in (line.begins, line.ends)]
