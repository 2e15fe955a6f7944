"""Short runs, one after the other: how long each keeps the caller, and how many HTTP requests it costs.

Tilewright is measured with `on_stop="wait"`, where the call for the stop document returns when the run can be read, and
with `on_stop="return"`. Peers know only the first; each of ours is compared with it. Requests are the lines that the
server's access log gains, the opening of the connection among them, divided by the runs.
"""

from __future__ import annotations

import time

from bench.lines import OURS, Figures, lines, show
from bench.measuring import Options, alone, in_turn
from bench.processes import served
from bench.writers import WRITERS, Place

from tilewright.testing.documents import simple_run

RUNS, EVENTS, KEYS = 300, 20, 3
MILLI = 1e3
LOG_SECONDS = 0.5
"""After which the server has logged what it has answered."""


def measure(name: str, place: Place, runs: int) -> Figures:
    """Return milliseconds and requests a run."""
    if name != OURS:
        milliseconds, requests = record(name, place, runs)
        return {"runs-wait": milliseconds, "runs-return": milliseconds, "runs-requests": requests}
    waiting, requests = record(name, place, runs, on_stop="wait")
    returning, _ = record(name, place, runs, on_stop="return")
    return {"runs-wait": waiting, "runs-return": returning, "runs-requests": requests}


def record(name: str, place: Place, runs: int, **options: str) -> tuple[float, float]:
    """Return the milliseconds that a run keeps the caller, and the requests it costs."""
    scripts = [simple_run(events=EVENTS, keys=KEYS, scan_id=number) for number in range(runs)]
    before = requests(place)
    with WRITERS[name](place, **options) as write:
        for document in simple_run(events=EVENTS, keys=KEYS):  # the first one opens connections
            write(*document)
        began = time.perf_counter()
        for documents in scripts:
            for document in documents:
                write(*document)
        seconds = time.perf_counter() - began
        if name == OURS:
            assert write.flush(), "runs were refused"
    return seconds / runs * MILLI, (requests(place) - before) / (runs + 1)


def requests(place: Place) -> int:
    """Return how many requests the server has answered."""
    time.sleep(LOG_SECONDS)
    with (place.folder / "access.log").open() as log:
        return sum(1 for _ in log)


def main() -> None:
    """Measure all writers in turn, several times."""
    options = Options(__doc__, WRITERS)
    runs = options.size(RUNS, least=3)
    with served() as place:
        results = in_turn(options, lambda name: alone(measure, name, place, runs))
        show(lines(results, dict.fromkeys(results, f"{runs} runs of {EVENTS} events of {KEYS} keys")))


if __name__ == "__main__":
    main()
