"""One server that every program here reads and writes: ours, with Bluesky's exporter in its configuration."""

import asyncio
import copy
import itertools
import json
import subprocess
import sys
import uuid
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tiled.client import from_uri
from tiled.structures.core import Spec

from tilewright import TiledWriter, open_catalog
from tilewright.delivery import Outcome, RunDelivery, nodes, target
from tilewright.journal import Header, JournalReader, JournalWriter, encode
from tilewright.server import serve_config
from tilewright.server.embedded import local_configuration

PLAIN_TILED = Path(__file__).parents[1] / "clients" / "plain_tiled.py"


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A directory whose files the server may read."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="session")
def server(files, tmp_path_factory):
    """What `serve` does, and the export of documents, which Bluesky's clients ask the server for."""
    home = tmp_path_factory.mktemp("server")
    configuration = local_configuration(home, "secret", [str(files)])
    exporter = {"application/json-seq": "bluesky_tiled_plugins.exporters:json_seq_exporter"}
    configuration["media_types"] = {**configuration["media_types"], "BlueskyRun": exporter}
    (home / "config.yml").write_text(json.dumps(configuration))
    with serve_config(home / "config.yml", port=0, announce=False) as server:
        yield server


@pytest.fixture(scope="session")
def client(server):
    """A plain Tiled client."""
    client = from_uri(server.uri)
    yield client
    client.context.close()


@pytest.fixture
def container(client):
    """An empty catalog in the server, as a plain Tiled client gives it."""
    return client.create_container(f"c{uuid.uuid4().hex[:8]}", specs=[Spec("CatalogOfBlueskyRuns", "3.0")])


@pytest.fixture
def catalog(container):
    """The same one, as ours."""
    return open_catalog(container)


@pytest.fixture
def write(container):
    """Return a function that writes documents with our writer; the writer is its attribute `writer`."""
    with TiledWriter(container, strict=True) as writer:

        def write(documents):
            for name, doc in documents:
                writer(name, doc)

        write.writer = writer
        yield write


@pytest.fixture
def bluesky_container(client):
    """Another empty catalog in the server, for Bluesky's writer."""
    return client.create_container(f"b{uuid.uuid4().hex[:8]}", specs=[Spec("CatalogOfBlueskyRuns", "3.0")])


@pytest.fixture
def record(write, catalog, bluesky_container, run_engine):
    """Return a function that has a plan's run recorded by both writers: our run, Bluesky's, and the documents.

    `bluesky=False` leaves Bluesky's out, where it raises; its run is then None.
    """
    from bluesky_tiled_plugins.writing.tiled_writer import TiledWriter as BlueskyWriter

    documents = []
    run_engine.subscribe(lambda name, doc: documents.append((name, copy.deepcopy(doc))))
    run_engine.subscribe(write.writer)

    def record(plan, *, bluesky=True):
        documents.clear()
        if not bluesky:
            (uid,) = run_engine(plan)
            return catalog[uid], None, list(documents)
        theirs = BlueskyWriter(bluesky_container)
        (uid,) = run_engine(plan, lambda name, doc: theirs(name, copy.deepcopy(doc)))
        return catalog[uid], open_catalog(bluesky_container)[uid], list(documents)

    return record


@pytest.fixture
def equal():
    """Return a function that compares an array that Tiled serves with one read from files: shape, dtype, values."""

    def equal(array, expected):
        values = array.read()
        assert array.shape == values.shape == expected.shape
        assert array.dtype == values.dtype == expected.dtype
        np.testing.assert_array_equal(values, expected)

    return equal


@pytest.fixture
def same_as_bluesky(equal):
    """Return a function that compares the external arrays of two runs: shape, chunks, dtype, dims, values."""

    def same_as_bluesky(ours, theirs):
        keys = [
            (name, key) for name in ours for key, spec in ours[name].data_keys.items() if "external" in spec
        ]
        assert keys
        for name, key in keys:
            assert ours[name][key].structure() == theirs[name][key].structure()
            equal(ours[name][key], theirs[name][key].read())

    return same_as_bluesky


@pytest.fixture(scope="session")
def stock_home(tmp_path_factory):
    return tmp_path_factory.mktemp("stock")


