"""The delivery worker: a thread that keeps the catalog level with a directory of journals.

The writer starts one and tells it of each run it records; runs that an earlier process left behind for the
same catalog are picked up too. Nothing passes between writer and worker but the journals and this notice.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tilewright.delivery.run import Options, Outcome, RunDelivery
from tilewright.errors import FinalError, InputError, TransientError
from tilewright.journal import Claim, JournalDirectory, JournalReader

if TYPE_CHECKING:
    from pathlib import Path

    from tilewright.delivery.remote import Remote, Target

logger = logging.getLogger(__name__)

INTERVAL = 0.2
"""Seconds between two looks at the journals: what has gathered in between goes out as one request."""
FIRST_RETRY = 0.5
LAST_RETRY = 10.0
"""Seconds to wait after a failure, doubled each time from the first to the last."""
CLOSE_SECONDS = 5.0


@dataclass(slots=True)
class _Run:
    """One journal the worker looks after."""

    path: Path
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when nothing more will be written to the journal."""
    delivered: threading.Event = field(default_factory=threading.Event)
    claim: Claim | None = None
    delivery: RunDelivery | None = None
    failure: str | None = None
    """Why the run was given up."""


@dataclass(frozen=True, slots=True)
class Status:
    """What the worker is at."""

    reachable: bool | None
    """Whether the last request succeeded; None before the first."""
    last_error: str | None
    waiting: tuple[str, ...]
    """uids of the runs not yet delivered in full."""
    failed: dict[str, str]
    """uid of each run given up in this process, and why; its journal is kept."""
    waiting_bytes: int
    """Size of the journals not yet delivered."""


