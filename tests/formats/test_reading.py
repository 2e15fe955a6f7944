"""What is registered reads back, through a Tiled server, as what the files hold. A value is its index."""

from __future__ import annotations

import os
import time

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from tilewright.formats import UnknownFile, open_array

# Starlette's test client, on which Tiled's in-process client stands, wants a successor of httpx.
pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")

TIFF = "multipart/related;type=image/tiff"
JPEG = "multipart/related;type=image/jpeg"
NPY = "multipart/related;type=application/x-npy"
HDF5 = "application/x-hdf5"
CSV = "text/csv;header=absent"
ZARR = "application/x-zarr"


def indexed(*shape, dtype="<u2"):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def test_hdf5_in_two_files(tmp_path, resource, descriptor, datum, register):
    frames = indexed(7, 4, 5)
    described = descriptor([4, 5], dims=["y", "x"])
    resources = []
    for uid, part in (("r1", frames[:4]), ("r2", frames[4:])):
        with h5py.File(tmp_path / f"{uid}.h5", "w") as file:
            file.create_dataset("/entry/data", data=part, chunks=(2, 4, 5))
        resources.append(
            resource(
                HDF5,
                f"file://localhost{tmp_path}/{uid}.h5",
                uid,
                dataset="/entry/data",
                chunk_shape=[2, 4, 5],
            )
        )
    array = open_array(resources[0], described)
    array.add_datum(datum(0, 4))
    array.add_resource(resources[1])
    array.add_datum(datum(4, 7, "r2"))
    node = register(array)
    np.testing.assert_array_equal(node.read(), frames)
    np.testing.assert_array_equal(node[5, 1:3], frames[5, 1:3])
    assert node.dims == ("time", "y", "x")


def test_hdf5_that_a_second_descriptor_goes_on_with(tmp_path, resource, descriptor, datum, register):
    frames = indexed(5, 3)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["d"] = frames
    uri = f"file://localhost{tmp_path}/x.h5"
    array = open_array(resource(HDF5, uri, "file-d1-img", dataset="d"), descriptor([3]))
    array.add_datum(datum(0, 2, "file-d1-img"))
    array.add_resource(resource(HDF5, uri, "file-d2-img", dataset="d"))
    array.add_datum(datum(2, 5, "file-d2-img"))
    assert len(array.assets) == 1
    np.testing.assert_array_equal(register(array).read(), frames)


def test_hdf5_rows_that_belong_to_no_event(tmp_path, resource, descriptor, datum, register):
    """Some are left out, some were not promised, in each of two files."""
    frames = indexed(10, 4, 5)
    resources = []
    for uid, part in (("r1", frames[:6]), ("r2", frames[6:])):
        with h5py.File(tmp_path / f"{uid}.h5", "w") as file:
            file["d"] = part
        resources.append(resource(HDF5, f"file://localhost{tmp_path}/{uid}.h5", uid, dataset="d"))
    array = open_array(resources[0], descriptor([4, 5]))
    array.add_datum(datum(1, 3))
    array.add_datum(datum(4, 5))
    np.testing.assert_array_equal(register(array).read(), frames[[1, 2, 4]])
    array.add_resource(resources[1])
    array.add_datum(datum(5, 8, "r2"))
    node = register(array)
    np.testing.assert_array_equal(node.read(), frames[[1, 2, 4, 6, 7, 8]])
    np.testing.assert_array_equal(node[2:4, 1], frames[[4, 6], 1])


def test_hdf5_several_frames_an_event_that_goes_on_growing(
    tmp_path, resource, descriptor, datum, register, update
):
    frames = indexed(9, 4, 5)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["d"] = frames
    uri = f"file://localhost{tmp_path}/x.h5"
    array = open_array(resource(HDF5, uri, dataset="d", multiplier=3), descriptor([4, 5]))
    array.add_datum(datum(0, 2))
    node = register(array)
    np.testing.assert_array_equal(node.read(), frames[:6].reshape(2, 3, 4, 5))
    array.add_datum(datum(2, 3))
    np.testing.assert_array_equal(update(node, array, 1).read(), frames.reshape(3, 3, 4, 5))


def test_hdf5_one_file_an_event(tmp_path, resource, descriptor, datum, register):
    frames = indexed(3, 2, 4)
    for number, frame in enumerate(frames):
        with h5py.File(tmp_path / f"x_{number:03d}.h5", "w") as file:
            file["d"] = frame[None]
    uri = f"file://localhost{tmp_path}"
    array = open_array(
        resource(HDF5, uri, dataset="d", template="/x_{:03d}.h5", chunk_shape=[1, 2, 4]), descriptor([2, 4])
    )
    array.add_datum(datum(0, 3))
    np.testing.assert_array_equal(register(array).read(), frames)


