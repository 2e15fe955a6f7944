"""Files that the server cannot read: told at the end of a run, in its notes, and no failure of it."""

import logging
import shutil
import subprocess
import sys
import threading
import uuid
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from tiled.client import from_uri

from tilewright import open_catalog, serve
from tilewright.delivery import Outcome, RunDelivery, storage, target
from tilewright.delivery.steps import Look
from tilewright.delivery.verify import compare
from tilewright.errors import TransientError
from tilewright.journal import Header, JournalReader, JournalWriter, encode
from tilewright.server import readable
from tilewright.testing.documents import file_documents, run_with_files, simple_run

HDF5, TIFF = "application/x-hdf5", "multipart/related;type=image/tiff"
NUMBERS = np.arange(60, dtype="<u2").reshape(3, 4, 5)
OUTSIDE = (
    "it is outside readable_storage, add it there, or say with a path_map where the server has these files"
)
STOCK = Path(__file__).parents[1] / "clients" / "plain_tiled.py"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A directory that both servers may read."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(home):
    with serve(readable_storage=[home], announce=False) as server:
        yield server


@pytest.fixture(scope="module")
def stock(home):
    """Tiled's own server, as a plain client of it."""
    command = [sys.executable, str(STOCK), str(home), "secret"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        client = from_uri(process.stdout.readline().strip() + "?api_key=secret")
        yield client
        client.context.close()
        process.stdin.close()  # it ends when its input does


@pytest.fixture
def stock_catalog(stock):
    return open_catalog(stock.create_container(f"c{uuid.uuid4().hex[:8]}"))


@pytest.fixture
def place(home):
    return home / uuid.uuid4().hex[:8]


def images(folder):
    """Return a run whose image is in an HDF5 file in a folder."""
    return run_with_files(uri=f"file://localhost{folder}/a.h5", mimetype=HDF5, dataset="/data")


def write_image(folder):
    folder.mkdir(exist_ok=True)
    with h5py.File(folder / "a.h5", "w") as file:
        file["data"] = NUMBERS


def step(delivery):
    """Step to the end, as the worker does."""
    while True:
        with suppress(TransientError):
            if delivery.step(ended=True) is Outcome.DONE:
                return


class Delivered:
    """A journal delivered, and how many requests that took."""

    def __init__(self, documents, catalog, path, *, one_by_one=False):
        self.uid = documents[0][1]["uid"]
        self.path = path / f"{self.uid}.twj"
        self.requests = []
        remote = target(catalog).connect()
        if one_by_one:
            remote.without_bundles()
        hooks = remote.http.event_hooks
        remote.http.event_hooks = {**hooks, "request": [*hooks["request"], self.requests.append]}
        writer = JournalWriter(self.path, Header(self.uid, None, 0.0, "test"))
        with JournalReader(self.path) as reader:
            delivery = RunDelivery(reader, remote)
            for document in documents:
                writer.append(encode(*document))
            step(delivery)
            self.verified = delivery.verified
        writer.close()
        remote.http.event_hooks = hooks
        self.notes = catalog[self.uid].notes
        assert catalog[self.uid].stop == documents[-1][1]


def test_files_that_can_be_read_are_no_matter(place, catalog, tmp_path, caplog):
    write_image(place)
    done = Delivered(images(place), catalog, tmp_path)
    assert (done.notes, done.verified, len(done.requests)) == ([], True, 1)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_run_without_arrays_is_not_asked_about(catalog, stock_catalog, tmp_path):
    ours = Delivered(simple_run(), catalog, tmp_path)
    assert b"look" not in ours.requests[0].content
    assert len(ours.requests) == 1
    theirs = Delivered(simple_run(), stock_catalog, tmp_path, one_by_one=True)
    assert not [request for request in theirs.requests if "/array/" in request.url.path]


@pytest.mark.parametrize(
    ("folder", "place", "why"),
    [
        ("/data/ioc1", "/data/ioc1", OUTSIDE),
        ("/C:/data/ioc1", "C:/data/ioc1", OUTSIDE),
        ("{home}/none", "{home}/none", "it is not there on the server"),
        ("{home}/file", "{home}/file", "it is not there on the server"),
    ],
)
def test_what_is_told(folder, place, why, home, catalog, tmp_path, caplog):
    (home / "file").write_text("no directory")
    folder, place = folder.format(home=home), place.format(home=home)
    note = f"the server cannot read {place} (image of stream primary): {why}"
    done = Delivered(images(folder), catalog, tmp_path)
    assert done.notes == [note]
    assert done.verified
    assert len(done.requests) == 2
    assert catalog[done.uid].metadata["tilewright"]["verified"]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        f"Run {done.uid}: {note}"
    ]
    assert catalog[done.uid].table()["x0"].tolist() == [1.0, 2.0, 3.0]


