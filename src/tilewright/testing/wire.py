"""HTTP/1.1 over a socket: bytes come in, whole messages go out; `tilewright.testing.proxy` calls it.

Only as much of RFC 9112 as finding the end of a message takes, and what one end of a connection can do to the other.
A port that can be shut and opened again is here too.
Protocol upgrades (WebSockets) are not understood.
"""

from __future__ import annotations

import contextlib
import math
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOOPBACK = "127.0.0.1"
BACKLOG = 128
"""Connections that the system keeps until they are accepted."""

RECEIVE_BYTES = 1 << 16
END_OF_HEAD = b"\r\n\r\n"
END_OF_LINE = b"\r\n"
CONNECT_SECONDS = 10.0
"""A server that takes no connection for so long is not there."""
REBIND_SECONDS = 10.0
"""How long a port that was shut is tried to be had again."""
REBIND_POLL_SECONDS = 0.005
ALIVE_POLL_SECONDS = 0.5
"""How often one who waits for a port's thread makes sure that it is there."""
LARGEST_HEAD = 1 << 20
"""Bytes of a start line and headers before it is taken for something other than HTTP."""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER for no seconds: closing resets the connection instead of ending it in order."""
WITHOUT_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


@dataclass(frozen=True, slots=True)
class Head:
    """The start line and the headers of a message, as they were sent."""

    raw: bytes
    """Ends with the empty line."""

    @property
    def words(self) -> list[str]:
        """The start line's three words: method, target, version; or version, status, reason."""
        return self.raw.partition(END_OF_LINE)[0].decode("latin-1").split(" ", 2)

    @property
    def method(self) -> str:
        """Of a request."""
        return self.words[0]

    @property
    def path(self) -> str:
        """Of a request, without its query, in which there may be a key."""
        return self.words[1].partition("?")[0]

    @property
    def status(self) -> int:
        """Of a response."""
        return int(self.words[1])

    def header(self, name: str) -> str | None:
        """Return the value of a header in lower case; None if it is not there."""
        for line in self.raw.split(END_OF_LINE)[1:]:
            key, _, value = line.decode("latin-1").partition(":")
            if key.strip().lower() == name.lower():
                return value.strip().lower()
        return None

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks, each with its size."""
        return (self.header("transfer-encoding") or "").endswith("chunked")

    @property
    def length(self) -> int | None:
        """Bytes of the body, where they are told."""
        told = self.header("content-length")
        return None if told is None else int(told)

    @property
    def is_last(self) -> bool:
        """Whether the connection ends after this message."""
        told = self.header("connection")
        return told == "close" or (told is None and b"HTTP/1.0" in self.raw.partition(END_OF_LINE)[0])


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response."""

    head: Head
    body: bytes
    """As it was sent: with the sizes of its chunks, if it is chunked."""

    @property
    def raw(self) -> bytes:
        """All of it."""
        return self.head.raw + self.body

    @property
    def ends_connection(self) -> bool:
        """Whether nothing comes after this response: it says so, or nothing else tells where it ends."""
        has_end = self.head.is_chunked or self.head.length is not None or self.head.status in WITHOUT_BODY
        return self.head.is_last or not has_end


