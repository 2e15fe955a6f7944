import errno
import os
import random
import shutil
import sys
import threading
import time

import pytest

from tilewright.errors import InputError, SetupError
from tilewright.journal import Budget, JournalDirectory, JournalReader, JournalWriter, encode
from tilewright.testing.disk import FaultyDisk


@pytest.fixture
def disk():
    return FaultyDisk()


@pytest.fixture
def writer(path, header, disk):
    writer = JournalWriter(path, header, disk=disk.disk)
    yield writer
    writer.discard()


def all_of(writer, numbers):
    with writer.reader() as reader:
        return numbers(reader)


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_torn_tail_is_cut_when_the_file_is_reopened(path, write, read, fill, cut):
    ends = write(3)
    os.truncate(path, ends[2] - cut)
    whole = sum(end <= ends[2] - cut for end in ends)
    writer = JournalWriter.reopen(path)
    assert path.stat().st_size == ends[whole - 1]
    fill(writer, [77])
    writer.close()
    assert read() == ([*range(whole), 77], [])


def test_an_existing_file_is_not_overwritten(path, write, read, header):
    write(2)
    with pytest.raises(FileExistsError):
        JournalWriter(path, header)
    assert read() == ([0, 1], [])


@pytest.fixture
def _impatient(monkeypatch):
    """Have no writer wait for a lock that somebody keeps."""
    monkeypatch.setattr("tilewright.journal.file.LOCK_SECONDS", 0)


@pytest.mark.usefixtures("_impatient")
def test_two_writers_at_once_are_refused(path, header):
    writer = JournalWriter(path, header)
    with pytest.raises(SetupError, match="being written by another process"):
        JournalWriter.reopen(path)
    writer.close()
    JournalWriter.reopen(path).close()


def test_somebody_who_looks_does_not_keep_a_writer_out(path, write, header):
    """A momentary shared lock, as `is_recording` takes it, is waited for."""
    write(1)
    directory = JournalDirectory(path.parent)
    done = threading.Event()

    def look():
        while not done.is_set():
            directory.is_recording(path)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(100):
            JournalWriter.reopen(path).close()
    finally:
        done.set()
        for looker in lookers:
            looker.join()


def test_nothing_is_appended_to_a_closed_journal(writer, fill):
    writer.close()
    writer.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        fill(writer, [0])
    assert writer.closed


def test_a_record_without_content_or_too_large_is_refused(writer, monkeypatch):
    with pytest.raises(InputError, match="0 bytes"):
        writer.append(b"")
    monkeypatch.setattr("tilewright.journal.writer.MAX_RECORD_BYTES", 10)
    with pytest.raises(InputError, match="a document of 11 bytes: a journal takes 1 to 10"):
        writer.append(b"x" * 11)


# --- when the disk is full, or may not be written to


def test_a_full_disk_sends_documents_to_memory_and_back(path, writer, disk, fill, numbers, read, caplog):
    ends = fill(writer, range(5))
    assert writer.tail is None
    assert writer.trouble is None
    disk.room = 40  # a record and a bit
    ends += fill(writer, range(5, 10))
    assert path.stat().st_size == ends[5]  # no half record is left in the file
    assert read() == ([*range(6)], [])
    assert all_of(writer, numbers) == list(range(10))
    assert writer.tail.size > 0
    assert writer.trouble == (
        f"{path} cannot be written: what comes is kept in memory until it can (No space left on device)."
        " Make room on the disk."
    )
    writer.sync()
    assert writer.tail is not None
    disk.room = None
    writer.sync()
    assert writer.tail is None
    assert writer.trouble is None
    assert caplog.messages == [f"{path} can be written; what was in memory is in it now"]
    fill(writer, [10])
    assert read() == (list(range(11)), [])


