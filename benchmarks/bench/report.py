"""What all scripts measured comes in, as a line of JSON each; the tables of `docs/performance.md` go out.

Called by `python -m benchmarks`. What is on the page around the tables stays as it is.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from .cases import CASES, SCRIPTS, SERVER_LIMIT
from .lines import FLOOR, OURS, Line
from .pages import put

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

HEADINGS = ("", "by", "of", "median", "least … most", "runs", "times the best peer", "goal", "reached")


@dataclass(frozen=True)
class Measurement:
    """What a script measured, and when, where and with what."""

    script: str
    arguments: str
    date: str
    machine: str
    versions: str
    seconds: float
    lines: tuple[Line, ...]

    @property
    def circumstances(self) -> str:
        """When, where and with what, in a sentence."""
        return f"{self.date}: {self.versions}; {self.machine}."


def load(path: Path) -> dict[str, Measurement]:
    """Return the measurements of a file, by script in the order of the page; none if there is no file."""
    if not path.exists():
        return {}
    records = [json.loads(text) for text in path.read_text().splitlines()]
    found = {
        record["script"]: Measurement(**{**record, "lines": tuple(Line(**line) for line in record["lines"])})
        for record in records
    }
    return {script: found[script] for script in SCRIPTS if script in found}


def save(path: Path, measurements: Mapping[str, Measurement]) -> None:
    """Write them to a file, a script a line."""
    ordered = [measurements[script] for script in SCRIPTS if script in measurements]
    path.write_text("".join(f"{json.dumps(asdict(one), ensure_ascii=False)}\n" for one in ordered))


def draw(page: Path, measurements: Mapping[str, Measurement]) -> None:
    """Put the tables into their places on the page."""
    common = Counter(one.circumstances for one in measurements.values()).most_common(1)[0][0]
    put(page, "circumstances", f"{common}\n")
    put(
        page,
        "chart",
        "![How many times as good as the best peer Tilewright is, case by case](performance.svg)\n",
    )
    for script in SCRIPTS:
        one = measurements.get(script)  # the page may be a copy of one of other figures
        put(page, script, "Not measured yet.\n" if one is None else _section(one, common))
    reached, measured = count(line for one in measurements.values() for line in one.lines)
    put(page, "goals", f"{reached} of the {measured} goals that were measured are reached.\n")


def _section(one: Measurement, common: str) -> str:
    """Return what stands in a script's place: its table, and how it was measured."""
    own = "" if one.circumstances == common else f" {one.circumstances}"
    how = f"`python benchmarks/{one.script}.py{one.arguments and ' '}{one.arguments}`, {one.seconds:.0f} s."
    return f"{table(one.lines)}\n{how}{own}\n"


def table(lines: Iterable[Line]) -> str:
    """Return the table of a script, in Markdown; the peers have no goals."""
    lines = list(lines)
    rows = [_cells(line, lines) for line in lines]
    told = [HEADINGS, ("---",) * len(HEADINGS), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in told)


def count(lines: Iterable[Line]) -> tuple[int, int]:
    """Return how many goals are reached, and how many were measured."""
    lines = list(lines)
    verdicts = [reached(line, lines) for line in lines]
    return sum(verdict is True for verdict in verdicts), sum(verdict is not None for verdict in verdicts)


def reached(line: Line, lines: Iterable[Line]) -> bool | None:
    """Tell whether Tilewright's median reaches the goal of its case; None for others and without a goal."""
    case = CASES[line.case]
    if line.implementation != OURS or (case.goal is None and case.goal_ratio is None):
        return None
    if case.goal is not None:
        return line.median <= case.goal if case.lower_is_better else line.median >= case.goal
    assert case.goal_ratio is not None, "one of the two is there"
    return at_limit(line, lines) or (line.ratio is not None and line.ratio >= case.goal_ratio)


def at_limit(line: Line, lines: Iterable[Line]) -> bool:
    """Tell whether this takes hardly longer than the server alone."""
    floors = [one.median for one in lines if one.case == line.case and one.implementation == FLOOR]
    return bool(floors) and line.median <= SERVER_LIMIT * floors[0]


def figure(value: float) -> str:
    """Return a number with about three digits that count.

    >>> figure(104_321.4), figure(12.345), figure(0.0123), figure(0)
    ('104,321', '12.3', '0.0123', '0')
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def times(ratio: float) -> str:
    """Return a ratio with the sign of multiplication."""
    return f"{figure(ratio)} \N{MULTIPLICATION SIGN}"


def _cells(line: Line, lines: list[Line]) -> tuple[str, ...]:
    case = CASES[line.case]
    verdict = reached(line, lines)
    first = next(one for one in lines if one.case == line.case) is line
    goal = ""
    if line.implementation == OURS and case.goal is not None:
        goal = f"{figure(case.goal)} {case.unit}"
    elif line.implementation == OURS and case.goal_ratio is not None:
        goal = f"{times(case.goal_ratio)} the best peer, or the server's limit"
    said = {True: "yes", False: "**no**", None: ""}[verdict]
    if verdict and case.goal_ratio is not None:
        said += ", at the server's limit" if at_limit(line, lines) else ", by the ratio"
    bold = "**" if line.implementation == OURS else ""
    return (
        case.title if first else "",
        f"{bold}{line.implementation}{bold}",
        line.size,
        f"{bold}{figure(line.median)} {line.unit}{bold}",
        f"{figure(line.least)} … {figure(line.most)}",
        str(line.runs),
        "" if line.ratio is None else figure(line.ratio),
        goal,
        said,
    )