def test_directories_that_its_user_may_not_enter(place, catalog, tmp_path, monkeypatch):
    """Those who run tests may be allowed everything: what the system says is put into its mouth."""
    write_image(place)
    monkeypatch.setattr(readable.os, "access", lambda *_: False)
    (note,) = Delivered(images(place), catalog, tmp_path).notes
    assert note == f"the server cannot read {place} (image of stream primary): its user is not allowed to"


def test_directories_below_one_that_its_user_may_not_enter(monkeypatch):
    def stat(_path):
        raise PermissionError

    monkeypatch.setattr(Path, "stat", stat)
    assert readable._look_at("file://localhost/data/") == "denied"


def test_a_disk_that_does_not_answer_holds_up_nothing(place, catalog, tmp_path, monkeypatch):
    write_image(place)
    over = threading.Event()
    monkeypatch.setattr(readable, "SECONDS", 0.1)
    monkeypatch.setattr(readable, "_look_at", lambda _: over.wait() and None)
    (note,) = Delivered(images(place), catalog, tmp_path).notes
    over.set()
    assert (
        note == f"the server cannot read {place} (image of stream primary): it gets no answer from the disk"
    )


def test_a_look_that_fails_holds_up_nothing(catalog, tmp_path, monkeypatch):
    async def fail(*_):
        raise RuntimeError("this is a fault of the server's")

    monkeypatch.setattr("tilewright.server.bundles.unreadable", fail)
    done = Delivered(images("/data/ioc1"), catalog, tmp_path)
    assert done.verified
    (note,) = done.notes  # learned in the way that is left
    assert "its log says why" in note


def test_one_who_does_not_know_the_question_says_nothing(catalog, tmp_path, monkeypatch):
    """As a server of an earlier version."""
    from tilewright.server.bundles import _Bundle

    take = _Bundle._take

    async def earlier(self, group):
        return [{}] if group[0]["do"] == "look" else await take(self, group)

    monkeypatch.setattr(_Bundle, "_take", earlier)
    done = Delivered(images("/data/ioc1"), catalog, tmp_path)
    assert (done.notes, done.verified, len(done.requests)) == ([], True, 1)


def test_the_work_does_not_grow_with_the_files(catalog, tmp_path, monkeypatch):
    looked = []
    look_at = readable._look_at
    monkeypatch.setattr(readable, "_look_at", lambda uri: looked.append(uri) or look_at(uri))
    for frames in (3, 400):
        run = run_with_files(
            uri=f"file://localhost{tmp_path}/",
            mimetype=TIFF,
            frames=frames,
            template="{:d}.tif",
            chunk_shape=[1],
            join_method="stack",
        )
        monkeypatch.setattr(readable, "_is_outside", lambda *_: False)
        done = Delivered(run, catalog, tmp_path)
        assert len(done.requests) == 1
    assert looked == [f"file://localhost{tmp_path}/"] * 2


def test_several_arrays_and_directories(catalog, tmp_path):
    start, (_, descriptor), *rest = images("/data/one")
    keys = descriptor["data_keys"]
    keys |= dict.fromkeys(("dark", "a key"), keys["image"])
    more = [
        file_documents(
            key,
            uri=f"file://localhost{uri}",
            mimetype=HDF5,
            descriptor=descriptor["uid"],
            run_start=start[1]["uid"],
            dataset="/data",
        )
        for key, uri in (("dark", "/data/one/b.h5"), ("a key", "/data/two/c.h5"))
    ]
    documents = [start, ("descriptor", descriptor), *more[0], *more[1], *rest]
    one, two = sorted(Delivered(documents, catalog, tmp_path).notes)
    assert "/data/one (dark of stream primary, image of stream primary)" in one
    assert "/data/two ('a key' of stream primary)" in two


