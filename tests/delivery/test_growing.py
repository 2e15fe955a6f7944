"""Files that come after the documents that name them: a length is published only once it is readable.

Deliveries are stepped by hand. A value is its index in the whole, so that what is read cannot come from another place.
"""

import dataclasses
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from event_model import compose_run
from PIL import Image

from tilewright import serve
from tilewright.delivery import Outcome, backoff, nodes
from tilewright.delivery.failures import FateUnknownError
from tilewright.delivery.remote import Remote
from tilewright.formats.checking import DECLARED
from tilewright.server import growing

HDF5, ZARR = "application/x-hdf5", "application/x-zarr"
TIFF, JPEG = "multipart/related;type=image/tiff", "multipart/related;type=image/jpeg"
NPY, CSV = "multipart/related;type=application/x-npy", "text/csv;header=absent"
SHAPE = (4, 5)
FRAMES = np.arange(600, dtype="<u2").reshape(30, *SHAPE)
KEY = "img"


@pytest.fixture(autouse=True)
def _look_in_each_round(monkeypatch):
    monkeypatch.setattr(nodes, "FIRST_LOOK", 0.0)


@pytest.fixture(scope="module")
def server(readable):
    with serve(readable_storage=[readable], announce=False) as server:
        yield server


@pytest.fixture
def looks(monkeypatch):
    """The files that the server has looked at."""
    seen, look = [], growing.look
    monkeypatch.setattr(
        growing, "look", lambda source, asset, refusal: seen.append(asset.num) or look(source, asset, refusal)
    )
    return seen


