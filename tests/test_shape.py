"""What things cost, counted and not timed: requests a run, bytes an event, files an update, and nothing that grows."""

import copy

import pytest

from tilewright import TiledWriter
from tilewright.delivery import Outcome, RunDelivery, target
from tilewright.delivery.plan import RunPlan
from tilewright.journal import Header, JournalReader, JournalWriter, encode
from tilewright.server import readable
from tilewright.server.tables import TableAdapter
from tilewright.tables import build
from tilewright.testing.documents import simple_run


class Counted:
    """A run's delivery, step by step, and the requests it makes."""

    def __init__(self, path, catalog):
        self.writer = JournalWriter(path, Header("run", None, 0.0, "test"))
        self.reader = JournalReader(path)
        self.remote = target(catalog).connect()
        self.delivery = RunDelivery(self.reader, self.remote)
        self.requests = []

    def note(self, request):
        self.requests.append((request.method, request.url.path, len(request.read())))

    def give(self, *documents, ended=False):
        """Deliver documents; return the bytes of each request that it took."""
        self.requests.clear()
        for document in documents:
            self.writer.append(encode(*document))
        while self.delivery.step(ended=ended) is Outcome.MORE:
            pass
        return [size for _, _, size in self.requests]


@pytest.fixture
def counted(catalog, tmp_path):
    counted = Counted(tmp_path / "run.twj", catalog)
    hooks = counted.remote.http.event_hooks
    counted.remote.http.event_hooks = {**hooks, "request": [*hooks["request"], counted.note]}
    yield counted
    counted.remote.http.event_hooks = hooks
    counted.writer.close()
    counted.delivery.close()


def test_a_run_that_is_over_takes_one_request(counted):
    assert len(counted.give(*simple_run(events=20, keys=3), ended=True)) == 1


def test_a_run_that_is_over_takes_nine_of_a_stock_server(counted):
    counted.remote.without_bundles()
    assert len(counted.give(*simple_run(events=20, keys=3), ended=True)) == 9


def test_a_live_run_takes_one_request_whenever_something_has_come(counted):
    documents = simple_run(events=30)
    assert [len(counted.give(*part)) for part in (documents[:12], documents[12:22], documents[22:])] == [
        1,
        1,
        1,
    ]
    assert counted.give(ended=True) == []


def test_an_event_takes_so_many_bytes(counted, tmp_path):
    """Of ten float keys with a timestamp each: in the journal, and on the way to the server (22 columns of 8 bytes)."""
    documents = simple_run(events=2_002, keys=10)
    counted.give(*documents[:4])
    before = counted.writer.path.stat().st_size
    (size,) = counted.give(*documents[4:-1])
    assert (counted.writer.path.stat().st_size - before) / 2_000 < 560
    assert size / 2_000 < 22 * 8 + 10


def test_nothing_grows_with_the_rows_that_are_there(counted, monkeypatch):
    """The same few rows cost the same at the beginning and after many; the server does not count them again."""
    count, counts = TableAdapter._count, []
    monkeypatch.setattr(TableAdapter, "_count", lambda self: counts.append(1) or count(self))
    documents = simple_run(events=20_040)
    counted.give(*documents[:12])
    early = counted.give(*documents[12:22])
    counted.give(*documents[22:20_022])
    late = counted.give(*documents[20_022:20_032])
    assert len(early) == len(late) == 1
    assert abs(late[0] - early[0]) < 100
    assert len(counts) <= 1


def sequence(count):
    """Return the documents of a detector that writes a file for each image."""
    start, descriptor, *_ = simple_run(events=0)
    key = {
        "source": "test",
        "dtype": "array",
        "shape": [1, 4, 4],
        "dtype_numpy": "<u2",
        "external": "STREAM:",
    }
    descriptor = ("descriptor", {**descriptor[1], "data_keys": {"image": key}})
    resource = {
        "uid": "resource",
        "data_key": "image",
        "mimetype": "multipart/related;type=image/tiff",
        "uri": "file://localhost/data/",
        "parameters": {"template": "{:06d}.tif", "chunk_shape": (1, 4, 4)},
        "run_start": start[1]["uid"],
    }
    yield from (start, descriptor, ("stream_resource", resource))
    for number in range(count):
        datum = {
            "uid": f"resource/{number}",
            "stream_resource": "resource",
            "descriptor": descriptor[1]["uid"],
            "indices": {"start": number, "stop": number + 1},
            "seq_nums": {"start": number + 1, "stop": number + 2},
        }
        yield ("stream_datum", datum)


@pytest.mark.parametrize(("reason", "requests"), [(None, 1), ("missing", 2)])
def test_a_run_of_files_takes_one_request_and_one_more_if_they_cannot_be_read(
    counted, monkeypatch, reason, requests
):
    """The server looks at the directory, once, and not at a thousand files."""
    looks = []
    monkeypatch.setattr(readable, "_is_outside", lambda *_: False)
    monkeypatch.setattr(readable, "_look_at", lambda uri: looks.append(uri) or reason)
    start, *files = sequence(1_000)
    stop = {"uid": "stop", "run_start": start[1]["uid"], "time": 1.0, "exit_status": "success"}
    assert len(counted.give(start, *files, ("stop", stop), ended=True)) == requests
    assert looks == ["file://localhost/data/"]


def test_an_update_names_the_new_files_only(counted):
    documents = list(sequence(2_000))
    counted.give(*documents[:13])
    early = counted.give(*documents[13:16])
    counted.give(*documents[16:1_900])
    late = counted.give(*documents[1_900:1_903])
    assert len(early) == len(late) == 1
    # What is left to grow is Tiled's own list of chunks, with a byte for each image.
    assert late[0] - early[0] < 2_000 + 100


def test_no_document_is_copied_deeply(tmp_path, monkeypatch):
    """Neither when it is recorded, nor when it is made out what the server should have."""

    def refuse(*_):
        raise AssertionError("a document is copied")

    documents = [*simple_run(events=50), *sequence(5)]
    monkeypatch.setattr(copy, "deepcopy", refuse)
    with TiledWriter(
        "http://127.0.0.1:9/api/v1", journal=tmp_path, deliver="elsewhere", on_stop="return", strict=True
    ) as writer:
        for document in documents:
            writer(*document)
    for path in tmp_path.glob("*.twj"):
        plan = RunPlan()
        with JournalReader(path) as reader:
            for document in reader.read():
                plan.consume(*document)
        (stream,) = plan.streams.values()
        assert stream.arrays or build(stream.pending(), stream.schema, stream.data_keys).table.num_rows == 50
