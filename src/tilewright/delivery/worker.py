"""The delivery worker: a loop that keeps a catalog level with a directory of journals.

It runs in a thread of the acquiring process, in a child process, or in `tilewright deliver`: see `deliverer`. It finds
the journals by looking into the directory; what it is at, it tells as a `State`.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tilewright.delivery.announcer import Announcer
from tilewright.delivery.backoff import Backoff
from tilewright.delivery.failures import BusyError, FateUnknownError, KeyRefusedError, UnreachableError
from tilewright.delivery.run import Outcome, RunDelivery
from tilewright.errors import FinalError, InputError, SetupError, TransientError
from tilewright.journal import JournalReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tilewright.delivery.remote import Remote
    from tilewright.delivery.target import Target
    from tilewright.documents import PathMap
    from tilewright.journal import Claim, JournalDirectory, Tail

logger = logging.getLogger(__name__)

INTERVAL = 0.2
"""Seconds between two rounds: what has gathered in between goes out as one request."""
GLANCE_INTERVAL = 0.02
"""Seconds between two looks at how much has gathered."""
ENOUGH_BYTES = 2 << 20
"""Of a journal: with so much, a request costs little beside what it carries, and does not wait for the next round.

A run without rows does not wait either: its start goes out alone, and whoever watches has nothing to see until the rest is there.
"""
LOOK_INTERVAL = 1.0
"""Seconds between two looks at the directory for journals that nobody told of."""
HEADER_SECONDS = 5.0
"""A journal without a header for longer than this is reported: its writer is not just about to write it."""
AT_ONCE = 8
"""How many journals left behind are under way together: each has two files open, and there may be thousands."""
MOST_STUCK = 64
"""How many journals left behind, that do not get on, are kept open."""
FIRST_RETRY = 0.5
LAST_RETRY = 10.0
"""Seconds to wait after a failure, doubled each time from the first to the last."""


@dataclass(slots=True)
class _Run:
    """One journal the worker looks after."""

    path: Path
    uid: str
    tail: Tail | None = None
    """What of the journal is in the memory of this process."""
    watched: bool = False
    """Whether its writer has told of it."""
    live: bool = False
    """Whether it was being recorded when it was found: it does not wait for those that were left behind."""
    ended: bool = False
    """Whether its writer has said that nothing more will come; else the lock on the journal tells."""
    claim: Claim | None = None
    delivery: RunDelivery | None = None
    rules: PathMap | None = None
    """Rules for paths that the delivery goes by, in place of the journal's."""
    claimant: str | None = None
    """Who else delivers it."""
    trouble: str | None = None
    """The last failure of this run alone, until something succeeds again."""
    retry: Backoff = field(default_factory=lambda: Backoff(FIRST_RETRY, LAST_RETRY))
    level: bool = False
    """Whether the server had all of it after the last step."""
    level_at: float = field(default_factory=time.monotonic)
    """When it last had, on the monotonic clock."""


@dataclass(frozen=True, slots=True)
class RunState:
    """How far one journal is delivered."""

    uid: str
    level_to: int
    """Bytes of the journal whose documents the server has."""
    trouble: str | None = None
    claimant: str | None = None
    """Who else delivers it; None if the worker does."""


@dataclass(frozen=True, slots=True)
class State:
    """What a worker is at."""

    reachable: bool | None = None
    """Whether the server answers; None before the first request."""
    away: bool = False
    """Whether it is of no use to wait: nobody answers, or the key is refused."""
    last_error: str | None = None
    """Why delivery is held up; None while it is not."""
    runs: dict[str, RunState] = field(default_factory=dict)
    """The runs under way, by the names of their journals."""
    failed: dict[str, str] = field(default_factory=dict)
    """uid of each run given up, and why; its journal is kept."""
    finished: list[str] = field(default_factory=list)
    """Names of journals that are delivered and cannot be put aside: their folder does not let them be moved."""
    idle: bool = False
    """Whether all there is has been delivered, but for what others deliver."""


