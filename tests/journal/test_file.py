import os
import struct

import pytest

from tilewright.errors import InputError, SetupError
from tilewright.journal import Header, JournalReader, JournalWriter, encode, is_journal

HEADER = Header("run-1", "http://127.0.0.1:8000/api/v1", 1.5, "tilewright test")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.twj"


def write(path, count):
    """Write a journal of `count` events, event n holding n, and return the offset at which each record ends."""
    writer = JournalWriter(path, HEADER)
    ends = []
    for number in range(count):
        writer.append(encode("event", {"number": number}))
        ends.append(path.stat().st_size)
    writer.close()
    return ends


def numbers(path):
    with JournalReader(path) as reader:
        return [doc["number"] for _, doc in reader], [str(damage) for damage in reader.damage]


def test_what_is_written_is_read(path):
    write(path, 1000)
    assert numbers(path) == (list(range(1000)), [])
    with JournalReader(path) as reader:
        assert reader.header == HEADER
    assert is_journal(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_is_read_while_it_grows(path):
    writer = JournalWriter(path, HEADER)
    with JournalReader(path) as reader:
        assert list(reader) == []
        writer.append(encode("event", {"number": 0}))
        assert [doc for _, doc in reader] == [{"number": 0}]
        assert list(reader) == []
        writer.append(encode("event", {"number": 1}))
        assert [doc for _, doc in reader] == [{"number": 1}]
        reader.rewind()
        assert [doc["number"] for _, doc in reader] == [0, 1]
    writer.close()


def test_is_read_in_bounded_pieces(path):
    write(path, 100)
    with JournalReader(path) as reader:
        first = reader.read(300)
        assert 0 < len(first) < 100
        assert len(first) + len(list(reader)) == 100


def test_a_record_larger_than_the_piece_is_read_whole(path):
    writer = JournalWriter(path, HEADER)
    writer.append(encode("event", {"text": "x" * 10_000}))
    writer.close()
    with JournalReader(path) as reader:
        assert len(reader.read(100)) == 1


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_torn_tail_is_cut_when_the_file_is_reopened(path, cut):
    ends = write(path, 3)
    os.truncate(path, ends[2] - cut)
    whole = sum(end <= ends[2] - cut for end in ends)
    assert numbers(path) == (list(range(whole)), [])
    writer = JournalWriter.reopen(path)
    writer.append(encode("event", {"number": 77}))
    writer.close()
    assert numbers(path) == ([*range(whole), 77], [])


def test_damage_in_the_middle_is_reported_and_the_rest_is_read(path):
    ends = write(path, 10)
    data = bytearray(path.read_bytes())
    data[ends[3] + 10] ^= 0xFF
    path.write_bytes(data)
    read, damage = numbers(path)
    assert read == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert damage == [f"bytes {ends[3]} to {ends[4]}: a record's checksum does not fit its content"]


def test_a_damaged_length_costs_its_record_only(path):
    ends = write(path, 10)
    data = bytearray(path.read_bytes())
    data[ends[3] : ends[3] + 4] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(data)
    read, damage = numbers(path)
    assert read == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert damage == [f"bytes {ends[3]} to {ends[4]}: a record's length is out of bounds"]


def test_a_zeroed_page_costs_what_it_covers(path):
    ends = write(path, 600)
    data = bytearray(path.read_bytes())
    data[4096:8192] = bytes(4096)
    path.write_bytes(data)
    read, damage = numbers(path)
    lost = {n for n, end in enumerate(ends) if end > 4096 and (ends[n - 1] if n else 0) < 8192}
    assert set(read) == set(range(600)) - lost
    assert len(damage) == 1


def test_other_files_are_refused(path):
    path.write_bytes(b"")
    with pytest.raises(InputError, match="is not a Tilewright journal"):
        JournalReader(path)
    path.write_bytes(b"PK\x03\x04" * 10)
    with pytest.raises(InputError, match="is not a Tilewright journal"):
        JournalReader(path)
    assert not is_journal(path)


def test_a_newer_version_is_refused_and_left_as_it_is(path):
    write(path, 1)
    data = bytearray(path.read_bytes())
    data[8:10] = struct.pack("<H", 9)
    path.write_bytes(data)
    for open_ in (JournalReader, JournalWriter.reopen):
        with pytest.raises(InputError, match="version 9; this software reads up to version 1"):
            open_(path)
    assert path.read_bytes() == data


def test_an_existing_file_is_not_overwritten(path):
    write(path, 2)
    with pytest.raises(FileExistsError):
        JournalWriter(path, HEADER)
    assert numbers(path) == ([0, 1], [])


def test_two_writers_at_once_are_refused(path):
    writer = JournalWriter(path, HEADER)
    with pytest.raises(SetupError, match="being written by another process"):
        JournalWriter.reopen(path)
    writer.close()
    JournalWriter.reopen(path).close()
