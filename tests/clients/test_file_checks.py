"""`run.verify(files=True)`: each file of each format, with each thing that can be wrong with it; and the repair.

A value is its index in the whole, so that what is read after a repair cannot come from another place.
"""

import os
import shutil

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from event_model import compose_run
from PIL import Image

from tilewright import TiledWriter, open_catalog
from tilewright.delivery import target
from tilewright.delivery.remote import Remote
from tilewright.delivery.run import Outcome, RunDelivery
from tilewright.errors import InputError
from tilewright.journal import JournalReader
from tilewright.server import serve

HDF5, ZARR, CSV = "application/x-hdf5", "application/x-zarr", "text/csv;header=absent"
TIFF, JPEG = "multipart/related;type=image/tiff", "multipart/related;type=image/jpeg"
NPY = "multipart/related;type=application/x-npy"
ROWS, SHAPE = 6, (4, 5)
FRAMES = np.arange(ROWS * 20, dtype="<u2").reshape(ROWS, *SHAPE)


@pytest.fixture(scope="module")
def ours(readable):
    with serve(readable_storage=[readable], announce=False) as server, open_catalog(server.uri) as catalog:
        yield catalog


@pytest.fixture
def record(ours, tmp_path):
    """Return a function that records a run of files and returns it."""

    def record(resources, *, shape=SHAPE, dtype="<u2", where=ours):
        """Record StreamResources, each of (mimetype, uri, parameters, rows), for the data key `img`."""
        run = compose_run()
        spec = {"source": "test", "dtype": "array", "dtype_numpy": dtype, "shape": list(shape)}
        stream = run.compose_descriptor(name="primary", data_keys={"img": spec | {"external": "STREAM:"}})
        documents, row = [("start", run.start_doc), ("descriptor", stream.descriptor_doc)], 0
        for mimetype, uri, parameters, rows in resources:
            resource = run.compose_stream_resource(
                mimetype=mimetype, uri=f"file://localhost{uri}", data_key="img", parameters=parameters
            )
            datum = resource.compose_stream_datum(
                indices={"start": row, "stop": row + rows},
                seq_nums={"start": row + 1, "stop": row + rows + 1},
                descriptor=stream.descriptor_doc,
            )
            documents += [("stream_resource", resource.stream_resource_doc), ("stream_datum", datum)]
            row += rows
        with TiledWriter(where, strict=True, journal=tmp_path / "journals") as writer:
            for document in [*documents, ("stop", run.compose_stop())]:
                writer(*document)
        return where[run.start_doc["uid"]]

    return record


def write_hdf5(path, frames, chunks=(1, 4, 5)):
    with h5py.File(path, "w") as file:
        file.create_dataset("entry/data", data=frames, chunks=chunks)


def sequence(folder, frames, mimetype):
    """Write frames as numbered files; return their directory, and the parameters that name them."""
    suffix = {TIFF: "tif", JPEG: "jpg", NPY: "npy"}[mimetype]
    for number, frame in enumerate(frames):
        path = folder / f"x_{number:03d}.{suffix}"
        if mimetype == TIFF:
            tifffile.imwrite(path, frame)
        elif mimetype == JPEG:
            Image.fromarray(frame).save(path, quality=100)
        else:
            np.save(path, frame)
    return [(mimetype, f"{folder}/", {"template": f"x_{{:03d}}.{suffix}"}, len(frames))]


def hdf5(folder, *lengths, chunks=(1, 4, 5), **parameters):
    """Write frames into HDF5 files of so many rows each."""
    resources, start = [], 0
    for number, rows in enumerate(lengths or (ROWS,)):
        path = folder / f"{number}.h5"
        write_hdf5(path, FRAMES[start : start + rows], chunks)
        resources.append(
            (HDF5, path, {"dataset": "entry/data", "chunk_shape": [1, 4, 5], **parameters}, rows)
        )
        start += rows
    return resources


