"""Devices of `ophyd.sim` from a RunEngine to what is read: equal to their files, and to what Bluesky's writer has."""

import itertools
from pathlib import Path

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import numpy as np
import pytest
from bluesky.run_engine import RunEngineInterrupted


def picture(number):
    """Return a picture whose values count on from picture to picture."""
    return np.arange(number * 20, number * 20 + 20, dtype="<f8").reshape(4, 5)


@pytest.fixture
def camera(detectors, files, tmp_path):
    """A camera whose first file has picture 1: ophyd takes number 0 when the device is made."""
    place = files / f"npy-{tmp_path.name}"
    place.mkdir()
    numbers = itertools.count()
    return detectors.SynSignalWithRegistry(
        func=lambda: picture(next(numbers)), name="camera", save_path=str(place)
    )


def written_by(camera):
    """Return the paths of a camera's files in the order of writing: their pictures count on."""
    return sorted(Path(camera.save_path).glob("*.npy"), key=lambda path: np.load(path)[0, 0])


def stacked(paths):
    return np.stack([np.load(path) for path in paths])


def test_cameras_in_a_scan(record, detectors, camera, files, monkeypatch, equal, same_as_bluesky):
    place = files / "img"
    place.mkdir()
    monkeypatch.setattr(detectors.img, "save_path", str(place))
    run, theirs, documents = record(
        bp.scan([detectors.img, camera, detectors.det], detectors.motor, -1, 1, 4)
    )
    assert [name for name, _ in documents].count("datum") == 2 * 4
    stream = run["primary"]
    equal(stream["camera"], stacked(written_by(camera)))
    equal(stream["img"], stacked(place.glob("*.npy")))
    same_as_bluesky(run, theirs)

    assert list(run.table()) == ["seq_num", "time", "det", "motor", "motor_setpoint"]
    dataset = stream.read()
    assert dict(dataset.sizes)["time"] == 4
    np.testing.assert_array_equal(dataset["camera"], [picture(n) for n in range(1, 5)])
    assets = run.assets().query("data_key == 'camera'")
    assert assets["path"].tolist() == [str(path) for path in written_by(camera)]
    assert assets["exists"].all()
    assert run.notes == []


def test_pictures_in_events(record, detectors):
    """`direct_img` writes no files."""
    run, theirs, _ = record(bp.count([detectors.direct_img], 3))
    pictures = run["primary"].read()["img"]
    assert (pictures.dtype, dict(pictures.sizes)) == (
        "float64",
        {"time": 3, "dim_int_1": 10, "dim_int_2": 10},
    )
    np.testing.assert_array_equal(pictures, np.ones((3, 10, 10)))
    np.testing.assert_array_equal(pictures, theirs["primary"].read()["img"])
    assert run.notes == []


def test_a_camera_in_the_baseline(record, camera, detectors, equal):
    """One staging: the files of a Resource go to two streams, and none is in both."""
    plan = bpp.baseline_wrapper(bp.count([camera, detectors.det], 3), [camera])
    run, theirs, documents = record(plan)
    assert [name for name, _ in documents].count("resource") == 1
    paths = written_by(camera)
    equal(run["baseline"]["camera"], stacked([paths[0], paths[4]]))
    equal(run["primary"]["camera"], stacked(paths[1:4]))
    assert run.notes == []
    for name in ("baseline", "primary"):
        assert run[name]["camera"].structure() == theirs[name]["camera"].structure()
        assert run[name].read().sizes["time"] == len(run.table(name))
    # Bluesky's writer goes by the events' seq_num, and has the first files in both streams.
    equal(theirs["primary"]["camera"], stacked(paths[:3]))
    equal(theirs["baseline"]["camera"], stacked(paths[:2]))


def test_an_event_that_is_taken_again(record, camera, run_engine, catalog, equal):
    """The plan is interrupted and rewound: the camera's next file belongs to the same event."""
    times = itertools.count()

    @bpp.stage_decorator([camera])
    @bpp.run_decorator()
    def plan():
        for event in range(3):
            yield from bps.checkpoint()
            yield from bps.trigger_and_read([camera])
            if event == 1 and next(times) == 0:
                yield from bps.pause()

    with pytest.raises(RunEngineInterrupted):
        record(plan())
    (uid,) = run_engine.resume()
    run = catalog[uid]
    paths = written_by(camera)
    assert len(paths) == 4
    equal(run["primary"]["camera"], stacked(paths))
    np.testing.assert_array_equal(run["primary"].read()["camera"], stacked([paths[0], paths[2], paths[3]]))
    assert run.table(attempts=True)["seq_num"].tolist() == [1, 2, 2, 3]
    assert run.notes == ["'camera' has 4 rows in its files for 3 different seq_nums."]


def test_a_camera_staged_twice(record, camera, detectors, equal):
    """Each staging has another Resource, whose files are counted from 0."""

    def plan():
        yield from bps.open_run()
        for events in (2, 3):
            yield from bps.stage(camera)
            yield from bps.repeat(lambda: bps.trigger_and_read([camera, detectors.det]), events)
            yield from bps.unstage(camera)
        yield from bps.close_run()

    # Bluesky's writer raises at the second Resource of a data key, for lack of a template.
    run, _, documents = record(plan(), bluesky=False)
    assert [name for name, _ in documents].count("resource") == 2
    equal(run["primary"]["camera"], stacked(written_by(camera)))
    assert run["primary"].read().sizes["time"] == 5
    assert run.notes == []
