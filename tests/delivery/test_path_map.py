"""Paths that differ between machines: the journal has what was said, the catalog what its server finds."""

import h5py
import numpy as np
import pytest

from tilewright import TiledWriter, open_catalog, serve
from tilewright.delivery import Outcome, RunDelivery, target
from tilewright.delivery.verify import compare, repair
from tilewright.delivery.worker import Worker
from tilewright.documents import PathMap
from tilewright.errors import InputError, SetupError
from tilewright.journal import Header, JournalDirectory, JournalReader, JournalWriter, encode
from tilewright.testing.documents import run_with_files

NUMBERS = np.arange(60, dtype="<u2").reshape(3, 4, 5)
SAID = "file://localhost/mnt/det/one.h5"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    with h5py.File(folder / "one.h5", "w") as file:
        file["data"] = NUMBERS
    return folder


@pytest.fixture(scope="module")
def server(files):
    with serve(readable_storage=[files], announce=False) as server:
        yield server


@pytest.fixture
def documents():
    return run_with_files(uri=SAID, mimetype="application/x-hdf5", dataset="/data")


@pytest.fixture
def journal(tmp_path):
    """Return a function that writes a journal whose header has these rules."""

    def write(documents, rules):
        path = tmp_path / "run.twj"
        path.unlink(missing_ok=True)
        writer = JournalWriter(path, Header(documents[0][1]["uid"], None, 0.0, "test", path_map=rules))
        for document in documents:
            writer.append(encode(*document))
        writer.close()
        return path

    return write


def deliver(path, catalog, **options):
    with JournalReader(path) as reader:
        delivery = RunDelivery(reader, target(catalog).connect(), **options)
        while delivery.step(ended=True) is Outcome.MORE:
            pass
        assert delivery.verified


def uris(run):
    return run.assets().query("data_key == 'image'")["uri"].tolist()


def test_rules_of_the_header(journal, documents, catalog, files):
    path = journal(documents, {"/mnt/det": str(files)})
    deliver(path, catalog)
    run = catalog[documents[0][1]["uid"]]
    np.testing.assert_array_equal(run["primary"]["image"].read(), NUMBERS)
    assert uris(run) == [f"file://localhost{files}/one.h5"]
    assert run.notes == []
    assert run.metadata["tilewright"]["path_map"] == {"file://localhost/mnt/det": f"file://localhost{files}"}
    with JournalReader(path) as reader:
        assert SAID in [doc.get("uri") for _, doc in reader]  # as it came


def test_rules_that_take_their_place(journal, documents, catalog, files):
    path = journal(documents, {"/mnt": "/nowhere"})
    deliver(path, catalog, path_map=PathMap.of({"/mnt/det": str(files)}))
    assert uris(catalog[documents[0][1]["uid"]]) == [f"file://localhost{files}/one.h5"]
    deliver(path, catalog, path_map=PathMap())
    run = catalog[documents[0][1]["uid"]]
    assert uris(run) == [SAID]
    assert "path_map" not in run.metadata["tilewright"]


def test_a_run_delivered_with_other_rules_is_mended(journal, documents, catalog, files):
    """Its array is made anew, and nothing else of it; the files stay."""
    path = journal(documents, {})
    deliver(path, catalog)
    run = catalog[documents[0][1]["uid"]]
    assert uris(run) == [SAID]
    rules = {"path_map": PathMap.of({"/mnt/det": str(files)})}
    deliver(path, catalog, **rules)
    for _ in range(2):
        np.testing.assert_array_equal(run["primary"]["image"].read(), NUMBERS)
        assert uris(run) == [f"file://localhost{files}/one.h5"]
        assert run.table()["x0"].tolist() == [1.0, 2.0, 3.0]
        deliver(path, catalog, **rules)
    assert (files / "one.h5").exists()


