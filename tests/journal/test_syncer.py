import time

import pytest

from tilewright.journal import JournalWriter, syncer
from tilewright.journal.syncer import Syncer
from tilewright.testing.disk import FaultyDisk


@pytest.fixture
def sync(monkeypatch):
    monkeypatch.setattr(syncer, "SYNC_INTERVAL", 0.01)
    syncer_ = Syncer()
    yield syncer_
    syncer_.close()


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_is_appended_comes_to_the_disk(sync, path, header, fill):
    disk = FaultyDisk()
    writer = JournalWriter(path, header, disk=disk.disk)
    sync.add(writer)
    for number in range(3):
        ends = fill(writer, [number])
        wait_until(lambda end=ends[-1]: disk.synced(path) >= end)
    writer.close()


def test_one_journal_that_fails_holds_up_no_other(sync, path, header, fill, caplog):
    bad, disk = JournalWriter(path.with_name("bad.twj"), header), FaultyDisk()
    good = JournalWriter(path, header, disk=disk.disk)

    def fail():
        raise MemoryError

    whole, bad.sync = bad.sync, fail
    for writer in (bad, good):
        sync.add(writer)
    for number in range(3):
        ends = fill(good, [number])
        wait_until(lambda end=ends[-1]: disk.synced(path) >= end)
    assert "bad.twj was not put on the disk" in caplog.text
    bad.sync = whole
    for writer in (bad, good):
        writer.close()


def test_what_only_the_memory_has_at_the_end_is_told(sync, path, header, fill, read, caplog):
    disk = FaultyDisk()
    writer = JournalWriter(path, header, disk=disk.disk)
    sync.add(writer)
    fill(writer, [0])
    disk.room = 0
    fill(writer, [1])
    writer.close()
    assert not writer.closed
    sync.close()
    assert writer.closed
    assert "what was only in memory is lost unless it was delivered" in caplog.text
    assert read() == ([0], [])
