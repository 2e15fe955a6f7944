"""A deployment in a Tiled server that has none of our routes: the arrays are its own, and everything is asked for in its way."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from tiled.client import from_uri

from tilewright.clients import open_catalog
from tilewright.clients.recordings.loading import stream_rows
from tilewright.clients.recordings.moments import text

from ..conftest import KEY, Writer, plain_tiled  # noqa: TID252 - the fixtures of the room
from .conftest import SECOND, T0


@pytest.fixture(scope="module")
def container(tmp_path_factory):
    with plain_tiled(tmp_path_factory.mktemp("tiled")) as address:
        client = from_uri(address, api_key=KEY)
        yield client.create_container("runs")
        client.context.close()


def rows(starts, samples):
    count = len(starts)
    return Writer.rows(
        list(range(1, count + 1)),
        file=[f"{n}.wav" for n in range(count)],
        start=starts,
        samples=[samples] * count,
        first=[n * samples for n in range(count)],
        rate=[1000] * count,
        gap=pa.array([None, *[0] * (count - 1)], pa.int64()),
    )


def test_tables_for_many_threads(container):
    """Asked for two at once, Tiled's DuckDB storage ends the server."""
    write = Writer(container)
    node = write.run("m1", num_events=dict.fromkeys("abc", 50))
    for name in "abc":
        write.stream(node, name, [Writer.rows(list(range(1, 51)), **{f"x{name}": np.arange(50.0)})])
    run = open_catalog(container)["m1"]
    streams = {name: run[name] for name in "abc"}
    with ThreadPoolExecutor(8) as pool:
        asked = pool.map(lambda name: stream_rows(streams[name], [f"x{name}"]), "abc" * 100)
        assert all(table[0].to_pylist() == list(range(50)) for table in asked)


def test_samples_and_tables(container):
    write = Writer(container)
    node = write.run(
        "a1", units=[{"unit": name, "row": row} for row, name in enumerate("ab")], num_events={"a": 2, "b": 2}
    )
    for name in "ab":
        table = rows([T0, T0 + 5 * SECOND], 4000)
        audio = {"audio": np.arange(8000, dtype="<i2")}
        keys = {
            "audio": {
                "external": "STREAM:",
                "dtype": "number",
                "shape": [],
                "dtype_numpy": "<i2",
                "object_name": name,
            }
        }
        write.stream(node, name, [table], audio, data_keys=keys)
    ties = Writer.rows(
        [1, 2],
        sample=pa.array([None, 8000], pa.int64()),
        nominal=[T0, T0 + 9 * SECOND],
        utc=[T0, T0 + 9 * SECOND + 9000],
        uncertainty=pa.array([None, None], pa.int64()),
    )
    write.stream(node, "clock_a", [ties])
    deployment = open_catalog(container)["a1"].deployment()
    assert deployment.units["samples"].tolist() == [8000, 8000]
    assert deployment.files("a")["gap"].isna().tolist() == [True, False]
    assert deployment.clocks()["ties"].tolist() == [2, 0]
    found = deployment.select((text(T0 + 3 * SECOND), text(T0 + 6 * SECOND)), clock="nominal")
    assert found["sample"].to_numpy()[0].tolist() == [*range(3000, 4000), *[-1] * 1000, *range(4000, 5000)]
    recorded = found["recorded"].to_numpy()
    assert (found.to_numpy()[recorded] == found["sample"].to_numpy()[recorded]).all()
    assert deployment.samples[0:2, 10:13].tolist() == [[10, 11, 12]] * 2