@pytest.mark.parametrize(
    ("shape", "stored"),
    [
        ([1, 4, 5], (6, 4, 5)),  # as ophyd-async has it
        ([4, 5], (6, 4, 5)),
        ([4, 5], (6, 1, 4, 5)),
        ([3, 4, 5], (18, 4, 5)),
        ([1], (6,)),
        ([3], (18,)),
    ],
)
def test_hdf5_with_more_than_is_promised(
    shape, stored, tmp_path, resource, descriptor, datum, register, update
):
    """A detector writes on while its documents are on their way."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["d"] = indexed(*stored)
    array = open_array(resource(HDF5, f"file://localhost{tmp_path}/x.h5", dataset="d"), descriptor(shape))
    expected = indexed(6) if shape == [1] else indexed(6, *shape)
    array.add_datum(datum(0, 2))
    node = register(array)
    np.testing.assert_array_equal(node.read(), expected[:2])
    for start, stop in ((2, 3), (3, 6)):
        array.add_datum(datum(start, stop))
        node = update(node, array, len(array.assets))
        np.testing.assert_array_equal(node.read(), expected[:stop])
        np.testing.assert_array_equal(node[start], expected[start])


@pytest.mark.parametrize(("age", "status"), [(0, 503), (10**6, 422)])
def test_hdf5_with_less_than_is_promised(age, status, tmp_path, resource, descriptor, datum, register):
    """It may still come, unless nobody has written to the file for long."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["d"] = indexed(2, 4, 5)
    os.utime(tmp_path / "x.h5", (time.time() - age,) * 2)
    array = open_array(resource(HDF5, f"file://localhost{tmp_path}/x.h5", dataset="d"), descriptor([1, 4, 5]))
    array.add_datum(datum(0, 3))
    node = register(array)
    answer = node.context.http_client.get(node.uri.replace("/metadata/", "/array/full/", 1))
    assert answer.status_code == status
    assert "A file holds 2 along the first dimension, but 3 are promised" in answer.json()["detail"]


def write_rows(mimetype, path, rows):
    """Write the file or store of a detector; return the parameters of its StreamResource."""
    if mimetype == HDF5:
        with h5py.File(path, "w") as file:
            file["d"] = rows
        return {"dataset": "d"}
    zarr.create_array(path, shape=rows.shape, chunks=(1, *rows.shape[1:]), dtype=rows.dtype)[:] = rows
    return {}


@pytest.mark.parametrize("mimetype", [HDF5, ZARR])
@pytest.mark.parametrize(
    ("shape", "stored", "join"),
    [
        ([4, 5], (1, 4, 5), "stack"),
        ([1, 4, 5], (1, 4, 5), "stack"),
        ([3, 4, 5], (3, 4, 5), "stack"),
        ([3, 4, 5], (3, 4, 5), "concat"),
        ([1], (1,), "stack"),
        ([2], (2,), "stack"),
    ],
)
@pytest.mark.parametrize("files", [1, 2, 3, 4])
def test_frames_that_no_document_names_in_files_that_others_follow(  # noqa: PLR0913, PLR0917 - fixtures
    files, mimetype, shape, stored, join, tmp_path, resource, descriptor, datum, register
):
    """An interrupted staging leaves them, and each staging begins a file of its own; of one no row is promised."""
    promised, written = [2, 0, 3, 1][:files], [3, 2, 5, 1]
    frames = indexed(sum(promised) * stored[0], *stored[1:])
    resources, datums, start = [], [], 0
    for number, rows in enumerate(promised):
        part = frames[start * stored[0] : (start + rows) * stored[0]]
        ahead = np.full(((written[number] - rows) * stored[0], *stored[1:]), 60_000, frames.dtype)
        path = tmp_path / f"{number}"
        parameters = write_rows(mimetype, path, np.concatenate([part, ahead])) | {"join_method": join}
        resources.append(resource(mimetype, f"file://localhost{path}", f"r{number}", **parameters))
        datums.append(datum(start, start + rows, f"r{number}"))
        start += rows
    array = open_array(resources[0], descriptor(shape))
    array.add_datum(datums[0])
    for described, rows in zip(resources[1:], datums[1:], strict=True):
        array.add_resource(described)
        array.add_datum(rows)
    node = register(array)
    expected = frames if join == "concat" or shape == [1] else frames.reshape(-1, *shape)
    assert node.shape == expected.shape
    np.testing.assert_array_equal(node.read(), expected)
    np.testing.assert_array_equal(node[-1], expected[-1])