def test_many_directories_are_not_told_one_by_one():
    arrays = [
        storage.ArrayFiles(("run", "primary", "image"), 3, tuple(f"file://localhost/{n}/" for n in range(30)))
    ]
    told = storage._sentences(dict.fromkeys(arrays[0].directories, "missing"), arrays)
    assert len(told) == storage.MOST_TOLD + 1
    assert told[-1] == "the server cannot read 20 more directories of this run's files"
    assert all(map(storage.is_about_storage, told))


def test_a_second_delivery_says_the_same_or_nothing_if_it_was_mended(place, catalog, tmp_path):
    first = Delivered(images(place), catalog, tmp_path)
    (note,) = first.notes
    assert "is not there" in note
    assert compare(first.path, target(catalog)).equal
    for mended in (False, True):
        if mended:
            write_image(place)
        with JournalReader(first.path) as reader:
            delivery = RunDelivery(reader, target(catalog).connect())
            step(delivery)
        assert catalog[first.uid].notes == ([] if mended else [note])
        assert compare(first.path, target(catalog)).equal
    shutil.rmtree(place)
    assert compare(first.path, target(catalog)).equal  # it is no difference


def test_files_registered_as_bytes_are_not_asked_about(catalog, tmp_path):
    done = Delivered(
        run_with_files(uri="file://localhost/data/a.bin", mimetype="application/x-nobody"), catalog, tmp_path
    )
    assert not [note for note in done.notes if storage.is_about_storage(note)]


def test_a_run_that_was_cut_off(catalog, tmp_path):
    *documents, _ = images("/data/ioc1")
    path = tmp_path / "run.twj"
    writer = JournalWriter(path, Header(documents[0][1]["uid"], None, 0.0, "test"))
    for document in documents:
        writer.append(encode(*document))
    writer.close()
    with JournalReader(path) as reader:
        delivery = RunDelivery(reader, target(catalog).connect())
        step(delivery)
    run = catalog[documents[0][1]["uid"]]
    assert run.metadata["tilewright"]["state"] == "interrupted"
    assert "outside readable_storage" in run.notes[0]


@pytest.mark.parametrize("folder", ["/data/ioc1", "{home}/none"])
def test_a_stock_server_tells_that_it_cannot_and_not_why(folder, home, stock_catalog, tmp_path):
    folder = folder.format(home=home)
    done = Delivered(images(folder), stock_catalog, tmp_path)
    (note,) = done.notes
    assert note.startswith(f"the server cannot read {folder} (image of stream primary): its log says why")
    assert done.verified


def test_a_stock_server_that_can_read_says_nothing(place, stock_catalog, tmp_path):
    write_image(place)
    for number, frame in enumerate(NUMBERS):
        tifffile.imwrite(place / f"{number}.tif", frame)
    tiffs = run_with_files(
        uri=f"file://localhost{place}/",
        mimetype=TIFF,
        template="{:d}.tif",
        chunk_shape=[1],
        join_method="stack",
    )
    for documents in (images(place), tiffs):
        done = Delivered(documents, stock_catalog, tmp_path, one_by_one=True)
        assert (done.notes, done.verified) == ([], True)
        asked = [request.url for request in done.requests if "/array/" in request.url.path]
        assert [url.params["slice"] for url in asked] == ["0,0,0"]


def test_an_array_without_frames_is_not_asked_for_one(stock_catalog, tmp_path):
    documents = [doc for doc in images("/data/ioc1") if doc[0] != "stream_datum"]
    done = Delivered(documents, stock_catalog, tmp_path, one_by_one=True)
    assert not [note for note in done.notes if storage.is_about_storage(note)]
    assert not [request for request in done.requests if "/array/" in request.url.path]


def test_a_server_that_does_not_tell_is_asked_no_more():
    asked = []

    class Silent:
        def can_read(self, path, dimensions):
            asked.append((path, dimensions))

    arrays = tuple((("run", "primary", key), 3, (f"file://localhost/{key}/",)) for key in "ab")
    assert Look(("run",), arrays).alone(Silent()) == {}
    assert asked == [(("run", "primary", "a"), 3)]
