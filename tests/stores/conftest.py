"""What the tests of stores get: an S3 server in a process of its own."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
import uuid

import pytest

from tilewright.stores.objects import ObjectPersister


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    """Start moto's server; return its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("moto") / "log"
    environment = {**os.environ, "MOTO_S3_CUSTOM_ENDPOINTS": ""}
    with log.open("wb") as output:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        address = f"http://127.0.0.1:{port}"
        try:
            _wait(process, address, log)
            yield address
        finally:
            process.terminate()
            process.wait()


def _wait(process, address, log, seconds=120):
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
def objects(bucket, s3_options):
    """Return a persister on a new bucket, below a prefix."""
    return ObjectPersister.at(f"s3://{bucket}/lab/audio", allow_delete=True, **s3_options)
