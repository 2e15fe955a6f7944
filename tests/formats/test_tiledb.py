"""TileDB arrays that exist already: registered where they lie, and read back through a server. A value is its index."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tilewright.errors import InputError
from tilewright.formats import Asset, FileFacts, format_for, open_array
from tilewright.formats.growing import Growing
from tilewright.formats.looking import examine, look
from tilewright.formats.sliced import Sliced
from tilewright.sources import tiledb_schema
from tilewright.sources.tiledb_arrays import TileDBArrays

with np.printoptions():  # which tiledb changes for all of a process
    tiledb = pytest.importorskip("tiledb", reason="the extra tiledb is not installed")

pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")

TILEDB = "application/x-tiledb"
RATE = 1000
FILL = np.iinfo("i2").min


def indexed(*shape, dtype="<i2"):
    return np.arange(np.prod(shape)).astype(dtype).reshape(shape)


def create(path, *dimensions, dtype="i2", attributes=None, **options):
    """Create an array of dimensions (name, first, last, tile)."""
    dims = [
        tiledb.Dim(name, domain=(first, last), tile=tile, dtype=options.get("kind", "i8"))
        for name, first, last, tile in dimensions
    ]
    attrs = [tiledb.Attr(name, dtype=kind) for name, kind in (attributes or {"sample": dtype}).items()]
    schema = tiledb.ArraySchema(tiledb.Domain(*dims), attrs, sparse=options.get("sparse", False))
    tiledb.Array.create(str(path), schema)
    return path


def write(path, values, start=0):
    with tiledb.open(str(path), "w") as array:
        array[start : start + len(values)] = values


def deployment(path, samples=3 * RATE, units=3):
    """Write an array as the seed has it, in small: far larger than what is in it, a row for each unit."""
    create(path, ("unit", 0, 32, 1), ("time", 0, RATE * 7 * 86400, RATE))
    with tiledb.open(str(path), "w") as array:
        array[0:units, 0:samples] = indexed(units, samples)
        array.meta["Deployment_Date"], array.meta["Sampling_Rate"] = "2023-04-25 15:09:20", RATE
    return indexed(units, samples)


def uri(path):
    return f"file://localhost{path}"


def age(path):
    """Have an array look as if it were written long ago."""
    for name in tiledb_schema._STAMPED:
        if (path / name).exists():
            os.utime(path / name, (1, 1))


@pytest.fixture
def one(resource, descriptor, datum, register):
    """Register one array of so many rows, and return its client."""

    def make(path, rows, shape=(), dtype="<i2", **parameters):
        array = open_array(resource(TILEDB, uri(path), **parameters), descriptor(list(shape), dtype))
        array.add_datum(datum(0, rows))
        return register(array)

    return make


@pytest.mark.parametrize("old", [False, True])
def test_samples_of_one_unit_of_a_deployment(old, tmp_path, one):
    values = deployment(tmp_path / "a")
    if old:
        age(tmp_path / "a")
    for row in (0, 2, 0):
        node = one(tmp_path / "a", 3 * RATE, row=row, rate=RATE, chunk_shape=[2 * RATE])
        assert node.shape == (3 * RATE,)
        assert node.chunks == ((2 * RATE, RATE),)
        assert node.metadata["rate"] == RATE
        np.testing.assert_array_equal(node.read(), values[row])
        for key in (np.s_[5], np.s_[990:1010], np.s_[-7:], np.s_[::701], np.s_[2000:10:-3], np.s_[4:4]):
            np.testing.assert_array_equal(node[key], values[row][key])


def test_rows_of_a_deployment(tmp_path, one):
    values = deployment(tmp_path / "a")
    node = one(tmp_path / "a", 3, [3 * RATE], chunk_shape=[1, RATE])
    np.testing.assert_array_equal(node.read(), values)
    np.testing.assert_array_equal(node[1:, 1500:1600:7], values[1:, 1500:1600:7])
    assert node[2, 5] == values[2, 5]


def test_what_was_not_written_has_the_fill_value(tmp_path, one, monkeypatch):
    monkeypatch.setattr("tiled.client.utils.TILED_RETRY_ATTEMPTS", 1)
    deployment(tmp_path / "a")
    node = one(tmp_path / "a", 3, [4 * RATE], chunk_shape=[1, RATE])
    assert (node[:, 3 * RATE :] == FILL).all()
    with pytest.raises(Exception, match="503 Service Unavailable"):
        one(tmp_path / "a", 5, [RATE]).read()
    node = one(tmp_path / "a", 33, [RATE], unwritten="fill")
    assert (node[3:] == FILL).all()
    np.testing.assert_array_equal(node[:3], indexed(3, 3 * RATE)[:, :RATE])


@pytest.mark.parametrize("first", [0, 1, -50, 1 << 40])
def test_domains_begin_anywhere(first, tmp_path, one):
    path = create(tmp_path / "a", ("x", first, first + 99, 10), ("y", first, first + 4, 2))
    with tiledb.open(str(path), "w") as array:
        tiledb_write(array, indexed(40, 5), (first, first))
    node = one(path, 40, [5])
    np.testing.assert_array_equal(node.read(), indexed(40, 5))
    np.testing.assert_array_equal(node[7:31:5, ::-2], indexed(40, 5)[7:31:5, ::-2])
    np.testing.assert_array_equal(one(path, 30, [3], offset=[10, 2]).read(), indexed(40, 5)[10:, 2:])
    np.testing.assert_array_equal(one(path, 3, row=4, offset=[10, 2]).read(), indexed(40, 5)[14, 2:])


def tiledb_write(array, values, first):
    """Write values from a coordinate on, which may be below 0: TileDB's own indexing counts those from the end."""
    region = tiledb.Subarray(array)
    region.add_ranges([[(low, low + length - 1)] for low, length in zip(first, values.shape, strict=True)])
    array.write_subarray(region, values)


