"""Events of float keys, from the first document until the last row can be read."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import httpx
import pyarrow.ipc
from bench.documents import run
from bench.lines import lines, show
from bench.processes import beside, run_server
from bench.writers import WRITERS, Place

from tilewright.tables.wire import ARROW_FILE

CASES = {10: 200_000, 100: 20_000}
"""Number of events, by number of keys."""


def measure(writer: str, place: Place, events: int, keys: int) -> float:
    """Return events per second."""
    documents = run(events, keys)
    with WRITERS[writer](place) as write:
        for document in run(10, 1):  # connections are open, and whoever delivers is up
            write(*document)
        began = time.perf_counter()
        for name, doc in documents:
            write(name, doc)
        rows = last_row(place.uri, documents[0][1]["uid"])
        seconds = time.perf_counter() - began
    assert rows == events, f"{rows} rows of {events}"
    return events / seconds


def last_row(uri: str, uid: str) -> int:
    """Return the last `seq_num` that a reader gets."""
    address, _, key = uri.partition("?api_key=")
    answer = httpx.get(
        f"{address.rstrip('/')}/table/full/{uid}/primary/internal",
        params={"column": "seq_num"},
        headers={"Authorization": f"Apikey {key}", "Accept": ARROW_FILE},
    )
    table = pyarrow.ipc.open_file(answer.raise_for_status().content).read_all()
    return int(table.column("seq_num")[-1].as_py())


def main() -> None:
    """Measure all writers in turn, several times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--writers", nargs="+", default=list(WRITERS), choices=list(WRITERS))
    parser.add_argument("--keys", nargs="+", type=int, default=list(CASES), choices=list(CASES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, beside(run_server, str(Path(folder, "data"))) as uri:
        for keys in options.keys:
            values: dict[str, list[float]] = {name: [] for name in options.writers}
            for _ in range(options.repeats):
                for name, results in values.items():
                    results.append(measure(name, Place(uri, Path(folder, "journal")), CASES[keys], keys))
            show(lines(f"{CASES[keys]:,} events of {keys} keys", "events/s", values))


if __name__ == "__main__":
    main()
