"""Stores of the three parts: a mapping to the letter, over every kind of place."""

import pytest

from tilewright.errors import InputError, SetupError, UnfitKeyError
from tilewright.stores import (
    CatalogPersister,
    FolderPersister,
    JSONValue,
    KeyMap,
    NPYArray,
    RawPCM,
    make_store,
)
from tilewright.stores.base import DictPersister
from tilewright.testing.persisters import PersisterContract

KEYS = KeyMap("{session:d}/{block:04d}")


class TestUnmapped(PersisterContract):
    """A store without maps is a mapping as its persister is."""

    @pytest.fixture
    def persister(self, tmp_path):
        return make_store(tmp_path / "store", allow_delete=True)

    test_in_reads_no_value = None  # the persister's own


@pytest.fixture(params=["dict", "folder", "objects", "catalog"])
def place(request, tmp_path):
    if request.param == "dict":
        return DictPersister(allow_delete=True)
    if request.param == "folder":
        return FolderPersister(tmp_path, allow_delete=True)
    if request.param == "objects":
        return request.getfixturevalue("objects")
    return CatalogPersister(request.getfixturevalue("catalog"), allow_delete=True)


def test_a_mapping_to_the_letter(place):
    store = make_store(place, KEYS, JSONValue(), allow_delete=True)
    place["other/people's"] = place["7/12.txt"] = b"files"
    assert (list(store), len(store), bool(store)) == ([], 0, False)
    store[8, 0] = {"n": 3}
    store[7, 12] = [1, 2]
    store["7/0001"] = None
    assert list(store) == list(store.keys()) == [(7, 1), (7, 12), (8, 0)]
    assert list(store.items()) == [((7, 1), None), ((7, 12), [1, 2]), ((8, 0), {"n": 3})]
    assert list(reversed(store)) == [(8, 0), (7, 12), (7, 1)]
    assert len(store) == 3
    assert store
    assert store == {(7, 1): None, (7, 12): [1, 2], (8, 0): {"n": 3}}
    assert (7, 12) in store
    assert (7, 13) not in store
    assert "other/people's" not in store
    assert 5 not in store
    assert store.get((7, 13), "default") == store.get("other/people's", "default") == "default"
    with pytest.raises(KeyError) as missing:
        store[7, 13]
    assert not isinstance(missing.value, UnfitKeyError)
    with pytest.raises(UnfitKeyError, match="does not fit the template"):
        store["other/people's"]
    with pytest.raises(UnfitKeyError):
        store[7] = 1
    assert store.pop((7, 1)) is None
    assert store.pop((7, 1), "gone") == "gone"
    with pytest.raises(KeyError):
        del store[7, 1]
    assert store.setdefault((9, 0), "new") == "new"
    store.clear()
    assert list(store) == []
    assert sorted(place) == ["7/12.txt", "other/people's"]
    with pytest.raises(TypeError):
        hash(store)


def test_deletion_is_for_those_who_asked_for_it(tmp_path):
    store = make_store(tmp_path, KEYS, JSONValue())
    store[7, 0] = 1
    for attempt in (lambda: store.pop((7, 0)), store.popitem, store.clear, lambda: store.__delitem__((7, 0))):
        with pytest.raises(SetupError, match="allow_delete=True"):
            attempt()
    assert store == {(7, 0): 1}
    with pytest.raises(KeyError):
        del store[7, 1]
    persister = FolderPersister(tmp_path)
    with pytest.raises(SetupError, match="allow_delete=True"):
        make_store(persister, allow_delete=True).clear()


def test_errors_name_the_key(tmp_path):
    store = make_store(tmp_path, KEYS, RawPCM(16))
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "0000").write_bytes(b"odd")
    with pytest.raises(InputError, match=r"Cannot read the value at \(7, 0\)\. 3 bytes are no whole frames"):
        store[7, 0]
    with pytest.raises(InputError, match=r"Cannot store a value at \(7, 1\)\. None are no samples"):
        store[7, 1] = None
    with pytest.raises(InputError):  # a value that cannot be read is not one that is not there
        store.get((7, 0))


def test_places():
    place = {}
    make_store(place)["a"] = b"1"
    assert place == {"a": b"1"}
    for wrong in (None, 5, "s3://bucket", [1]):
        with pytest.raises(InputError, match="is no place for a store"):
            make_store(wrong)


def test_len_does_not_list_where_the_place_can_count(monkeypatch):
    place = DictPersister({"a": b"", "b": b""})
    monkeypatch.setattr(DictPersister, "listing", lambda _: pytest.fail("it was listed"))
    assert len(make_store(place)) == 2


def test_a_store_closes_its_persister(tmp_path):
    closed = []
    persister = FolderPersister(tmp_path)
    persister.close = lambda: closed.append(1)
    with make_store(persister):
        pass
    assert closed == [1]


def test_a_store_says_where_it_is(tmp_path):
    assert repr(make_store(tmp_path, KEYS, NPYArray())) == f"<Store in <FolderPersister {tmp_path}>>"