def test_coordinates_beyond_those_of_signed_integers(tmp_path, one):
    first = 1 << 63
    path = create(tmp_path / "a", ("x", first, first + (1 << 20), 100), kind="u8")
    write(path, indexed(50), first)
    np.testing.assert_array_equal(one(path, 50).read(), indexed(50))
    np.testing.assert_array_equal(one(path, 48, offset=[2])[::5], indexed(50)[2::5])


def test_coordinates_that_are_times(tmp_path, one):
    day = np.datetime64("2023-04-25", "ns")
    dimension = tiledb.Dim(
        "time", domain=(day, day + 10**9), tile=np.timedelta64(1000, "ns"), dtype="datetime64[ns]"
    )
    schema = tiledb.ArraySchema(tiledb.Domain(dimension), [tiledb.Attr(dtype="i2")])
    tiledb.Array.create(str(tmp_path / "a"), schema)
    with tiledb.open(str(tmp_path / "a"), "w") as array:
        array[day + 5 : day + 54] = indexed(50)
    np.testing.assert_array_equal(one(tmp_path / "a", 50, offset=[5])[3:], indexed(50)[3:])
    assert (one(tmp_path / "a", 55)[:5] == FILL).all()
    (resource,) = [doc for name, doc in TileDBArrays(tmp_path / "a") if name == "stream_resource"]
    assert resource["data_key"] == "values"
    assert resource["parameters"]["offset"] == [5]
    (dimension,) = resource["parameters"]["metadata"]["dimensions"]
    assert dimension == {"name": "time", "first": "2023-04-25T00:00:00.000000005", "tile": 1000, "unit": "ns"}


def test_one_of_several_attributes(tmp_path, one):
    kinds = {"a": "i4", "b": "f8", "c": "datetime64[ns]", "d": "S3"}
    path = create(tmp_path / "a", ("x", 0, 99, 10), attributes=kinds)
    with tiledb.open(str(path), "w") as array:
        array[0:20] = {name: indexed(20).astype(kind) for name, kind in kinds.items()}
    for name, kind in kinds.items():
        found = one(path, 20, dtype=np.dtype(kind).str, attribute=name).read()
        np.testing.assert_array_equal(found, indexed(20).astype(kind))


