"""Reading: all rows of a long run, one column of it, and a table of many runs; ours, the peers' way, and the server alone.

The same data for all, written by Tilewright; the catalog of many runs is one run, whose entry is copied in `catalog.db`. Each
reads in a process of its own, connected and with one small read done, so that imports do not count. Opening the run does
not count either.

- Tilewright: `run.table()`, `run.table(columns="x3")`, `catalog.table()`.
- bluesky-tiled-plugins: `run["primary"].read()`, `run["primary"]["x3"].read()`, and a DataFrame made of each run's start
  and stop while iterating over `client.values()`, since there is no table of runs.
- A plain Tiled client: `run["primary/internal"].read()`, the same with `["x3"]`, and the same iteration.
- The server alone: a bare HTTP client asks for the same columns in one request, or for the same pages of runs as
  Tilewright does, takes the bytes and does nothing with them.

The peers' clients get our runs under their own classes: those that Tilewright registers with Tiled are taken out.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd
from bench.documents import run, stream
from bench.lines import FLOOR, OURS, Figures, lines, show
from bench.measuring import Options, alone, in_turn
from bench.processes import beside, run_server, served
from bench.writers import PLUGINS, WRITERS, Place

from tilewright import open_catalog
from tilewright.tables.wire import ARROW_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROWS, KEYS, RUNS = 1_000_000, 10, 10_000
COLUMN = "x3"
PLAIN = "Tiled's own client"
SILENCE_SECONDS = 600.0
Reads = dict[str, "Callable[[], int]"]
"""What is timed, by case; each returns the number of rows that it got."""


def ours(uri: str, uid: str) -> Reads:
    """Return Tilewright's reads."""
    catalog = open_catalog(uri)
    recorded = catalog[uid]
    return {
        "reading-table": lambda: len(recorded.table()),
        "reading-column": lambda: len(recorded.table(columns=COLUMN)),
        "reading-catalog": lambda: len(catalog.table()),
    }


def plugins(uri: str, uid: str) -> Reads:
    """Return those of bluesky-tiled-plugins."""
    client = foreign(uri, without=("Tilewright",))
    primary = client[uid]["primary"]
    return {
        "reading-table": lambda: primary.read().sizes["time"],
        "reading-column": lambda: len(primary[COLUMN].read()),
        "reading-catalog": lambda: len(listed(client)),
    }


def plain(uri: str, uid: str) -> Reads:
    """Return those of a Tiled client that knows nothing of Bluesky."""
    client = foreign(uri, without=("Tilewright", "Bluesky"))
    table = client[uid]["primary"].base["internal"]
    return {
        "reading-table": lambda: len(table.read()),
        "reading-column": lambda: len(table.read([COLUMN])),
        "reading-catalog": lambda: len(listed(client)),
    }


def foreign(uri: str, without: tuple[str, ...]) -> Any:
    """Return a client that knows no classes for specs whose names contain these words."""
    from tiled.client import from_uri  # noqa: PLC0415 - each process imports what it measures

    client = from_uri(uri)
    known = client.structure_clients
    kept = {name: known[name] for name in known if not any(word in name for word in without)}
    return client.new_variation(structure_clients=kept)


def listed(client: Any) -> pd.DataFrame:
    """Return a row a run, as one gets it from a client without a table of runs."""
    metadata = [entry.metadata for entry in client.values()]
    return pd.DataFrame(
        {
            "uid": start["uid"],
            "scan_id": start.get("scan_id"),
            "plan_name": start.get("plan_name"),
            "time": start["time"],
            "duration": stop["time"] - start["time"],
            "exit_status": stop["exit_status"],
            "events": sum(stop["num_events"].values()),
        }
        for start, stop in ((each["start"], each["stop"]) for each in metadata)
    )


READERS = {OURS: ours, PLUGINS: plugins, PLAIN: plain}


def read(name: str, uri: str, case: str, uid: str, small: str) -> tuple[float, int]:
    """Return the seconds of a read, and the rows that it gave."""
    for warm_case in ("reading-table", "reading-column"):
        READERS[name](uri, small)[warm_case]()
    action = READERS[name](uri, uid)[case]
    began = time.perf_counter()
    rows = action()
    return time.perf_counter() - began, rows


