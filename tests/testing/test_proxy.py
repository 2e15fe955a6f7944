"""Each fault of the proxy, seen with httpx from one side and with a small server from the other."""

import contextlib
import os
import resource
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random

import httpx
import pytest

from tilewright.errors import InputError
from tilewright.testing import wire
from tilewright.testing.carrier import Carrier
from tilewright.testing.faults import (
    Answer,
    Cut,
    Down,
    Late,
    Reset,
    Silence,
    Slow,
    Withhold,
    schedule,
)
from tilewright.testing.proxy import FaultyProxy

ROUTE = "table/partition"
PATH = "/table/partition/run"
PATIENCE = 10.0
"""Seconds; more than a busy machine takes. Who is to give up is given less."""
IMPATIENCE = 0.3
BROKEN = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
"""What a reset is to httpx: the last where it is noticed while the request is being sent."""


@dataclass
class Server:
    """What the small server has been given."""

    uri: str
    bodies: list[bytes] = field(default_factory=list)
    connections: set = field(default_factory=set)
    hosts: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """Keeps a body it is given and answers its number; answers 1,000 bytes to /big, chunks to /chunked …"""

    protocol_version = "HTTP/1.1"
    state: Server

    def do_PATCH(self):
        body = self._chunks() if self.headers.get("Transfer-Encoding") else self._body()
        self.state.bodies.append(body)
        self.state.connections.add(self.client_address)
        self.state.hosts.append(self.headers["Host"])
        self._answer(str(len(self.state.bodies)).encode())

    def do_GET(self):
        if self.path.endswith("/chunked"):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: 1\r\n\r\n")
        elif self.path.endswith("/until-the-end"):
            self.close_connection = True
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"all of it")
        elif self.path.endswith("/nothing"):
            self.send_response(204)
            self.end_headers()
        else:
            self._answer(b"x" * 1000)

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()

    def _body(self):
        size = int(self.headers["Content-Length"])
        body = self.rfile.read(size)
        if len(body) < size:
            raise ConnectionError("cut short")
        return body

    def _chunks(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class HTTPServer(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, request, client_address):
        """A broken connection is what is wanted."""


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {})) as http:
        state = Server(f"http://127.0.0.1:{http.server_port}/api/v1?api_key=secret")
        http.RequestHandlerClass.state = state
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield state
        http.shutdown()
        thread.join()


@pytest.fixture
def proxy(server):
    with FaultyProxy(server.uri) as proxy:
        yield proxy


@pytest.fixture
def client(proxy):
    with httpx.Client(base_url=proxy.uri.partition("?")[0], timeout=PATIENCE) as client:
        yield client


def append(client, body=b"rows", **kwargs):
    return client.patch(PATH, content=body, **kwargs)


def wait_for(condition, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def statuses(proxy):
    assert proxy.settle(5)
    return [(record.status, record.server_status) for record in proxy.log]


def test_what_is_passed_on_is_what_was_sent(proxy, client, server):
    assert append(client).text == "1"
    assert append(client, iter([b"in ", b"chunks"])).text == "2"
    assert append(client, b"y" * 3_000_000).text == "3"
    assert server.bodies == [b"rows", b"in chunks", b"y" * 3_000_000]
    assert client.get("/big").text == "x" * 1000
    assert client.get("/chunked").text == "abcdefg"
    assert client.get("/until-the-end").text == "all of it"
    assert client.get("/nothing").status_code == 204
    assert client.head("/big").headers["Content-Length"] == "1000"
    assert statuses(proxy) == [(200, 200)] * 6 + [(204, 204), (200, 200)]


def test_its_uri_is_the_servers_on_another_port(proxy, server):
    assert proxy.uri.endswith("/api/v1?api_key=secret")
    assert proxy.uri != server.uri


def test_connections_are_kept_and_links_lead_back(proxy, client, server):
    for _ in range(3):
        append(client)
    assert len(server.connections) == 1
    assert set(server.hosts) == {httpx.URL(proxy.uri).netloc.decode()}  # Tiled makes its links of it


def test_the_log_has_no_key_in_it(proxy, client):
    client.get("/big?api_key=secret")
    assert proxy.settle(5)
    (record,) = proxy.log
    assert record.path == "/api/v1/big"
    assert time.time() - 5 < record.time < time.time()
    assert "secret" not in repr(proxy) + repr(record)


def test_curl_waits_to_be_told_to_go_on(proxy, server):
    address = ("127.0.0.1", httpx.URL(proxy.uri).port)
    with socket.create_connection(address, timeout=2) as sock:
        sock.sendall(
            b"PATCH /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
        )
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"rows")
        with contextlib.closing(sock.makefile("rb")) as answer:
            assert answer.read().endswith(b"\r\n\r\n1")
    assert server.bodies == [b"rows"]


