"""A fibre-optic cable: a run comes in; its samples by time and distance, its files and gaps go out.

`Run.cable` makes it; notebooks and scripts use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from tilewright.clients.cables.describing import describe, files_of
from tilewright.clients.cables.selecting import channels_at, chosen, lazy, numbered, refuse_large
from tilewright.clients.recordings.moments import text
from tilewright.display import html_facts

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from tilewright.clients.cables.describing import Files
    from tilewright.clients.cables.selecting import Gaps
    from tilewright.clients.cables.stored import Stored
    from tilewright.clients.recordings.timeline import Part
    from tilewright.clients.run import Run


_SPECTRUM = 64_000_000
"""Samples of a spectrum at most: it takes some 20 bytes each besides the samples, 1.3 GB in all."""


class Cable:
    """Samples of a cable's channels, by time and distance: ``run.cable().select(time=(t0, t1), distance=(d0, d1))``.

    Times are text with a zone, datetimes with a zone, numpy.datetime64 (UTC) or pandas.Timestamps; distances are metres along the fibre.

    Parameters
    ----------
    run
        A run as `tilewright.sources.Cable` makes it.

    Raises
    ------
    InputError
        If the run is no acquisition of a cable.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._described = describe(run)
        self._known: Files | None = None

    @property
    def run(self) -> Run:
        """The run that it is."""
        return self._run

    @property
    def name(self) -> str:
        """Name of the acquisition."""
        return str(self._described.start.get("acquisition") or self._run.uid[:8])

    @property
    def facts(self) -> dict[str, Any]:
        """What all files have in common: channels, step, distance_start and spacing (m), gauge_length (m), units, quantity and others."""
        return dict(self._described.settings)

    @property
    def rate(self) -> float:
        """Samples a second of each channel."""
        return float(self._described.rate)

    @property
    def files(self) -> pd.DataFrame:
        """The files, one row each: file, start and stop (UTC), samples, first (index along time), gap (to the file before), remark."""
        files = self._files()
        table = files.table
        step = table["step_numerator"] / table["step_denominator"]
        start = pd.to_datetime(table["start"], unit="ns", utc=True)
        return pd.DataFrame(
            {
                "file": table["file"],
                "start": start,
                "stop": start + pd.to_timedelta(table["samples"] * step, unit="s"),
                "samples": table["samples"],
                "first": table["first"],
                "gap": pd.to_timedelta(table["gap"], unit="ns"),
                "remark": table["remark"],
            }
        )

    def gaps(self) -> pd.DataFrame:
        """Return where files do not follow each other, one row a place: start, stop, kind ("gap" or "overlap"), file_before, file_after."""
        files = self._files()
        names = files.table["file"]
        rows = [
            {
                "start": pd.Timestamp(one.start, unit="ns", tz="UTC"),
                "stop": pd.Timestamp(one.stop, unit="ns", tz="UTC"),
                "kind": one.kind,
                "file_before": names[one.files[0]],
                "file_after": names[one.files[1]],
            }
            for one in files.timeline.breaks
        ]
        return pd.DataFrame(rows, columns=["start", "stop", "kind", "file_before", "file_after"])

    def select(self, time: Any = None, distance: Any = None, *, gaps: Gaps = "skip") -> xr.DataArray:
        """Return samples of a span of time and of fibre, exactly; lazy: what is computed fetches the chunks it touches.

        Parameters
        ----------
        time
            Two times, (t0, t1): the samples whose time t has t0 <= t < t1, by exact arithmetic. None for all.
        distance
            Two distances, (d0, d1), in metres: the channels at d with d0 <= d < d1. Numbers of channels, if nobody told their spacing. None
            for all.
        gaps
            What becomes of times in which nothing was recorded. "skip": the samples before and after follow each other, and ``attrs["gaps"]``
            says where. "raise": an error that says where.

        Returns
        -------
        DataArray
            Dims (distance, time), as dask. Coordinates: distance (m), channel, time (datetime64[ns], UTC, exact to the nanosecond), sample (index
            in the run's array). Attrs: rate (Hz), units, quantity, gauge_length (m), spacing (m), gaps, run. Where two files overlap, the earlier
            one counts to its end.

        Raises
        ------
        InputError
            A time without a zone; an end that is before its beginning; a gap, if it is to be raised.
        """
        return lazy(self._described, chosen(self._described, self._files().timeline, time, distance, gaps))

    def stored(self) -> Stored:
        """Return the samples by their index in the run's array: ``cable.stored().read(start, stop, channels)``. One request.

        Files of this machine's disks are read by themselves, all else is asked of the server. What is returned can be sent to other processes.
        """
        from tilewright.clients.cables.stored import stored  # noqa: PLC0415 - h5py

        return stored(self._described)

    def stretches(self) -> list[list[Part]]:
        """Return what was recorded without a gap, stretch by stretch in the order of time: the parts of the array that follow each other.

        A part has the indices `start` to `stop` of the array, and tells their times. Where two files overlap, the earlier one counts to its end.
        """
        timeline = self._files().timeline
        return timeline.segments(timeline.stretches)

    @property
    def distances(self) -> NDArray[np.float64]:
        """Of the channels along the fibre, in metres; their numbers, where nobody told the spacing."""
        return self._described.distances

    def channels(self, distance: Any = None) -> slice:
        """Return which channels lie at distances d with d0 <= d < d1; all, of None.

        Raises
        ------
        InputError
            If that is no pair of distances.
        """
        return channels_at(self._described.distances, distance)

    def cut(self, samples: tuple[int, int], channels: tuple[int, int]) -> xr.DataArray:
        """Return samples by their indices in the run's array, as `select` does, in the order of time; lazy.

        Where two files overlap, the earlier one counts to its end: what the later one has of that time is left out.

        Parameters
        ----------
        samples, channels
            The first, and the one after the last.

        Raises
        ------
        InputError
            If not all of them are there.
        """
        return lazy(self._described, numbered(self._described, self._files().timeline, samples, channels))

    def plot_waterfall(
        self,
        time: Any = None,
        distance: Any = None,
        *,
        limits: tuple[float, float] | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw samples over time and distance; what was not recorded is grey.

        A picture has 1,200 columns and 800 rows at most. Of a larger span a cell is the largest magnitude of its samples, and the title
        says of how many; all of them are read, chunk by chunk.

        Parameters
        ----------
        time, distance
            As of `select`.
        limits
            Values of the first and the last colour. None for what 99.5 % of the cells are within.

        Raises
        ------
        InputError
            If nothing was recorded there; and as `select`.
        """
        from tilewright.clients.cables.pictures import plot_waterfall  # noqa: PLC0415 - matplotlib

        return plot_waterfall(self.name, self.select(time, distance), limits, ax)

    def plot_fk(
        self,
        time: Any = None,
        distance: Any = None,
        *,
        limits: tuple[float, float] | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw the spectrum of samples over frequency and wavenumber (f-k): what travels along the fibre how fast, and which way.

        What has a positive wavenumber travels towards larger distances. Colours are power density, in dB re 1 units²/(Hz · 1/m): a
        periodogram with a Hann taper along time and distance, of samples less the mean of each channel. Lines are apparent speeds
        along the fibre, of which those are drawn that lie well inside the picture. A picture has 800 frequencies and 1,200 wavenumbers at
        most; of more, a cell is the mean, and the title says of how many. Where nobody told the spacing of channels, wavenumbers
        are in cycles per channel, and there are no speeds.

        Parameters
        ----------
        time, distance
            As of `select`: 64 million samples at most, which take some 2 GB of memory.
        limits
            dB of the first and the last colour. None for 5 dB below the median of the cells, and what 99.95 % of them are below.

        Raises
        ------
        InputError
            If there is a gap in that time; if the samples are too many, fewer than 4 by 4, all the same, or no finite numbers; and as
            `select`.
        """
        from tilewright.clients.cables.pictures import plot_fk  # noqa: PLC0415 - matplotlib

        selection = chosen(self._described, self._files().timeline, time, distance, "skip")
        refuse_large(selection, _SPECTRUM, "a spectrum")
        return plot_fk(self.name, lazy(self._described, selection), limits, ax)

    def refresh(self) -> Cable:
        """Ask again what there is; return the cable itself."""
        self._described, self._known = describe(self._run), None
        return self

    def _files(self) -> Files:
        if self._known is None:
            self._known = files_of(self._described)
        return self._known

    def _span(self) -> str:
        line = self._files().timeline
        return (
            "nothing recorded"
            if line.begins is None or line.ends is None
            else f"{text(line.begins)} to {text(line.ends)}"
        )

    def __repr__(self) -> str:
        """Show name, channels, rate, files and span."""
        channels, files = self._described.settings["channels"], len(self._files().table)
        return f"<Cable {self.name!r} of run {self._run.uid[:8]}: {channels:,} channels at {self.rate:,.10g} Hz, {files:,} files, {self._span()}>"

    def _repr_html_(self) -> str:
        """Show the same, and what the files have in common, as a table in a notebook."""
        facts = {name: str(value) for name, value in self._described.settings.items()}
        return html_facts(f"Cable {self.name}: {self._span()}", {**facts, "files": len(self._files().table)})
