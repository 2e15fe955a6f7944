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
    "recordings": "recordings",
    "blocks": "blocks",
    "embeddings": "embeddings",
    "das": "cables",
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


def _sizes(vectors: str, number: int) -> dict[str, Case]:
    """Return the cases of a smaller dataset of embeddings."""
    told = {
        "catalog": ("from files until readable", "embeddings/s"),
        "search": ("exact search, one query", "µs a vector"),
        "filtered": ("`nearest` among 2,000 rows of a condition", "ms"),
        "journal-bytes": ("in the journal", "bytes a row"),
    }
    return {
        f"embeddings-{case}-{number}": Case(
            "embeddings", f"of {vectors}: {title}", unit, lower_is_better=case != "catalog"
        )
        for case, (title, unit) in told.items()
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
    "recordings-adapter": Case("recordings", "1 s of 8 units, in the adapter", "ms", 1),
    "recordings-http": Case("recordings", "1 s of 8 units, through HTTP", "ms", 30),
    "recordings-large": Case(
        "recordings", "5 min of 2 units, through HTTP", "MB/s", goal_ratio=0.6, lower_is_better=False
    ),
    "recordings-select": Case("recordings", "1 s of all units, selected by time", "ms", 50),
    "recordings-open-few": Case("recordings", "open an array of 10 files, and read", "ms"),
    "recordings-open-many": Case("recordings", "the same of 10,000 files", "ms"),
    "recordings-register": Case(
        "recordings", "registering 10,000 files", "files/s", 500, lower_is_better=False
    ),
    "blocks-journal": Case("blocks", "into the journal", "blocks/s", 4_000, lower_is_better=False),
    "blocks-folder": Case("blocks", "10 s by time, from a folder", "ms", 0.3),
    "blocks-folder-many": Case("blocks", "the same among 2,000,000 blocks", "ms"),
    "blocks-catalog": Case("blocks", "10 s by time, from a catalog", "ms", 30),
    "blocks-catalog-many": Case("blocks", "the same among 2,000,000 blocks", "ms"),
    "blocks-listing": Case("blocks", "listing a folder of 20,000 blocks", "ms"),
    "blocks-index": Case("blocks", "which session is at a time, by the index", "ms", 0.1),
    "blocks-live-median": Case("blocks", "live: a block can be read after, median", "s"),
    "blocks-live-worst": Case("blocks", "live: a block can be read after, worst", "s", 0.5),
    "embeddings-catalog": Case(
        "embeddings", "from files until readable", "embeddings/s", 50_000, lower_is_better=False
    ),
    "embeddings-search": Case("embeddings", "exact search, one query", "µs a vector", 0.2),
    "embeddings-search-64": Case("embeddings", "64 queries at once", "µs a vector and query"),
    "embeddings-search-first": Case("embeddings", "one query, the first time", "µs a vector"),
    "embeddings-search-tfrecord": Case("embeddings", "one query, in TFRecords", "µs a vector"),
    "embeddings-nearest": Case("embeddings", "`nearest` of a row among all", "ms"),
    "embeddings-filtered": Case("embeddings", "`nearest` among 2,000 rows of a condition", "ms"),
    "embeddings-memory": Case("embeddings", "memory that a search takes, files not counted", "MB"),
    "embeddings-journal-bytes": Case("embeddings", "in the journal", "bytes a row"),
    "embeddings-catalog-bytes": Case("embeddings", "in the catalog", "bytes a row"),
    "das-pictures": Case(
        "das", "samples in memory to pictures in memory", "times real time", 40, lower_is_better=False
    ),
    "das-job": Case("das", "a store to files and a run", "times real time", 40, lower_is_better=False),
    "das-job-later": Case(
        "das", "the same, once more in the process", "times real time", 40, lower_is_better=False
    ),
    "das-job-memory": Case("das", "most memory of both, 300 s", "MB", 2147),
    "das-job-memory-short": Case("das", "most memory of both, 75 s", "MB"),
    **_sizes("48,000", 1),
    **_sizes("144,000", 2),
}
