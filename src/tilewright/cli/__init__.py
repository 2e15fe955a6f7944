"""The command line: `tilewright demo | serve | replay | runs | show | table`. One file a group of commands.

Errors that a user can do something about are one line and exit status 1; `--verbose` shows the traceback.
"""

from __future__ import annotations

import sys
from importlib.metadata import version

import typer

from tilewright.cli import demo, reading, replay, serving
from tilewright.errors import TilewrightError

app = typer.Typer(
    name="tilewright",
    help="Record Bluesky documents into a Tiled server, and read them back as tables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo.demo)
app.command()(serving.serve)
app.command()(replay.replay)
app.command()(reading.runs)
app.command()(reading.show)
app.command()(reading.table)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tilewright {version('tilewright')}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: bool = typer.Option(False, "--verbose", help="Show the traceback of an error."),
    show_version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Take the options that every command has; `main` looks at --verbose, wherever it stands."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; `arguments` are those of the process unless given."""
    given = sys.argv[1:] if arguments is None else arguments
    verbose = "--verbose" in given
    try:
        app(args=[argument for argument in given if argument != "--verbose"], prog_name="tilewright")
    except (TilewrightError, OSError) as error:
        if verbose:
            raise
        typer.echo(f"tilewright: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