@pytest.mark.parametrize("room", range(1, 80, 7))
def test_offsets_in_memory_are_those_of_the_file(path, writer, disk, fill, room):
    disk.room = room
    in_memory = fill(writer, range(5))
    with writer.reader() as reader:
        before = [(reader.position, doc) for doc in reader]
    disk.room = None
    writer.sync()
    with JournalReader(path) as reader:
        assert [(reader.position, doc) for doc in reader] == before
        assert reader.size() == in_memory[-1]
    assert path.stat().st_size == in_memory[-1]


@pytest.mark.parametrize("room", range(1, 200, 13))
def test_a_little_room_at_a_time_is_used(writer, disk, fill, numbers, read, room):
    disk.room = 0
    fill(writer, range(30))
    rounds = 0
    while writer.tail is not None:
        disk.room = room
        writer.sync()
        rounds += 1
        assert all_of(writer, numbers) == list(range(30))
    assert rounds >= 30 * 20 / room
    assert read() == (list(range(30)), [])


def test_what_cannot_be_cut_off_is_continued(writer, disk, fill, numbers, read):
    fill(writer, [0])
    disk.room, disk.cuts = 10, False  # the beginning of a record stays in the file
    fill(writer, [1, 2])
    assert all_of(writer, numbers) == [0, 1, 2]
    disk.room = None
    writer.sync()
    assert read() == ([0, 1, 2], [])


def test_a_reader_of_the_file_alone_sees_only_what_is_whole(path, writer, disk, fill, numbers):
    """And what it has seen stays where it was, whatever is cut off or written back."""
    found = []
    with JournalReader(path) as outside:
        for number in range(60):
            disk.room = number % 37
            fill(writer, [number])
            found += numbers(outside)
            writer.sync()
            found += numbers(outside)
            assert found == list(range(len(found)))
        disk.room = None
        writer.sync()
        found += numbers(outside)
        assert outside.damage == []
    assert found == list(range(60))


def test_a_write_that_takes_nothing_counts_as_a_full_disk(path, header, fill, numbers):
    disk = FaultyDisk()
    writer = JournalWriter(path, header, disk=disk.disk)
    writer._write = lambda fd, data: 0
    fill(writer, [0])
    assert all_of(writer, numbers) == [0]
    writer.sync()
    assert "No space left" in writer.trouble
    writer.discard()


@pytest.mark.parametrize(("room", "left"), [(0, False), (5, False), (1000, True)])
def test_a_file_with_nothing_in_it_is_not_left_behind(path, header, room, left):
    disk = FaultyDisk()
    disk.room = room
    writer = JournalWriter(path, header, disk=disk.disk)
    assert path.exists()
    writer.discard()
    assert path.exists() == left


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EROFS, "Make the file system writable"),
        (errno.EACCES, "Make the folder and its files writable"),
        (errno.EDQUOT, "the quota is used up"),
        (errno.EIO, "Look at the disk"),
        (errno.ENAMETOOLONG, "See to the folder"),
    ],
)
def test_a_file_that_cannot_be_made_is_made_later(path, header, disk, fill, numbers, read, number, advice):
    disk.refuses = number
    writer = JournalWriter(path, header, disk=disk.disk)
    assert not path.exists()
    fill(writer, range(3))
    writer.sync()
    assert os.strerror(number) in writer.trouble
    assert advice in writer.trouble
    assert str(path) in writer.trouble
    with writer.reader() as reader:
        assert reader.header == header
        assert numbers(reader) == [0, 1, 2]
        disk.refuses = None
        writer.sync()
        fill(writer, [3])
        assert numbers(reader) == [3]  # the reader goes over from memory to the file
    writer.close()
    assert writer.closed
    assert read() == ([0, 1, 2, 3], [])


def test_a_folder_that_is_not_there_is_made_when_it_can_be(tmp_path, header, fill, read):
    (tmp_path / "place").write_text("in the way")
    path = tmp_path / "place" / "journal" / "run.twj"
    writer = JournalWriter(path, header)
    fill(writer, range(3))
    assert "Not a directory" in writer.trouble
    writer.sync()
    assert "Not a directory" in writer.trouble
    (tmp_path / "place").unlink()
    writer.sync()
    writer.close()
    assert read(path) == ([0, 1, 2], [])


