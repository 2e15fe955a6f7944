"""The writer from end to end: documents in, a real server, and what is read back."""

import copy
import gc
import logging
import pickle
import subprocess
import sys
import threading
import time

import pytest

from tilewright import TiledWriter, open_catalog, serve
from tilewright import writer as writer_module
from tilewright.delivery import worker
from tilewright.delivery.failures import FateUnknownError
from tilewright.delivery.remote import Remote
from tilewright.errors import InputError, SetupError
from tilewright.journal import JournalDirectory, JournalReader, tail
from tilewright.journal.file import JournalFile
from tilewright.testing.contract import WriterContract
from tilewright.testing.disk import FaultyDisk
from tilewright.testing.documents import run_of, simple_run
from tilewright.testing.expected import compare_runs


@pytest.fixture
def writer(catalog, tmp_path):
    with TiledWriter(catalog, journal=tmp_path / "journal", strict=True) as writer:
        yield writer


def write(writer, documents):
    for name, doc in documents:
        writer(name, doc)


def assert_readable(catalog, documents):
    assert compare_runs(documents, catalog.__getitem__) == []


class TestContract(WriterContract):
    """The suite that any writer must pass."""

    @pytest.fixture
    def write(self, catalog, tmp_path):
        with TiledWriter(catalog, journal=tmp_path / "journal", strict=True, on_stop="return") as writer:

            def write_all(documents):
                write(writer, documents)
                writer.end_runs()
                assert writer.flush(60)
                assert writer.status().failed == {}

            yield write_all

    @pytest.fixture
    def read(self, catalog):
        return catalog.__getitem__


def test_a_run_is_readable_when_stop_returns(writer, catalog):
    documents = simple_run(events=20)
    write(writer, documents)
    assert_readable(catalog, documents)
    assert writer.status().waiting == ()
    assert [path.name for path in writer.journal.glob("*.twj")] == []


def test_a_run_engine_and_its_devices(writer, catalog, run_engine):
    import bluesky.plans as bp
    from ophyd.sim import det, det1, motor

    documents = []
    run_engine.subscribe(lambda name, doc: documents.append((name, copy.deepcopy(doc))))
    run_engine.subscribe(writer)
    (uid,) = run_engine(bp.scan([det, det1], motor, -5, 5, 10))
    assert_readable(catalog, documents)
    table = catalog[uid].table()
    assert list(table) == ["seq_num", "time", *documents[1][1]["data_keys"]]
    assert len(table) == 10


def test_rows_are_visible_while_the_run_goes_on(writer, catalog):
    documents = simple_run(events=6)
    uid = documents[0][1]["uid"]
    write(writer, documents[:5])
    deadline = time.monotonic() + 10
    while uid not in catalog or len(catalog[uid].streams) == 0 or len(catalog[uid].table()) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert catalog[uid].stop is None
    write(writer, documents[5:])
    assert_readable(catalog, documents)


def test_flush_waits_for_what_was_written(writer, catalog):
    documents = simple_run(events=6)
    write(writer, documents[:6])
    assert writer.flush(30)
    assert len(catalog[documents[0][1]["uid"]].table()) == 4
    assert len(writer.status().waiting) == 1


@pytest.mark.parametrize("deliver", ["elsewhere", "thread"])
def test_flush_waits_for_nothing_that_only_others_know(catalog, tmp_path, monkeypatch, deliver):
    """Such as how far a service is with a run that is not at its end: this would never return."""
    monkeypatch.setattr(JournalDirectory, "claim", lambda *_: None)
    monkeypatch.setattr(JournalDirectory, "claimant", lambda *_: "a service")
    documents = simple_run(events=3)
    with TiledWriter(catalog, journal=tmp_path, deliver=deliver, on_stop="return", stop_timeout=0) as writer:
        write(writer, documents[:-1])
        flushed = []
        flushing = threading.Thread(target=lambda: flushed.append(writer.flush()), daemon=True)
        flushing.start()
        flushing.join(10)
        assert flushed == [False]
        writer.close(timeout=0)


