"""`ophyd_async.sim`: a detector that writes HDF5 under SWMR, in step and fly scans, read back as its files hold it."""

import contextlib
import copy

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import h5py
import numpy as np
import pytest

FRAME = (240, 320)
DATASETS = {"": "/entry/data/data", "-sum": "/entry/sum"}
"""By what is added to the detector's name in the data key."""


@pytest.fixture
def bench(run_engine):
    """A stage, and a detector of points that sees where it is."""
    from ophyd_async.core import init_devices
    from ophyd_async.sim import PatternGenerator, SimPointDetector, SimStage

    generator = PatternGenerator()
    with init_devices():
        stage, points = SimStage(generator, name="stage"), SimPointDetector(generator, name="points")
    return stage, points


def info(**wanted):
    from ophyd_async.core import TriggerInfo

    return TriggerInfo(livetime=1.0, **wanted)


def uris(documents, key):
    return [doc["uri"] for name, doc in documents if name == "stream_resource" and doc["data_key"] == key]


def in_files(documents, key, dataset):
    """Return what the files of a data key hold, one after the other."""
    parts = []
    for uri in uris(documents, key):
        with h5py.File(uri.removeprefix("file://localhost"), locking=False) as file:
            parts.append(file[dataset][:])
    return np.concatenate(parts)


@pytest.fixture
def as_written(equal):
    """Return a function that compares a detector's arrays with its files; frames of an event are put together."""

    def as_written(stream, documents, detector, events, frames=1):
        for suffix, dataset in DATASETS.items():
            key = f"{detector}{suffix}"
            values = in_files(documents, key, dataset)
            assert len(values) == events * frames
            assert values.dtype == ("int64" if suffix else "uint8")
            if suffix:
                assert len(np.unique(values)) == len(values)  # a wrong place would be seen
                shape = (events, frames) if frames > 1 else (events,)
            else:
                shape = (events, frames, *FRAME)
            equal(stream[key], values.reshape(shape))
            np.testing.assert_array_equal(stream.read([key])[key], values.reshape(shape))

    return as_written


def test_a_step_scan(record, blob, bench, as_written, same_as_bluesky):
    detector = blob("blob")
    stage, points = bench

    def plan():
        yield from bps.mv(stage.x.velocity, 0, points.acquire_time, 0.01)  # at once
        return (yield from bp.scan([detector, points], stage.x, 0, 3, 4))

    run, theirs, documents = record(plan())
    assert len(uris(documents, "blob")) == len(uris(documents, "blob-sum")) == 1
    as_written(run["primary"], documents, "blob", 4)
    same_as_bluesky(run, theirs)
    table = run.table()
    assert table["stage-x"].tolist() == [0.0, 1.0, 2.0, 3.0]
    events = [doc["data"] for name, doc in documents if name == "event"]
    assert table["points-channel-1-value"].tolist() == [data["points-channel-1-value"] for data in events]
    assert dict(run["primary"].read().sizes) == {
        "time": 4,
        "blob_dim1": 1,
        "blob_dim2": 240,
        "blob_dim3": 320,
    }
    files = run.assets().query("data_key != 'internal'")
    assert files["data_key"].tolist() == ["blob", "blob-sum"]  # one file
    assert files["uri"].tolist() == uris(documents, "blob") * 2
    assert files["exists"].all()
    assert run.notes == []


def test_several_frames_an_event(record, blob, as_written, same_as_bluesky):
    detector = blob("blob")

    @bpp.stage_decorator([detector])
    @bpp.run_decorator()
    def plan():
        yield from bps.prepare(detector, info(collections_per_event=3), wait=True)
        yield from bps.repeat(lambda: bps.one_shot([detector]), 4)

    run, theirs, documents = record(plan())
    as_written(run["primary"], documents, "blob", 4, frames=3)
    same_as_bluesky(run, theirs)
    assert run["primary"]["blob"].chunks == ((1, 1, 1, 1), (3,), (240,), (320,))
    assert run["primary"].read().sizes["time"] == len(run.table()) == 4
    assert run.notes == []


def fly(detectors, **wanted):
    """Fly a number of events, and collect what is there every few milliseconds."""
    for detector in detectors:
        yield from bps.prepare(detector, info(**wanted), wait=True)
    yield from bps.declare_stream(*detectors, name="main", collect=True)
    yield from bps.kickoff_all(*detectors, wait=True)
    yield from bps.collect_while_completing(detectors, detectors, flush_period=0.005, stream_name="main")


