"""Vectors of many TFRecords as one array: every index against numpy, through a server; a vector's values say which one it is."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from event_model import compose_run
from hypothesis import given
from hypothesis import strategies as st
from tiled.adapters.utils import DataNotReadyError
from tiled.ndslice import NDBlock, NDSlice
from tiled.structures.array import ArrayStructure

from tilewright import TiledWriter, open_catalog, serve
from tilewright.errors import InputError
from tilewright.formats import Asset, DataSource, open_array, tfrecord
from tilewright.formats.layout import data_type
from tilewright.formats.looking import examine
from tilewright.formats.ranges import RANGES
from tilewright.formats.tfrecord import MIMETYPE, STRETCHES, TFRecordAdapter
from tilewright.tfrecords import encode_example, write_records

D = 6
WINDOWS, CHANNELS = 3, 2
EACH = WINDOWS * CHANNELS
RECORDS = (4, 1, 3, 2, 2)
"""Of each file."""
NODE = SimpleNamespace(metadata_={"model": "x"}, specs=[])


def numbered(first: int, count: int, dimension: int = D) -> np.ndarray:
    """Return vectors each of whose values is the number of the vector, and a fraction for its place in it."""
    return (np.arange(first, first + count)[:, None] + np.arange(dimension) / 1024).astype("<f4")


def record(first: int, dimension: int = D, **options: Any) -> bytes:
    vectors = numbered(first, EACH, dimension).reshape(WINDOWS, CHANNELS, dimension)
    return encode_example("a/b.flac", 60 * first, vectors, **options)


def uri(path: Any) -> str:
    return f"file://localhost{path}"


def written(folder: Any) -> tuple[list[Any], list[Any], np.ndarray]:
    """Write files, and return their paths, the stretches of each, and the vectors that count.

    The second record of the first file has a wrong length, and the second vector of the first one is left out; the second file has values
    as a list; the third one noise in front.
    """
    paths, stretches, rows, first = [], [], [], 0
    for number, records in enumerate(RECORDS):
        path = folder / f"{number}.tfrecord"
        payloads = [record(first + EACH * n, float_val=number == 1) for n in range(records)]
        places = write_records(path, payloads)
        counts = list(range(first, first + EACH * records))
        told = None
        if number == 0:
            content = bytearray(path.read_bytes())
            content[places[1]] ^= 0xFF
            path.write_bytes(content)
            told = [[0, 0, 1], [0, 2, 4], [places[2], 0, 2 * EACH]]
            counts = [counts[0], *counts[2:EACH], *counts[2 * EACH :]]
        elif number == 2:
            path.write_bytes(b"noise" * 9 + path.read_bytes())
            told = [[45, 0, records * EACH]]
        elif number == 3:
            told = [[0, 0, records * EACH]]
        paths.append(path)
        stretches.append(told)
        rows.append(numbered(0, first + EACH * records)[counts])
        first += EACH * records
    return paths, stretches, rows


@pytest.fixture(scope="module")
def server(readable: Any) -> Any:
    with serve(announce=False, readable_storage=readable) as server:
        yield server


def documents(paths: Any, stretches: Any, rows: Any, **parameters: Any) -> Any:
    """Yield the documents of a run: a StreamResource and a StreamDatum a file."""
    run = compose_run()
    yield "start", run.start_doc
    key = {"source": "x", "dtype": "array", "shape": [D], "dtype_numpy": "<f4", "external": "STREAM:"}
    described = run.compose_descriptor(name="embeddings", data_keys={"embedding": key})
    yield "descriptor", described.descriptor_doc
    first = 0
    for path, told, own in zip(paths, stretches, rows, strict=True):
        more = {} if told is None else {STRETCHES: told}
        resource = run.compose_stream_resource(
            mimetype=MIMETYPE, uri=uri(path), data_key="embedding", parameters={**parameters, **more}
        )
        yield "stream_resource", resource.stream_resource_doc
        span = {"start": first, "stop": first + len(own)}
        rows_of_events = {"start": first + 1, "stop": first + len(own) + 1}
        datum = resource.compose_stream_datum(
            indices=span, seq_nums=rows_of_events, descriptor=described.descriptor_doc
        )
        yield "stream_datum", datum
        first += len(own)
    yield "stop", run.compose_stop()


@pytest.fixture(scope="module")
def dataset(server: Any, readable: Any, tmp_path_factory: Any) -> Any:
    """A run in a catalog, its files, and the vectors that they have."""
    folder = readable / "dataset"
    folder.mkdir()
    paths, stretches, rows = written(folder)
    with open_catalog(server.uri) as catalog:
        with TiledWriter(
            catalog, journal=tmp_path_factory.mktemp("journal"), on_stop="return", strict=True
        ) as writer:
            docs = list(documents(paths, stretches, rows, chunk_shape=[10]))
            for name, doc in docs:
                writer(name, doc)
            assert writer.flush(60)
            assert writer.status().failed == {}
        yield catalog[docs[0][1]["uid"]], paths, np.concatenate(rows)


def test_the_array_is_what_is_in_the_files(dataset: Any) -> None:
    run, _, whole = dataset
    array = run["embeddings"]["embedding"]
    assert (array.shape, array.dtype, array.chunks[0][:2]) == (whole.shape, np.dtype("<f4"), (10, 10))
    np.testing.assert_array_equal(array.read(), whole)
    np.testing.assert_array_equal(array.dask().compute(), whole)
    assert run.notes == []


def test_every_slice_is_numpys(dataset: Any) -> None:
    run, _, whole = dataset
    array, count = run["embeddings"]["embedding"], len(whole)
    for start in range(0, count, 3):
        for stop in range(start + 1, count + 1, 7):
            np.testing.assert_array_equal(array[start:stop], whole[start:stop])
    for index in (
        0,
        -1,
        count - 1,
        (5, 2),
        (slice(None), 3),
        slice(None, None, -3),
        slice(7, 3),
        (..., slice(1, 4)),
    ):
        np.testing.assert_array_equal(array[index], whole[index])


def test_looking_at_the_files_finds_nothing_wrong(dataset: Any) -> None:
    run, *_ = dataset
    assert run.verify(files=True).problems == ()


@pytest.fixture
def source(tmp_path: Any) -> Any:
    """The adapter's data source of an array in files, their paths, and the vectors."""
    paths, stretches, rows = written(tmp_path)
    descriptor = {"uid": "d", "data_keys": {"img": {"dtype": "array", "shape": [D], "dtype_numpy": "<f4"}}}
    docs = [doc for name, doc in documents(paths, stretches, rows) if name.startswith("stream_")]
    resources, datums = [{**doc, "data_key": "img"} for doc in docs[::2]], docs[1::2]
    array = open_array(resources[0], descriptor)
    for number, (resource, datum) in enumerate(zip(resources, datums, strict=True)):
        if number:
            array.add_resource(resource)
        array.add_datum(datum)
    made = array.data_source()
    assets = [SimpleNamespace(data_uri=asset.data_uri, parameter=asset.parameter) for asset in array.assets]
    structure = ArrayStructure.from_json(made.structure)
    whole = np.concatenate(rows)
    return SimpleNamespace(structure=structure, properties=made.properties, assets=assets), paths, whole


