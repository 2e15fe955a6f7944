"""`tilewright replay`: files of documents into a catalog."""

import json
import socket
import time

import pytest

from tilewright import open_catalog
from tilewright.journal import default_directory
from tilewright.testing.documents import run_with_files, simple_run
from tilewright.testing.expected import compare_runs


def assert_readable(catalog, documents):
    assert compare_runs(documents, catalog.__getitem__) == []


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("shape", ["list", "lines", "records"])
def test_every_shape(cli, write, catalog, address, shape, compress):
    documents = simple_run()
    path = write(documents, shape=shape, compress=compress)
    result = cli("replay", path, "--catalog", address)
    assert (result.status, result.err) == (0, "")
    assert result.out == f"{path}: 13 documents, 1 run\n"
    assert_readable(catalog, documents)


def test_several_files(cli, write, catalog, address, three_runs):
    paths = [write(three_runs[:13], "a.json"), write(three_runs[13:], "b.json.gz", compress=True)]
    result = cli("replay", *paths, "--catalog", address)
    assert result.out.splitlines() == [
        f"{paths[0]}: 13 documents, 1 run",
        f"{paths[1]}: {len(three_runs) - 13} documents, 2 runs",
    ]
    assert_readable(catalog, three_runs)


def test_a_run_over_two_files(cli, write, catalog, address):
    documents = simple_run()
    cli("replay", write(documents[:6], "a.json"), write(documents[6:], "b.json"), "--catalog", address)
    assert_readable(catalog, documents)


def test_journals(cli, write, catalog, address, three_runs):
    """The journals that one catalog's writer left are replayed into another, and once more into the same."""
    cli("replay", write(three_runs), "--catalog", address)
    journals = sorted((default_directory() / "delivered").glob("*.twj"))
    assert len(journals) == 3
    with open_catalog(catalog.create_container("other")) as other:
        elsewhere = address.replace("?", "/other?")
        journals = [journal.rename(journal.with_suffix(".kept")) for journal in journals]
        assert cli("replay", *journals, "--catalog", elsewhere).status == 0
        assert_readable(other, three_runs)


def test_a_journal_in_its_own_directory(cli, write, catalog, address, three_runs):
    cli("replay", write(three_runs), "--catalog", address)
    journals = sorted((default_directory() / "delivered").glob("*.twj"))
    result = cli("replay", *journals, "--catalog", address)
    assert (result.status, result.err) == (0, "")
    assert sum(int(line.split()[1]) for line in result.out.splitlines()) == len(three_runs)
    assert_readable(catalog, three_runs)


@pytest.mark.parametrize("keep_journals", [True, False])
def test_repeating_changes_nothing(cli, write, catalog, address, three_runs, keep_journals):
    path = write(three_runs)
    first = cli("replay", path, "--catalog", address)
    before = [(run.uid, dict(run.metadata)) for run in catalog.values()]
    if not keep_journals:
        for journal in (default_directory() / "delivered").iterdir():
            journal.unlink()
    assert cli("replay", path, "--catalog", address) == first
    assert [(run.uid, dict(run.metadata)) for run in catalog.values()] == before
    assert_readable(catalog, three_runs)


def test_a_replay_that_was_cut_short_is_completed(cli, write, catalog, address):
    documents = simple_run(events=20)
    cli("replay", write(documents[:9], "cut.json"), "--catalog", address)
    run = catalog[-1]
    assert run.stop is None
    assert run.table()["seq_num"].tolist() == list(range(1, 8))
    assert cli("replay", write(documents), "--catalog", address).status == 0
    assert_readable(catalog, documents)
    assert catalog[-1].metadata["tilewright"]["state"] == "complete"


def test_other_documents_of_the_same_run_are_refused(cli, write, catalog, address):
    documents = simple_run(events=3)
    cli("replay", write(documents), "--catalog", address)
    name, event = documents[3]
    other = [*documents[:3], (name, event | {"data": {"x0": 0.0, "x1": 0.0, "x2": 0.0}}), *documents[4:]]
    result = cli("replay", write(other, "other.json"), "--catalog", address)
    assert result.status == 1
    assert "was recorded before with other documents" in result.err
    assert_readable(catalog, documents)


def test_another_run_of_the_same_uid_is_refused(cli, write, catalog, address):
    """Without the journal of the first, the server itself says so; the others are delivered."""
    first, second, other = simple_run(uid="same"), simple_run(uid="same", scan_id=2), simple_run()
    cli("replay", write(first), "--catalog", address)
    for journal in (default_directory() / "delivered").iterdir():
        journal.unlink()
    result = cli("replay", write([*second, *other]), "--catalog", address)
    assert result.status == 1
    assert result.err.startswith("tilewright: run same: the catalog already has a run same ")
    assert result.err.count("\n") == 1
    assert_readable(catalog, [*first, *other])


def test_one_bad_file_does_not_keep_the_others_back(cli, write, tmp_path, catalog, address):
    documents = simple_run()
    bad = tmp_path / "bad.json"
    bad.write_text('{"a": 1}\n')
    result = cli("replay", bad, write(documents), "--catalog", address)
    assert result.status == 1
    assert result.err.startswith(f"tilewright: {bad}: line 1: expected one document")
    assert result.err.count("\n") == 1
    assert_readable(catalog, documents)


