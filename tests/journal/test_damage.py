"""Damaged journals, as real files: each is told precisely, what is readable is given, and no byte of it is changed."""

import os
import re
import stat
import struct
import time
import zlib

import numpy as np
import pytest

from tilewright.errors import InputError
from tilewright.journal import Header, JournalDirectory, JournalReader, JournalWriter, encode
from tilewright.journal.records import FIXED, RECORD, seed_of

PAGE = 4096


def change(path, offset, data):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def flip(path, offset):
    change(path, offset, bytes([path.read_bytes()[offset] ^ 0xFF]))


def events_outside(ends, start, stop):
    """Return the events of which no byte lies in a range."""
    begins = [0, *ends]
    return [n for n, end in enumerate(ends) if end <= start or begins[n] >= stop]


def test_a_flipped_byte_of_a_payload_costs_its_record(path, write, read):
    ends = write(10)
    flip(path, ends[3] + RECORD.size + 5)
    found, (damage,) = read()
    assert found == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    size = ends[4] - ends[3] - RECORD.size
    stored, found = re.fullmatch(
        rf"bytes {ends[3]} to {ends[4]}: a record's checksum is (\w+), that of its {size} bytes is (\w+)",
        damage,
    ).groups()
    assert stored != found


def test_a_flipped_byte_of_a_checksum_costs_its_record(path, write, read):
    ends = write(10)
    flip(path, ends[3] + 6)
    found, (damage,) = read()
    assert found == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert damage.startswith(f"bytes {ends[3]} to {ends[4]}: a record's checksum is ")


@pytest.mark.parametrize("length", [0, 1, 5, 23, 30, 1000, 1 << 20, 1 << 30, 0xFFFFFFFF])
@pytest.mark.parametrize("number", [3, 9])
def test_a_damaged_length_costs_nothing(path, write, read, length, number):
    """The checksum says where the record ends."""
    ends = write(10)
    change(path, ends[number - 1], struct.pack("<I", length))
    found, (damage,) = read()
    assert found == list(range(10))
    size = ends[number] - ends[number - 1] - RECORD.size
    assert damage.startswith(f"bytes {ends[number - 1]} to {ends[number - 1] + RECORD.size}: a record")
    assert str(length) in damage
    assert damage.endswith(f"its checksum fits {size} bytes: read so")


@pytest.mark.parametrize("offset", [4096, 5000, 0x3000])
def test_a_zeroed_page_costs_what_it_covers(path, write, read, offset):
    ends = write(600)
    change(path, offset, bytes(PAGE))
    found, (damage,) = read()
    assert found == events_outside(ends, offset, offset + PAGE)
    start, _, stop = damage.partition(":")[0].removeprefix("bytes ").split()
    assert int(start) in ends
    assert int(start) <= offset < offset + PAGE <= int(stop)
    assert int(stop) in ends


def test_zeros_at_the_end_are_no_records(path, write, read, fill):
    """A power failure may leave the length of a file on the disk and not what was written."""
    ends = write(5)
    change(path, ends[-1], bytes(PAGE))
    with JournalReader(path) as reader:
        assert reader.skip() == 5
        assert reader.position == ends[-1]
    found, (damage,) = read()
    assert found == [0, 1, 2, 3, 4]
    assert damage.startswith(f"bytes {ends[-1]} to {ends[-1] + PAGE}: a record's length is 0, expected 1 to ")
    writer = JournalWriter.reopen(path)
    fill(writer, [5])
    writer.close()
    found, (damage,) = read()
    assert found == [0, 1, 2, 3, 4, 5]
    assert damage.startswith(f"bytes {ends[-1]} to {ends[-1] + PAGE}: a record's length is 0, expected 1 to ")


@pytest.mark.parametrize(
    "garbage",
    [b"#!/bin/sh\necho hello\n" * 100, b"\xff" * 50, b"\x92" * 5000, b"\x00\x01\x00\x00ABCDEF", b"\n"],
)
def test_garbage_appended_is_kept_and_told(path, write, read, fill, garbage):
    ends = write(5)
    change(path, ends[-1], garbage)
    found, (damage,) = read()
    assert found == [0, 1, 2, 3, 4]
    assert damage.startswith(f"bytes {ends[-1]} to {ends[-1] + len(garbage)}: a record")
    writer = JournalWriter.reopen(path)
    fill(writer, [5])
    writer.close()
    found, damage = read()
    assert found == [0, 1, 2, 3, 4, 5]
    if len(garbage) > 7:  # fewer bytes cannot be told from the beginning of a record
        assert garbage in path.read_bytes()
        assert len(damage) == 1


