"""A pytest plugin: a test that leaves threads, sockets or temporary files behind fails.

Load it with `pytest_plugins = ["tilewright.testing.leaks"]`; it guards every test of the session.

What is there before a test, or is made by a fixture of wider scope than the test while the test runs, is not
counted. A connection to a port that is known that way is not counted either: a server that outlives the test closes
idle connections in its own time, and a client that outlives it reconnects when it likes.

Temporary files are looked for in a directory of the session's own (`tempfile.tempdir` and `TMPDIR`), so that other
processes do not disturb; pytest's `tmp_path` lies elsewhere and is not counted. For Linux and macOS.
"""

from __future__ import annotations

import gc
import os
import shutil
import socket
import stat
import tempfile
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from collections.abc import Set as AbstractSet

GRACE_SECONDS = 2.0
"""How long a test's threads, sockets and files may take to go."""
POLL_SECONDS = 0.01

POOLS = {
    "_connection_worker_thread": "aiosqlite's, one a connection of a catalog: a server that outlives the test opens more",
    "AnyIO worker thread": "workers of an event loop that outlives the test; idle ones end after 10 s",
    "bluesky-run-engine": "the event loop of all RunEngines of a process; Bluesky never ends it",
    "_watch_request": "Bluesky's, one a run of a RunEngine: of two that follow closely, one may miss its end and waits for ever",
    "fsspecIO": "the event loop of all fsspec file systems of a process",
    "Dask-Offload": "distributed's, once a process, for what takes long to pickle",
    "asyncio_": "workers of Zarr's event loop",
    "zarr_io": "the event loop of all Zarr stores of a process",
}
"""Parts of the names of threads that a library starts, once a process or without seeing to their end, and why they stay.

Pools that are not Python's (pyarrow, DuckDB, BLAS) are not seen at all.
"""

INTERNET = (socket.AF_INET, socket.AF_INET6)


@dataclass(frozen=True, slots=True)
class Connection:
    """A listening or connected Internet socket of this process."""

    descriptor: int
    local: tuple[str, int]
    """Address and port."""
    remote: tuple[str, int] | None
    """Address and port of the other side; None for a listening socket."""

    def __str__(self) -> str:
        """Return one line that says what it is."""
        if self.remote is None:
            return f"socket listening on {self.local[0]}:{self.local[1]}"
        return f"connection from {self.local[0]}:{self.local[1]} to {self.remote[0]}:{self.remote[1]}"

    def service_port(self) -> int:
        """Return the port that is listened on, or that was connected to as far as this end knows."""
        return self.local[1] if self.remote is None else self.remote[1]

    def touches(self, ports: AbstractSet[int]) -> bool:
        """Tell whether one end is on one of the ports."""
        return self.local[1] in ports or (self.remote is not None and self.remote[1] in ports)


@dataclass(frozen=True, slots=True)
class Resources:
    """What of each kind there is at one moment."""

    threads: frozenset[threading.Thread] = frozenset()
    connections: frozenset[Connection] = frozenset()
    files: frozenset[str] = frozenset()
    """Names in the session's temporary directory."""

    def __sub__(self, other: Resources) -> Resources:
        """Return what is here and not in the other."""
        return Resources(
            self.threads - other.threads, self.connections - other.connections, self.files - other.files
        )

    def __or__(self, other: Resources) -> Resources:
        """Return what is in either."""
        return Resources(
            self.threads | other.threads, self.connections | other.connections, self.files | other.files
        )

    def describe(self) -> list[str]:
        """Return a line for each thread, connection and file."""
        return [
            *(f"thread {thread.name!r}{' (daemon)' * thread.daemon}" for thread in self.threads),
            *(str(connection) for connection in self.connections),
            *(f"temporary file {name}" for name in self.files),
        ]


def resources(directory: str) -> Resources:
    """Return what this process has at the moment, with the temporary files in `directory`."""
    return Resources(
        threads=frozenset(thread for thread in threading.enumerate() if not _is_pool(thread)),
        connections=frozenset(_connections()),
        files=frozenset(os.listdir(directory)),  # noqa: PTH208 - names are wanted, many times a second
    )


