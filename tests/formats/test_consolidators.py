"""Our arrays are what bluesky-tiled-plugins makes of the same documents."""

from __future__ import annotations

import copy
import dataclasses
import json
import warnings

import pytest
from bluesky_tiled_plugins.writing.consolidators import consolidator_factory
from hypothesis import assume, given
from hypothesis import strategies as st
from tiled.utils import safe_json_dump

from tilewright.errors import InputError
from tilewright.formats import open_array
from tilewright.formats.ranges import RANGES

TIFF = "multipart/related;type=image/tiff"
JPEG = "multipart/related;type=image/jpeg"
NPY = "multipart/related;type=application/x-npy"
HDF5 = "application/x-hdf5"
CSV = "text/csv;header=absent"
OLD, NEW = "%s_%06d.tif", "/scan_{:06d}.tif"


def ours(resources, descriptor, datums):
    array = open_array(resources[0], descriptor)
    for resource in resources[1:]:
        array.add_resource(resource)
    for datum in datums:
        array.add_datum(datum)
    source = dataclasses.asdict(array.data_source())
    source["assets"] = [dataclasses.asdict(asset) for asset in array.assets]
    source["properties"].pop(RANGES, None)  # theirs takes the rows of a file as they come; see test_ranges
    return json.loads(safe_json_dump(source)), array.metadata, array.has_skips


def theirs(resources, descriptor, datums):
    resources, descriptor = copy.deepcopy((resources, descriptor))  # it edits what it is given
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about concat, and about coercion: ours notes
        consolidator = consolidator_factory(resources[0], descriptor)
    waiting = {resource["uid"]: resource for resource in resources[1:]}
    for datum in datums:
        if late := waiting.pop(datum["stream_resource"], None):
            consolidator.update_from_stream_resource(late)
        consolidator.consume_stream_datum(datum)
    source = json.loads(safe_json_dump(dataclasses.asdict(consolidator.get_data_source())))
    for name in ("id", "management"):
        del source[name]
    source["assets"] = [
        {k: v for k, v in asset.items() if k not in ("id", "size")} for asset in source["assets"]
    ]
    return source, consolidator.metadata, consolidator.has_skips


SEQUENCES = [
    ([4, 5], {"template": OLD, "filename": "a"}),
    ([4, 5], {"template": NEW}),
    ([1, 4, 5], {"template": NEW, "chunk_shape": [1, 4, 5]}),
    ([1], {"template": NEW}),
    ([], {"template": NEW, "chunk_shape": [2]}),
    ([4, 5], {"template": "%s%s_%6.6d.tif", "filename": "b", "multiplier": 3}),
    ([3, 4, 5], {"template": NEW, "multiplier": 3}),
    ([1, 4, 5], {"template": NEW, "multiplier": 3, "spec": "AD_TIFF"}),
    ([6, 4, 5], {"template": NEW, "chunk_shape": [2, 4, 5]}),
    ([6, 4, 5], {"template": NEW, "chunk_shape": [4, 4, 5]}),
    ([6, 4, 5], {"template": NEW, "files_per_datum": 3}),
    ([6, 4, 5], {"template": NEW, "join_method": "concat"}),
    ([6, 4, 5], {"template": NEW, "join_method": "concat", "chunk_shape": [3]}),
    ([6, 4, 5], {"template": NEW, "join_method": "concat", "chunk_shape": [4]}),
    ([6, 4, 5], {"template": NEW, "join_method": "concat", "chunk_shape": [2, 2], "join_chunks": False}),
]


@pytest.mark.parametrize("mimetype", [TIFF, JPEG])
@pytest.mark.parametrize(("shape", "parameters"), SEQUENCES)
def test_sequences_equal(mimetype, shape, parameters, resource, descriptor, datum):
    documents = [resource(mimetype, **parameters)], descriptor(shape), [datum(0, 2), datum(2, 3), datum(3, 7)]
    assert ours(*documents) == theirs(*documents)


def test_dims_and_structured_dtype_equal(resource, descriptor, datum):
    described = descriptor([2, 3], dtype_numpy=[["x", "<f4"], ["n", "|u1"]], dims=["y", "x"])
    documents = [resource(HDF5, dataset="/d")], described, [datum(0, 2)]
    assert ours(*documents) == theirs(*documents)


@pytest.mark.parametrize("dtype", ["<f8", "|b1", "|S7", "<U3", "<M8[ns]", ">i4", "<c16"])
def test_dtypes_equal(dtype, resource, descriptor, datum):
    documents = [resource(HDF5, dataset="/d")], descriptor([2], dtype_numpy=dtype), [datum(0, 2)]
    assert ours(*documents) == theirs(*documents)


