"""The results of two campaigns come in, a table goes out: for a terminal, and as Markdown for a page."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from campaign.check import Findings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from campaign.trial import Result

Row = tuple[str, ...]


def summary(results: Sequence[Result]) -> dict[str, str]:
    """Return the figures of a campaign by their names."""
    total = Findings()
    for result in results:
        total.add(result.findings)
    calls = sorted(seconds for result in results for seconds in result.calls)
    stops = [seconds for result in results for seconds in result.stops]
    return {
        "trials": f"{len(results):,}",
        "processes killed": f"{sum(result.kills for result in results):,}",
        "requests hit by a fault": f"{sum(result.faults for result in results):,}",
        "runs": f"{total.runs:,}",
        "documents acknowledged": f"{sum(result.acknowledged for result in results):,}",
        "rows acknowledged": f"{total.rows:,}",
        "documents or rows lost": f"{total.lost:,}",
        "… where the acquiring process was not killed": f"{_lost_by_the_living(results):,}",
        "rows duplicated": f"{total.duplicated:,}",
        "rows out of order": f"{total.reordered:,}",
        "wrong values": f"{total.wrong:,}",
        "unreadable runs": f"{total.unreadable:,}",
        "runs cut off and not marked as interrupted": f"{total.unmarked:,}",
        "exceptions raised into the caller": f"{sum(result.raised for result in results):,}",
        "trials that hung": f"{sum(result.hung for result in results):,}",
        "trials with anything else amiss": f"{sum(bool(result.problems) for result in results):,}",
        "a call for a document: median": duration(_quantile(calls, 0.5)),
        "99.9 % of them under": duration(_quantile(calls, 0.999)),
        "the longest": duration(max(calls, default=0.0)),
        "the longest call for a stop document": duration(max(stops, default=0.0)),
    }


def kinds(results: Iterable[Result]) -> list[Row]:
    """Return how many trials of each kind there were."""
    counts = Counter(result.trial.label for result in results)
    return [(label, f"{count}") for label, count in sorted(counts.items())]


def duration(seconds: float) -> str:
    """Return a time in short.

    >>> duration(0.0000042), duration(0.0042), duration(4.2)
    ('4.2 µs', '4.2 ms', '4.2 s')
    """
    for unit, size in (("µs", 1e-6), ("ms", 1e-3)):
        if seconds < 1000 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def markdown(columns: dict[str, dict[str, str]], without: dict[str, set[str]]) -> str:
    """Return a table in Markdown.

    Parameters
    ----------
    columns
        Of each writer, its figures.
    without
        Of each writer, the figures that mean nothing for it.
    """
    names = list(next(iter(columns.values())))
    lines = [["", *columns], ["---", *("--:" for _ in columns)]]
    lines += [
        [
            name,
            *(
                "—" if name in without.get(writer, ()) else figures[name]
                for writer, figures in columns.items()
            ),
        ]
        for name in names
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _lost_by_the_living(results: Iterable[Result]) -> int:
    """Leave out what was killed by plan, and what was killed for it had hung."""
    return sum(
        result.findings.lost for result in results if "acquirer" not in result.trial.kill and not result.hung
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