class Worker:
    """Delivers the journals of one directory to one catalog.

    Parameters
    ----------
    directory
        Where the journals lie.
    target
        The catalog.
    report
        Called with each new state.
    everything
        Whether to deliver also what other processes record now. Otherwise these are left to whoever they told.
    adopt
        Whether to deliver also what was meant for other catalogs.
    eager
        Whether to read journals on while requests are under way, and to see every few milliseconds whether enough for one
        has gathered: in a process that does nothing else.
    path_map
        Rules for paths that take the place of those in the journals: in all with `everything`, else in those that it is
        told to watch, for these rules are their writer's.
    """

    def __init__(
        self,
        directory: JournalDirectory,
        target: Target,
        report: Callable[[State], None] = lambda _: None,
        *,
        everything: bool = False,
        adopt: bool = False,
        eager: bool = False,
        path_map: PathMap | None = None,
    ) -> None:
        self._directory = directory
        self._target = target
        self._report = report
        self._everything = everything
        self._adopt = adopt
        self._eager = eager
        self._path_map = path_map
        self._remote: Remote = target.connect()
        self._announcer = Announcer(target.name)
        self._runs: dict[Path, _Run] = {}
        self._left_alone: set[Path] = set()
        """Journals that cannot be read, or whose runs were given up, or that are another's."""
        self._failed: dict[str, str] = {}
        self._finished: list[str] = []
        """Names of journals that are delivered and could not be put aside."""
        self._lock = threading.Lock()
        """Held while `_runs` is changed."""
        self._wake = threading.Event()
        self._closing = False
        self._finish_by: float | None = None
        """When to stop at the latest, on the monotonic clock, once nobody is there to watch."""
        self._reachable: bool | None = None
        self._away = False
        self._trouble: str | None = None
        """Why nothing at all can be delivered."""
        self._retry = Backoff(FIRST_RETRY, LAST_RETRY)
        self._look_at = 0.0
        self._state = State()

    def watch(self, path: Path, uid: str, tail: Tail | None = None) -> None:
        """Deliver this journal, which is being written, here and now."""
        with self._lock:
            run = self._runs.setdefault(path, _Run(path, uid))
            run.live = run.watched = True
            run.ended, run.tail = False, tail  # it may be recorded again already
            if run.delivery is not None:
                run.delivery.reader.tail = tail
            self._left_alone.discard(path)
        self._wake.set()

    def ended(self, path: Path) -> None:
        """Take note that nothing more will be written to this journal."""
        with self._lock:
            if path in self._runs:
                self._runs[path].ended = True
        self._wake.set()

    def holds(self, path: Path) -> bool:
        """Say whether a journal is under way here."""
        return path in self._runs

    def wake(self) -> None:
        """Look at the journals now."""
        self._wake.set()

    def renew_key(self, api_key: str) -> None:
        """Use another key from now on, and try again at once."""
        self._remote.renew_key(api_key)
        self._retry.reset()
        self._wake.set()

    def close(self) -> None:
        """Stop after the request under way; journals not yet delivered stay for the next time. From any thread."""
        self._closing = True
        self._wake.set()

    def finish(self, seconds: float) -> None:
        """Stop when nothing more can be done now, and after so many seconds at the latest. From any thread."""
        self._finish_by = time.monotonic() + seconds
        self._look_at = 0.0
        self._wake.set()

    def work(self) -> None:
        """Deliver until closed."""
        try:
            while not (self._closing or self._is_finished()):
                self._wake.clear()
                if time.monotonic() >= self._look_at:
                    self._look()
                more = not self._retry.waiting and self._deliver()
                self._tell()
                if not more:
                    self._rest(INTERVAL if self._runs else LOOK_INTERVAL)
        finally:
            for run in self._runs.values():
                self._let_go(run)
            self._remote.close()

    def _rest(self, seconds: float) -> None:
        """Wait for the next round: for so long, until somebody wakes us, or until enough for a request has gathered."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._wake.wait(min(left, GLANCE_INTERVAL) if self._eager and self._runs else left):
                return
            if self._eager and not self._retry.waiting and self._has_gathered_enough():
                return

    def _has_gathered_enough(self) -> bool:
        with self._lock:
            runs = list(self._runs.values())
        return any(
            run.live
            and run.level
            and run.trouble is None
            and run.delivery.waiting_bytes() >= (ENOUGH_BYTES if run.delivery.has_rows else 1)
            for run in runs
            if run.delivery is not None
        )

    def _is_finished(self) -> bool:
        if self._finish_by is None or self._look_at == 0.0:
            return False
        stuck = self._trouble is not None or all(
            run.claimant is not None or run.trouble is not None for run in self._runs.values()
        )
        return stuck or time.monotonic() > self._finish_by

    def _look(self) -> None:
        """Find journals for this catalog: those whose writers are gone, and if asked for those being written too."""
        for path in self._directory.waiting():
            if path in self._runs or path in self._left_alone:
                continue
            try:
                uid = self._uid_of_ours(path)
                if uid is not None:
                    live = self._everything and self._directory.is_recording(path)
                    with self._lock:
                        self._runs.setdefault(path, _Run(path, uid, live=live))
            except FileNotFoundError:
                continue  # delivered by somebody else
            except (InputError, OSError) as error:
                self._report_unreadable(path, error)
        self._look_at = time.monotonic() + (INTERVAL if self._everything else LOOK_INTERVAL)

    def _uid_of_ours(self, path: Path) -> str | None:
        """Return the uid of a journal's run; None if the journal is not to be delivered here."""
        if not self._everything and self._directory.is_recording(path):
            return None
        with JournalReader(path) as reader:
            header = reader.header
        if self._adopt or header.is_for(self._target.name):
            return header.run
        logger.info("Journal %s waits for the catalog %s", path, header.catalog)
        self._left_alone.add(path)
        return None

    def _report_unreadable(self, path: Path, error: Exception) -> None:
        with suppress(FileNotFoundError):  # delivered, or removed, meanwhile
            if time.time() - path.stat().st_mtime > HEADER_SECONDS:
                logger.warning("A journal was left alone: %s", error)
                self._left_alone.add(path)

    def _deliver(self) -> bool:
        """Bring each run a step nearer to its journal: none holds up the others. Say whether there is more to do at once.

        What is told, looked for and begun in between does not wait for the end of a backlog.
        """
        with self._lock:
            runs = _one_for_each_uid(self._runs.values())
        room = AT_ONCE - sum(_takes_room(run) for run in runs)
        more = held_back = False
        for run in runs:
            if self._closing:
                return False
            begun = run.delivery is not None
            if room <= 0 and not (begun or run.live):
                held_back = True
            elif not run.retry.waiting:
                answers = self._remote.contact.answers
                more = self._try(run) or more
                if self._retry.waiting:
                    return False
                if self._remote.contact.answers > answers:
                    self._reachable, self._away, self._trouble = True, False, None
                    self._retry.reset()
                room -= not begun and _takes_room(run)
        self._limit_open(runs)
        return more or (held_back and any(run.path not in self._runs for run in runs))

    def _try(self, run: _Run) -> bool:
        """Take one step; return whether there is more to do at once. What fails is noted: for the run, or for all."""
        try:
            return self._bring_up(run)
        except (UnreachableError, KeyRefusedError, BusyError) as error:
            self._reachable = not isinstance(error, UnreachableError)
            self._trouble = str(error)
            self._away = not isinstance(error, BusyError)
            self._retry.fail(getattr(error, "pause", None))
        except TransientError as error:
            run.trouble = str(error)
            run.retry.fail(error.pause if isinstance(error, FateUnknownError) else None)
        except FinalError as error:
            self._give_up(run, str(error))
        except Exception as error:
            logger.exception("Delivery of %s failed", run.path)
            self._give_up(run, repr(error))
        return False

    def _limit_open(self, runs: list[_Run]) -> None:
        """Let go of journals that do not get on, if there are many of them: their next try begins anew."""
        stuck = [run for run in runs if run.delivery is not None and run.trouble is not None and not run.live]
        for run in stuck[MOST_STUCK:]:
            self._let_go(run)

    def _bring_up(self, run: _Run) -> bool:
        """Take one step; return whether there is more to do at once."""
        ended = run.ended or not self._is_recording(run)  # before the step: what is read then is all there is
        delivery = self._claimed(run)
        if delivery is None:
            return False
        size = self._size(run)
        outcome = delivery.step(ended=ended)
        run.trouble = None
        run.retry.reset()
        run.level = outcome is not Outcome.MORE
        if run.level:
            run.level_at = time.monotonic()
        if outcome is Outcome.DONE and ended:
            self._put_aside(run, size, verified=delivery.verified)
        return outcome is Outcome.MORE

    def _is_recording(self, run: _Run) -> bool:
        try:
            return run.tail is not None or self._directory.is_recording(run.path)
        except FileNotFoundError:
            return False

    def _size(self, run: _Run) -> int | None:
        """Return the bytes of a journal that is in its file alone."""
        try:
            return None if run.tail is not None else run.path.stat().st_size
        except OSError:  # removed; what was read is delivered all the same
            return None

    def _put_aside(self, run: _Run, size: int | None, *, verified: bool) -> None:
        """Archive the journal of a run that is complete on the server, unless more than these bytes are in it."""
        try:
            tail = None if run.delivery is None else run.delivery.reader.tail
            archived = self._directory.archive(run.path, verified=verified, tail=tail, size=size)
        except (FileNotFoundError, NotADirectoryError):  # all of it was in memory, or somebody removed it
            archived = True
        except SetupError as error:  # nothing is wrong but that it stays where it is
            logger.warning("%s", error)
            self._left_alone.add(run.path)
            self._finished.append(run.path.name)
            archived = True
        if not archived:
            run.ended = False  # it is being recorded again
            return
        self._let_go(run)
        self._forget(run)

    def _claimed(self, run: _Run) -> RunDelivery | None:
        """Return the run's delivery, if nobody else delivers it."""
        rules = self._path_map if self._everything or run.watched else None
        if run.delivery is not None and run.rules is not rules:  # found before its writer had told of it
            self._let_go(run)
        if run.delivery is None:
            run.claim = self._directory.claim(run.path)
            if run.claim is None and run.tail is None:
                self._note_claimant(run)
                return None
            run.claimant = None
            try:
                reader = JournalReader(run.path, run.tail)
                run.rules = rules
                run.delivery = RunDelivery(reader, self._remote, read_ahead=self._eager, path_map=rules)
            except FileNotFoundError:  # delivered by somebody else, maybe while we took the claim
                self._let_go(run)
                self._forget(run)
            except InputError as error:
                self._let_go(run)
                if not self._is_recording(run):
                    raise FinalError(str(error)) from error
                # Its first bytes are on their way: to the file, or to the memory that we shall be told of.
        return run.delivery

    def _note_claimant(self, run: _Run) -> None:
        if not run.path.exists():  # delivered by them
            self._forget(run)
            return
        claimant = self._directory.claimant(run.path)
        if claimant is None:  # they have just let go of it, or nobody can claim anything here
            run.trouble = self._directory.problem
        elif str(claimant) != run.claimant:
            run.claimant = str(claimant)
            logger.info("Run %s is delivered by %s", run.uid, claimant)

    def _tell(self) -> None:
        """Log what has changed for the worse or the better, and report the state."""
        with self._lock:
            runs = dict(self._runs)
        troubles = [run.trouble for run in runs.values() if run.trouble is not None]
        last_error = self._trouble or (troubles[0] if troubles else None)
        oldest = min((run.level_at for run in runs.values() if run.delivery is not None), default=None)
        self._announcer.tell(last_error, 0.0 if oldest is None else time.monotonic() - oldest)
        state = State(
            reachable=self._reachable,
            away=self._away,
            last_error=last_error,
            runs={path.name: _state_of(run) for path, run in runs.items()},
            failed=dict(self._failed),
            finished=list(self._finished),
            idle=all(run.claimant is not None or run.level for run in runs.values()),
        )
        if state != self._state:
            self._state = state
            self._report(state)

    def _give_up(self, run: _Run, reason: str) -> None:
        logger.error("Run %s is not delivered; its journal %s is kept: %s", run.uid, run.path, reason)
        self._failed[run.uid] = reason
        self._left_alone.add(run.path)
        self._let_go(run)
        self._forget(run)

    def _let_go(self, run: _Run) -> None:
        if run.delivery is not None:
            run.delivery.close()
        if run.claim is not None:
            run.claim.release()
        run.delivery = run.claim = None

    def _forget(self, run: _Run) -> None:
        with self._lock:
            self._runs.pop(run.path, None)


def _takes_room(run: _Run) -> bool:
    """Say whether a run is one of those left behind that are under way, and gets on."""
    return run.delivery is not None and run.trouble is None and not run.live


def _one_for_each_uid(runs: Iterable[_Run]) -> list[_Run]:
    """Return the first journal of each run: where there are two, the second is held against what the first becomes."""
    first: dict[str, _Run] = {}
    for run in runs:
        first.setdefault(run.uid, run)
    return list(first.values())


def _state_of(run: _Run) -> RunState:
    level_to = run.delivery.level_to if run.delivery is not None else 0
    return RunState(run.uid, level_to, run.trouble, run.claimant)
