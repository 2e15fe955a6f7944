"""The contract of persisters, over every kind; and what is each one's own."""

import os
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

from tilewright import open_catalog
from tilewright.errors import InputError, SetupError, TransientError, UnfitKeyError
from tilewright.stores import CatalogPersister, DictPersister, FolderPersister, ObjectPersister
from tilewright.stores import folders as folders_module
from tilewright.testing.persisters import PersisterContract


class TestDict(PersisterContract):
    @pytest.fixture
    def persister(self):
        return DictPersister(allow_delete=True)


class TestFolder(PersisterContract):
    @pytest.fixture
    def persister(self, tmp_path):
        return FolderPersister(tmp_path / "store", allow_delete=True)


class TestDurableFolder(PersisterContract):
    @pytest.fixture
    def persister(self, tmp_path):
        return FolderPersister(tmp_path / "store", allow_delete=True, durable=True)


class TestObjects(PersisterContract):
    @pytest.fixture
    def persister(self, objects):
        return objects


class TestCatalog(PersisterContract):
    big = 1 << 20

    @pytest.fixture
    def persister(self, catalog):
        return CatalogPersister(catalog, allow_delete=True)


@pytest.mark.parametrize("kind", ["folder", "catalog"])
def test_a_value_and_what_is_below_it_cannot_both_be(kind, tmp_path, request):
    place = (
        FolderPersister(tmp_path)
        if kind == "folder"
        else CatalogPersister(request.getfixturevalue("catalog"))
    )
    place["a/b"] = b"1"
    for path in ("a", "a/b/c", "a/b/c/d"):
        with pytest.raises(InputError, match="Cannot store"):
            place[path] = b"2"
    assert dict(place) == {"a/b": b"1"}


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    place = FolderPersister(tmp_path)
    place["a/b"] = b"before"
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("no")))
    with pytest.raises(OSError, match="no"):
        place["a/b"] = b"after"
    assert place["a/b"] == b"before"
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["b"]


def test_what_a_killed_writer_leaves_is_nobodys(tmp_path):
    """The process is killed between the file's last byte and its name."""
    code = """
import os, signal, sys
from tilewright.stores import FolderPersister
place = FolderPersister(sys.argv[1])
place["a"] = b"first"
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
place["a"] = b"second"
"""
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    place = FolderPersister(tmp_path, allow_delete=True)
    (left,) = {file.name for file in tmp_path.iterdir()} - {"a"}
    assert dict(place) == {"a": b"first"}
    assert len(place) == 1
    assert left not in place
    with pytest.raises(UnfitKeyError, match="are its own"):
        place[left] = b""


def test_readers_see_whole_values_while_they_are_replaced(tmp_path):
    place = FolderPersister(tmp_path)
    place["a"] = bytes(1 << 16)
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            number = (number + 1) % 256
            place["a"] = bytes([number]) * (1 << 16)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        values = [place["a"] for _ in range(200)]
    finally:
        stop.set()
        writer.join()
    assert {len(value) for value in values} == {1 << 16}
    assert all(len(set(value)) == 1 for value in values)


def test_files_as_other_programs_write_them(tmp_path):
    umask = os.umask(0o027)
    try:
        FolderPersister(tmp_path / "new")["a/b"] = b""
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "new" / "a" / "b").stat().st_mode) == 0o640


def test_files_of_other_people(tmp_path):
    place = FolderPersister(tmp_path)
    place["a"] = b"1"
    for name in (b"new\nline", b"\xff", b"tab\t"):
        os.close(os.open(os.fsencode(tmp_path) + b"/" + name, os.O_CREAT))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "dead").symlink_to("nowhere")
    assert list(place) == ["a", "link"]
    assert len(place) == 2
    assert "pipe" not in place
    assert "dead" not in place


def test_keys_of_a_dict_that_are_no_paths():
    place = DictPersister({"a": b"1", "/b": b"2", 5: b"3"})
    assert (list(place), len(place)) == (["a"], 1)


def test_a_folder_that_is_not_there(tmp_path):
    place = FolderPersister(tmp_path / "none")
    assert (list(place), len(place), "a" in place) == ([], 0, False)
    assert not (tmp_path / "none").exists()


