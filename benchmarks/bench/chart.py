"""The chart of `docs/performance.md`: what Tilewright reaches as a multiple of the best peer, where there is a goal.

Drawn with matplotlib as SVG, without dates or random names in it, so that the same figures give the same file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .cases import CASES, SCRIPTS
from .lines import OURS, Line
from .report import figure, times

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

OURS_COLOUR, WORSE_COLOUR, GOAL_COLOUR = "#2a6f97", "#c26a3d", "#222222"
INCHES_A_BAR, INCHES_BESIDE = 0.30, 1.5
LABEL_SPACE = 40.0
"""Factor by which the axis goes past the longest bar, for its label."""


def draw(path: Path, lines: Iterable[Line]) -> None:
    """Write the chart."""
    import matplotlib as mpl  # noqa: PLC0415 - slow, and not needed to measure
    from matplotlib.figure import Figure  # noqa: PLC0415

    lines = list(lines)
    shown = [line for line in lines if _is_shown(line)]
    with mpl.rc_context({"svg.hashsalt": "tilewright", "svg.fonttype": "none", "font.size": 9}):
        chart = Figure(figsize=(10, INCHES_A_BAR * len(shown) + INCHES_BESIDE), layout="constrained")
        axes = chart.subplots()
        places = _places(shown)
        goals = [_goal_as_ratio(line) for line in shown]
        for place, line, goal in zip(places, shown, goals, strict=True):
            _bar(axes, place, line, goal)
        axes.set_yticks(places, [_label(line) for line in shown])
        axes.set_ylim(max(places, default=0) + 0.8, -0.8)
        _scale(axes, [line.ratio for line in shown if line.ratio], [goal for goal in goals if goal])
        chart.savefig(path, metadata={"Date": None})


def _is_shown(line: Line) -> bool:
    case = CASES[line.case]
    has_goal = case.goal is not None or case.goal_ratio is not None
    return line.implementation == OURS and has_goal and line.ratio is not None


def _bar(axes, place: float, line: Line, goal: float | None) -> None:  # noqa: ANN001 - matplotlib's
    ratio = line.ratio or 1.0
    colour = OURS_COLOUR if ratio >= 1 else WORSE_COLOUR
    axes.barh(place, ratio - 1, left=1, height=0.7, color=colour)
    if goal is not None:
        axes.plot([goal, goal], [place - 0.45, place + 0.45], color=GOAL_COLOUR, linewidth=2)
    axes.annotate(
        f"{times(ratio)}  ({figure(line.median)} {line.unit})",
        (max(ratio, goal or 1.0, 1.0), place),
        xytext=(6, 0),
        textcoords="offset points",
        verticalalignment="center",
    )


def _scale(axes, ratios: list[float], goals: list[float]) -> None:  # noqa: ANN001
    axes.set_xscale("log")
    everything = [1.0, *ratios, *goals]
    axes.set_xlim(min(everything) / 1.5, max(everything) * LABEL_SPACE)
    axes.axvline(1, color="#888888", linewidth=1)
    axes.xaxis.set_major_formatter(lambda value, _: times(value))
    axes.grid(axis="x", which="major", color="#dddddd")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(
        "Times as good as the best peer (logarithmic; to the right is better). Black mark: the goal."
    )


def _places(shown: list[Line]) -> list[float]:
    """Return where the bars go: those of a script together, a gap between two scripts."""
    scripts = list(dict.fromkeys(CASES[line.case].script for line in shown))
    return [number + 0.6 * scripts.index(CASES[line.case].script) for number, line in enumerate(shown)]


def _label(line: Line) -> str:
    case = CASES[line.case]
    return f"{SCRIPTS[case.script]}: {case.title.replace('`', '')}"


def _goal_as_ratio(line: Line) -> float | None:
    """Return the goal on the axis: as a multiple of what the best peer reaches."""
    case = CASES[line.case]
    if case.goal_ratio is not None:
        return case.goal_ratio
    if not case.goal or line.ratio is None:
        return None
    best = line.median * line.ratio if case.lower_is_better else line.median / line.ratio
    return best / case.goal if case.lower_is_better else case.goal / best
