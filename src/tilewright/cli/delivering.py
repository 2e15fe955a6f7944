"""What a writer has recorded comes in, and is waited for until the server has it; `replay` and `record` call this."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.cli.common import counted
from tilewright.cli.patience import Patience, obstacle
from tilewright.errors import TransientError

if TYPE_CHECKING:
    import threading

    from rich.progress import Progress

    from tilewright.writer import TiledWriter

POLL = 0.2
INTERRUPTED = 130
"""Exit status that shells give what Ctrl-C ended."""


def heed(stop: threading.Event) -> None:
    """End what is under way, if it is to be.

    Raises
    ------
    KeyboardInterrupt
        If so.
    """
    if stop.is_set():
        raise KeyboardInterrupt


def deliver(writer: TiledWriter, progress: Progress, stop: threading.Event) -> None:
    """Wait until the server has everything, but for the runs that it refuses.

    Raises
    ------
    KeyboardInterrupt
        If `stop` is set.
    TransientError
        If the server cannot be reached, or takes nothing; the journals keep what waits.
    """
    status = writer.status()
    total, patience = len(status.waiting), Patience(status)
    task = progress.add_task(f"delivering {counted(total, 'run')}", total=total)
    writer.end_runs()
    while True:
        writer.flush(timeout=POLL)
        heed(stop)
        status = writer.status()
        progress.update(task, completed=total - len(status.waiting))
        if not status.waiting:  # delivered, or given up
            return
        if patience.is_over(status, away=status.reachable is False):
            waiting = counted(len(status.waiting), "run")
            raise TransientError(
                f"{obstacle(status)}. Nothing is lost: {waiting} in {writer.journal}; repeat the command when the server is"
                " well again."
            )
