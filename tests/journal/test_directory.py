import os
import time

import pytest

from tilewright.errors import SetupError
from tilewright.journal import Header, JournalDirectory, JournalReader, default_directory, encode


def header(uid, catalog=None):
    return Header(uid, catalog, 0.0, "test")


@pytest.fixture
def directory(tmp_path):
    return JournalDirectory(tmp_path / "a" / "journal")


def journal(directory, uid, age=0.0, size=10):
    writer = directory.create(header(uid))
    writer.append(encode("start", {"uid": uid, "filler": "x" * size}))
    writer.close()
    os.utime(writer.path, (time.time() - age,) * 2)
    return writer.path


def test_default_is_the_environment_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("TILEWRIGHT_JOURNAL", str(tmp_path))
    assert default_directory() == tmp_path
    monkeypatch.delenv("TILEWRIGHT_JOURNAL")
    assert default_directory().name == "journal"


def test_is_private(directory):
    assert directory.path.stat().st_mode & 0o777 == 0o700


def test_a_place_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=r"file.*TILEWRIGHT_JOURNAL"):
        JournalDirectory(tmp_path / "file" / "journal")


@pytest.mark.parametrize(
    "uid", ["", ".", "..", "../../etc/passwd", "a/b", "ü" * 300, "x" * 300, "\ud800", "A\x00B"]
)
def test_any_uid_has_a_file_inside_the_folder(directory, uid):
    path = journal(directory, uid) if uid != "\ud800" else directory.create(header("surrogate")).path
    assert path.parent == directory.path
    assert directory.path.joinpath(path.name).exists()


def test_waiting_journals_come_oldest_first(directory):
    young, old = journal(directory, "young"), journal(directory, "old", age=100)
    assert directory.waiting() == [old, young]
    directory.archive(old)
    assert directory.waiting() == [young]
    assert directory.find("old", None) == directory.delivered / old.name
    assert directory.find("young", None) == young
    assert directory.find("never", None) is None


def test_a_delivered_journal_that_is_reopened_waits_again(directory):
    directory.archive(journal(directory, "run"))
    writer = directory.reopen(directory.find("run", None))
    assert directory.waiting() == [writer.path]
    writer.close()


def test_delivered_journals_are_kept_for_a_time_and_up_to_a_size(directory):
    for uid, age in (("a", 300), ("b", 200), ("c", 100)):
        path = journal(directory, uid, size=1000)
        assert directory.archive(path)
        os.utime(directory.delivered / path.name, (time.time() - age,) * 2)
    kept = lambda: sorted(path.stem for path in directory.delivered.iterdir())  # noqa: E731
    assert kept() == ["a", "b", "c"]
    assert [path.stem for path in directory.prune(keep_seconds=250)] == ["a"]
    assert [path.stem for path in directory.prune(keep_bytes=1500)] == ["b"]
    assert kept() == ["c"]


def test_a_journal_has_one_deliverer(directory):
    path = journal(directory, "run")
    claim = directory.claim(path)
    assert claim is not None
    assert directory.claim(path) is None
    claim.release()
    again = directory.claim(path)
    assert again is not None
    again.release()
    assert sorted(entry.name for entry in directory.path.iterdir()) == ["delivered", path.name, "unverified"]


def test_tells_whether_a_journal_is_being_written(directory):
    writer = directory.create(header("run"))
    assert directory.is_recording(writer.path)
    with JournalReader(writer.path):
        assert directory.is_recording(writer.path)
    writer.close()
    assert not directory.is_recording(writer.path)


def test_one_run_may_be_on_its_way_to_two_catalogs(directory):
    paths = [directory.create(header("run", catalog)) for catalog in ("http://one", "http://two", None)]
    assert len({writer.path for writer in paths}) == 3
    for writer, catalog in zip(paths, ("http://one", "http://two", None), strict=True):
        writer.close()
        assert directory.find("run", catalog) == writer.path


def test_a_journal_that_was_not_all_understood_is_kept_apart(directory):
    path = journal(directory, "run", age=1e9)
    assert directory.archive(path, verified=False)
    assert directory.find("run", None) == directory.unverified / path.name
    assert directory.prune(keep_seconds=0) == []


def test_a_journal_being_recorded_is_not_put_aside(directory):
    writer = directory.create(header("run"))
    assert not directory.archive(writer.path)
    writer.close()
    assert directory.archive(writer.path)
    assert directory.waiting() == []
