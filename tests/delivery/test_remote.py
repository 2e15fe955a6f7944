import http.server
import socket
import threading

import httpx
import pytest

from tilewright.delivery import target
from tilewright.delivery.failures import (
    BusyError,
    ConflictError,
    FateUnknownError,
    KeyRefusedError,
    NotThereError,
    UnreachableError,
)
from tilewright.delivery.remote import Remote
from tilewright.errors import FinalError, InputError


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers every request with the status that is its key."""

    def answer(self):
        status = int(self.path.split("?")[0].rsplit("/", 1)[-1])
        self.server.seen.append((self.command, self.path, self.headers.get("Authorization")))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if status == 0:  # cut the connection
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", "20")
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"detail": "because"}'[:20])

    do_GET = do_POST = do_PATCH = do_DELETE = answer

    def log_message(self, *args):
        pass


@pytest.fixture
def answering():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def remote(answering):
    remote = target(f"http://127.0.0.1:{answering.server_port}/api/v1?api_key=secret").connect()
    yield remote
    remote.close()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (0, FateUnknownError),
        (400, FinalError),
        (401, KeyRefusedError),
        (403, KeyRefusedError),
        (404, NotThereError),
        (409, ConflictError),
        (415, FinalError),
        (422, FinalError),
        (429, BusyError),
        (500, FateUnknownError),
        (503, FateUnknownError),
    ],
)
def test_what_a_failure_means(remote, status, error):
    with pytest.raises(error) as raised:
        remote.set_metadata(("run", str(status)), {})
    assert type(raised.value) is error
    assert f"run/{status}" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_server_that_is_not_there_is_worth_another_try():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    remote = target(f"http://127.0.0.1:{port}").connect()
    with pytest.raises(UnreachableError, match="cannot reach"):
        remote.get(("x",))
    remote.close()


def test_the_key_goes_into_the_header_and_nowhere_else(remote, answering):
    with pytest.raises(FinalError):
        remote.delete(("a b", "ü/x", "400"))
    ((command, path, authorization),) = answering.seen
    assert (command, authorization) == ("DELETE", "Apikey secret")
    assert path.startswith("/api/v1/metadata/a%20b/%C3%BC%2Fx/400?")
    assert "secret" not in path


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("http://h:8000", "http://h:8000/api/v1"),
        ("http://h:8000/", "http://h:8000/api/v1"),
        ("http://h:8000/api/v1", "http://h:8000/api/v1"),
        ("https://h/tiled/api/v1/?api_key=secret", "https://h/tiled/api/v1"),
        ("http://h/api/v1/metadata/raw/2026?api_key=secret", "http://h/api/v1/raw/2026"),
    ],
)
def test_a_uri_names_a_catalog(uri, name):
    assert target(uri).name == name


@pytest.mark.parametrize("where", ["data/", "ftp://x", "", 5, None])
def test_what_is_no_catalog_is_refused(where):
    with pytest.raises(InputError, match="Tiled server"):
        target(where)


def test_the_key_may_come_from_the_environment(monkeypatch, answering):
    monkeypatch.setenv("TILED_API_KEY", "fromenv")
    remote = target(f"http://127.0.0.1:{answering.server_port}").connect()
    with pytest.raises(FinalError):
        remote.delete(("400",))
    assert answering.seen[0][2] == "Apikey fromenv"
    remote.close()


def answered_by(response):
    return Remote(httpx.Client(transport=httpx.MockTransport(lambda _: response)), "http://nowhere/api/v1")


def test_an_answer_that_cannot_be_decompressed_leaves_the_fate_unknown():
    garbage = httpx.ByteStream(b"not gzip")
    with pytest.raises(FateUnknownError):
        answered_by(httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=garbage)).get(("run",))


def test_a_server_without_live_streams_has_none_to_close():
    answered_by(httpx.Response(404, json={"detail": "Not Found"})).close_stream(("run",))