def bare(uri: str, case: str, uid: str) -> float:
    """Return the seconds that the server takes to answer."""
    requests = list_requests(uri) if case == "reading-catalog" else [rows_request(uri, case, uid)]
    with httpx.Client(timeout=SILENCE_SECONDS) as client:
        client.get(requests[0].url.join("/healthz")).raise_for_status()  # opens the connection
        began = time.perf_counter()
        for request in requests:
            answer = client.send(request, stream=True)
            answer.raise_for_status()
            for _chunk in answer.iter_raw():
                pass
            answer.close()
        return time.perf_counter() - began


def rows_request(uri: str, case: str, uid: str) -> httpx.Request:
    """Return the request for the rows that Tilewright's table has, or for the one column."""
    address, _, key = uri.partition("?api_key=")
    columns = [COLUMN] if case == "reading-column" else ["seq_num", "time", *(f"x{n}" for n in range(KEYS))]
    return httpx.Request(
        "GET",
        f"{address}/table/full/{uid}/primary/internal",
        params={"column": columns},
        headers={"Accept": ARROW_FILE, "Authorization": f"Apikey {key}"},
    )


def list_requests(uri: str) -> list[httpx.Request]:
    """Return the requests that Tilewright makes for its table of runs."""
    made: list[httpx.Request] = []
    with open_catalog(uri) as catalog:
        catalog.context.http_client.event_hooks["request"].append(made.append)
        catalog.table()
    return [httpx.Request(one.method, one.url, headers=one.headers, content=one.content) for one in made]


@contextmanager
def long_run(rows: int) -> Iterator[tuple[str, str, str]]:
    """Serve a run of so many rows, and a small one; yield the server's URI and the uids of the two."""
    with served() as place:
        small, documents = run(10, KEYS), stream(rows, KEYS)
        with WRITERS[OURS](place, stop_timeout=SILENCE_SECONDS) as write:
            for document in small:
                write(*document)
            first = next(documents)
            write(*first)
            for document in documents:
                write(*document)
        yield place.uri, first[1]["uid"], small[0][1]["uid"]


@contextmanager
def many_runs(runs: int) -> Iterator[tuple[str, str]]:
    """Serve so many runs, all copies of one; yield the server's URI and the uid of that one."""
    with tempfile.TemporaryDirectory() as folder:
        documents = run(10, KEYS)
        with (
            beside(run_server, folder) as uri,
            WRITERS[OURS](Place(uri, Path(folder))) as write,
        ):
            for document in documents:
                write(*document)
        uid = documents[0][1]["uid"]
        multiply(Path(folder) / "catalog.db", uid, runs)
        with beside(run_server, folder) as uri:
            yield uri, uid


def multiply(catalog: Path, uid: str, runs: int) -> None:
    """Enter a run into a catalog again and again, under other uids, until there are so many."""
    database = sqlite3.connect(catalog)
    database.row_factory = sqlite3.Row
    with database:
        (entry,) = database.execute("SELECT * FROM nodes WHERE key = ?", [uid])
        columns = [name for name in entry.keys() if name != "id"]  # noqa: SIM118 - a Row iterates over values
        insert = f"INSERT INTO nodes ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        for number in range(2, runs + 1):
            other = str(uuid.uuid4())
            metadata = json.loads(entry["metadata"])
            metadata["start"] |= {"uid": other, "scan_id": number}
            changed = {**entry, "key": other, "metadata": json.dumps(metadata)}
            database.execute(insert, [changed[name] for name in columns])
    database.close()


def measure(name: str, case: str, expected: int, uri: str, uid: str, small: str) -> Figures:
    """Return seconds."""
    if name == FLOOR:
        return {case: alone(bare, uri, case, uid)}
    seconds, rows = alone(read, name, uri, case, uid, small)
    assert rows == expected, f"{name} has {rows} rows of {expected}"
    return {case: seconds}


def compare(options: Options, size: str, *arguments: Any) -> None:
    """Show what all take for a case."""
    results = in_turn(options, lambda name: measure(name, *arguments))
    show(lines(results, dict.fromkeys(results, size)))


def main() -> None:
    """Measure all readers in turn, several times."""
    options = Options(__doc__, [*READERS, FLOOR])
    rows, runs = options.size(ROWS, least=20), options.size(RUNS, least=3)
    with long_run(rows) as (uri, uid, small):
        bare(uri, "reading-table", uid)  # whoever comes first would find nothing in the system's cache
        for case in ("reading-table", "reading-column"):
            compare(options, f"{rows:,} rows of {KEYS} keys", case, rows, uri, uid, small)
    with many_runs(runs) as (uri, uid):
        compare(options, f"{runs:,} runs", "reading-catalog", runs, uri, uid, uid)


if __name__ == "__main__":
    main()
