"""PNG files as one array, by a template and with any names: every index against numpy, and only the files that a slice touches."""

from __future__ import annotations

import io
import json
import os
import sys
import time
import zlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiled.adapters.utils import DataNotReadyError
from tiled.ndslice import NDBlock, NDSlice
from tiled.structures.array import ArrayStructure

from tilewright.errors import InputError, SetupError
from tilewright.formats import DataSource, open_array, png
from tilewright.formats.layout import data_type
from tilewright.formats.looking import examine
from tilewright.formats.png import FILES_PER_ROW, MIMETYPE, PNGAdapter, measure_png

if TYPE_CHECKING:
    from pathlib import Path

# Starlette's test client, on which Tiled's in-process client stands, wants a successor of httpx.
pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")

NODE = SimpleNamespace(metadata_={}, specs=[])
KINDS = {
    "grey": ((4, 5), "|u1"),
    "grey of 16 bits": ((4, 5), "<u2"),
    "grey, opaque or not": ((4, 5, 2), "|u1"),
    "RGB": ((4, 5, 3), "|u1"),
    "RGBA": ((4, 5, 4), "|u1"),
}


def indexed(*shape: int, dtype: str = "|u1") -> np.ndarray[Any, Any]:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def save(folder: Path, values: np.ndarray[Any, Any], name: str = "img_{:06d}.png") -> list[Path]:
    paths = [folder / name.format(number) for number in range(len(values))]
    for path, value in zip(paths, values, strict=True):
        Image.fromarray(value).save(path)
    return paths


def encoded(value: np.ndarray[Any, Any], **options: Any) -> bytes:
    content = io.BytesIO()
    Image.fromarray(value).save(content, "PNG", **options)
    return content.getvalue()


def uri(path: Path) -> str:
    return f"file://localhost{path}"


def source_of(
    paths: list[Path], whole: np.ndarray[Any, Any], chunk: int = 4, **properties: Any
) -> SimpleNamespace:
    """What the catalog says of an array, as adapters get it."""
    chunks = (chunk, *whole.shape[1:])
    structure = ArrayStructure.from_array(whole, chunks=chunks)
    assets = [SimpleNamespace(data_uri=uri(path), parameter="data_uris") for path in paths]
    return SimpleNamespace(structure=structure, properties=properties, assets=assets)


@pytest.fixture
def files_of(resource, descriptor, datum):
    """Make the array of files of any names: a StreamResource, then a StreamDatum for each."""

    def make(paths, shape, dtype="|u1", *, array=None, first=0, **parameters):
        for number, path in enumerate(paths, first):
            described = resource(MIMETYPE, uri(path), f"r{number}", **parameters)
            if array is None:
                array = open_array(described, descriptor(shape, dtype))
            else:
                array.add_resource(described)
            array.add_datum(datum(number, number + 1, f"r{number}"))
        return array

    return make


# Both ways in which documents come, through a server


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_of_a_template_that_grows(kind, tmp_path, resource, descriptor, datum, register, update):
    row, dtype = KINDS[kind]
    whole = indexed(5, *row, dtype=dtype)
    save(tmp_path, whole)
    described = resource(MIMETYPE, uri(tmp_path), template="/img_{:06d}.png", chunk_shape=[1, *row])
    array = open_array(described, descriptor(list(row), dtype))
    array.add_datum(datum(0, 3))
    node = register(array)
    np.testing.assert_array_equal(node.read(), whole[:3])
    assert node.dtype == whole.dtype
    array.add_datum(datum(3, 5))
    node = update(node, array, 3)
    np.testing.assert_array_equal(node.read(), whole)
    np.testing.assert_array_equal(node[3, 1:3, ::2], whole[3, 1:3, ::2])


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_any_names_in_any_folders(kind, tmp_path, files_of, register, update):
    row, dtype = KINDS[kind]
    whole = indexed(7, *row, dtype=dtype)
    paths = [tmp_path / f"{9 - n}" / f"no {n % 3} of them.{'png' if n % 2 else 'x'}" for n in range(7)]
    for path, value in zip(paths, whole, strict=True):
        path.parent.mkdir()
        path.write_bytes(encoded(value))
    array = files_of(paths[:1], list(row), dtype)
    node = register(array)
    np.testing.assert_array_equal(node.read(), whole[:1])
    for stop in (2, 5, 7):  # of which the server is told as they come
        sent = len(array.assets)
        files_of(paths[sent:stop], None, array=array, first=sent)
        node = update(node, array, sent)
        np.testing.assert_array_equal(node.read(), whole[:stop])
        assert node.dtype == whole.dtype
    for index in (3, slice(2, 6), slice(None, None, -3), (slice(1, 6, 2), 2), (-1, ..., 1), slice(5, 5)):
        np.testing.assert_array_equal(node[index], whole[index])
    assert node.chunks[0] == (7,)


