"""The acquiring process's view of the delivery: who does it, what is waited for, how it goes.

`TiledWriter` and `tilewright deliver` hold a `Deliverer`. The worker behind it is a child process, a thread of this
one, or somebody else's: where it is makes no difference to what is said here.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tilewright.delivery.child import Child
from tilewright.delivery.status import Backlog, Status
from tilewright.delivery.worker import State, Worker

if TYPE_CHECKING:
    from pathlib import Path

    from tilewright.delivery.target import Target
    from tilewright.documents import PathMap
    from tilewright.journal import JournalDirectory, Tail

logger = logging.getLogger("tilewright.delivery")

POLL = 0.1
"""Seconds between two looks at the journals, for one who waits."""
CLOSE_SECONDS = 5.0
"""How long `close` waits for the request under way."""
NOBODY_SECONDS = 3.0
"""If delivery is somebody else's business, a run is not waited for any longer that nobody has begun to deliver by then, or
of which nobody tells how far it is.
"""

Where = Literal["process", "thread", "elsewhere"]
"""Who delivers: a child process, a thread of this process, or a service of its own."""


@dataclass(slots=True)
class _Watched:
    """A run being recorded here, or one of which a part is in memory."""

    uid: str
    tail: Tail | None = None
    """What of its journal is in the memory of this process."""
    ended: bool = False


class Deliverer:
    """Has the journals of a directory delivered to a catalog.

    Parameters
    ----------
    directory
        Where the journals lie.
    target
        The catalog.
    where
        Who delivers. `"process"` becomes `"thread"` where another process cannot be told how to reach the catalog.
    everything
        Whether to deliver also what other processes record now.
    adopt
        Whether to deliver also what was meant for other catalogs.
    path_map
        Rules for paths that take the place of those in the journals; see `Worker`.
    """

    def __init__(
        self,
        directory: JournalDirectory,
        target: Target,
        where: Where = "process",
        *,
        everything: bool = False,
        adopt: bool = False,
        path_map: PathMap | None = None,
    ) -> None:
        self._directory = directory
        self._target = target
        self._everything = everything
        self._adopt = adopt
        self._path_map = path_map
        self._changed = threading.Condition()
        self._state = State()
        self._watched: dict[Path, _Watched] = {}
        self._backlog = Backlog(directory, None if adopt else target.name)
        self._moving: threading.Thread | None = None
        self._replacing = threading.Lock()
        """Held while who delivers is replaced."""
        self._closed = False
        self._renewed_key: str | None = None
        self._hand: Child | _Thread | None = None
        with self._replacing:  # a child may end before it is noted here that there is one
            if where == "process" and target.address is not None:
                try:
                    self._hand = Child(directory, target, self._update, self._deliver_here, path_map)
                except OSError as error:
                    logger.warning(
                        "No process can be started to deliver (%s); this one delivers instead", error
                    )
        if self._hand is None and where != "elsewhere":
            self._deliver_here()

    @property
    def state(self) -> State:
        """What the worker last said."""
        return self._state

    def watch(self, path: Path, uid: str) -> None:
        """Have this journal delivered while it is written."""
        self._watched[path] = _Watched(uid)
        if self._hand is not None:
            self._hand.watch(path, uid)

    def hold(self, path: Path, uid: str, tail: Tail) -> None:
        """Have a journal delivered of which a part, or all, is in the memory of this process.

        Then it has to be done in this process. Does not wait: it is called while documents come in.
        """
        self._watched[path] = _Watched(uid, tail)
        if isinstance(self._hand, _Thread):
            self._hand.watch(path, uid, tail)
        elif self._moving is None:
            self._moving = threading.Thread(target=self._move_here, name="tilewright-move", daemon=True)
            self._moving.start()

    def ended(self, path: Path) -> None:
        """Take note that nothing more will be written to this journal."""
        run = self._watched.get(path)
        if run is not None and run.tail is not None:
            run.ended = True  # kept until it is delivered: nobody else can
        else:
            self._watched.pop(path, None)
        if self._hand is not None:
            self._hand.ended(path)

    def wait(self, path: Path, timeout: float) -> bool:
        """Wait until a run is delivered or given up; False if it is not.

        It is not when `timeout` seconds are over, or when the server turns out not to be there, or nobody who delivers.
        """
        began = time.monotonic()
        while not (self._is_gone(path) or self._is_given_up(path)):
            waited = time.monotonic() - began
            if self._state.away or waited > timeout or (waited > NOBODY_SECONDS and self._is_nobodys(path)):
                return False
            self._pause()
        return True

    def why_not(self, path: Path) -> str:
        """Say why a run is not delivered yet."""
        if self._is_nobodys(path):
            return "nobody delivers it; is `tilewright deliver --watch` running?"
        return self._state.last_error or "the server is slow"

    def flush(self, timeout: float | None = None, *, patient: bool = True) -> bool:
        """Wait until the server has all that was written before.

        Runs still being recorded count with what their journals hold now.

        Parameters
        ----------
        timeout
            Seconds; None: for ever.
        patient
            Whether to wait also for a server that is not there.

        Returns
        -------
        False if that is not so within `timeout` seconds, if a run was given up, or if somebody else delivers a run that
        is being recorded here: then nobody tells how far it is.
        """
        began = time.monotonic()
        goals = [(path, size) for path, size in self._backlog.sizes().items() if self._is_for_us(path)]
        goals += [(path, run.tail.end) for path, run in list(self._watched.items()) if run.tail is not None]
        if self._hand is not None:
            self._hand.wake()
        for path, size in goals:
            while not self._is_level(path, size):
                waited = time.monotonic() - began
                if (
                    (self._state.away and not patient)
                    or (timeout is not None and waited > timeout)
                    or (waited > NOBODY_SECONDS and self._is_out_of_sight(path))
                ):
                    return False
                self._pause()
        return not self._state.failed

    def pending(self) -> list[Path]:
        """Return the journals of which the server lacks something, but for runs that were given up.

        One that another process records, and somebody else delivers, is not among them.
        """
        return [
            path
            for path, size in self._backlog.sizes().items()
            if not (self._is_level(path, size) or self._is_in_other_hands(path))
        ]

    def status(self) -> Status:
        """Return what waits, and how delivery goes."""
        runs = [run for path, run in list(self._watched.items()) if not self._is_gone(path)]
        held = {run.uid: run.tail.size for run in runs if run.tail is not None and run.tail.size}
        return self._backlog.status(self._target.name, self._state, held)

    def renew_key(self, api_key: str) -> None:
        """Use another key from now on."""
        with self._replacing:
            self._renewed_key = api_key
            hand = self._hand
        if hand is not None:
            hand.renew_key(api_key)

    def close(self) -> None:
        """Stop after the request under way; journals not yet delivered stay for the next time.

        A server that does not answer is waited for a little, and then left.
        """
        with self._replacing:
            self._closed = True
        if self._moving is not None:
            self._moving.join(2 * CLOSE_SECONDS)
        if self._hand is not None:
            self._hand.close()

    def _update(self, state: State) -> None:
        with self._changed:
            self._state = state
            self._changed.notify_all()

    def _pause(self) -> None:
        with self._changed:
            self._changed.wait(POLL)

    def _deliver_here(self) -> None:
        """Deliver in a thread of this process from now on."""
        with self._replacing:
            if self._closed or isinstance(self._hand, _Thread):
                return
            hand = _Thread(
                self._directory,
                self._target,
                self._update,
                everything=self._everything,
                adopt=self._adopt,
                path_map=self._path_map,
            )
            if self._renewed_key is not None:
                hand.renew_key(self._renewed_key)
            self._hand = hand  # before it is told of what there is: more may come meanwhile
            for path, run in list(self._watched.items()):
                hand.watch(path, run.uid, run.tail)
                if run.ended:
                    hand.ended(path)
            hand.start()

    def _move_here(self) -> None:
        if self._hand is not None:
            self._hand.close()
        self._deliver_here()

    def _is_for_us(self, path: Path) -> bool:
        """Say whether a journal is one to wait for: not one that another process records."""
        if self._everything or path in self._watched:
            return True
        try:
            return not self._directory.is_recording(path)
        except FileNotFoundError:
            return False

    def _is_in_other_hands(self, path: Path) -> bool:
        run = self._state.runs.get(path.name)
        try:
            return run is not None and run.claimant is not None and self._directory.is_recording(path)
        except FileNotFoundError:
            return True

    def _is_gone(self, path: Path) -> bool:
        """Say whether a journal has been delivered and put aside."""
        here = self._hand if isinstance(self._hand, _Thread) else None
        if path.name in self._state.finished:
            return True
        if path.exists() or (here is not None and here.holds(path)):
            return False
        if path in self._watched and here is None:
            return False  # in memory, and on its way to a thread of this process
        self._watched.pop(path, None)
        return True

    def _is_out_of_sight(self, path: Path) -> bool:
        """Say whether somebody else delivers a run that is being recorded here."""
        if path not in self._watched:
            return False
        run = self._state.runs.get(path.name)
        nobody_here = self._hand is None and self._moving is None
        return nobody_here or (run is not None and run.claimant is not None)

    def _is_nobodys(self, path: Path) -> bool:
        return self._hand is None and self._moving is None and self._directory.claimant(path) is None

    def _is_given_up(self, path: Path) -> bool:
        run = self._watched.get(path)
        uid = run.uid if run is not None else self._backlog.uid_of(path)
        return uid in self._state.failed

    def _is_level(self, path: Path, size: int) -> bool:
        """Say whether the server has the first `size` bytes of a journal, and all of one that has ended."""
        if self._is_gone(path) or self._is_given_up(path):
            return True
        state = self._state.runs.get(path.name)
        if state is None or state.level_to < size:
            return False
        if path in self._watched:
            return not self._watched[path].ended  # else it is not level before its report is written
        try:
            return self._directory.is_recording(path)
        except FileNotFoundError:
            return True


class _Thread(Worker):
    """A worker in a thread of this process."""

    _thread: threading.Thread | None = None
    """None until it is started."""

    def start(self) -> None:
        """Begin to deliver."""
        self._thread = threading.Thread(target=self.work, name="tilewright-delivery", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread after the request it is at; a server that does not answer is waited for a little."""
        super().close()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)