def test_a_run_given_twice_is_there_once(writer, catalog):
    documents = simple_run(events=6)
    write(writer, documents)
    write(writer, documents)
    assert_readable(catalog, documents)


def test_a_run_given_again_by_another_journal_is_there_once(writer, catalog, tmp_path):
    documents = simple_run(events=6)
    write(writer, documents)
    with TiledWriter(catalog, journal=tmp_path / "another", strict=True) as another:
        write(another, documents)
        assert another.status().failed == {}
    assert_readable(catalog, documents)


def test_what_an_earlier_writer_left_is_delivered_by_the_next(catalog, tmp_path):
    """A process that dies in mid-run: what it had been given is there, and marked as cut off."""
    journal = tmp_path / "journal"
    code = f"""
import os, pickle, sys
from tilewright import TiledWriter
writer = TiledWriter("http://127.0.0.1:9/api/v1", journal={str(journal)!r}, strict=True)
for name, doc in pickle.load(sys.stdin.buffer):
    writer(name, doc)
os._exit(1)
"""
    documents = simple_run(events=50)[:-1]
    subprocess.run([sys.executable, "-c", code], input=pickle.dumps(documents), check=False)
    (path,) = journal.glob("*.twj")
    relabel(path, catalog)
    with TiledWriter(catalog, journal=journal) as writer:
        assert writer.flush(30)
    assert_readable(catalog, documents)
    assert catalog[documents[0][1]["uid"]].metadata["tilewright"]["state"] == "interrupted"
    assert list(journal.glob("*.twj")) == []


def relabel(path, catalog):
    """Rewrite a journal as one that is meant for this catalog."""
    from tilewright.delivery import target
    from tilewright.journal import Header, JournalReader, JournalWriter, encode

    with JournalReader(path) as reader:
        documents, header = list(reader), reader.header
    path.unlink()
    writer = JournalWriter(path, Header(header.run, target(catalog).name, header.created, header.software))
    for document in documents:
        writer.append(encode(*document))
    writer.close()


def test_a_journal_for_another_catalog_is_left_where_it_is(catalog, tmp_path):
    journal = tmp_path / "journal"
    with TiledWriter("http://127.0.0.1:9/api/v1", journal=journal, on_stop="return") as elsewhere:
        write(elsewhere, simple_run())
        assert not elsewhere.close(timeout=0.1)
    (path,) = journal.glob("*.twj")
    with TiledWriter(catalog, journal=journal) as writer:
        assert writer.flush(10)
        assert writer.status().waiting == ()
    assert path.exists()


def test_a_server_that_is_away_costs_the_caller_nothing(tmp_path, caplog):
    documents = simple_run(events=200)
    with TiledWriter("http://127.0.0.1:9/api/v1?api_key=secret", journal=tmp_path) as writer:
        began = time.monotonic()
        write(writer, documents)
        assert time.monotonic() - began < 5
        status = writer.status()
        assert status.reachable is False
        assert "cannot reach" in status.last_error
        assert len(status.waiting) == 1
        assert status.waiting_bytes > 200 * 100
        assert "not reachable" in repr(writer)
        assert not writer.close(timeout=0)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len([text for text in warnings if "waits, the journals are kept" in text]) == 1
    assert len([text for text in warnings if "is safe in" in text]) == 1
    assert "secret" not in caplog.text


def test_delivery_goes_on_when_the_server_comes(tmp_path, caplog):
    documents = simple_run(events=20)
    with serve(tmp_path / "data", announce=False, api_key="key") as first:
        port = first.port
    with TiledWriter(
        f"http://127.0.0.1:{port}?api_key=key", journal=tmp_path / "j", on_stop="return"
    ) as writer:
        write(writer, documents)
        while writer.status().reachable is None:
            time.sleep(0.01)
        with serve(tmp_path / "data", announce=False, api_key="key", port=port) as server:
            assert writer.flush(30)
            assert writer.status().failed == {}
            with open_catalog(server.uri) as catalog:
                assert_readable(catalog, documents)
    assert "goes on" in caplog.text