@pytest.mark.parametrize("template", ["%s_%06d.tif", "scan_{:06d}.tif"])
def test_tiff_sequence_that_grows(template, tmp_path, resource, descriptor, datum, register, update):
    frames = indexed(6, 4, 5)
    for number, frame in enumerate(frames):
        tifffile.imwrite(tmp_path / f"scan_{number:06d}.tif", frame)
    uri = f"file://localhost{tmp_path}/"
    array = open_array(
        resource(TIFF, uri, template=template, filename="scan", chunk_shape=[1, 4, 5]), descriptor([4, 5])
    )
    array.add_datum(datum(0, 2))
    node = register(array)
    np.testing.assert_array_equal(node.read(), frames[:2])
    for start in range(2, 6):
        sent = len(array.assets)
        array.add_datum(datum(start, start + 1))
        node = update(node, array, sent)
    np.testing.assert_array_equal(node.read(), frames)
    np.testing.assert_array_equal(node[4], frames[4])


@pytest.mark.parametrize("pages", [1, 2])
def test_tiff_several_frames_an_event(pages, tmp_path, resource, descriptor, datum, register):
    frames = indexed(3, 4, 2, 5)
    for number, file in enumerate(frames.reshape(-1, pages, 2, 5)):
        tifffile.imwrite(tmp_path / f"{number}.tif", np.squeeze(file), photometric="minisblack")
    parameters = {"template": "{}.tif", "chunk_shape": [pages, 2, 5]}
    array = open_array(resource(uri=f"file://localhost{tmp_path}/", **parameters), descriptor([4, 2, 5]))
    array.add_datum(datum(0, 3))
    node = register(array)
    np.testing.assert_array_equal(node.read(), frames)
    np.testing.assert_array_equal(node[1, 3], frames[1, 3])


def test_npy_staged_twice(tmp_path, resource, descriptor, datum, register):
    """Each staging writes to another stem and counts from 0 again."""
    frames = indexed(5, 3, 2, dtype="<i8")
    for number, frame in enumerate(frames):
        stem, count = ("a", number) if number < 3 else ("b", number - 3)
        np.save(tmp_path / f"{stem}_{count}.npy", frame)
    described = descriptor([3, 2], dtype_numpy="<i8")
    array = open_array(resource(NPY, f"file://localhost{tmp_path}/a"), described)
    array.add_datum(datum(0, 3))
    array.add_resource(resource(NPY, f"file://localhost{tmp_path}/b", "r2"))
    array.add_datum(datum(3, 5, "r2"))
    np.testing.assert_array_equal(register(array).read(), frames)


def test_a_file_named_twice_is_read_twice(tmp_path, resource, descriptor, datum, register):
    """A rewound plan may name a frame again; Tiled takes an asset only once in an array."""
    for number in range(3):
        tifffile.imwrite(tmp_path / f"{number}.tif", np.full((2, 2), number, dtype="<u2"))
    array = open_array(resource(uri=f"file://localhost{tmp_path}/", template="{}.tif"), descriptor([2, 2]))
    for start, stop in ((0, 2), (1, 3)):
        array.add_datum(datum(start, stop))
    assert register(array).read()[:, 0, 0].tolist() == [0, 1, 1, 2]


def test_jpeg_sequence(tmp_path, resource, descriptor, datum, register):
    for number in range(3):
        Image.fromarray(np.full((8, 8), 50 * number, dtype="u1")).save(tmp_path / f"{number}.jpg")
    array = open_array(
        resource(JPEG, f"file://localhost{tmp_path}/", template="%d.jpg"),
        descriptor([8, 8], dtype_numpy="|u1"),
    )
    array.add_datum(datum(0, 3))
    assert register(array).read()[:, 0, 0].tolist() == [0, 50, 100]


def test_csv(tmp_path, resource, descriptor, datum, register):
    rows = indexed(6, 2, dtype="<f8")
    np.savetxt(tmp_path / "x.csv", rows, delimiter=",")
    array = open_array(
        resource(CSV, f"file://localhost{tmp_path}/x.csv"),
        descriptor([3, 2], dtype_numpy="<f8"),
    )
    array.add_datum(datum(0, 2))
    np.testing.assert_array_equal(register(array).read(), rows)


def test_csv_that_goes_on_growing(tmp_path, resource, descriptor, datum, register, update):
    """There are more lines in it than were promised, and some of them are left out."""
    rows = indexed(12, 2, dtype="<f8")
    np.savetxt(tmp_path / "x.csv", rows, delimiter=",")
    array = open_array(
        resource(CSV, f"file://localhost{tmp_path}/x.csv"), descriptor([3, 2], dtype_numpy="<f8")
    )
    array.add_datum(datum(0, 1))
    node = register(array)
    np.testing.assert_array_equal(node.read(), rows[:3])
    array.add_datum(datum(2, 3))
    np.testing.assert_array_equal(update(node, array, 1).read(), rows[[0, 1, 2, 6, 7, 8]])