def stores(folder, *lengths, version=3):
    resources, start = [], 0
    for number, rows in enumerate(lengths or (ROWS,)):
        path = folder / f"{number}.zarr"
        part = FRAMES[start : start + rows]
        array = zarr.create_array(
            path, shape=part.shape, chunks=(1, 4, 5), dtype=part.dtype, zarr_format=version
        )
        array[:] = part
        resources.append((ZARR, path, {"chunk_shape": [1, 4, 5]}, rows))
        start += rows
    return resources


def table(folder):
    np.savetxt(folder / "x.csv", np.arange(12).reshape(6, 2), fmt="%d", delimiter=",")
    return [(CSV, folder / "x.csv", {}, 3)]


def grey(frames):
    """Return frames that JPEG keeps as they are: one value each."""
    return np.full_like(frames, 7, dtype="u1")


def read(run):
    return run["primary"]["img"].read()


SOUND = {
    "hdf5": (hdf5, {}),
    "hdf5 in two": (lambda folder: hdf5(folder, 4, 2), {}),
    "zarr 2": (lambda folder: stores(folder, version=2), {}),
    "zarr in two": (lambda folder: stores(folder, 2, 4), {}),
    "tiff": (lambda folder: sequence(folder, FRAMES, TIFF), {}),
    "jpeg": (lambda folder: sequence(folder, grey(FRAMES), JPEG), {"dtype": "|u1"}),
    "npy": (lambda folder: sequence(folder, FRAMES, NPY), {}),
    "csv": (table, {"shape": (2, 2), "dtype": "<i8"}),
}


@pytest.mark.parametrize("kind", SOUND)
def test_sound_files_are_equal_and_stay_as_they_are(kind, folder, record):
    write, declared = SOUND[kind]
    run = record(write(folder), **declared)
    for repair in (False, True):
        comparison = run.verify(files=True, repair=repair)
        assert comparison.equal, str(comparison)
        assert comparison.remarks == ()
        assert comparison.files == len(run.assets())
    assert f"and so are its files ({len(run.assets())})" in str(comparison)
    assert run.refresh().notes == []
    assert read(run).shape == ((6, 2) if kind == "csv" else FRAMES.shape)


def corrected(run, *, rows, expected, problems):
    """Check what is said of a run, repair it, and check what is read and said then."""
    before = run.verify(files=True)
    assert not before.equal
    for problem, words in zip(before.problems, problems, strict=False):
        assert words in problem, before
    assert before.problems[-1].endswith("to be corrected with repair"), before
    assert len(before.problems) == len(problems) + 1, before
    assets = run.assets()["uri"].tolist()
    after = run.verify(files=True, repair=True)
    assert after.equal, str(after)
    assert "it has been corrected to" in after.remarks[-1]
    assert run.verify(files=True).equal
    fresh = run["primary"]["img"]
    assert fresh.shape[0] == rows
    np.testing.assert_array_equal(fresh.read(), expected)
    np.testing.assert_array_equal(fresh[rows - 1], expected[rows - 1])
    np.testing.assert_array_equal(run["primary"].read()["img"].to_numpy(), expected)
    assert fresh.read().dtype == expected.dtype
    assert run.assets()["uri"].tolist() == assets
    (note,) = run.notes
    assert note.startswith("Corrected after a look at the files: primary/img was declared as")
    return note


@pytest.mark.parametrize("mimetype", [TIFF, JPEG, NPY])
def test_a_file_missing_in_the_middle(mimetype, folder, record):
    frames = grey(FRAMES) if mimetype == JPEG else FRAMES
    run = record(sequence(folder, frames, mimetype), dtype=frames.dtype.str)
    gone = sorted(folder.iterdir())[4]
    kept = gone.read_bytes()
    gone.unlink()
    note = corrected(run, rows=4, expected=frames[:4], problems=[f"primary/img: {gone} is missing"])
    assert f"{frames.dtype} of shape (6, 4, 5)" in note
    assert f"it is {frames.dtype} of shape (4, 4, 5)" in note

    gone.write_bytes(kept)  # it was only late
    comparison = run.verify(files=True)
    assert not comparison.equal
    assert "corrected before" in str(comparison)
    assert run.verify(files=True, repair=True).equal
    assert run.notes == []
    np.testing.assert_array_equal(read(run), frames)


