"""Samples by row and index: the seed's own access."""

import numpy as np
import pytest

from tilewright.errors import InputError, NotFoundError

from .conftest import SECOND, T0, File, Recorder, ramp


@pytest.fixture(scope="module")
def samples(deploy):
    files = [File(T0, 3000), File(T0 + 5 * SECOND, 3000)]
    return deploy(Recorder("a", files), Recorder("b", files), Recorder("c", files[:1])).deployment().samples


def test_shape_and_dtype(samples):
    assert (samples.shape, samples.dtype, samples.ndim, len(samples)) == ((3, 6000), np.int16, 2, 3)
    assert "(3, 6000)" in repr(samples)
    assert "6,000 samples of int16" in samples._repr_html_()


@pytest.mark.parametrize(
    "rows", [slice(0, 2), [0, 1], [1, 0], slice(None, 2), np.array([0, 1]), slice(1, 2), slice(0, 2, 2)]
)
def test_rows_and_samples(samples, rows):
    count = len(np.arange(3)[rows])
    assert samples[rows, 2500:3500].tolist() == [list(range(2500, 3500))] * count


def test_numbers(samples):
    assert samples[0, 10:12].tolist() == [10, 11]
    assert samples[0, 4000] == 4000
    assert samples[0:2, 4000].tolist() == [4000, 4000]
    assert samples[0].shape == (6000,)
    assert samples[0:2].shape == (2, 6000)
    assert samples[0:2, 9:3].shape == (2, 0)


def test_the_end_is_that_of_all(samples):
    assert samples[0:2, 5990:7000].tolist() == [list(range(5990, 6000))] * 2
    assert samples[2, 2990:7000].tolist() == list(range(2990, 3000))
    assert samples[0:3, :3000].shape == (3, 3000)
    for stop in (3001, None, 10_000):
        with pytest.raises(InputError, match=r"unit c \(row 2\) ends after 3,000 samples"):
            samples[0:3, 10:stop]
    with pytest.raises(InputError, match="before 6,001"):
        samples[0, 6000]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ((0, slice(0, 10, 2)), "takes no step"),
        ((0, slice(-10, None)), "the sample is -10"),
        ((-1, slice(0, 10)), "the row is -1"),
        ((0.5, slice(0, 10)), "no whole number"),
        ((slice(7, 9), slice(0, 10)), "No unit with samples has a row in 7"),
        ((0, 1, 2, 3), "it was given 4 indices"),
    ],
)
def test_indices_that_are_none(samples, key, message):
    with pytest.raises(InputError, match=message):
        samples[key]


def test_no_such_row(samples):
    with pytest.raises(NotFoundError, match="No unit has row 5"):
        samples[5, 0:10]


def test_channels_and_kinds(deploy):
    stereo, files = Recorder("a", [File(T0, 3000)], channels=2), [File(T0, 3000)]
    samples = (
        deploy(stereo, Recorder("b", files), Recorder("c", files, subtype="PCM_24")).deployment().samples
    )
    assert samples.shape == (3, 3000, 2)
    assert samples[0, 5:8].tolist() == ramp(5, 8, 2).tolist()
    assert samples[[0], 5:8, 1].tolist() == [[6, 7, 8]]
    with pytest.raises(InputError, match=r"a: int16, 2 channel\(s\); b: int16, 1 channel\(s\)"):
        samples[0:2, 5:8]
    with pytest.raises(InputError, match="do not have one kind of samples"):
        np.dtype(samples.dtype)
    assert samples[2, 5:6].dtype == np.int32
