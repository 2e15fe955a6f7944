"""Paths and parameters of Resources, in today's words."""

from __future__ import annotations

import pytest
from bluesky_tiled_plugins.writing.tiled_writer import MIMETYPE_LOOKUP, RunNormalizer

from tilewright.documents.resources import MIMETYPE_OF_SPEC, renew_resource


def renew(doc):
    notes = []
    return renew_resource(doc, MIMETYPE_OF_SPEC, notes.append), notes


def resource(spec="AD_HDF5", root="/data", path="a/b.h5", **kwargs):
    return {
        "uid": "r1",
        "run_start": "s1",
        "spec": spec,
        "root": root,
        "resource_path": path,
        "resource_kwargs": kwargs,
        "path_semantics": "posix",
    }


def by_bluesky(doc):
    normalizer = RunNormalizer()
    normalizer.resource(doc)
    return normalizer._sres_cache[doc["uid"]]


def test_the_table_is_that_of_bluesky():
    assert {spec: MIMETYPE_OF_SPEC[spec] for spec in MIMETYPE_LOOKUP} == dict(MIMETYPE_LOOKUP)


@pytest.mark.parametrize(
    "doc",
    [
        resource(),
        resource("AD_HDF5_SWMR_STREAM") | {"resource_kwargs": {"frame_per_point": 5, "path": "/entry/d"}},
        resource("XSP3"),
        resource("HDF5", dataset="/given"),
        resource("AD_TIFF", "/", "data/dir/", template="%s%s_%6.6d.tif", filename="x", frame_per_point=1),
        resource("NPY_SEQ", "/tmp/x", "stem"),
        resource("AD_TIFF", "", "/data/two//slashes"),
        resource("AD_TIFF", "/data/", "/leading/slash"),
        resource("AD_TIFF", "file:///data", "x"),
        resource("novel_spec"),
    ],
)
def test_resources_equal_those_of_bluesky(doc):
    renewed, _ = renew({**doc, "spec": doc["spec"].upper()})
    assert renewed == by_bluesky(doc)


def test_a_dataset_that_nobody_named_is_not_made_up():
    """Bluesky's writer registers a dataset of the name ''; ours leaves it to the format to refuse the file."""
    renewed, _ = renew(resource("XSP3_BULK"))
    assert "dataset" not in renewed["parameters"]


def test_what_is_new_already_is_the_same_object():
    doc = {"uid": "r", "data_key": "k", "mimetype": "application/x-hdf5", "uri": "file://x", "parameters": {}}
    renewed, notes = renew(doc)
    assert renewed is doc
    assert notes == []


def test_old_words_in_a_new_document():
    parameters = {"path": "/d", "frame_per_point": 2}
    doc = {
        "uid": "r",
        "data_key": "k",
        "mimetype": "application/x-hdf5",
        "uri": "u",
        "parameters": parameters,
    }
    renewed, _ = renew(doc)
    assert renewed["parameters"] == {"dataset": "/d", "multiplier": 2}
    assert parameters == {"path": "/d", "frame_per_point": 2}


def test_windows_paths():
    doc = resource(root="C:\\data", path="run 1\\x.h5") | {"path_semantics": "windows"}
    renewed, notes = renew(doc)
    assert renewed["uri"] == "file://localhost/C:/data/run 1/x.h5"
    assert notes == []


@pytest.mark.parametrize(
    ("doc", "words"),
    [
        (resource("novel"), "spec_to_mimetype={'novel'"),
        (resource(root="", path="a/b.h5"), "relative path 'a/b.h5'"),
        (resource(path=""), "no resource_path"),
    ],
)
def test_what_is_assumed_is_noted(doc, words):
    renewed, (note,) = renew(doc)
    assert words in note
    assert renewed.get("uri", "file://").startswith("file://")
