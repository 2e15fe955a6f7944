"""A session of blocks, as a deployment: by exact time, whatever order its blocks came in."""

from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from tilewright import TiledWriter
from tilewright.clients.recordings.blocks import joined_rows
from tilewright.documents.times import SECOND
from tilewright.sources.blocks import Block, Blocks, Pcm

PCM = Pcm(44_100)
ANCHOR = 1_700_000_000_123_456_789
FRAMES = 1000
ORDER = [0, 1, 3, 2, 2, 6, 7]
"""2 comes late and twice; 4 and 5 never."""
THERE = sorted({frame for number in ORDER for frame in range(number * FRAMES, (number + 1) * FRAMES)})


def block(number):
    samples = np.arange(number * FRAMES, (number + 1) * FRAMES).astype("<i2")
    return Block(np.datetime64(ANCHOR, "ns"), number * FRAMES * 2, samples.tobytes())


@pytest.fixture(scope="module")
def deployment(server):
    from tilewright import open_catalog

    with open_catalog(server.uri) as catalog:
        with TiledWriter(catalog) as writer:
            uid = None
            for name, document in Blocks(map(block, ORDER), PCM).documents():
                uid = uid or document["uid"]
                writer(name, document)
        yield catalog[uid].deployment()


def exact(frame):
    return ANCHOR + Fraction(frame * SECOND, PCM.rate)


def moment(ns):
    return np.datetime64(int(ns), "ns")


def test_every_sample_at_its_own_time(deployment):
    for first, last in [(0, 8000), (1, 3500), (3999, 4000), (3500, 6500), (6000, 6001), (7999, 8000)]:
        time = (moment(exact(first) // 1), moment(exact(last) // 1))
        found = deployment.select(time)
        assert found.sizes["time"] == last - first
        recorded = found["recorded"].to_numpy() if "recorded" in found.coords else np.ones(last - first, bool)
        recorded = recorded.reshape(-1)
        assert (np.flatnonzero(recorded) + first).tolist() == [
            frame for frame in THERE if first <= frame < last
        ]
        values = found.to_numpy().reshape(-1)[recorded]
        assert values.tolist() == [frame for frame in THERE if first <= frame < last]
        times = found["time"].to_numpy().astype(np.int64)
        assert (times == [(2 * exact(frame) + 1) // 2 for frame in range(first, last)]).all()


def test_a_nanosecond_decides(deployment):
    """Of the frame 2001, at a third of a nanosecond or so."""
    at = exact(2001)
    assert at.denominator > 1
    before, after = at // 1, at // 1 + 1
    assert deployment.select((moment(before), moment(before + 100))).to_numpy().reshape(-1).tolist() == [2001]
    assert deployment.select((moment(after), moment(after + 100))).size == 0


def test_what_is_missing(deployment):
    (gap,) = [row for row in deployment.gaps().itertuples() if row.kind == "gap"]
    assert (gap.file_before, gap.file_after) == ("block 6000", "blocks 12000 to 14000")
    assert gap.duration.value == pytest.approx(2000 / PCM.rate * SECOND, abs=1)
    assert deployment.coverage()["samples"].tolist() == [4000, 2000]


def test_units_files_and_sound(deployment):
    assert deployment.units.loc["microphone", "samples"] == 6000
    files = deployment.files()
    assert files["file"].tolist() == ["blocks 0 to 2000", "block 6000", "block 4000", "blocks 12000 to 14000"]
    assert (files["stop"] > files["start"]).all()
    assert deployment.samples[0, 100:103].reshape(-1).tolist() == [100, 101, 102]


def rows(position, samples, first, rate=None, offset=None):
    size = len(position)
    return pa.table(
        {
            "offset": offset or [2 * each for each in position],
            "position": position,
            "samples": samples,
            "first": first,
            "rate": rate or [8000] * size,
        }
    )


def test_rows_of_no_blocks():
    assert (
        joined_rows(
            rows([], [], []).cast(pa.schema([(n, pa.int64()) for n in rows([], [], []).column_names])), {}
        ).num_rows
        == 0
    )


def test_a_change_of_rate_begins_another():
    found = joined_rows(rows([0, 10, 20], [10, 10, 10], [0, 10, 20], [8000, 8000, 16000]), {"anchor": 7})
    assert found["samples"].to_pylist() == [20, 10]
    assert found["start"].to_pylist() == [7, 7]


def test_two_million_blocks_are_one_row():
    count = 2_000_000
    columns = {"position": np.arange(count) * 10, "first": np.arange(count) * 10}
    table = pa.table(
        {
            "offset": columns["position"] * 2,
            **columns,
            "samples": np.full(count, 10),
            "rate": np.full(count, 8000),
        }
    )
    assert joined_rows(table, {"anchor": 0})["samples"].to_pylist() == [10 * count]