def test_what_documents_make(source: Any) -> None:
    made, _, whole = source
    assert made.structure.shape == whole.shape
    assert made.structure.chunks == ((len(whole),), (D,))
    assert made.properties[RANGES] == [[0, 0, 17], [1, 0, 6], [2, 0, 18], [3, 0, 12, 2]]
    assert set(made.properties[STRETCHES]) == {"0", "2"}


PARTS = st.one_of(
    st.integers(-70, 70),
    st.slices(65),
    st.builds(slice, st.integers(-70, 70), st.integers(-70, 70), st.sampled_from([1, 2, 7, 30, -1, -5])),
)


@given(index=st.one_of(st.tuples(PARTS), st.tuples(PARTS, st.one_of(st.integers(-D, D - 1), st.slices(D)))))
def test_every_index_is_numpys_and_asks_for_no_other_file(dataset: Any, index: Any) -> None:
    run, paths, whole = dataset
    ranges = [[0, 0, 17], [1, 0, 6], [2, 0, 18], [3, 0, 12, 2]]
    own = run["embeddings"]["embedding"]
    properties = {RANGES: ranges, STRETCHES: own_stretches(paths)}
    made = SimpleNamespace(structure=ArrayStructure.from_array(whole), properties=properties, assets=[])
    assert own.shape == whole.shape
    try:
        expected = whole[index]
    except IndexError:
        with pytest.raises(IndexError):
            TFRecordAdapter.from_catalog(made, NODE, data_uris=list(map(uri, paths))).read(NDSlice(*index))
        return
    touched = TFRecordAdapter.file_indices_for_slice(
        made.structure, 5, NDSlice(*index), properties=properties
    )
    uris = [uri(path) if number in touched else None for number, path in enumerate(paths)]
    got = TFRecordAdapter.from_catalog(made, NODE, data_uris=uris).read(NDSlice(*index))
    assert got.dtype == whole.dtype
    np.testing.assert_array_equal(got, expected)


