"""What real instruments emitted: replayed, and compared with what is read back, value by value."""

import copy
from dataclasses import dataclass

import pandas as pd
import pytest

from tilewright import open_catalog, serve
from tilewright.cli import main
from tilewright.sources import read_documents
from tilewright.testing.expected import compare_metadata, compare_runs, expected_metadata, expected_tables

pytestmark = pytest.mark.slow  # every run is replayed twice and read twice

RUNS, CUT_OFF, DOCUMENTS, DESCRIPTORS, ROWS, VALUES, TIMESTAMPS = 55, 1, 1484, 57, 1318, 2146, 2146
"""What the files hold. The values and timestamps are all in tables."""


@pytest.fixture(scope="module")
def files(test_data):
    return sorted(path for path in (test_data / "documents").iterdir() if ".json" in path.name)


@pytest.fixture(scope="module")
def documents(files):
    return [document for path in files for document in read_documents(path)]


@dataclass(frozen=True)
class Stream:
    """One stream as it is read back."""

    metadata: dict
    rows: pd.DataFrame
    """All attempts, with timestamps."""
    rejected: pd.DataFrame


@dataclass(frozen=True)
class Run:
    """One run as it is read back, in the form that `compare_runs` takes."""

    metadata: dict
    start: dict
    stop: dict | None
    streams: dict

    def table(self, stream, *, timestamps, attempts):
        assert timestamps
        assert attempts
        return self.streams[stream].rows

    def rejected(self, stream):
        return self.streams[stream].rejected


@dataclass(frozen=True)
class Replayed:
    """The runs, by uid, after the first and after the second replay."""

    first: dict
    second: dict


@pytest.fixture(scope="module")
def replayed(files, tmp_path_factory):
    with serve(tmp_path_factory.mktemp("replayed"), announce=False) as server:
        replay(files, server.uri)
        with open_catalog(server) as catalog:
            first = read(catalog)
        replay(files, server.uri)
        with open_catalog(server) as catalog:
            return Replayed(first, read(catalog))


def replay(files, catalog):
    with pytest.raises(SystemExit) as end:
        main(["replay", *map(str, files), "--catalog", catalog])
    assert end.value.code == 0


def read(catalog):
    """Read everything there is."""
    return {uid: read_run(run) for uid, run in catalog.items()}


def read_run(run):
    streams = {}
    for name in run.streams:
        stream = run[name]
        streams[name] = Stream(
            dict(stream.metadata), stream.table(timestamps=True, attempts=True), stream.rejected()
        )
    return Run(dict(run.metadata), run.start, run.stop, streams)


def compare_descriptors(documents, runs):
    """Compare what is read of each stream with its descriptors, key by key."""
    differences = []
    for uid, metadata in expected_metadata(documents).items():
        for name, (first, *later) in metadata.descriptors.items():
            stored = runs[uid].streams[name].metadata
            updates = stored.get("_config_updates", [])
            found = {key: value for key, value in stored.items() if key != "_config_updates"}
            differences += compare_metadata(first, found, f"run {uid}, stream {name}")
            differences += compare_metadata(later, updates, f"run {uid}, stream {name}, updates")
    return differences


def test_nothing_is_missing_and_nothing_changed(documents, replayed):
    assert compare_runs(documents, replayed.first.__getitem__) == []
    assert compare_descriptors(documents, replayed.first) == []
    assert [run for run in replayed.first.values() for s in run.streams.values() if len(s.rejected)] == []


@pytest.mark.parametrize("name", ["start", "descriptor", "event", "stop"])
def test_the_comparison_can_fail(documents, replayed, name):
    """One value of one document is another: one difference is found."""
    place = next(index for index, document in enumerate(documents) if document[0] == name)
    changed = copy.deepcopy(documents[place][1])
    if name == "event":
        key = next(iter(changed["data"]))
        changed["data"][key] += 1e-9
    else:
        changed["time"] += 1e-6
    other = [*documents[:place], (name, changed), *documents[place + 1 :]]
    differences = compare_runs(other, replayed.first.__getitem__) + compare_descriptors(other, replayed.first)
    assert len(differences) == 1


def test_the_comparison_is_of_everything(documents, record_property):
    """All values and timestamps are in tables, and so many were compared."""
    metadata = expected_metadata(documents)
    tables = [table for streams in expected_tables(documents).values() for table in streams.values()]
    assert [table for table in tables if table.elsewhere and table.rows] == []
    events = [row for table in tables for row in table.rows]
    counted = {
        "runs": len(metadata),
        "runs without a stop": sum(run.stop is None for run in metadata.values()),
        "documents": len(documents),
        "descriptors": sum(len(each) for run in metadata.values() for each in run.descriptors.values()),
        "rows": len(events),
        "values": sum(len(row.data) for row in events),
        "timestamps": sum(len(row.timestamps) for row in events),
    }
    for name, number in counted.items():
        record_property(name, number)
    assert list(counted.values()) == [RUNS, CUT_OFF, DOCUMENTS, DESCRIPTORS, ROWS, VALUES, TIMESTAMPS]


def test_the_catalog_holds_so_much(replayed):
    """Counted in what is read back, and not in the documents."""
    runs = replayed.first.values()
    assert len(runs) == RUNS
    assert [run.stop for run in runs].count(None) == CUT_OFF
    tables = [stream.rows for run in runs for stream in run.streams.values()]
    assert len(tables) == DESCRIPTORS
    assert sum(len(table) for table in tables) == ROWS
    columns = [table.drop(columns=["seq_num", "time"]) for table in tables]
    assert sum(table.size for table in columns) == VALUES + TIMESTAMPS


def test_nothing_had_to_be_changed(replayed):
    runs = replayed.first.values()
    assert [run.metadata["notes"] for run in runs if "notes" in run.metadata] == []
    reports = [run.metadata["tilewright"] for run in runs]
    assert all(report["verified"] for report in reports)
    assert sum(sum(report["rows"].values()) for report in reports) == ROWS


def test_a_second_replay_changes_nothing(replayed):
    assert list(replayed.second) == list(replayed.first)
    for uid, before in replayed.first.items():
        after = replayed.second[uid]
        assert after.metadata == before.metadata
        assert list(after.streams) == list(before.streams)
        for name, stream in before.streams.items():
            assert after.streams[name].metadata == stream.metadata
            pd.testing.assert_frame_equal(after.streams[name].rows, stream.rows, check_exact=True)
