"""Cables whose stores lie at URLs, as documents."""

import threading

import pytest

from tilewright.errors import InputError, SetupError, TransientError
from tilewright.sources import Cable
from tilewright.testing.cables import write_prodml, write_store


def rows_of(documents):
    return [doc["data"] for name, doc in documents if name == "event"]


@pytest.fixture
def cables(tmp_path):
    """Return the folder of a web server's cables."""
    folder = tmp_path / "cables"
    folder.mkdir()
    return folder


def test_a_store(cables, web):
    write_store(cables / "south.zarr")
    url = f"{web}/cables/south.zarr"
    source = Cable(f"{url}/", spacing=2.0419)
    documents = list(source.documents())
    assert (source.name, source.readable, source.problems) == ("south", [], [])
    (row,) = rows_of(documents)
    assert (row["file"], row["samples"]) == (url, 3_000)
    (resource,) = [doc for name, doc in documents if name == "stream_resource"]
    assert (resource["uri"], resource["mimetype"]) == (url, "application/x-zarr")
    assert resource["parameters"]["dataset"] == "RawData"
    again = Cable([url], spacing=2.0419)
    assert again.uid() == source.uid() != Cable(url, acquisition="south").uid()
    assert list(again.documents()) == documents
    for count in range(len(documents)):
        assert list(Cable(url, spacing=2.0419).documents(documents[:count])) == documents
    assert list(Cable(url).documents(earlier=documents)) == []


def test_it_is_known_by_its_place_as_well(web):
    uids = {Cable(f"{web}/{name}").uid() for name in ("a/x.zarr", "b/x.zarr", "a/y.zarr")}
    assert len(uids) == 3


def test_several_stores(cables, web):
    for number in range(2):
        write_store(cables / f"{number}.zarr", 3_000 * number, by_time=True)
    urls = [f"{web}/cables/{number}.zarr" for number in range(2)]
    source = Cable(urls)
    rows = rows_of(list(source.documents()))
    assert source.name == "cables"
    assert [(row["file"], row["gap"]) for row in rows] == [(urls[0], None), (urls[1], 0)]


def test_beside_a_folder(cables, web, tmp_path):
    write_store(cables / "1.zarr", 1_000, by_time=True)
    here = tmp_path / "here"
    here.mkdir()
    write_store(here / "0.zarr", 0, 1_000, by_time=True)
    source = Cable([here, f"{web}/cables/1.zarr"])
    rows = rows_of(list(source.documents()))
    assert (source.name, source.readable) == ("here", [here])
    assert [row["file"] for row in rows] == ["0.zarr", f"{web}/cables/1.zarr"]


def test_one_that_is_no_store_is_rejected(cables, web):
    write_store(cables / "0.zarr", by_time=True)
    source = Cable([f"{web}/cables/0.zarr", f"{web}/cables/x.zarr"])
    row = rows_of(list(source.documents()))[-1]
    assert (row["file"], row["size"]) == (f"{web}/cables/x.zarr", 0)
    assert row["reason"].startswith("it is no store of a cable")


def test_nothing_is_recorded(cables, web, free_port):
    write_store(cables / "0.zarr", by_time=True)
    there = f"{web}/cables/0.zarr"
    for url, error, told in (
        (
            f"{web}/x.zarr",
            InputError,
            "there are no files of a cable in http.*/x.zarr; .*it is no store of a cable",
        ),
        (f"{web}/forbidden/x.zarr", SetupError, "not allowed to read http"),
        (f"http://127.0.0.1:{free_port}/x.zarr", TransientError, "cannot read http"),
    ):
        for places in ([url], [there, url]):
            if places[1:] and error is InputError:
                continue
            documents = []
            with pytest.raises(error, match=told):
                documents.extend(Cable(places).documents())
            assert documents == []


def test_refused_at_once(tmp_path):
    write_prodml(tmp_path / "x.h5")
    for url, told in (
        ("s3://b/x.h5", "HDF5 files are read from disks only"),
        ("s3://key:secret@b/x.zarr", "give it without"),
    ):
        with pytest.raises(InputError, match=told):
            Cable([tmp_path, url])


def test_stores_are_not_watched():
    with pytest.raises(InputError, match=r"s3://b/x\.zarr is a Zarr store, which is not watched"):
        list(Cable("s3://b/x.zarr").watch(threading.Event()))
