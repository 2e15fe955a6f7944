"""From one store into another: nothing lost, nothing overwritten unasked, and it can be stopped anywhere."""

import numpy as np
import pandas as pd
import pytest

from tilewright.errors import FinalError, InputError
from tilewright.stores import FolderPersister, KeyMap, NPYArray, RawPCM, WAVFile, copy, make_store


class StoppedError(Exception):
    pass


def audio(place, template="{session:d}/{block:014d}", value_map=None):
    return make_store(place, KeyMap(template), value_map or RawPCM(16))


def filled(place, sessions=3, blocks=5):
    store = audio(place)
    for session in range(sessions):
        for block in range(blocks):
            store[session, block] = np.arange(100, dtype="<i2") + 100 * (session * blocks + block)
    return store


def test_another_layout_another_format(tmp_path):
    source = filled({})
    target = audio(tmp_path, "{session:d}/data/{block:014d}.wav", WAVFile(8000))
    result = copy(source, target)
    assert (result.copied, result.skipped, result.different) == (15, 0, ())
    assert list(target) == list(source)
    assert all((target[key] == source[key]).all() for key in source)
    assert copy(source, target).skipped == 15
    assert str(result) == "15 copied, 0 there already"


def test_into_s3_and_back(objects, tmp_path):
    source = filled({})
    target = audio(objects)
    assert copy(source, target).copied == 15
    assert copy(target, audio(tmp_path)).copied == 15


@pytest.mark.parametrize("stop", range(0, 15, 4))
def test_stopped_and_repeated(tmp_path, stop):
    source, target = filled({}), audio(tmp_path)

    def stopping(done, total):
        assert total == 15
        if done > stop:
            raise StoppedError

    with pytest.raises(StoppedError):
        copy(source, target, progress=stopping)
    result = copy(source, target)
    assert (result.copied, result.skipped) == (15 - stop - 1, stop + 1)


def test_a_difference_is_told_and_left(tmp_path):
    source, target = filled({}), audio(tmp_path)
    target[1, 2] = mine = np.array([5], "<i2")
    target[9, 9] = mine
    result = copy(source, target)
    assert (result.copied, result.skipped, result.different) == (14, 0, ((1, 2),))
    assert (target[1, 2] == mine).all()
    assert str(result) == "14 copied, 0 there already; left as they were: (1, 2)"
    assert "different" in result._repr_html_()
    result = copy(source, target, overwrite=True)
    assert (result.copied, result.skipped, result.different) == (1, 14, ((1, 2),))
    assert (target[1, 2] == source[1, 2]).all()
    assert (target[9, 9] == mine).all()  # nothing is deleted


def test_what_cannot_be_read_is_a_difference(tmp_path):
    source, target = filled({}), audio(tmp_path)
    FolderPersister(tmp_path)["1/00000000000002"] = b"odd"
    assert copy(source, target).different == ((1, 2),)


def test_what_is_written_is_read_back():
    class Forgetful(dict):
        def __setitem__(self, key, value):
            super().__setitem__(key, value[:-1])

    with pytest.raises(FinalError, match="reads back as another one"):
        copy({"a": b"12"}, Forgetful())
    assert copy({"a": b"12"}, Forgetful(), verify=False).copied == 1


def test_a_key_that_does_not_fit():
    with pytest.raises(InputError, match="does not fit the template"):
        copy({"a": b""}, audio({}))


def test_equality_of_arrays_and_tables():
    values = {"nan": np.array([1.0, np.nan]), "empty": np.empty((0, 3)), "b": b"1"}
    target = dict(values)
    target["nan"] = values["nan"].copy()
    assert copy(values, target).skipped == 3
    frames = {"f": pd.DataFrame({"a": [1.0, np.nan]})}
    assert copy(frames, {"f": frames["f"].copy()}).skipped == 1
    assert copy(frames, {"f": pd.DataFrame({"a": [1, 2]})}).different == ("f",)
    store = make_store({}, None, NPYArray())
    copy({"x": np.arange(3)}, store)
    assert copy({"x": np.arange(3, dtype="i4")}, store).different == ("x",)
