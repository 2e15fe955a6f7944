"""Of what lies in files, as much is shown as documents have promised."""

import dask.array
import numpy as np
import pytest
from tiled.adapters.utils import DataNotReadyError

from tilewright.formats.promised import after_one_another, promised_rows, rows_of_files


def indexed(*shape):
    return np.arange(np.prod(shape)).reshape(shape)


@pytest.mark.parametrize(
    ("stored", "shape"),
    [
        ((7, 4, 5), (7, 4, 5)),
        ((7, 4, 5), (3, 4, 5)),
        ((7, 4, 5), (3, 1, 4, 5)),
        ((7, 1, 4, 5), (3, 4, 5)),
        ((7, 4, 5), (3, 2, 4, 5)),
        ((7, 4, 5), (1, 1, 4, 5)),
        ((7, 1, 5), (2, 5)),
        ((7,), (3,)),
        ((7,), (2, 3)),
        ((7,), (1, 1)),
    ],
)
def test_the_first_rows(stored, shape):
    whole = indexed(*stored)
    np.testing.assert_array_equal(promised_rows(whole, shape), indexed(*shape))


@pytest.mark.parametrize(
    ("stored", "shape"), [((2, 4, 5), (3, 4, 5)), ((5, 4, 5), (2, 3, 4, 5)), ((2,), (3,)), ((0,), (1, 1))]
)
def test_fewer_than_promised(stored, shape):
    with pytest.raises(DataNotReadyError, match=f"hold {stored[0]} along"):
        promised_rows(indexed(*stored), shape)


@pytest.mark.parametrize(
    ("stored", "shape"), [((7, 4, 5), (3, 5, 4)), ((7, 4, 5), (60,)), ((2, 0, 4, 5), (1, 4, 5))]
)
def test_rows_of_another_kind_are_left_to_tiled(stored, shape):
    whole = indexed(*stored)
    assert promised_rows(whole, shape) is whole


def corrected(rows, shape, **properties):
    return {"rows": rows, "declared": {"structure": {"shape": shape}}, **properties}


@pytest.mark.parametrize(
    ("shape", "properties", "expected"),
    [
        ((9, 4, 5), {"rows": [4, 5]}, [4, 5]),
        ((9, 4, 5), {"rows": [4, 0, 5]}, [4, 0, 5]),
        ((18, 5), {"rows": [4, 5]}, [8, 10]),  # joined by concat, two rows of the array for each datum
        ((9,), {"rows": [4, 5]}, [4, 5]),
        ((5, 4, 5), corrected([4, 5], [9, 4, 5]), [4, 1]),
        ((4, 4, 5), corrected([4, 5], [9, 4, 5], files=1), [4, 0]),
        ((5, 5), corrected([4, 5], [18, 5], files=1), [5, 0]),
        ((7, 6, 5), corrected([4, 5], [9, 4, 5]), [4, 3]),  # of rows of another shape
        ((0, 4, 5), corrected([4, 5], [9, 4, 5]), [0, 0]),
    ],
)
def test_rows_of_each_file(shape, properties, expected):
    assert rows_of_files(shape, properties, len(expected)) == expected


@pytest.mark.parametrize(
    ("shape", "properties"),
    [
        ((9, 4, 5), {}),
        ((9, 4, 5), {"rows": [4, 5, 1]}),  # of another number of files
        ((0, 4, 5), {"rows": [0, 0]}),
        ((10, 4, 5), {"rows": [4, 5]}),  # somebody else has changed the shape
    ],
)
def test_rows_of_each_file_are_not_known(shape, properties):
    assert rows_of_files(shape, properties, 2) is None


@pytest.mark.parametrize("stored", [(4, 5), (1, 4, 5)])
def test_each_file_is_cut_before_the_next_one(stored):
    whole = indexed(9, 4, 5)
    files = [np.concatenate([whole[:4], whole[:2] + 1000]), np.concatenate([whole[4:], whole[:1] + 2000])]
    parts = [
        (dask.array.from_array(file.reshape(-1, *stored)), rows)
        for file, rows in zip(files, (4, 5), strict=True)
    ]
    np.testing.assert_array_equal(after_one_another(parts, (9, 4, 5)), whole)


def test_a_file_with_less_than_its_part():
    parts = [(dask.array.zeros((3, 4, 5)), 4), (dask.array.zeros((6, 4, 5)), 5)]
    with pytest.raises(DataNotReadyError, match="hold 3 along the first dimension, but 4 are promised"):
        after_one_another(parts, (9, 4, 5))