class Connection:
    """One end of a TCP connection that carries HTTP.

    Methods that read or send raise `OSError` when the other side is gone. One thread uses a connection; any other
    may call `wake`.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)  # macOS: accepted by a socket that does not block, it does not either
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._buffer = b""

    def read_head(self) -> Head | None:
        """Return the head of the next message; None if the other side has ended the connection instead."""
        while END_OF_HEAD not in self._buffer:
            if len(self._buffer) > LARGEST_HEAD:
                raise ConnectionError("what comes is not HTTP")
            received = self.sock.recv(RECEIVE_BYTES)
            if not received:
                if self._buffer:
                    raise ConnectionError("the connection ended within a message's head")
                return None
            self._buffer += received
        raw, _, self._buffer = self._buffer.partition(END_OF_HEAD)
        return Head(raw + END_OF_HEAD)

    def read_request_body(self, head: Head, share: float = 1.0) -> bytes:
        """Return the body of a request, or its first part.

        Parameters
        ----------
        head
            Of the request.
        share
            How much of the body, 0 to 1; what is left stays unread.
        """
        if head.header("expect") == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if head.is_chunked:
            body = self._chunks()
            return body[: int(share * len(body))]
        return self._exactly(int(share * (head.length or 0)))

    def read_response(self, method: str) -> Message:
        """Return the response to a request of this method."""
        while True:
            head = self.read_head()
            if head is None:
                raise ConnectionError("the connection ended instead of an answer")
            if head.status >= HTTPStatus.OK:  # not an interim one
                return Message(head, self._response_body(head, method))

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.sock.sendall(data)

    def is_over(self, seconds: float | None) -> bool:
        """Wait this long at most (None: for ever) for the other side to end the connection, and tell whether it has."""
        if not readable([self.sock], seconds):
            return False
        try:
            return self.sock.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    def close(self) -> None:
        """End the connection in order."""
        self.sock.close()

    def reset(self) -> None:
        """Break the connection: the other side gets an error and not an end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.sock.close()

    def wake(self, how: int = socket.SHUT_RD) -> None:
        """Have whoever reads from it find that it is over; with SHUT_RDWR, whoever sends too."""
        with contextlib.suppress(OSError):  # it is over already
            self.sock.shutdown(how)

    def _response_body(self, head: Head, method: str) -> bytes:
        if method == "HEAD" or head.status in WITHOUT_BODY:
            return b""
        if head.is_chunked:
            return self._chunks()
        if head.length is not None:
            return self._exactly(head.length)
        return self._rest()

    def _exactly(self, size: int) -> bytes:
        parts, missing = [self._buffer], size - len(self._buffer)
        while missing > 0:
            received = self.sock.recv(RECEIVE_BYTES)
            if not received:
                raise ConnectionError("the connection ended within a message's body")
            parts.append(received)
            missing -= len(received)
        whole = b"".join(parts)
        self._buffer = whole[size:]
        return whole[:size]

    def _line(self) -> bytes:
        while END_OF_LINE not in self._buffer:
            received = self.sock.recv(RECEIVE_BYTES)
            if not received:
                raise ConnectionError("the connection ended within a message's body")
            self._buffer += received
        line, end, self._buffer = self._buffer.partition(END_OF_LINE)
        return line + end

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        size = -1
        while size != 0:
            line = self._line()
            size = int(line.partition(b";")[0], 16)
            parts += [line, self._exactly(size + len(END_OF_LINE)) if size else b""]
        while parts[-1] != END_OF_LINE:  # trailers, and the empty line
            parts.append(self._line())
        return b"".join(parts)

    def _rest(self) -> bytes:
        parts = [self._buffer]
        self._buffer = b""
        while received := self.sock.recv(RECEIVE_BYTES):
            parts.append(received)
        return b"".join(parts)


def readable(sockets: Sequence[socket.socket], seconds: float | None = None) -> list[socket.socket]:
    """Wait this long at most (None: for ever) for something to read, or an end, and return where there is.

    By poll: select cannot take the sockets of a process that has more than 1,024 files open.
    """
    poller = select.poll()
    by_descriptor = {sock.fileno(): sock for sock in sockets}
    for descriptor in by_descriptor:
        poller.register(descriptor, select.POLLIN)
    found = poller.poll(None if seconds is None else math.ceil(1000 * seconds))
    return [by_descriptor[descriptor] for descriptor, _ in found]


def connect(address: tuple[str, int]) -> Connection:
    """Return a connection to a server."""
    sock = socket.create_connection(address, CONNECT_SECONDS)
    sock.settimeout(None)
    return Connection(sock)