@pytest.mark.parametrize("is_sequence", [True, False])
def test_a_slice_opens_only_the_files_that_it_touches(
    is_sequence, tmp_path, resource, descriptor, datum, files_of, register, monkeypatch
):
    whole = indexed(12, 4, 5)
    paths = save(tmp_path, whole)
    if is_sequence:
        array = open_array(
            resource(MIMETYPE, uri(tmp_path), template="/img_{:06d}.png"), descriptor([4, 5], "|u1")
        )
        array.add_datum(datum(0, 12))
    else:
        array = files_of(paths, [4, 5])
    node = register(array)
    opened, decoded = [], png._decoded
    monkeypatch.setattr(
        png, "_decoded", lambda content, path: opened.append(paths.index(path)) or decoded(content, path)
    )
    for index, touched in [
        (3, [3]),
        (slice(4, 7), [4, 5, 6]),
        (slice(None, None, 5), [0, 5, 10]),
        (slice(9, 1, -4), [9, 5]),
        ((slice(1, 11, 3), slice(None, None, 2), 3), [1, 4, 7, 10]),
        (slice(7, 7), []),
    ]:
        opened.clear()
        np.testing.assert_array_equal(node[index], whole[index])
        assert opened == touched
    for path in paths[1:]:
        path.unlink()
    np.testing.assert_array_equal(node[0], whole[0])


def test_several_files_an_event(tmp_path, resource, descriptor, datum, register, update):
    whole = indexed(12, 4, 5)
    paths = save(tmp_path, whole)
    rows = whole.reshape(4, 3, 4, 5)
    described = resource(MIMETYPE, uri(tmp_path), template="/img_{:06d}.png", multiplier=3)
    array = open_array(described, descriptor([4, 5], "|u1"))
    array.add_datum(datum(0, 2))
    node = register(array)
    np.testing.assert_array_equal(node.read(), rows[:2])
    array.add_datum(datum(2, 4))
    assert array.data_source().properties == {FILES_PER_ROW: 3}
    node = update(node, array, 6)
    np.testing.assert_array_equal(node.read(), rows)
    np.testing.assert_array_equal(node[1::2, 1:, 2], rows[1::2, 1:, 2])
    for path in paths[:9]:
        path.unlink()
    np.testing.assert_array_equal(node[3, 1], rows[3, 1])


