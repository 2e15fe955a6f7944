"""`tilewright journal`: what waits, what is in it, whether it is whole, and what may go."""

import json
import os
import re
import time

import pytest

from tilewright import open_catalog
from tilewright.cli import journals
from tilewright.delivery import target
from tilewright.journal import Header, JournalDirectory, encode
from tilewright.testing.documents import run_of, simple_run
from tilewright.testing.expected import compare_runs

DAY = 86400


@pytest.fixture
def directory(tmp_path):
    return JournalDirectory(tmp_path / "journals")


@pytest.fixture
def record(directory):
    """Return a function that writes the journal of a run; return its path."""

    def write(documents, catalog=None, *, age=0.0, delivered=False):
        writer = directory.create(Header(documents[0][1]["uid"], catalog, time.time() - age, "test"))
        for document in documents:
            writer.append(encode(*document))
        writer.close()
        if not delivered:
            return writer.path
        directory.archive(writer.path)
        path = directory.delivered / writer.path.name
        os.utime(path, (time.time() - age, time.time() - age))
        return path

    return write


@pytest.fixture
def journal(cli, directory):
    """Call `tilewright journal` on the directory."""
    return lambda command, *arguments: cli("journal", command, *arguments, "--journal", directory.path)


def damage(path):
    """Flip a byte in the middle; return where the record that it is in begins and ends at most."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return len(data) // 2


# ls


def test_ls(journal, record, directory):
    record(simple_run(uid="first"), "http://x/api/v1", age=2 * DAY)
    record(simple_run(uid="second", events=2000), delivered=True)
    (directory.path / "foreign.twj").write_text("hello")
    result = journal("ls")
    assert (result.status, result.err) == (0, "")
    header, *lines = result.out.splitlines()
    assert re.split(r"  +", header) == ["run", "state", "documents", "size", "age", "catalog", "delivered by"]
    rows = {line.split()[0]: re.split(r"  +", line)[1:] for line in lines if not line.startswith(" ")}
    assert rows["first"][:2] == ["waiting", "13"]
    assert rows["first"][3:] == ["2 d", "http://x/api/v1", "-"]
    assert rows["second"][:2] == ["delivered", "2,003"]
    assert f"  {directory.path}/foreign.twj is not a Tilewright journal" in result.out
    assert re.match(r"1 waiting, 1 unreadable, 1 delivered: 2,016 documents, \d+\.\d KiB in /", lines[-1])


def test_ls_of_nothing(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("TILEWRIGHT_JOURNAL", str(tmp_path / "nowhere"))
    assert cli("journal", "ls").out == f"No journals in {tmp_path}/nowhere.\n"
    assert list(tmp_path.iterdir()) == []


def test_the_journals_of_a_catalogs_directory(cli, tmp_path):
    place = JournalDirectory(tmp_path / "data" / "journal")
    place.create(Header("abc", str(tmp_path / "data"), 0.0, "test")).close()
    assert "\nabc  waiting " in cli("journal", "ls", "--catalog", tmp_path / "data").out
    assert cli("journal", "ls", "--catalog", "http://x/api/v1").out.startswith("No journals in ")


# cat


def test_cat(journal, record):
    record(run_of({"x": [1.5, None], "label": ["ü", "b"]}, uid="abcdef"))
    result = journal("cat", "abc")
    assert (result.status, result.err) == (0, "")
    lines = [line.split(maxsplit=2) for line in result.out.splitlines()]
    assert [line[:2] for line in lines] == [
        ["1", "start"], ["2", "descriptor"], ["3", "event"], ["4", "event"], ["5", "stop"],
    ]  # fmt: skip
    assert lines[2][2].startswith('time 2023-11-14 22:13:21.000  seq_num 1  data {"x": 1.5, "label": "ü"}  ')
    assert '"x": null' in lines[3][2]


def test_cat_as_json_is_what_replay_takes(cli, journal, record, tmp_path, address, catalog):
    documents = run_of(
        {
            "x": [1, None, 2**62],
            "y": [float("nan"), float("inf"), None],
            "s": ["\udc80", "ü", None],
            "l": [[1.0], [2.0], [3.0]],
        }
    )
    record(documents)
    result = journal("cat", documents[0][1]["uid"], "--json")
    assert (result.status, result.err) == (0, "")
    assert len(result.out.splitlines()) == len(documents)
    file = tmp_path / "documents.json"
    file.write_text(result.out)
    assert cli("replay", file, "--catalog", address).status == 0
    assert compare_runs(documents, catalog.__getitem__) == []


def test_cat_says_what_json_cannot_hold(journal, record):
    documents = simple_run(events=1, uid="abc")
    documents[0][1].update(raw=b"abc", chosen={2, 1}, fine=2**70)
    documents[3:3] = [("tilewright:note", {"text": "something was renamed"}), ("fly", {})]
    record(documents)
    result = journal("cat", "abc", "--json")
    assert result.status == 0
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [name for name, _ in lines] == ["start", "descriptor", "event", "stop"]
    assert lines[0][1]["fine"] == 2**70
    note, converted, left_out = result.err.splitlines()
    assert note == "tilewright: note: something was renamed"
    assert converted.startswith(
        "tilewright: 2 values that JSON cannot hold; the first: start: raw: bytes are"
    )
    assert left_out == "tilewright: 1 record left out that hold no document known here"


def test_cat_of_a_damaged_journal(journal, record):
    path = record(simple_run(events=10))
    at = damage(path)
    for arguments in ([], ["--json"]):
        result = journal("cat", path, *arguments)
        assert result.status == 1
        assert len(result.out.splitlines()) == 12  # but for the damaged one
        start, stop = map(int, re.search(r"bytes (\d+) to (\d+): ", result.err).groups())
        assert start < at < stop
        assert result.err.count("\n") == 1
    size = path.stat().st_size
    os.truncate(path, size - 1)
    result = journal("cat", path)
    assert (result.status, len(result.out.splitlines())) == (1, 11)
    assert re.search(rf"bytes \d+ to {size - 1}: ", result.err.splitlines()[1])


def test_cat_of_none_and_of_several(journal, record):
    record(simple_run(uid="abc1"))
    record(simple_run(uid="abc2"))
    assert journal("cat", "x").error.startswith("tilewright: no journal of a run 'x' in ")
    assert journal("cat", "abc").error.startswith("tilewright: several runs begin with 'abc': ")
    assert journal("cat", "abc2").status == 0


def test_cat_of_one_being_recorded(journal, directory):
    """Its last record is on its way to the file: that is no damage."""
    writer = directory.create(Header("abc", None, 0.0, "test"))
    for document in simple_run(uid="abc", events=5):
        writer.append(encode(*document))
    os.truncate(writer.path, writer.path.stat().st_size - 1)
    result = journal("cat", "abc")
    writer.close()
    assert (result.status, result.err, len(result.out.splitlines())) == (0, "", 7)


# verify


def test_verify_without_a_server(journal, record, directory):
    assert journal("verify").out == f"No journals in {directory.path}.\n"
    path = record(simple_run())
    interrupted = record(simple_run()[:-1])
    result = journal("verify")
    assert (result.status, result.err) == (0, "")
    assert set(result.out.splitlines()) == {
        f"{path}: sound: 13 documents (primary 10 rows)",
        f"{interrupted}: sound: 12 documents (primary 10 rows), no stop document",
    }
    at = damage(path)
    result = journal("verify")
    assert result.status == 1
    start, stop = map(int, re.search(r"^  bytes (\d+) to (\d+): ", result.out, re.MULTILINE).groups())
    assert start < at < stop
    assert journal("verify", interrupted).status == 0


def test_verify_against_the_catalog(journal, record, address, cli):
    documents = simple_run(events=5)
    uid = documents[0][1]["uid"]
    path = record(documents, target(address).name)
    other = record(simple_run(), "http://elsewhere/api/v1")
    result = journal("verify", "--catalog", address)
    assert result.status == 1
    assert f"  run {uid}: {uid} is not in the catalog" in result.out.splitlines()
    assert cli("replay", path, "--catalog", address).status == 0
    result = journal("verify", "--catalog", address)
    assert (result.status, result.err) == (0, "")
    assert f"  run {uid}: as in the journal (rows: primary 5)" in result.out.splitlines()
    result = journal("verify", other, "--catalog", address)
    assert (result.status, "nothing was compared" in result.out) == (0, True)


def test_verify_repairs(journal, record, address, cli, catalog):
    documents = simple_run(events=5)
    uid = documents[0][1]["uid"]
    path = record(documents)  # for any catalog
    assert cli("replay", path, "--catalog", address).status == 0
    with open_catalog(address) as runs:
        runs[uid]["primary"].base.delete_contents(["internal"], external_only=False)
    assert journal("verify", uid, "--catalog", address).status == 1
    assert journal("verify", uid, "--catalog", address, "--repair").status == 0
    assert compare_runs(documents, catalog.__getitem__) == []
    assert journal("verify", uid, "--repair").error.startswith("tilewright: --repair needs --catalog")


def test_what_cannot_be_read_keeps_nothing_from_being_verified(journal, record, directory):
    (directory.path / "a.twj").symlink_to("nowhere")
    path = record(simple_run())
    result = journal("verify")
    assert (result.status, result.err) == (1, "")
    assert set(result.out.splitlines()) == {
        f"{directory.path}/a.twj: not checked: No such file or directory",
        f"{path}: sound: 13 documents (primary 10 rows)",
    }


def test_journals_are_verified_though_the_server_is_away(journal, record):
    paths = [record(simple_run()), record(simple_run())]
    result = journal("verify", "--catalog", "http://127.0.0.1:9")
    assert result.status == 1
    verified = [line.partition(": ")[0] for line in result.out.splitlines()]
    assert sorted(verified) == sorted(map(str, paths))  # they may be of the same instant
    assert "cannot reach http://127.0.0.1:9/api/v1" in result.err
    assert result.err.count("\n") == 1


def test_verify_makes_no_catalog(cli, journal, record, tmp_path):
    record(simple_run())
    result = journal("verify", "--catalog", tmp_path / "typo")
    assert (result.status, result.err) == (1, f"tilewright: there is no catalog in {tmp_path}/typo\n")
    assert not (tmp_path / "typo").exists()


def test_the_catalog_of_the_environment(cli, tmp_path, monkeypatch):
    place = JournalDirectory(tmp_path / "data" / "journal")
    place.create(Header("abc", None, 0.0, "test")).close()
    monkeypatch.setenv("TILEWRIGHT_CATALOG", str(tmp_path / "data"))
    assert "\nabc  waiting " in cli("journal", "ls").out
    monkeypatch.setenv("TILEWRIGHT_CATALOG", str(tmp_path / "other"))
    assert cli("journal", "ls").out == f"No journals in {tmp_path}/other/journal.\n"


def test_journals_of_another_user(journal, record, monkeypatch):
    """That they cannot be read is not that there are none."""
    record(simple_run())

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    for command in ("ls", "verify", "prune"):
        result = journal(command)
        assert result.status == 1
        assert result.error.startswith("tilewright: cannot read the journals in ")


def test_verify_one_being_recorded(journal, directory, address):
    documents = simple_run()
    writer = directory.create(Header(documents[0][1]["uid"], None, 0.0, "test"))
    for document in documents[:4]:
        writer.append(encode(*document))
    result = journal("verify", "--catalog", address)
    writer.close()
    assert result.status == 0
    assert f"{writer.path}: sound: 4 documents (primary 2 rows), being recorded" in result.out.splitlines()
    assert "  not compared with the catalog: it is being recorded" in result.out.splitlines()


# prune


def test_prune(journal, record):
    waiting = record(simple_run(), age=100 * DAY)
    new = record(simple_run(), age=6 * DAY, delivered=True)
    old = record(simple_run(), age=8 * DAY, delivered=True)  # last: to put one aside removes what is too old
    for arguments in (["--dry-run"], []):
        assert old.exists()
        result = journal("prune", *arguments)
        assert (result.status, result.err) == (0, "")
        assert result.out.splitlines()[0].startswith(f"{old.name}  ")
        did = "would be removed" if arguments else "removed"
        assert re.fullmatch(
            rf"1 journal {did} \(.* KiB\), 1 delivered journal kept\.", result.out.splitlines()[1]
        )
    assert [path.exists() for path in (waiting, old, new)] == [True, False, True]


def test_prune_keeps_so_many_bytes(journal, record):
    paths = [record(simple_run(), age=3600 * age, delivered=True) for age in (3, 2, 1)]
    journal("prune", "--keep", f"{2 * paths[0].stat().st_size + 10}B")
    assert [path.exists() for path in paths] == [False, True, True]
    journal("prune", "--older-than", "90min")
    assert [path.exists() for path in paths] == [False, False, True]
    journal("prune", "--keep", "0")
    assert [path.exists() for path in paths] == [False, False, False]


def test_a_dry_run_says_what_is_removed(journal, record, directory):
    """Whatever the ages and sizes are, and not what is no journal."""
    (directory.delivered / "other.twj").write_bytes(bytes(1 << 20))
    os.utime(directory.delivered / "other.twj", (0, 0))
    for age in range(1, 9):
        record(simple_run(events=age * 10), age=age * DAY, delivered=True)
    for limits in (["--older-than", "8d"], ["--keep", "20KiB"], ["--older-than", "3.5d", "--keep", "15 KiB"]):
        would = [line.split()[0] for line in journal("prune", *limits, "--dry-run").out.splitlines()[:-1]]
        did = [line.split()[0] for line in journal("prune", *limits).out.splitlines()[:-1]]
        assert would == did != []


def test_prune_where_there_is_nothing(cli, tmp_path):
    result = cli("journal", "prune", "--journal", tmp_path / "nowhere")
    assert result.out == "0 journals removed (0 bytes), 0 delivered journals kept.\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--older-than", "7x", "'7x' is not a time such as 7d, 12h, 30min or 90s"),
        ("--older-than", "7", "'7' is not a time"),
        ("--older-than", "-1d", "'-1d' is not a time"),
        ("--keep", "1 GiBi", "'1 GiBi' is not a size such as 1GiB, 500MB or 0"),
        ("--keep", "much", "'much' is not a size"),
    ],
)
def test_limits_that_are_none(journal, option, value, expected):
    result = journal("prune", f"{option}={value}")
    assert result.status == 2
    assert f"Invalid value for '{option}': {expected}" in " ".join(result.err.split())


@pytest.mark.parametrize(
    ("text", "expected"), [("0s", 0), ("90 S", 90), ("2w", 14 * DAY), ("0.5D", DAY / 2), ("3min", 180)]
)
def test_times(text, expected):
    assert journals.seconds(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("10", 10), ("1kb", 1000), ("1KiB", 1024), ("2 TiB", 2 << 40), ("1.5MB", 1_500_000)],
)
def test_sizes(text, expected):
    assert journals.size(text) == expected


# The group


@pytest.mark.parametrize("command", ["ls", "cat", "verify", "prune"])
def test_every_command_has_help(cli, command):
    assert f"\n  {command} " in cli("journal", "--help").out
    result = cli("journal", command, "-h")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(f"Usage: tilewright journal {command} ")
