"""The processes of a trial, each a real one that can be killed: the server, the acquisition, the commands.

All of them, and what they start, have a mark in their environment, so that none need outlive the campaign.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Any

import httpx
import psutil

if TYPE_CHECKING:
    from campaign.plan import Trial

KEY = "campaign"
PORTS = range(20_000, 30_000)
"""Below those that the system gives to clients: nobody takes a server's port while it is restarted."""
START_SECONDS = 60.0
SILENCE_SECONDS = "2.5"
"""After which a writer takes a server for gone: its default would make a trial last half a minute."""
MARK = "TILEWRIGHT_CAMPAIGN"
ENVIRONMENT = {
    MARK: secrets.token_hex(8),
    "TILEWRIGHT_TIMEOUT": SILENCE_SECONDS,
}
COMMAND = [sys.executable, "-c", "from tilewright.cli import main; main()"]


_starting = threading.Lock()
_over = threading.Event()


def start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a process of the campaign, in a session of its own; what it prints goes to the end of a file."""
    with _starting, log.open("ab") as output:
        if _over.is_set():
            raise RuntimeError("the campaign is over")
        return subprocess.Popen(
            command, stdout=output, stderr=output, env=os.environ | ENVIRONMENT, start_new_session=True
        )


def end_all() -> None:
    """Start no more processes, and kill all there are: also deliverers whose parent is gone."""
    with _starting:
        _over.set()
    while found := [process for process in psutil.process_iter() if _is_ours(process)]:
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(found, 0.1)


def _is_ours(process: psutil.Process) -> bool:
    if process.pid == os.getpid():
        return False
    with contextlib.suppress(psutil.Error, OSError):
        dead = process.status() == psutil.STATUS_ZOMBIE
        return not dead and process.environ().get(MARK) == ENVIRONMENT[MARK]
    return False


class Server:
    """A Tiled server on a directory, in a process of its own, always at the same port."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._port = _free_port()
        self._process = self._start()

    @property
    def uri(self) -> str:
        """The server's, with its key."""
        return f"http://127.0.0.1:{self._port}/api/v1?api_key={KEY}"

    def kill(self) -> None:
        """Kill it at this instant."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Start it again on the same directory."""
        self._process = self._start()

    def close(self) -> None:
        """End it in order."""
        self._process.terminate()
        try:
            self._process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [*COMMAND, "serve", str(self.directory), "--port", str(self._port), "--api-key", KEY]
        process = start(command, self.directory.parent / "server.log")
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise RuntimeError(
                    f"the server on {self.directory} did not come up: see server.log beside it"
                )
            time.sleep(0.05)
        return process

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(self.uri, timeout=2.0, follow_redirects=True).is_success
        return False


def _free_port() -> int:
    while True:
        port = SystemRandom().choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Acquisition:
    """The process that gives a writer the documents of a trial."""

    def __init__(self, trial: Trial, uri: str, folder: Path) -> None:
        task = {
            "seed": trial.seed,
            "size": {"events": trial.size.events, "runs": trial.size.runs, "plain": trial.size.plain},
            "pace": trial.pace,
            "deliver": trial.deliver,
            "on_stop": trial.on_stop,
            "ending": trial.ending,
            "peer": trial.peer,
            "uri": uri,
            "journal": str(folder / "journal"),
            "progress": str(folder / "progress"),
        }
        script = Path(__file__).with_name("acquire.py")
        self._process = start([sys.executable, str(script), json.dumps(task)], folder / "acquire.log")
        self._children: dict[int, psutil.Process] = {}

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        return self._process.poll() is not None

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    def deliverers(self) -> list[psutil.Process]:
        """Return the processes that deliver for it: its children now, and those it had when this was last asked."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._process.pid).children():
                self._children[child.pid] = child
        return [child for child in self._children.values() if child.is_running()]

    def kill(self) -> bool:
        """Kill it at this instant; False if it has ended."""
        running = not self.has_ended
        self._process.kill()
        self._process.wait()
        return running

    def kill_deliverers(self, deliverers: list[psutil.Process]) -> bool:
        """Kill these at this instant; False if none was alive."""
        hit = False
        for deliverer in deliverers:
            with contextlib.suppress(psutil.NoSuchProcess):
                deliverer.kill()
                hit = True
        return hit

    def left_behind(self, patience: float) -> list[psutil.Process]:
        """Return the deliverers that are still there after so many seconds, and kill them."""
        _, alive = psutil.wait_procs(self.deliverers(), patience)
        self.kill_deliverers(alive)
        return alive


def deliver(uri: str, journal: Path, log: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start `tilewright deliver`."""
    return start([*COMMAND, "deliver", "--catalog", uri, "--journal", str(journal), *options], log)


def end(process: subprocess.Popen[Any], patience: float) -> None:
    """End a command in order, or kill it."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