def test_arrays_after_one_another_that_go_on_growing(tmp_path, resource, descriptor, datum, register, update):
    """There is more in the first one than was promised, and rows are left out."""
    values = indexed(60, 4)
    for name, start, stop in (("a", 0, 30), ("b", 20, 60)):
        create(tmp_path / name, ("x", 0, 9999, 10), ("y", 0, 3, 4))
        write(tmp_path / name, values[start:stop])
    resources = [resource(TILEDB, uri(tmp_path / name), f"r{name}", chunk_shape=[10]) for name in "ab"]
    array = open_array(resources[0], descriptor([4], "<i2", dims=["y"]))
    array.add_datum(datum(0, 20, "ra"))
    array.add_resource(resources[1])
    array.add_datum(datum(20, 30, "rb"))
    node = register(array)
    assert node.dims == ("time", "y")
    np.testing.assert_array_equal(node.read(), values[:30])
    array.add_datum(datum(40, 60, "rb", seq_nums=(31, 51)))
    node = update(node, array, len(array.assets))
    np.testing.assert_array_equal(node.read(), np.delete(values, range(30, 40), axis=0))
    np.testing.assert_array_equal(node[18:45:3, 1], np.delete(values, range(30, 40), axis=0)[18:45:3, 1])


@pytest.mark.parametrize(("shape", "rows"), [([1, 4, 5], 6), ([], 6), ([2, 3], 3)])
def test_rows_of_other_shapes(shape, rows, tmp_path, one):
    whole = indexed(rows, *shape)
    stored = whole.reshape(-1, *shape[1:]) if shape else whole
    path = create(tmp_path / "a", *((f"d{n}", 0, length - 1, 1) for n, length in enumerate(stored.shape)))
    write(path, stored)
    np.testing.assert_array_equal(one(path, rows, shape).read(), whole)


def test_what_is_written_meanwhile_is_seen(tmp_path, one):
    path = create(tmp_path / "a", ("x", 0, 9999, 10))
    write(path, indexed(10))
    age(path)
    node = one(path, 20, chunk_shape=[10])
    assert tiledb_schema.opened(path) is tiledb_schema.opened(path)
    write(path, indexed(20)[10:], 10)
    np.testing.assert_array_equal(node.read(), indexed(20))


