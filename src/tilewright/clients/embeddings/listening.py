"""The sound of a row: a recording's name and a place in it come in, what a notebook plays goes out. `dataset` calls it.

The recording is looked for in the deployments of a catalog, by the name of its file: names that are longer on one side are the same if
the shorter one is the end of the other, folders included.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from tilewright.clients.filters import metadata_queries
from tilewright.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from tilewright.clients.catalog import Catalog
    from tilewright.clients.recordings import Deployment

_RECORDINGS = "recordings"
"""Name of the plan of deployments."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A file of a deployment."""

    deployment: Deployment
    row: int
    """Of its unit."""
    name: str
    """In the deployment."""
    first: int
    """Index of its first sample in the unit's array."""
    samples: int
    rate: int
    """Hz."""

    def cut(self, offset: float, seconds: float) -> NDArray[Any]:
        """Return samples from so many seconds after its beginning on, as many seconds as there are at most: (samples[, channels]).

        Raises
        ------
        InputError
            If it is shorter than that.
        """
        start = round(offset * self.rate)
        stop = min(start + round(seconds * self.rate), self.samples)
        if not 0 <= start < stop:
            raise InputError(
                f"The recording {self.name!r} has {self.samples / self.rate:,.1f} s, and what is to be heard begins at {offset:,.1f} s."
            )
        found: NDArray[Any] = self.deployment.samples[self.row, self.first + start : self.first + stop]
        return found


class Library:
    """The recordings of a catalog, by name. Each deployment is asked once for its files."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def find(self, filename: str) -> Recording:
        """Return the recording of this name.

        Raises
        ------
        NotFoundError
            If no deployment has it.
        InputError
            If several files are called so.
        """
        wanted = PurePosixPath(filename).parts
        found = [(_common(recording, wanted), recording) for recording in self._called(wanted[-1])]
        longest = max((common for common, _ in found), default=0)
        if not longest:
            raise NotFoundError(
                f"The recording {filename!r} is in none of the {len(self._deployments)} deployments of {self._catalog.uri}: "
                "`tilewright record wav FOLDER` puts recordings there."
            )
        best = [recording for common, recording in found if common == longest]
        if len(best) > 1:
            names = ", ".join(f"{one.name} of {one.deployment.name}" for one in best)
            raise InputError(f"The recording {filename!r} may be each of these: {names}.")
        return best[0]

    @cached_property
    def _deployments(self) -> list[tuple[Deployment, pd.DataFrame, pd.Series[Any]]]:
        """Deployments, their files, and the row of each unit."""
        found: Any = self._catalog
        for query in metadata_queries({"plan_name": _RECORDINGS}):
            found = found.search(query)
        deployments = [run.deployment() for run in found.values()]
        return [(each, each.files(), each.units["row"]) for each in deployments]

    def _called(self, name: str) -> Iterator[Recording]:
        for deployment, files, rows in self._deployments:
            if files.empty:
                continue
            for file in files[files["file"].str.endswith(name)].to_dict("records"):
                row, (first, samples, rate) = (
                    rows[file["unit"]],
                    (file[key] for key in ("first", "samples", "rate")),
                )
                yield Recording(deployment, int(row), str(file["file"]), int(first), int(samples), int(rate))


def _common(recording: Recording, wanted: tuple[str, ...]) -> int:
    """Return how many parts the names have in common, if the shorter one is the end of the longer; else 0."""
    parts = PurePosixPath(recording.name).parts
    common = min(len(parts), len(wanted))
    return common if parts[-common:] == wanted[-common:] else 0