class Sequence:
    """A file for each frame."""

    def __init__(self, folder, mimetype, suffix, encode):
        self.folder, self.mimetype, self.suffix, self.encode = folder, mimetype, suffix, encode
        self.resources = [(mimetype, f"{folder}/", {"template": f"x_{{:03d}}.{suffix}"})]

    def path(self, row):
        return self.folder / f"x_{row:03d}.{self.suffix}"

    def write(self, row):
        self.path(row).write_bytes(self.encode(FRAMES[row]))

    def begin(self, row):
        """Write the first half of a file."""
        content = self.encode(FRAMES[row])
        self.path(row).write_bytes(content[: len(content) // 2])


def encoded(save, frame):
    content = io.BytesIO()
    save(content, frame)
    return content.getvalue()


def jpeg(content, frame):
    Image.fromarray(np.full_like(frame, frame[0, 0] % 251, dtype="u1")).save(content, "JPEG", quality=100)


class Dataset:
    """One file with a dataset that becomes longer."""

    mimetype = HDF5

    def __init__(self, folder):
        self.path = folder / "x.h5"
        self.resources = [(HDF5, self.path, {"dataset": "d"})]

    def begin(self, row):
        self.path.write_bytes(b"\x89HDF\r\n\x1a\n")

    def write(self, row):
        with h5py.File(self.path, "a" if row else "w") as file:
            if not row:
                file.create_dataset("d", (0, *SHAPE), "<u2", maxshape=(None, *SHAPE), chunks=(1, *SHAPE))
            file["d"].resize(row + 1, axis=0)
            file["d"][row] = FRAMES[row]


class Store(Dataset):
    """A store whose array becomes longer."""

    mimetype = ZARR

    def __init__(self, folder):
        self.path = folder / "x.zarr"
        self.resources = [(ZARR, self.path, {"chunk_shape": [1, *SHAPE]})]

    def begin(self, row):
        self.path.mkdir()
        (self.path / "zarr.json").write_text("{")

    def write(self, row):
        if not row:
            options = {"shape": (0, *SHAPE), "chunks": (1, *SHAPE), "dtype": "<u2", "overwrite": True}
            zarr.create_array(self.path, **options)
        array = zarr.open_array(self.path, mode="r+")
        array.resize((row + 1, *SHAPE))
        array[row] = FRAMES[row]


DETECTORS = {
    "tiff": lambda folder: Sequence(folder, TIFF, "tif", lambda frame: encoded(tifffile.imwrite, frame)),
    "npy": lambda folder: Sequence(folder, NPY, "npy", lambda frame: encoded(np.save, frame)),
    "jpeg": lambda folder: Sequence(folder, JPEG, "jpg", lambda frame: encoded(jpeg, frame)),
    "hdf5": Dataset,
    "zarr": Store,
}


@pytest.fixture(params=DETECTORS)
def detector(request, folder):
    return DETECTORS[request.param](folder)


@pytest.fixture
def tiff(folder):
    return DETECTORS["tiff"](folder)


class Live:
    """A run under way: its documents, its delivery, and what a reader sees of it."""

    def __init__(self, journal, remote, catalog, resources, *, shape=SHAPE, dtype="<u2"):
        self.journal, self.remote, self.catalog = journal, remote, catalog
        self.run = compose_run()
        self.uid = self.run.start_doc["uid"]
        spec = {"source": "test", "dtype": "array", "dtype_numpy": dtype, "shape": list(shape)}
        self.stream = self.run.compose_descriptor(
            name="primary", data_keys={KEY: spec | {"external": "STREAM:"}}
        )
        self.resources, self.rows = iter(resources), 0
        self.journal.append([("start", self.run.start_doc), ("descriptor", self.stream.descriptor_doc)])
        self.next_file()
        self.delivery = journal.delivery(remote)

    def next_file(self):
        mimetype, uri, parameters = next(self.resources)
        self.resource = self.run.compose_stream_resource(
            mimetype=mimetype, uri=f"file://localhost{uri}", data_key=KEY, parameters=parameters
        )
        self.journal.append([("stream_resource", self.resource.stream_resource_doc)])

    def promise(self, *counts):
        """Tell of so many rows more, in a document for each number."""
        for count in counts:
            datum = self.resource.compose_stream_datum(
                indices={"start": self.rows, "stop": self.rows + count},
                seq_nums={"start": self.rows + 1, "stop": self.rows + count + 1},
                descriptor=self.stream.descriptor_doc,
            )
            self.rows += count
            self.journal.append([("stream_datum", datum)])
        return self.step()

    def step(self):
        return self.journal.deliver(self.delivery)

    def restart(self):
        self.delivery = self.journal.delivery(self.remote)
        return self.step()

    def stop(self):
        self.journal.append([("stop", self.run.compose_stop())])
        return self.step()

    @property
    def path(self):
        return (self.uid, "primary", KEY)

    def shape(self):
        return tuple(self.remote.get(self.path).structure["shape"])

    def source(self):
        return self.remote.get(self.path).data_source

    def array(self):
        return self.catalog[self.uid]["primary"][KEY]


def expected(detector, rows):
    frames = FRAMES[:rows]
    if detector.mimetype != JPEG:
        return frames
    return np.broadcast_to(frames[:, :1, :1] % 251, frames.shape).astype("u1")


@pytest.fixture
def live(journal, remote, catalog):
    def make(detector, **described):
        dtype = "|u1" if detector.mimetype == JPEG else "<u2"
        return Live(journal, remote, catalog, detector.resources, dtype=dtype, **described)

    return make


def assert_readable(live, detector, rows):
    """See that so many rows are published, and that each reads equal."""
    array = live.array()
    assert array.shape == (rows, *SHAPE)
    values = expected(detector, rows)
    np.testing.assert_array_equal(array.read(), values)
    if rows:
        np.testing.assert_array_equal(array[rows - 1], values[-1])
        np.testing.assert_array_equal(array[0, 1:3], values[0, 1:3])


def test_documents_that_are_ahead_of_their_files(detector, live):
    live = live(detector)
    assert live.promise(2) is Outcome.WAITING
    assert_readable(live, detector, 0)
    for row in range(2):
        detector.write(row)
        live.step()  # no document has come
        assert_readable(live, detector, row + 1)
    live.promise(1, 1, 1)
    assert_readable(live, detector, 2)
    detector.write(2)
    live.promise(1)
    assert_readable(live, detector, 3)
    for row in range(3, 6):
        detector.write(row)
    live.step()
    assert_readable(live, detector, 6)
    source = live.source()
    assert DECLARED not in source["properties"]
    assert live.stop() is Outcome.DONE
    assert_readable(live, detector, 6)
    assert live.source() == source
    assert live.catalog[live.uid].verify(files=True).equal


def test_a_file_that_is_half_written(detector, live):
    live = live(detector)
    live.promise(1)
    detector.begin(0)
    live.step()
    assert_readable(live, detector, 0)
    detector.write(0)
    live.step()
    assert_readable(live, detector, 1)


def test_stop_publishes_what_was_promised(detector, live):
    live = live(detector)
    live.promise(3)
    detector.write(0)
    live.step()
    assert_readable(live, detector, 1)
    assert live.stop() is Outcome.DONE
    assert live.shape() == (3, *SHAPE)
    assert DECLARED not in live.source()["properties"]
    comparison = live.catalog[live.uid].verify(files=True)
    assert not comparison.equal
    assert any("3" in problem for problem in comparison.problems)


def test_a_run_that_is_cut_off_publishes_what_was_promised(tiff, live):
    live = live(tiff)
    live.promise(3)
    assert live.shape() == (0, *SHAPE)
    live.journal.writer.close()
    assert live.journal.deliver(live.delivery, ended=True) is Outcome.DONE
    assert live.shape() == (3, *SHAPE)


def test_a_run_that_is_over_is_not_looked_at(tiff, live, looks):
    live = live(tiff)
    live.rows = 0
    datum = live.resource.compose_stream_datum(
        indices={"start": 0, "stop": 5},
        seq_nums={"start": 1, "stop": 6},
        descriptor=live.stream.descriptor_doc,
    )
    live.journal.append([("stream_datum", datum)])
    assert live.stop() is Outcome.DONE
    assert live.shape() == (5, *SHAPE)
    assert looks == []


def test_another_deliverer_carries_on(detector, live):
    live = live(detector)
    live.promise(2)
    detector.write(0)
    live.step()
    live.restart()
    assert_readable(live, detector, 1)
    detector.write(1)
    live.step()
    assert_readable(live, detector, 2)
    live.promise(1)
    detector.write(2)
    live.restart()
    assert_readable(live, detector, 3)
    assert len(live.source()["assets"]) == len({asset["data_uri"] for asset in live.source()["assets"]})
    assert live.stop() is Outcome.DONE
    assert_readable(live, detector, 3)


def test_a_length_never_shrinks_while_the_run_goes_on(tiff, live, monkeypatch):
    """Neither when a file disappears again, nor when another deliverer begins with the first documents."""
    live = live(tiff)
    for row in range(4):
        tiff.write(row)
    live.promise(2)
    live.promise(2)
    tiff.path(1).unlink()
    live.promise(1)
    assert live.shape() == (4, *SHAPE)
    tiff.write(1)
    monkeypatch.setattr("tilewright.delivery.run.CHUNK_BYTES", 100)  # one document, or few, at a time
    live.delivery, shapes = live.journal.delivery(live.remote), set()
    while live.delivery.step() is Outcome.MORE:
        shapes.add(live.shape()[0])
    assert shapes == {4}
    tiff.write(4)
    live.step()
    assert_readable(live, tiff, 5)


def test_a_late_request_changes_nothing(tiff, live):
    """An update that is sent once more, after others: a proxy or a busy server has held it up."""
    live = live(tiff)
    sent, send = [], live.remote.http.send

    def note(request, **options):
        sent.append(request)
        return send(request, **options)

    live.remote.http.send = note
    try:
        for row in range(3):
            tiff.write(row)
            live.promise(1)
    finally:
        live.remote.http.send = send
    late = [request for request in sent if request.url.path.count("bundle")][1]
    send(live.remote.http.build_request("POST", late.url, content=late.content, headers=late.headers))
    assert_readable(live, tiff, 3)


@dataclasses.dataclass(frozen=True, slots=True)
class Uncertain(Remote):
    """Breaks the connection after a bundle has been taken, as often as it is told to."""

    breaks: list = dataclasses.field(default_factory=list)

    def send_bundle(self, steps, meanwhile):
        answers = Remote.send_bundle(self, steps, meanwhile)
        if self.breaks:
            raise FateUnknownError(self.breaks.pop())
        return answers


def copied(remote, kind):
    return kind(**{field.name: getattr(remote, field.name) for field in dataclasses.fields(Remote)})


def test_requests_of_unknown_fate(detector, live, remote):
    live = live(detector)
    uncertain = live.remote = copied(remote, Uncertain)
    live.delivery = live.journal.delivery(uncertain)
    uncertain.breaks.append("the node is made")
    live.promise(2)
    assert_readable(live, detector, 0)
    detector.write(0)
    uncertain.breaks.extend(["it has looked again", "and again"])
    live.step()
    assert_readable(live, detector, 1)
    uncertain.breaks.append("it has been updated")
    live.promise(1)
    for row in (1, 2):
        detector.write(row)
    live.step()
    assert_readable(live, detector, 3)
    assert uncertain.breaks == []
    names = [asset["data_uri"] for asset in live.source()["assets"]]
    assert len(names) == len(set(names)) == (3 if detector.mimetype.startswith("multipart") else 1)
    live.promise(1)
    uncertain.breaks.append("the run is closed")
    assert live.stop() is Outcome.DONE
    assert live.shape() == (4, *SHAPE)


@pytest.mark.parametrize("make", [Dataset, Store])
def test_several_files_after_one_another(make, folder, live):
    """Of which one holds more than is promised of it: these rows are not counted for the one that follows."""
    first, second = folder / "first", folder / "second"
    for place in (first, second):
        place.mkdir()
    first, second = make(first), make(second)
    first.resources += second.resources
    live = live(first)
    for row in range(3):
        first.write(row)
    live.promise(2)
    live.next_file()
    live.promise(2)
    assert_readable(live, first, 2)
    with_frames_from(second, 2)
    second.write(0)
    live.step()
    assert_readable(live, first, 3)
    second.write(1)
    live.step()
    assert_readable(live, first, 4)
    assert live.stop() is Outcome.DONE
    assert_readable(live, first, 4)


def with_frames_from(detector, start):
    """Have a detector write later frames."""
    write = detector.write

    def shifted(row):
        write(row)
        if detector.mimetype == HDF5:
            with h5py.File(detector.path, "a") as file:
                file["d"][row] = FRAMES[start + row]
        else:
            zarr.open_array(detector.path, mode="r+")[row] = FRAMES[start + row]

    detector.write = shifted


@pytest.mark.parametrize("pages", [1, 3])
def test_rows_that_lie_in_several_files(pages, folder, live):
    """Or several frames in one: only whole rows are published."""
    tiff = Sequence(folder, TIFF, "tif", None)
    tiff.resources = [(TIFF, f"{folder}/", {"template": "{}.tif", "chunk_shape": [pages, *SHAPE]})]
    frames = FRAMES[:12].reshape(-1, pages, *SHAPE)
    live = live(tiff, shape=(6, *SHAPE))
    live.promise(2)
    shapes = []
    for number, file in enumerate(frames):
        tifffile.imwrite(folder / f"{number}.tif", np.squeeze(file), photometric="minisblack")
        live.step()
        shapes.append(live.shape()[0])
        np.testing.assert_array_equal(live.array().read(), FRAMES[:12].reshape(2, 6, *SHAPE)[: shapes[-1]])
    half = len(frames) // 2
    assert shapes == [0] * (half - 1) + [1] * half + [2]


def test_files_of_hdf5_that_a_template_names(folder, live):
    hdf5 = Dataset(folder)
    hdf5.resources = [(HDF5, folder, {"dataset": "d", "template": "/{:03d}.h5", "chunk_shape": [1, *SHAPE]})]
    live = live(hdf5)
    live.promise(1)
    assert_readable(live, hdf5, 0)
    live.promise(2)
    for row in range(3):
        with h5py.File(folder / f"{row:03d}.h5", "w") as file:
            file["d"] = FRAMES[row : row + 1]
        live.step()
        assert_readable(live, hdf5, row + 1)


@pytest.mark.parametrize(("there", "most"), [(2_000, 2), (0, 14), (1_234, 14), (1_999, 14)])
def test_a_burst_of_files_takes_few_looks(there, most, folder, live, looks):
    npy = DETECTORS["npy"](folder)
    npy.resources = [(NPY, f"{folder}/", {"template": "{:06d}.npy"})]
    content = encoded(np.save, FRAMES[0])
    for row in range(there):
        (folder / f"{row:06d}.npy").write_bytes(content)
    live = live(npy)
    live.promise(2_000)
    assert live.shape()[0] == there
    assert len(looks) <= most
    for row in range(there, 2_000):
        (folder / f"{row:06d}.npy").write_bytes(content)
    looks.clear()
    live.step()
    assert live.shape()[0] == 2_000
    assert len(looks) <= 2


def test_an_update_looks_at_new_files_only(detector, live, looks):
    live = live(detector)
    for row in range(9):
        detector.write(row)
        live.promise(1)
    assert len(looks) == 9


def test_a_gap_among_few_files_ends_what_is_published(tiff, live):
    live = live(tiff)
    for row in (0, 1, 3, 4):
        tiff.write(row)
    live.promise(5)
    assert_readable(live, tiff, 2)
    tiff.write(2)
    live.step()
    assert_readable(live, tiff, 5)


def test_what_cannot_be_seen_is_published_at_once(tmp_path, live, readable):
    """Outside of the readable storage, or without permission."""
    detector = DETECTORS["tiff"](tmp_path)
    live = live(detector)
    live.promise(2)
    assert live.shape()[0] == 2
    assert DECLARED not in live.source()["properties"]


@pytest.mark.parametrize(
    ("mimetype", "parameters"), [(CSV, {}), ("application/x-nobody-knows", {})], ids=["csv", "unknown"]
)
def test_formats_that_are_not_looked_into(
    mimetype, parameters, folder, live, looks, journal, remote, catalog
):
    live = Live(journal, remote, catalog, [(mimetype, folder / "x", parameters)])
    live.promise(2)
    assert looks == []
    if mimetype == CSV:
        assert live.shape() == (2 * SHAPE[0], SHAPE[1])


def test_a_server_that_takes_no_bundles_publishes_at_once(tiff, live):
    live = live(tiff)
    live.remote.without_bundles()
    live.promise(2)
    live.promise(1)
    assert live.shape()[0] == 3
    assert live.stop() is Outcome.DONE


def test_bundles_that_are_taken_no_more(tiff, live):
    """By a server that has shown less before: it is told to show all, at the end of the run at the latest."""
    live = live(tiff)
    live.promise(2)
    live.remote.without_bundles()
    live.step()
    assert live.shape()[0] == 0
    assert live.stop() is Outcome.DONE
    assert live.shape()[0] == 2


@pytest.mark.filterwarnings("ignore:connect.. must be used as a context:DeprecationWarning")
def test_subscribers_are_told_what_is_published(tiff, live):
    live = live(tiff)
    live.promise(1)
    rows, arrived = [], threading.Event()

    def note(update):
        rows.append(update.shape[0])
        if rows[-1] == 3:
            arrived.set()

    subscription = live.array().subscribe(ThreadPoolExecutor(1))
    subscription.new_data.add_callback(note)
    with subscription.start_in_thread(1):
        live.promise(2)
        tiff.write(0)
        live.step()
        live.step()  # nothing has changed: nothing is told
        for row in (1, 2):
            tiff.write(row)
        live.step()
        assert arrived.wait(60)
    assert rows == [0, 1, 3]


def test_the_pause_between_looks_grows(tiff, live, looks, monkeypatch):
    clock = [1000.0]
    # Not `time.monotonic` itself: the loop of every server in this process would wait until its clock came round.
    monkeypatch.setattr(backoff, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(nodes, "FIRST_LOOK", 0.2)
    live = live(tiff)
    live.promise(2)
    began, at = clock[0], []
    for _ in range(200):
        clock[0] += 0.1
        looks.clear()
        live.step()
        if looks:
            at.append(round(clock[0] - began, 1))
    assert at == [0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 11.3, 16.3]
    tiff.write(0)
    clock[0] += 5
    live.step()
    looks.clear()
    clock[0] += 0.1
    live.step()  # something has come: it is looked again soon
    assert looks == [1]


def test_a_look_is_a_small_request(tiff, live):
    live = live(tiff)
    live.promise(3_000)
    sent, send = [], live.remote.http.send

    def note(request, **options):
        sent.append(request.read())
        return send(request, **options)

    live.remote.http.send = note
    try:
        live.step()
    finally:
        live.remote.http.send = send
    assert [len(content) < 200 for content in sent] == [True]
