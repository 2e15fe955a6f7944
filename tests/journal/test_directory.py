import errno
import itertools
import os
import re
import struct
import threading
import time
from pathlib import Path

import pytest

from tilewright.errors import InputError, SetupError
from tilewright.journal import Header, JournalDirectory, JournalReader, default_directory, encode
from tilewright.journal.disk import move
from tilewright.testing.disk import FaultyDisk


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


def test_a_place_that_cannot_be_used_is_named_and_recorded_in_memory(tmp_path):
    (tmp_path / "file").write_text("")
    directory = JournalDirectory(tmp_path / "file" / "journal")
    assert re.search(r"file/journal as the journal directory: .*TILEWRIGHT_JOURNAL", directory.problem)
    assert directory.find("run", None) is None
    assert directory.waiting() == directory.entries() == directory.prune() == []
    writer = directory.create(header("run"))
    writer.append(encode("start", {"uid": "run"}))
    with writer.reader() as reader:
        assert list(reader) == [("start", {"uid": "run"})]
    (tmp_path / "file").unlink()
    assert directory.problem is None
    writer.sync()
    writer.close()
    assert directory.waiting() == [writer.path]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(directory):
    assert directory.problem is None
    directory.path.chmod(0o500)
    try:
        assert f"cannot use {directory.path} as the journal directory: Permission denied" in directory.problem
    finally:
        directory.path.chmod(0o700)


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


def test_a_journal_being_put_aside_is_not_being_recorded(directory, monkeypatch):
    """Else one who waits for its delivery is told that the rest is still to be recorded."""
    path = journal(directory, "run")
    recording = []

    def look_and_move(path, wanted):
        recording.append(directory.is_recording(path))
        return move(path, wanted)

    monkeypatch.setattr("tilewright.journal.directory.move", look_and_move)
    assert directory.archive(path)
    assert recording == [False]


def test_a_journal_with_more_in_it_than_was_delivered_is_not_put_aside(directory):
    path = journal(directory, "run")
    size = path.stat().st_size
    writer = directory.reopen(path)
    writer.append(encode("event", {}))
    writer.close()
    assert not directory.archive(path, size=size)
    assert directory.waiting() == [path]
    assert directory.archive(path, size=path.stat().st_size)


NO_JOURNALS = {
    "empty": lambda path: path.write_bytes(b""),
    "foreign": lambda path: path.write_bytes(b"PK" * 100),
    "folder": lambda path: path.mkdir(),
    "nowhere": lambda path: path.symlink_to("nowhere"),
    "newer": lambda path: path.write_bytes(b"TILEWRJ\n" + struct.pack("<H", 9) + bytes(100)),
}


@pytest.mark.parametrize("make", NO_JOURNALS.values(), ids=NO_JOURNALS)
def test_a_file_that_is_no_journal_is_passed_over(directory, make):
    in_the_way = directory.path / "run.twj"
    make(in_the_way)
    before = _contents(in_the_way)
    assert directory.find("run", None) is None
    path = journal(directory, "run")
    assert path.name == "run+2.twj"
    assert directory.find("run", None) == path
    directory.archive(path)
    assert directory.find("run", None) == directory.delivered / path.name
    assert _contents(in_the_way) == before


def _contents(path):
    """Return by what a file is told from one that was replaced or written to; not when it was read."""
    found = path.lstat()
    return *found[:7], found.st_mtime_ns, found.st_ctime_ns  # all but st_atime


def test_a_run_has_one_journal(directory):
    journal(directory, "run")
    with pytest.raises(FileExistsError):
        directory.create(header("run"))


def test_a_name_that_stands_for_another_run_too_is_shared(directory):
    """Long names are shortened, and the digits of catalogs are few: the header decides."""
    journal(directory, "one").rename(directory.path / "two.twj")
    assert directory.find("two", None) is None
    assert journal(directory, "two").name == "two+2.twj"


def test_however_many_files_are_in_the_way_a_run_is_recorded(directory):
    for number in range(1, 11):
        (directory.path / f"run{f'+{number}' * (number > 1)}.twj").write_bytes(b"")
    paths = {journal(directory, "run") for _ in range(3)}
    assert len(paths) == 3
    assert paths < set(directory.waiting())


def test_nothing_is_overwritten_when_a_journal_is_put_aside_or_taken_back(directory):
    for expected in ("run.twj", "run+2.twj", "run+3.twj"):
        path = journal(directory, "run", size=len(expected))
        assert directory.archive(path)
        assert (directory.delivered / expected).exists()
    first = (directory.delivered / "run.twj").read_bytes()
    path = journal(directory, "run", size=100)
    before = path.read_bytes()
    writer = directory.reopen(directory.delivered / "run.twj")
    writer.close()
    assert writer.path == directory.path / "run+2.twj"
    assert writer.path.read_bytes() == first
    assert path.read_bytes() == before


def test_a_journal_put_aside_at_this_moment_is_taken_back(directory):
    path = journal(directory, "run")
    directory.archive(path)
    writer = directory.reopen(path)  # as it was found a moment ago
    writer.close()
    assert directory.waiting() == [writer.path]
    writer.path.unlink()
    with pytest.raises(FileNotFoundError):
        directory.reopen(path)


def test_reopening_something_else_is_refused(directory):
    (directory.path / "run.twj").write_bytes(b"something else")
    with pytest.raises(InputError, match=r"run\.twj is not a Tilewright journal"):
        directory.reopen(directory.path / "run.twj")


def test_a_folder_that_takes_no_journal_back_lets_it_be_continued_in_memory(directory, monkeypatch):
    directory.archive(journal(directory, "run"))
    path = directory.find("run", None)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tilewright.journal.directory.move", refuse)
    writer = directory.reopen(path)
    assert writer.path == path
    writer.close()
    with pytest.raises(SetupError, match=r"is delivered and cannot be put aside to .*: Permission denied"):
        directory.archive(journal(directory, "other"))