def test_csv_columns_of_ones_choice(tmp_path, resource, descriptor, datum, register):
    rows = indexed(6, 4, dtype="<f8")
    np.savetxt(tmp_path / "x.csv", rows, delimiter=";", header="a;b;c;d")
    uri = f"file://localhost{tmp_path}/x.csv"
    parameters = {"sep": ";", "skiprows": 1, "usecols": [2, 0], "assume_missing": True}
    array = open_array(resource(CSV, uri, **parameters), descriptor([3, 2], dtype_numpy="<f8"))
    array.add_datum(datum(0, 2))
    np.testing.assert_array_equal(register(array).read(), rows[:, [2, 0]])


def test_csv_that_says_where_it_ends(tmp_path, resource, descriptor, datum, register):
    rows = indexed(4, 2, dtype="<f8")
    np.savetxt(tmp_path / "x.csv", rows, delimiter=",")
    uri = f"file://localhost{tmp_path}/x.csv"
    array = open_array(resource(CSV, uri, nrows=6), descriptor([3, 2], dtype_numpy="<f8"))
    array.add_datum(datum(0, 2))
    np.testing.assert_array_equal(register(array).read(), [*rows, [0, 0], [0, 0]])


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("dataset", [None, "/entry/data"])
def test_zarr_in_two_stores_that_go_on_growing(
    version, dataset, tmp_path, resource, descriptor, datum, register, update
):
    """The second store has more rows than its documents promise yet."""
    frames = indexed(9, 4, 5)
    resources = []
    for uid, part in (("r1", frames[:4]), ("r2", frames[4:])):
        store = zarr.open_group(tmp_path / f"{uid}.zarr", mode="w", zarr_format=version)
        name = dataset.strip("/") if dataset else "x"
        store.create_array(name, shape=part.shape, chunks=(2, 4, 5), dtype=part.dtype)[:] = part
        uri = f"file://localhost{tmp_path}/{uid}.zarr/{'' if dataset else name}"
        resources.append(
            resource(ZARR, uri, uid, chunk_shape=[2, 4, 5], **({"dataset": dataset} if dataset else {}))
        )
    array = open_array(resources[0], descriptor([4, 5], dims=["y", "x"]))
    array.add_datum(datum(0, 4))
    array.add_resource(resources[1])
    array.add_datum(datum(4, 6, "r2"))
    node = register(array)
    assert node.dims == ("time", "y", "x")
    np.testing.assert_array_equal(node.read(), frames[:6])
    array.add_datum(datum(6, 9, "r2"))
    node = update(node, array, len(array.assets))
    np.testing.assert_array_equal(node.read(), frames)
    np.testing.assert_array_equal(node[3:6, 1:3], frames[3:6, 1:3])


@pytest.mark.parametrize(("shape", "rows"), [([1, 4, 5], 6), ([], 6), ([2, 3], 3)])
def test_zarr_rows_of_other_shapes(shape, rows, tmp_path, resource, descriptor, datum, register):
    whole = indexed(rows, *shape)
    stored = whole.reshape(-1, *shape[1:]) if shape else whole
    zarr.create_array(tmp_path / "x.zarr", shape=stored.shape, chunks=stored.shape, dtype=stored.dtype)[:] = (
        stored
    )
    array = open_array(resource(ZARR, f"file://localhost{tmp_path}/x.zarr"), descriptor(shape))
    array.add_datum(datum(0, rows))
    np.testing.assert_array_equal(register(array).read(), whole)


def test_zarr_arrays_that_tiled_writes_are_as_before(client):
    node = client.write_array(indexed(4, 3))
    np.testing.assert_array_equal(node.read(), indexed(4, 3))
    node.write(indexed(4, 3) + 1)
    np.testing.assert_array_equal(node.read(), indexed(4, 3) + 1)


@pytest.mark.parametrize(
    "uri", ["{}/there.bin", "{}/not there.bin", "s3://bucket/elsewhere.bin", "nonsense", None]
)
def test_unknown_files_register_wherever_they_are(
    uri, tmp_path, resource, descriptor, datum, register, update
):
    (tmp_path / "there.bin").write_bytes(b"\x00\x01\x02")
    uri = uri and uri.format(f"file://localhost{tmp_path}")
    array = UnknownFile(resource("application/x-novel", uri, spec="NOVEL", depth=3), "no format reads it.")
    node = register(array)
    array.add_datum(datum(0, 3))
    node = update(node, array, len(array.assets))
    (source,) = node.include_data_sources().data_sources()
    assert node.structure_family == "bytes"
    assert [asset.data_uri for asset in source.assets] == [uri] * (uri is not None)
    assert source.properties == {
        "mimetype": "application/x-novel",
        "parameters": {"spec": "NOVEL", "depth": 3},
    }
    assert dict(node.metadata) == {"spec": "NOVEL"}