@pytest.mark.parametrize("frames", [1, 2])
def test_two_detectors_in_a_fly_scan(frames, record, blob, as_written, same_as_bluesky):
    detectors = [blob("left"), blob("right")]
    plan = fly(detectors, number_of_events=6, collections_per_event=frames)
    run, theirs, documents = record(bpp.stage_wrapper(bpp.run_wrapper(plan), detectors))
    assert "event" not in [name for name, _ in documents]
    for detector in ("left", "right"):
        as_written(run["main"], documents, detector, 6, frames)
    same_as_bluesky(run, theirs)
    assert run["main"].read().sizes["time"] == 6
    assert run.table("main").empty
    assert set(run["main"].data_keys) == {"left", "left-sum", "right", "right-sum"}
    assert run.assets()["data_key"].nunique() == 4
    assert run.notes == []


def test_a_file_that_three_flights_write(record, blob, as_written, same_as_bluesky):
    """One resource a data key, whose datums go on."""
    detector = blob("blob")

    @bpp.stage_decorator([detector])
    @bpp.run_decorator()
    def plan():
        for events in (2, 3, 4):
            yield from fly([detector], number_of_events=events)

    run, theirs, documents = record(plan())
    assert len(uris(documents, "blob")) == 1
    ranges = {tuple(doc["indices"].values()) for name, doc in documents if name == "stream_datum"}
    assert {stop for _, stop in ranges} >= {2, 5, 9}
    as_written(run["main"], documents, "blob", 9)
    same_as_bluesky(run, theirs)
    assert run.notes == []


def test_two_stagings_in_one_run(record, blob, as_written, same_as_bluesky):
    """Each staging has a file of its own."""
    detector = blob("blob")

    @bpp.run_decorator()
    def plan():
        for events in (2, 3):
            yield from bpp.stage_wrapper(fly([detector], number_of_events=events), [detector])

    run, theirs, documents = record(plan())
    assert len(set(uris(documents, "blob"))) == 2
    as_written(run["main"], documents, "blob", 5)
    same_as_bluesky(run, theirs)
    assert run.notes == []


@pytest.fixture
def record_all(write, catalog, run_engine):
    """Return a function that has a plan's runs recorded by our writer: the runs, and the documents of each."""

    def record_all(plan, error=None):
        documents = []
        run_engine.subscribe(lambda name, doc: documents.append((name, copy.deepcopy(doc))))
        run_engine.subscribe(write.writer)
        with pytest.raises(error) if error else contextlib.nullcontext():
            run_engine(plan)
        starts = [place for place, (name, _) in enumerate(documents) if name == "start"]
        parts = [documents[i:j] for i, j in zip(starts, [*starts[1:], None], strict=True)]
        return [catalog[part[0][1]["uid"]] for part in parts], parts

    return record_all


def flights(detector, *flights):
    """Fly a run for each of these, in one staging."""
    runs = [bpp.run_wrapper(fly([detector], **wanted)) for wanted in flights]
    return bpp.stage_wrapper(bpp.pchain(*runs), [detector])


def test_two_runs_in_one_staging(record_all, blob, as_written):
    """With another number of frames the detector begins another file."""
    plan = flights(blob("blob"), {"number_of_events": 3}, {"number_of_events": 2, "collections_per_event": 2})
    runs, documents = record_all(plan)
    for run, docs, events, frames in zip(runs, documents, (3, 2), (1, 2), strict=True):
        as_written(run["main"], docs, "blob", events, frames)
        assert run.notes == []


def test_a_run_that_goes_on_in_the_file_of_the_one_before(record_all, blob, as_written):
    """The detector does not name the file again, so the RunEngine ends the run, which has no array then."""
    plan = flights(blob("blob"), {"number_of_events": 3}, {"number_of_events": 2})
    (first, second), (documents, _) = record_all(plan, error=KeyError)
    assert first["main"]["blob-sum"].shape == (3,)
    np.testing.assert_array_equal(
        first["main"]["blob-sum"].read(), in_files(documents, "blob-sum", "/entry/sum")[:3]
    )
    assert (first["main"]["blob"].read() == in_files(documents, "blob", "/entry/data/data")[:3, None]).all()
    assert second.stop["exit_status"] == "fail"
    assert second["main"].descriptor["data_keys"].keys() == {"blob", "blob-sum"}
    assert second["main"].read().sizes == {}
    assert second.notes == []
