"""One client's connection through the proxy: requests come in, a fault decides what becomes of each.

`tilewright.testing.proxy` makes a carrier of each connection it accepts. A carrier has a connection to the server of
its own, so that an end on one side is an end on the other.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tilewright.testing.faults import Answer, Cut, Down, Fault, Late, Reset, Silence, Slow, Withhold
from tilewright.testing.wire import Connection, Head, Message, answer, connect, readable

if TYPE_CHECKING:
    from collections.abc import Callable

SLICE_SECONDS = 0.05
"""A limited bandwidth is kept over this time."""


@dataclass(frozen=True, slots=True)
class Record:
    """One request, and what became of it."""

    time: float
    """When its head was read, in seconds since 1970."""
    method: str
    path: str
    """Without the query."""
    status: int | None
    """What the client was answered; None: nothing, or not all of it."""
    server_status: int | None
    """What the server answered; None: it was not asked, or did not answer."""
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a carrier needs of its proxy."""

    server: tuple[str, int]
    """Host and port."""
    fault_for: Callable[[Head], Fault | None]
    """Count a request, and say which fault hits it."""
    note: Callable[[Record], None]
    """Take a request into the log."""
    go_down: Callable[[float], object]
    """Refuse new connections for so many seconds, and break all there are, this one included."""
    done: Callable[[Carrier], None]
    """Forget a carrier whose connection has ended."""


@dataclass(slots=True)
class _Exchange:
    """A request under way."""

    head: Head
    fault: Fault | None
    began: float
    status: int | None = None
    server_status: int | None = None

    @property
    def record(self) -> Record:
        """What goes into the log."""
        return Record(
            self.began, self.head.method, self.head.path, self.status, self.server_status, self.fault
        )


