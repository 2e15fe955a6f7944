"""`tilewright deliver`: what waits in a directory of journals to its catalogs, once or as a service."""

from __future__ import annotations

import logging
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tilewright.cli.common import (
    CATALOG_VARIABLE,
    PathMapOption,
    counted,
    journal_directory,
    stopped_by,
    writable,
)
from tilewright.cli.patience import Patience, obstacle
from tilewright.errors import InputError, TilewrightError

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from rich.progress import Progress

    from tilewright.delivery import Deliverer
    from tilewright.documents import PathMap
    from tilewright.journal import JournalDirectory

POLL = 0.2
REOPEN_SECONDS = 60.0
"""How long a service waits before it tries again to open a catalog that it could not open."""
INTERRUPTED = 130
"""Exit status that shells give what Ctrl-C ended."""

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
    path_map: PathMapOption = None,
) -> None:
    """Deliver what waits in the journals.

    The rules of --path-map take the place of those that the journals have from their writers.

    Ends with 0 when nothing waits any more. What somebody else delivers at this moment is left to them, and named.
    """
    from tilewright.documents import PathMap, read_path_map  # noqa: PLC0415 - slow to import; --help must not wait
    from tilewright.journal import JournalDirectory  # noqa: PLC0415

    if adopt and catalog is None:
        raise InputError("--adopt needs --catalog: where are the journals to go?")
    keys = None if key_file is None else _KeyFile(key_file)
    rules = None if path_map is None else PathMap.of(read_path_map(path_map))
    place = journal_directory(journal, catalog)
    if not (watch or place.exists()):
        typer.echo(f"No journals in {place}.")
        return
    directory = JournalDirectory(place)
    if directory.problem is not None:
        raise InputError(directory.problem)
    with stopped_by(signal.SIGINT, signal.SIGTERM) as stop, ExitStack() as stack:
        if watch:
            _log_to_stderr()
        catalogs = _Catalogs(directory, stack, keys, adopt=adopt, path_map=rules)
        if catalog is not None:
            catalogs.open(catalog)
        else:
            catalogs.open_named()
        if watch:
            _serve(catalogs, stop, follow=catalog is None)
        else:
            _deliver_once(catalogs, stop, everywhere=catalog is None)


