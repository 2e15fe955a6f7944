"""The command line: `tilewright demo | serve | replay | record | deliver | runs | show | table | verify | plot | process`. One file a group of commands.

Errors that a user can do something about are one line and exit status 1; `--verbose` shows the traceback.
"""

from __future__ import annotations

import logging
import sys
from importlib.metadata import version

import typer
from typer.main import get_command

from tilewright.cli import deliver, demo, doctor, journals, plot, process, reading, record, replay, serving
from tilewright.cli.common import RunCommand
from tilewright.errors import TilewrightError

VERBOSE = "--verbose"


app = typer.Typer(
    name="tilewright",
    help="Record Bluesky documents into a Tiled server, and read them back as tables.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # would take [name, document] in a help text for markup
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo.demo)
app.command()(serving.serve)
app.command()(replay.replay)
app.command()(deliver.deliver)
app.command()(doctor.doctor)
app.command()(reading.runs)
app.command(cls=RunCommand)(reading.show)
app.command(cls=RunCommand)(reading.table)
app.command(cls=RunCommand)(reading.verify)
app.command(cls=RunCommand)(plot.plot)
app.add_typer(record.app, name="record")
app.add_typer(process.app, name="process")
app.add_typer(journals.app, name="journal")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tilewright {version('tilewright')}")
        raise typer.Exit


@app.callback()
def _options(
    _verbose: bool = typer.Option(False, VERBOSE, help="Show the traceback of an error, and the log."),
    _version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Take the options that every command has; `main` looks at --verbose, wherever it stands."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; `arguments` are those of the process unless given. Ends with `SystemExit`, as commands do."""
    given = sys.argv[1:] if arguments is None else arguments
    verbose = VERBOSE in given
    # What the log warns of, an error says in its one line too; without any handler Python would print both.
    logging.getLogger("tilewright").addHandler(logging.StreamHandler() if verbose else logging.NullHandler())
    try:
        get_command(app)(args=[argument for argument in given if argument != VERBOSE], prog_name="tilewright")
    except Exception as error:
        if verbose:
            raise
        typer.echo(f"tilewright: {_one_line(error)}", err=True)
        sys.exit(1)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, (TilewrightError, OSError)):
        return text
    return f"unexpected {type(error).__name__}: {text or 'no message'} ({VERBOSE} shows where)"