def test_a_folder_that_is_a_link_to_nothing_is_waited_for(tmp_path, header, fill, read):
    """As where the disk that it leads to is not mounted."""
    (tmp_path / "mount").mkdir()
    (tmp_path / "journal").symlink_to(tmp_path / "mount" / "journal")
    writer = JournalDirectory(tmp_path / "journal").create(header)
    fill(writer, range(3))
    assert "Not a directory" in writer.trouble
    writer.sync()
    (tmp_path / "mount" / "journal").mkdir()
    writer.sync()
    writer.close()
    assert read(writer.path) == ([0, 1, 2], [])


def test_a_run_for_which_there_is_no_room_at_all_leaves_nothing_behind(tmp_path, header, disk, open_files):
    disk.room = 0
    directory = JournalDirectory(tmp_path, budget=Budget(10), disk=disk.disk)
    before = open_files()
    with pytest.raises(SetupError, match="a document is lost"):
        directory.create(header)
    assert open_files() == before
    assert list(tmp_path.glob("*.twj")) == []


def test_closing_raises_nothing(path, header, monkeypatch):
    """The folder is read-only by then, and the disk fails."""
    disk = FaultyDisk()
    disk.room = 0
    writer = JournalWriter(path, header, disk=disk.disk)

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", refuse)
        patch.setattr("tilewright.journal.disk.os.close", refuse)
        fd = writer._file.fd
        writer.discard()
    os.close(fd)
    assert writer.closed


def test_a_name_taken_meanwhile_is_not_overwritten(path, header, disk, fill, numbers, read):
    disk.refuses = errno.EROFS
    writer = JournalWriter(path, header, disk=disk.disk)
    fill(writer, range(3))
    path.write_bytes(b"somebody else's")
    with writer.reader() as reader:
        disk.refuses = None
        writer.sync()
        assert numbers(reader) == [0, 1, 2]
    writer.close()
    assert path.read_bytes() == b"somebody else's"
    assert writer.path.name == "run-1@8e6ff74e+2.twj"
    assert read(writer.path) == ([0, 1, 2], [])


def test_memory_is_limited_over_all_journals(tmp_path, header, disk, fill, numbers):
    directory = JournalDirectory(tmp_path, budget=Budget(4096), disk=disk.disk)
    writers = [directory.create(header) for header in (header, type(header)("run-2", None, 0.0, "t"))]
    disk.room = 0
    kept = [[], []]

    def fill_memory():
        for number in range(1000):
            fill(writers[number % 2], [number], size=100)
            kept[number % 2].append(number)

    with pytest.raises(
        SetupError, match=r"a document is lost: .*No space left on device.* in memory already"
    ):
        fill_memory()
    assert directory.budget.used <= 4096 < directory.budget.used + 200
    assert [writer.lost for writer in writers] in ([0, 1], [1, 0])
    assert [all_of(writer, numbers) for writer in writers] == kept
    disk.room = None
    for writer in writers:
        writer.sync()
    assert directory.budget.used == 0
    fill(writers[0], [2000])
    assert all_of(writers[0], numbers) == [*kept[0], 2000]
    for writer in writers:
        writer.close()


def test_closing_waits_for_the_disk_and_discarding_does_not(path, header, fill, read):
    disk, budget = FaultyDisk(), Budget()
    directory = JournalDirectory(path.parent)
    writer = JournalWriter(path, header, disk=disk.disk, budget=budget)
    disk.room = 0
    fill(writer, [0, 1])
    writer.close()
    assert not writer.closed
    assert directory.is_recording(path)  # others must not take it for ended: it is not all there
    disk.room = None
    writer.sync()
    assert writer.closed
    assert not directory.is_recording(path)
    assert read() == ([0, 1], [])

    writer = JournalWriter.reopen(path, disk=disk.disk, budget=budget)
    disk.room = 0
    fill(writer, [2])
    assert budget.used > 0
    writer.discard()
    assert writer.closed
    assert budget.used == 0
    assert read() == ([0, 1], [])


