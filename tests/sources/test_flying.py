"""Any source flown by a RunEngine: the documents in its run are those that the source would have given a writer itself."""

import asyncio
import json
import threading
import time
from datetime import UTC, datetime, timedelta

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import numpy as np
import pandas as pd
import pytest
from bluesky.run_engine import RunEngineInterrupted
from bluesky.utils import FailedStatus
from event_model import DocumentNames, schema_validators

from tilewright import TiledWriter, serve
from tilewright.audio import encode_wav
from tilewright.errors import InputError, SetupError
from tilewright.sources import Recordings, as_flyer, document_file
from tilewright.testing.documents import simple_run

UNITS = ("24F3190361DA0000", "24F3190361DA539A")
BEGIN = datetime(2023, 4, 25, 15, tzinfo=UTC)


class Documents:
    """A source that tells these documents, and does something before each."""

    def __init__(self, documents, before=lambda number: None):
        self._documents = documents
        self._before = before
        self.closed = False

    def documents(self):
        try:
            for number, document in enumerate(self._documents):
                self._before(number)
                yield document
        finally:
            self.closed = True


@pytest.fixture(scope="module")
def server(readable):
    with serve(announce=False, readable_storage=readable) as server:
        yield server


@pytest.fixture
def source(folder):
    """A deployment of two units, one of two channels, with a duplicate and a table of clocks."""
    for unit, channels in zip(UNITS, (1, 2), strict=True):
        for number in range(3):
            values = np.arange(number * 80, number * 80 + 80, dtype="<i2")
            samples = values if channels == 1 else np.stack([values, values + 1], axis=1)
            name = f"{unit}_{BEGIN + timedelta(minutes=number):%Y%m%d_%H%M%S}.wav"
            (folder / name).write_bytes(encode_wav(samples, 8000))
    (folder / "copy.wav").touch()
    clocks = [{"unit": UNITS[0], "time": "2023-04-25T15:00:00Z", "drift": 1.5}]
    return lambda: Recordings(folder, zone="Z", deployment="north", clocks=clocks)


@pytest.fixture
def emitted(run_engine):
    documents = []
    run_engine.subscribe(lambda name, doc: documents.append((name, doc)))
    return documents


def names(documents):
    return [name for name, _ in documents]


def contents(documents):
    """Return documents without what belongs to the run that they are in."""
    own = {"uid", "run_start", "descriptor", "stream_resource"}
    kinds = ("start", "stop")
    return [(n, {k: v for k, v in d.items() if k not in own}) for n, d in documents if n not in kinds]


def test_a_flown_run_reads_back_as_a_recorded_one(source, run_engine, catalog):
    with TiledWriter(catalog, strict=True) as writer:
        for name, doc in source().documents():
            writer(name, doc)
        run_engine.subscribe(writer)
        flyer = as_flyer(source())
        (uid,) = run_engine(bp.fly([flyer], md={**flyer.md, "sample": "hill"}))
    direct, flown = catalog[source().uid()], catalog[uid]
    assert flyer.name == "north"
    assert flown.streams == direct.streams
    assert flown.notes == direct.notes == []
    assert flown.metadata["tilewright"]["verified"] is True
    for stream in flown.streams:
        pd.testing.assert_frame_equal(flown.table(stream), direct.table(stream))
        assert flown[stream].descriptor["configuration"] == direct[stream].descriptor["configuration"]
    for unit in UNITS:
        assert np.array_equal(flown[unit]["audio"][:], direct[unit]["audio"][:])
    assert flown[UNITS[0]]["audio"][:].tolist() == list(range(240))
    start = flown.start
    assert start["scan_id"] == run_engine.md["scan_id"]
    assert (start["plan_name"], start["sample"], start["deployment"]) == ("fly", "hill", "north")
    assert start["units"] == direct.start["units"]
    assert flown.stop["num_events"] == direct.stop["num_events"]


