"""`tilewright replay`: files of documents into a catalog, as if they came from an instrument."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tilewright.cli.common import (
    DEFAULT_DIRECTORY,
    CatalogOption,
    PathMapOption,
    counted,
    stopped_by,
    writable,
)
from tilewright.cli.delivering import INTERRUPTED, deliver, heed
from tilewright.errors import InputError

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from rich.progress import Progress

    from tilewright.journal import JournalReader
    from tilewright.sources import DocumentFile
    from tilewright.writer import TiledWriter


@dataclass(slots=True)
class _Tally:
    """What has been read so far."""

    documents: int = 0
    runs: int = 0
    problems: list[str] = field(default_factory=list)
    """What could not be read or recorded, one sentence each, with its place."""


def replay(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…",
            help='JSON lists or lines of [name, document] or {"name", "doc"}, these gzipped, or journals.',
        ),
    ],
    catalog: CatalogOption = str(DEFAULT_DIRECTORY),
    path_map: PathMapOption = None,
) -> None:
    """Replay files of documents into a catalog.

    What is there already is not written twice: a replay that was cut short can be repeated.
    """
    from tilewright.documents import read_path_map  # noqa: PLC0415 - slow to import; --help must not wait

    for path in files:
        _check_readable(path)
    rules = None if path_map is None else read_path_map(path_map)
    with stopped_by(signal.SIGINT) as stop:
        try:
            tallies, failed = _replay(files, catalog, rules, stop)
        except KeyboardInterrupt:
            typer.echo("tilewright: interrupted; repeat the command to carry on", err=True)
            raise typer.Exit(INTERRUPTED) from None
    for path, tally in tallies.items():
        typer.echo(f"{path}: {counted(tally.documents, 'document')}, {counted(tally.runs, 'run')}")
    problems = [problem for tally in tallies.values() for problem in tally.problems]
    problems += [f"run {uid}: {reason}" for uid, reason in failed.items()]
    if problems:
        more = (
            f" ({counted(len(problems), 'problem')} in all, this is the first)" if len(problems) > 1 else ""
        )
        raise InputError(f"{problems[0]}{more}; all else is in the catalog")


def _replay(
    files: list[Path], catalog: str, path_map: dict[str, str] | None, stop: threading.Event
) -> tuple[dict[Path, _Tally], dict[str, str]]:
    """Replay all files; return what was read of each, and why the runs failed that did, by uid.

    Raises
    ------
    KeyboardInterrupt
        If `stop` is set: journals and server are closed in good order first.
    TransientError
        If the server cannot be reached.
    """
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.progress import Progress  # noqa: PLC0415

    from tilewright.writer import TiledWriter  # noqa: PLC0415 - slow to import

    heed(stop)
    console = Console(stderr=True)
    tallies = {path: _Tally() for path in files}
    with writable(catalog) as target:
        writer = TiledWriter(target, on_stop="return", strict=True, path_map=path_map)
        try:
            with Progress(console=console, disable=not console.is_terminal) as progress:
                for path, tally in tallies.items():
                    _record(path, writer, tally, progress, stop)
                deliver(writer, progress, stop)
            return tallies, writer.status().failed
        finally:
            writer.close(timeout=0)  # what still waits is in the journals


def _record(
    path: Path, writer: TiledWriter, tally: _Tally, progress: Progress, stop: threading.Event
) -> None:
    """Give the documents of a file to the writer; what stands before a fault in the file is good."""
    try:
        with _opened(path) as source:
            task = progress.add_task(path.name, total=path.stat().st_size)
            for name, doc in source:
                heed(stop)
                _give(writer, name, doc, path, tally)
                progress.update(task, completed=source.position)
            progress.update(task, completed=source.position)
            tally.problems += [f"{path}: {damage}" for damage in getattr(source, "damage", ())]
    except InputError as error:
        tally.problems.append(str(error))


def _give(writer: TiledWriter, name: str, doc: dict[str, Any], path: Path, tally: _Tally) -> None:
    tally.documents += 1
    tally.runs += name == "start"
    try:
        writer(name, doc)
    except InputError as error:
        tally.problems.append(f"{path}, document {tally.documents}: {error}")


@contextmanager
def _opened(path: Path) -> Iterator[DocumentFile | JournalReader]:
    """Open a file of documents, or a journal; either is iterated over and knows its position, in bytes."""
    from tilewright.journal import JournalReader, is_journal  # noqa: PLC0415 - slow to import
    from tilewright.sources import document_file  # noqa: PLC0415

    if is_journal(path):
        with JournalReader(path) as reader:
            yield reader
    else:
        yield document_file(path)


def _check_readable(path: Path) -> None:
    """Tell of a name that was mistyped before anything is replayed."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(
            f"cannot replay {path}: {error.strerror}; give files of documents, or journals"
        ) from error