def test_what_one_call_does_not_read_is_read_by_more(tmp_path, monkeypatch):
    place = FolderPersister(tmp_path)
    place["a"] = bytes(range(200))
    monkeypatch.setattr(
        folders_module.os, "preadv", lambda file, rooms, start: os.readv(file, [rooms[0][:7]])
    )
    room = bytearray(150)
    place.read_into([("a", 0, memoryview(room))])
    assert room == bytes(range(150))


def test_a_prefix_is_not_seen(bucket, s3_options):
    whole = ObjectPersister.at(f"s3://{bucket}", allow_delete=True, **s3_options)
    part = ObjectPersister.at(f"s3://{bucket}/lab", **s3_options)
    part["a"] = b"1"
    whole["label"] = b"2"
    assert list(whole) == ["lab/a", "label"]
    assert list(part) == ["a"]


def test_many_objects(objects, monkeypatch):
    """More than come with one request."""
    monkeypatch.setattr("tilewright.stores.objects._PAGE", 3)
    paths = [f"{number:03d}" for number in range(10)]
    for path in paths:
        objects[path] = path.encode()
    assert list(objects) == paths


def test_any_of_obstores_stores():
    from obstore.store import MemoryStore

    place = ObjectPersister(MemoryStore())
    place["b"], place["a"] = b"2", b"1"
    assert dict(place) == {"a": b"1", "b": b"2"}


def test_storage_that_is_not_there(s3_options):
    with pytest.raises((SetupError, TransientError), match="Cannot"):
        list(ObjectPersister.at("s3://no-such-bucket-here", **s3_options))
    with pytest.raises(SetupError, match="Cannot open"):
        ObjectPersister.at("s3://bucket", no_such_option=1)
    with pytest.raises(SetupError, match="Cannot open"):
        ObjectPersister.at("nonsense://bucket")
    silent = {**s3_options, "endpoint": "http://127.0.0.1:9", "retry_config": {"max_retries": 0}}
    with pytest.raises(TransientError, match="Cannot read 'a'"):
        ObjectPersister.at("s3://bucket", **silent)["a"]


def test_arrays_in_a_catalog(catalog):
    place = CatalogPersister(catalog, allow_delete=True)
    arrays = {
        "i": np.arange(10, dtype="<i2"),
        "run/stream/f": np.linspace(0, 1, 12).reshape(3, 4),
        "run/b": np.array([True, False]),
        "0": np.array(5.0),
        "big": np.arange(4, dtype=">i4"),
        "when": np.array(["2026-01-01"], "M8[ns]"),
        "c": np.array([1j]),
        "z": np.asfortranarray(np.arange(6).reshape(2, 3)),
    }
    for path, array in arrays.items():
        place[path] = array
    assert list(place) == sorted(arrays)
    for path, array in arrays.items():
        assert (place[path] == array).all()
        assert (place[path].dtype, place[path].shape) == (array.dtype, array.shape)
    assert dict(place.listing())["run/stream/f"] == 96
    for array in (np.arange(10, dtype="<i2")[::-1], np.arange(3.0), np.arange(4, dtype="<i2")):
        place["i"] = array
        assert (place["i"] == array).all()
        assert place["i"].dtype == array.dtype
    place["i"] = b"now bytes"
    assert place["i"] == b"now bytes"
    for wrong in (np.empty(0), np.array([object()]), np.zeros(2, [("a", "i4")]), np.array(["a"]), 5, "text"):
        with pytest.raises(InputError, match="Cannot store"):
            place["wrong"] = wrong


def test_what_is_in_a_catalog_beside_arrays(catalog):
    import pandas as pd

    catalog.write_table(pd.DataFrame({"a": [1]}), key="table")
    catalog.create_container("~x")
    place = CatalogPersister(catalog)
    place["folder/a"] = b"1"
    assert list(place) == ["folder/a"]
    assert len(place) == 1
    assert "table" not in place
    assert "folder" not in place
    with pytest.raises(InputError, match="is a table already"):
        place["table/x"] = b""


def test_a_catalog_that_is_opened_here_is_closed_here(server, catalog):
    with CatalogPersister(server.uri) as place:
        assert "no such thing" not in place
    assert not catalog.context.http_client.is_closed
    with open_catalog(server.uri) as opened:
        with CatalogPersister(opened):
            pass
        assert not opened.context.http_client.is_closed