@pytest.mark.parametrize(
    "parameters",
    [
        {"dataset": "/entry/data/data"},
        {"dataset": "/entry/data/data", "chunk_shape": [2, 4, 5]},
        {"dataset": "/d", "swmr": False, "locking": True, "slice": ":,0", "squeeze": True},
        {"dataset": "/d", "template": "_%d.h5", "chunk_shape": [1, 2]},
        {"dataset": "/d", "join_method": "concat", "chunk_shape": [3]},
    ],
)
def test_hdf5_equal(parameters, resource, descriptor, datum):
    documents = [resource(HDF5, **parameters)], descriptor([4, 5]), [datum(0, 2), datum(2, 5)]
    assert ours(*documents) == theirs(*documents)


def test_hdf5_in_several_files_equal(resource, descriptor, datum):
    resources = [resource(HDF5, f"file://localhost/{uid}.h5", uid, dataset="/d") for uid in ("r1", "r2")]
    documents = resources, descriptor([4, 5]), [datum(0, 3), datum(3, 5, "r2")]
    assert ours(*documents) == theirs(*documents)


def test_several_sequences_for_one_key_equal(resource, descriptor, datum):
    resources = [resource(uid=uid, template=OLD, filename=uid) for uid in ("r1", "r2", "r3")]
    datums = [datum(0, 3), datum(3, 4, "r2"), datum(4, 6, "r2"), datum(6, 7, "r3")]
    documents = resources, descriptor([4, 5]), datums
    assert ours(*documents) == theirs(*documents)


@pytest.mark.parametrize("shape", [[10, 15], []])
def test_npy_equal(shape, resource, descriptor, datum):
    documents = [resource(NPY, "file://localhost/data/stem")], descriptor(shape), [datum(0, 3)]
    assert ours(*documents) == theirs(*documents)


@pytest.mark.parametrize("parameters", [{}, {"sep": ";", "chunk_shape": [3], "foreign": 1}])
def test_csv_equal(parameters, resource, descriptor, datum):
    documents = [resource(CSV, **parameters)], descriptor([7, 2]), [datum(0, 3)]
    assert ours(*documents) == theirs(*documents)


def test_bytes_with_a_template_equal(resource, descriptor, datum):
    documents = resource("application/octet-stream", template="_{:d}.bin"), descriptor([]), datum(0, 3)
    array = open_array(*documents[:2])
    array.add_datum(documents[2])
    expected = consolidator_factory(*documents[:2])
    expected.consume_stream_datum(documents[2])
    source = array.data_source()
    assert [a.data_uri for a in array.assets] == [a.data_uri for a in expected.assets]
    assert source.structure_family == expected.get_data_source().structure_family == "bytes"
    assert source.mimetype == expected.get_data_source().mimetype
    assert (source.properties, source.parameters, array.notes) == ({}, {}, [])


lengths = st.integers(1, 4)


@given(
    mimetype=st.sampled_from([TIFF, HDF5, CSV]),
    shape=st.lists(lengths, max_size=3),
    chunk_shape=st.lists(lengths, max_size=4),
    options=st.fixed_dictionaries(
        {},
        optional={
            "join_method": st.sampled_from(["stack", "concat"]),
            "join_chunks": st.booleans(),
            "multiplier": lengths,
            "files_per_datum": lengths,
            "template": st.sampled_from(["_%05d.x", "/{:d}.x"]),
        },
    ),
    steps=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=5),
)
def test_any_arithmetic_equal(mimetype, shape, chunk_shape, options, steps):
    parameters = {"dataset": "/d", "chunk_shape": chunk_shape, **options}
    if mimetype == TIFF:
        parameters.setdefault("template", "_%d.tif")
    join = options.get("join_method", "concat" if mimetype == CSV else "stack")
    assume(shape or join == "stack")  # it cannot concatenate single numbers; ours makes rows of them
    resource = {
        "uid": "r1",
        "data_key": "img",
        "mimetype": mimetype,
        "uri": "file://localhost/d",
        "parameters": parameters,
    }
    spec = {"dtype": "array", "shape": shape, "dtype_numpy": "<u2", "external": ""}
    datums, index = [], 0
    for gap, length in steps:
        start, stop = index + gap, index + gap + length
        index = stop
        datums.append(
            {
                "uid": "x",
                "stream_resource": "r1",
                "descriptor": "d1",
                "indices": {"start": start, "stop": stop},
                "seq_nums": {"start": start + 1, "stop": stop + 1},
            }
        )
    assume(steps[0][1])  # an empty first datum: it gives the shape of no files, ours waits for one
    documents = [resource], {"uid": "d1", "data_keys": {"img": spec}}, datums
    before = copy.deepcopy(documents)
    try:
        expected = theirs(*documents)
    except ValueError:
        with pytest.raises(InputError):
            open_array(resource, documents[1])
    else:
        assert ours(*documents) == expected
    assert documents == before, "documents are not altered"