def test_stop_returns_at_once_if_asked(tmp_path):
    with TiledWriter("http://127.0.0.1:9", journal=tmp_path, on_stop="return") as writer:
        began = time.monotonic()
        write(writer, simple_run())
        assert time.monotonic() - began < 1
        writer.close(timeout=0)


def test_nothing_is_raised_into_the_plan_unless_asked(catalog, tmp_path, caplog):
    bad = [
        ("event", {"descriptor": "unknown"}),
        ("start", None),
        ("nonsense", {}),
        ("stop", {"run_start": 1}),
    ]
    with TiledWriter(catalog, journal=tmp_path / "a") as writer:
        write(writer, bad)
    assert "(event) was not recorded" in caplog.text
    with (
        TiledWriter(catalog, journal=tmp_path / "b", strict=True) as strict,
        pytest.raises(InputError, match="no run"),
    ):
        strict(*bad[0])


def test_bad_arguments_are_told_at_once(tmp_path, catalog):
    with pytest.raises(InputError, match="'wait' or 'return'"):
        TiledWriter(catalog, on_stop="maybe", journal=tmp_path / "never")
    with pytest.raises(InputError, match="Tiled server"):
        TiledWriter("nowhere", journal=tmp_path / "never")
    assert not (tmp_path / "never").exists()
    with pytest.raises(InputError, match="expected one of 'process', 'thread', 'elsewhere'"):
        TiledWriter(catalog, deliver="somehow", journal=tmp_path / "never")


def test_a_journal_folder_that_cannot_be_used(catalog, tmp_path, caplog):
    """The plan goes on, what it says is kept in memory and delivered from there, and the user is told."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="journal directory"):
        TiledWriter(catalog, journal=tmp_path / "file" / "x", strict=True)
    documents = simple_run(events=20)
    with TiledWriter(catalog, journal=tmp_path / "file" / "x", deliver="process") as writer:
        assert "cannot use" in caplog.text
        write(writer, documents[:10])
        assert writer.flush(20)
        assert len(catalog[documents[0][1]["uid"]].table()) == 8
        write(writer, documents[10:])
        assert_readable(catalog, documents)
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 3  # when the writer is made, at the first document, and at stop
    assert "memory" in errors[0]
    assert "is not on the disk" in errors[2]
    assert (tmp_path / "file").read_text() == ""


def test_an_embedded_server_keeps_the_journal_beside_its_data(tmp_path):
    documents = simple_run(events=3)
    with serve(tmp_path / "data", announce=False) as server:
        with TiledWriter(server) as writer:
            assert writer.journal == tmp_path / "data" / "journal"
            write(writer, documents)
        with open_catalog(server) as catalog:
            assert_readable(catalog, documents)
    assert len(list((tmp_path / "data" / "journal" / "delivered").iterdir())) == 1


def test_the_arguments_of_blueskys_writer_are_taken(catalog, tmp_path):
    from bluesky_tiled_plugins.writing.tiled_writer import RunNormalizer

    def add_sample(doc):
        return {**doc, "sample": "added"}

    documents = simple_run(events=3)
    writer = TiledWriter(
        catalog, normalizer=RunNormalizer, patches={"start": add_sample}, spec_to_mimetype={}, batch_size=1,
        max_array_size=16, backup_directory=tmp_path / "backup", validate=True, strict=True,
    )  # fmt: skip
    with writer:
        write(writer, documents)
        assert writer.journal == tmp_path / "backup"
    run = catalog[documents[0][1]["uid"]]
    assert run.start["sample"] == "added"
    assert len(run.table()) == 3


@pytest.mark.parametrize("derived", [True, False])
def test_a_normalizer_of_ones_own(catalog, tmp_path, derived):
    from bluesky_tiled_plugins.writing.tiled_writer import RunNormalizer

    class Mine(RunNormalizer):
        def start(self, doc):
            super().start({**doc, "sample": "mine"})

    documents = simple_run(events=3)
    with TiledWriter(catalog, normalizer=Mine if derived else None, journal=tmp_path, strict=True) as writer:
        write(writer, documents)
    run = catalog[documents[0][1]["uid"]]
    assert run.start.get("sample") == ("mine" if derived else None)
    assert len(run.table()) == 3


def test_writers_of_many_threads(catalog, tmp_path):
    """Each thread its own run through one writer."""
    runs = [simple_run(events=20, scan_id=number) for number in range(1, 5)]
    with TiledWriter(catalog, journal=tmp_path, strict=True) as writer:
        threads = [threading.Thread(target=write, args=(writer, documents)) for documents in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for documents in runs:
        assert_readable(catalog, documents)


def test_rejected_values_come_back_word_for_word(writer, catalog):
    documents = run_of(
        {"x": [1.5, "text", None, 2**60 + 1], "s": ["a", 5, None, "b"]}, dtypes={"x": "<f8", "s": "<U1"}
    )
    write(writer, documents)
    assert_readable(catalog, documents)
    rejected = catalog[documents[0][1]["uid"]].rejected()
    assert rejected[["seq_num", "data_key", "value"]].to_numpy().tolist() == [
        [2, "x", "text"],
        [2, "s", 5],
        [4, "x", 2**60 + 1],
    ]


def test_a_script_that_ends_without_closing_delivers(catalog, tmp_path):
    code = f"""