def test_a_journal_that_is_found_before_its_writer_tells_of_it(journal, documents, catalog, files):
    """One that was delivered lies among those that wait for a moment, before it is open to its writer again."""
    path = journal(documents, {})
    worker = Worker(
        JournalDirectory(path.parent), target(catalog), path_map=PathMap.of({"/mnt/det": str(files)})
    )
    worker._look()
    (found,) = worker._runs.values()
    worker._claimed(found)
    worker.watch(path, documents[0][1]["uid"])
    worker.ended(path)
    while worker._runs:
        worker._deliver()
    worker.close()
    worker.work()
    assert uris(catalog[documents[0][1]["uid"]]) == [f"file://localhost{files}/one.h5"]


def test_a_sequence_delivered_in_part_with_other_rules(tmp_path, journal, catalog):
    documents = run_with_files(
        uri="file://localhost/mnt/det/",
        mimetype="multipart/related;type=image/tiff",
        template="{:d}.tif",
        chunk_shape=[1],
        join_method="stack",
        frames=20,
    )
    deliver(journal(documents[:-1], {"/mnt": "/one"}), catalog)
    deliver(journal(documents, {"/mnt": "/two"}), catalog)
    assert uris(catalog[documents[0][1]["uid"]]) == [f"file://localhost/two/det/{n}.tif" for n in range(20)]


def test_a_comparison_takes_the_rules_that_the_run_was_delivered_with(journal, documents, catalog, files):
    path = journal(documents, {})
    deliver(path, catalog, path_map=PathMap.of({"/mnt/det": str(files)}))
    uid = documents[0][1]["uid"]
    assert compare(path, target(catalog)).equal
    remote = target(catalog).connect()
    remote.delete((uid, "primary", "internal"))
    assert not compare(path, target(catalog)).equal
    assert repair(path, target(catalog)).equal
    assert uris(catalog[uid]) == [f"file://localhost{files}/one.h5"]
    remote.set_metadata((uid,), {"tilewright": {"path_map": "nonsense"}})
    assert "has its files elsewhere than the journal says" in str(compare(path, target(catalog)))
    assert repair(path, target(catalog)).equal
    assert uris(catalog[uid]) == [SAID]


def test_from_the_writer_to_the_reader(documents, catalog, files, tmp_path, monkeypatch):
    rules = tmp_path / "paths.yml"
    rules.write_text(f"/mnt/det: {files}\n")
    monkeypatch.setenv("TILEWRIGHT_PATH_MAP", str(rules))
    with TiledWriter(catalog, journal=tmp_path, strict=True) as writer:
        for document in documents:
            writer(*document)
    np.testing.assert_array_equal(catalog[documents[0][1]["uid"]]["primary"]["image"].read(), NUMBERS)


def test_through_a_child_process(documents, server, files, tmp_path):
    with TiledWriter(
        server, journal=tmp_path, deliver="process", path_map={"/mnt/det": str(files)}, strict=True
    ) as writer:
        for document in documents:
            writer(*document)
        assert writer.flush()
    with open_catalog(server) as catalog:
        np.testing.assert_array_equal(catalog[documents[0][1]["uid"]]["primary"]["image"].read(), NUMBERS)


def test_documents_that_a_patch_has_changed(documents, catalog, files, tmp_path):
    """They are mapped once, and not again when they are delivered."""

    def patch(doc):
        return doc | {"uri": doc["uri"].replace("/mnt", "/patched")}

    with TiledWriter(
        catalog,
        journal=tmp_path,
        strict=True,
        patches={"stream_resource": patch},
        path_map={"/patched/det": "/mnt/det", "/mnt": "/twice"},
    ) as writer:
        for document in documents:
            writer(*document)
    assert uris(catalog[documents[0][1]["uid"]]) == [SAID]


def test_rules_that_cannot_be_meant_are_refused_when_the_writer_is_made(catalog, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="expected an absolute path"):
        TiledWriter(catalog, journal=tmp_path / "journal", path_map={"det": "/data"})
    monkeypatch.setenv("TILEWRIGHT_PATH_MAP", str(tmp_path / "none.yml"))
    with pytest.raises(SetupError, match="cannot be read"):
        TiledWriter(catalog, journal=tmp_path / "journal")
    assert not (tmp_path / "journal").exists()
