"""What the call for an event takes from the caller's thread, where one event follows the other without a pause.

Documents are made one by one between the calls, as an acquisition does, so that none are held whose mere number would
make Python's garbage collection slow. Each writer delivers meanwhile as it does by default. `caller.py` has the same at
1 kHz with servers that fail.
"""

from __future__ import annotations

import statistics
import time

from bench.documents import run, stream
from bench.lines import Figures, lines, show
from bench.measuring import Options, alone, in_turn
from bench.processes import served
from bench.writers import WRITERS, Place

EVENTS, KEYS = 100_000, 10
MICRO = 1e6


def measure(name: str, place: Place, events: int) -> Figures:
    """Return microseconds."""
    calls = []
    with WRITERS[name](place) as write:
        for document in run(10, 1):  # connections are open, and whoever delivers is up
            write(*document)
        for kind, doc in stream(events, KEYS):
            began = time.perf_counter()
            write(kind, doc)
            if kind == "event":
                calls.append(time.perf_counter() - began)
    calls.sort()
    return {
        "unthrottled-median": statistics.median(calls) * MICRO,
        "unthrottled-999": calls[int(0.999 * len(calls))] * MICRO,
        "unthrottled-worst": calls[-1] * MICRO,
    }


def main() -> None:
    """Measure all writers in turn, several times."""
    options = Options(__doc__, WRITERS)
    events = options.size(EVENTS, least=20)
    with served() as place:
        results = in_turn(options, lambda name: alone(measure, name, place, events))
        show(lines(results, dict.fromkeys(results, f"{events:,} events of {KEYS} keys")))


if __name__ == "__main__":
    main()