def test_threads_read_side_by_side(tmp_path):
    values = deployment(tmp_path / "a")
    age(tmp_path / "a")
    wrong, before = [], threading.active_count()

    def read_all():
        for start in range(0, 2000, 50):
            found = tiledb_schema.opened(tmp_path / "a").read("sample", [(0, 3), (start, start + 900)])
            if (found != values[:, start : start + 900]).any():
                wrong.append(start)

    threads = [threading.Thread(target=read_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert threading.active_count() == before


def source_of(path, shape, resource, descriptor, datum, **parameters):
    array = open_array(resource(TILEDB, uri(path), **parameters), descriptor(list(shape[1:]), "<i2"))
    array.add_datum(datum(0, shape[0]))
    return array.data_source(), array.assets


def test_what_an_array_says_of_itself(tmp_path, resource, descriptor, datum):
    deployment(tmp_path / "a")
    with tiledb.open(str(tmp_path / "a"), "w") as array:
        array[1, 3 * RATE : 5 * RATE] = indexed(2 * RATE)
    measure = format_for(TILEDB).measure

    def facts(shape, **parameters):
        source, _ = source_of(tmp_path / "a", shape, resource, descriptor, datum, **parameters)
        return measure(tmp_path / "a", source)

    assert facts((9, 4000)) == FileFacts((3, 4000), np.dtype("i2"), (1, RATE))
    assert facts((9, 10**12)).shape == (3, 5000)  # more than the domain has
    assert facts((100,), row=0).shape == (3000,)
    assert facts((100,), row=1).shape == (5000,)
    assert facts((100,), row=7).shape == (0,)
    assert facts((100,), row=1, offset=[0, 500]) == FileFacts((4500,), np.dtype("i2"), None)
    assert facts((2, 10), unwritten="fill").shape == (33, 10)


def test_promises_are_held_against_what_was_written(tmp_path, resource, descriptor, datum):
    path = create(tmp_path / "a", ("x", 0, 9999, 10))
    write(path, indexed(30))
    source, assets = source_of(path, (30,), resource, descriptor, datum, chunk_shape=[20])
    assert examine(source, assets).findings == ()
    source, assets = source_of(path, (40,), resource, descriptor, datum, chunk_shape=[15])
    verdict = examine(source, assets)
    assert [finding.text for finding in verdict.findings] == ["holds 30 rows, declared are 40"]
    assert verdict.right.structure["shape"] == [30]
    growing = Growing.of(source, 1)
    assert growing.rows_there(0, lambda number: look(source, assets[number], lambda _: "")) == 30


@pytest.mark.parametrize(
    ("made", "parameters", "message"),
    [
        ("nothing", {}, "no such directory"),
        ("directory", {}, "cannot be opened as a TileDB array"),
        ("sparse", {}, "is a sparse TileDB array"),
        ("two", {}, "has several attributes; the parameter 'attribute' names one, of 'a', 'b'"),
        ("two", {"attribute": "c"}, "has no attribute 'c'"),
        ("text", {}, "attribute 's' cannot be an array, for its values vary in length"),
        ("null", {"attribute": "n"}, "its values may be null"),
        ("two", {"attribute": "a", "row": 1}, "has one dimension only"),
        ("two", {"attribute": "a", "offset": [1, 2]}, "has 1 dimensions, and offset"),
        ("two", {"attribute": "a", "offset": [100]}, "no cell 100 of dimension 'x'"),
    ],
)
def test_what_cannot_be_an_array(made, parameters, message, tmp_path, resource, descriptor, datum):
    path = tmp_path / "a"
    if made == "directory":
        path.mkdir()
    elif made == "sparse":
        create(path, ("x", 0, 99, 10), sparse=True)
    elif made == "two":
        create(path, ("x", 0, 99, 10), attributes={"a": "i2", "b": "i4"})
    elif made in {"text", "null"}:
        attribute = {
            "text": tiledb.Attr("s", dtype="ascii", var=True),
            "null": tiledb.Attr("n", dtype="i2", nullable=True),
        }[made]
        domain = tiledb.Domain(tiledb.Dim("x", domain=(0, 99), tile=10, dtype="i8"))
        tiledb.Array.create(str(path), tiledb.ArraySchema(domain, [attribute]))
    source, assets = source_of(path, (3,), resource, descriptor, datum, **parameters)
    with pytest.raises(InputError, match=message):
        format_for(TILEDB).measure(path, source)
    (finding,) = examine(source, [dataclasses.replace(assets[0])]).findings
    assert finding.kind == ("missing" if made == "nothing" else "damaged")


@pytest.mark.parametrize(
    "parameters",
    [
        {"attribute": 3},
        {"row": -1},
        {"row": "3"},
        {"row": True},
        {"offset": 5},
        {"offset": [1.5]},
        {"unwritten": "zeros"},
        {"metadata": [1]},
    ],
)
def test_parameters_that_make_no_sense(parameters, resource, descriptor):
    (name,) = parameters
    with pytest.raises(InputError, match=f"The {name} of a TileDB array"):
        open_array(resource(TILEDB, "file://localhost/a", **parameters), descriptor([]))


def test_another_row_cannot_go_on_with_an_array(resource, descriptor):
    array = open_array(resource(TILEDB, "file://localhost/a", row=1), descriptor([]))
    with pytest.raises(InputError, match="its row is 2"):
        array.add_resource(resource(TILEDB, "file://localhost/b", "r2", row=2))
    assert array.assets == [Asset("file://localhost/a", "data_uris", 0, is_directory=True)]


def test_importing_tiledb_leaves_alone_how_numpy_prints():
    script = (
        "import numpy, tilewright.formats.registry, sys; assert 'tiledb' not in sys.modules\n"
        "from tilewright.sources.tiledb_schema import context\n"
        "with context() as one: pass\n"
        "with context() as other: assert one is other\n"
        "assert repr(numpy.float64(1.5)) == 'np.float64(1.5)'"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_slices_of_wide_arrays_are_read_in_pieces(monkeypatch):
    values, read = indexed(40, 500), []

    def region(cells):
        read.append(cells)
        return values[tuple(slice(*each) for each in cells)]

    monkeypatch.setattr("tilewright.formats.sliced.PIECE_BYTES", 2000)
    array = Sliced(region, values.shape, values.dtype)
    np.testing.assert_array_equal(array[::7, ::-20], values[::7, ::-20])
    assert max(np.prod([stop - start for start, stop in cells]) for cells in read) * 2 <= 2000
    np.testing.assert_array_equal(array[3, ..., 4:6], values[3, 4:6])
    assert array[5:5].shape == (0, 500)
    with pytest.raises(IndexError):
        array[40]


def test_a_slice_reads_no_more_than_it_touches(tmp_path):
    """An array of 232 GB, of which 3 s were written."""
    deployment(tmp_path / "a")
    age(tmp_path / "a")
    array = tiledb_schema.opened(tmp_path / "a")
    start = time.perf_counter()
    array.read("sample", [(1, 2), (10**8, 10**8 + 100)])
    assert time.perf_counter() - start < 1
