"""One client appends while others read the same table: every value is its row's index."""

import threading
from itertools import pairwise

import dask
import numpy as np
import pyarrow as pa
import pytest

from tilewright.server import serve, serve_config

SCHEMA = pa.schema([("i", pa.int64()), ("x", pa.float64()), ("s", pa.string())])
ROWS = 5
"""Rows a batch."""
READERS = 2
PAUSE_SECONDS = 0.3
"""Between two rounds of a reader: all clients and the server share this process's one interpreter lock."""


def batch(number, rows=ROWS):
    index = range(number * rows, (number + 1) * rows)
    return pa.table({"i": index, "x": [float(i) for i in index], "s": [str(i) for i in index]}, schema=SCHEMA)


def run_together(works):
    """Run each in a thread and raise what any of them raised."""
    errors = []

    def guarded(work):
        try:
            work()
        except BaseException as error:  # noqa: BLE001 (raised again below)
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def write_and_read(server, connect, batches):
    """Append the batches and read meanwhile; return how many rows each reader saw, in order."""
    done, seen = threading.Event(), [[] for _ in range(READERS)]

    def write():
        try:
            with connect(server) as client:
                for number in range(batches):
                    client["t"].append_partition(0, batch(number))
        finally:
            done.set()

    def read(counts):
        with connect(server) as client:
            table = client["t"]
            while not done.wait(PAUSE_SECONDS):
                whole = table.read()
                assert whole["i"].tolist() == list(range(len(whole)))
                counts.append(len(whole))
                column = table.read(["x"])
                assert column["x"].tolist() == list(range(len(column)))
                counts.append(len(column))
                array = column_as_array(client)
                assert array == list(range(len(array)))
                counts.append(len(array))

    with connect(server) as client:
        client.create_appendable_table(SCHEMA, key="t")
    with dask.config.set(
        scheduler="synchronous"
    ):  # in other threads, dask would start a pool for each reading
        run_together([write, *(lambda counts=counts: read(counts) for counts in seen)])
    return seen


def column_as_array(client):
    """Ask as Tiled's client does, but without the length that it was told before: the table may have grown."""
    answer = client.context.http_client.get(
        f"{client.context.api_uri}array/full/t/x", headers={"Accept": "application/octet-stream"}
    )
    answer.raise_for_status()
    return np.frombuffer(answer.content).tolist()


def check(server, connect, seen, batches):
    for counts in seen:
        assert len(counts) > 10
        assert all(earlier <= later for earlier, later in pairwise(counts))
    with connect(server) as client:
        table = client["t"].read()
    index = list(range(batches * ROWS))
    assert table["i"].tolist() == index
    assert table["x"].tolist() == index
    assert table["s"].tolist() == [str(i) for i in index]
    assert " 500" not in (server.directory / "access.log").read_text()


@pytest.mark.slow
def test_one_writer_and_several_readers(tmp_path, connect):
    with serve(tmp_path, announce=False) as server:
        seen = write_and_read(server, connect, 400)
        check(server, connect, seen, 400)


def test_one_writer_and_several_readers_of_sqlite(tmp_path, connect, configuration):
    with serve_config(configuration(tables="sqlite"), port=0, announce=False) as server:
        seen = write_and_read(server, connect, 100)
        check(server, connect, seen, 100)


@pytest.mark.parametrize("tables", ["duckdb", "sqlite"])
def test_tables_created_and_first_filled_at_once(connect, configuration, tables):
    """In DuckDB, these conflict in the catalog: tables of the same schema share one, and all share a sequence."""
    with serve_config(configuration(tables=tables), port=0, announce=False) as server:
        start = threading.Barrier(4, timeout=60)

        def create(number):
            with connect(server) as client:
                start.wait()
                for i in range(4):
                    table = client.create_appendable_table(SCHEMA, key=f"{number}-{i}")
                    table.append_partition(0, batch(number))
                    table.append_partition(0, batch(number))

        run_together([lambda number=number: create(number) for number in range(4)])
        assert " 500" not in (server.directory / "access.log").read_text()
        with connect(server) as client:
            assert len(client) == 16
            for number in range(4):
                expected = batch(number)["i"].to_pylist() * 2
                assert client[f"{number}-3"].read()["i"].tolist() == expected


def test_deleting_beside_appending(server, connect):
    """Tables of one schema share a table of the database, and the last one deleted takes it along."""
    with connect(server) as client:
        kept = client.create_appendable_table(SCHEMA, key="kept")
        kept.append_partition(0, batch(0))

        def delete():
            for i in range(10):
                client.create_appendable_table(SCHEMA, key=f"gone-{i}").append_partition(0, batch(i))
                client.delete_contents(f"gone-{i}", external_only=False)

        def append():
            with connect(server) as other:
                for i in range(1, 20):
                    other["kept"].append_partition(0, batch(i))

        run_together([delete, append])
        assert kept.read()["i"].tolist() == list(range(20 * ROWS))