import pickle, sys
from tilewright import TiledWriter
writer = TiledWriter(sys.argv[1], journal={str(tmp_path)!r}, on_stop="return", strict=True)
for name, doc in pickle.load(sys.stdin.buffer):
    writer(name, doc)
"""
    from urllib.parse import urlsplit

    documents = simple_run(events=5)
    context = catalog.context
    uri = f"{catalog.uri!s}?api_key={context.api_key}"
    assert urlsplit(uri).scheme == "http"
    done = subprocess.run(
        [sys.executable, "-c", code, uri],
        input=pickle.dumps(documents),
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert_readable(catalog, documents)


def test_a_run_cut_off_is_in_the_catalogs_table(writer, catalog):
    documents = simple_run(events=5)[:-2]
    write(writer, documents)
    writer.end_runs()
    assert writer.flush(30)
    (row,) = catalog.table().to_dict("records")
    assert row["streams"] == ["primary"]
    assert row["events"] == 4
    assert row["exit_status"] is None


def test_one_journal_folder_serves_two_catalogs(server, catalog, tmp_path):
    documents = simple_run(events=5)
    other = catalog.create_container("other")
    one = TiledWriter(catalog, journal=tmp_path, strict=True)
    two = TiledWriter(other, journal=tmp_path, strict=True)
    with one, two:
        for name, doc in documents:
            one(name, doc)
            two(name, doc)
    assert_readable(catalog, documents)
    with open_catalog(other) as there:
        assert_readable(there, documents)


def test_a_run_that_the_server_refuses_holds_up_no_other(catalog, tmp_path):
    refused, fine = simple_run(events=3, scan_id=1), simple_run(events=3, scan_id=2)
    uid = refused[0][1]["uid"]
    catalog.create_container(uid, metadata={"start": {"uid": uid, "time": 0.0}})
    writer = TiledWriter(catalog, journal=tmp_path)
    write(writer, refused)
    write(writer, fine)
    assert_readable(catalog, fine)
    assert not writer.flush(10)
    assert not writer.close()
    status = writer.status()
    assert (list(status.failed), status.waiting, status.waiting_documents) == ([uid], (), 0)
    assert len(list(tmp_path.glob("*.twj"))) == 1


@pytest.mark.usefixtures("one_by_one")
def test_trouble_with_one_run_holds_up_no_other(catalog, tmp_path, monkeypatch):
    """A server that answers 500 to the rows of one run, for as long as it likes."""
    bad, fine = simple_run(events=3, scan_id=1), simple_run(events=3, scan_id=2)
    append, uid = Remote.append_rows, bad[0][1]["uid"]
    trouble = threading.Event()

    def append_rows(self, path, table, first_row):
        if path[0] == uid and not trouble.is_set():
            raise FateUnknownError("500")
        append(self, path, table, first_row)

    monkeypatch.setattr(Remote, "append_rows", append_rows)
    with TiledWriter(catalog, journal=tmp_path, on_stop="return") as writer:
        write(writer, bad)
        write(writer, fine)
        while uid not in str(writer.status().waiting) or len(writer.status().waiting) > 1:
            time.sleep(0.01)
        assert_readable(catalog, fine)
        assert writer.status().last_error == "500"
        assert writer.status().reachable
        trouble.set()
        assert writer.flush(30)
        assert writer.status().last_error is None
    assert_readable(catalog, bad)


def test_a_closed_writer_says_that_it_records_nothing(catalog, tmp_path, caplog):
    writer = TiledWriter(catalog, journal=tmp_path)
    writer.close()
    write(writer, simple_run())
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == ["A run is not recorded: the writer is closed: unsubscribe it, or make a new one"]
    assert list(tmp_path.glob("*.twj")) == []
    strict = TiledWriter(catalog, journal=tmp_path, strict=True)
    strict.close()
    with pytest.raises(InputError, match="the writer is closed"):
        write(strict, simple_run())


def test_a_run_given_again_while_it_waits(catalog, tmp_path):
    documents = simple_run(events=6)
    with TiledWriter(catalog, journal=tmp_path, on_stop="return", strict=True) as writer:
        write(writer, documents)
        write(writer, documents)
        assert writer.flush(30)
        assert writer.status().waiting == ()
    assert_readable(catalog, documents)


def test_a_run_cut_off_and_given_again_at_once(catalog, tmp_path):
    documents = simple_run(events=6)
    with TiledWriter(catalog, journal=tmp_path, on_stop="return", strict=True) as writer:
        write(writer, documents[:4])
        writer.end_runs()
        write(writer, documents)
        assert writer.flush(30)
    assert_readable(catalog, documents)
    assert catalog[documents[0][1]["uid"]].metadata["tilewright"]["state"] == "complete"


def test_a_run_that_is_another_is_told_once(catalog, tmp_path, caplog):
    """Two runs of one uid: the second is recorded under another, unless that is an error."""
    documents = simple_run(events=6)
    other = [("start", {**documents[0][1], "sample": "another"}), *documents[1:]]
    with TiledWriter(catalog, journal=tmp_path) as writer:
        write(writer, documents)
        write(writer, other)
        assert writer.flush(30)
    assert_readable(catalog, documents)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "was recorded before with other documents" in warning
    (second,) = [run for key, run in catalog.items() if key != documents[0][1]["uid"]]
    assert second.start["sample"] == "another"
    assert second.table()["seq_num"].tolist() == [1, 2, 3, 4, 5, 6]
    assert any("another run" in note for note in second.notes)
    assert list(tmp_path.glob("*.twj")) == []
    with (
        TiledWriter(catalog, journal=tmp_path, strict=True) as writer,
        pytest.raises(InputError, match="other documents"),
    ):
        write(writer, other)


def test_live_runs_do_not_starve_each_other(catalog, tmp_path):
    runs = [simple_run(events=200, scan_id=number) for number in (1, 2)]
    with TiledWriter(catalog, journal=tmp_path, on_stop="return") as writer:
        for one, two in zip(*runs, strict=True):
            writer(*one)
            writer(*two)
            time.sleep(0.002)
            if one[0] == "event" and one[1]["seq_num"] == 150:
                assert writer.flush(5)
                for documents in runs:
                    assert len(catalog[documents[0][1]["uid"]].table()) >= 149
        assert writer.flush(30)
    for documents in runs:
        assert_readable(catalog, documents)


@pytest.mark.parametrize("ending", ["", "raise SystemError"])
def test_a_script_with_its_own_server_ends_soon_and_delivers(tmp_path, ending):
    """Whatever order its pieces were made in, the writer is done before the server goes."""
    documents = simple_run(events=5)
    code = f"""
