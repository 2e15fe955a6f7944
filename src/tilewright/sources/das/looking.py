"""Files come in, what they are to the acquisition goes out: a part of its array, and in which order, or none. `source` calls it.

A file is opened once, by `tilewright.das.probe`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tilewright.das import TIME, is_url, probe
from tilewright.errors import InputError
from tilewright.sources.recordings.looking import unfit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tilewright.das import Facts
    from tilewright.documents import Document
    from tilewright.sources.das.run_documents import RunDocuments
    from tilewright.sources.scan import Found

_LISTED = 5
"""Files that a message names."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A file that was looked at."""

    found: Found
    facts: Facts | None
    reason: str = ""
    """Why it is no part of the array."""


def look(found: Found) -> Looked:
    """Look at a file, or a store at a URL; a fault of it becomes a reason.

    Raises
    ------
    SetupError, TransientError
        As `tilewright.das.probe` does: the next time it may be there.
    """
    if not is_url(found.place) and (reason := unfit(found)):
        return Looked(found, None, reason)
    try:
        return Looked(found, probe(found.place))
    except (InputError, OSError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return Looked(found, None, reason.replace(found.place, "it").rstrip("."))


def in_order(run: RunDocuments, looked: list[Looked], cut: list[Document]) -> list[Looked]:
    """Sort files by their start, those that are none behind; that which was being recorded when the run was cut off comes first.

    Raises
    ------
    InputError
        If that one is not there.
    """
    ordered = sorted(
        looked,
        key=lambda each: (each.facts is None, 0 if each.facts is None else each.facts.start, each.found.name),
    )
    begun = [doc["uri"] for name, doc in cut if name == "stream_resource"]
    first = [each for each in ordered if each.facts is not None and run.is_part_of(each.found, cut)]
    if begun and not first:
        raise InputError(
            f"{begun[0]}, which was being recorded when the run was cut off, is not there, or cannot be read any longer: put it back"
        )
    return [*first, *(each for each in ordered if each not in first)]


def check_order(run: RunDocuments, ordered: list[Looked]) -> None:
    """Refuse several files whose time is the second dimension: those after the first would have to lie beside it, in one array.

    Raises
    ------
    InputError
        If there are.
    """
    dims = run.state.start["cable"]["dims"] if run.state.start else None
    if dims is not None and dims[0] == TIME:
        return  # such files are other than those of the run
    across = [each.found.name for each in ordered if each.facts is not None and each.facts.dims[0] != TIME]
    names = [*run.state.files, *across]
    if across and len(names) > 1:
        more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
        raise InputError(
            f"{', '.join(names[:_LISTED])}{more}: their arrays are by distance and time, and such arrays cannot be one array: "
            "record them one by one, each under its name"
        )


def same(facts: Facts, taken: Mapping[tuple[int, int], str]) -> str:
    """Say whether a file has the very time of another one that is recorded; empty if none has.

    Parameters
    ----------
    taken
        Name of each file that is, by its start and how many samples it has.
    """
    other = taken.get((facts.start, facts.samples))
    if other is None:
        return ""
    return f"it starts when {other} does, and is as long: it is a copy, or of another cable; record that as another acquisition"
