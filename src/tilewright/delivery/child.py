"""The delivery in a process of its own: what the acquiring process starts, and what runs there.

The acquiring process holds a `Child`, which starts a Python that runs `main`, and talks to it in lines of JSON: down its standard input what is to be delivered and where to, up its standard output the states and the log.
Either process may be killed at any time; all that matters is in the journals. The child outlives the other only to
deliver what there is.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilewright.delivery.target import Address, at_address
from tilewright.delivery.worker import RunState, State, Worker
from tilewright.documents import PathMap
from tilewright.journal import JournalDirectory

if TYPE_CHECKING:
    from collections.abc import Callable

    from tilewright.delivery.target import Target

logger = logging.getLogger("tilewright.delivery")

_START = """
import json, sys
sys.path += [path for path in json.loads(sys.argv[1]) if path and path not in sys.path]
from tilewright.delivery.child import main
main()
"""
"""Finds what the acquiring process finds, but not first: a script's own folder may have a json.py in it."""

CLOSE_SECONDS = 5.0
"""How long the child may take over the request it is at; then it is killed."""
LAST_WORDS_SECONDS = 1.0
"""How long to listen to a child that has ended: what it said last; a fork of this process may keep the pipe open."""
ORPHAN_SECONDS = 60.0
"""How long the child goes on delivering when the acquiring process is gone."""
SWITCH_SECONDS = 0.0005
"""For how long a thread of the child may keep the others waiting: one sends, piece by piece, while another one reads."""
SHORT_LIFE = 5.0
"""Seconds. A child that ends sooner than this could not work at all."""
RESTARTS = 3
"""How many children may end that soon, one after the other, before no more is started."""


