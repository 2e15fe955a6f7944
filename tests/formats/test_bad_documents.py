"""Documents that describe no array are refused in words, and then taken as bytes."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.errors import InputError
from tilewright.formats import BUILT_IN, UnknownFile, open_array

HDF5 = "application/x-hdf5"

REFUSED = [
    ({"uri": None}, {}, {}, "'uri'"),
    ({"mimetype": None}, {}, {}, "'mimetype'"),
    ({"uid": None}, {}, {}, "'uid'"),
    ({"data_key": "other"}, {}, {}, "'other'.*img"),
    ({"parameters": None}, {}, {}, "template"),
    ({}, {"template": None}, {}, "template"),
    ({}, {"template": "%d_%d.tif"}, {}, "one number.*2"),
    ({}, {"template": "{name}_{:d}.tif"}, {}, "no other field"),
    ({}, {"template": "{:zz}.tif"}, {}, "no format"),
    ({}, {"template": "{:999999999d}.tif"}, {}, "wider than a file's name"),
    ({}, {"template": "%0256d.tif"}, {}, "wider than a file's name"),
    ({}, {"template": "{:c}.tif"}, {}, "with a NUL"),
    ({}, {"template": "{:d}\0"}, {}, "with a NUL"),
    ({"uri": "file://localhost/a\0b"}, {}, {}, "uri.*expected an address"),
    ({}, {"template": "\ud800{:d}"}, {}, "expected texts"),
    ({"uri": "file://\ud800"}, {}, {}, "uri.*expected a text"),
    ({}, {"chunk_shape": [1, 1]}, {"shape": [10**12, 4]}, "more than .* chunks"),
    ({}, {"chunk_shape": [0, 4]}, {}, "chunk_shape.*1 or more"),
    ({}, {"chunk_shape": [1, 2, 3, 4]}, {}, "chunk_shape.*more dimensions"),
    ({}, {"multiplier": -2}, {}, "multiplier"),
    ({}, {"multiplier": 2.5}, {}, "multiplier"),
    ({}, {"files_per_datum": -1}, {}, "files_per_datum"),
    ({}, {"join_method": "glue"}, {}, "'glue'.*stack"),
    ({}, {}, {"shape": [None, 3]}, "varies"),
    ({}, {}, {"shape": [-1]}, "shape"),
    ({}, {}, {"shape": ["many"]}, "shape"),
    ({}, {}, {"dtype_numpy": "<q9"}, "<q9"),
    ({}, {}, {"dtype_numpy": "|O"}, "object"),
    ({}, {}, {"dtype_numpy": None, "dtype": "thing"}, "thing"),
    ({"mimetype": HDF5}, {}, {}, "dataset"),
    ({"mimetype": HDF5, "parameters": None}, {}, {}, "dataset.*none"),
]


@pytest.mark.parametrize(("changes", "parameters", "spec", "words"), REFUSED)
def test_refused_with_a_reason_and_taken_as_bytes(
    changes, parameters, spec, words, resource, descriptor, datum
):
    bad = resource(**{"template": "{:d}.tif", **parameters}) | changes
    described = descriptor(spec.pop("shape", [3, 4]), **spec)
    with pytest.raises(InputError, match=words) as refused:
        open_array(bad, described)
    array = UnknownFile(bad, str(refused.value))
    array.add_datum(datum(0, 2))
    array.add_datum(datum(5, 2))
    assert array.data_source().structure_family == "bytes"
    assert any(str(refused.value) in note for note in array.notes)
    assert all(asset.data_uri.startswith("file:") for asset in array.assets)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"indices": {"start": 5, "stop": 2}}, "indices go from 5 to 2"),
        ({"indices": {"start": -1, "stop": 2}}, "-1"),
        ({"indices": {"start": "a", "stop": 2}}, "expected integers"),
        ({"indices": {"stop": 2}}, "expected integers"),
        ({"indices": None}, "indices"),
        ({"indices": {"start": 2, "stop": 10**6 + 3}}, "1000001 files"),
        ({"indices": {"start": 2, "stop": 10**15}}, "more than .* chunks"),
        ({"indices": {"start": 2, "stop": 10**30}}, "indices go from 2 to 1000"),
        ({"seq_nums": {"start": 0, "stop": 10**30}}, "seq_nums go from 0 to"),
        ({"seq_nums": {"start": 3, "stop": 1}}, "seq_nums go from 3 to 1"),
        ({"stream_resource": "unheard"}, "unheard.*not arrived"),
    ],
)
def test_a_bad_datum_changes_nothing(bad, words, resource, descriptor, datum):
    array = open_array(resource(template="{}.tif"), descriptor([3, 4]))
    array.add_datum(datum(0, 2))
    before = array.data_source(), list(array.assets), array.notes
    with pytest.raises(InputError, match=words):
        array.add_datum(datum(2, 4) | bad)
    assert (array.data_source(), array.assets, array.notes) == before


@pytest.mark.parametrize(
    ("shape", "chunk_shape"), [([1], [1000]), ([], [1000]), ([0, 3], [10]), ([7], [2])], ids=str
)
def test_rows_that_have_chunks_of_their_own_are_counted(shape, chunk_shape, resource, descriptor, datum):
    """However large a chunk may be, each row has one: these would be listed, terabytes of them."""
    array = open_array(resource("text/csv;header=absent", chunk_shape=chunk_shape), descriptor(shape))
    array.add_datum(datum(0, 100))
    rows = array.data_source().structure["chunks"][0]
    with pytest.raises(InputError, match=r"more than .* chunks"):
        array.add_datum(datum(100, 10**9))
    assert array.data_source().structure["chunks"][0] == rows


def test_notes_about_many_bad_datums_stay_few(resource):
    array = UnknownFile(resource(template="{:d}.tif"), "refused")
    start = time.perf_counter()
    for number in range(20_000):
        array.add_datum({"stream_resource": "r1", "indices": {"start": number + 2, "stop": number}})
    assert len(array.notes) < 2_000
    assert time.perf_counter() - start < 2  # seconds


def test_rows_before_the_resource_began(resource, descriptor, datum):
    array = open_array(resource(template="a_{}.tif"), descriptor([]))
    array.add_datum(datum(0, 3))
    array.add_resource(resource(uid="r2", template="b_{}.tif"))
    array.add_datum(datum(3, 4, "r2"))
    with pytest.raises(InputError, match="run backwards"):
        array.add_datum(datum(1, 2, "r2"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data_key": "other"}, "data_key 'other'"),
        ({"mimetype": "image/tiff"}, "mimetype 'image/tiff'"),
        ({"parameters": {"dataset": "/other"}}, "dataset is '/other'"),
        ({"parameters": {"dataset": "/d", "chunk_shape": [7]}}, "chunk_shape"),
        ({"uri": None}, "uri"),
    ],
)
def test_a_resource_that_cannot_continue_the_array(changes, words, resource, descriptor):
    array = open_array(resource(HDF5, dataset="/d"), descriptor([3]))
    with pytest.raises(InputError, match=words):
        array.add_resource(resource(HDF5, uid="r2", dataset="/d") | changes)


def test_csv_is_one_file(resource, descriptor):
    array = open_array(resource("text/csv;header=absent", "file://localhost/a.csv"), descriptor([2]))
    with pytest.raises(InputError, match=r"b\.csv cannot continue.*a\.csv"):
        array.add_resource(resource("text/csv;header=absent", "file://localhost/b.csv", "r2"))
    assert len(array.assets) == 1


def test_notes_say_what_is_missing(resource, descriptor, datum):
    array = open_array(resource(HDF5, dataset="/d"), descriptor([3]))
    array.add_datum(datum(0, 3, seq_nums=(1, 3)))
    array.add_datum(datum(3, 5, seq_nums=(8, 10)))
    assert array.has_skips
    assert array.notes == [
        "'img' has 5 rows in its files for 4 different seq_nums.",
        "'img' has no rows in its files for seq_nums 3 to 7.",
    ]


def test_frames_that_do_not_divide_are_noted(resource, descriptor):
    parameters = {"template": "{}.tif", "join_method": "concat", "chunk_shape": [4]}
    (note,) = open_array(resource(**parameters), descriptor([6])).notes
    assert "do not divide" in note


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 9)
    | st.floats()
    | st.sampled_from(["", "%d", "{", "a{:d}", "{:c}", "/", "\0", "<f8"])
    | st.sampled_from([np.arange(2), np.zeros((2, 2)), np.array("text"), np.array([{}, None], object)]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["start", "stop", "x"]), inner)
    ),
    max_leaves=5,
)
PARAMETERS = "template filename chunk_shape multiplier files_per_datum join_method join_chunks dataset slice swmr spec sep stretches"


@given(
    mimetype=st.sampled_from([mimetype for known in BUILT_IN for mimetype in known.mimetypes]) | anything,
    changes=st.dictionaries(st.sampled_from(["uri", "uid", "data_key", "parameters"]), anything, max_size=1),
    parameters=st.dictionaries(st.sampled_from(PARAMETERS.split()), anything, max_size=3),
    spec=st.dictionaries(
        st.sampled_from(["shape", "dtype", "dtype_numpy", "dtype_descr", "dims"]), anything, max_size=2
    ),
    indices=anything,
)
@settings(max_examples=300, deadline=None)
def test_whatever_comes_is_refused_in_words_and_taken_as_bytes(mimetype, changes, parameters, spec, indices):
    parameters = {"template": "_{}.x", "dataset": "/d", **parameters}
    bad = {"uid": "r1", "data_key": "img", "uri": "file:///a", "mimetype": mimetype, "parameters": parameters}
    bad |= changes
    described = {"uid": "d1", "data_keys": {"img": {"shape": [2, 3], "dtype": "array", **spec}}}
    one = {"uid": "r1/0", "stream_resource": "r1", "indices": indices, "seq_nums": {"start": 1, "stop": 2}}
    try:
        array = open_array(bad, described)
        array.add_datum(one)
    except InputError:
        array = UnknownFile(bad, "refused.")
        array.add_datum(one)
    assert "\0" not in json.dumps([asset.data_uri for asset in array.assets])
    array.data_source()
    assert isinstance(array.notes, list)
    assert isinstance(array.metadata, dict)
