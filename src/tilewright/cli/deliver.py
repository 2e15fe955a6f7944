"""`tilewright deliver`: what waits in a directory of journals to its catalogs, once or as a service."""

from __future__ import annotations

import logging
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tilewright.cli.common import CATALOG_VARIABLE, counted, journal_directory, stopped_by, writable
from tilewright.errors import FinalError, InputError, TransientError

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from rich.progress import Progress

    from tilewright.delivery import Deliverer
    from tilewright.journal import JournalDirectory

POLL = 0.2
PATIENCE = 5.0
"""Seconds that the server may be away before a delivery that is done once gives up."""
STUCK_SECONDS = 30.0
"""Seconds that runs in trouble of their own may make no progress before it gives up."""
INTERRUPTED = 130
"""Exit status that shells give what Ctrl-C ended."""

_WAITING = ("waiting", "recording")

logger = logging.getLogger("tilewright.delivery")


def deliver(
    catalog: Annotated[
        str | None,
        typer.Option(
            "--catalog",
            envvar=CATALOG_VARIABLE,
            help="Address of a Tiled server, with its key, or a directory. Without it, each journal says where it goes.",
        ),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            "--journal",
            metavar="DIRECTORY",
            help="Where the journals lie. Without it: beside the data of a directory, else as TiledWriter does.",
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on for ever, and deliver what is being recorded: a service.")
    ] = False,
    adopt: Annotated[
        bool,
        typer.Option("--adopt", help="Take also journals that were meant for other catalogs than --catalog."),
    ] = False,
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            metavar="FILE",
            help="File with the server's API key; read again when the key is refused.",
        ),
    ] = None,
) -> None:
    """Deliver what waits in the journals.

    Ends with 0 when nothing waits any more. What somebody else delivers at this moment is left to them, and named.
    """
    from tilewright.journal import JournalDirectory  # noqa: PLC0415 - slow to import; --help must not wait

    if adopt and catalog is None:
        raise InputError("--adopt needs --catalog: where are the journals to go?")
    directory = JournalDirectory(journal_directory(journal, catalog))
    if directory.problem is not None:
        raise InputError(directory.problem)
    with stopped_by(signal.SIGINT, signal.SIGTERM) as stop, ExitStack() as stack:
        if watch:
            _log_to_stderr()
        deliverers = {}
        for name in [catalog] if catalog is not None else _catalogs_of(directory):
            deliverers[name] = _deliverer(stack, directory, name, key_file, adopt=adopt)
        if watch:
            _serve(deliverers, stack, directory, stop, follow=catalog is None, key_file=key_file)
        else:
            _deliver_once(deliverers, directory, stop)


def _catalogs_of(directory: JournalDirectory) -> list[str]:
    """Return the catalogs that the waiting journals name."""
    names = (
        entry.header.catalog
        for entry in directory.entries()
        if entry.state in _WAITING and entry.header is not None
    )
    return list(dict.fromkeys(name for name in names if name is not None))


def _deliverer(
    stack: ExitStack, directory: JournalDirectory, catalog: str, key_file: Path | None, *, adopt: bool
) -> Deliverer:
    from tilewright.delivery import Deliverer, target  # noqa: PLC0415 - as above

    where = target(stack.enter_context(writable(catalog)))
    deliverer = Deliverer(directory, where, "thread", everything=True, adopt=adopt)
    stack.callback(deliverer.close)
    if key_file is not None:
        deliverer.renew_key(_key(key_file))
    return deliverer


def _key(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise InputError(f"cannot read the key from {file}: {error.strerror}") from error


def _deliver_once(
    deliverers: dict[str, Deliverer], directory: JournalDirectory, stop: threading.Event
) -> None:
    """Wait until nothing waits any more.

    Raises
    ------
    TransientError
        If a server cannot be reached, or runs are stuck.
    FinalError
        If runs were given up.
    """
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.progress import Progress  # noqa: PLC0415

    console = Console(stderr=True)
    began = {path for deliverer in deliverers.values() for path in deliverer.pending()}
    with Progress(console=console, disable=not console.is_terminal) as progress:
        for name, deliverer in deliverers.items():
            _see_delivered(name, deliverer, progress, stop)
    failed = {uid: why for deliverer in deliverers.values() for uid, why in deliverer.status().failed.items()}
    typer.echo(f"{counted(len(began) - len(failed), 'run')} delivered from {directory.path}")
    if failed:
        uid, why = next(iter(failed.items()))
        raise FinalError(f"{counted(len(failed), 'run')} not delivered, the journals are kept; {uid}: {why}")


def _see_delivered(name: str, deliverer: Deliverer, progress: Progress, stop: threading.Event) -> None:
    total = deliverer.status().waiting_bytes
    task = progress.add_task(f"to {_shown(name)}", total=total)
    said: set[str] = set()
    give_up_at, stuck_at, least = time.monotonic() + PATIENCE, time.monotonic() + STUCK_SECONDS, total
    while pending := deliverer.pending():
        if stop.wait(POLL):
            typer.echo("tilewright: interrupted; repeat the command to carry on", err=True)
            raise typer.Exit(INTERRUPTED)
        state, status = deliverer.state, deliverer.status()
        for line in _in_other_hands(deliverer):
            if line not in said:
                said.add(line)
                progress.console.print(line, highlight=False, soft_wrap=True)
        progress.update(task, completed=total - status.waiting_bytes)
        if status.waiting_bytes < least or any(run.claimant for run in state.runs.values()):
            least, stuck_at = status.waiting_bytes, time.monotonic() + STUCK_SECONDS
        if not state.away:
            give_up_at = time.monotonic() + PATIENCE
        if time.monotonic() > min(give_up_at, stuck_at):
            why = status.last_error or "it makes no progress"
            raise TransientError(f"{counted(len(pending), 'run')} still waits, nothing is lost: {why}")
    progress.update(task, completed=total)


def _in_other_hands(deliverer: Deliverer) -> Iterator[str]:
    """Yield a line for each run that somebody else delivers."""
    for run in deliverer.state.runs.values():
        if run.claimant is not None:
            yield f"run {run.uid} is delivered by {run.claimant}"


def _serve(
    deliverers: dict[str, Deliverer],
    stack: ExitStack,
    directory: JournalDirectory,
    stop: threading.Event,
    *,
    follow: bool,
    key_file: Path | None,
) -> None:
    """Deliver until told to stop; `follow` catalogs that new journals name."""
    logger.info("Delivering what is recorded in %s", directory.path)
    while not stop.wait(1.0):
        for name in _catalogs_of(directory) if follow else ():
            if name not in deliverers:
                deliverers[name] = _deliverer(stack, directory, name, key_file, adopt=False)
        for deliverer in deliverers.values() if key_file is not None else ():
            if deliverer.state.away and deliverer.state.reachable and key_file is not None:
                deliverer.renew_key(_key(key_file))


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    package = logging.getLogger("tilewright")
    package.handlers[:] = [handler]  # in the place of the command line's own
    package.setLevel(logging.INFO)


def _shown(catalog: str) -> str:
    return catalog.partition("?")[0]