import pickle, sys
from tilewright import TiledWriter, serve
server = serve({str(tmp_path / "data")!r}, announce=False)
writer = TiledWriter(server, on_stop="return", strict=True)
for name, doc in pickle.load(sys.stdin.buffer):
    writer(name, doc)
{ending}
"""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(documents),
        check=False,
        capture_output=True,
        timeout=90,
    )
    assert time.monotonic() - began < 25
    assert done.returncode == (1 if ending else 0), done.stderr.decode()
    with open_catalog(tmp_path / "data") as catalog:
        assert_readable(catalog, documents)


def test_a_resource_that_names_no_run_reaches_every_run(catalog, tmp_path, server):
    import numpy as np

    runs = [simple_run(events=2, scan_id=number) for number in (1, 2)]
    folder = server.directory / "data" / "shared"
    folder.mkdir()
    for number in range(2):
        np.save(folder / f"x_{number}.npy", np.full((2, 3), number))
    resource = {
        "uid": "r",
        "spec": "NPY_SEQ",
        "root": str(folder),
        "resource_path": "x",
        "resource_kwargs": {},
    }
    spec = {"dtype": "array", "shape": [2, 3], "dtype_numpy": "<i8", "external": "FILESTORE:", "source": "s"}
    for documents in runs:
        documents[1][1]["data_keys"]["image"] = spec
        for number, (_, doc) in enumerate(documents[2:-1]):
            doc["data"]["image"], doc["timestamps"]["image"] = f"r/{number}", 1.0
    with TiledWriter(catalog, journal=tmp_path, strict=True) as writer:
        for documents in runs:
            write(writer, documents[:2])
        writer("resource", resource)
        for number in range(2):
            writer("datum", {"datum_id": f"r/{number}", "resource": "r", "datum_kwargs": {}})
        for documents in runs:
            write(writer, documents[2:])
    for documents in runs:
        run = catalog[documents[0][1]["uid"]]
        np.testing.assert_array_equal(np.asarray(run["primary"]["image"].read())[:, 0, 0], [0, 1])


def test_writers_from_a_uri_and_from_a_profile(server, catalog, tmp_path, monkeypatch):
    import tiled.profiles

    (tmp_path / "one.yml").write_text(f"beamline:\n  uri: {server.uri}\n")
    monkeypatch.setattr(tiled.profiles, "paths", [tmp_path])
    tiled.profiles.load_profiles.cache_clear()
    for number, make in enumerate(
        (
            lambda **more: TiledWriter.from_uri(str(catalog.uri), api_key=server.api_key, **more),
            lambda **more: TiledWriter.from_profile("beamline", **more),
        )
    ):
        documents = simple_run(events=3)
        with make(journal=tmp_path / f"journal{number}", strict=True) as writer:
            write(writer, documents)
        with open_catalog(server) as everything:
            assert_readable(catalog if number == 0 else everything, documents)
    tiled.profiles.load_profiles.cache_clear()


@pytest.fixture
def full_disk(monkeypatch):
    """Return a disk for the journals of the writers of this test, whose room can be set."""
    faulty = FaultyDisk()
    monkeypatch.setattr(
        writer_module, "JournalDirectory", lambda path: JournalDirectory(path, disk=faulty.disk)
    )
    return faulty


@pytest.mark.parametrize("deliver", ["process", "thread", "elsewhere"])
def test_a_disk_that_is_full_in_mid_run(server, tmp_path, full_disk, deliver, caplog):
    """The rest is kept in memory, and delivered from there by this process."""
    documents = run_of({"row": list(range(300))})
    with (
        TiledWriter(server.uri, journal=tmp_path / "j", deliver=deliver, stop_timeout=20) as writer,
        open_catalog(server.uri) as catalog,
    ):
        write(writer, documents[:100])
        if deliver != "elsewhere":
            assert writer.flush(20)
        full_disk.room = 5000
        write(writer, documents[100:200])
        assert writer.flush(20)
        assert len(catalog[documents[0][1]["uid"]].table()) == 198
        assert writer.status().in_memory_bytes > 5000
        write(writer, documents[200:])
        assert_readable(catalog, documents)
        assert writer.status().waiting == ()
        assert writer.close()
    assert list((tmp_path / "j").glob("*.twj")) == []
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert "kept in memory" in errors[0]
    assert "is not on the disk" in errors[1]


def test_a_disk_that_has_room_again(server, tmp_path, full_disk, caplog):
    documents = run_of({"row": list(range(100))})
    with TiledWriter("http://127.0.0.1:9", journal=tmp_path / "j", on_stop="return") as writer:
        write(writer, documents[:50])
        full_disk.room = 0
        write(writer, documents[50:])
        assert writer.status().in_memory_bytes > 5000
        full_disk.room = None
        deadline = time.monotonic() + 10
        while writer.status().in_memory_bytes:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert not writer.close(timeout=0)
    (journal,) = (tmp_path / "j").glob("*.twj")
    with JournalReader(journal) as reader:
        assert [name for name, _ in reader] == [name for name, _ in documents]


def test_what_a_full_memory_loses_is_told(tmp_path, full_disk, monkeypatch, caplog):
    full_disk.room = 0
    monkeypatch.setattr(
        writer_module,
        "JournalDirectory",
        lambda path: JournalDirectory(path, tail.Budget(20_000), disk=full_disk.disk),
    )
    with TiledWriter("http://127.0.0.1:9", journal=tmp_path / "j", on_stop="return") as writer:
        write(writer, simple_run(events=500))
        writer.close(timeout=0)
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len([text for text in errors if "a document is lost" in text]) == 1
    assert any("documents were lost" in text for text in errors)
    assert any("lost unless it was delivered" in text for text in errors)


@pytest.mark.parametrize("thread", ["tilewright-delivery", "tilewright-sync"])
def test_a_writer_may_be_collected_in_the_middle_of_anything(catalog, tmp_path, monkeypatch, thread):
    """Also in a thread of its own, while that holds a lock that closing takes."""
    collect = threading.Event()

    def collecting(original):
        def call(*args):
            if collect.is_set() and threading.current_thread().name == thread:
                gc.collect()
            return original(*args)

        return call

    monkeypatch.setattr(worker, "_one_for_each_uid", collecting(worker._one_for_each_uid))
    monkeypatch.setattr(JournalFile, "put_on_disk", collecting(JournalFile.put_on_disk))
    documents = simple_run(events=3)
    gc.disable()
    try:
        writer = TiledWriter(catalog, journal=tmp_path, deliver="thread", on_stop="return")
        write(writer, documents[:-1])
        assert writer.flush(20)
        writer.itself = writer
        del writer
        collect.set()
        for own in [each for each in threading.enumerate() if each.name.startswith("tilewright-")]:
            if own.name in ("tilewright-delivery", "tilewright-sync"):
                own.join(20)
                assert not own.is_alive()
    finally:
        gc.enable()
    (run,) = catalog.values()
    assert run.metadata["tilewright"]["state"] == "interrupted"
