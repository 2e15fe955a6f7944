"""What each format says of one file: the shape, dtype and chunks that reading it would show, or why it cannot."""

import subprocess
import sys

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from tilewright.formats import Asset, DataSource, format_for
from tilewright.formats.layout import data_type
from tilewright.formats.looking import examine

HDF5, ZARR, CSV = "application/x-hdf5", "application/x-zarr", "text/csv;header=absent"
TIFF, JPEG = "multipart/related;type=image/tiff", "multipart/related;type=image/jpeg"
NPY = "multipart/related;type=application/x-npy"
FRAMES = np.arange(120, dtype="<u2").reshape(6, 4, 5)


@pytest.fixture
def measure():
    """Return a function that looks into a file: shape, dtype and chunks."""

    def measure(path, mimetype, dtype="<i8", **parameters):
        structure = {"data_type": data_type(np.dtype(dtype)), "shape": [1], "chunks": [[1]]}
        facts = format_for(mimetype).measure(path, DataSource("array", structure, mimetype, parameters))
        return facts.shape, None if facts.dtype is None else facts.dtype.str, facts.chunks

    return measure


def test_hdf5(tmp_path, measure):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a/chunked", data=FRAMES, chunks=(2, 4, 5))
        file["flat"], file["one"], file["none"] = FRAMES, 1.5, np.zeros((0, 3), ">i4")
        file["text"], file["nothing"] = ["a", "bb"], h5py.Empty("<f8")
    assert measure(path, HDF5, dataset="/a/chunked") == ((6, 4, 5), "<u2", (2, 4, 5))
    assert measure(path, HDF5, dataset=["a", "chunked"]) == ((6, 4, 5), "<u2", (2, 4, 5))
    assert measure(path, HDF5, dataset="flat", swmr=True) == ((6, 4, 5), "<u2", None)
    assert measure(path, HDF5, dataset="one") == ((1,), "<f8", None)
    assert measure(path, HDF5, dataset="none") == ((0, 3), ">i4", None)
    assert measure(path, HDF5, dataset="text") == ((2,), None, None)
    assert measure(path, HDF5, dataset="a/chunked", slice=":,1:3,0") == ((6, 2), "<u2", None)
    assert measure(path, HDF5, dataset="flat", slice=":,:1", squeeze=True) == ((6, 5), "<u2", None)
    for name in ("a", "away", "nothing"):
        with pytest.raises(ValueError, match="dataset"):
            measure(path, HDF5, dataset=name)


def test_hdf5_that_is_being_written(tmp_path, measure):
    with h5py.File(tmp_path / "x.h5", "w", libver="latest") as file:
        dataset = file.create_dataset("d", (0, 4), "<u2", maxshape=(None, 4), chunks=(1, 4))
        file.swmr_mode = True
        for rows in (1, 2, 3):
            dataset.resize(rows, 0)
            dataset.flush()
            assert measure(tmp_path / "x.h5", HDF5, dataset="d", swmr=True)[0] == (rows, 4)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff(compression, tmp_path, measure):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, FRAMES[0], compression=compression)
    assert measure(path, TIFF) == ((1, 4, 5), "<u2", None)
    tifffile.imwrite(path, FRAMES, compression=compression, photometric="minisblack", byteorder=">")
    assert measure(path, TIFF) == ((1, 6, 4, 5), "<u2", None)  # as it is read
    assert tifffile.imread(path).dtype.str == "<u2"
    with tifffile.TiffWriter(path) as file:
        for frame in FRAMES:
            file.write(frame, compression=compression, contiguous=False, metadata=None)
    assert measure(path, TIFF)[0] == (1, *tifffile.imread(path).shape)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_that_is_cut_off(compression, tmp_path, measure):
    path = tmp_path / "x.tif"
    values = np.random.default_rng(0).integers(0, 60_000, (400, 500)).astype("<u2")
    tifffile.imwrite(path, values, compression=compression)
    measure(path, TIFF)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="go up to byte"):
        measure(path, TIFF)


