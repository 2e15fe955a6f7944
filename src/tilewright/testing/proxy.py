"""A proxy that breaks things: requests of a writer come in, a Tiled server gets them, or not, or twice too late.

For tests of writers and plugins: what has to hold when the server fails in the middle of a request can be tried
with the real server and at the very request that matters.

    from tilewright import TiledWriter
    from tilewright.testing.faults import Answer, Late
    from tilewright.testing.proxy import FaultyProxy

    with FaultyProxy(server.uri) as proxy, TiledWriter(proxy.uri) as writer:
        # The second append is carried out, and answered as if it had failed:
        proxy.inject(Answer(500, committed=True), method="PATCH", route="table/partition", nth=2)
        ...                                     # give the writer documents, look what the server has
        with proxy.down():                      # nobody listens at the port
            ...
        proxy.play(random.Random(7), seconds=5) # a drawn schedule of faults, healthy at its end
        print(proxy.log)                        # each request, and what became of it

A request is handled by the first fault, in the order of injection, whose conditions it meets. Messages are taken in
whole before they are passed on. For plain HTTP; WebSockets are not carried.

>>> from tilewright.testing.faults import Answer
>>> import urllib.error, urllib.request
>>> with FaultyProxy("http://127.0.0.1:1/api/v1?api_key=secret") as proxy:
...     once = proxy.inject(Answer(429, retry_after=1), route="metadata")
...     try:
...         urllib.request.urlopen(proxy.uri.replace("/api/v1", "/api/v1/metadata/"))
...     except urllib.error.HTTPError as error:
...         print(error.code, error.headers["Retry-After"])
...         error.close()
429 1
>>> [(record.method, record.path, record.status) for record in proxy.log]
[('GET', '/api/v1/metadata/', 429)]
>>> once.hits
1
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit, urlunsplit

from tilewright.errors import InputError
from tilewright.testing.carrier import Carrier, Hooks, Record
from tilewright.testing.faults import Fault, When, schedule
from tilewright.testing.wire import LOOPBACK, Connection, Port

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from random import Random

    from tilewright.testing.wire import Head

API = "/api/v1"
HTTP_PORT = 80
BREAK_SECONDS = 1.0
"""How long `go_down` waits for a connection to be broken: one whose client does not read may take longer."""
SETTLE_POLL_SECONDS = 0.01


@dataclass(slots=True)
class Injection:
    """A fault in force; `remove` ends it."""

    fault: Fault
    when: When
    hits: int = 0
    """Requests it has hit."""
    _seen: int = 0
    _since: float = field(default_factory=time.monotonic)
    _removed: bool = False

    def remove(self) -> None:
        """Hit no more requests."""
        self._removed = True

    def hit(self, method: str, route: str) -> bool:
        """Count a request, and tell whether the fault hits it; the proxy calls this for each request."""
        if self.is_over or not self.when.matches(method, route):
            return False
        self._seen += 1
        if self._seen < self.when.nth:
            return False
        self.hits += 1
        return True

    @property
    def is_over(self) -> bool:
        """Whether it hits no more requests."""
        spent = self.when.times is not None and self.hits >= self.when.times
        late = self.when.seconds is not None and time.monotonic() > self._since + self.when.seconds
        return self._removed or spent or late


class FaultyProxy:
    """Listens on a port of this machine, and passes requests on to a server as long as no fault hits them.

    Parameters
    ----------
    server_uri
        The server's, as a Tiled client takes it; with its key, if it needs one.
    port
        0 takes any that is free. It stays the same for the proxy's life.

    Raises
    ------
    InputError
        If the URI is not that of an HTTP server.
    """

    def __init__(self, server_uri: str, *, port: int = 0) -> None:
        parts = urlsplit(server_uri)
        if parts.scheme != "http" or parts.hostname is None:
            raise InputError(
                f"{parts.scheme}://{parts.hostname} is no server for the proxy: it speaks http://"
            )
        self._hooks = Hooks(
            (parts.hostname, parts.port or HTTP_PORT),
            self._fault_for,
            self._note,
            self._break_all,
            self._carried,
        )
        self._base = parts.path.partition(API)[0].rstrip("/") + API
        self._lock = threading.Lock()
        self._injections: list[Injection] = []
        self._log: list[Record] = []
        self._carriers: set[Carrier] = set()
        self._closing = threading.Event()
        self._port = Port(port, self._carry)
        self.uri = urlunsplit(parts._replace(netloc=f"{LOOPBACK}:{self._port.number}"))
        """What the writer is given in the place of the server's URI; the key is in it."""

    @property
    def log(self) -> list[Record]:
        """The requests so far, in the order in which they were done with; `settle` first to have them all."""
        with self._lock:
            return list(self._log)

    def inject(
        self,
        fault: Fault,
        *,
        method: str | None = None,
        route: str | None = None,
        nth: int = 1,
        times: int | None = 1,
        seconds: float | None = None,
    ) -> Injection:
        """Have a fault hit requests from now on; the other parameters say which (`tilewright.testing.faults.When`)."""
        return self._inject(fault, When(method, route, nth, times, seconds))

    def heal(self) -> None:
        """Remove all faults, and open the port again. What is held up or late stays so: see `settle`."""
        with self._lock:
            self._injections.clear()
        self._port.open()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Within the block, all connections are broken and new ones refused."""
        self.go_down()
        try:
            yield
        finally:
            self._port.open()

    def go_down(self, seconds: float | None = None) -> None:
        """Break all connections and refuse new ones, for a time or until `heal`.

        A request that the client has given up, and that is on its way to the server (`Late`), still gets there.
        """
        for carrier in self._break_all(seconds):
            carrier.hung_up.wait(BREAK_SECONDS)

    def play(self, rng: Random, seconds: float) -> None:
        """Act out a random schedule of faults, in the calling thread, and heal.

        Parameters
        ----------
        rng
            Decides everything: the same seed gives the same schedule.
        seconds
            How long.
        """
        began = time.monotonic()
        for step in schedule(rng, seconds):
            if self._closing.wait(max(0.0, began + step.at - time.monotonic())):
                return
            self._inject(step.fault, step.when)
        self._closing.wait(max(0.0, began + seconds - time.monotonic()))
        self.heal()

    def settle(self, timeout: float) -> bool:
        """Wait until no request is under way any more, late ones included; False if one still is after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self._busy():
            if time.monotonic() > deadline:
                return False
            time.sleep(SETTLE_POLL_SECONDS)
        return True

    def close(self) -> None:
        """End all connections and threads; late requests are dropped. Can be repeated."""
        self._closing.set()
        self._port.close()
        with self._lock:
            carriers = list(self._carriers)
        for carrier in carriers:
            carrier.give_up()
        for carrier in carriers:
            carrier.thread.join()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        host, port = self._hooks.server
        return f"<FaultyProxy {LOOPBACK}:{self._port.number} to {host}:{port}, {len(self.log)} requests>"

    def _inject(self, fault: Fault, when: When) -> Injection:
        injection = Injection(fault, when)
        with self._lock:
            self._injections = [old for old in self._injections if not old.is_over] + [injection]
        return injection

    def _fault_for(self, head: Head) -> Fault | None:
        route = head.path.removeprefix(self._base).strip("/")
        with self._lock:
            return next((one.fault for one in self._injections if one.hit(head.method, route)), None)

    def _break_all(self, seconds: float | None) -> list[Carrier]:
        """Shut the port and have all connections broken; return them."""
        self._port.shut(seconds)
        with self._lock:
            carriers = list(self._carriers)
        for carrier in carriers:
            carrier.break_off()
        return carriers

    def _note(self, record: Record) -> None:
        with self._lock:
            self._log.append(record)

    def _busy(self) -> bool:
        with self._lock:
            return any(carrier.busy for carrier in self._carriers)

    def _carry(self, sock: socket.socket) -> None:
        """Take a client's connection; the port's thread calls this."""
        carrier = Carrier(self._hooks, Connection(sock))
        with self._lock:
            self._carriers.add(carrier)
        carrier.thread.start()

    def _carried(self, carrier: Carrier) -> None:
        with self._lock:
            self._carriers.discard(carrier)