def own_stretches(paths: Any) -> dict[str, Any]:
    size = (paths[0].stat().st_size) // 4
    return {"0": [[0, 0, 1], [0, 2, 4], [2 * size, 0, 2 * EACH]], "2": [[45, 0, 3 * EACH]]}


def test_blocks_and_what_is_about_them(source: Any) -> None:
    made, _, whole = source
    adapter = TFRecordAdapter.from_catalog(made, NODE)
    np.testing.assert_array_equal(adapter.read(), whole)
    np.testing.assert_array_equal(adapter.read_block(NDBlock(0, 0), NDSlice(slice(20, 30))), whole[20:30])
    assert adapter.metadata() == {"model": "x"}


def read(source: Any, start: int, stop: int) -> np.ndarray:
    return TFRecordAdapter.from_catalog(source, NODE).read(NDSlice(slice(start, stop)))


def test_only_what_a_slice_touches_is_opened(source: Any) -> None:
    made, paths, whole = source
    for path in (paths[0], paths[1], paths[4]):
        path.unlink()
    np.testing.assert_array_equal(read(made, 23, 53), whole[23:53])
    with pytest.raises(FileNotFoundError, match=r"1\.tfrecord"):
        read(made, 22, 24)


def test_a_file_that_has_become_another_is_told(source: Any) -> None:
    made, paths, whole = source
    path, content = paths[4], paths[4].read_bytes()
    np.testing.assert_array_equal(read(made, 53, 65), whole[53:65])
    path.write_bytes(content[:-1])
    np.testing.assert_array_equal(read(made, 53, 59), whole[53:59])
    with pytest.raises(DataNotReadyError, match=r"4\.tfrecord has 6 vectors of 7 that are promised"):
        read(made, 58, 60)
    path.write_bytes(content)
    np.testing.assert_array_equal(read(made, 58, 60), whole[58:60])
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 0xFF
    path.write_bytes(damaged)
    np.testing.assert_array_equal(read(made, 53, 59), whole[53:59])
    with pytest.raises(InputError, match=r"4\.tfrecord is damaged at byte \d+: no record begins there"):
        read(made, 58, 60)
    write_records(path, [record(0).replace(b"\x12\x02\x08\x03", b"\xff\xff\xff\xff")])
    with pytest.raises(InputError, match=r"4\.tfrecord holds no vectors at byte 0: .*no TensorProto"):
        read(made, 53, 54)
    write_records(path, [record(0, 7), record(6, 7)])
    with pytest.raises(ValueError, match=r"4\.tfrecord holds vectors of 7 values, declared are 6"):
        read(made, 53, 54)
    write_records(path, [record(0), record(6, 7)])
    with pytest.raises(InputError, match=r"vectors of 7 values at byte \d+, and of 6 before"):
        read(made, 58, 60)
    path.write_bytes(b"")
    with pytest.raises(DataNotReadyError, match="has 0 vectors of 1"):
        read(made, 53, 54)


def test_a_stretch_that_is_no_longer_there(source: Any) -> None:
    made, paths, _ = source
    path = paths[2]
    times = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes()[1:])
    os.utime(path, ns=(times + 1, times + 1))
    with pytest.raises(InputError, match=r"2\.tfrecord is damaged at byte 45: no record begins there"):
        read(made, 23, 24)


def test_vectors_of_one_value(tmp_path: Any) -> None:
    path = tmp_path / "x"
    write_records(path, [record(0, 1), record(6, 1)])
    structure = ArrayStructure.from_array(np.zeros(12, "<f4"))
    asset = SimpleNamespace(data_uri=uri(path), parameter="data_uris")
    made = SimpleNamespace(structure=structure, properties={}, assets=[asset])
    assert read(made, 3, 8).tolist() == [3, 4, 5, 6, 7]