def _is_pool(thread: threading.Thread) -> bool:
    """Tell whether a thread belongs to the process and not to a test."""
    if isinstance(thread, threading._DummyThread):  # noqa: SLF001 - no other way to know a C library's thread
        return True
    return any(part in thread.name for part in POOLS)


def _connections() -> Generator[Connection]:
    """Yield what this process listens on or is connected to.

    Asks each of its own sockets: the tables of the whole system, which psutil reads, take 7 ms.
    """
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 - as above
        descriptor = int(name)
        try:
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            borrowed = socket.socket(fileno=descriptor)
        except OSError:  # closed since, or the listing's own
            continue
        try:
            if borrowed.family in INTERNET and borrowed.type == socket.SOCK_STREAM:
                yield from _connection(descriptor, borrowed)
        except OSError:  # closed or reset since
            continue
        finally:
            borrowed.detach()


def _connection(descriptor: int, borrowed: socket.socket) -> Generator[Connection]:
    """Yield the socket's description if it listens or is connected."""
    local: tuple[str, int] = borrowed.getsockname()[:2]
    if borrowed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        yield Connection(descriptor, local, None)
    elif _is_connected(borrowed):
        yield Connection(descriptor, local, borrowed.getpeername()[:2])


def _is_connected(borrowed: socket.socket) -> bool:
    """Tell whether the other side is still there."""
    try:
        return borrowed.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:  # not connected, or reset
        return False


@dataclass(slots=True, eq=False)  # pluggy wants plugins hashable
class Guard:
    """Compares what there is after a test with what there was before it."""

    directory: str
    """The session's temporary directory."""
    before: Resources = field(default_factory=Resources)
    """What outlives the present test."""
    known_ports: set[int] = field(default_factory=set)
    """Ports of servers and clients that outlived a test."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None]:
        """Note what is there before the test and its fixtures."""
        self.before = Resources()
        self._outlives(resources(self.directory))
        yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        """Note what a fixture of wider scope brings along."""
        if fixturedef.scope == "function":
            return (yield)
        before = resources(self.directory)
        result = yield
        self._outlives(resources(self.directory) - before)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        """Fail the test if something is left when the grace period is over."""
        yield
        if left := self._left():
            pytest.fail(f"{item.nodeid} leaves behind:\n  " + "\n  ".join(sorted(left)), pytrace=False)

    def _outlives(self, more: Resources) -> None:
        """Do not count these against the present test."""
        self.before |= more
        self.known_ports.update(connection.service_port() for connection in more.connections)

    def _left(self) -> list[str]:
        """Return what is left of the test, waiting for it to go."""
        left = self._new().describe()
        if left:
            gc.collect()  # what only a reference cycle keeps is not a leak
        # In a process with much in it a collection takes seconds, in which no thread can come to its end.
        deadline = time.monotonic() + GRACE_SECONDS
        while left and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            left = self._new().describe()
        return left

    def _new(self) -> Resources:
        """Return what is there now, and does not outlive the test by right."""
        new = resources(self.directory) - self.before
        strange = frozenset(found for found in new.connections if not found.touches(self.known_ports))
        return Resources(new.threads, strange, new.files)


@dataclass(slots=True)
class PrivateTemporaryDirectory:
    """Gives the session a temporary directory of its own, and the former one back at the end."""

    former: str
    """Also where pytest keeps `tmp_path`, so that it outlives the session as usual."""
    patch: pytest.MonkeyPatch = field(default_factory=pytest.MonkeyPatch)

    def enter(self) -> str:
        """Create the directory and point the process and its children to it."""
        directory = tempfile.mkdtemp(prefix="tests-", dir=self.former)
        if "PYTEST_DEBUG_TEMPROOT" not in os.environ:
            self.patch.setenv("PYTEST_DEBUG_TEMPROOT", self.former)
        self.patch.setenv("TMPDIR", directory)
        self.patch.setattr(tempfile, "tempdir", directory)
        return directory

    def leave(self) -> None:
        """Remove the directory with all that was left in it."""
        directory = tempfile.gettempdir()
        self.patch.undo()
        shutil.rmtree(directory)


def pytest_configure(config: pytest.Config) -> None:
    """Start to guard."""
    private = PrivateTemporaryDirectory(tempfile.gettempdir())
    config.pluginmanager.register(Guard(private.enter()), "tilewright-leak-guard")
    config.add_cleanup(private.leave)