class Worker:
    """Delivers the journals of one directory to one catalog, in a daemon thread of its own.

    Parameters
    ----------
    directory
        Where the journals lie.
    target
        The catalog.
    options
        How documents are understood.
    """

    def __init__(self, directory: JournalDirectory, target: Target, options: Options | None = None) -> None:
        self._directory = directory
        self._target = target
        self._options = options or Options()
        self._remote: Remote = target.connect()
        self._runs: dict[Path, _Run] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._retry_after = 0.0
        self._delay = FIRST_RETRY
        self._reachable: bool | None = None
        self._last_error: str | None = None
        self._failed: dict[str, str] = {}
        self._thread = threading.Thread(target=self._work, name="tilewright-delivery", daemon=True)
        self._adopt_left_behind()
        self._thread.start()

    def watch(self, path: Path) -> None:
        """Deliver this journal, which is being written."""
        with self._lock:
            self._runs[path] = _Run(path)
        self._wake.set()

    def ended(self, path: Path) -> None:
        """Take note that nothing more will be written to this journal."""
        with self._lock:
            run = self._runs.get(path)
        if run is not None:
            run.ended.set()
            self._wake.set()

    def wait(self, path: Path, timeout: float | None) -> bool:
        """Wait until a run is delivered or given up; False if it is not within `timeout` seconds."""
        with self._lock:
            run = self._runs.get(path)
        return run is None or run.delivered.wait(timeout)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the server has all that was written before; False if it has not within `timeout` seconds.

        Runs still being recorded count with what their journals hold now.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            goals = [(run, run.path.stat().st_size) for run in self._runs.values() if run.path.exists()]
        self._wake.set()
        for run, size in goals:
            while not _level(run, size):
                if not self._thread.is_alive() or (deadline is not None and time.monotonic() > deadline):
                    return False
                time.sleep(INTERVAL / 10)
        return True

    def status(self) -> Status:
        """Return what the worker is at."""
        with self._lock:
            runs = [run for run in self._runs.values() if not run.delivered.is_set()]
        size = sum(run.path.stat().st_size for run in runs if run.path.exists())
        uids = tuple(run.path.stem for run in runs)
        return Status(self._reachable, self._last_error, uids, dict(self._failed), size)

    def close(self) -> None:
        """Stop the thread after the request it is at; journals not yet delivered stay for the next time.

        A server that does not answer is waited for a little, and then the thread is left to end by itself.
        """
        self._closing = True
        self._wake.set()
        self._thread.join(CLOSE_SECONDS)

    def _adopt_left_behind(self) -> None:
        """Take over journals for this catalog whose writer is gone."""
        for path in self._directory.waiting():
            try:
                with JournalReader(path) as reader:
                    catalog = reader.header.catalog
            except (InputError, OSError) as error:
                logger.warning("A journal was left alone: %s", error)
                continue
            if catalog in (None, self._target.name) and not self._directory.is_recording(path):
                run = self._runs[path] = _Run(path)
                run.ended.set()

    def _work(self) -> None:
        while not self._closing:
            with self._lock:
                runs = list(self._runs.values())
            if runs and time.monotonic() >= self._retry_after:
                self._deliver(runs)
            self._wake.wait(self._pause(bool(runs)))
            self._wake.clear()
        for run in self._runs.values():
            self._let_go(run)
        self._remote.close()

    def _pause(self, busy: bool) -> float | None:  # noqa: FBT001 - private
        """Return how long to wait: a flush or a new run ends it early."""
        if not busy:
            return None
        return max(INTERVAL, self._retry_after - time.monotonic())

    def _deliver(self, runs: list[_Run]) -> None:
        """Bring every run up to its journal."""
        for run in runs:
            try:
                self._bring_up(run)
            except TransientError as error:
                self._fall_back(error)
                return
            except FinalError as error:
                self._give_up(run, str(error))
            except Exception as error:
                logger.exception("Delivery of %s failed", run.path)
                self._give_up(run, repr(error))

    def _bring_up(self, run: _Run) -> None:
        delivery = self._claimed(run)
        while delivery is not None and not self._closing:
            ended = run.ended.is_set()
            outcome = delivery.step(ended=ended)
            self._recover()
            if outcome is Outcome.DONE:
                self._let_go(run)
                self._directory.archive(run.path)
                self._forget(run)
            if outcome is not Outcome.MORE:
                return

    def _claimed(self, run: _Run) -> RunDelivery | None:
        """Return the run's delivery, or None while somebody else delivers it."""
        if run.delivery is None:
            if not run.path.exists():  # delivered by somebody else
                self._forget(run)
                return None
            run.claim = self._directory.claim(run.path)
            if run.claim is not None:
                run.delivery = RunDelivery(JournalReader(run.path), self._remote, self._options)
        return run.delivery

    def _fall_back(self, error: TransientError) -> None:
        if self._reachable is not False:
            logger.warning("Delivery to %s waits, the journals are kept: %s", self._target.name, error)
        self._reachable, self._last_error = False, str(error)
        self._retry_after = time.monotonic() + self._delay
        self._delay = min(LAST_RETRY, 2 * self._delay)

    def _recover(self) -> None:
        if self._reachable is False:
            logger.warning("Delivery to %s goes on", self._target.name)
        self._reachable, self._delay = True, FIRST_RETRY

    def _give_up(self, run: _Run, reason: str) -> None:
        logger.error("Run %s is not delivered; its journal %s is kept: %s", run.path.stem, run.path, reason)
        run.failure = self._failed[run.path.stem] = reason
        self._let_go(run)
        self._forget(run)

    def _let_go(self, run: _Run) -> None:
        if run.delivery is not None:
            run.delivery.reader.close()
        if run.claim is not None:
            run.claim.release()
        run.delivery = run.claim = None

    def _forget(self, run: _Run) -> None:
        with self._lock:
            self._runs.pop(run.path, None)
        run.delivered.set()


def _level(run: _Run, size: int) -> bool:
    """Say whether the server has the first `size` bytes of a journal, and all of one that has ended."""
    if run.delivered.is_set() or run.ended.is_set():
        return run.delivered.is_set()
    return run.delivery is not None and run.delivery.level_to >= size
