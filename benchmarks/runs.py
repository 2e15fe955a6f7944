"""Short runs, one after the other: how long each keeps the caller, and how many requests it costs."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from bench.lines import lines, show
from bench.processes import beside, run_server
from bench.writers import CORE, OURS, PLUGINS, WRITERS, Place

from tilewright.testing.documents import simple_run

EVENTS, KEYS = 20, 3


def measure(writer: str, place: Place, runs: int, **options: str) -> float:
    """Return the milliseconds that a run keeps the caller."""
    with WRITERS[writer](place, **options) as write:
        for document in simple_run(events=EVENTS, keys=KEYS):  # the first one opens connections
            write(*document)
        scripts = [simple_run(events=EVENTS, keys=KEYS, scan_id=number) for number in range(runs)]
        began = time.perf_counter()
        for documents in scripts:
            for document in documents:
                write(*document)
        return (time.perf_counter() - began) / runs * 1e3


def main() -> None:
    """Measure all writers in turn, several times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--writers", nargs="+", default=list(WRITERS), choices=list(WRITERS))
    options = parser.parse_args()
    cases = {name: (name, {}) for name in options.writers if name in (PLUGINS, CORE)}
    if OURS in options.writers:
        cases = {OURS: (OURS, {}), f"{OURS}, on_stop='return'": (OURS, {"on_stop": "return"}), **cases}
    with tempfile.TemporaryDirectory() as folder, beside(run_server, str(Path(folder, "data"))) as uri:
        values: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(options.repeats):
            for name, (writer, given) in cases.items():
                place = Place(uri, Path(folder, "journal"))
                values[name].append(measure(writer, place, options.runs, **given))
        case = f"{options.runs} runs of {EVENTS} events of {KEYS} keys"
        show(lines(case, "ms a run", values, ours=next(iter(cases)), lower_is_better=True))


if __name__ == "__main__":
    main()
