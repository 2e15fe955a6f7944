"""`tilewright plot`: a picture of a deployment of recorders, a dataset of embeddings, a cable or its tiles, into a file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tilewright.cli.common import DEFAULT_DIRECTORY, CatalogOption, RunArgument, ends_of, find_run, opened
from tilewright.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from tilewright.clients.recordings import Deployment

_SUFFIXES = (".png", ".pdf", ".svg", ".jpg")


class Kind(StrEnum):
    """What is drawn."""

    COVERAGE = "coverage"
    SPECTROGRAM = "spectrogram"
    WAVEFORM = "waveform"
    MAP = "map"
    WATERFALL = "waterfall"
    FK = "fk"
    CONTACT_SHEET = "contact-sheet"


def plot(  # noqa: PLR0913 - the options of a command
    run: RunArgument,
    kind: Annotated[
        Kind,
        typer.Option(
            help="What was recorded when, levels over time and frequency, or samples; a map of embeddings; a waterfall of a cable, its spectrum over frequency and wavenumber, or a sheet of its tiles."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help=f"The file: {', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}."),
    ],
    catalog: CatalogOption = str(DEFAULT_DIRECTORY),
    *,
    unit: Annotated[
        list[str] | None,
        typer.Option(
            help="A unit, by its name; more than once for several. All, or the first for a spectrogram."
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(help="Time with a zone, such as 2023-04-25T15:09:20Z. Where recordings begin."),
    ] = None,
    stop: Annotated[str | None, typer.Option(help="Time with a zone. Where recordings end.")] = None,
    channel: Annotated[int, typer.Option(min=0, help="Of units that have several.")] = 0,
    color: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Of a map: what the colours tell.")
    ] = None,
    where: Annotated[str | None, typer.Option(help="Of a map: among which rows.")] = None,
    sample: Annotated[
        int, typer.Option(min=3, help="Of a map: how many vectors are drawn at random.")
    ] = 5000,
    distance: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="FROM TO", help="Of a cable or its tiles: metres along the fibre. All."),
    ] = None,
) -> None:
    """Draw a run of recorders, of embeddings, of a cable or of its tiles.

    Of recorders what was recorded when, a spectrogram, or the samples; of embeddings a map; of a cable its samples over time and distance,
    or their spectrum over frequency and wavenumber (fk); of tiles their pictures, as they lie in the cable.

    Of a long span only as much is read as the picture shows; its title says how much that is.
    """
    if output.suffix not in _SUFFIXES:
        raise InputError(f"cannot write {output}: expected a name that ends in {', '.join(_SUFFIXES)}")
    if not output.parent.is_dir():
        raise InputError(f"cannot write {output}: there is no directory {output.parent}; make it first")
    from tilewright.clients.drawing import matplotlib  # noqa: PLC0415 - slow to import

    matplotlib().use("Agg")  # draw into files, whatever screen there may be
    with opened(catalog) as found:
        if kind is Kind.MAP:
            subject: Any = find_run(found, run).embeddings()
            drawn = subject.plot_map(color, where, sample=sample)
        elif kind is Kind.WATERFALL:
            subject = find_run(found, run).cable()
            drawn = subject.plot_waterfall(ends_of(subject, start, stop), distance)
        elif kind is Kind.FK:
            subject = find_run(found, run).cable()
            drawn = subject.plot_fk(ends_of(subject, start, stop), distance)
        elif kind is Kind.CONTACT_SHEET:
            subject = find_run(found, run).tiles()
            drawn = subject.contact_sheet(ends_of(subject, start, stop), distance)
        else:
            subject = find_run(found, run).deployment()
            drawn = _drawn(subject, kind, unit or None, (start, stop), channel)
    figure = getattr(drawn, "figure", None) or drawn
    figure.savefig(output, dpi=150)
    typer.echo(f"{kind} of {subject.name} written to {output}")


def _drawn(
    deployment: Deployment,
    kind: Kind,
    units: list[str] | None,
    ends: tuple[str | None, str | None],
    channel: int,
) -> Any:
    if kind is Kind.COVERAGE:
        if ends != (None, None):
            raise InputError("a picture of the coverage is of all the time: leave out --start and --stop")
        return deployment.plot_coverage(units)
    known = deployment.units
    known = known[known["files"] > 0]
    if known.empty:
        raise InputError("nothing was recorded in this deployment")
    if kind is Kind.SPECTROGRAM:
        if units is not None and len(units) > 1:
            raise InputError("a spectrogram is of one unit: give --unit once")
        unit = units[0] if units else str(known.index[0])
        time = _span(known.loc[known.index == unit] if unit in known.index else known, ends)
        return deployment.plot_spectrogram(time, unit, channel=channel)
    chosen = known[known.index.isin(units)] if units else known
    return deployment.plot_waveform(_span(chosen if len(chosen) else known, ends), units, channel=channel)


def _span(units: pd.DataFrame, ends: tuple[str | None, str | None]) -> tuple[Any, Any]:
    """Return the time that is drawn: from where recordings begin to where they end, unless told otherwise."""
    start, stop = ends
    return (
        units["start"].min() if start is None else start,
        units["stop"].max() if stop is None else stop,
    )
