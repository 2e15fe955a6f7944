"""Files that detectors write: documents through our writer and server, and the pixels of the files back."""

import copy
import os

import bluesky.plans as bp
import h5py
import numpy as np
import pytest
import tifffile
import zarr
from tiled.client.bytes import BytesClient

from tilewright import TiledWriter

HDF5, TIFF, ZARR = "application/x-hdf5", "multipart/related;type=image/tiff", "application/x-zarr"


def frames(start, stop):
    """Return frames of 4 by 5 pixels whose values count on from frame to frame."""
    return np.arange(start * 20, stop * 20, dtype="<u2").reshape(-1, 4, 5)


def uri(path):
    return f"file://localhost{path}"


def test_a_simulated_camera(write, catalog, files, run_engine, detectors):
    """Resource, Datum and NPY files, as ophyd writes them."""
    place = files / "npy"
    place.mkdir()
    taken = iter(frames(0, 100))
    camera = detectors.SynSignalWithRegistry(func=lambda: next(taken), name="img", save_path=str(place))
    documents = []
    run_engine.subscribe(write.writer)
    run_engine.subscribe(lambda name, doc: documents.append(name))
    (uid,) = run_engine(bp.count([camera, detectors.det], 3))
    assert {"resource", "datum"} <= set(documents)

    run = catalog[uid]
    written = sorted(place.glob("*.npy"))
    assert len(written) == 3
    images = run["primary"]["img"].read()
    np.testing.assert_array_equal(images, [np.load(path) for path in written])
    np.testing.assert_array_equal(images[1:] - images[:-1], np.full((2, 4, 5), 20))
    np.testing.assert_array_equal(run["primary"].read()["img"].to_numpy(), images)
    assets = run.assets()
    assert assets[assets["data_key"] == "img"]["path"].tolist() == [str(path) for path in written]
    assert assets["exists"].all()
    assert run.notes == []


def test_the_camera_of_ophyd(write, catalog, run_engine, detectors, tmp_path, files, monkeypatch):
    """`ophyd.sim.img` itself, which writes where the server may not read unless told so."""
    monkeypatch.setattr(detectors.img, "save_path", str(files))
    run_engine.subscribe(write.writer)
    (uid,) = run_engine(bp.count([detectors.img, detectors.det], 3))
    np.testing.assert_array_equal(catalog[uid]["primary"]["img"].read(), np.ones((3, 10, 10)))


def test_the_table_leaves_the_files_alone(write, catalog, file_run, files):
    """Not even a file that is damaged comes in the way, and no array is asked for."""
    path = files / "damaged.h5"
    path.write_bytes(b"no HDF5")
    documents = file_run(HDF5, uri(path), {"dataset": "/entry/data", "chunk_shape": [1, 4, 5]})
    write(documents)
    run = catalog[documents[0][1]["uid"]]
    asked = []
    hooks = catalog.context.http_client.event_hooks
    catalog.context.http_client.event_hooks = {
        **hooks,
        "request": [*hooks["request"], lambda request: asked.append(request.url.path)],
    }
    try:
        assert list(run.table()) == ["seq_num", "time", "x"]
        dataset = run.read()
        assert dataset["x"].to_numpy().tolist() == [0.0, 1.0, 2.0]
        assert (dataset["img"].shape, dataset["img"].dtype) == ((3, 4, 5), np.dtype("<u2"))
        assert "(3, 4, 5) uint16" in repr(run["primary"]["img"])
    finally:
        catalog.context.http_client.event_hooks = hooks
    assert asked
    assert not [path for path in asked if "/array/" in path]


def test_a_growing_hdf5_file(write, catalog, file_run, files):
    path = files / "growing.h5"
    documents = file_run(HDF5, uri(path), {"dataset": "/entry/data", "chunk_shape": [1, 4, 5]}, events=5)
    *start, stop = documents
    uid = documents[0][1]["uid"]
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("entry/data", data=frames(0, 2), maxshape=(None, 4, 5), chunks=(1, 4, 5))
    write(start[:7])  # two events and their datums
    assert write.writer.flush(20)
    run = catalog[uid]
    assert run.stop is None
    np.testing.assert_array_equal(run["primary"]["img"].read(), frames(0, 2))

    with h5py.File(path, "a", libver="latest") as file:
        file["entry/data"].resize(5, 0)
        file["entry/data"][2:] = frames(2, 5)
    write(start[7:])
    assert write.writer.flush(20)
    np.testing.assert_array_equal(run["primary"]["img"].read(), frames(0, 5))
    write([stop])
    run = catalog[uid]
    assert run.notes == []
    dataset = run["primary"].read()
    assert dict(dataset.sizes)["time"] == 5
    np.testing.assert_array_equal(dataset["img"].to_numpy(), frames(0, 5))
    assert run.assets()["data_key"].tolist() == ["internal", "img"]