def test_chunks_are_of_four_megabytes(resource: Any, descriptor: Any, datum: Any) -> None:
    array = open_array(resource(MIMETYPE, uri="file://localhost/a"), descriptor([1280], "<f4"))
    array.add_datum(datum(0, 2000))
    made = array.data_source()
    assert made.structure["chunks"] == [[819, 819, 362], [1280]]
    assert made.properties == {}


REFUSED = [
    ({}, ([D], "<f8"), "float64 of shape"),
    ({}, ([D], ">f4"), "float32"),
    ({}, ([2, D], "<f4"), r"shape \(2, 6\)"),
    ({"join_method": "concat"}, ([D], "<f4"), "concat"),
    *[
        ({STRETCHES: stretches}, ([D], "<f4"), "stretches .* expected a list of")
        for stretches in (
            5,
            "abc",
            [5],
            [[0, 0]],
            [[0, 0, 0]],
            [[-1, 0, 1]],
            [[0, -1, 1]],
            [[0, 0, 1.5]],
            [[0, True, 1]],
            {},
        )
    ],
]


@pytest.mark.parametrize(("parameters", "spec", "words"), REFUSED)
def test_documents_that_describe_no_vectors(
    parameters: Any, spec: Any, words: str, resource: Any, descriptor: Any
) -> None:
    with pytest.raises(InputError, match=words):
        open_array(resource(MIMETYPE, uri="file://localhost/a", **parameters), descriptor(*spec))


def test_a_file_has_one_list_of_stretches(resource: Any, descriptor: Any, datum: Any) -> None:
    def of(uid: str, stretches: Any) -> Any:
        return resource(MIMETYPE, uri="file://localhost/a", uid=uid, stretches=stretches)

    array = open_array(of("r1", [[7, 0, 3]]), descriptor([D], "<f4"))
    array.add_resource(of("r2", [[7, 0, 3]]))
    with pytest.raises(InputError, match="two different lists of stretches"):
        array.add_resource(of("r3", [[7, 0, 4]]))
    array.add_datum(datum(0, 3, "r2"))
    assert array.data_source().properties[STRETCHES] == {"0": [[7, 0, 3]]}
    assert len(array.assets) == 1


def declared(rows: int, dimension: int = D, **properties: Any) -> DataSource:
    structure = {
        "data_type": data_type(np.dtype("<f4")),
        "shape": [rows, dimension],
        "chunks": [[rows], [dimension]],
        "dims": None,
        "resizable": False,
    }
    return DataSource("array", structure, MIMETYPE, {}, properties)


def test_measuring(tmp_path: Any) -> None:
    path = tmp_path / "x"
    _, second = write_records(path, [record(0), record(6)])
    content = path.read_bytes()

    def measured(**properties: Any) -> Any:
        facts = tfrecord.measure(path, declared(12, **properties))
        assert facts.dtype == "<f4"
        return facts.shape

    def found(**properties: Any) -> Any:
        verdict = examine(declared(12, **properties), [Asset(uri(path), "data_uris", 0)])
        return [(finding.kind, finding.harmless) for finding in verdict.findings]

    assert (measured(), found()) == ((12, D), [])
    path.write_bytes(content[:-1])
    assert (measured(), found()) == ((6, D), [("shorter", False)])
    path.write_bytes(content[:second] + b"noise" * 9 + content[second:])
    assert (measured(), found()) == ((6, D), [("shorter", False)])
    stretched = {STRETCHES: {"0": [[0, 0, 6], [second + 45, 0, 6]]}}
    assert (measured(**stretched), found(**stretched)) == ((12, D), [])
    write_records(path, [record(0), record(6), record(12)])
    assert (measured(), found()) == ((18, D), [("longer", True)])
    write_records(path, [record(0, 7)])
    assert (measured(), found()) == ((6, 7), [("shape", False)])
    path.write_bytes(b"")
    assert (measured(), found()) == ((0, D), [("shorter", False)])
    path.write_bytes(b"\xff\x00 something else")
    with pytest.raises(InputError, match="no record begins there"):
        measured()
    assert found() == [("damaged", False)]
