"""`tilewright deliver` as a user runs it: once, as a service, beside another one."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from rich.progress import Progress

from tilewright import TiledWriter, open_catalog, serve
from tilewright.cli import deliver, patience
from tilewright.journal import Header, JournalDirectory
from tilewright.testing.documents import run_of, run_with_files, simple_run
from tilewright.testing.expected import compare_runs


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "journal"


def record(journal, documents, catalog="http://127.0.0.1:9/api/v1", **options):
    """Leave documents in a journal that nobody delivers."""
    writer = TiledWriter(
        catalog, journal=journal, deliver="elsewhere", on_stop="return", strict=True, **options
    )
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
    monkeypatch.setattr(patience, "AWAY_SECONDS", 0.5)
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


def test_what_is_not_delivered_is_told(cli, server, journal):
    record(journal, simple_run(), server.uri)
    (newer,) = journal.glob("*.twj")
    data = newer.read_bytes()
    (journal / "newer.twj").write_bytes(data[:8] + b"\xff\xff" + data[10:])
    (journal / "foreign.twj").write_text("hello")
    record(journal, simple_run(), "http://elsewhere/api/v1")
    ended = cli("deliver", "--catalog", server.uri, "--journal", journal)
    assert (ended.status, ended.out) == (1, f"1 run delivered from {journal}\n")
    others, foreign, problem = sorted(ended.err.splitlines())
    assert others == "1 journal for other catalogs left: http://elsewhere/api/v1"
    assert foreign.startswith(f"passed over: {journal}/foreign.twj is not a Tilewright journal")
    assert problem.startswith(f"tilewright: {journal}/newer.twj is a journal of version ")
    (journal / "newer.twj").unlink()
    assert cli("deliver", "--catalog", server.uri, "--journal", journal).status == 0


def test_a_damaged_journal_is_told(cli, server, journal):
    documents = simple_run(events=50)
    record(journal, documents, server.uri)
    (path,) = journal.glob("*.twj")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    ended = cli("deliver", "--catalog", server.uri, "--journal", journal)
    assert (ended.status, ended.out) == (0, f"1 run delivered from {journal}\n")
    assert ended.err.splitlines() == [
        f"not all in {journal}/unverified/{path.name} could be read and understood: the notes of the run say what"
    ]


def test_journals_that_name_no_catalog(cli, journal):
    writer = JournalDirectory(journal).create(Header("abc", None, 0.0, "test"))
    writer.close()
    ended = cli("deliver", "--journal", journal)
    assert ended.status == 1
    assert ended.error == "tilewright: 1 journal without a catalog: say with --catalog where to"


def test_nothing_is_made_where_there_is_nothing(cli, tmp_path):
    assert cli("deliver", "--journal", tmp_path / "typo").out == f"No journals in {tmp_path}/typo.\n"
    assert cli("deliver", "--catalog", tmp_path / "typo").out == f"No journals in {tmp_path}/typo/journal.\n"
    assert list(tmp_path.iterdir()) == []


def test_a_catalog_that_is_gone_is_not_made_anew(cli, tmp_path, journal):
    with serve(tmp_path / "data", announce=False) as server:
        record(journal, simple_run(), server)
    shutil.rmtree(tmp_path / "data")
    ended = cli("deliver", "--journal", journal)
    assert ended.status == 1
    assert f"nothing is delivered to {tmp_path}/data: there is no catalog in {tmp_path}/data" in ended.error
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("watch", [[], ["--watch"]])
def test_a_catalog_that_cannot_be_opened_keeps_no_other_waiting(
    server, journal, tmp_path, monkeypatch, watch
):
    documents = simple_run(events=5)
    monkeypatch.setenv("TILED_API_KEY", server.api_key)
    with serve(tmp_path / "data", announce=False) as busy:
        record(journal, simple_run(), busy)
        (other,) = journal.glob("*.twj")
        record(journal, documents, server.uri)
        process = start("--journal", journal, *watch)
        try:
            deadline = time.monotonic() + 30
            while list(journal.glob("*.twj")) != [other]:
                assert time.monotonic() < deadline
                assert not watch or process.poll() is None
                time.sleep(0.05)
        finally:
            if watch:
                process.terminate()
            _, errors = process.communicate(timeout=30)
    assert process.returncode == (0 if watch else 1)
    assert errors.count("is serving it already") == 1
    with open_catalog(server.uri) as catalog:
        assert compare_runs(documents, catalog.__getitem__) == []


def test_what_others_record_and_deliver_is_not_counted(cli, server, journal):
    directory = JournalDirectory(journal)
    writer = directory.create(Header("abc", None, 0.0, "test"))
    claim = directory.claim(writer.path)
    ended = cli("deliver", "--catalog", server.uri, "--journal", journal)
    claim.release()
    writer.close()
    assert (ended.status, ended.out) == (0, f"0 runs delivered from {journal}\n")


def test_no_password_is_shown(cli, journal, monkeypatch):
    monkeypatch.setattr(patience, "AWAY_SECONDS", 0.1)
    record(journal, simple_run())
    shown = []
    add_task = Progress.add_task
    monkeypatch.setattr(
        Progress, "add_task", lambda *args, **more: shown.append(args[1]) or add_task(*args, **more)
    )
    assert (
        "nothing is lost"
        in cli("deliver", "--catalog", "http://user:secret@127.0.0.1:9", "--journal", journal).err
    )
    assert shown == ["to http://127.0.0.1:9/api/v1"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"two\nlines"])
def test_a_file_without_a_key(cli, journal, tmp_path, content):
    file = tmp_path / "key"
    file.write_bytes(content)
    journal.mkdir()
    ended = cli("deliver", "--catalog", "http://127.0.0.1:9", "--journal", journal, "--key-file", file)
    assert ended.error == f"tilewright: {file} holds no key: expected one line of letters and digits"


def test_a_key_is_used_again_only_if_it_is_another(tmp_path):
    file = tmp_path / "key"
    file.write_text("one\n")
    key_file = deliver._KeyFile(file)
    assert not key_file.has_changed()
    file.write_text("")
    assert not key_file.has_changed()
    file.write_text("two")
    assert (key_file.has_changed(), key_file.key, key_file.has_changed()) == (True, "two", False)


def images(uid, folder="/mnt/det"):
    return run_with_files(
        uid=uid, uri=f"file://localhost{folder}/a.h5", mimetype="application/x-hdf5", dataset="/data"
    )


def image_uri(catalog, uid):
    (uri,) = catalog[uid].assets().query("data_key == 'image'")["uri"]
    return uri


def test_rules_for_paths_take_the_place_of_the_writers(cli, server, journal, tmp_path, monkeypatch):
    rules = tmp_path / "paths.yml"
    rules.write_text("/mnt/det: /data/det\n")
    with open_catalog(server.uri) as catalog:
        for uid, options, expected in (
            ("by-header", [], "file://localhost/header/det/a.h5"),
            ("by-option", ["--path-map", rules], "file://localhost/data/det/a.h5"),
            ("by-variable", [], "file://localhost/data/det/a.h5"),
        ):
            if uid == "by-variable":
                monkeypatch.setenv("TILEWRIGHT_PATH_MAP", str(rules))
            record(journal, images(uid), server.uri, path_map={"/mnt": "/header"})
            assert cli("deliver", "--catalog", server.uri, "--journal", journal, *options).status == 0
            assert image_uri(catalog, uid) == expected


def test_rules_that_cannot_be_meant(cli, server, journal, tmp_path):
    rules = tmp_path / "paths.yml"
    record(journal, images("refused"), server.uri)
    for content, reason in (("mnt: /data", "expected an absolute path"), ("[1, 2", "neither YAML nor JSON")):
        rules.write_text(content)
        ended = cli("deliver", "--catalog", server.uri, "--journal", journal, "--path-map", rules)
        assert ended.status != 0
        assert reason in ended.error
        assert "paths.yml" in ended.error
    assert len(JournalDirectory(journal).waiting()) == 1
