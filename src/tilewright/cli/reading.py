"""`tilewright runs`, `show`, `table` and `verify`: what is in a catalog."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tilewright.cli.common import (
    DEFAULT_DIRECTORY,
    CatalogOption,
    RunArgument,
    console,
    find_run,
    opened,
)
from tilewright.cli.output import check_output, write_rows
from tilewright.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def runs(
    catalog: CatalogOption = str(DEFAULT_DIRECTORY),
    *,
    since: Annotated[
        str | None, typer.Option(help="Runs that started then or later (UTC), such as 2026-01-31.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Runs that started before.")] = None,
    plan: Annotated[str | None, typer.Option(help="Runs of this plan, such as scan.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The latest so many.")] = 50,
) -> None:
    """List the runs, one line each; the latest last.

    On a terminal, uids are cut to what is enough to name a run; piped, they are whole.
    """
    filters: dict[str, Any] = {} if plan is None else {"plan_name": plan}
    with opened(catalog) as found:
        table = found.table(since=since, until=until, limit=limit, **filters)
    if table.empty:
        typer.echo(f"No such runs in {catalog}." if plan or since or until else f"No runs in {catalog}.")
        return
    typer.echo(_runs_text(table))
    if len(table) == limit:
        typer.echo(f"These are the latest {limit}; --limit shows more.", err=True)


def show(run: RunArgument, catalog: CatalogOption = str(DEFAULT_DIRECTORY)) -> None:
    """Show a run: its metadata, its streams and the files behind it."""
    from tilewright.cli.printing import file_lines, run_tree  # noqa: PLC0415 - slow to import

    with opened(catalog) as found:
        item = find_run(found, run)
        console().print(run_tree(item, documents=True))
        assets = item.assets()
    files = assets.assign(
        node=assets["stream"] + "/" + assets["data_key"],
        kind=assets["mimetype"],
        file=assets["path"].fillna(assets["uri"]),
    )
    typer.echo("\n".join(["", "Files", *(file_lines(files) if len(files) else ["none"])]))


def table(
    run: RunArgument,
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="Name of the stream.")] = "primary",
    catalog: CatalogOption = str(DEFAULT_DIRECTORY),
    *,
    columns: Annotated[str | None, typer.Option(help="Only these, separated by commas.")] = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="With the ts_ columns.")] = False,
    attempts: Annotated[
        bool, typer.Option("--attempts", help="With rows that a rewound plan repeated.")
    ] = False,
    where: Annotated[
        str | None, typer.Option(help="Only rows that meet this, such as \"x > 2 and label == 'a'\".")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write to this file: .csv or .parquet.")] = None,
) -> None:
    """Print the rows of a stream, or write them to a file.

    Printed times are UTC to the millisecond; a file holds them as they are stored, in seconds since 1970.
    """
    from tilewright.cli.printing import rows_text  # noqa: PLC0415 - slow to import

    if output is not None:
        check_output(output)
    wanted = None if columns is None else [name.strip() for name in columns.split(",")]
    with opened(catalog) as found:
        item = find_run(found, run)
        rows = item.table(stream, columns=wanted, timestamps=timestamps, attempts=attempts, where=where)
        data_keys = item[stream].data_keys
    if output is None:
        typer.echo(rows_text(rows, data_keys))
    else:
        write_rows(rows, output)


def verify(
    run: RunArgument,
    catalog: CatalogOption = str(DEFAULT_DIRECTORY),
    *,
    files: Annotated[
        bool, typer.Option("--files", help="Look into every file behind the run, as the server finds it.")
    ] = False,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Correct what is declared of files that hold something else."),
    ] = False,
) -> None:
    """Check that a run has the rows that were delivered, and that its files are what was declared.

    The exit status is 1 if anything is wrong. To compare every value with the journal, and to repair tables:
    `tilewright journal verify`.
    """
    if repair and not files:
        raise InputError(
            "--repair needs --files; rows are put right by `tilewright journal verify RUN --catalog … --repair`"
        )
    with opened(catalog) as found:
        comparison = find_run(found, run).verify(files=files, repair=repair)
    typer.echo(str(comparison))
    raise typer.Exit(0 if comparison.equal else 1)


def _runs_text(table: pd.DataFrame) -> str:
    """Return the table of runs as text; streams last, for there may be many."""
    import pandas as pd  # noqa: PLC0415 - slow to import

    from tilewright.cli.printing import aligned  # noqa: PLC0415

    shown = table.assign(
        uid=table["uid"].str[:8] if sys.stdout.isatty() else table["uid"],
        time=table["time"].dt.strftime("%Y-%m-%d %H:%M:%S"),
        duration=table["duration"].dt.total_seconds().round(1),
        streams=table["streams"].map(", ".join),
    )
    headings = {
        "uid": "uid",
        "scan_id": "scan_id",
        "plan_name": "plan",
        "time": "start (UTC)",
        "duration": "seconds",
        "exit_status": "exit",
        "events": "events",
        "streams": "streams",
    }
    cells = [["-" if pd.isna(cell) else str(cell) for cell in shown[name]] for name in headings]
    return aligned([list(headings.values()), *zip(*cells, strict=True)])