class _KeyFile:
    """A file with a key, which may be given another one at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.key = self._read()
        """What it held when it was last looked at."""

    def has_changed(self) -> bool:
        """Look again; say whether there is another key than the last time."""
        before = self.key
        try:
            self.key = self._read()
        except InputError:  # being written at this moment
            return False
        return self.key != before

    def _read(self) -> str:
        try:
            key = self._path.read_text("ascii").strip()
        except OSError as error:
            raise InputError(f"cannot read the key from {self._path}: {error.strerror}") from error
        except UnicodeDecodeError:
            key = ""
        if not key or not key.isprintable():
            raise InputError(f"{self._path} holds no key: expected one line of letters and digits")
        return key


@dataclass(slots=True)
class _Catalogs:
    """The catalogs that are delivered to, from when they are opened to the end."""

    directory: JournalDirectory
    stack: ExitStack
    key_file: _KeyFile | None
    adopt: bool
    path_map: PathMap | None
    """Rules that take the place of those in the journals."""
    deliverers: list[Deliverer] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    """Why a catalog that journals name could not be opened, by its name."""
    _opened: set[str] = field(default_factory=set)
    _reopen_at: float = 0.0
    """When to try again what could not be opened, on the monotonic clock."""

    def open(self, name: str, *, make: bool = True) -> None:
        """Deliver to a catalog from now on.

        Raises
        ------
        TilewrightError
            If it cannot be opened.
        """
        from tilewright.delivery import Deliverer, target  # noqa: PLC0415 - slow to import

        where = target(self.stack.enter_context(writable(name, make=make)))
        deliverer = Deliverer(
            self.directory, where, "thread", everything=True, adopt=self.adopt, path_map=self.path_map
        )
        self.stack.callback(deliverer.close)
        if self.key_file is not None:
            deliverer.renew_key(self.key_file.key)
        self.deliverers.append(deliverer)
        self._opened.add(name)

    def open_named(self) -> None:
        """Open the catalogs that waiting journals name; one that cannot be opened keeps none of the others waiting."""
        before = self.problems
        if time.monotonic() > self._reopen_at:
            self._reopen_at = time.monotonic() + REOPEN_SECONDS
            self.problems = {}
        for name in _named(self.directory):
            if name in self._opened or name in self.problems:
                continue
            try:
                self.open(name, make=False)  # where one was and is no more, the disk may be away
            except (TilewrightError, OSError) as error:
                self.problems[name] = str(error)
                if before.get(name) != str(error):
                    logger.warning("Nothing is delivered to %s: %s", name, error)

    def renew_keys(self) -> None:
        """Use another key where one is refused, if the file has another; one refused is not tried more often for it."""
        refused = any(deliverer.state.away and deliverer.state.reachable for deliverer in self.deliverers)
        if refused and self.key_file is not None and self.key_file.has_changed():
            for deliverer in self.deliverers:
                deliverer.renew_key(self.key_file.key)


def _named(directory: JournalDirectory) -> list[str]:
    """Return the catalogs that the waiting journals name."""
    from tilewright.journal.listing import read_header  # noqa: PLC0415 - slow to import

    headers = [read_header(path)[0] for path in directory.waiting()]
    return list(dict.fromkeys(header.catalog for header in headers if header is not None and header.catalog))


def _deliver_once(catalogs: _Catalogs, stop: threading.Event, *, everywhere: bool) -> None:
    """Wait until nothing waits any more; say what was delivered and what not, and end with 1 if something was not."""
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.progress import Progress  # noqa: PLC0415

    from tilewright.journal.listing import journals_in  # noqa: PLC0415 - slow to import

    directory, deliverers = catalogs.directory, catalogs.deliverers
    console = Console(stderr=True)
    began = {path for deliverer in deliverers for path in deliverer.pending()}
    unverified = set(journals_in(directory.unverified))
    problems = [f"nothing is delivered to {name}: {why}" for name, why in catalogs.problems.items()]
    with Progress(console=console, disable=not console.is_terminal) as progress:
        for deliverer in deliverers:
            problems += _see_delivered(deliverer, progress, stop)
    states = [deliverer.state for deliverer in deliverers]
    finished = {name for state in states for name in state.finished}
    delivered = sum(path.name in finished or not path.exists() for path in began)
    if failed := {uid: why for state in states for uid, why in state.failed.items()}:
        uid, why = next(iter(failed.items()))
        problems.append(f"{counted(len(failed), 'run')} not delivered, the journals are kept; {uid}: {why}")
    problems += _left_behind(catalogs, everywhere=everywhere)
    if delivered or not problems:
        typer.echo(f"{counted(delivered, 'run')} delivered from {directory.path}")
    for path in sorted(set(journals_in(directory.unverified)) - unverified):
        typer.echo(f"not all in {path} could be read and understood: the notes of the run say what", err=True)
    for problem in problems:
        typer.echo(f"tilewright: {problem}", err=True)
    raise typer.Exit(1 if problems else 0)


def _see_delivered(deliverer: Deliverer, progress: Progress, stop: threading.Event) -> Iterator[str]:
    """Wait until nothing waits for a catalog; yield why that does not come about."""
    status = deliverer.status()
    total, patience = status.waiting_bytes, Patience(status)
    task = progress.add_task(f"to {status.catalog}", total=total)
    said: set[str] = set()
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
        others = any(run.claimant for run in state.runs.values())
        if patience.is_over(status, away=state.away, others=others):
            verb = "waits" if len(pending) == 1 else "wait"
            yield f"{counted(len(pending), 'run')} still {verb}, nothing is lost: {obstacle(status)}"
            return
    progress.update(task, completed=total)


def _in_other_hands(deliverer: Deliverer) -> Iterator[str]:
    """Yield a line for each run that somebody else delivers."""
    for run in deliverer.state.runs.values():
        if run.claimant is not None:
            yield f"run {run.uid} is delivered by {run.claimant}"


def _left_behind(catalogs: _Catalogs, *, everywhere: bool) -> Iterator[str]:
    """Yield which journals were to be delivered and are not for any of the catalogs; tell of what else lies there."""
    directory = catalogs.directory
    names = {deliverer.status().catalog for deliverer in catalogs.deliverers} | set(catalogs.problems)
    elsewhere: list[str | None] = []
    for entry in directory.entries():
        if entry.state == "waiting" and entry.header is not None and not catalogs.adopt:
            elsewhere += [] if any(map(entry.header.is_for, names)) else [entry.header.catalog]
        elif entry.state == "unreadable" and entry.path.parent == directory.path:
            if _may_be_a_journal(entry.path):
                yield str(entry.problem)
            else:
                typer.echo(f"passed over: {entry.problem}", err=True)
    if elsewhere and everywhere:
        yield f"{counted(len(elsewhere), 'journal')} without a catalog: say with --catalog where to"
    elif elsewhere:
        others = ", ".join(sorted({str(name) for name in elsewhere}))
        typer.echo(f"{counted(len(elsewhere), 'journal')} for other catalogs left: {others}", err=True)


def _may_be_a_journal(path: Path) -> bool:
    from tilewright.journal import is_journal  # noqa: PLC0415 - slow to import

    try:
        return path.is_file() and is_journal(path)
    except OSError:
        return True


def _serve(catalogs: _Catalogs, stop: threading.Event, *, follow: bool) -> None:
    """Deliver until told to stop; `follow` catalogs that new journals name."""
    logger.info("Delivering what is recorded in %s", catalogs.directory.path)
    while not stop.wait(1.0):
        if follow:
            catalogs.open_named()
        catalogs.renew_keys()


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    package = logging.getLogger("tilewright")
    package.handlers[:] = [handler]  # in the place of the command line's own
    package.setLevel(logging.INFO)
