"""`tilewright process`: what can be made of recorded runs. One command a kind of result."""

from __future__ import annotations

import signal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tilewright.cli.common import (
    DEFAULT_DIRECTORY,
    CatalogOption,
    PathMapOption,
    RunArgument,
    RunCommand,
    ends_of,
    find_run,
    is_address,
    opened,
    stopped_by,
    writable,
)
from tilewright.cli.delivering import INTERRUPTED
from tilewright.cli.output import check_output, write_rows
from tilewright.cli.recording import TILES, Session
from tilewright.errors import InputError

if TYPE_CHECKING:
    from tilewright.clients.embeddings import Dataset
    from tilewright.processing.images import DasImages

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


class Axis(StrEnum):
    """Along what a median is taken."""

    DISTANCE = "distance"
    TIME = "time"
    NONE = "none"


class Left(StrEnum):
    """What is left of several channels."""

    MEAN = "mean"
    FIRST = "first"


PICTURES_FOLDER = "pictures"
"""Beside the data of a catalog's directory: where pictures lie."""


@app.command(cls=RunCommand)
def das_images(  # noqa: PLR0913 - the options of a command
    run: RunArgument,
    catalog: CatalogOption = str(DEFAULT_DIRECTORY),
    *,
    band: Annotated[tuple[float, float], typer.Option(metavar="LOW HIGH", help="Hz that are passed.")],
    tile: Annotated[str, typer.Option(metavar="DURATION", help="Length of a tile: 15s, 1min.")] = "15s",
    channels: Annotated[
        int, typer.Option(min=1, help="Into how many tiles the cable is cut, side by side.")
    ] = 10,
    start: Annotated[
        str | None, typer.Option(help="Time with a zone: the first tile is that which has it. The beginning.")
    ] = None,
    stop: Annotated[str | None, typer.Option(help="Time with a zone. The end.")] = None,
    distance: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="FROM TO", help="Metres along the fibre; numbers of channels, if nobody told metres. All."
        ),
    ] = None,
    decimate: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Keep every Nth sample, after a filter. [default: as few as the band can do with]",
        ),
    ] = None,
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Keep one of N channels.")] = 1,
    left: Annotated[Left, typer.Option(help="What is kept of them.")] = Left.MEAN,
    median: Annotated[
        Axis,
        typer.Option(
            help="Subtract the median of all channels at each time, or of each channel in windows of time."
        ),
    ] = Axis.DISTANCE,
    window: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Of the median along time. [default: 15]")
    ] = None,
    scale: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH", help="dB that are black and white. [default: measured before the first tile]"
        ),
    ] = None,
    own_scale: Annotated[
        bool,
        typer.Option("--own-scale", help="Scale each picture by itself: amplitudes are in the table only."),
    ] = False,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Of the pictures. [default: beside the catalog's data]")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of this process. [default: one a processor]")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Compute on a Dask cluster instead: tcp://host:8786."),
    ] = None,
    path_map: PathMapOption = None,
) -> None:
    """Make pictures of a fibre-optic cable's samples: a run of its own, a row a tile, which leads back to the samples.

    Each is the envelope of a band, in dB, over distance (to the right) and time (downwards). Stopped at any point and started again, it
    makes the tiles that are missing, and none if there are none. What cannot be processed is told, all else is made; the exit status is 1 then.
    """
    from tilewright.clients import open_catalog  # noqa: PLC0415 - slow to import; --help must not wait
    from tilewright.documents import read_path_map  # noqa: PLC0415
    from tilewright.processing.images import DasImages  # noqa: PLC0415
    from tilewright.processing.jobs import cable_of  # noqa: PLC0415
    from tilewright.processing.pictures import OWN_SCALE, Scale  # noqa: PLC0415
    from tilewright.processing.recipes import das_pipeline  # noqa: PLC0415
    from tilewright.processing.tiles import seconds_of  # noqa: PLC0415
    from tilewright.processing.workers import workers_of  # noqa: PLC0415

    if own_scale and scale is not None:
        raise InputError("--scale is one for all pictures, and --own-scale one for each: give one of them")
    place = _pictures_folder(folder, catalog)
    rules = None if path_map is None else read_path_map(path_map)
    with (
        workers_of(cluster, threads) as workers,
        writable(catalog, make=False, readable=[place]) as target,
        open_catalog(target) as found,
    ):
        cable = cable_of(find_run(found, run))
        pipeline = das_pipeline(
            cable.rate,
            band,
            decimate=decimate,
            every=every,
            channels=left.value,
            median=median.value,
            window=window,
        )
        source = DasImages(
            cable,
            pipeline,
            place,
            tile=seconds_of(tile),
            parts=channels,
            scale=OWN_SCALE if own_scale else None if scale is None else Scale(*scale),
            time=ends_of(cable, start, stop),
            distance=distance,
            workers=workers,
        )
        if workers.dashboard:
            typer.echo(f"The cluster shows its work at {workers.dashboard}", err=True)
        _process(source, target, rules)


def _process(source: DasImages, target: Any, rules: dict[str, str] | None) -> None:
    """Make what is missing until all is there or the user stops it, and print what was made.

    Raises
    ------
    Exit
        If the user stopped it, or something could not be made.
    """
    with stopped_by(signal.SIGINT, signal.SIGTERM) as stop:
        session = Session(source, TILES, stop)
        try:
            session.record_into(target, rules)
        except KeyboardInterrupt:
            typer.echo("tilewright: interrupted; repeat the command to carry on", err=True)
            raise typer.Exit(INTERRUPTED) from None
    session.report()
    if source.problems:
        raise typer.Exit(1)


def _pictures_folder(given: Path | None, catalog: str) -> Path:
    """Return where pictures lie: beside the data of a directory, unless it is told.

    Raises
    ------
    InputError
        If nobody tells it, and it cannot be beside the data.
    """
    if given is not None:
        return given
    if is_address(catalog):
        raise InputError(
            "say where the pictures are to lie (--folder DIR): where the server at this address can read them under the same name, or by --path-map"
        )
    return Path(catalog) / PICTURES_FOLDER
