"""A real Tiled server on a socket, and runs written by hand in the layout of Tilewright's writer."""

import contextlib
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest
from tiled.client import from_uri
from tiled.structures.core import Spec

from tilewright.clients import open_catalog

KEY = "secret"

RUN_SPECS = [Spec("TilewrightRun", "1"), Spec("BlueskyRun", "3.0")]
STREAM_SPECS = [Spec("TilewrightStream", "1"), Spec("BlueskyEventStream", "3.0"), Spec("composite")]


@dataclass
class Server:
    """A Tiled server; every test gets a container of its own in it."""

    address: str
    admin: object

    @property
    def uri(self):
        return f"{self.address}?api_key={KEY}"


@contextlib.contextmanager
def plain_tiled(home):
    """Run Tiled's own server, without any of our adapters, in a process of its own; yield its address."""
    command = [sys.executable, str(Path(__file__).parent / "plain_tiled.py"), str(home), KEY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip()
        process.stdin.close()  # it ends when its input does


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with plain_tiled(tmp_path_factory.mktemp("tiled")) as address:
        client = from_uri(address, api_key=KEY)
        open_catalog(client).table()  # it is a stock server: no request is spent on learning that in a test
        yield Server(address, client)
        client.context.close()


@pytest.fixture
def container(server):
    """An empty container, as a plain Tiled client."""
    return server.admin.create_container(f"c{uuid.uuid4().hex[:8]}")


@pytest.fixture
def catalog(container):
    """The same container, as a Catalog."""
    return open_catalog(container)


@pytest.fixture
def requests(catalog):
    """Method and path of every request the catalog's connection makes; clear it before what is counted."""
    seen = []
    hooks = catalog.context.http_client.event_hooks

    def note(request):
        seen.append(f"{request.method} {request.url.path.removeprefix('/api/v1')}")

    catalog.context.http_client.event_hooks = {**hooks, "request": [*hooks["request"], note]}
    yield seen
    catalog.context.http_client.event_hooks = hooks


class Writer:
    """Writes runs by hand into a container, in the layout of Tilewright's writer unless told otherwise."""

    BLUESKY_RUN: ClassVar = [Spec("BlueskyRun", "3.0")]
    BLUESKY_STREAM: ClassVar = [Spec("BlueskyEventStream", "3.0"), Spec("composite")]

    def __init__(self, container):
        self.container = container

    def run(self, uid=None, *, stop=True, specs=None, notes=None, num_events=None, **start):
        """Create a run's container. `start` values of None are left out of the start document."""
        uid = uid or str(uuid.uuid4())
        start = {"uid": uid, "time": 1_700_000_000.5, "scan_id": 1, "plan_name": "count"} | start
        metadata = {"start": {key: value for key, value in start.items() if value is not None}}
        if stop:
            metadata["stop"] = {"uid": f"{uid}-stop", "time": 1_700_000_012.0, "exit_status": "success"}
            metadata["stop"]["num_events"] = {"primary": 3} if num_events is None else num_events
        if notes:
            metadata["notes"] = notes
        return self.container.create_container(uid, metadata=metadata, specs=specs or RUN_SPECS)

    def stream(self, run, name="primary", tables=(), arrays=None, specs=None, data_keys=None, **descriptor):
        """Create a stream from Arrow tables (internal, or internal_0 … for several) and numpy arrays."""
        columns = [c for table in tables for c in table.column_names]
        data = [c for c in columns if c not in {"seq_num", "time", "rejected"} and not c.startswith("ts_")]
        external = {"source": "test", "dtype": "array", "external": "X:"}
        keys = {key: {"source": "test", "dtype": "number", "shape": []} for key in data}
        keys |= {key: external | {"shape": list(array.shape[1:])} for key, array in (arrays or {}).items()}
        metadata = {
            "uid": f"descriptor-{name}",
            "time": 1_700_000_000.6,
            "data_keys": keys | (data_keys or {}),
        }
        stream = getattr(run, "base", run).create_container(
            name, metadata=metadata | descriptor, specs=specs or STREAM_SPECS
        )
        stream = getattr(stream, "base", stream)
        for number, table in enumerate(tables):
            key = "internal" if len(tables) == 1 else f"internal_{number}"
            stream.create_appendable_table(table.schema, key=key).append_partition(0, table)
        for key, array in (arrays or {}).items():
            stream.write_array(array, key=key, dims=("time", *(f"dim_{i}" for i in range(1, array.ndim))))
        return stream

    @staticmethod
    def rows(seq_num=(1, 2, 3), **columns):
        """Make an Arrow table: seq_num, time (1000 + row), the columns, and ts_ of each (2000 + row)."""
        n = len(seq_num)
        arrays = {"seq_num": pa.array(seq_num, pa.int64()), "time": pa.array(1000.0 + np.arange(n))}
        arrays |= {
            key: value if isinstance(value, pa.Array) else pa.array(value) for key, value in columns.items()
        }
        arrays |= {f"ts_{key}": pa.array(2000.0 + np.arange(n)) for key in columns}
        return pa.table(arrays)


@pytest.fixture
def write(container):
    return Writer(container)


@pytest.fixture
def make_writer():
    return Writer


@pytest.fixture
def in_a_new_process(server, catalog):
    """Return a function that evaluates an expression of the catalog in a process of its own: its value, and whether dask was imported.

    That takes half a second, of each process that begins a job or a search.
    """

    def evaluated(expression):
        code = f"""
import sys
from tilewright import open_catalog
with open_catalog(sys.argv[1]) as whole, open_catalog(whole[sys.argv[2]]) as catalog:
    print({expression}, "dask.array" in sys.modules, sep="\\n")
"""
        command = [sys.executable, "-c", code, server.uri, catalog.path_parts[-1]]
        return tuple(
            subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")[:-1]
        )

    return evaluated