def test_a_move_that_was_stopped_half_way_is_finished(directory):
    path = journal(directory, "run")
    target = directory.delivered / path.name
    os.link(path, target)
    assert directory.archive(path)
    assert list(directory.delivered.iterdir()) == [target]
    assert directory.waiting() == []


def test_files_that_cannot_have_two_names_are_moved_too(directory, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("tilewright.journal.disk.os.link", refuse)
    for expected in ("run.twj", "run+2.twj"):
        assert directory.archive(journal(directory, "run"))
        assert (directory.delivered / expected).exists()


def test_looking_whether_a_run_is_recorded_makes_no_trouble_for_others(directory):
    """`is_recording` takes the lock for an instant; creating and reopening wait for it, archiving shares it."""
    done = threading.Event()

    def look():
        while not done.is_set():
            for path in directory.waiting():
                try:
                    directory.is_recording(path)
                except FileNotFoundError:
                    continue

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        for number in range(50):
            path = journal(directory, f"run-{number}")
            directory.reopen(path).close()
            assert directory.archive(path)
    finally:
        done.set()
        for looker in lookers:
            looker.join()


def test_leftover_claims_go_when_their_journals_have_gone(directory):
    here, gone = journal(directory, "here"), journal(directory, "gone")
    claims = [path.with_suffix(".claim") for path in (here, gone)]
    for claim in claims:
        claim.write_text("{}")  # as a process leaves it that was killed
    held = directory.claim(journal(directory, "held"))
    (directory.path / "held.twj").unlink()
    directory.archive(gone)
    assert [claim.exists() for claim in claims] == [True, False]
    assert held.path.exists()
    held.release()


@pytest.mark.parametrize("make", NO_JOURNALS.values(), ids=NO_JOURNALS)
def test_what_is_no_journal_is_never_removed(directory, make):
    in_the_way = directory.delivered / "other.twj"
    make(in_the_way)
    directory.archive(journal(directory, "run"))
    assert directory.prune(keep_seconds=0) == [directory.delivered / "run.twj"]
    assert os.path.lexists(in_the_way)


@pytest.mark.parametrize("look", range(1, 5))
def test_several_may_prune_at_once(directory, monkeypatch, look):
    """What another process has removed by some look of ours is passed over."""
    for name in ("one", "two"):
        directory.archive(journal(directory, name))
    whole, looks = Path.stat, itertools.count(1)

    def remove_and_stat(self, **options):
        if self.name == "one.twj" and next(looks) == look:
            self.unlink()
        return whole(self, **options)

    monkeypatch.setattr("pathlib.Path.stat", remove_and_stat)
    assert directory.delivered / "two.twj" in directory.prune(keep_seconds=0)


def test_a_delivered_journal_that_is_recorded_where_it_lies_is_not_removed(directory, monkeypatch):
    path = journal(directory, "run")
    directory.archive(path)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("tilewright.journal.directory.move", refuse)
        writer = directory.reopen(directory.delivered / path.name)
    assert directory.prune(keep_seconds=0) == []
    writer.close()
    assert directory.prune(keep_seconds=0) == [directory.delivered / path.name]


def test_what_is_no_journal_makes_no_journal_go(directory):
    """However large it is: room is not made by removing it, so nothing else has to go for it."""
    (directory.delivered / "other.twj").write_bytes(bytes(2000))
    directory.archive(journal(directory, "run"))
    assert directory.prune(keep_bytes=1000) == []
    assert (directory.delivered / "run.twj").exists()


def test_a_dry_run_removes_nothing_and_returns_what_would_be_removed(directory):
    directory.archive(journal(directory, "run"))
    claim = directory.path / "gone.claim"
    claim.write_text("{}")
    assert directory.prune(keep_seconds=0, dry_run=True) == [directory.delivered / "run.twj"]
    assert claim.exists()
    assert directory.prune(keep_seconds=0) == [directory.delivered / "run.twj"]
    assert not claim.exists()


def test_what_cannot_be_removed_is_kept(directory, monkeypatch):
    directory.archive(journal(directory, "run"))

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", refuse)
        assert directory.prune(keep_seconds=0) == []
    assert len(directory.prune(keep_seconds=0)) == 1


@pytest.fixture
def full(tmp_path):
    """Return a directory on a disk that is full."""
    disk = FaultyDisk()
    disk.room = 200
    return JournalDirectory(tmp_path / "journal", disk=disk.disk)


def in_memory(directory, uid, count):
    writer = directory.create(header(uid))
    for number in range(count):
        writer.append(encode("event", {"number": number}))
    return writer


def test_what_was_delivered_out_of_the_memory_is_forgotten(full):
    """The writer waits for the disk; nothing is left for it to do."""
    writer = in_memory(full, "run", 100)
    tail = writer.tail
    assert not full.archive(writer.path, tail=tail)  # it is being recorded
    assert full.budget.used > 0
    writer.close()
    assert not full.archive(writer.path)
    assert not writer.closed
    assert full.archive(writer.path, tail=tail)
    assert writer.closed
    assert full.budget.used == 0
    assert full.find("run", None) == full.delivered / "run.twj"


def test_what_was_only_in_memory_needs_no_file(full):
    full.disk.write.__self__.refuses = errno.EROFS
    writer, other = in_memory(full, "run", 100), in_memory(full, "other", 10)
    used = other.tail.size
    writer.close()
    assert full.archive(writer.path, tail=writer.tail)
    assert writer.closed
    assert full.budget.used == used
    with other.reader() as reader:
        assert reader.skip() == 10
    other.discard()