@pytest.mark.usefixtures("_impatient")
def test_a_journal_that_can_only_be_read_is_continued_in_memory(path, write, disk, fill, numbers, read):
    ends = write(3)
    os.truncate(path, ends[2] - 1)
    disk.refuses = errno.EROFS
    writer = JournalWriter.reopen(path, disk=disk.disk)
    assert writer.trouble is None  # nothing is in memory so far
    fill(writer, [10, 11])
    assert all_of(writer, numbers) == [0, 1, 10, 11]
    assert "Read-only file system" in writer.trouble
    with pytest.raises(SetupError):
        JournalWriter.reopen(path)
    disk.refuses = None
    writer.sync()
    assert writer.trouble is None
    writer.close()
    assert read() == ([0, 1, 10, 11], [])


def test_a_torn_tail_that_can_only_be_read_is_cut_later(path, write, disk, fill, read):
    """Also if nothing has come meanwhile; and what comes then goes to its place."""
    ends = write(3)
    os.truncate(path, ends[2] - 1)
    disk.refuses = errno.EROFS
    writer = JournalWriter.reopen(path, disk=disk.disk)
    disk.refuses = None
    writer.sync()
    assert path.stat().st_size == ends[1]
    path.unlink()
    writer.sync()
    disk.room = 0
    fill(writer, [10])
    disk.room = None
    writer.sync()
    writer.close()
    assert read() == ([0, 1, 10], [])


def test_a_file_that_could_only_be_read_is_written_again_when_it_is_removed(
    path, write, disk, fill, numbers, read
):
    ends = write(3)
    os.truncate(path, ends[2] - 1)
    disk.refuses = errno.EROFS
    writer = JournalWriter.reopen(path, disk=disk.disk)
    with writer.reader() as inside:
        fill(writer, [3])
        path.unlink()
        disk.refuses = None
        writer.sync()
        assert writer.tail is None
        assert numbers(inside) == [0, 1, 3]  # not stopped by the torn tail of the file that was
    writer.close()
    assert read() == ([0, 1, 3], [])


def test_a_torn_tail_that_cannot_be_cut_is_cut_later(path, write, disk, fill, numbers, read):
    ends = write(3)
    os.truncate(path, ends[2] - 1)
    disk.cuts = False
    writer = JournalWriter.reopen(path, disk=disk.disk)
    fill(writer, [10])
    assert all_of(writer, numbers) == [0, 1, 10]
    writer.sync()
    assert writer.tail is not None
    disk.cuts = True
    writer.sync()
    writer.close()
    assert read() == ([0, 1, 10], [])


def test_what_the_disk_did_not_confirm_is_said_for_good(writer, disk, fill, numbers, caplog):
    fill(writer, [0])
    disk.sync_error = errno.EIO
    writer.sync()
    expected = "may not outlast a failure of the machine: the disk did not confirm it (Input/output error)"
    assert expected in writer.trouble
    writer.sync()  # the kernel says it only once
    assert expected in writer.trouble
    assert caplog.messages == [writer.trouble]
    assert writer.tail is None
    assert all_of(writer, numbers) == [0]


# --- when others touch the file


def test_a_file_removed_while_it_is_written_is_written_again(path, writer, fill, numbers, read, caplog):
    fill(writer, range(5))
    with JournalReader(path) as outside, writer.reader() as inside:
        assert numbers(outside) == numbers(inside) == list(range(5))
        path.unlink()
        fill(writer, [5])
        writer.sync()
        assert f"it is written again as {path}" in caplog.text
        assert writer.trouble is None
        fill(writer, [6])
        assert numbers(inside) == [5, 6]
        assert numbers(outside) == [5, 6]
        assert outside.damage == inside.damage == []
    assert JournalDirectory(path.parent).is_recording(path)
    assert read() == (list(range(7)), [])