def test_a_file_of_a_row_of_several_is_missing(folder, record):
    resources = sequence(folder, FRAMES, TIFF)
    ((mimetype, uri, parameters, _),) = resources
    run = record([(mimetype, uri, parameters | {"chunk_shape": [1, 4, 5]}, 3)], shape=(2, 4, 5))
    assert run.verify(files=True).equal
    (folder / "x_003.tif").unlink()
    corrected(run, rows=1, expected=FRAMES[:2].reshape(1, 2, 4, 5), problems=["x_003.tif is missing"])


@pytest.mark.parametrize("write", [hdf5, stores])
def test_the_second_of_two_files_is_missing(write, folder, record):
    resources = write(folder, 4, 2)
    run = record(resources)
    path = resources[1][1]
    path.unlink() if path.is_file() else shutil.rmtree(path)
    corrected(run, rows=4, expected=FRAMES[:4], problems=[f"{path} is missing"])


@pytest.mark.parametrize("write", [hdf5, stores])
def test_the_first_of_two_files_is_shorter(write, folder, record):
    """So the rows of the second one would be taken for those of other events."""
    resources = write(folder, 4, 2)
    run = record(resources)
    path = resources[0][1]
    if write is hdf5:
        write_hdf5(path, FRAMES[:3])
    else:
        zarr.open_array(path).resize((3, 4, 5))
    corrected(run, rows=3, expected=FRAMES[:3], problems=[f"{path} holds 3 rows, declared are 4"])


@pytest.mark.parametrize("write", [hdf5, stores])
def test_shorter_than_promised(write, folder, record):
    (resource,) = write(folder)
    run = record([(*resource[:3], ROWS + 2)])
    corrected(run, rows=ROWS, expected=FRAMES, problems=["holds 6 rows, declared are 8"])


def test_a_csv_file_that_lacks_lines(folder, record):
    run = record(table(folder), shape=(2, 2), dtype="<i8")
    (folder / "x.csv").write_text("0,1\n2,3\n4,5\n")
    expected = np.arange(6).reshape(3, 2)
    corrected(run, rows=3, expected=expected, problems=["holds 3 rows, declared are 6"])


@pytest.mark.parametrize("kind", ["hdf5", "zarr 2", "tiff", "jpeg", "npy"])
def test_another_dtype(kind, folder, record):
    run = record(SOUND[kind][0](folder), dtype="<i4")
    expected = grey(FRAMES) if kind == "jpeg" else FRAMES
    files = len(run.assets())
    said = [f"holds {expected.dtype}, declared is int32"] * files
    note = corrected(run, rows=ROWS, expected=expected, problems=said)
    assert "declared as int32" in note
    assert f"it is {expected.dtype}" in note


def test_another_dtype_in_text(folder, record):
    (folder / "x.csv").write_text("0.5,1\n2,3\n")
    run = record([(CSV, folder / "x.csv", {}, 1)], shape=(2, 2), dtype="<i8")
    expected = np.array([[0.5, 1], [2, 3]])
    corrected(run, rows=2, expected=expected, problems=["holds float64, declared is int64"])


@pytest.mark.parametrize("kind", ["hdf5", "zarr 2", "tiff", "npy"])
def test_another_shape(kind, folder, record):
    run = record(SOUND[kind][0](folder), shape=(4, 6))
    files = len(run.assets())
    corrected(run, rows=ROWS, expected=FRAMES, problems=["(4, 5) in a row, declared is (4, 6)"] * files)


def test_chunks_that_cut_through_those_of_the_file(folder, record):
    run = record(hdf5(folder, chunks=(3, 4, 5), chunk_shape=[2, 4, 5]))
    assert run["primary"]["img"].chunks[0] == (2, 2, 2)
    said = "is stored in chunks of (3, 4, 5), declared are (2, 4, 5)"
    corrected(run, rows=ROWS, expected=FRAMES, problems=[said])
    assert run["primary"]["img"].chunks[0] == (3, 3)


