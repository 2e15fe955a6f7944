"""The rows of an array are those that the documents name, wherever in the files they are."""

from __future__ import annotations

import dask.array
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiled.adapters.utils import DataNotReadyError

from tilewright.errors import InputError
from tilewright.formats import open_array
from tilewright.formats.ranges import Ranges, join

HDF5 = "application/x-hdf5"
CSV = "text/csv;header=absent"


def files_of(*lengths, row=(4, 5)):
    """Return arrays whose values are their index in all of them together."""
    whole = np.arange(sum(lengths) * np.prod(row, dtype=int)).reshape(-1, *row)
    stops = np.cumsum(lengths)
    return [whole[stop - length : stop] for length, stop in zip(lengths, stops, strict=True)]


@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8
    ),
    frames=st.integers(1, 3),
)
def test_rows_are_those_of_the_indices(lengths, steps, frames):
    """Each file counts from 0; each row is some frames of it."""
    files = files_of(*(length * frames for length in lengths))
    ranges, expected = Ranges(), []
    for file, start, stop in steps:
        number = file % len(files)
        first, last = sorted((start % (lengths[number] + 1), stop % (lengths[number] + 1)))
        ranges._first[number] = 0
        ranges.add(number, first, last)
        expected.append(files[number][first * frames : last * frames].reshape(-1, frames, 4, 5))
    whole = np.concatenate(expected)
    told = ranges.told()
    assert ranges.is_plain == (told in ([], [[0, 0, len(whole)]]))
    if told:
        np.testing.assert_array_equal(
            join([dask.array.from_array(f) for f in files], told, whole.shape), whole
        )


def test_what_is_not_promised_yet_is_left_away():
    (file,) = map(dask.array.from_array, files_of(12))
    np.testing.assert_array_equal(join([file], [], (3, 2, 4, 5)), np.arange(120).reshape(3, 2, 4, 5))
    assert join([file], [], (0, 4, 5)).shape == (0, 4, 5)


@pytest.mark.parametrize(
    ("ranges", "shape", "words"),
    [
        ([[0, 0, 2]], (3, 4, 5), "2 rows are promised.*3 declared"),
        ([], (3, 3, 5), "no rows of shape"),
    ],
)
def test_files_that_do_not_have_it(ranges, shape, words):
    (file,) = map(dask.array.from_array, files_of(12))
    with pytest.raises(ValueError, match=words):
        join([file], ranges, shape)


@pytest.mark.parametrize(
    ("stored", "shape"),
    [
        ((7, 4, 5), (7, 4, 5)),
        ((7, 4, 5), (3, 4, 5)),
        ((7, 4, 5), (3, 1, 4, 5)),
        ((7, 1, 4, 5), (3, 4, 5)),
        ((7, 4, 5), (3, 2, 4, 5)),
        ((7, 1, 5), (2, 5)),
        ((7,), (3,)),
        ((7,), (2, 3)),
        ((7,), (1, 1)),
    ],
)
def test_the_first_rows(stored, shape):
    file = dask.array.arange(np.prod(stored)).reshape(stored)
    np.testing.assert_array_equal(join([file], [], shape), np.arange(np.prod(shape)).reshape(shape))


@pytest.mark.parametrize(
    ("stored", "ranges", "shape"),
    [
        ((2, 4, 5), [], (3, 4, 5)),
        ((5, 4, 5), [], (2, 3, 4, 5)),
        ((2,), [], (3,)),
        ((0,), [], (1, 1)),
        ((12, 4, 5), [[0, 10, 13]], (3, 4, 5)),
    ],
)
def test_fewer_than_promised(stored, ranges, shape):
    with pytest.raises(DataNotReadyError, match=f"holds {stored[0]} along"):
        join([dask.array.zeros(stored)], ranges, shape)


def test_indices_that_go_on_and_that_begin_again():
    going_on, again = Ranges(), Ranges()
    for file, start, stop in [(0, 1, 3), (0, 5, 6), (1, 6, 8), (0, 3, 4), (2, 9, 10)]:
        going_on.add(file, start, stop)
    assert going_on.told() == [[0, 1, 3], [0, 5, 6], [1, 0, 2], [0, 3, 4], [2, 1, 2]]
    for file, start, stop in [(0, 0, 3), (1, 0, 2), (1, 2, 2), (1, 2, 5)]:
        again.add(file, start, stop)
    assert again.told() == [[0, 0, 3], [1, 0, 5]]
    with pytest.raises(InputError, match="run backwards"):
        going_on.add(1, 4, 6)


def test_ranges_are_told_where_they_are_not_plain(resource, descriptor, datum):
    array = open_array(resource(HDF5, dataset="/d"), descriptor([4, 5]))
    for start, stop in ((0, 2), (2, 3)):
        array.add_datum(datum(start, stop))
        assert array.data_source().properties == {}
    array.add_datum(datum(5, 6))
    assert array.data_source().properties == {"ranges": [[0, 0, 3], [0, 5, 6]]}
    assert array.data_source().structure["shape"] == [4, 4, 5]
    array.add_resource(resource(HDF5, "file://localhost/b", uid="r2", dataset="/d"))
    array.add_datum(datum(6, 8, "r2"))
    assert array.data_source().properties == {"ranges": [[0, 0, 3], [0, 5, 6], [1, 0, 2]]}


def test_ranges_of_concatenated_rows_count_what_they_make(resource, descriptor, datum):
    array = open_array(resource(CSV), descriptor([3, 2]))
    array.add_datum(datum(1, 3))
    assert array.data_source().properties == {"ranges": [[0, 3, 9]]}
    assert array.data_source().structure["shape"] == [6, 2]


def test_rows_that_run_backwards_change_nothing(resource, descriptor, datum):
    array = open_array(resource(HDF5, dataset="/d"), descriptor([4, 5]))
    array.add_datum(datum(0, 3))
    array.add_resource(resource(HDF5, "file://localhost/b", uid="r2", dataset="/d"))
    array.add_datum(datum(3, 5, "r2"))
    before = array.data_source()
    with pytest.raises(InputError, match="run backwards"):
        array.add_datum(datum(2, 3, "r2"))
    assert array.data_source() == before