def test_the_documents_are_valid_and_refer_to_each_other(source, run_engine, emitted):
    run_engine(bp.fly([as_flyer(source())]))
    for name, doc in emitted:
        schema_validators[DocumentNames[name]].validate(doc)
    run = emitted[0][1]["uid"]
    assert {doc["run_start"] for _, doc in emitted if "run_start" in doc} == {run}
    known = {doc["uid"] for name, doc in emitted if name in ("descriptor", "stream_resource")}
    for _, doc in emitted:
        assert {doc[key] for key in ("descriptor", "stream_resource") if key in doc} <= known
    uids = [doc["uid"] for _, doc in emitted]
    assert len(set(uids)) == len(uids)
    assert contents(emitted) == contents(source().documents())


def test_it_can_be_flown_again(source, run_engine, emitted):
    flyer = as_flyer(source())
    run_engine(bp.fly([flyer], md=flyer.md))
    first = list(emitted)
    emitted.clear()
    run_engine(bp.fly([flyer]))
    assert contents(emitted) == contents(first)
    assert not {doc["uid"] for _, doc in first} & {doc["uid"] for _, doc in emitted}


def test_pages_and_nulls(run_engine, emitted):
    documents = simple_run(events=5, paged=True)
    pages = [doc for name, doc in documents if name == "event_page"]
    pages[0]["data"]["x0"][2] = None
    run_engine(bp.fly([as_flyer(Documents(documents))]))
    assert contents(emitted) == contents(documents)
    assert emitted[-1][1]["num_events"] == {"primary": 5}


def test_beside_a_scan(source, run_engine, emitted):
    from ophyd.sim import det, motor

    flyer = as_flyer(source(), name="recorders")
    plan = bpp.fly_during_wrapper(bp.scan([det], motor, 0, 1, 3), [flyer])
    run_engine(plan)
    flown = [doc["name"] for name, doc in emitted if name == "descriptor"]
    assert flown == ["primary", *UNITS, "rejected_files", f"clock_{UNITS[0]}"]
    assert emitted[-1][1]["num_events"] == {
        "primary": 3,
        **dict.fromkeys(UNITS, 3),
        "rejected_files": 1,
        f"clock_{UNITS[0]}": 1,
    }


def test_it_is_collected_while_it_goes_on(run_engine, emitted):
    """A source that goes on for hours need not be kept in memory until its end."""
    goes_on = threading.Event()
    documents = simple_run(events=3)
    flyer = as_flyer(Documents(documents, lambda number: number == 3 and goes_on.wait(10)))
    seen = []

    @bpp.run_decorator()
    def plan():
        yield from bps.kickoff(flyer, wait=True)
        yield from bps.complete(flyer, group="end")
        while "event" not in names(emitted):
            yield from bps.collect(flyer)
            yield from bps.sleep(0.01)
        seen.extend(names(emitted))
        goes_on.set()
        yield from bps.wait("end")
        yield from bps.collect(flyer)

    run_engine(plan())
    assert seen == ["start", "descriptor", "event"]
    assert contents(emitted) == contents(documents)


@pytest.mark.parametrize("at", [0, 3])
def test_what_the_source_raises_ends_the_plan(run_engine, emitted, at):
    def fail(number):
        if number == at:
            raise InputError("recording.wav does not tell its zone: --zone")

    source = Documents(simple_run(events=3), fail)
    with pytest.raises(FailedStatus) as error:
        run_engine(bp.fly([as_flyer(source)]))
    assert "--zone" in str(error.value.__cause__)
    assert names(emitted) == (["start", "stop"] if at == 0 else ["start", "descriptor", "event", "stop"])
    assert emitted[-1][1]["exit_status"] == "fail"
    assert source.closed


