import struct

import pytest

from tilewright.errors import InputError
from tilewright.journal import JournalReader, JournalWriter, encode, is_journal


def test_what_is_written_is_read(path, write, read, header):
    write(1000)
    assert read() == (list(range(1000)), [])
    with JournalReader(path) as reader:
        assert reader.header == header
    assert is_journal(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_is_read_while_it_grows(path, fill, numbers, header):
    writer = JournalWriter(path, header)
    with JournalReader(path) as reader:
        assert list(reader) == []
        fill(writer, [0])
        assert numbers(reader) == [0]
        assert list(reader) == []
        fill(writer, [1])
        assert numbers(reader) == [1]
        reader.rewind()
        assert numbers(reader) == [0, 1]
    writer.close()


def test_is_read_in_bounded_pieces(path, write):
    write(100)
    with JournalReader(path) as reader:
        first = reader.read(300)
        assert 0 < len(first) < 100
        assert len(first) + len(list(reader)) == 100


def test_a_record_larger_than_the_piece_is_read_whole(path, write):
    write(1, size=10_000)
    with JournalReader(path) as reader:
        assert len(reader.read(100)) == 1


def test_records_are_counted_without_being_decoded(path, write):
    ends = write(100)
    with JournalReader(path) as reader:
        assert reader.skip() == 100
        assert reader.position == ends[-1]
        assert reader.skip() == 0
        reader.position = ends[89]
        assert reader.skip() == 10


def test_a_record_under_way_is_waited_for(path, write, numbers):
    ends = write(3)
    data = path.read_bytes()
    path.write_bytes(data[: ends[1] + 5])
    with JournalReader(path) as reader:
        assert numbers(reader) == [0, 1]
        for cut in range(ends[1] + 6, ends[2]):
            path.write_bytes(data[:cut])
            assert numbers(reader) == []
        path.write_bytes(data)
        assert numbers(reader) == [2]
        assert reader.damage == []


def test_a_payload_that_is_no_document_costs_itself_only(path, header):
    writer = JournalWriter(path, header)
    for payload in (encode("event", {"number": 0}), b"\x92\xa5event", encode("event", {"number": 1})):
        writer.append(payload)
    writer.close()
    with JournalReader(path) as reader:
        assert [doc["number"] for _, doc in reader] == [0, 1]
        assert len(reader.damage) == 1
        assert "cannot be decoded" in reader.damage[0].reason


def test_a_newer_version_is_refused_and_left_as_it_is(path, write):
    write(1)
    data = bytearray(path.read_bytes())
    data[8:10] = struct.pack("<H", 9)
    path.write_bytes(data)
    for open_ in (JournalReader, JournalWriter.reopen):
        with pytest.raises(InputError, match="version 9; this software reads up to version 1"):
            open_(path)
    assert path.read_bytes() == data


def test_what_is_not_there_is_not_found(path):
    with pytest.raises(FileNotFoundError):
        JournalReader(path)
