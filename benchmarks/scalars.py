"""Events of float keys, from the first document until the last row can be read.

Each writer gets the same documents, made beforehand, in a process of its own, and when it has returned from the last of
them the column `seq_num` is read over HTTP; the time ends with the answer.
"""

from __future__ import annotations

import time

from bench.documents import run
from bench.lines import Figures, lines, show
from bench.measuring import Options, alone, in_turn
from bench.processes import served
from bench.reader import Reader
from bench.writers import WRITERS, Place

EVENTS = {10: 200_000, 100: 20_000}
"""Number of events, by number of keys."""


def measure(name: str, place: Place, events: int, keys: int) -> Figures:
    """Return events per second."""
    documents = run(events, keys)
    reader = Reader.at(place.uri)
    with WRITERS[name](place) as write:
        for document in run(10, 1):  # connections are open, and whoever delivers is up
            write(*document)
        began = time.perf_counter()
        for document in documents:
            write(*document)
        rows = reader.last_row(documents[0][1]["uid"])
        seconds = time.perf_counter() - began
    assert rows == events, f"{rows} rows of {events}"
    return {f"scalars-{keys}": events / seconds}


def compare(options: Options, place: Place, events: int, keys: int) -> None:
    """Show what the writers reach with such a run."""
    results = in_turn(options, lambda name: alone(measure, name, place, events, keys))
    show(lines(results, dict.fromkeys(results, f"{events:,} events")))


def main() -> None:
    """Measure all writers in turn, several times."""
    options = Options(__doc__, WRITERS)
    with served() as place:
        for keys, events in EVENTS.items():
            compare(options, place, options.size(events, least=20), keys)


if __name__ == "__main__":
    main()