def test_a_sequence_of_tiff_files(write, catalog, file_run, files):
    place = files / "tiff"
    place.mkdir()
    for number, frame in enumerate(frames(0, 3)):
        tifffile.imwrite(place / f"img_{number:05d}.tiff", frame)
    parameters = {"chunk_shape": [1, 4, 5], "template": "img_{:05d}.tiff", "join_method": "stack"}
    documents = file_run(TIFF, f"{uri(place)}/", parameters)
    write(documents)
    run = catalog[documents[0][1]["uid"]]
    np.testing.assert_array_equal(run["primary"]["img"].read(), frames(0, 3))
    assets = run.assets()
    assert assets["path"].tolist()[1:] == [str(path) for path in sorted(place.glob("*.tiff"))]
    assert assets["size"].tolist()[1:] == [path.stat().st_size for path in sorted(place.glob("*.tiff"))]


def test_an_array_in_a_zarr_store(write, catalog, file_run, files):
    store = zarr.open_group(files / "camera.zarr", mode="w")
    store.create_array("entry/data", shape=(5, 4, 5), chunks=(1, 4, 5), dtype="<u2")[:] = frames(0, 5)
    parameters = {"dataset": "/entry/data", "chunk_shape": [1, 4, 5]}
    documents = file_run(ZARR, uri(files / "camera.zarr"), parameters)
    write(documents)
    run = catalog[documents[0][1]["uid"]]
    assert run.notes == []
    np.testing.assert_array_equal(run["primary"]["img"].read(), frames(0, 3))  # what was promised
    np.testing.assert_array_equal(run["primary"]["img"][1, 2:], frames(1, 2)[0, 2:])
    np.testing.assert_array_equal(run["primary"].base["img"].read(), frames(0, 3))
    (asset,) = run.assets().query("data_key == 'img'").to_dict("records")
    assert (asset["path"], asset["exists"]) == (str(files / "camera.zarr" / "entry" / "data"), True)


@pytest.mark.parametrize(
    ("mimetype", "name", "parameters"),
    [
        (HDF5, "gone.h5", {"dataset": "/entry/data", "chunk_shape": [1, 4, 5]}),
        (TIFF, "gone/", {"template": "img_{:05d}.tiff", "chunk_shape": [1, 4, 5], "join_method": "stack"}),
    ],
)
@pytest.mark.parametrize("place", ["readable", "elsewhere"])
def test_files_that_are_not_there(place, mimetype, name, parameters, write, catalog, file_run, files):
    """Somebody may copy them there later: they are registered all the same, and `assets` tells."""
    folder = files if place == "readable" else "/no/such/folder"
    documents = file_run(mimetype, f"file://localhost{folder}/{name}", parameters)
    write(documents)
    run = catalog[documents[0][1]["uid"]]
    assert run.stop == documents[-1][1]
    assert run.table()["x"].tolist() == run["primary"].read()["x"].to_numpy().tolist() == [0.0, 1.0, 2.0]
    assert run["primary"].read()["img"].shape == (3, 4, 5)
    assets = run.assets()
    assert not assets[assets["data_key"] == "img"]["exists"].any()


def test_files_of_unknown_mimetype(write, catalog, container, file_run, files):
    path = files / "some.bin"
    path.write_bytes(b"bytes of their own")
    documents = file_run("application/x-nobody", uri(path), {"made_by": "nobody"})
    write(documents)
    run = catalog[documents[0][1]["uid"]]
    assert run.stop == documents[-1][1]
    assert run.table()["x"].tolist() == run["primary"].read()["x"].to_numpy().tolist() == [0.0, 1.0, 2.0]
    (note,) = run.notes
    assert "application/x-nobody" in note
    (asset,) = run.assets().query("data_key == 'img'").to_dict("records")
    assert (asset["path"], asset["size"], asset["exists"]) == (str(path), 18, True)
    assert "img" in list(run["primary"])
    assert isinstance(run["primary"]["img"], BytesClient)
    downloaded = {}
    run["primary"]["img"].include_data_sources().raw_export(downloaded)
    assert [buffer.getvalue() for buffer in downloaded.values()] == [b"bytes of their own"]


def test_descriptions_that_do_not_fit(write, catalog, file_run, files):
    """A sequence without a template is no sequence: bytes, with a note, and the run is there."""
    documents = file_run(TIFF, f"{uri(files)}/", {"chunk_shape": [1, 4, 5]})
    before = copy.deepcopy(documents)
    write(documents)
    assert documents == before
    run = catalog[documents[0][1]["uid"]]
    assert run.table()["x"].tolist() == [0.0, 1.0, 2.0]
    assert [note for note in run.notes if "template" in note]


def test_files_that_the_server_has_under_another_path(container, catalog, files, run_engine, detectors):
    """As where a disk is mounted twice: ophyd names one place, the server finds another."""
    place = files / "mounted"
    place.mkdir()
    said = files.parent / "elsewhere"
    said.symlink_to(place)
    camera = detectors.SynSignalWithRegistry(func=lambda: frames(0, 1)[0], name="img", save_path=str(said))
    with TiledWriter(container, strict=True, path_map={str(said): str(place)}) as writer:
        run_engine.subscribe(writer)
        (uid,) = run_engine(bp.count([camera], 2))
    run = catalog[uid]
    assert run.notes == []
    assert set(run.assets().query("data_key == 'img'")["path"].map(os.path.dirname)) == {str(place)}
    for array in (run["primary"]["img"], run["primary"].base["img"], container[uid]["primary"]["img"]):
        np.testing.assert_array_equal(array.read(), frames(0, 1).repeat(2, 0))
