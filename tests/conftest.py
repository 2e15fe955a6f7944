"""What every test gets: a journal directory of its own, the recorded data, and the guard against leaks; and servers to share."""

import functools
import http.server
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from pathlib import Path

import dask
import hypothesis
import numpy as np
import pytest

from tilewright import open_catalog, serve
from tilewright.delivery import Remote
from tilewright.testing.cables import RATE, START, samples_of

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


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    """Start moto's S3 server in a process of its own; return its address."""
    port = _free_port()
    log = tmp_path_factory.mktemp("moto") / "log"
    environment = {**os.environ, "MOTO_S3_CUSTOM_ENDPOINTS": ""}
    with log.open("wb") as output:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        address = f"http://127.0.0.1:{port}"
        try:
            _wait_for_moto(process, address, log)
            yield address
        finally:
            process.terminate()
            process.wait()


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait_for_moto(process, address, log, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/moto-api/", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"moto's server did not start: {log.read_text()}")


@pytest.fixture
def free_port():
    """Return the number of a port where nobody answers."""
    return _free_port()


@pytest.fixture
def s3_options(s3_server):
    return {
        "endpoint": s3_server,
        "access_key_id": "test",
        "secret_access_key": "test",
        "region": "us-east-1",
    }


@pytest.fixture
def make_bucket(s3_server):
    """Return a function that makes a bucket of a name."""
    scope = "test/20260101/us-east-1/s3/aws4_request"

    def make(name):
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}"}
        request = urllib.request.Request(f"{s3_server}/{name}", method="PUT", headers=headers)
        urllib.request.urlopen(request, timeout=30).close()
        return name

    return make


@pytest.fixture
def bucket(make_bucket):
    """Return the name of a new bucket."""
    return make_bucket(f"b{uuid.uuid4().hex[:12]}")


@pytest.fixture
def s3_environment(s3_options, monkeypatch):
    """Have the S3 server be the one that the environment names, to this process and those it starts."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_options["endpoint"])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_options["access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_options["secret_access_key"])
    monkeypatch.setenv("AWS_REGION", s3_options["region"])


@pytest.fixture
def upload(bucket, s3_environment):
    """Return a function that copies a directory into a new bucket and returns its URL."""
    import obstore

    store = obstore.store.from_url(f"s3://{bucket}", client_options={"allow_http": True})

    def upload(path, name):
        for file in path.rglob("*"):
            if file.is_file():
                obstore.put(store, f"{name}/{file.relative_to(path).as_posix()}", file.read_bytes())
        return f"s3://{bucket}/{name}"

    return upload


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Answers with files; 403 to all, where the address begins with /forbidden, and 503 where it begins with /busy."""

    def do_GET(self):
        for prefix, status in (("/forbidden", 403), ("/busy", 503)):
            if self.path.startswith(prefix):
                self.send_error(status)
                return
        super().do_GET()

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def web(tmp_path):
    """Serve the files of the test's folder over HTTP; return the address."""
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def dascore():
    """Return dascore, which is an extra."""
    return pytest.importorskip("dascore", reason="the extra dascore is not installed")


@pytest.fixture
def write_dascore(dascore, tmp_path):
    """Return a function that has dascore write samples from a number on into a file, which it returns."""
    step = 10**9 // RATE

    def write(name="x.h5", first=0, count=1_000, channels=8, *, by_time=True, coords=None, **attributes):
        values = samples_of(first, count, channels).astype("<f4")
        own = {
            "time": np.datetime64(START + first * step, "ns") + np.arange(count) * np.timedelta64(step, "ns"),
            "distance": 30.0 + 2.5 * np.arange(channels),
        }
        dims = ("time", "distance") if by_time else ("distance", "time")
        attributes = {"data_units": "m/s", "data_type": "velocity", "gauge_length": 10.0, **attributes}
        patch = dascore.Patch(
            values if by_time else values.T, coords={**own, **(coords or {})}, dims=dims, attrs=attributes
        )
        patch.io.write(tmp_path / name, "dasdae")
        return tmp_path / name

    return write
