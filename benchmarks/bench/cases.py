"""Every case that is measured: which script does it, what its figure is, and what it should be.

The goals stand here and nowhere else. `bench.lines` asks which direction is better, `bench.report` and `bench.chart`
whether a goal is reached.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One figure, of which each implementation has its own."""

    script: str
    """Module in `benchmarks/`."""
    title: str
    unit: str
    goal: float | None = None
    """In `unit`; None where only the comparison is of interest."""
    goal_ratio: float | None = None
    """How many times as good as the best peer it should be. The server's limit will do as well."""
    lower_is_better: bool = True
    has_ratio: bool = True
    """Whether it is told how many times as good as a peer something is: not where the aim is nothing at all."""


SCRIPTS = {
    "scalars": "events",
    "event_pages": "event_pages",
    "unthrottled": "unthrottled",
    "live": "live",
    "runs": "short runs",
    "images": "images",
    "register": "registering",
    "memory": "memory",
    "imports": "import",
    "reading": "reading",
}
"""Scripts in the order of the page, with what the chart calls them."""

RATES = (200, 2_000)
"""Events per second at which `live` measures."""
MARKS = (10, 100, 1_000, 10_000)
"""Files registered before those whose cost `images` measures."""

SERVER_LIMIT = 1.25
"""Up to this multiple of what the server alone takes, we call it at the server's limit."""

FLAT = 5.5
"""Bytes an event by which memory may grow to be called flat: 1 % of what an event of 10 keys takes when encoded."""


def _live(rate: int) -> dict[str, Case]:
    at = f"{rate:,} events/s"
    return {
        f"live-{rate}-median": Case("live", f"{at}: a row is seen after, median", "s", 0.3),
        f"live-{rate}-worst": Case("live", f"{at}: a row is seen after, worst", "s", 0.6),
        f"live-{rate}-slowed": Case(
            "live", f"{at}: calls that hold up the next event", "%", 0, has_ratio=False
        ),
        f"live-{rate}-call-median": Case("live", f"{at}: a call, median", "µs"),
        f"live-{rate}-call-worst": Case("live", f"{at}: a call, worst", "µs"),
        f"live-{rate}-rate": Case("live", f"{at}: rate reached", "events/s", lower_is_better=False),
    }


CASES = {
    "scalars-10": Case("scalars", "10 float keys", "events/s", 100_000, lower_is_better=False),
    "scalars-100": Case("scalars", "100 float keys", "events/s", 20_000, lower_is_better=False),
    "pages-calls": Case(
        "event_pages", "into the journal: the calls", "rows/s", 1_000_000, lower_is_better=False
    ),
    "pages-readable": Case("event_pages", "until readable", "rows/s", 200_000, lower_is_better=False),
    "unthrottled-median": Case("unthrottled", "a call, median", "µs", 5),
    "unthrottled-999": Case("unthrottled", "a call, 99.9 %", "µs"),
    "unthrottled-worst": Case("unthrottled", "a call, worst", "µs", 5_000),
    **{key: case for rate in RATES for key, case in _live(rate).items()},
    "runs-wait": Case("runs", 'on the caller\'s thread, `on_stop="wait"`', "ms a run", 60),
    "runs-return": Case("runs", 'on the caller\'s thread, `on_stop="return"`', "ms a run", 2),
    "runs-requests": Case("runs", "HTTP requests", "a run"),
    **{f"images-{mark}": Case("images", f"after {mark:,} files", "ms a file", 3) for mark in MARKS},
    "register-one": Case("register", "one StreamDatum for all", "ms a file", 0.5),
    "register-burst": Case("register", "a StreamDatum each, in one burst", "ms a file", 0.5),
    "memory-peak": Case("memory", "most it ever is", "MB", 250),
    "memory-growth": Case(
        "memory", "growth from the first tenth to the last", "bytes an event", FLAT, has_ratio=False
    ),
    "import": Case("imports", "the package", "s", 0.3),
    "import-writer": Case("imports", "its writer", "s"),
    "reading-table": Case("reading", "all rows", "s", goal_ratio=5),
    "reading-column": Case("reading", "one column", "s", goal_ratio=5),
    "reading-catalog": Case("reading", "a table of runs", "s", goal_ratio=5),
}
