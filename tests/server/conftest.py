"""A server for tests that share one, and a way to connect that leaves nothing behind."""

import os
import time
from contextlib import contextmanager

import dask
import pytest
import yaml
import zarr
from tiled.client import from_uri

from tilewright.server import serve
from tilewright.server.embedded import local_configuration


@pytest.fixture(scope="session", autouse=True)
def _pools_of_libraries(tmp_path_factory):
    """Start the workers that Zarr and dask keep for the whole process, so that no test is blamed for them."""
    zarr.create_array(tmp_path_factory.mktemp("zarr") / "array", shape=(500,), chunks=(1,), dtype="i1")[:] = 1
    dask.compute(*[dask.delayed(time.sleep)(0.05) for _ in range(2 * os.cpu_count())], scheduler="threads")


@contextmanager
def connection(server):
    client = from_uri(server.uri)
    try:
        yield client
    finally:
        client.context.http_client.close()


@pytest.fixture(scope="session")
def connect():
    return connection


@pytest.fixture(scope="module")
def server():
    with serve(announce=False) as server:
        yield server


@pytest.fixture
def client(server):
    with connection(server) as client:
        yield client


@pytest.fixture
def configuration(tmp_path):
    """Return a function that writes a configuration like `server_config/local.yml`, for a directory of the test's."""

    def write(*, tables="duckdb", key=None, **args):
        configuration = local_configuration(tmp_path / "runs", "unused", [])
        storage = f"{tables}:///{tmp_path}/runs/storage.{tables}"
        tree = configuration["trees"][0]["args"]
        tree |= {"writable_storage": [str(tmp_path / "runs" / "data"), storage], **args}
        configuration["authentication"] = {} if key is None else {"single_user_api_key": key}
        path = tmp_path / "config.yml"
        path.write_text(yaml.safe_dump(configuration))
        return path

    return write
