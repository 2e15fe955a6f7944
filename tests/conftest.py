"""What every test gets: a journal directory of its own, the recorded data, and the guard against leaks."""

import itertools
import os
import uuid
from pathlib import Path

import dask
import hypothesis
import pytest

from tilewright import open_catalog, serve
from tilewright.delivery import Remote

pytest_plugins = ["pytester", "tilewright.testing.leaks"]

hypothesis.settings.register_profile("tilewright", deadline=None)  # a busy machine is no fault
hypothesis.settings.load_profile("tilewright")

DATA = Path(os.environ.get("TILEWRIGHT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def test_data():
    """Return the folder of files that other people's instruments produced."""
    if not DATA.is_dir():
        pytest.skip(f"no recorded data in {DATA} (set TILEWRIGHT_TEST_DATA)")
    return DATA


@pytest.fixture(scope="session", autouse=True)
def _journals(tmp_path_factory):
    """Keep what fixtures of wider scope write out of the user's own directories; yield the place."""
    with pytest.MonkeyPatch.context() as patch:
        directory = tmp_path_factory.mktemp("journals")
        patch.setenv("TILEWRIGHT_JOURNAL", str(directory / "shared"))
        patch.delenv("TILEWRIGHT_CATALOG", raising=False)
        # A process for each writer would take most of the tests' time.
        patch.setenv("TILEWRIGHT_DELIVER", "thread")
        yield directory


NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def _journal(_journals, monkeypatch):
    """Give each test a journal directory of its own; whoever writes creates it."""
    monkeypatch.setenv("TILEWRIGHT_JOURNAL", str(_journals / str(next(NUMBERS))))


@pytest.fixture(scope="session")
def _one_run_engine():
    """Return a RunEngine; importing ophyd's simulated devices makes a folder that outlives the tests."""
    import ophyd.sim  # noqa: F401
    from bluesky.run_engine import RunEngine

    run_engine = RunEngine({})
    yield run_engine
    run_engine._loop.call_soon_threadsafe(run_engine._loop.stop)
    run_engine._th.join()
    run_engine._loop.close()


@pytest.fixture
def run_engine(_one_run_engine):
    """Return the RunEngine with nobody subscribed."""
    yield _one_run_engine
    _one_run_engine.dispatcher.unsubscribe_all()


@pytest.fixture(scope="session", autouse=True)
def _dask_in_this_thread():
    """Have dask compute without a pool of threads that would outlive the tests."""
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture
def one_by_one(monkeypatch):
    """Have each step of a delivery asked for by itself, as of a stock server."""
    monkeypatch.setattr(Remote, "send_bundle", lambda *_: None)


@pytest.fixture(scope="session")
def server():
    """Return a server that tests share."""
    with serve(announce=False) as server:
        yield server


@pytest.fixture
def catalog(server):
    """Return an empty container in the server, opened as a catalog."""
    key = f"c{uuid.uuid4().hex[:8]}"
    with open_catalog(server.uri) as whole, open_catalog(whole.create_container(key)) as catalog:
        yield catalog


@pytest.fixture(scope="module")
def readable(tmp_path_factory):
    """A directory for a server's `readable_storage`."""
    return tmp_path_factory.mktemp("readable")


@pytest.fixture
def folder(readable):
    """A directory of the test's own that the server may read."""
    path = readable / uuid.uuid4().hex[:8]
    path.mkdir()
    return path