def answer(status: int, detail: str, headers: dict[str, str] | None = None) -> Message:
    """Return a response as Tiled words its refusals: JSON with a `detail`.

    >>> response = answer(503, "busy", {"Retry-After": "1"})
    >>> response.head.status, response.head.header("Retry-After"), response.body
    (503, '1', b'{"detail": "busy"}')
    """
    body = f'{{"detail": "{detail}"}}'.encode()
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    return Message(Head("\r\n".join(lines).encode() + END_OF_HEAD), body)


class Port:
    """A port of this machine that can be shut and opened again; its thread accepts connections.

    Parameters
    ----------
    number
        0 takes any that is free.
    on_connection
        Gets each connection, in the port's thread.
    """

    def __init__(self, number: int, on_connection: Callable[[socket.socket], None]) -> None:
        self._on_connection = on_connection
        self._socket = _bound(number)
        self.number: int = self._socket.getsockname()[1]
        self._socket.listen(BACKLOG)
        self._lock = threading.Lock()
        self._shut_until = -math.inf
        """On the monotonic clock."""
        self._closed = False
        self._obeyed = threading.Event()
        """Set when the thread has done what was asked last."""
        self._waker, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._work, name="faulty-proxy-port", daemon=True)
        self._thread.start()

    def shut(self, seconds: float | None) -> None:
        """Refuse connections from now on, for a time or until `open`."""
        self._ask(math.inf if seconds is None else time.monotonic() + seconds)

    def open(self) -> None:
        """Take connections again."""
        self._ask(-math.inf)

    def close(self) -> None:
        """Give the port back and end the thread. Can be repeated."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._waker.send(b"!")
        self._thread.join()
        # Not closed by the thread: it may end before it is woken.
        for sock in (self._socket, self._waker, self._woken):
            sock.close()

    def _ask(self, shut_until: float) -> None:
        with self._lock:
            if self._closed:
                return
            self._shut_until = shut_until
            self._obeyed.clear()
            self._waker.send(b"!")
            while not self._obeyed.wait(ALIVE_POLL_SECONDS):
                if not self._thread.is_alive():
                    raise OSError(f"port {self.number} is lost: its thread has ended")

    def _work(self) -> None:
        listening = True
        while not self._closed:
            patience = (
                None if listening or math.isinf(self._shut_until) else self._shut_until - time.monotonic()
            )
            awaited = [self._woken, self._socket] if listening else [self._woken]
            ready = readable(awaited, None if patience is None else max(0.0, patience))
            if self._socket in ready:
                self._accept()
            asked = self._woken in ready
            if asked:
                self._woken.recv(1)
            listening = self._bring(listening, time.monotonic() >= self._shut_until)
            if asked:
                self._obeyed.set()

    def _bring(self, listening: bool, wanted: bool) -> bool:  # noqa: FBT001 - called in one place
        """Listen, or stop to, if that is to change; return `wanted`."""
        if wanted and not listening:
            self._socket.listen(BACKLOG)
        elif listening and not wanted:
            with contextlib.suppress(OSError):  # macOS refuses this
                self._socket.shutdown(socket.SHUT_RDWR)  # a copy in another process listens no more either
            self._socket.close()
            self._socket = self._held()
        return wanted

    def _held(self) -> socket.socket:
        """Return a socket that has the port, so that nobody else takes it, and refuses connections.

        A process that another thread is starting may hold the former one's copy for a moment.
        """
        deadline = time.monotonic() + REBIND_SECONDS
        while True:
            try:
                return _bound(self.number)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(REBIND_POLL_SECONDS)

    def _accept(self) -> None:
        try:
            accepted, _ = self._socket.accept()
        except OSError:
            return  # it is gone again
        self._on_connection(accepted)


def _bound(number: int) -> socket.socket:
    """Return a socket that has the port, and does not listen."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setblocking(False)
    try:
        bound.bind((LOOPBACK, number))
    except OSError:
        bound.close()
        raise
    return bound