class Carrier:
    """Carries one connection, in a thread of its own."""

    def __init__(self, hooks: Hooks, client: Connection) -> None:
        self.thread = threading.Thread(target=self._work, name="faulty-proxy-connection", daemon=True)
        self.busy = False
        """Whether a request is under way."""
        self.hung_up = threading.Event()
        """Set when the client's connection has ended."""
        self._hooks = hooks
        self._client = client
        self._server: Connection | None = None
        self._broken = threading.Event()
        """Set when the connection is to end at once."""
        self._left = False
        """Whether the client is gone, and its request goes on without it."""

    def break_off(self) -> None:
        """Break the connection; a request that goes on without its client is left alone."""
        if not self._left:
            self._end_both(socket.SHUT_RD)

    def give_up(self) -> None:
        """Break the connection, whatever is under way."""
        self._end_both(socket.SHUT_RDWR)

    def _end_both(self, how: int) -> None:
        self._broken.set()
        self._client.wake(how)
        server = self._server  # this carrier's thread may let go of it meanwhile
        if server is not None:
            server.wake(how)

    def _work(self) -> None:
        try:
            while self._carry_one():
                pass
        except (OSError, ValueError):
            self._broken.set()  # one side is gone, or speaks no HTTP: the other is to see a broken connection
        finally:
            self._hang_up()
            self._disconnect()
            self._hooks.done(self)

    def _carry_one(self) -> bool:
        """Carry a request, and say whether the connection goes on."""
        head = self._next_head()
        if head is None:
            return False
        self.busy = True
        exchange = _Exchange(head, self._hooks.fault_for(head), time.time())
        try:
            return self._act(exchange)
        finally:
            self._hooks.note(exchange.record)
            self.busy = False

    def _next_head(self) -> Head | None:
        """Wait for a request; None when either side has ended the connection."""
        if self._server is not None:
            ready = readable([self._client.sock, self._server.sock])
            if self._server.sock in ready:  # it has nothing to say: this is the end
                return None
        return self._client.read_head()

    def _act(self, exchange: _Exchange) -> bool:
        match exchange.fault:
            case None:
                return self._pass_on(exchange, self._request(exchange))
            case Slow(latency, rate):
                request = self._request(exchange)
                self._broken.wait(latency)
                return self._pass_on(exchange, request, rate)
            case Answer(committed=committed) as fault:
                request = self._request(exchange)
                if committed:
                    self._ask(exchange, request)
                return self._reply(exchange, _refusal(fault))
            case Withhold(seconds):
                response = self._ask(exchange, self._request(exchange))
                return not self._wait(seconds) and self._reply(exchange, response)
            case fault:
                self._interrupt(exchange, fault)
                return False

    def _interrupt(self, exchange: _Exchange, fault: Down | Silence | Reset | Cut | Late) -> None:
        """Act out a fault after which the connection is over."""
        match fault:
            case Down(seconds):
                self._hooks.go_down(seconds)
            case Silence(seconds):
                self._request(exchange)
                self._wait(seconds)
            case Reset(forwarded):
                self._forward_part(exchange.head, forwarded)
                self._broken.set()
            case Cut(kept):
                response = self._ask(exchange, self._request(exchange)).raw
                self._client.send(response[: int(kept * len(response))])
            case Late(seconds, hang_up):
                self._carry_late(exchange, seconds, hang_up=hang_up)

    def _request(self, exchange: _Exchange) -> Message:
        return Message(exchange.head, self._client.read_request_body(exchange.head))

    def _pass_on(self, exchange: _Exchange, request: Message, rate: int | None = None) -> bool:
        return self._reply(exchange, self._ask(exchange, request, rate), rate)

    def _ask(self, exchange: _Exchange, request: Message, rate: int | None = None) -> Message:
        """Return the server's answer; 502 if there is no server."""
        try:
            server = self._connected()
        except OSError:
            return answer(502, "the proxy finds no server")
        self._send(server, request.raw, rate)
        response = server.read_response(request.head.method)
        exchange.server_status = response.head.status
        return response

    def _reply(self, exchange: _Exchange, response: Message, rate: int | None = None) -> bool:
        self._send(self._client, response.raw, rate)
        exchange.status = response.head.status
        return not (exchange.head.is_last or response.ends_connection)

    def _forward_part(self, head: Head, share: float) -> None:
        """Give the server the head and a share of the body; none of either if the share is 0."""
        body = self._client.read_request_body(head, share)
        if share > 0:
            self._connected().send(head.raw + body)

    def _carry_late(self, exchange: _Exchange, seconds: float, *, hang_up: bool) -> None:
        request = self._request(exchange)
        if not hang_up:
            self._wait(None)
        self._left = True
        self._hang_up()
        if not self._broken.wait(seconds):
            self._disconnect()  # the server may have ended that connection meanwhile
            self._ask(exchange, request)

    def _connected(self) -> Connection:
        """Return the connection to the server; made when it is needed first."""
        if self._server is None:
            self._server = connect(self._hooks.server)
            if self._broken.is_set():  # before there was a connection to wake
                raise ConnectionError("the proxy is closing")
        return self._server

    def _send(self, connection: Connection, data: bytes, rate: int | None) -> None:
        """Send, at so many bytes a second."""
        size = len(data) if rate is None else max(1, int(rate * SLICE_SECONDS))
        for start in range(0, len(data), size):
            connection.send(data[start : start + size])
            if rate is not None and self._broken.wait(SLICE_SECONDS):
                raise ConnectionError("the proxy is closing")

    def _wait(self, seconds: float | None) -> bool:
        """Let time pass, and tell whether the connection has ended meanwhile: by the client, or by us."""
        return self._client.is_over(seconds) or self._broken.is_set()

    def _hang_up(self) -> None:
        """End the client's connection: in order, or broken if it is to be."""
        with contextlib.suppress(OSError):
            (self._client.reset if self._broken.is_set() else self._client.close)()
        self.hung_up.set()

    def _disconnect(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


def _refusal(fault: Answer) -> Message:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return answer(fault.status, "the proxy was told to say so", headers)