def test_paused_and_resumed(run_engine, emitted):
    """What was under way goes on: nothing is missing, and nothing comes twice."""
    reached, documents = threading.Event(), simple_run(events=20)

    def pause(number):
        if number == 5:
            run_engine.request_pause()
            reached.wait(0.3)

    flyer = as_flyer(Documents(documents, pause))
    with pytest.raises(RunEngineInterrupted):
        run_engine(bp.fly([flyer]))
    time.sleep(0.3)
    status = flyer.complete()
    assert not status.done
    run_engine.resume()
    assert status.success
    assert contents(emitted) == contents(documents)


@pytest.mark.parametrize(("how", "status"), [("stop", "success"), ("abort", "abort")])
def test_ended_before_its_end(run_engine, emitted, how, status):
    """What had come by then is in the run, and the source is let go."""

    def pause(number):
        if number == 5:
            run_engine.request_pause()
            time.sleep(0.2)

    source = Documents(simple_run(events=20), pause)
    flyer = as_flyer(source)
    with pytest.raises(RunEngineInterrupted):
        run_engine(bp.fly([flyer]))
    getattr(run_engine, how)()
    assert emitted[-1][1]["exit_status"] == status
    assert 1 <= names(emitted).count("event") < 20
    assert source.closed


def test_suspended(run_engine, emitted):
    documents = simple_run(events=10)
    over = threading.Event()

    async def wait():
        while not over.is_set():  # noqa: ASYNC110 - it is set by another thread
            await asyncio.sleep(0.01)

    def suspend(number):
        if number == 4:
            run_engine.loop.call_soon_threadsafe(run_engine.request_suspend, wait)
            threading.Timer(0.3, over.set).start()
            time.sleep(0.1)

    run_engine(bp.fly([as_flyer(Documents(documents, suspend))]))
    assert contents(emitted) == contents(documents)


def test_stop_ends_the_source(run_engine, emitted):
    flyers = []
    source = Documents(simple_run(events=50), lambda number: number == 10 and flyers[0].stop())
    flyers.append(as_flyer(source))
    run_engine(bp.fly(flyers))
    assert names(emitted).count("event") < 50
    assert source.closed


def test_a_file_of_documents(run_engine, emitted, tmp_path):
    """What yields documents itself is a source too; of one run, that is."""
    documents = [*simple_run(events=3), *simple_run(events=2)]
    path = tmp_path / "documents.json"
    path.write_text(json.dumps(documents[:6]))
    run_engine(bp.fly([as_flyer(document_file(path))]))
    assert contents(emitted) == contents(documents[:6])
    path.write_text(json.dumps(documents))
    with pytest.raises(FailedStatus) as error:
        run_engine(bp.fly([as_flyer(document_file(path))]))
    assert "more than one run" in str(error.value.__cause__)


def test_without_a_run_engine(source):
    flyer = as_flyer(source())
    with pytest.raises(SetupError, match="called by a Bluesky RunEngine"):
        flyer.kickoff()
    with pytest.raises(SetupError, match="not kicked off"):
        flyer.complete()


def test_a_status_is_what_bluesky_takes_for_one(source):
    from bluesky.protocols import (
        EventCollectable,
        Flyable,
        Pausable,
        Status,
        Stoppable,
        WritesExternalAssets,
        WritesStreamAssets,
    )

    from tilewright.sources.flying import Status as Ours

    flyer = as_flyer(source())
    for protocol in (EventCollectable, Flyable, Pausable, Stoppable, WritesExternalAssets):
        assert isinstance(flyer, protocol)
    assert not isinstance(flyer, WritesStreamAssets)  # whose events are not collected
    status = Ours("something")
    assert isinstance(status, Status)
    with pytest.raises(TimeoutError, match="something is not done"):
        status.exception(0.01)
    done = []
    status.add_callback(done.append)
    status.finish(ValueError("no"))
    status.finish()
    status.add_callback(done.append)
    assert done == [status, status]
    assert (status.done, status.success, str(status.exception())) == (True, False, "no")
    assert repr(status) == "<Status of something: failed: no>"