def test_jpeg(tmp_path, measure):
    path = tmp_path / "x.jpg"
    Image.fromarray(FRAMES[0].astype("u1")).save(path)
    assert measure(path, JPEG) == ((1, 4, 5), "|u1", None)
    Image.fromarray(np.zeros((4, 5, 3), "u1")).save(path, progressive=True)
    assert measure(path, JPEG) == ((1, 4, 5, 3), "|u1", None)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy(version, tmp_path, measure):
    path = tmp_path / "x.npy"
    with path.open("wb") as file:
        np.lib.format.write_array(file, np.asfortranarray(FRAMES[0].astype(">f4")), version=version)
    assert measure(path, NPY) == ((1, 4, 5), ">f4", None)


@pytest.mark.parametrize("version", [2, 3])
def test_zarr(version, tmp_path, measure):
    zarr.create_array(tmp_path, shape=(6, 4), chunks=(2, 3), dtype="<f4", zarr_format=version)
    assert measure(tmp_path, ZARR) == ((6, 4), "<f4", (2, 3))


@pytest.mark.parametrize(
    ("text", "parameters", "declared", "shape", "dtype"),
    [
        ("1,2\n3,4\n5,6\n", {}, "<i8", (3, 2), "<i8"),
        ("1,2\n3,4\n5,6", {}, "<f4", (3, 2), "<f4"),
        ("1 2\n# no\n\n3 4\n", {"sep": " ", "comment": "#"}, "<u2", (2, 2), "<u2"),
        ("a\n1;2;3\n", {"skiprows": 1, "delimiter": ";", "usecols": [0, 2]}, "<i8", (1, 2), "<i8"),
        ("1,2\n3,4\n", {"nrows": 1, "assume_missing": True}, "<i8", (2, 2), "<i8"),
        ("1,2\n3,\n", {}, "<i8", (2, 2), "<f8"),  # a gap has no place among whole numbers
        ("1,2\n3,no\n", {}, "<f8", (2, 2), "|O"),
        ("1,2\n3,no\n", {}, "<U5", (2, 2), "<U5"),
        ("1,no\n", {}, [("a", "<i8"), ("b", "<U2")], (1, 1), None),
    ],
)
def test_csv(text, parameters, declared, shape, dtype, tmp_path, measure):
    path = tmp_path / "x.csv"
    path.write_text(text)
    assert measure(path, CSV, np.dtype(declared), **parameters) == (shape, dtype, None)


@pytest.mark.parametrize("mimetype", [HDF5, TIFF, JPEG, NPY, ZARR, CSV])
def test_something_else(mimetype, tmp_path):
    """Whatever a library makes of it, it ends in a finding."""
    if mimetype != ZARR:
        (tmp_path / "x").write_bytes(b"\xff\x00 something else")
    else:
        (tmp_path / "x").mkdir()
    structure = {"data_type": data_type(np.dtype("<i8")), "shape": [1], "chunks": [[1]]}
    source = DataSource("array", structure, mimetype, {"dataset": "d"})
    verdict = examine(source, [Asset(f"file://localhost{tmp_path}/x", "data_uris", 0, mimetype == ZARR)])
    (finding,) = verdict.findings
    assert finding.kind == "damaged"
    assert finding.text.startswith("cannot be understood: ")


def test_a_file_that_another_process_has_locked(tmp_path):
    path = tmp_path / "x.h5"
    structure = {"data_type": data_type(np.dtype("<i8")), "shape": [1], "chunks": [[1]]}
    source = DataSource("array", structure, HDF5, {"dataset": "d"})
    assets = [Asset(f"file://localhost{path}", "data_uris", 0)]
    script = f"import h5py\nfile = h5py.File({str(path)!r}, 'w', locking=True)\nfile['d'] = [1]\nprint(flush=True)\ninput()\nfile.close()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        (finding,) = examine(source, assets).findings
        process.communicate("\n")
    assert finding.kind == "locked"
    assert "unable to lock file" in finding.text
    assert examine(source, assets).findings == ()


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "n" * 300])
def test_names_that_no_file_has(name, tmp_path):
    structure = {"data_type": data_type(np.dtype("<i8")), "shape": [1], "chunks": [[1]]}
    source = DataSource("array", structure, HDF5, {"dataset": "d"})
    (finding,) = examine(source, [Asset(f"file://localhost{tmp_path}/{name}", "data_uris", 0)]).findings
    assert finding.kind == "unreadable"
