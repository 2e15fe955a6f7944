"""Vectors are found where they lie, and read from there; a vector's values say which one it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.errors import InputError
from tilewright.tfrecords import (
    NOT_IN_ONE_PIECE,
    OpenFile,
    Remembered,
    count_intact,
    positions,
    read_vectors,
    write_records,
)

from .files import FEATURES, entries, example, feature, field, record, tensor, unpacked, vectors

SIZES = [(3, 2), (1, 1), (4, 1), (2, 3), (5, 1)]
FIRSTS = [0, 6, 7, 11, 17, 22]
"""Number of the first vector of each record, and how many there are."""
ALL = np.concatenate(
    [vectors(first, *size).reshape(-1, 5) for first, size in zip(FIRSTS, SIZES, strict=False)]
)


def payloads():
    """Return records in several layouts: with the floats first and last, with long names, and with floats that have to be decoded."""
    made = [record(first, *size) for first, size in zip(FIRSTS, SIZES, strict=False)]
    made[1] = record(6, 1, 1, order=FEATURES[::-1], float_val=True)
    array = vectors(7, 4, 1)
    made[2] = example(entries(array, tensor(array, unpacked(array))))
    made[3] = example(
        entries(vectors(11, 2, 3)) | {"filename": feature("filename", 1, field(1, b"x" * 2000))}
    )
    return made


@pytest.fixture
def file(tmp_path):
    """A file, and the places of its records."""
    path = tmp_path / "x.tfrecord"
    return path, write_records(path, payloads())


def read(path, found, start, stop):
    with OpenFile(path) as file:
        return read_vectors(file, found, start, stop)


def test_all_vectors_of_a_file(file):
    path, places = file
    found = positions(path)
    assert found.offsets.tolist() == places
    assert found.counts.tolist() == [6, 1, 4, 6, 5]
    assert found.ends.tolist() == FIRSTS[1:]
    assert (found.vectors, found.dimension, found.damage) == (22, 5, "")
    assert (found.values_at == NOT_IN_ONE_PIECE).tolist() == [False, False, True, False, False]
    content = path.read_bytes()
    for first, at, count in zip(FIRSTS, found.values_at.tolist(), found.counts.tolist(), strict=False):
        if at != NOT_IN_ONE_PIECE:
            there = np.frombuffer(content, "<f4", count * 5, at).reshape(-1, 5)
            np.testing.assert_array_equal(there, ALL[first : first + count])


@given(st.integers(0, 22), st.integers(0, 22))
def test_any_vectors_are_read(tmp_path_factory, one, other):
    path = tmp_path_factory.getbasetemp() / "any.tfrecord"
    if not path.exists():
        write_records(path, payloads())
    start, stop = sorted((one, other))
    got = read(path, positions(path), start, stop)
    assert got.dtype == "<f4"
    np.testing.assert_array_equal(got, ALL[start:stop])


@given(st.data())
def test_stretches_are_what_counts(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "stretched.tfrecord"
    places = write_records(path, payloads())
    stretches, expected, number = [], [], 0
    while number < 22 and len(stretches) < 4:
        start = data.draw(st.integers(number, 21))
        stop = data.draw(st.integers(start + 1, 22))
        of = max(record for record, first in enumerate(FIRSTS[:-1]) if first <= start)
        stretches.append([places[of], start - FIRSTS[of], stop - start])
        expected += range(start, stop)
        number = stop
    found = positions(path, stretches)
    assert (found.vectors, found.damage) == (len(expected), "")
    np.testing.assert_array_equal(read(path, found, 0, len(expected)), ALL[expected])
    start = data.draw(st.integers(0, len(expected)))
    np.testing.assert_array_equal(read(path, found, start, len(expected)), ALL[expected[start:]])


def test_no_stretches_are_no_vectors(file):
    found = positions(file[0], [])
    assert (found.vectors, found.dimension) == (0, None)
    assert read(file[0], found, 0, 0).shape == (0, 0)


def test_a_file_that_ends_too_early_has_what_is_there(file):
    path, places = file
    content = path.read_bytes()
    for length in (places[3], places[3] + 5, places[3] + 20, places[4] - 1):
        path.write_bytes(content[:length])
        for stretches in (None, [[0, 0, 15]], [[0, 0, 15], [places[1], 0, 1]]):
            found = positions(path, stretches)
            assert (found.vectors, found.damage) == (11, "")
            np.testing.assert_array_equal(read(path, found, 0, 11), ALL[:11])
    path.write_bytes(b"")
    assert positions(path).vectors == 0


DAMAGED = {
    "length": ({3: 0}, "is damaged at byte"),
    "feature": ({3: 30}, "holds no vectors at byte"),
}


@pytest.mark.parametrize(("places_changed", "words"), list(DAMAGED.values()), ids=list(DAMAGED))
def test_damage_ends_the_vectors_in_words(places_changed, words, file):
    path, places = file
    content = bytearray(path.read_bytes())
    for number, byte in places_changed.items():
        content[places[number] + byte] ^= 0x55
    path.write_bytes(content)
    found = positions(path)
    assert found.vectors == 11
    assert words in found.damage
    assert str(places[3]) in found.damage
    assert positions(path, [[0, 0, 11], [places[4], 0, 5]]).damage == ""
    with OpenFile(path) as opened:
        assert count_intact(opened) == (16, 5)


def test_vectors_of_another_length_end_them(tmp_path):
    path = tmp_path / "x"
    _, second, third = write_records(path, [record(0), record(6, dimension=7), record(12)])
    found = positions(path)
    assert found.vectors == 6
    assert f"vectors of 7 values at byte {second}, and of 5 before" in found.damage
    assert positions(path, [[0, 0, 6], [third, 0, 6]]).vectors == 12
    assert positions(path, [[second, 0, 6]]).dimension == 7


def test_a_stretch_that_begins_behind_its_record(file):
    found = positions(file[0], [[0, 0, 3], [file[1][1], 1, 2]])
    assert found.vectors == 3
    assert "has 1 vectors at byte" in found.damage
    assert "expected was one of number 1" in found.damage


def test_what_is_passed_over_when_vectors_are_counted(file):
    path, places = file
    content = path.read_bytes()
    for damaged, vectors_there in [
        (content[: places[1]] + b"noise" * 20 + content[places[1] :], 22),
        (content[:-1], 17),
        (content + b"noise" * 20, 22),
        (content[: places[3] + 20] + content, 11 + 22),
        (b"noise" * 20, 0),
        (b"", 0),
    ]:
        path.write_bytes(damaged)
        with OpenFile(path) as opened:
            assert count_intact(opened)[0] == vectors_there


def test_a_file_that_changes_while_it_is_read(file):
    path, places = file
    found = positions(path)
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[places[2] + 40] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=f"damaged at byte {places[2]}: the CRC of the record's"):
        read(path, found, 7, 8)
    path.write_bytes(content[: places[4] + 20])
    with pytest.raises(InputError, match=r"has become shorter: vectors 17 to 22 are no longer there"):
        read(path, found, 10, 22)


def test_positions_are_remembered_as_long_as_the_file_is_the_same(tmp_path, monkeypatch):
    files = [tmp_path / name for name in "abc"]
    for number, path in enumerate(files):
        write_records(path, [record(number * 10), record(number * 10 + 6)])
    known, looked = Remembered(most_records=4), []
    real = positions

    def count(file, stretches):
        looked.append(file.path.name)
        return real(file.path, stretches)

    monkeypatch.setattr("tilewright.tfrecords.remembering.positions_in", count)

    def ask(path, stretches=None):
        with OpenFile(path) as file:
            return known.positions_in(file, stretches)

    a, b, c = files
    assert ask(a) is ask(a)
    ask(b)
    assert looked == ["a", "b"]
    assert (
        ask(a, [[0, 0, 1]]).vectors == 1
    )  # b is forgotten only when there are too many: the record of this one is the fifth
    assert looked == ["a", "b", "a"]
    ask(b)
    assert looked == ["a", "b", "a"]
    ask(c)  # a was asked for before b
    ask(b)
    assert looked == ["a", "b", "a", "c"]
    write_records(b, [record(50)])
    assert ask(b).vectors == 6
    assert looked == ["a", "b", "a", "c", "b"]