def test_several_chunks_of_the_file_in_one_that_is_declared(folder, record):
    run = record(hdf5(folder, chunks=(1, 4, 5), chunk_shape=[2, 4, 5]))
    assert run.verify(files=True).equal


def test_a_file_with_more_than_promised_is_no_fault(folder, record):
    """It may be growing; what is beyond is not read."""
    (resource,) = hdf5(folder)
    run = record([(*resource[:3], 4)])
    comparison = run.verify(files=True, repair=True)
    assert comparison.equal
    (remark,) = comparison.remarks
    assert remark.endswith("0.h5 holds 6 rows, declared are 4")
    np.testing.assert_array_equal(read(run), FRAMES[:4])


@pytest.mark.parametrize("files", [hdf5, stores])
def test_more_than_promised_in_a_file_that_others_follow(files, folder, record):
    """A detector whose staging was interrupted has written frames that no document names."""
    first, second = files(folder, 4, 2)
    run = record([(*first[:3], 3), second])
    comparison = run.verify(files=True, repair=True)
    assert comparison.equal
    (remark,) = comparison.remarks
    assert "holds 4 rows, declared are 3" in remark
    np.testing.assert_array_equal(read(run), FRAMES[[0, 1, 2, 4, 5]])


DAMAGE = {
    "hdf5": lambda path: path.write_bytes(path.read_bytes()[:-500]),
    "zarr 2": lambda path: (path / ".zarray").write_text("{"),
    "tiff": lambda path: path.write_bytes(path.read_bytes()[:-10]),
    "jpeg": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "npy": lambda path: path.write_bytes(path.read_bytes()[:-10]),
    "csv": lambda path: path.write_bytes(b"\xff\xfe\xfd"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_files(kind, folder, record):
    write, declared = SOUND[kind]
    run = record(write(folder), **declared)
    paths = sorted(folder.iterdir())
    DAMAGE[kind](paths[-1])
    said = f"primary/img: {paths[-1]} cannot be understood: "
    if len(paths) > 1:
        expected = grey(FRAMES) if kind == "jpeg" else FRAMES
        corrected(run, rows=ROWS - 1, expected=expected[:-1], problems=[said])
        return
    comparison = run.verify(files=True, repair=True)
    assert comparison.problems[0].startswith(said)
    assert comparison.problems[1].endswith("cannot be corrected: nothing of it is there")
    assert run.notes == []


def test_a_dataset_of_another_name(folder, record):
    (resource,) = hdf5(folder, dataset="entry/other")
    problem, conclusion = record([resource]).verify(files=True).problems
    assert "it has no dataset 'entry/other'" in problem
    assert "uint16 of shape (6, 4, 5)" in conclusion


def test_slice_and_squeeze(folder, record):
    write_hdf5(folder / "x.h5", FRAMES[:, :, None, :], (1, 4, 1, 5))
    parameters = {"dataset": "entry/data", "slice": ":,1:3", "squeeze": True}
    run = record([(HDF5, folder / "x.h5", parameters, ROWS)], shape=(2, 5))
    np.testing.assert_array_equal(read(run), FRAMES[:, 1:3])
    assert run.verify(files=True).equal
    run = record([(HDF5, folder / "x.h5", parameters, ROWS + 1)], shape=(2, 5))
    corrected(run, rows=ROWS, expected=FRAMES[:, 1:3], problems=["holds 6 rows, declared are 7"])


def test_files_of_unlike_kinds_are_not_corrected(folder, record):
    run = record(sequence(folder, FRAMES, TIFF))
    tifffile.imwrite(folder / "x_002.tif", FRAMES[2].astype("<f4"))
    comparison = run.verify(files=True, repair=True)
    assert "x_002.tif holds float32, declared is uint16" in comparison.problems[0]
    assert comparison.problems[1].endswith("its files are of several dtypes")


def test_outside_the_readable_storage(folder, record, tmp_path):
    """Neither there nor by way of `..` is anything opened."""
    write_hdf5(tmp_path / "x.h5", FRAMES)
    around = os.path.relpath(tmp_path, folder)
    assert around.startswith("../..")
    for uri in (tmp_path / "x.h5", f"{folder}/{around}/x.h5"):
        run = record([(HDF5, uri, {"dataset": "entry/data"}, ROWS)])
        comparison = run.verify(files=True, repair=True)
        assert comparison.problems[0].endswith("x.h5 is outside the server's readable_storage")
        assert comparison.problems[1].endswith("the server has to be able to read all of its files first")


def test_what_the_server_cannot_open(folder, record):
    """Who runs the tests may read anything; a directory in the place of the file not even the administrator can."""
    run = record(sequence(folder, FRAMES, NPY))
    (folder / "x_001.npy").unlink()
    (folder / "x_001.npy").mkdir()
    comparison = run.verify(files=True, repair=True)
    assert "x_001.npy cannot be opened: Is a directory" in comparison.problems[0]
    assert comparison.problems[1].endswith("the server has to be able to read all of its files first")
    assert run.refresh().notes == []


def test_many_files_are_told_in_few_sentences(folder, record):
    run = record([(TIFF, f"{folder}/", {"template": "x_{:03d}.tif"}, 500)])
    comparison = run.verify(files=True)
    assert comparison.files == 500
    *files, more, conclusion = comparison.problems
    assert [text.rpartition("/")[2] for text in files] == [
        f"x_{number:03d}.tif is missing" for number in range(10)
    ]
    assert more == "primary/img: and 490 more files"
    assert conclusion.endswith("nothing of it is there")


def test_files_of_unknown_format(folder, record):
    (folder / "x.odd").write_bytes(b"?")
    run = record([("application/x-odd", folder / "x.odd", {}, ROWS)])
    assert run.verify(files=True).equal
    (folder / "x.odd").unlink()
    assert run.verify(files=True, repair=True).problems == (f"primary/img: {folder}/x.odd is missing",)


def test_a_stock_server_cannot_be_asked(server, folder, record, catalog):
    """This machine looks instead, and puts the structure right there too."""
    run = record(hdf5(folder, 4, 2), where=catalog)
    (said,) = run.verify(files=True).remarks
    assert said.startswith("its files were looked at from this machine")
    write_hdf5(folder / "1.h5", FRAMES[4:5])
    comparison = run.verify(files=True)
    assert "1.h5 holds 1 row, declared are 2" in comparison.problems[0]
    assert run.verify(files=True, repair=True).equal
    assert run["primary"]["img"].shape == (5, 4, 5)


def test_repair_wants_to_know_what(ours, folder, record):
    with pytest.raises(InputError, match="files=True"):
        record(hdf5(folder)).verify(repair=True)


def test_a_journal_and_a_corrected_structure(folder, record, tmp_path):
    """A correction is no difference from the journal; what is wrong beside it is; and a delivery undoes it."""
    run = record(hdf5(folder, 4, 2))
    journals = tmp_path / "journals"
    write_hdf5(folder / "1.h5", FRAMES[4:5])
    assert run.verify(journals).equal
    comparison = run.verify(journals, files=True)
    assert "1.h5 holds 1 row, declared are 2" in comparison.problems[0]
    comparison = run.verify(journals, files=True, repair=True)
    assert comparison.equal, str(comparison)
    assert comparison.journal is not None
    assert run["primary"]["img"].shape == (5, 4, 5)
    assert run.verify(journals).equal

    run.base.update_metadata({"stop": {"exit_status": "fail"}})
    assert len(run.verify(journals, files=True).problems) == 1
    comparison = run.verify(journals, files=True, repair=True)
    assert comparison.equal, str(comparison)
    assert run["primary"]["img"].shape == (5, 4, 5)
    assert len(run.notes) == 1

    (journal,) = (journals / "delivered").glob("*.twj")
    remote = target(run).connect()
    with JournalReader(journal) as reader:
        delivery = RunDelivery(reader, Remote(remote.http, remote.api, owns_client=False))
        while delivery.step(ended=True) is not Outcome.DONE:
            pass
    assert run["primary"]["img"].shape == (6, 4, 5)
    assert run.refresh().notes == []
    assert not run.verify(files=True).equal