def test_what_stands_before_the_end_of_a_truncated_file_is_kept(cli, write, catalog, address):
    documents = simple_run(events=5)
    path = write(documents)
    path.write_bytes(path.read_bytes()[:-20])
    result = cli("replay", path, "--catalog", address)
    assert result.status == 1
    assert "the file may be cut off" in result.err
    assert_readable(catalog, documents[:-1])


def test_truncated_gzip(cli, write, catalog, address):
    path = write(simple_run(), compress=True)
    path.write_bytes(path.read_bytes()[:-30])
    result = cli("replay", path, "--catalog", address)
    assert result.status == 1
    assert "the gzip data is damaged or cut off" in result.err


def test_a_damaged_journal_is_told_and_its_rest_delivered(cli, write, tmp_path, catalog, address):
    documents = simple_run(events=5)
    cli("replay", write(documents), "--catalog", address)
    (delivered,) = (default_directory() / "delivered").glob("*.twj")
    data = bytearray(delivered.read_bytes())
    delivered.unlink()
    place = data.index(documents[4][1]["uid"].encode())  # the third event
    data[place] ^= 0xFF
    (damaged := tmp_path / "damaged.twj").write_bytes(data)
    with open_catalog(catalog.create_container("other")) as other:
        result = cli("replay", damaged, "--catalog", address.replace("?", "/other?"))
        assert result.status == 1
        assert f"{damaged}: bytes " in result.err
        assert other[-1].table()["seq_num"].tolist() == [1, 2, 4, 5]


@pytest.mark.parametrize("make", ["missing", "directory"])
def test_no_such_file(cli, tmp_path, make):
    path = tmp_path if make == "directory" else tmp_path / "missing.json"
    reason = "Is a directory" if make == "directory" else "No such file or directory"
    result = cli("replay", path, "--catalog", tmp_path / "catalog")
    assert result.status == 1
    assert result.error == f"tilewright: cannot replay {path}: {reason}; give files of documents, or journals"
    assert not (tmp_path / "catalog").exists()


def test_an_empty_file(cli, tmp_path, address):
    (path := tmp_path / "empty.json").touch()
    result = cli("replay", path, "--catalog", address)
    assert result.status == 1
    assert f"{path} is empty" in result.err


def test_the_server_is_away(cli, write, catalog, address, monkeypatch):
    """Nothing is lost: what was read waits in the journals."""
    monkeypatch.setattr("tilewright.cli.patience.AWAY_SECONDS", 0.5)
    documents = simple_run()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        began = time.monotonic()
        result = cli("replay", write(documents), "--catalog", away)
    assert result.status == 1
    assert f"Nothing is lost: 1 run in {default_directory()}" in result.error
    assert time.monotonic() - began < 10
    assert len(list(default_directory().glob("*.twj"))) == 1


def test_a_server_that_takes_nothing_is_not_waited_for_for_ever(cli, write, server, monkeypatch):
    monkeypatch.setattr("tilewright.cli.patience.STUCK_SECONDS", 0.5)
    result = cli("replay", write(simple_run()), "--catalog", f"{server.uri.partition('?')[0]}?api_key=wrong")
    assert result.status == 1
    assert "401" in result.error
    assert "Nothing is lost: 1 run in" in result.error
    assert "wrong" not in result.error


def test_a_directory_is_made_and_opened_again(cli, write, tmp_path, three_runs):
    directory = tmp_path / "new" / "catalog"
    assert cli("replay", write(three_runs), "--catalog", directory).status == 0
    with open_catalog(directory) as catalog:
        assert_readable(catalog, three_runs)
    assert "scan_id" in cli("runs", "--catalog", directory).out


def test_a_key_that_is_not_known_to_json_is_kept(cli, tmp_path, catalog, address):
    """Python's JSON has NaN and infinities."""
    documents = simple_run(events=2)
    documents[2][1]["data"]["x0"] = float("nan")
    documents[3][1]["data"]["x0"] = float("inf")
    (path := tmp_path / "documents.json").write_text(json.dumps(documents))
    cli("replay", path, "--catalog", address)
    assert_readable(catalog, documents)


def test_rules_for_paths(cli, write, catalog, address, tmp_path):
    """Replayed with rules, a run whose files the server did not find is mended."""
    documents = run_with_files(
        uri="file://localhost/mnt/det/a.h5", mimetype="application/x-hdf5", dataset="/data"
    )
    path, rules = write(documents), tmp_path / "paths.json"
    rules.write_text(json.dumps({"/mnt/det": "/data/det"}))
    for options, expected in (
        ([], "/mnt/det/a.h5"),
        (["--path-map", rules], "/data/det/a.h5"),
    ):
        assert cli("replay", path, "--catalog", address, *options).status == 0
        files = catalog[documents[0][1]["uid"]].assets().query("data_key == 'image'")
        assert files["path"].tolist() == [expected]
    rules.write_text("mnt: /data")
    ended = cli("replay", path, "--catalog", address, "--path-map", rules)
    assert ended.status != 0
    assert "expected an absolute path" in ended.error