def test_what_is_being_appended_while_the_file_is_written_again_is_in_it(path, header, disk, fill, read):
    """The write was under way when `sync` found that the file was gone; it goes into the old one."""
    writer = JournalWriter(path, header, disk=disk.disk)
    fill(writer, range(3))
    write, slow, going = writer._write, threading.Event(), threading.Event()

    def slowly(fd, data):
        slow.set()
        going.wait(10)
        return write(fd, data)

    writer._write = slowly
    appender = threading.Thread(target=fill, args=(writer, [3, 4]))
    appender.start()
    slow.wait(10)
    assert writer.tail is None
    path.unlink()
    syncer = threading.Thread(target=writer.sync)
    syncer.start()
    syncer.join(0.05)
    assert syncer.is_alive()
    writer._write = write
    going.set()
    appender.join()
    syncer.join()
    writer.sync()
    writer.close()
    assert read() == ([0, 1, 2, 3, 4], [])


def test_what_comes_while_the_file_is_written_again_is_not_said_to_be_in_memory(
    path, writer, fill, monkeypatch, read
):
    """It is, for a moment; nobody has to deliver it from there."""
    fill(writer, range(3))
    write_anew, tails = writer._file.write_anew, []

    def slowly(size):
        writer.append(encode("event", {"number": 3}))
        tails.append((writer.tail, writer.trouble))
        write_anew(size)

    monkeypatch.setattr(writer._file, "write_anew", slowly)
    path.unlink()
    writer.sync()
    assert tails == [(None, None)]
    assert read() == ([0, 1, 2, 3], [])


def test_a_file_moved_away_is_written_again_under_its_name(path, writer, fill, read):
    fill(writer, range(5))
    path.rename(path.with_suffix(".moved"))
    fill(writer, [5])
    writer.sync()
    fill(writer, [6])
    writer.close()
    assert read() == (list(range(7)), [])
    assert read(path.with_suffix(".moved")) == (list(range(6)), [])


def test_a_folder_removed_with_its_files_is_made_again(tmp_path, header, fill, read):
    directory = JournalDirectory(tmp_path / "journal")
    writer = directory.create(header)
    fill(writer, range(5))
    shutil.rmtree(directory.path)
    fill(writer, [5])
    writer.sync()
    fill(writer, [6])
    writer.close()
    assert directory.waiting() == [writer.path]
    assert read(writer.path) == (list(range(7)), [])
    assert directory.archive(writer.path)


def test_a_file_replaced_by_another_is_written_again_beside_it(path, writer, fill, read):
    fill(writer, range(5))
    path.unlink()
    path.write_bytes(b"not ours")
    writer.sync()
    fill(writer, [5])
    writer.close()
    assert path.read_bytes() == b"not ours"
    assert writer.path != path
    assert read(writer.path) == (list(range(6)), [])


def test_a_file_that_cannot_be_written_again_is_kept_open(
    path, writer, disk, fill, numbers, monkeypatch, read
):
    fill(writer, range(5))
    with writer.reader() as reader:
        path.unlink()
        disk.refuses = errno.EROFS
        writer.sync()
        expected = "cannot be found under its name any more, nor written there again (Read-only file system)"
        assert expected in writer.trouble
        disk.refuses = None
        fill(writer, [5])
        assert numbers(reader) == list(range(6))
        writer.sync()
        assert not path.exists()  # it is not copied over and over
        monkeypatch.setattr(writer._file, "_anew_at", 0.0)  # the time to wait is over
        writer.sync()
    assert writer.trouble is None
    assert read() == (list(range(6)), [])


def test_a_full_disk_leaves_no_half_copy_of_a_removed_file(path, writer, disk, fill, numbers):
    fill(writer, range(50))
    with writer.reader() as reader:
        path.unlink()
        disk.room = 100
        writer.sync()
        assert "No space left on device" in writer.trouble
        assert not path.exists()
        assert numbers(reader) == list(range(50))