@pytest.mark.parametrize("offset", [0, 7, 10, 14, 20, 40, 60, 100])
def test_a_damaged_header_is_made_up_for_by_the_name(path, write, read, header, offset):
    ends = write(10)
    flip(path, offset)
    found, (damage,) = read()
    assert found == list(range(10))
    first = len(header.encode())
    assert damage.startswith(f"bytes 0 to {first}: the file ")
    if offset >= FIXED.size or offset == 14:
        assert "checksum" in damage
    with JournalReader(path) as reader:
        assert reader.header.run == header.run
        assert reader.header.is_for(header.catalog)
        assert not reader.header.is_for("http://another/api/v1")
        reader.skip()
        reader.rewind()
        assert len(reader.damage) == 1
    assert path.stat().st_size == ends[-1]


def test_a_zeroed_first_page_leaves_the_rest(path, write, read):
    ends = write(600)
    change(path, 0, bytes(PAGE))
    found, (damage,) = read()
    assert found == events_outside(ends, 0, PAGE)
    assert "is not a Tilewright journal: it begins with b'\\x00\\x00" in damage


def test_a_damaged_header_of_a_journal_of_another_name_is_refused(path, write, tmp_path):
    write(10)
    flip(path, 20)
    copy = tmp_path / "copy.twj"
    path.rename(copy)
    with pytest.raises(InputError, match=r"copy.twj has a damaged header: checksum [0-9a-f]{8}, expected"):
        JournalReader(copy)


