"""Of what lies in files, as much is shown as documents have promised."""

import numpy as np
import pytest
from tiled.adapters.utils import DataNotReadyError

from tilewright.formats.promised import promised_rows


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
