import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from tilewright.journal import Claimant, Header, JournalDirectory, claims

CLAIM = """
import sys, time
from pathlib import Path
from tilewright.journal import JournalDirectory
path = Path(sys.argv[1])
claim = JournalDirectory(path.parent).claim(path)
print("claimed" if claim else "refused", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def directory(tmp_path):
    return JournalDirectory(tmp_path)


@pytest.fixture
def journal(directory):
    writer = directory.create(Header("run", None, 0.0, "test"))
    writer.close()
    return writer.path


@pytest.fixture
def other(journal):
    """Return a process that claims the journal, or tries to, with a key among its arguments."""
    command = [sys.executable, "-c", CLAIM, str(journal), "--catalog=http://host?api_key=fa3b-secret"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_a_journal_has_one_deliverer(directory, journal):
    claim = directory.claim(journal)
    assert claim is not None
    assert directory.claim(journal) is None
    claim.release()
    again = directory.claim(journal)
    assert again is not None
    again.release()
    assert sorted(entry.name for entry in directory.path.iterdir()) == [
        "delivered",
        journal.name,
        "unverified",
    ]


def test_the_deliverer_is_known(directory, journal):
    assert directory.claimant(journal) is None
    before = time.time()
    claim = directory.claim(journal)
    claimant = directory.claimant(journal)
    assert (claimant.pid, claimant.host) == (os.getpid(), socket.gethostname())
    assert before <= claimant.since <= time.time()
    assert str(claimant).startswith(f"process {os.getpid()} on {socket.gethostname()} (")
    assert str(claimant).endswith(" UTC")
    claim.release()
    assert directory.claimant(journal) is None


def test_a_claim_of_another_process_ends_with_it(directory, journal, other):
    assert other.stdout.readline() == "claimed\n"
    assert directory.claim(journal) is None
    assert directory.claimant(journal).pid == other.pid
    other.kill()
    other.wait()
    assert directory.claimant(journal) is None
    claim = directory.claim(journal)
    assert directory.claimant(journal).pid == os.getpid()
    claim.release()


def test_a_claim_holds_no_key(directory, journal, other):
    assert other.stdout.readline() == "claimed\n"
    text = journal.with_suffix(".claim").read_text()
    assert "secret" not in text
    assert json.loads(text)["command"] == "-c"


def test_a_claim_stands_without_its_text(directory, journal, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tilewright.journal.claims.os.pwrite", refuse)
    claim = directory.claim(journal)
    assert directory.claim(journal) is None
    assert directory.claimant(journal) == Claimant()
    assert str(directory.claimant(journal)) == "another process"
    claim.release()


@pytest.mark.parametrize("text", ["", "4711\n", "[]", '{"pid": 4711', '{"unknown": 1}', '"text"'])
def test_a_claim_with_another_text_is_a_claim(directory, journal, text):
    claim = directory.claim(journal)
    claim.path.write_text(text)
    assert directory.claimant(journal) == Claimant()
    claim.release()


class TestReadOnly:
    """A folder that takes no new files."""

    @pytest.fixture
    def left(self, journal):
        """Return a journal with a claim beside it whose process is gone."""
        with journal.with_suffix(".claim").open("w"):
            return journal

    @pytest.fixture(autouse=True)
    def _read_only(self, directory, monkeypatch):
        whole = os.open

        def only_reading(path, flags, *mode, **kwargs):
            if str(path).startswith(str(directory.path)) and flags & (os.O_CREAT | os.O_RDWR | os.O_WRONLY):
                raise OSError(30, "Read-only file system")
            return whole(path, flags, *mode, **kwargs)

        monkeypatch.setattr("tilewright.journal.claims.os.open", only_reading)

    def test_a_claim_that_is_there_can_be_taken(self, directory, left):
        claim = directory.claim(left)
        assert claim is not None
        assert directory.claim(left) is None
        assert directory.claimant(left) == Claimant()
        claim.release()

    def test_without_one_nobody_can(self, directory, journal):
        assert directory.claim(journal) is None
        assert directory.claimant(journal) is None


def test_a_claim_that_may_not_be_looked_at_is_somebodys(directory, journal, monkeypatch):
    claim = directory.claim(journal)
    whole = os.open

    def refuse(path, *args, **kwargs):
        if str(path).endswith(".claim"):
            raise PermissionError(13, "Permission denied")
        return whole(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr("tilewright.journal.claims.os.open", refuse)
        assert directory.claim(journal) is None
        assert directory.claimant(journal) == Claimant()
        assert [entry.claimant for entry in directory.entries()] == [Claimant()]
    claim.release()


def test_without_locks_no_file_stays_open(directory, journal, monkeypatch, open_files):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("tilewright.journal.disk.fcntl.flock", refuse)
    before = open_files()
    with pytest.raises(OSError, match="locks"):
        directory.claim(journal)
    assert open_files() == before


def test_releasing_where_nothing_can_be_removed(directory, journal, monkeypatch):
    claim = directory.claim(journal)

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", refuse)
        claim.release()
    assert claim.path.exists()
    assert directory.claimant(journal) is None
    again = directory.claim(journal)
    assert again is not None
    again.release()


def test_a_claim_given_back_while_it_is_asked_for_is_made_anew(directory, journal, monkeypatch):
    """The file that was opened is not the one that has the name by the time it is locked."""
    first = directory.claim(journal)
    lock = claims.try_lock

    def release_and_lock(fd, kind, seconds):
        monkeypatch.setattr(claims, "try_lock", lock)
        first.release()
        return lock(fd, kind, seconds)

    monkeypatch.setattr(claims, "try_lock", release_and_lock)
    second = directory.claim(journal)
    assert directory.claim(journal) is None
    assert directory.claimant(journal).pid == os.getpid()
    second.release()


def test_many_at_once_hold_it_one_at_a_time(directory, journal):
    """Also while it is removed and made anew, and while others look who has it."""
    holders, most, turns = 0, 0, [0] * 4
    count = threading.Lock()
    end = time.monotonic() + 0.5

    def deliver(number):
        nonlocal holders, most
        while time.monotonic() < end:
            directory.claimant(journal)
            claim = directory.claim(journal)
            if claim is None:
                continue
            with count:
                holders += 1
                most = max(most, holders)
            turns[number] += 1
            with count:
                holders -= 1
            claim.release()

    threads = [threading.Thread(target=deliver, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert sum(turns) > 10
