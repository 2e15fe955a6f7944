"""What waits in a journal directory: its path and a catalog's name come in, checks go out. `examine` calls this."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tilewright.clients.doctor.diagnosis import bad, good, not_checked, warning
from tilewright.errors import SetupError
from tilewright.journal.overview import age_text, entries_in, size_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tilewright.clients.doctor.diagnosis import Check
    from tilewright.journal import Entry

NAME = "journals"
_LOOK = "`tilewright journal ls` lists them, `tilewright journal verify` says what is wrong"


def check_journals(path: Path, catalog: str) -> list[Check]:
    """Look at what waits for this catalog and for others, and at what cannot be read or was not understood."""
    try:
        entries = entries_in(path)
    except SetupError as error:
        return [not_checked(NAME, str(error))]
    here = f" --journal {path}"
    checks = []
    waiting = [entry for entry in entries if entry.state == "waiting"]
    ours = [entry for entry in waiting if entry.header is not None and entry.header.is_for(catalog)]
    left = [entry for entry in ours if entry.claimant is None]
    if left:
        advice = f"Deliver them: `tilewright deliver --catalog {catalog}{here}`, or the next writer does."
        checks.append(warning(NAME, f"{_counted(left)} for this catalog, and nobody delivers", advice))
    elsewhere = sorted(
        {str(entry.header.catalog) for entry in waiting if entry not in ours and entry.header is not None}
    )
    if elsewhere:
        others = [entry for entry in waiting if entry not in ours]
        advice = f"Deliver them: `tilewright deliver{here}` takes each to the catalog that it names."
        checks.append(warning(NAME, f"{_counted(others)} for other catalogs: {', '.join(elsewhere)}", advice))
    if unverified := [entry for entry in entries if entry.state == "unverified"]:
        finding = f"{_counted(unverified)}, delivered as far as they could be read and understood"
        checks.append(warning(NAME, finding, f"The notes of these runs say why; {_LOOK}."))
    if unreadable := [entry for entry in entries if entry.state == "unreadable"]:
        finding = f"{_counted(unreadable)} that cannot be read, such as {unreadable[0].path.name}"
        checks.append(bad(NAME, finding, f"{_LOOK[0].upper() + _LOOK[1:]}."))
    return checks or [good(NAME, _quiet(entries))]


def _quiet(entries: Sequence[Entry]) -> str:
    """Return what is going on where nothing is wrong."""
    if not entries:
        return "none"
    recording = sum(entry.state == "recording" for entry in entries)
    delivering = sum(entry.state == "waiting" for entry in entries)
    delivered = sum(entry.state == "delivered" for entry in entries)
    return f"{recording} being recorded, {delivering} being delivered, {delivered} delivered and kept for a while"


def _counted(entries: Sequence[Entry]) -> str:
    oldest = min(entry.modified if entry.header is None else entry.header.created for entry in entries)
    size = size_text(sum(entry.size for entry in entries))
    noun = "journal" if len(entries) == 1 else "journals"
    return f"{len(entries)} {noun} ({size}, the oldest of {age_text(time.time() - oldest)} ago)"
