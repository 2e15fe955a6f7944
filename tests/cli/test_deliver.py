"""`tilewright deliver` as a user runs it: once, as a service, beside another one."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tilewright import TiledWriter, open_catalog, serve
from tilewright.cli import deliver
from tilewright.journal import JournalDirectory
from tilewright.testing.documents import run_of, simple_run
from tilewright.testing.expected import compare_runs


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "journal"


def record(journal, documents, catalog="http://127.0.0.1:9/api/v1"):
    """Leave documents in a journal that nobody delivers."""
    writer = TiledWriter(catalog, journal=journal, deliver="elsewhere", on_stop="return", strict=True)
    for document in documents:
        writer(*document)
    writer.close(timeout=0)


def start(*arguments):
    command = [
        sys.executable,
        "-c",
        "from tilewright.cli import main; main()",
        "deliver",
        *map(str, arguments),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_what_waits_is_delivered(cli, server, journal):
    runs = [simple_run(events=5, scan_id=number) for number in range(3)]
    for documents in runs:
        record(journal, documents, server.uri)
    ended = cli("deliver", "--catalog", server.uri, "--journal", journal)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == f"3 runs delivered from {journal}\n"
    with open_catalog(server.uri) as catalog:
        for documents in runs:
            assert compare_runs(documents, catalog.__getitem__) == []
    assert cli("deliver", "--catalog", server.uri, "--journal", journal).out.startswith("0 runs")


def test_each_journal_says_where_it_goes(cli, server, journal, monkeypatch):
    documents = simple_run(events=5)
    record(journal, documents, server.uri)
    monkeypatch.setenv("TILED_API_KEY", server.api_key)
    ended = cli("deliver", "--journal", journal)
    assert (ended.status, ended.err) == (0, "")
    with open_catalog(server.uri) as catalog:
        assert compare_runs(documents, catalog.__getitem__) == []


def test_a_directory_has_its_journals_beside_it(cli, tmp_path):
    documents = simple_run(events=5)
    with serve(tmp_path / "data", announce=False) as server:
        record(None, documents, server)
    ended = cli("deliver", "--catalog", tmp_path / "data")
    assert (ended.status, ended.err) == (0, "")
    with open_catalog(tmp_path / "data") as catalog:
        assert compare_runs(documents, catalog.__getitem__) == []


def test_journals_for_an_address_that_is_no_more_are_adopted(cli, server, journal):
    documents = simple_run(events=5)
    record(journal, documents, "http://127.0.0.1:9")
    assert cli("deliver", "--catalog", server.uri, "--journal", journal).out.startswith("0 runs")
    ended = cli("deliver", "--catalog", server.uri, "--journal", journal, "--adopt")
    assert ended.out.startswith("1 run delivered")
    with open_catalog(server.uri) as catalog:
        assert compare_runs(documents, catalog.__getitem__) == []


def test_a_server_that_is_away_is_told(cli, journal, monkeypatch):
    monkeypatch.setattr(deliver, "PATIENCE", 0.5)
    record(journal, simple_run())
    ended = cli("deliver", "--journal", journal)
    assert ended.status == 1
    assert "cannot reach" in ended.error
    assert "nothing is lost" in ended.error
    assert len(list(journal.glob("*.twj"))) == 1


def test_a_second_one_says_who_delivers(server, journal):
    """One delivers, as long as it holds the claim; the other waits, and is done when the first is."""
    documents = simple_run(events=5)
    record(journal, documents, server.uri)
    directory = JournalDirectory(journal)
    (path,) = directory.waiting()
    claim = directory.claim(path)
    second = start("--catalog", server.uri, "--journal", journal)
    line = second.stderr.readline()
    assert f"run {documents[0][1]['uid']} is delivered by" in line
    assert str(os.getpid()) in line
    claim.release()
    _, errors = second.communicate(timeout=30)
    assert (second.returncode, errors) == (0, "")


def test_a_service_delivers_what_is_recorded(server, journal):
    documents = run_of({"row": list(range(10))})
    service = start("--catalog", server.uri, "--journal", journal, "--watch")
    try:
        with (
            TiledWriter(server.uri, journal=journal, deliver="elsewhere", strict=True) as writer,
            open_catalog(server.uri) as catalog,
        ):
            for document in documents[:-1]:
                writer(*document)
            deadline = time.monotonic() + 30
            while documents[0][1]["uid"] not in catalog or len(catalog[documents[0][1]["uid"]].table()) < 10:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            writer(*documents[-1])  # returns when the service has delivered it
            assert compare_runs(documents, catalog.__getitem__) == []
    finally:
        service.send_signal(signal.SIGTERM)
        _, errors = service.communicate(timeout=30)
    assert service.returncode == 0
    assert f"Delivering what is recorded in {journal}" in errors


def test_the_key_is_read_again_when_it_is_refused(server, journal, tmp_path):
    documents = simple_run(events=5)
    record(journal, documents, server.uri)
    file = tmp_path / "key"
    file.write_text("expired\n")
    address, _, key = server.uri.partition("?api_key=")
    service = start("--catalog", address, "--journal", journal, "--key-file", file, "--watch")
    try:
        while "answered 401" not in service.stderr.readline():
            pass
        file.write_text(key + "\n")
        deadline = time.monotonic() + 30
        while list(journal.glob("*.twj")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        service.terminate()
        _, errors = service.communicate(timeout=30)
    assert "expired" not in errors
    assert key not in errors


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--adopt"], "--adopt needs --catalog"),
        (["--catalog", "http://127.0.0.1:9", "--key-file", "/nowhere"], "cannot read the key from /nowhere"),
    ],
)
def test_what_cannot_be_is_told(cli, journal, arguments, said):
    ended = cli("deliver", "--journal", journal, *arguments)
    assert ended.status == 1
    assert said in ended.error
