"""What a run of a cable has: a run comes in; its grid of channels and the times of its files go out. `cable` asks."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.clients.recordings.timeline import Timeline
from tilewright.documents.times import FileSpan, nominal
from tilewright.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from tilewright.clients.run import Run
    from tilewright.clients.stream import Stream

STREAM, ARRAY = "das", "data"
TIME, DISTANCE = "time", "distance"


@dataclass(frozen=True, slots=True)
class Description:
    """What all files of an array have in common."""

    start: Mapping[str, Any]
    """The start document."""
    stream: Stream
    settings: Mapping[str, Any]
    """Of the descriptor's configuration: dims, channels, step, distance_start, spacing, …"""

    @property
    def dims(self) -> tuple[str, str]:
        """Of the array as it lies in the files."""
        first, second = self.settings["dims"]
        return str(first), str(second)

    @property
    def rate(self) -> Fraction:
        """Samples a second."""
        return Fraction(self.settings["step_denominator"], self.settings["step_numerator"])

    @property
    def distances(self) -> NDArray[np.float64]:
        """Of the channels along the fibre, in metres; their numbers, where nobody told the spacing."""
        spacing = self.settings.get("spacing")
        channels = np.arange(self.settings["channels"], dtype=np.float64)
        return channels if spacing is None else self.settings["distance_start"] + channels * spacing


@dataclass(frozen=True, slots=True)
class Files:
    """When the files of an array were recorded."""

    table: pd.DataFrame
    """A row a file: file, start (ns), samples, first, step_numerator, step_denominator, gap (ns), remark."""
    timeline: Timeline


def describe(run: Run) -> Description:
    """Return what a run of a cable has. Two requests.

    Raises
    ------
    InputError
        If it is none.
    """
    try:
        stream = run[STREAM]
        settings = stream.descriptor["configuration"][STREAM]["data"]
    except (NotFoundError, KeyError, TypeError):
        raise InputError(
            f"Run {run.uid[:8]} is no acquisition of a cable: it has no stream {STREAM!r} that tells of channels and times. "
            "`tilewright record das PATH` makes such runs."
        ) from None
    return Description(run.start, stream, settings)


def files_of(described: Description) -> Files:
    """Return when the files were recorded. One request."""
    table = described.stream.table(
        ["file", "start", "samples", "first", "step_numerator", "step_denominator", "gap", "remark"]
    )
    spans = [
        FileSpan(
            int(row["first"]),
            int(row["samples"]),
            int(row["start"]),
            Fraction(int(row["step_denominator"]), int(row["step_numerator"])),
            0,
        )
        for row in table.to_dict("records")
    ]
    return Files(table, Timeline(nominal(spans), [span.rate for span in spans]))
