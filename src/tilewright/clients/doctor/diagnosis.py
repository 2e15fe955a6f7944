"""What a check found, in words: the other modules of the doctor make `Check`s; users read a `Diagnosis`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tilewright.display import Cell, html_table

if TYPE_CHECKING:
    from pathlib import Path

    from tilewright.display import Tone


class Verdict(StrEnum):
    """How a check went."""

    GOOD = "good"
    WARNING = "warning"
    """It works, and will cause trouble sooner or later, or cannot be told."""
    BAD = "bad"
    """Something is not recorded, not delivered or not readable."""
    NOT_CHECKED = "not checked"


MARKS = {Verdict.GOOD: "✓", Verdict.WARNING: "!", Verdict.BAD: "✗", Verdict.NOT_CHECKED: "-"}
_TONES: dict[Verdict, Tone] = {
    Verdict.GOOD: "good",
    Verdict.WARNING: "warning",
    Verdict.BAD: "bad",
    Verdict.NOT_CHECKED: "quiet",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    finding: str
    """What is so, with figures and places; no sentence, no full stop."""
    advice: str = ""
    """What to change, as a sentence; empty where nothing is to be changed."""


def good(name: str, finding: str, advice: str = "") -> Check:
    """Return a check that went well."""
    return Check(name, Verdict.GOOD, finding, advice)


def warning(name: str, finding: str, advice: str) -> Check:
    """Return a check that found something to look after."""
    return Check(name, Verdict.WARNING, finding, advice)


def bad(name: str, finding: str, advice: str) -> Check:
    """Return a check that found what keeps data from being recorded, delivered or read."""
    return Check(name, Verdict.BAD, finding, advice)


def not_checked(name: str, finding: str, advice: str = "") -> Check:
    """Return a check that could not be made."""
    return Check(name, Verdict.NOT_CHECKED, finding, advice)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that `examine` found."""

    catalog: str
    """Which catalog was examined; no key in it."""
    journal: Path
    """Which journal directory was examined."""
    checks: tuple[Check, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is bad. There may be warnings."""
        return all(check.verdict is not Verdict.BAD for check in self.checks)

    @property
    def summary(self) -> str:
        """Everything in one line."""
        counts = {
            verdict: sum(check.verdict is verdict for check in self.checks)
            for verdict in (Verdict.BAD, Verdict.WARNING, Verdict.NOT_CHECKED)
        }
        found = [f"{count} {verdict}" for verdict, count in counts.items() if count]
        return f"{len(self.checks)} checks: {', '.join(found) or 'all good'}"

    def to_dict(self) -> dict[str, Any]:
        """Return the same as JSON can hold it."""
        return {
            "healthy": self.healthy,
            "catalog": self.catalog,
            "journal": str(self.journal),
            "checks": [asdict(check) for check in self.checks],
        }

    def __str__(self) -> str:
        """Return a line a check, and below it one with the advice, if there is any."""
        lines = []
        width = max(map(len, Verdict))
        for check in self.checks:
            lines.append(f"{check.verdict:<{width}}  {check.name}: {check.finding}")
            if check.advice:
                lines.append(f"{'':<{width}}  -> {check.advice}")
        return "\n".join([*lines, self.summary])

    def _repr_html_(self) -> str:
        """Show the checks as a table in a notebook."""
        rows = [
            (
                Cell(f"{MARKS[check.verdict]} {check.verdict}", _TONES[check.verdict]),
                check.name,
                f"{check.finding}\n{check.advice}" if check.advice else check.finding,
            )
            for check in self.checks
        ]
        title = f"tilewright doctor: {self.catalog}"
        return html_table(title, ("", "check", "finding, and what to do"), rows, note=self.summary)
