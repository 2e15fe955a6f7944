"""Events at a steady rate: how long each waits until a client sees its row, and whether any is held up.

Beside the server's there are two processes. One acquires, and writes its events at a steady rate. One is a client, which
reads the column `seq_num` over HTTP again and again, 50 ms after each answer, and notes by the same clock when each answer
came and how many rows it had. An event was seen when the first answer with its row had come: what is measured includes up
to 50 ms until the client asks, and its request. The wait begins when the event was due. For a writer that keeps up that
is when it was called; one that does not keep up holds the events up before it is called, and that is waiting as well.

The peers are measured as they are by default, where nothing is to be seen before the run ends or 10,000 rows have
gathered, and with `batch_size=1`, which their documentation recommends for this. An event that is late because the call
before it took too long is written at once; a writer that cannot keep up reaches fewer events in the time.
"""

from __future__ import annotations

import statistics
import time
from bisect import bisect_left
from typing import TYPE_CHECKING

from bench.cases import RATES
from bench.documents import event_of, run
from bench.lines import Figures, lines, show
from bench.measuring import Options, alone, in_turn
from bench.processes import SPAWN, served
from bench.reader import Reader
from bench.writers import LIVE_WRITERS, WRITERS, Place

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

SECONDS, KEYS = 20, 10
POLL_SECONDS = 0.05
PATIENCE_SECONDS = 60.0
"""How long the client waits for the last row when the run has ended."""
MICRO = 1e6
ALL = WRITERS | LIVE_WRITERS


def watch(uri: str, run_uid: str, asked: Connection) -> None:
    """Note when how many rows could be read, until all are there; in a process of its own."""
    reader = Reader.at(uri)
    seen: list[tuple[float, int]] = []
    expected, until = None, float("inf")
    asked.send("ready")
    while (expected is None or not seen or seen[-1][1] < expected) and time.time() < until:
        numbers = reader.seq_nums(run_uid)
        seen.append((time.time(), 0 if numbers is None else len(numbers)))
        time.sleep(POLL_SECONDS)
        if expected is None and asked.poll():
            expected, until = asked.recv(), time.time() + PATIENCE_SECONDS
    asked.send(seen)


def measure(name: str, place: Place, rate: int, seconds: float) -> Figures:
    """Record for some seconds, and compare when events were due with when they were seen."""
    start, descriptor, (_, first), (_, stop) = run(1, KEYS)
    names = list(first["data"])
    ours, theirs = SPAWN.Pipe()
    client = SPAWN.Process(target=watch, args=(place.uri, start[1]["uid"], theirs), daemon=True)
    with ALL[name](place) as write:
        for document in run(10, 1):  # connections are open, and whoever delivers is up
            write(*document)
        client.start()
        theirs.close()
        ours.recv()
        write(*start)
        write(*descriptor)
        due, calls = [], []
        began = time.time()
        while time.time() < began + seconds:
            event = event_of(first, names, len(due) + 1) | {"time": time.time()}
            called = time.perf_counter()
            write("event", event)
            calls.append(time.perf_counter() - called)
            due.append(began + len(due) / rate)
            time.sleep(max(0.0, began + len(due) / rate - time.time()))
        took = time.time() - began
        write("stop", {**stop, "num_events": {"primary": len(due)}})
        ours.send(len(due))
        seen = ours.recv()
        client.join()
    return {
        **_waits(f"live-{rate}", due, seen),
        f"live-{rate}-slowed": 100 * sum(call > 1 / rate for call in calls) / len(calls),
        f"live-{rate}-call-median": statistics.median(calls) * MICRO,
        f"live-{rate}-call-worst": max(calls) * MICRO,
        f"live-{rate}-rate": len(due) / took,
    }


def _waits(case: str, due: list[float], seen: list[tuple[float, int]]) -> Figures:
    counts = [count for _, count in seen]
    assert counts[-1] == len(due), f"{counts[-1]} rows of {len(due)}"
    waits = [seen[bisect_left(counts, number)][0] - when for number, when in enumerate(due, 1)]
    return {f"{case}-median": statistics.median(waits), f"{case}-worst": max(waits)}


def compare(options: Options, place: Place, rate: int, seconds: int) -> None:
    """Show what the writers reach at a rate."""
    results = in_turn(options, lambda name: alone(measure, name, place, rate, seconds))
    show(lines(results, dict.fromkeys(results, f"{seconds} s at {rate:,} events/s")))


def main() -> None:
    """Measure all writers in turn, at both rates."""
    options = Options(__doc__, ALL)
    seconds = options.size(SECONDS, least=2)
    with served() as place:
        for rate in RATES:
            compare(options, place, rate, seconds)


if __name__ == "__main__":
    main()