def test_what_is_no_http_ends_the_connection(proxy):
    with socket.create_connection(("127.0.0.1", httpx.URL(proxy.uri).port), timeout=2) as sock:
        sock.sendall(b"PATCH / HTTP/1.1\r\nContent-Length: many\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_only_http():
    with pytest.raises(InputError, match="speaks http"):
        FaultyProxy("https://user:password@example.org/api/v1?api_key=secret")


def test_no_server():
    with FaultyProxy("http://127.0.0.1:1/api/v1") as proxy:
        assert httpx.get(proxy.uri).status_code == 502
        assert statuses(proxy) == [(502, None)]


@pytest.mark.parametrize(
    ("status", "retry_after"), [(401, None), (403, None), (429, 3), (500, None), (502, None), (503, 1)]
)
def test_answers_without_asking(proxy, client, server, status, retry_after):
    proxy.inject(Answer(status, retry_after=retry_after))
    answer = append(client)
    assert answer.status_code == status
    assert answer.headers.get("Retry-After") == (None if retry_after is None else str(retry_after))
    assert answer.json() == {"detail": "the proxy was told to say so"}
    assert server.bodies == []
    assert append(client).text == "1"
    assert len(server.connections) == 1


def test_answers_that_it_failed_when_it_is_done(proxy, client, server):
    proxy.inject(Answer(502, committed=True))
    assert append(client).status_code == 502
    assert server.bodies == [b"rows"]
    assert statuses(proxy) == [(502, 200)]


def test_down_and_up_again(proxy, client, server):
    append(client)
    with proxy.down():
        for _ in range(2):
            with pytest.raises(httpx.ConnectError):
                append(client)
    assert append(client).text == "2"
    assert server.bodies == [b"rows"] * 2


def test_down_breaks_connections(proxy):
    with socket.create_connection(("127.0.0.1", httpx.URL(proxy.uri).port), timeout=2) as sock:
        sock.sendall(b"PATCH /x HTTP/1.1\r\nContent-Length: 4\r\n\r\nro")
        wait_for(lambda: proxy._carriers)
        with proxy.down(), pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_down_for_a_time(proxy, client):
    proxy.go_down(0.2)
    began = time.monotonic()
    with pytest.raises(httpx.ConnectError):
        append(client)
    wait_for(lambda: is_up(proxy))
    assert 0.15 < time.monotonic() - began < PATIENCE
    assert append(client).text == "1"


def is_up(proxy):
    try:
        socket.create_connection(("127.0.0.1", httpx.URL(proxy.uri).port), timeout=1).close()
    except ConnectionRefusedError:
        return False
    return True


def test_dies_of_a_request(proxy, client, server):
    proxy.inject(Down(0.2), nth=2)
    assert append(client).text == "1"
    with pytest.raises(BROKEN):
        append(client)
    with pytest.raises(httpx.ConnectError):
        append(client)
    wait_for(lambda: is_up(proxy))
    assert append(client).text == "2"
    assert statuses(proxy) == [(200, 200), (None, None), (200, 200)]


def test_silence_until_the_client_gives_up(proxy, client, server):
    proxy.inject(Silence())
    with pytest.raises(httpx.ReadTimeout):
        append(client, timeout=IMPATIENCE)
    assert proxy.settle(5)
    assert server.bodies == []
    assert statuses(proxy) == [(None, None)]


def test_silence_for_a_time(proxy, client, server):
    proxy.inject(Silence(0.1))
    began = time.monotonic()
    with pytest.raises(httpx.RemoteProtocolError):
        append(client)
    assert 0.1 <= time.monotonic() - began < PATIENCE
    assert server.bodies == []


def test_reset_before_anything_is_forwarded(proxy, client, server):
    proxy.inject(Reset())
    with pytest.raises(BROKEN):
        append(client)
    assert proxy.settle(5)
    assert server.connections == set()


def test_reset_within_the_body(proxy, client, server):
    """The server sees the beginning of it, and can do nothing with that."""
    proxy.inject(Reset(0.5))
    with pytest.raises(BROKEN):
        append(client, b"y" * 3_000_000)
    assert append(client).text == "1"
    assert server.bodies == [b"rows"]


def test_reset_after_the_body(proxy, client, server):
    proxy.inject(Reset(1))
    with pytest.raises(BROKEN):
        append(client)
    wait_for(lambda: server.bodies == [b"rows"])


def test_never_answered(proxy, client, server):
    proxy.inject(Withhold())
    with pytest.raises(httpx.ReadTimeout):
        append(client, timeout=IMPATIENCE)
    assert proxy.settle(5)
    assert server.bodies == [b"rows"]
    assert statuses(proxy) == [(None, 200)]


def test_answered_late_for_who_waits(proxy, client, server):
    proxy.inject(Withhold(0.2))
    began = time.monotonic()
    assert append(client).text == "1"
    assert time.monotonic() - began >= 0.2


def test_answered_when_the_client_has_given_up(proxy, client, server):
    proxy.inject(Withhold(0.6))
    with pytest.raises(httpx.ReadTimeout):
        append(client, timeout=IMPATIENCE)
    assert append(client).text == "2"


def test_half_an_answer(proxy, client, server):
    proxy.inject(Cut(0.5))
    with pytest.raises(httpx.RemoteProtocolError, match="complete"):
        client.get("/big")
    proxy.inject(Cut(0))
    with pytest.raises(httpx.RemoteProtocolError, match="without sending"):
        append(client)
    assert server.bodies == [b"rows"]
    assert statuses(proxy) == [(None, 200)] * 2


def test_late_after_the_connection_was_ended(proxy, client, server):
    proxy.inject(Late(1.0))
    began = time.monotonic()
    with pytest.raises(httpx.RemoteProtocolError):
        append(client, b"late")
    assert append(client, b"again").text == "1"
    assert not proxy.settle(0.05)
    assert proxy.settle(5)
    assert time.monotonic() - began >= 1.0
    assert server.bodies == [b"again", b"late"]
    assert statuses(proxy) == [(200, 200), (None, 200)]


def test_late_after_the_client_has_given_up(proxy, client, server):
    proxy.inject(Late(0.5, hang_up=False))
    with pytest.raises(httpx.ReadTimeout):
        append(client, b"late", timeout=IMPATIENCE)
    assert server.bodies == []
    assert proxy.settle(5)
    assert server.bodies == [b"late"]


def test_what_is_late_outlives_an_outage(proxy, client, server):
    proxy.inject(Late(0.2))
    with pytest.raises(httpx.RemoteProtocolError):
        append(client, b"late")
    with proxy.down():
        assert proxy.settle(5)
    assert server.bodies == [b"late"]


def test_what_is_late_ends_with_the_proxy(proxy, client, server):
    proxy.inject(Late(60))
    with pytest.raises(httpx.RemoteProtocolError):
        append(client, b"late")
    began = time.monotonic()
    proxy.close()
    assert time.monotonic() - began < PATIENCE
    assert server.bodies == []


def test_latency(proxy, client):
    proxy.inject(Slow(latency=0.2))
    began = time.monotonic()
    assert append(client).text == "1"
    assert time.monotonic() - began >= 0.2


def test_bandwidth(proxy, client, server):
    proxy.inject(Slow(bytes_per_second=100_000), times=None)
    began = time.monotonic()
    assert append(client, b"y" * 20_000).text == "1"
    assert 0.15 < time.monotonic() - began < PATIENCE
    assert server.bodies == [b"y" * 20_000]


def test_conditions(proxy, client):
    """The second and third append, and nothing else."""
    injection = proxy.inject(Answer(500), method="PATCH", route=ROUTE, nth=2, times=2)
    codes = [append(client).status_code for _ in range(2)]
    codes += [client.get(PATH).status_code, client.patch("/table/partitions", content=b"").status_code]
    codes += [append(client).status_code for _ in range(2)]
    assert codes == [200, 500, 200, 200, 500, 200]
    assert injection.hits == 2


def test_a_fault_for_a_time(proxy, client):
    proxy.inject(Answer(500), times=None, seconds=0.1)
    assert append(client).status_code == 500
    time.sleep(0.15)
    assert append(client).status_code == 200


def test_the_first_fault_counts(proxy, client):
    first, second = proxy.inject(Answer(500)), proxy.inject(Answer(503), times=None)
    assert [append(client).status_code for _ in range(3)] == [500, 503, 503]
    assert (first.hits, second.hits) == (1, 2)
    second.remove()
    assert append(client).status_code == 200


def test_heal(proxy, client):
    proxy.inject(Answer(500), times=None)
    proxy.go_down()
    proxy.heal()
    assert append(client).text == "1"


def test_a_fault_while_a_request_is_under_way(proxy, client, server):
    proxy.inject(Slow(latency=0.3))
    slow = threading.Thread(target=append, args=(client,))
    slow.start()
    wait_for(proxy._busy)
    proxy.inject(Answer(500))
    assert append(client).status_code == 500
    slow.join()
    assert server.bodies == [b"rows"]


def test_a_drawn_schedule_ends_in_health(proxy, client):
    seconds = 1.0
    player = threading.Thread(target=proxy.play, args=(Random(3), seconds))
    player.start()
    while player.is_alive():
        with contextlib.suppress(httpx.TransportError):
            append(client, timeout=0.2)
        time.sleep(0.01)
    player.join()
    assert append(client).status_code == 200
    assert any(record.fault is not None for record in proxy.log)


def test_the_same_seed_draws_the_same():
    assert schedule(Random(7), 20) == schedule(Random(7), 20) != schedule(Random(8), 20)
    kinds = {type(step.fault) for step in schedule(Random(7), 60)}
    assert kinds == {Down, Silence, Reset, Answer, Withhold, Cut, Late, Slow}


def test_close_ends_what_is_under_way(proxy, client, server):
    """Silent, withheld and idle connections, and a schedule."""
    proxy.inject(Silence())
    proxy.inject(Withhold())
    threads = [threading.Thread(target=broken, args=(client,)) for _ in range(2)]
    player = threading.Thread(target=proxy.play, args=(Random(1), 60))
    for thread in threads:
        thread.start()
    with httpx.Client() as idle:
        wait_for(lambda: len(proxy._carriers) == 2 and server.bodies)
        idle.get(proxy.uri, timeout=PATIENCE)
        player.start()
        proxy.close()
        proxy.close()
    for thread in (*threads, player):
        thread.join(5)
        assert not thread.is_alive()
    assert len(proxy.log) == 3


def broken(client):
    with pytest.raises(httpx.TransportError):
        append(client)


def test_a_server_that_ends_a_connection_ends_the_clients(proxy, client, server):
    client.get("/until-the-end")
    assert append(client).text == "1"
    assert len(proxy._carriers) == 1


def test_down_while_a_process_is_being_started(proxy, client):
    """Between fork and exec, a process has a copy of the socket that listens."""
    copy = os.dup(proxy._port._socket.fileno())
    try:
        with proxy.down(), pytest.raises(httpx.ConnectError):
            append(client)
    finally:
        os.close(copy)
    assert append(client).text == "1"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_port_that_somebody_else_took_is_told(proxy, monkeypatch):
    def taken(number):
        raise OSError("taken")

    monkeypatch.setattr(wire, "_bound", taken)
    monkeypatch.setattr(wire, "REBIND_SECONDS", 0.05)
    with pytest.raises(OSError, match="is lost"):
        proxy.go_down()


def test_a_port_is_closed_while_it_takes_a_connection():
    port = wire.Port(0, socket.socket.close)
    waker = port._waker

    class Delayed:
        """Lets the port's thread find first that it is over."""

        close = waker.close

        def send(self, data):
            socket.create_connection(("127.0.0.1", port.number)).close()
            port._thread.join(5)
            return waker.send(data)

    port._waker = Delayed()
    port.close()
    assert not port._thread.is_alive()


def test_a_connection_is_broken_while_its_carrier_lets_go_of_it():
    class Ending(Carrier):
        """Its connection to the server is there at the first look, and gone at the next."""

        @property
        def _server(self):
            return self.__dict__.pop("server", None)

        @_server.setter
        def _server(self, server):
            self.__dict__["server"] = server

    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections = [wire.connect(listener.getsockname()) for _ in range(2)]
        carrier = Ending(None, connections[0])
        carrier._server = connections[1]
        carrier.give_up()
        for connection in connections:
            assert connection.read_head() is None
            connection.close()


def test_in_a_process_with_more_files_open_than_select_can_take(server):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip("this process may not open so many files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        with FaultyProxy(server.uri) as proxy, httpx.Client(base_url=proxy.uri.partition("?")[0]) as client:
            assert [append(client).text for _ in range(2)] == ["1", "2"]
            proxy.inject(Silence(0.05))
            with pytest.raises(httpx.RemoteProtocolError):
                append(client)
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
