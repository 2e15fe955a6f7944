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

from tilewright.delivery.remote import UnreachableError
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
"""How long `close` waits for the request under way."""


@dataclass(slots=True)
class _Run:
    """One journal the worker looks after."""

    path: Path
    uid: str
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when nothing more will be written to the journal."""
    delivered: threading.Event = field(default_factory=threading.Event)
    """Set when the worker is done with it, well or badly."""
    claim: Claim | None = None
    delivery: RunDelivery | None = None
    trouble: str | None = None
    """The last failure, until something succeeds again."""
    delay: float = FIRST_RETRY
    retry_at: float = 0.0
    """When to try again, on the monotonic clock."""


@dataclass(frozen=True, slots=True)
class Status:
    """What the worker is at."""

    reachable: bool | None
    """Whether the server answers; None before the first request."""
    last_error: str | None
    """Why delivery is held up; None while it is not."""
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
        self._failed: dict[str, str] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._reachable: bool | None = None
        self._thread = threading.Thread(target=self._work, name="tilewright-delivery", daemon=True)
        self._adopt_left_behind()
        self._thread.start()

    def watch(self, path: Path, uid: str) -> None:
        """Deliver this journal, which is being written."""
        with self._lock:
            self._runs.setdefault(path, _Run(path, uid)).ended.clear()  # it may be recorded again already
        self._wake.set()

    def ended(self, path: Path) -> None:
        """Take note that nothing more will be written to this journal."""
        with self._lock:
            run = self._runs.get(path)
        if run is not None:
            run.ended.set()
            self._wake.set()

    def wait(self, path: Path, timeout: float) -> bool:
        """Wait until a run is delivered or given up; False if it is not.

        It is not when `timeout` seconds are over, or when the server turns out not to be there.
        """
        deadline = time.monotonic() + timeout
        with self._lock:
            run = self._runs.get(path)
        while run is not None and not run.delivered.wait(INTERVAL):
            if self._reachable is False or time.monotonic() > deadline:
                return False
        return True

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the server has all that was written before.

        Runs still being recorded count with what their journals hold now.

        Returns
        -------
        False if that is not so within `timeout` seconds, or if a run was given up.
        """
        if threading.current_thread() is self._thread:  # the writer was garbage-collected here
            return False
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            goals = [(run, _size(run.path)) for run in self._runs.values()]
        self._wake.set()
        for run, size in goals:
            while not _level(run, size):
                if not self._thread.is_alive() or (deadline is not None and time.monotonic() > deadline):
                    return False
                time.sleep(INTERVAL / 10)
        return not self._failed

    def status(self) -> Status:
        """Return what the worker is at."""
        with self._lock:
            runs = list(self._runs.values())
            failed = dict(self._failed)
        troubles = [run.trouble for run in runs if run.trouble is not None]
        size = sum(_size(run.path) for run in runs)
        uids = tuple(run.uid for run in runs)
        return Status(self._reachable, troubles[0] if troubles else None, uids, failed, size)

    def close(self) -> None:
        """Stop the thread after the request it is at; journals not yet delivered stay for the next time.

        A server that does not answer is waited for a little, and then the thread is left to end by itself.
        """
        self._closing = True
        self._wake.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_SECONDS)

    def _adopt_left_behind(self) -> None:
        """Take over journals for this catalog whose writer is gone."""
        elsewhere: dict[str, int] = {}
        for path in self._directory.waiting():
            try:
                with JournalReader(path) as reader:
                    header = reader.header
                left_behind = not self._directory.is_recording(path)
            except (InputError, OSError) as error:
                logger.warning("A journal was left alone: %s", error)
                continue
            if header.catalog not in (None, self._target.name):
                elsewhere[header.catalog] = elsewhere.get(header.catalog, 0) + 1
            elif left_behind:
                run = self._runs[path] = _Run(path, header.run)
                run.ended.set()
        for catalog, count in elsewhere.items():
            logger.info("%d journals in %s wait for the catalog %s", count, self._directory.path, catalog)

    def _work(self) -> None:
        while not self._closing:
            with self._lock:
                runs = list(self._runs.values())
            self._deliver(runs)
            self._wake.wait(INTERVAL if runs else None)
            self._wake.clear()
        for run in self._runs.values():
            self._let_go(run)
        self._remote.close()

    def _deliver(self, runs: list[_Run]) -> None:
        """Bring every run up to its journal, a step of each in turn: none holds up the others."""
        while runs:
            unfinished = []
            for run in runs:
                if self._closing:
                    return
                answers = self._remote.contact.answers
                try:
                    if time.monotonic() >= run.retry_at and self._bring_up(run):
                        unfinished.append(run)
                except UnreachableError as error:
                    self._reachable = False
                    self._fall_back(run, error)
                    return
                except TransientError as error:
                    self._fall_back(run, error)
                except FinalError as error:
                    self._give_up(run, str(error))
                except Exception as error:
                    logger.exception("Delivery of %s failed", run.path)
                    self._give_up(run, repr(error))
                if self._remote.contact.answers > answers:
                    self._reachable = True
            runs = unfinished

    def _bring_up(self, run: _Run) -> bool:
        """Take one step; return whether there is more to do at once."""
        delivery = self._claimed(run)
        if delivery is None:
            return False
        outcome = delivery.step(ended=run.ended.is_set())
        self._recover(run)
        if outcome is Outcome.DONE:
            self._put_aside(run, verified=delivery.verified)
        return outcome is Outcome.MORE

    def _put_aside(self, run: _Run, *, verified: bool) -> None:
        """Take a run for done, unless somebody has begun to record it again."""
        with self._lock:  # against `watch`
            if not run.ended.is_set() or not self._directory.archive(run.path, verified=verified):
                return
            self._runs.pop(run.path, None)
        self._let_go(run)
        run.delivered.set()

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

    def _fall_back(self, run: _Run, error: TransientError) -> None:
        """Try this run again later; say so once."""
        if run.trouble is None:
            logger.warning("Delivery to %s waits, the journals are kept: %s", self._target.name, error)
        run.trouble = str(error)
        run.retry_at = time.monotonic() + run.delay
        run.delay = min(LAST_RETRY, 2 * run.delay)

    def _recover(self, run: _Run) -> None:
        if run.trouble is not None:
            logger.warning("Delivery of run %s to %s goes on", run.uid, self._target.name)
        run.trouble, run.delay = None, FIRST_RETRY

    def _give_up(self, run: _Run, reason: str) -> None:
        logger.error("Run %s is not delivered; its journal %s is kept: %s", run.uid, run.path, reason)
        with self._lock:
            self._failed[run.uid] = reason
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
    delivery = run.delivery
    return delivery is not None and delivery.level_to >= size


def _size(path: Path) -> int:
    """Return a file's size; 0 for one that has been delivered meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
