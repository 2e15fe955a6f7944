"""`tilewright process`: what can be made of recorded runs. One command a kind of result."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tilewright.cli.common import DEFAULT_DIRECTORY, CatalogOption, RunArgument, RunCommand, find_run, opened
from tilewright.cli.output import check_output, write_rows
from tilewright.errors import InputError

if TYPE_CHECKING:
    from tilewright.clients.embeddings import Dataset

app = typer.Typer(name="process", help="Make something of recorded runs.", no_args_is_help=True)


class Metric(StrEnum):
    """How vectors are compared."""

    DOT = "dot"
    COSINE = "cosine"
    EUCLIDEAN = "euclidean"


@app.callback()
def _group() -> None:
    """Make something of recorded runs."""


@app.command(cls=RunCommand)
def nearest(  # noqa: PLR0913 - the options of a command
    run: RunArgument,
    catalog: CatalogOption = str(DEFAULT_DIRECTORY),
    *,
    row: Annotated[
        list[int] | None,
        typer.Option(metavar="ROW", help="A row whose neighbours are searched; more than once for several."),
    ] = None,
    vectors: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="An NPY file of one vector, or of several, to search for."),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="A run of the same catalog and model, whose rows are searched for: all, or --row.",
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many neighbours of each.")] = 10,
    where: Annotated[
        str | None,
        typer.Option(help="Among which rows, such as \"site_id == 285 and subsite_name == 'Dry-A'\"."),
    ] = None,
    metric: Annotated[Metric, typer.Option(help="How vectors are compared.")] = Metric.DOT,
    index: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Search by an index of usearch, which is made and kept there: quicker, and may miss some.",
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write to this file: .csv or .parquet.")] = None,
) -> None:
    """Find the rows of a run of embeddings whose vectors are nearest to others.

    Exactly, unless there is an index; then how many of the nearest it finds is measured, and told.
    """
    if output is not None:
        check_output(output)
    if vectors is not None and (row or like):
        raise InputError("search for rows (--row, --like) or for vectors of a file (--vectors), not for both")
    with opened(catalog) as found:
        dataset = find_run(found, run).embeddings()
        other = None if like is None else find_run(found, like).embeddings()
        query = _query(row, vectors, other)
        made = None if index is None else dataset.index(metric.value, index)
        table = dataset.nearest(query, k, where, metric=metric.value, index=made)
    if output is None:
        typer.echo(table.to_string(index=False) if len(table) else "no rows")
    else:
        write_rows(table, output)
    how = "exact" if made is None else f"approximate, recall {table.attrs['recall']:.1%}"
    typer.echo(f"{table.attrs['searched']:,} vectors searched ({how})", err=True)


def _query(rows: list[int] | None, vectors: Path | None, other: Dataset | None) -> Any:
    """Return what is searched for."""
    if other is not None:
        return other.vectors(rows=rows or None)
    if vectors is not None:
        return _vectors(vectors)
    if not rows:
        raise InputError("say what to search for: --row 17, --like RUN or --vectors FILE.npy")
    return rows


def _vectors(path: Path) -> Any:
    import numpy as np  # noqa: PLC0415 - slow to import; --help must not wait

    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read vectors from {path}: {error}") from error