FOREIGN = {
    "empty": b"",
    "a few bytes": b"TIL",
    "zip": b"PK\x03\x04" * 1000,
    "zeros": bytes(3 * PAGE),
    "text": b"not a journal\n" * 1000,
    "like a journal": b"TILEWRJ\n" + bytes(100),
    "pattern": b"\x20\x00\x00\x00ABCD\x92\xa5event\x81" * 1000,
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_file_of_another_program_is_refused_and_left_as_it_is(path, content):
    path.write_bytes(content)
    for open_ in (JournalReader, JournalWriter.reopen):
        with pytest.raises(
            InputError, match=rf"{path.name} (is not a|has a damaged header|has a header that)"
        ):
            open_(path)
    assert path.read_bytes() == content


def test_the_end_of_a_header_that_is_not_there_is_named(path, write, header):
    write(0)
    size = path.stat().st_size
    os.truncate(path, size - 3)
    with pytest.raises(InputError, match=f"damaged header: it ends at byte {size}, the file at {size - 3}"):
        JournalReader(path)


def test_a_journal_of_no_records_is_a_journal(path, write, read, header):
    write(0)
    assert read() == ([], [])
    with JournalReader(path) as reader:
        assert reader.header == header
        assert not reader.give_up_tail()


def test_a_folder_a_link_to_nothing_and_a_pipe_are_no_journals(tmp_path, path, write, read):
    folder, nowhere, pipe, good = (tmp_path / f"{name}.twj" for name in ("folder", "nowhere", "pipe", "good"))
    folder.mkdir()
    nowhere.symlink_to(tmp_path / "not there")
    os.mkfifo(pipe)
    with pytest.raises(InputError, match=r"folder.twj is not a Tilewright journal: it is a directory"):
        JournalReader(folder)
    with pytest.raises(InputError, match=r"pipe.twj is not a Tilewright journal: it is a pipe"):
        JournalReader(pipe)  # and does not wait for somebody to write into it
    with pytest.raises(FileNotFoundError):
        JournalReader(nowhere)
    write(3)
    good.symlink_to(path)
    assert read(good) == ([0, 1, 2], [])


def test_a_link_that_leads_in_a_circle_is_no_journal(path):
    path.symlink_to(path)
    with pytest.raises(OSError, match="symbolic links"):
        JournalReader(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_left_alone(path, write):
    write(3)
    path.chmod(0)
    with pytest.raises(PermissionError):
        JournalReader(path)
    (entry,) = JournalDirectory(path.parent).entries()
    assert (entry.state, entry.header) == ("unreadable", None)
    assert entry.problem == f"{path} cannot be read: Permission denied"
    assert stat.S_IMODE(path.stat().st_mode) == 0


def test_a_file_cut_while_it_is_read_is_told(path, write, numbers):
    ends = write(10)
    with JournalReader(path) as reader:
        assert len(reader.read(100)) < 5
        os.truncate(path, ends[6])
        assert numbers(reader)[-1] == 6
        os.truncate(path, ends[4])
        assert numbers(reader) == []
        assert [(damage.start, damage.stop) for damage in reader.damage] == [(ends[4], ends[6])]
        assert "was cut off here" in reader.damage[0].reason


# --- what a reopened journal keeps


def test_a_damaged_length_is_not_read_into_memory(path, write, read, header, monkeypatch):
    ends = write(3)
    os.truncate(path, 64 << 20)
    with path.open("r+b") as file:
        file.seek(len(header.encode()))
        file.write(struct.pack("<I", 32 << 20))
    whole, largest = os.pread, 0

    def pread(fd, count, offset):
        nonlocal largest
        largest = max(largest, count)
        return whole(fd, count, offset)

    monkeypatch.setattr("tilewright.journal.reader.os.pread", pread)
    found, damage = read()
    assert found == [0, 1, 2]
    assert damage[-1].startswith(f"bytes {ends[-1]} to {64 << 20}: ")
    assert largest < 2 << 20


@pytest.mark.parametrize("place", ["payload", "checksum"])
@pytest.mark.parametrize("number", [3, 9])
def test_reopening_cuts_no_damage(path, write, read, fill, place, number):
    """Neither in the middle nor at the end: the last record is damaged, not torn."""
    ends = write(10)
    flip(path, ends[number - 1] + {"checksum": 5, "payload": 20}[place])
    before = path.read_bytes()
    writer = JournalWriter.reopen(path)
    assert path.read_bytes() == before
    fill(writer, [10])
    writer.close()
    assert path.read_bytes().startswith(before)
    found, damage = read()
    assert found == [n for n in range(11) if n != number]
    assert len(damage) == 1


@pytest.mark.parametrize("length", [0, 5, 1000, 1 << 20])
def test_reopening_keeps_a_last_record_whose_length_is_damaged(path, write, read, fill, length):
    ends = write(10)
    change(path, ends[8], struct.pack("<I", length))
    before = path.read_bytes()
    writer = JournalWriter.reopen(path)
    fill(writer, [10])
    writer.close()
    assert path.read_bytes().startswith(before)
    assert read()[0] == list(range(11))


def test_reopening_cuts_a_torn_tail_behind_damage(path, write, read, fill):
    ends = write(10)
    flip(path, ends[3] + 20)
    os.truncate(path, ends[9] - 4)
    writer = JournalWriter.reopen(path)
    assert path.stat().st_size == ends[8]
    fill(writer, [10])
    writer.close()
    assert read()[0] == [0, 1, 2, 3, 5, 6, 7, 8, 10]


def test_what_is_cut_off_is_said(path, write, caplog):
    ends = write(3)
    os.truncate(path, ends[2] - 4)
    JournalWriter.reopen(path).close()
    assert f"{path}: bytes {ends[1]} to {ends[2] - 4} are cut off, a document never finished" in caplog.text


# --- what looks like a record and is none


def record(run, payload):
    return RECORD.pack(len(payload), zlib.crc32(payload, seed_of(run))) + payload


def test_records_carried_by_a_document_are_not_taken_for_records(path, header, tmp_path):
    """A document that carries a journal, and damage around it: only the checksum tells one from the other."""
    other = tmp_path / "other.twj"
    inner = JournalWriter(other, Header("another run", header.catalog, 0.0, "test"))
    for number in range(5):
        inner.append(encode("event", {"number": 100 + number}))
    inner.close()
    writer = JournalWriter(path, header)
    ends = []
    for number in range(4):
        carried = (
            other.read_bytes() + record("wrong", encode("event", {"number": 200})) if number == 1 else b""
        )
        writer.append(encode("event", {"number": number, "carried": carried}))
        ends.append(path.stat().st_size)
    writer.close()
    whole = path.read_bytes()
    for offset, data in (
        (0, b"\xff\xff\xff\xff"),
        (0, b"\x00\x00\x00\x00"),
        (6, b"\xff"),
        (20, b"\xff"),
        (0, bytes(12)),
    ):
        path.write_bytes(whole)
        change(path, ends[0] + offset, data)
        with JournalReader(path) as reader:
            found = [doc["number"] for _, doc in reader]
            assert [number for number in found if number != 1] == [0, 2, 3]
            assert len(reader.damage) == 1


@pytest.mark.parametrize("damaged", [(1,), (0, 1), (1, 2), (1, 2, 3), (3,), (2, 3)])
def test_own_records_inside_a_document_are_skipped_with_it(path, header, damaged):
    """Even with checksums that fit: a record whose length is right is passed over as a whole."""
    writer = JournalWriter(path, header)
    ends = []
    for number in range(4):
        carried = record(header.run, encode("event", {"number": 200}))
        writer.append(encode("event", {"number": number, "carried": carried, "filler": "x"}))
        ends.append(path.stat().st_size)
    writer.close()
    for number in damaged:
        flip(path, ends[number] - 1)
    with JournalReader(path) as reader:
        found = [doc["number"] for _, doc in reader]
        while reader.give_up_tail():
            found += [doc["number"] for _, doc in reader]
        assert found == [n for n in range(4) if n not in damaged]


# --- time


def test_a_large_journal_with_a_damaged_page_is_read_in_seconds(path, header):
    """100 MB of image-like bytes, damaged in three places."""
    noise = np.random.default_rng(1)
    writer = JournalWriter(path, header)
    begins = []
    for number in range(100):
        begins.append(path.stat().st_size)
        image = noise.integers(0, 256, 1 << 20, np.uint8).tobytes()
        writer.append(encode("event", {"number": number, "image": image}))
    writer.close()
    noisy = noise.integers(0, 256, PAGE, np.uint8).tobytes()
    change(path, begins[20] - 100, noisy)  # the end of one and the length of the next
    change(path, begins[50] - PAGE, bytes(2 * PAGE))
    change(path, begins[80], noisy)
    began = time.monotonic()
    with JournalReader(path) as reader:
        found = [doc["number"] for _, doc in reader]
    assert found == [n for n in range(100) if n not in (19, 20, 49, 50, 80)]
    assert len(reader.damage) == 3
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "pattern",
    [
        b"\x00",
        b"\x92",
        b"\x92\xa5",
        b"\x00\x00\x10\x00ABCD\x92\xa5event",
        b"\x00\x00\x10\x00ABCD\x92\xa5xvent",
        b"\x10\x00\x00\x00ABCD\x92\xa5event",
    ],
    ids=repr,
)
def test_searching_takes_time_in_proportion_to_what_is_searched(path, write, read, pattern):
    """However much each place looks like a record: twice the bytes take about twice the time."""
    ends = write(3)
    times = []
    for size in (1 << 18, 1 << 20):
        change(path, ends[-1], (pattern * (size // len(pattern) + 1))[:size])
        began = time.process_time()
        assert read()[0] == [0, 1, 2]
        times.append(time.process_time() - began)
    assert times[1] < 4 * 3 * times[0] + 0.2


def test_damage_at_the_end_of_a_growing_journal_is_searched_once(path, write, fill, numbers):
    """A reader asks five times a second whether something has come."""
    ends = write(3)
    noise = np.random.default_rng(1).integers(0, 256, 1 << 24, np.uint8).tobytes()
    change(path, ends[-1], b"\xff\xff\xff\xff" + noise)
    with JournalReader(path) as reader:
        assert numbers(reader) == [0, 1, 2]
        began = time.process_time()
        for _ in range(100):
            assert numbers(reader) == []
        assert time.process_time() - began < 0.5
        writer = JournalWriter.reopen(path)
        fill(writer, [3])
        writer.close()
        assert numbers(reader) == [3]
