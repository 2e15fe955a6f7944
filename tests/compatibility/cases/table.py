"""The page `docs/formats/conformance.md`, made of what was found.

In come the outcomes of all cases; out go the table and the versions, which go into the places that the page has for them.
Called by `test_conformance`, which compares the page with them, or writes it if `TILEWRIGHT_WRITE_CONFORMANCE` is set.
"""

import platform
import re
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from .base import FORMATS

PAGE = Path(__file__).parents[3] / "docs" / "formats" / "conformance.md"
PACKAGES = [
    "tilewright",
    "tiled",
    "bluesky-tiled-plugins",
    "event-model",
    "h5py",
    "tifffile",
    "pillow",
    "zarr",
    "tiledb",
    "numpy",
]
EQUAL, DIFFERS, NOT_THERE = "equal", "differs", "not supported there"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case."""

    faults: dict[str, list[str]]
    """What is wrong with our run in the hands of each reader; nothing where all is equal."""
    keys_only: bool = False
    """Whether Bluesky's client reads all of its data keys right, but not the stream as a whole."""
    refused: list[str] = field(default_factory=list)
    """Why Bluesky's writer does not support it: what it raised, or what is wrong with its run in its own client's hands."""
    differences: list[str] = field(default_factory=list)
    """In which parts of the structure the two writers differ."""

    @property
    def beside(self):
        """How the case compares with what Bluesky's writer makes of it."""
        return NOT_THERE if self.refused else DIFFERS if self.differences else EQUAL


def table(cases, outcomes, reasons, keys_only):
    """Return the table: a row for each case.

    Parameters
    ----------
    reasons
        Why a case is not equal beside Bluesky's writer, by its name.
    keys_only
        For a reader, why it does not read the stream of a case as a whole, by the name of that.
    """
    readers = list(next(iter(outcomes.values())).faults)
    lines = [
        [
            "format",
            "documents",
            "case",
            *(f"read by {reader}" for reader in readers),
            "beside what bluesky-tiled-plugins writes",
        ]
    ]
    lines.append(["---"] * len(lines[0]))
    for case in sorted(cases, key=_order(cases)):
        outcome = outcomes[case.name]
        read = [_read(outcome, reader, keys_only.get(reader, {}).get(case.name)) for reader in readers]
        reason = reasons.get(case.name)
        beside = f"{outcome.beside}: {reason}" if reason else outcome.beside
        lines.append([case.format, case.dialect, case.title, *read, beside])
    return "\n".join(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines)


def _read(outcome, reader, reason):
    """Say how a reader has read a case."""
    if outcome.faults[reader] and outcome.keys_only:
        return f"{EQUAL}, key by key: {reason}"
    return "; ".join(outcome.faults[reader]) or EQUAL


def versions():
    """Say what the page was made with."""
    return f"Made with {', '.join(f'{name} {version(name)}' for name in PACKAGES)}, Python {platform.python_version()}."


def place(page, name):
    """Return what stands in a place of the page, between `<!-- name: begin … -->` and `<!-- name: end -->`."""
    (found,) = re.findall(_PLACE.format(name), page, re.DOTALL)
    return found[1].strip()


def fill(page, name, text):
    """Return the page with this text in a place of it."""
    return re.sub(
        _PLACE.format(name), lambda found: f"{found[1]}\n\n{text}\n\n{found[3]}", page, flags=re.DOTALL
    )


_PLACE = "(<!-- {0}: begin.*?-->)(.*?)(<!-- {0}: end -->)"


def _order(cases):
    """Order rows by format, and by dialect in the order of its first case."""
    dialects = list(dict.fromkeys(case.dialect for case in cases))
    return lambda case: (FORMATS.index(case.format), dialects.index(case.dialect))


def _cell(text):
    return " ".join(text.split()).replace("|", "\\|")
