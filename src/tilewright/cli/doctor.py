"""`tilewright doctor`: what keeps runs from being recorded, delivered or read, and what to change."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tilewright.cli.common import DEFAULT_DIRECTORY, CatalogOption, console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from tilewright.clients.doctor import Diagnosis

TERMINATED = 128 + signal.SIGTERM
"""Exit status that shells give what SIGTERM ended."""
STYLES = {"good": "green", "warning": "yellow", "bad": "bold red", "not checked": "dim"}


def doctor(
    catalog: CatalogOption = str(DEFAULT_DIRECTORY),
    *,
    journal: Annotated[
        Path | None,
        typer.Option(help="Directory of the journals. Default: where a writer to the catalog has it."),
    ] = None,
    detectors: Annotated[
        list[Path] | None,
        typer.Option(
            help="A directory that a detector writes files into. May be repeated.", metavar="DIRECTORY"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the diagnosis as JSON.")] = False,
) -> None:
    """Check that recording, delivery and reading will work, and say what to change.

    A trial run of four rows is written to the catalog, read back and removed again. The exit status is 1 if anything
    is bad.
    """
    with _ended_in_order(), _busy():
        from tilewright.clients.doctor import examine  # noqa: PLC0415 - slow to import

        diagnosis = examine(catalog, journal=journal, detectors=detectors or [])
    if as_json:
        typer.echo(json.dumps(diagnosis.to_dict(), indent=2))
    elif sys.stdout.isatty():
        console().print(_table(diagnosis))
        typer.echo(diagnosis.summary)
    else:
        typer.echo(str(diagnosis))
    raise typer.Exit(0 if diagnosis.healthy else 1)


def _table(diagnosis: Diagnosis) -> Table:
    from rich import box  # noqa: PLC0415 - slow to import
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from tilewright.clients.doctor import MARKS  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, title=None)
    table.add_column("")
    table.add_column("check", no_wrap=True)
    table.add_column("finding, and what to do", overflow="fold")
    for check in diagnosis.checks:
        style = STYLES[check.verdict]
        finding = Text(check.finding)
        if check.advice:
            finding.append(f"\n{check.advice}", style="italic")
        table.add_row(Text(f"{MARKS[check.verdict]} {check.verdict}", style=style), Text(check.name), finding)
    return table


@contextmanager
def _busy() -> Iterator[None]:
    """Show on a terminal that something is going on."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import

    with Console(stderr=True).status("Looking at journals, server and storage …"):
        yield


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Have SIGTERM unwind the stack, as Ctrl-C does: the trial run must not stay behind."""

    def leave(_number: int, _frame: object) -> None:
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
