"""A thread that puts open journals on the disk once a second; the recorder tells it of each journal it opens."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tilewright.journal.writer import JournalWriter

logger = logging.getLogger(__name__)

SYNC_INTERVAL = 1.0
"""Seconds after which what was appended is on the disk, if the machine itself should fail."""


class Syncer:
    """Syncs journals in the background, for the acquisition thread must not wait for a disk."""

    def __init__(self) -> None:
        self._journals: list[JournalWriter] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, journal: JournalWriter) -> None:
        """Look after a journal from now on, until it is closed and the disk has all of it."""
        with self._lock:
            self._journals.append(journal)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="tilewright-sync", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread, and give up what the disk does not take."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        for journal in self._journals:
            journal.sync()
            if not journal.closed:
                logger.error("%s: what was only in memory is lost unless it was delivered", journal.path)
                journal.discard()

    def _work(self) -> None:
        while not self._closing.wait(SYNC_INTERVAL):
            with self._lock:
                self._journals = [journal for journal in self._journals if not journal.closed]
                journals = list(self._journals)
            for journal in journals:
                try:
                    journal.sync()
                except Exception:
                    logger.exception("%s was not put on the disk", journal.path)  # the others must be