@pytest.mark.parametrize(
    ("shape", "parameters", "stored"),
    [
        ([2, 4, 5], {"join_method": "concat", "chunk_shape": [1]}, (12, 4, 5)),
        ([1, 4, 5], {"join_method": "concat"}, (12, 4, 5)),
        ([1, 4, 5], {}, (12, 1, 4, 5)),  # as ophyd-async has it
        ([2, 4, 5], {"files_per_datum": 2}, (6, 2, 4, 5)),
        ([8, 5], {"files_per_datum": 2}, (6, 8, 5)),  # tiles, one above the other
    ],
)
def test_images_in_rows_of_other_shapes(shape, parameters, stored, tmp_path, resource, descriptor, datum):
    whole = indexed(12, 4, 5)
    paths = save(tmp_path, whole)
    described = resource(MIMETYPE, uri(tmp_path), template="/img_{:06d}.png", **parameters)
    array = open_array(described, descriptor(shape, "|u1"))
    array.add_datum(datum(0, 12 * 20 // int(np.prod(shape))))
    source = array.data_source()
    assert tuple(source.structure["shape"]) == stored
    read = PNGAdapter.from_catalog(source_of(paths, whole.reshape(stored), **source.properties), NODE).read()
    np.testing.assert_array_equal(read, whole.reshape(stored))
    assert examine(source, array.assets).findings == ()


def test_a_file_that_is_named_twice_is_in_the_array_twice(tmp_path, files_of, register):
    paths, whole = save(tmp_path, indexed(2, 4, 5)), indexed(2, 4, 5)
    node = register(files_of([*paths, paths[0]], [4, 5]))
    np.testing.assert_array_equal(node.read(), whole[[0, 1, 0]])


# What is registered


def test_many_files_are_registered_as_shortly_as_one(tmp_path, files_of):
    whole = [tmp_path / f"{number:x}.png" for number in range(10_000)]
    array = files_of(whole[:1], [256, 256])
    one = array.data_source()
    files_of(whole[1:], None, array=array, first=1)
    all_of_them = array.data_source()
    assert all_of_them.properties == one.properties == {}
    assert all_of_them.structure["shape"] == [10_000, 256, 256]
    assert all_of_them.structure["chunks"] == [[64] * 156 + [16], [256], [256]]
    assert len(json.dumps(all_of_them.structure)) < 1_000
    assert [asset.num for asset in array.assets] == list(range(10_000))
    assert array.notes == []


def test_chunks_that_are_declared_count(tmp_path, files_of):
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    array = files_of(paths, [4, 5], chunk_shape=[2, 4])
    assert array.data_source().structure["chunks"] == [[2, 2, 1], [4], [5]]


# Every index


PARTS = st.one_of(
    st.integers(-14, 14),
    st.slices(11),
    st.builds(slice, st.integers(-14, 14), st.integers(-14, 14), st.sampled_from([1, 2, 3, 7, -1, -5])),
)


@pytest.fixture(scope="module", params=[1, 3], ids=lambda files: f"{files} a row")
def array_in_files(request, tmp_path_factory):
    files = request.param
    images = indexed(11 * files, 4, 5, dtype="<u2")
    paths = save(tmp_path_factory.mktemp("images"), images)
    whole = images if files == 1 else images.reshape(11, files, 4, 5)
    return source_of(paths, whole, **({} if files == 1 else {FILES_PER_ROW: files})), whole


@given(data=st.data())
def test_every_index_is_numpys(array_in_files, data):
    source, whole = array_in_files
    more = [st.one_of(st.integers(-1, 0), st.slices(length)) for length in whole.shape[1:]]
    index = data.draw(st.tuples(PARTS, *more[: data.draw(st.integers(0, len(more)))]))
    adapter = PNGAdapter.from_catalog(source, NODE)
    try:
        expected = whole[index]
    except IndexError:
        with pytest.raises(IndexError):
            adapter.read(NDSlice(*index))
        return
    got = adapter.read(NDSlice(*index))
    assert got.dtype == whole.dtype
    np.testing.assert_array_equal(got, expected)
    # The same from those files only that are said to be touched
    touched = PNGAdapter.file_indices_for_slice(
        source.structure, len(source.assets), NDSlice(*index), properties=source.properties
    )
    uris = [asset.data_uri if number in touched else None for number, asset in enumerate(source.assets)]
    np.testing.assert_array_equal(
        PNGAdapter.from_catalog(source, NODE, data_uris=uris).read(NDSlice(*index)), expected
    )


def test_all_of_it_and_its_chunks(array_in_files):
    source, whole = array_in_files
    adapter = PNGAdapter.from_catalog(source, NODE)
    np.testing.assert_array_equal(adapter.read(), whole)
    block = (1,) + (0,) * (whole.ndim - 1)
    np.testing.assert_array_equal(adapter.read_block(NDBlock(*block)), whole[4:8])
    np.testing.assert_array_equal(adapter.read_block(NDBlock(*block), NDSlice(slice(1, 3))), whole[5:7])


def test_nothing_is_opened_of_an_array_without_rows(tmp_path):
    source = source_of([], indexed(0, 4, 5), chunk=1)
    assert PNGAdapter.from_catalog(source, NODE).read().shape == (0, 4, 5)


# Files that are other than declared


def chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def a_png(bits: int, colour: int, row: bytes, *, first: bytes = b"IHDR") -> bytes:
    """One pixel high and wide, of any bits and colour."""
    head = (1).to_bytes(4, "big") * 2 + bytes([bits, colour, 0, 0, 0])
    pixels = zlib.compress(b"\0" + row)
    return b"\x89PNG\r\n\x1a\n" + chunk(first, head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def palette() -> bytes:
    content = io.BytesIO()
    Image.fromarray(indexed(4, 5)).convert("P").save(content, "PNG")
    return content.getvalue()


def jpeg() -> bytes:
    content = io.BytesIO()
    Image.fromarray(indexed(4, 5)).save(content, "JPEG")
    return content.getvalue()


WHOLE = encoded(indexed(4, 5))
NO_PNG = {
    "a JPEG": (jpeg(), "it is no PNG file"),
    "another first chunk": (a_png(8, 0, b"\7", first=b"tEXt"), "it is no PNG file"),
    "an unknown colour": (a_png(8, 5, b"\7"), "it is no PNG file"),
    "a palette": (palette(), "it has a palette.*write it in grey or in RGB"),
    "4 bits": (a_png(4, 0, b"\x70"), "it has 4 bits a value; 8 are read"),
    "1 bit": (a_png(1, 0, b"\x80"), "it has 1 bits a value; 8 are read"),
    "RGB of 16 bits": (a_png(16, 2, b"\1\2" * 3), "it has 16 bits a value; 8 are read, and 16 where it is"),
}
"""Content, and what is said of it by all who look at it."""
CUT_OFF = {f"{bytes_} bytes": WHOLE[:bytes_] for bytes_ in [0, 5, 8, 20, 33, 41, 60, len(WHOLE) - 12]}
CUT_OFF["one byte less"] = WHOLE[:-1]


def adapter_of(path: Path, whole: np.ndarray[Any, Any] | None = None) -> Any:
    return PNGAdapter.from_catalog(source_of([path], indexed(1, 4, 5) if whole is None else whole), NODE)


def declared(shape: tuple[int, ...] = (1, 4, 5), dtype: str = "|u1") -> DataSource:
    structure = {
        "data_type": data_type(np.dtype(dtype)),
        "shape": list(shape),
        "chunks": [[length] for length in shape],
    }
    return DataSource("array", structure, MIMETYPE)


@pytest.mark.parametrize("kind", KINDS)
def test_measuring(kind, tmp_path):
    row, dtype = KINDS[kind]
    (path,) = save(tmp_path, indexed(1, *row, dtype=dtype))
    facts = measure_png(path, declared())
    assert (facts.shape, facts.dtype, facts.chunks) == ((1, *row), np.dtype(dtype), None)


@pytest.mark.parametrize("bad", NO_PNG)
def test_what_is_no_image_that_is_read(bad, tmp_path):
    content, words = NO_PNG[bad]
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        measure_png(path, declared())
    with pytest.raises(InputError, match=rf"x\.png cannot be read: {words}"):
        adapter_of(path).read()


@pytest.mark.parametrize("bad", CUT_OFF)
def test_a_file_that_is_cut_off(bad, tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(CUT_OFF[bad])
    with pytest.raises(InputError, match="the end of its image is missing"):
        measure_png(path, declared())
    with pytest.raises(DataNotReadyError, match=r"x\.png has 0 images of 1 that are promised; try again"):
        adapter_of(path).read()
    path.write_bytes(WHOLE)  # now it is there
    np.testing.assert_array_equal(adapter_of(path).read(), indexed(1, 4, 5))


@pytest.mark.parametrize(("age", "status"), [(0, 503), (10**6, 422)])
def test_a_server_says_which_file_is_cut_off(age, status, tmp_path, files_of, register):
    paths = save(tmp_path, indexed(3, 4, 5))
    node = register(files_of(paths, [4, 5]))
    paths[1].write_bytes(WHOLE[:-1])
    for path in paths:
        os.utime(path, (time.time() - age,) * 2)
    np.testing.assert_array_equal(node[::2], indexed(3, 4, 5)[::2])
    answer = node.context.http_client.get(node.uri.replace("/metadata/", "/array/full/", 1))
    assert answer.status_code == status
    assert "img_000001.png has 0 images of 1 that are promised" in answer.json()["detail"]


def test_a_file_that_is_not_there_yet(tmp_path):
    with pytest.raises(DataNotReadyError, match=r"x\.png has 0 images of 1 that are promised"):
        adapter_of(tmp_path / "x.png").read()


@pytest.mark.parametrize("row", [(4, 5), (4, 5, 3)], ids=str)
def test_a_value_that_stands_for_transparent_is_a_value(row, tmp_path):
    path, whole = tmp_path / "x.png", indexed(1, *row)
    path.write_bytes(encoded(whole[0], transparency=3 if len(row) == 2 else (3, 4, 5)))
    assert measure_png(path, declared()).shape == (1, *row)
    np.testing.assert_array_equal(adapter_of(path, whole).read(), whole)


def test_what_comes_after_the_end_makes_no_difference(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(WHOLE + b"and more")
    assert measure_png(path, declared()).shape == (1, 4, 5)
    np.testing.assert_array_equal(adapter_of(path).read(), indexed(1, 4, 5))


def test_a_file_whose_values_are_damaged(tmp_path):
    path, content = tmp_path / "x.png", bytearray(WHOLE)
    content[50] ^= 255
    path.write_bytes(content)
    assert measure_png(path, declared()).shape == (1, 4, 5)  # which looks at no values
    with pytest.raises(InputError, match=r"x\.png cannot be decoded: "):
        adapter_of(path).read()


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (indexed(4, 5, dtype="<u2"), r"uint16 of shape \(4, 5\)"),
        (indexed(5, 4), r"uint8 of shape \(5, 4\)"),
        (indexed(4, 5, 3), r"uint8 of shape \(4, 5, 3\)"),
        (indexed(8, 5), r"uint8 of shape \(8, 5\)"),
    ],
)
def test_an_image_that_is_other_than_declared(stored, said, tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(encoded(stored))
    with pytest.raises(ValueError, match=rf"x\.png holds {said}, declared is uint8 of \(4, 5\)"):
        adapter_of(path).read()


def test_an_image_of_several_that_is_as_large_as_all(tmp_path):
    (path,) = save(tmp_path, indexed(1, 8, 5))
    source = source_of([path, path], indexed(1, 2, 4, 5), **{FILES_PER_ROW: 2})
    with pytest.raises(ValueError, match=r"declared is uint8 of \(1, 4, 5\)"):
        PNGAdapter.from_catalog(source, NODE).read()


def test_checking_the_files(tmp_path, files_of):
    paths = save(tmp_path, indexed(6, 4, 5))
    array = files_of(paths, [4, 5])
    assert examine(array.data_source(), array.assets).findings == ()
    paths[3].write_bytes(WHOLE[:-12])
    paths[4].write_bytes(encoded(indexed(4, 5, dtype="<u2")))
    paths[5].unlink()
    verdict = examine(array.data_source(), array.assets)
    assert [finding.kind for finding in verdict.findings] == ["damaged", "dtype", "missing"]
    assert "the end of its image is missing" in verdict.findings[0].text
    assert verdict.right.structure["shape"] == [3, 4, 5]


def test_without_pillow(tmp_path, monkeypatch):
    (path,) = save(tmp_path, indexed(1, 4, 5))
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert measure_png(path, declared()).shape == (1, 4, 5)
    with pytest.raises(SetupError, match=r"PNG files takes Pillow: .*'tilewright\[server\]'"):
        adapter_of(path).read()


# Documents


@pytest.mark.parametrize(
    ("shape", "parameters", "words"),
    [
        ([2, 4, 5], {"join_method": "concat"}, "2 images each, joined by 'concat'; expected one"),
        ([4, 5], {"chunk_shape": [0]}, "chunk_shape.*1 or more"),
        ([None, 5], {}, "varies"),
        ([2, 4, 5], {"template": "{}.png", "join_method": "concat", "chunk_shape": [2]}, "a file for each"),
        ([3, 4, 5], {"template": "{}.png", "files_per_datum": 2}, r"shape \(3, 4, 5\).* 2 files each"),
        ([4, 5], {"template": 5}, "expected texts"),
        ([4, 5], {"template": "{}_{}.png"}, "one number"),
    ],
)
def test_documents_that_are_refused(shape, parameters, words, resource, descriptor):
    with pytest.raises(InputError, match=words):
        open_array(resource(MIMETYPE, **parameters), descriptor(shape, "|u1"))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({}, {"template": "{}.png"}, "its template is '{}.png', and that of the files before it is None"),
        ({"template": "{}.png"}, {}, "no 'template'"),
        ({}, {"chunk_shape": [3]}, "chunk_shape"),
        ({"template": "{}.png"}, {"template": "{}.png", "files_per_datum": 4}, "files_per_datum is 4"),
    ],
)
def test_resources_that_do_not_go_on(before, after, words, resource, descriptor, datum):
    array = open_array(resource(MIMETYPE, **before), descriptor([4, 5], "|u1"))
    array.add_datum(datum(0, 1))
    with pytest.raises(InputError, match=words):
        array.add_resource(resource(MIMETYPE, uid="r2", **after))
    assert len(array.assets) == 1


def test_several_rows_of_one_file_are_refused(resource, descriptor, datum):
    array = open_array(resource(MIMETYPE, "file://localhost/a.png"), descriptor([4, 5], "|u1"))
    array.add_datum(datum(0, 1))
    with pytest.raises(
        InputError, match=r"Rows 1 to 4 are said to be in file://localhost/a\.png; expected one"
    ):
        array.add_datum(datum(1, 4))
    array.add_datum(datum(1, 1))
    assert array.data_source().structure["shape"] == [1, 4, 5]
    assert len(array.assets) == 1