@pytest.fixture(scope="session")
def stock(stock_home):
    """The address of Tiled's own server, in a process that has nothing of ours."""
    command = [sys.executable, str(PLAIN_TILED), str(stock_home), "secret"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip() + "?api_key=secret"
        process.stdin.close()  # it ends when its input does


@pytest.fixture(scope="session")
def detectors():
    """ophyd's simulated devices; importing them makes a folder that outlives the tests."""
    from ophyd import sim

    return sim


@pytest.fixture
def blob(run_engine, files):
    """Return a function that makes a detector of `ophyd_async.sim` whose frames are all different.

    They come at once, or as often as `gate` is released.
    """
    from ophyd_async.core import AutoIncrementFilenameProvider, StaticPathProvider, init_devices
    from ophyd_async.sim import PatternGenerator, SimBlobDetector

    def make(name, gate=None):
        place = files / f"{name}-{uuid.uuid4().hex[:8]}"
        place.mkdir()
        positions = itertools.count()

        async def move_on(_):
            await (gate.acquire() if gate else asyncio.sleep(0.001))
            generator.set_x(next(positions) / 10)

        generator = PatternGenerator(move_on)
        provider = StaticPathProvider(AutoIncrementFilenameProvider(name), place)
        with init_devices():
            detector = SimBlobDetector(provider, generator, name=name)
        assert detector.name == name
        return detector

    return make


@pytest.fixture
def file_run():
    """Return a function that makes a run of three events with `x` in the table and `img` in files."""
    from event_model import compose_run

    def make(mimetype, uri, parameters, shape=(4, 5), events=3):
        run = compose_run()
        spec = {
            "source": "test",
            "dtype": "array",
            "dtype_numpy": "<u2",
            "shape": list(shape),
            "external": "STREAM:",
        }
        stream = run.compose_descriptor(
            name="primary", data_keys={"x": {"source": "test", "dtype": "number", "shape": []}, "img": spec}
        )
        resource = run.compose_stream_resource(
            mimetype=mimetype, uri=uri, data_key="img", parameters=parameters
        )
        documents = [
            ("start", run.start_doc),
            ("descriptor", stream.descriptor_doc),
            ("stream_resource", resource.stream_resource_doc),
        ]
        for row in range(events):
            event = stream.compose_event(data={"x": float(row)}, timestamps={"x": 1000.0 + row})
            datum = {
                "uid": f"{resource.stream_resource_doc['uid']}/{row}",
                "stream_resource": resource.stream_resource_doc["uid"],
                "descriptor": stream.descriptor_doc["uid"],
                "indices": {"start": row, "stop": row + 1},
                "seq_nums": {"start": row + 1, "stop": row + 2},
            }
            documents += [("event", event), ("stream_datum", datum)]
        return [*documents, ("stop", run.compose_stop())]

    return make


@pytest.fixture
def by_hand(catalog, tmp_path, monkeypatch):
    """Return a function that delivers documents, and has the server look at their files again, in this thread."""
    monkeypatch.setattr(nodes, "FIRST_LOOK", 0.0)
    path = tmp_path / "run.twj"
    header = Header("run", None, 0.0, "test")
    with closing(JournalWriter(path, header)) as writer, JournalReader(path) as reader:
        delivery = RunDelivery(reader, target(catalog).connect())

        def by_hand(*documents):
            for document in documents:
                writer.append(encode(*document))
            while delivery.step() is Outcome.MORE:
                pass

        yield by_hand


@pytest.fixture
def late_files(by_hand, file_run, files):
    """Yield a run under way, once before each of its three files is there and once after: its uid, and what can be read.

    Its documents are all delivered before the first file is.
    """
    folder = files / uuid.uuid4().hex
    folder.mkdir()
    frames = np.arange(60, dtype="<u2").reshape(3, 4, 5)

    def late_files():
        *documents, stop = file_run(
            "multipart/related;type=image/tiff", f"file://localhost{folder}/", {"template": "{}.tif"}
        )
        by_hand(*documents)
        for row, frame in enumerate(frames):
            yield documents[0][1]["uid"], frames[:row]
            tifffile.imwrite(folder / f"{row}.tif", frame)
            by_hand()
        yield documents[0][1]["uid"], frames
        by_hand(stop)
        yield documents[0][1]["uid"], frames

    return late_files()
