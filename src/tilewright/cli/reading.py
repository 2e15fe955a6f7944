"""`tilewright runs`, `show` and `table`: what is in a catalog."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tilewright.cli.common import DEFAULT_DIRECTORY, CatalogOption, RunArgument, find_run, opened
from tilewright.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_WRITERS = {".csv": "to_csv", ".parquet": "to_parquet"}


def runs(
    catalog: CatalogOption = str(DEFAULT_DIRECTORY),
    *,
    since: Annotated[str | None, typer.Option(help="Runs that started then or later, such as 2026-01-31.")] = None,
    until: Annotated[str | None, typer.Option(help="Runs that started before.")] = None,
    plan: Annotated[str | None, typer.Option(help="Runs of this plan, such as scan.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The latest so many.")] = 50,
) -> None:
    """List the runs, one line each; the latest last."""
    filters: dict[str, Any] = {} if plan is None else {"plan_name": plan}
    with opened(catalog) as found:
        table = found.table(since=since, until=until, limit=limit, **filters)
    if table.empty:
        typer.echo(f"No runs in {catalog}." if not (plan or since or until) else f"No such runs in {catalog}.")
        return
    table["time"] = table["time"].dt.tz_convert(None).dt.strftime("%Y-%m-%d %H:%M:%S")
    table["duration"] = table["duration"].dt.total_seconds().round(1)
    table["streams"] = table["streams"].map(", ".join)
    renamed = table.rename(columns={"time": "start (UTC)", "duration": "seconds"})
    typer.echo(renamed.astype(object).where(renamed.notna(), "").to_string(index=False, justify="left"))


def show(run: RunArgument, catalog: CatalogOption = str(DEFAULT_DIRECTORY)) -> None:
    """Show a run: its metadata, its streams and the files behind it."""
    from rich.console import Console  # noqa: PLC0415 - only here is it worth its import

    with opened(catalog) as found:
        item = find_run(found, run)
        Console(soft_wrap=True).print(run_tree(item))
        assets = item.assets()
    columns = ["stream", "data_key", "mimetype", "path"]
    typer.echo("\nFiles\n" + (assets[columns].to_string(index=False) if len(assets) else "none"))


def table(
    run: RunArgument,
    stream: Annotated[str, typer.Argument(help="Name of the stream.")] = "primary",
    catalog: CatalogOption = str(DEFAULT_DIRECTORY),
    *,
    columns: Annotated[str | None, typer.Option(help="Only these, separated by commas.")] = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="With the ts_ columns.")] = False,
    attempts: Annotated[bool, typer.Option("--attempts", help="With rows that a rewound plan repeated.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write to this file: .csv or .parquet.")] = None,
) -> None:
    """Print the rows of a stream, or write them to a file."""
    if output is not None:
        _check_output(output)
    wanted = None if columns is None else [name.strip() for name in columns.split(",")]
    with opened(catalog) as found:
        item = find_run(found, run)
        rows = item.table(stream, columns=wanted, timestamps=timestamps, attempts=attempts)
    if output is None:
        typer.echo(rows.to_string(index=False))
    else:
        _write(rows, output)


def run_tree(run: Any) -> Any:
    """Return a run as a tree to print: metadata and, below, its streams with their columns and arrays."""
    from rich.markup import escape  # noqa: PLC0415 - as above
    from rich.pretty import Pretty  # noqa: PLC0415 - as above
    from rich.tree import Tree  # noqa: PLC0415 - as above

    tree = Tree(escape(repr(run)))
    for name in ("start", "stop"):
        document = getattr(run, name)
        branch = tree.add(name if document else f"{name}: none")
        if document:
            branch.add(Pretty(dict(document), expand_all=False))
    for note in run.notes:
        tree.add(escape(f"note: {note}"))
    for stream in run.streams:
        branch = tree.add(escape(f"stream {stream}"))
        for key, spec in run[stream].data_keys.items():
            kind = spec.get("dtype_numpy") or spec.get("dtype")
            shape = f" {tuple(spec['shape'])}" if spec.get("shape") else ""
            place = " in files" if "external" in spec else ""
            branch.add(escape(f"{key}: {kind}{shape}{place}"))
    return tree


def _check_output(output: Path) -> None:
    if output.suffix not in _WRITERS:
        raise InputError(f"cannot write {output}: expected a name that ends in {' or '.join(_WRITERS)}")
    if not output.parent.is_dir():
        raise InputError(f"cannot write {output}: there is no directory {output.parent}")


def _write(rows: pd.DataFrame, output: Path) -> None:
    """Write beside the file and move it into its place: a failure leaves what was there."""
    part = output.with_name(f".{output.name}.part")
    try:
        getattr(rows, _WRITERS[output.suffix])(part, index=False)
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
    typer.echo(f"{len(rows)} rows written to {output}")
