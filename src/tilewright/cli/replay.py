"""`tilewright replay`: files of documents into a catalog, as if they came from an instrument."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tilewright.cli.common import DEFAULT_DIRECTORY, CatalogOption, writable
from tilewright.errors import InputError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress

    from tilewright.documents import Document
    from tilewright.writer import TiledWriter


def replay(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…",
            help='JSON lists or lines of [name, document] or {"name", "doc"}, these gzipped, or journals.',
        ),
    ],
    catalog: CatalogOption = str(DEFAULT_DIRECTORY),
) -> None:
    """Replay files of documents into a catalog.

    What is there already is not written twice: a replay that was cut short can be repeated.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415 - slow

    from tilewright.writer import TiledWriter  # noqa: PLC0415 - slow to import

    for path in files:
        _check_readable(path)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[unit]}"))
    with writable(catalog) as target, TiledWriter(target, on_stop="return", strict=True) as writer:
        refused: list[str] = []
        with Progress(*columns) as progress:
            counts = {path: _record(path, writer, progress, refused) for path in files}
            _deliver(writer, progress)
        status = writer.status()
    for path, (documents, runs) in counts.items():
        typer.echo(f"{path}: {documents} documents, {runs} runs")
    for uid, reason in status.failed.items():
        refused.append(f"run {uid}: {reason}")
    if refused:
        raise InputError(f"{len(refused)} refused; the first: {refused[0]}")


def _record(path: Path, writer: TiledWriter, progress: Progress, refused: list[str]) -> tuple[int, int]:
    """Give the documents of a file to the writer; return how many documents and runs there were."""
    with _documents(path) as (documents, size, position):
        task = progress.add_task(path.name, total=size, unit="bytes")
        count = runs = 0
        for name, doc in documents:
            count, runs = count + 1, runs + (name == "start")
            try:
                writer(name, doc)
            except InputError as error:
                refused.append(f"{path}, document {count}: {error}")
            progress.update(task, completed=position())
        progress.update(task, completed=size)
    return count, runs


def _deliver(writer: TiledWriter, progress: Progress) -> None:
    """Wait until the server has everything.

    Raises
    ------
    TransientError
        If the server cannot be reached; the journals keep what waits.
    """
    task = progress.add_task("delivering", total=len(writer.status().waiting), unit="runs")
    total = len(writer.status().waiting)
    writer.end_runs()
    while not writer.flush(timeout=0.2):
        status = writer.status()
        progress.update(task, total=total, completed=total - len(status.waiting))
        if status.reachable is False:
            raise TransientError(
                f"{status.last_error}. Nothing is lost: {len(status.waiting)} runs wait in {writer.journal}; replay"
                " again when the server is back."
            )
    progress.update(task, completed=total)


@contextmanager
def _documents(path: Path) -> Iterator[tuple[Iterator[Document], int, Callable[[], int]]]:
    """Open a file of documents or a journal; yield its documents, its size, and how far it has been read."""
    from tilewright.journal import JournalReader, is_journal  # noqa: PLC0415 - slow to import
    from tilewright.sources import document_file  # noqa: PLC0415

    if not is_journal(path):
        file = document_file(path)
        yield iter(file), file.size_bytes, lambda: file.position
        return
    with JournalReader(path) as reader:
        yield iter(reader), reader.size(), lambda: reader.position
        for damage in reader.damage:
            typer.echo(f"{path}: {damage}", err=True)


def _check_readable(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"there is no file {path}")