def test_a_file_cut_while_it_is_written_goes_on_with_what_comes(path, writer, fill, numbers):
    ends = fill(writer, range(5))
    with JournalReader(path) as reader:
        assert numbers(reader) == list(range(5))
        os.truncate(path, ends[2])
        assert numbers(reader) == []
        assert str(reader.damage[0]) == (
            f"bytes {ends[2]} to {ends[4]}: the file was cut off here by somebody while it was in use"
        )
        fill(writer, [5])
        assert numbers(reader) == [5]


def test_a_file_cut_below_what_is_in_memory_keeps_its_offsets(path, writer, disk, fill, numbers, read):
    ends = fill(writer, range(5))
    disk.room = 0
    fill(writer, [5, 6])
    os.truncate(path, ends[2])
    with writer.reader() as reader:
        assert numbers(reader) == [0, 1, 2, 5, 6]
        assert (reader.damage[0].start, reader.damage[0].stop) == (ends[2], ends[4])
    disk.room = None
    writer.sync()
    found, damage = read()
    assert found == [0, 1, 2, 5, 6]
    assert damage[0].startswith(f"bytes {ends[2]} to {ends[4]}: ")


def test_a_forked_process_holds_no_lock_and_writes_no_journal(path, writer, fill, read):
    fill(writer, [0])
    ready, say = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            fill(writer, [1])
            os.write(say, b"!")
            time.sleep(10)
        finally:
            os._exit(0)
    try:
        assert os.read(ready, 1) == b"!"
        writer.close()
        assert not JournalDirectory(path.parent).is_recording(path)
        JournalWriter.reopen(path).close()
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(say)
    assert read() == ([0], [])


@pytest.mark.parametrize("room", [None, 0], ids=["in the file", "in memory"])
def test_a_forked_process_that_syncs_and_closes_changes_nothing(path, writer, disk, fill, read, room):
    """Also while a thread of its parent syncs, which the child has not: it would wait for it for ever."""
    disk.room = room
    fill(writer, [0])
    disk.room = None
    with writer._syncing:
        child = os.fork()
        if child == 0:
            try:
                fill(writer, [1])
                writer.sync()
                writer.close()
                writer.discard()
            finally:
                os._exit(0)
    deadline = time.monotonic() + 10
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, 9)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.01)
    writer.sync()
    writer.close()
    assert read() == ([0], [])
    assert list(path.parent.glob("*.twj")) == [path]


# --- all at once


def test_appending_syncing_and_reading_at_once(path, header, numbers, read):
    """One thread appends, one syncs, one reads, while the disk fills and frees and the file is removed."""
    count = 10_000
    disk = FaultyDisk()
    writer = JournalWriter(path, header, disk=disk.disk)
    chance = random.Random(1)
    done = threading.Event()
    interval = sys.getswitchinterval()

    def trouble():
        while not done.is_set():
            what = chance.random()
            if what < 0.4:
                disk.room = chance.randrange(5000)
            elif what < 0.5:
                path.unlink(missing_ok=True)
                writer._file._anew_at = 0.0
            else:
                disk.room = None
            writer.sync()

    syncer = threading.Thread(target=trouble)
    found = []

    reader = writer.reader()

    def follow():
        with reader:
            while len(found) < count and not (done.is_set() and writer.closed):
                found.extend(numbers(reader))
            found.extend(numbers(reader))
            assert reader.damage == []

    follower = threading.Thread(target=follow)
    sys.setswitchinterval(1e-5)
    try:
        syncer.start()
        follower.start()
        for number in range(count):
            writer.append(encode("event", {"number": number}))
    finally:
        sys.setswitchinterval(interval)
        done.set()
        syncer.join()
        disk.room = None
        writer._file._anew_at = 0.0
        writer.sync()
        writer.close()
        follower.join()
    assert writer.closed
    assert found == list(range(count))
    assert read(writer.path) == (list(range(count)), [])
