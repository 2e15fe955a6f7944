"""Results: one JSON line an implementation, with medians of several runs and the ratio to the best peer."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Line:
    """What one implementation reached in one case."""

    case: str
    implementation: str
    unit: str
    median: float
    least: float
    most: float
    runs: int
    ratio: float | None = None
    """How many times better Tilewright is than this; None for Tilewright itself."""
    note: str = ""


def lines(
    case: str,
    unit: str,
    values: dict[str, list[float]],
    *,
    ours: str = "tilewright",
    lower_is_better: bool = False,
) -> list[Line]:
    """Return a line for each implementation of `values`, which has the results of several runs."""
    own = statistics.median(values[ours])
    result = []
    for name, several in values.items():
        median = statistics.median(several)
        better = median / own if lower_is_better else own / median
        result.append(
            Line(
                case,
                name,
                unit,
                median,
                min(several),
                max(several),
                len(several),
                None if name == ours else better,
            )
        )
    return result


def show(results: list[Line]) -> None:
    """Print them."""
    for line in results:
        print(
            json.dumps({key: value for key, value in asdict(line).items() if value not in (None, "")}),
            flush=True,
        )