class Child:
    """The acquiring process's end: starts the child, and another one if it dies.

    Parameters
    ----------
    directory
        Where the journals lie.
    target
        The catalog; it has an address.
    report
        Called with each state, in a thread of this object.
    failed
        Called, in that thread, when no child can be kept alive.
    path_map
        As `Worker` takes it.

    Raises
    ------
    OSError
        If no process can be started.
    """

    def __init__(
        self,
        directory: JournalDirectory,
        target: Target,
        report: Callable[[State], None],
        failed: Callable[[], None],
        path_map: PathMap | None = None,
    ) -> None:
        assert target.address is not None, "a child has to be told where the catalog is"
        self._task: dict[str, Any] = {
            "journals": str(directory.path),
            "name": target.name,
            "address": asdict(target.address),
            "parent": os.getpid(),
            "path_map": None if path_map is None else path_map.as_mapping(),
        }
        self._report = report
        self._failed = failed
        self._watched: dict[str, str] = {}
        """uids of the runs being recorded, by the names of their journals."""
        self._lock = threading.Lock()
        """Held while the child is replaced, spoken to, or its pipes are closed."""
        self._closing = threading.Event()
        self._process = self._start()
        self._thread = threading.Thread(target=self._listen, name="tilewright-child", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def watch(self, path: Path, uid: str) -> None:
        """Have this journal delivered while it is written."""
        self._watched[path.name] = uid
        self._say({"watch": path.name, "uid": uid})

    def ended(self, path: Path) -> None:
        """Take note that nothing more will be written to this journal."""
        self._watched.pop(path.name, None)
        self._say({"ended": path.name})

    def wake(self) -> None:
        """Have the journals looked at now."""
        self._say({})

    def renew_key(self, api_key: str) -> None:
        """Have another key used from now on."""
        self._task["address"]["headers"] = {
            **self._task["address"]["headers"],
            "Authorization": f"Apikey {api_key}",
        }
        self._say({"key": api_key})

    def close(self) -> None:
        """Let the child finish the request it is at, and end it; kill it if that takes too long."""
        with self._lock:
            self._closing.set()  # from here on, no other child is started
        self._say({"close": True})
        try:
            self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._thread.join(LAST_WORDS_SECONDS)

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(  # noqa: S603 - this very Python
            [sys.executable or "", "-P", "-c", _START, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a terminal is for the acquisition
        )
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it is dead already, which `_listen` finds
            os.write(process.stdin.fileno(), _line(self._task))
        os.set_blocking(process.stdin.fileno(), False)
        return process

    def _say(self, message: dict[str, Any]) -> None:
        """Send a message; one that the child cannot take is of no use to it, for the journals tell all of this."""
        line = _line(message)
        if len(line) > select.PIPE_BUF:  # it might be cut; only the uid of a run can be that long
            return
        with self._lock:
            stdin = self._process.stdin
            assert stdin is not None
            with suppress(BlockingIOError, BrokenPipeError, ValueError):
                os.write(stdin.fileno(), line)

    def _listen(self) -> None:
        """Pass on what the child says, and replace it when it dies."""
        short_lives = 0
        while True:
            began = time.monotonic()
            self._hear_out(self._process)
            short_lives = short_lives + 1 if time.monotonic() - began < SHORT_LIFE else 0
            if short_lives == RESTARTS or not self._replace():
                break
        if not self._closing.is_set():
            logger.error("The process that delivers cannot be kept alive; this one delivers instead")
            self._failed()

    def _hear_out(self, process: subprocess.Popen[bytes]) -> None:
        """Pass on what a child says until it ends."""
        assert process.stdout is not None
        for line in process.stdout:
            # A kill may cut a line short, a Python may print when it starts, and a user's log handler may raise.
            with suppress(Exception):
                self._hear(json.loads(line))
        process.wait()
        with self._lock:  # not while somebody writes to it: another file may get its number
            _close_pipes(process)

    def _replace(self) -> bool:
        """Start another child in the place of one that ended; False if that cannot be, or is not wanted any more."""
        with self._lock:
            if self._closing.is_set():
                return False
            try:
                ended, self._process = self._process, self._start()
            except OSError as error:  # no memory, no room for a process, no such Python any more
                logger.warning("No process can be started to deliver: %s", error)
                return False
        logger.warning("The process that delivers ended (%s); another one is started", ended.returncode)
        for name, uid in list(self._watched.items()):
            self._say({"watch": name, "uid": uid})
        return True

    def _hear(self, message: dict[str, Any]) -> None:
        if "log" in message:
            level, text = message["log"]
            logger.log(level, "%s", text)
        else:
            runs = {name: RunState(**run) for name, run in message.pop("runs").items()}
            self._report(State(**message, runs=runs))


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


class _Parent:
    """The acquiring process, as the child sees it.

    Parameters
    ----------
    pid
        Its process id.
    output
        The pipe that leads there.
    """

    def __init__(self, pid: int, output: int) -> None:
        self._pid = pid
        self._output = output
        self._room = select.poll()
        self._room.register(output, select.POLLOUT)
        self._lock = threading.Lock()

    @property
    def is_gone(self) -> bool:
        """Whether it has ended; a copy of it (a fork) may keep the pipes open, and does not care for them."""
        return os.getppid() != self._pid

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message; waits while it is not read, for as long as there is a parent."""
        rest = memoryview(_line(message))
        with self._lock, suppress(BrokenPipeError):
            while rest and not self.is_gone:
                if self._room.poll(1000):  # then there is room for so much
                    rest = rest[os.write(self._output, rest[: select.PIPE_BUF]) :]


class _ToParent(logging.Handler):
    """Sends the log up, where the user has it set up."""

    def __init__(self, parent: _Parent) -> None:
        super().__init__()
        self._parent = parent

    def emit(self, record: logging.LogRecord) -> None:
        self._parent.tell({"log": [record.levelno, self.format(record)]})


def main() -> None:
    """Deliver what the standard input names; run in the child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = sys.stdin.buffer.readline()
    if not line:
        return
    task = json.loads(line)
    parent = _Parent(task["parent"], os.dup(sys.stdout.fileno()))
    with suppress(OSError):  # there may be no standard error
        os.dup2(2, sys.stdout.fileno())  # what a library prints is not for the parent
    sys.argv[:] = [f"tilewright, for process {task['parent']}"]  # what claims say of it
    logging.getLogger("tilewright").addHandler(_ToParent(parent))
    logging.getLogger("tilewright").setLevel(logging.INFO)
    address = task["address"]
    login = None if address["login"] is None else tuple(address["login"])
    where = Address(address["api"], tuple(address["root"]), address["headers"], login)
    directory = JournalDirectory(Path(task["journals"]))
    sys.setswitchinterval(SWITCH_SECONDS)
    worker = Worker(
        directory,
        at_address(where, task["name"]),
        lambda state: parent.tell(asdict(state)),
        eager=True,
        path_map=None if task["path_map"] is None else PathMap.of(task["path_map"]),
    )
    threading.Thread(target=_obey, args=(worker, directory.path), daemon=True).start()
    threading.Thread(target=_notice_orphanhood, args=(worker, parent), daemon=True).start()
    worker.work()
    os._exit(0)  # not waiting for the thread that reads


def _obey(worker: Worker, directory: Path) -> None:
    """Do what the acquiring process says, until it says no more."""
    for line in sys.stdin.buffer:
        match json.loads(line):
            case {"watch": name, "uid": uid}:
                worker.watch(directory / name, uid)
            case {"ended": name}:
                worker.ended(directory / name)
            case {"key": key}:
                worker.renew_key(key)
            case {"close": True}:
                worker.close()
            case _:
                worker.wake()
    worker.finish(ORPHAN_SECONDS)


def _notice_orphanhood(worker: Worker, parent: _Parent) -> None:
    """Finish also if a copy of the acquiring process (a fork) keeps the standard input open."""
    while not parent.is_gone:
        time.sleep(1.0)
    worker.finish(ORPHAN_SECONDS)
