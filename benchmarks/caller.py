"""What a document costs the acquiring thread: `python benchmarks/caller.py [--events N] [--output FILE]`.

Events of 10 float keys come at 1 kHz to a `TiledWriter` whose server is up, slow, silent or dead; server and proxy are
processes of their own. Beside it, in the same loop, stands the least that a durable record can cost: the same events
encoded and written to a file, by themselves. Between events the thread either sleeps, as a detector's does, or is
busy, as a RunEngine's is. Prints a table, and writes it as Markdown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ormsgpack
import psutil
from bench.pages import circumstances, put
from bench.processes import beside, run_server

from tilewright import TiledWriter
from tilewright.testing.documents import simple_run
from tilewright.testing.faults import Silence, Slow
from tilewright.testing.proxy import FaultyProxy

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

INTERVAL = 0.001
"""Seconds between two events."""
KEYS = 10
MICRO = 1e6
SERVERS = ("up", "slow", "silent", "dead")
HEADINGS = ("server", "thread", "delivery", "median", "floor", "99 %", "99.9 %", "worst", "memory")


@dataclass(frozen=True)
class Figures:
    """Times of the calls for events, in microseconds."""

    server: str
    thread: str
    delivery: str
    median: float
    floor: float
    """Median of encoding and writing alone."""
    nines: tuple[float, float]
    """99 % and 99.9 % of the calls took no longer than this."""
    worst: float
    megabytes: float
    """Growth of the process's memory between the first tenth of the events and the last."""

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        times = (self.median, self.floor, *self.nines, self.worst)
        return (
            self.server,
            self.thread,
            self.delivery,
            *(f"{value:.1f} µs" if value < 100 else f"{value:,.0f} µs" for value in times),
            f"{self.megabytes:+.1f} MB",
        )


def measure(uri: str, server: str, thread: str, delivery: str, events: int) -> Figures:
    """Record one run at 1 kHz and return what its events cost."""
    documents = simple_run(events=events, keys=KEYS)
    calls, floors, memory = [], [], []
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        fd = os.open(Path(folder, "floor"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        writer = TiledWriter(uri, journal=Path(folder, "journal"), deliver=delivery, on_stop="return")
        time.sleep(2)  # the deliverer is up
        due = time.perf_counter()
        for number, (name, doc) in enumerate(documents):
            # In turn, and timed only where it is the first: the second finds the processor's caches warm.
            began = time.perf_counter()
            if number % 2:
                writer(name, doc)
                calls.append(time.perf_counter() - began)
                keep(fd, name, doc)
            else:
                keep(fd, name, doc)
                floors.append(time.perf_counter() - began)
                writer(name, doc)
            if number % max(1, events // 10) == 0:
                memory.append(process.memory_info().rss)
            due += INTERVAL
            while thread == "busy" and time.perf_counter() < due:
                pass
            time.sleep(max(0.0, due - time.perf_counter()))
        writer.close(timeout=10 if server == "up" else 0)
        os.close(fd)
    calls.sort()
    return Figures(
        server,
        thread,
        delivery,
        statistics.median(calls) * MICRO,
        statistics.median(floors) * MICRO,
        (calls[int(0.99 * len(calls))] * MICRO, calls[int(0.999 * len(calls))] * MICRO),
        calls[-1] * MICRO,
        (memory[-1] - memory[1]) / 1e6,
    )


def backlog(uri: str, events: int) -> str:
    """Record a long run that nobody takes, as fast as it goes; say what memory that costs."""
    start, descriptor, event, _ = simple_run(events=1, keys=KEYS)
    process = psutil.Process()
    with (
        tempfile.TemporaryDirectory() as folder,
        TiledWriter(uri, journal=folder, on_stop="return") as writer,
    ):
        for document in (start, descriptor):
            writer(*document)
        memory = []
        for number in range(1, events + 1):
            writer("event", {**event[1], "seq_num": number})
            if number % (events // 10) == 0:
                memory.append(process.memory_info().rss)
        size = sum(path.stat().st_size for path in Path(folder).glob("*.twj"))
        writer.close(timeout=0)
    grown, before = (memory[-1] - memory[0]) / 1e6, memory[0] / 1e6
    return (
        f"A backlog of {events:,} events ({size / 1e6:,.0f} MB of journal) with the server dead: the acquiring process"
        f" took {before:.0f} MB after the first tenth of them, and {grown:+.1f} MB more at the end.\n"
    )


def keep(fd: int, name: str, doc: dict[str, object]) -> None:
    """Do the least that a durable record takes."""
    os.write(fd, ormsgpack.packb((name, doc)))


def run_proxy(uri: str, how: str, up: Connection) -> None:
    """Stand in front of the server; in a process of its own."""
    with FaultyProxy(uri) as proxy:
        if how == "slow":
            proxy.inject(Slow(latency=0.5), times=None)
        elif how == "silent":
            proxy.inject(Silence(), times=None)
        if how == "dead":
            proxy.go_down()
        up.send(proxy.uri)
        up.recv()


def main() -> None:
    """Measure all cases, in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--backlog", type=int, default=1_000_000, help="events of the long run")
    parser.add_argument(
        "--output", type=Path, help="where to write the table as Markdown; into a page's marked place"
    )
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, beside(run_server, folder) as uri:
        for how in SERVERS:
            with beside(run_proxy, uri, how) as through:
                for thread in ("sleeping", "busy"):
                    for delivery in ("process", "thread"):
                        figures = measure(through, how, thread, delivery, options.events)
                        rows.append(figures.cells())
                        print(*figures.cells(), sep="  ", flush=True)
                if how == "dead":
                    long_run = backlog(through, max(10, options.backlog))
                    print(long_run)
    lines = ["| " + " | ".join(row) + " |" for row in (HEADINGS, ("---",) * len(HEADINGS), *rows)]
    if options.output is not None:
        put(options.output, "caller", f"{circumstances()}\n" + "\n".join(lines) + f"\n\n{long_run}")


if __name__ == "__main__":
    sys.exit(main())
