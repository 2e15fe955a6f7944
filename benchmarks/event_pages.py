"""The rows of `scalars`, as event_pages of 1,000: into the journal, and until the last row can be read.

"Into the journal" is the time that the calls for the pages take, whatever is then still to be done; for a peer, which has
no journal, it is the same: the calls for the pages. Both figures are of the same run, so that delivery goes on beside the
calls, as it does in an experiment.
"""

from __future__ import annotations

import time

from bench.documents import paged, run
from bench.lines import Figures, lines, show
from bench.measuring import Options, alone, in_turn
from bench.processes import served
from bench.reader import Reader
from bench.writers import WRITERS, Place

ROWS, KEYS, PAGE = 200_000, 10, 1_000


def measure(name: str, place: Place, rows: int) -> Figures:
    """Return rows per second."""
    documents = paged(run(rows, KEYS), PAGE)
    reader = Reader.at(place.uri)
    in_calls = 0.0
    with WRITERS[name](place) as write:
        for document in run(10, 1):  # connections are open, and whoever delivers is up
            write(*document)
        began = time.perf_counter()
        for kind, doc in documents:
            called = time.perf_counter()
            write(kind, doc)
            if kind == "event_page":
                in_calls += time.perf_counter() - called
        found = reader.last_row(documents[0][1]["uid"])
        seconds = time.perf_counter() - began
    assert found == rows, f"{found} rows of {rows}"
    return {"pages-calls": rows / in_calls, "pages-readable": rows / seconds}


def main() -> None:
    """Measure all writers in turn, several times."""
    options = Options(__doc__, WRITERS)
    rows = options.size(ROWS, least=20)
    with served() as place:
        results = in_turn(options, lambda name: alone(measure, name, place, rows))
        show(lines(results, dict.fromkeys(results, f"{rows:,} rows of {KEYS} keys")))


if __name__ == "__main__":
    main()
