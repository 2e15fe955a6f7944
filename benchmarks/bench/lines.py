"""Results: one JSON line an implementation and case, with the median of several runs and the ratio to the best peer."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from .cases import CASES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

OURS = "tilewright"
FLOOR = "the server alone"
"""No implementation but what the server needs to answer the same requests; neither ours nor a peer."""

Figures = dict[str, float]
"""What one run of one implementation gave, by case."""


@dataclass(frozen=True)
class Line:
    """What one implementation reached in one case."""

    case: str
    """A key of `bench.cases.CASES`."""
    implementation: str
    unit: str
    median: float
    least: float
    most: float
    runs: int
    ratio: float | None = None
    """How many times as good as the best peer: 1 for that one. None without a peer, or where it says nothing."""
    size: str = ""
    """Of what: how many events, files or runs."""


def lines(results: Mapping[str, Sequence[Figures]], sizes: Mapping[str, str]) -> list[Line]:
    """Return a line for each case and implementation.

    Parameters
    ----------
    results
        What each implementation gave, run after run.
    sizes
        Of each implementation, what was measured.
    """
    names = dict.fromkeys(case for several in results.values() for figures in several for case in figures)
    return [line for case in names for line in _case(case, results, sizes)]


def _case(case: str, results: Mapping[str, Sequence[Figures]], sizes: Mapping[str, str]) -> Iterable[Line]:
    values = {
        name: found
        for name, several in results.items()
        if (found := [figures[case] for figures in several if case in figures])
    }
    medians = {name: statistics.median(found) for name, found in values.items()}
    peers = [median for name, median in medians.items() if name not in (OURS, FLOOR)]
    lower = CASES[case].lower_is_better
    best = (min(peers) if lower else max(peers)) if peers and CASES[case].has_ratio else None
    for name, found in values.items():
        yield Line(
            case,
            name,
            CASES[case].unit,
            medians[name],
            min(found),
            max(found),
            len(found),
            _ratio(medians[name], best, lower_is_better=lower),
            sizes.get(name, ""),
        )


def _ratio(value: float, best: float | None, *, lower_is_better: bool) -> float | None:
    if best is None:
        return None
    return best / value if lower_is_better else value / best


def show(results: Iterable[Line]) -> None:
    """Print them."""
    for line in results:
        kept = {key: value for key, value in asdict(line).items() if value not in (None, "")}
        print(json.dumps(kept, ensure_ascii=False), flush=True)
