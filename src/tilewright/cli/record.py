"""`tilewright record`: what instruments without a RunEngine leave behind, into a catalog. One command a kind of source."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from tilewright.cli.common import (
    DEFAULT_DIRECTORY,
    CatalogOption,
    PathMapOption,
    is_address,
    stopped_by,
)
from tilewright.cli.delivering import INTERRUPTED
from tilewright.cli.recording import CABLES, EMBEDDINGS, RECORDINGS, Kind, Session
from tilewright.errors import InputError

SAMPLES_FOLDER, VECTORS_FOLDER = "recordings", "embeddings"
"""Beside the data of a catalog's directory: where converted samples lie, and vectors that were written out."""

app = typer.Typer(
    name="record", help="Record what instruments have left, or are leaving, in files.", no_args_is_help=True
)


@app.callback()
def _group() -> None:
    """Record what instruments have left, or are leaving, in files."""


@app.command()
def wav(  # noqa: PLR0913 - the options of a command
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER…", help="Folders of WAV and FLAC files, searched with all below them; or files."
        ),
    ],
    catalog: CatalogOption = str(DEFAULT_DIRECTORY),
    *,
    deployment: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the deployment. [default: that of the folder]")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on as files are added, until Ctrl-C; the run stays open.")
    ] = False,
    finish: Annotated[
        bool, typer.Option("--finish", help="With --watch: Ctrl-C means that the deployment is over.")
    ] = False,
    units: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="CSV: unit, device_id, row, latitude, …; or unit, file, start for files that do not tell.",
        ),
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option(
            metavar="ZONE",
            help="Of the recorders' clocks, for files that do not tell: +09:30, Europe/Berlin.",
        ),
    ] = None,
    clocks: Annotated[
        Path | None,
        typer.Option(metavar="TABLE", help="CSV: unit, time, and drift or sample: what the clocks said."),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="zarr|tiledb", help="Convert the samples into compressed arrays there."),
    ] = None,
    store_path: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of these arrays. [default: beside the catalog's data]"),
    ] = None,
    path_map: PathMapOption = None,
) -> None:
    """Record the files of a deployment of audio units.

    The files stay where they are. Stopped at any point and started again, it carries on; no file is repeated. Without --watch the
    run is finished when all files are recorded: files that come later are a run of their own, which continues it.
    """
    from tilewright.sources.recordings import Recordings  # noqa: PLC0415 - slow to import; --help must not wait

    _check_finish(watch=watch, finish=finish)
    source = Recordings(
        folders,
        deployment=deployment,
        units=units,
        zone=zone,
        clocks=clocks,
        store=store,
        store_path=_store_path(store, store_path, catalog, SAMPLES_FOLDER),
    )
    _record(source, RECORDINGS, catalog, path_map, watch=watch, finish=finish)


@app.command()
def tfrecord(  # noqa: PLR0913 - the options of a command
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…",
            help="TFRecord files; or folders, searched for names like x.tfrecord and x-00000-of-00374.",
        ),
    ],
    catalog: CatalogOption = str(DEFAULT_DIRECTORY),
    *,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="What is recorded under one name is one dataset. [default: the folder's]"
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="What made the vectors; those of other models are not compared with them."
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="Of the recordings' names, with a named group a column: (?P<site_id>\\d+)…; datetime and timezone are times.",
        ),
    ] = None,
    zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Of times in names that do not tell it: +10:30, Z.")
    ] = None,
    window: Annotated[float, typer.Option(metavar="SECONDS", help="Of sound that a vector is of.")] = 5.0,
    store: Annotated[
        str,
        typer.Option(
            metavar="register|npy|zarr", help="Leave the vectors in their files, or write them out."
        ),
    ] = "register",
    store_path: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for that. [default: beside the catalog's data]"),
    ] = None,
    dtype: Annotated[
        str, typer.Option(metavar="float32|float16", help="Of vectors that are written out.")
    ] = "float32",
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first record that is not as it should be.")
    ] = False,
    path_map: PathMapOption = None,
) -> None:
    """Record the embeddings of sound in TFRecord files: a row a vector.

    Stopped at any point and started again, it carries on; no file is repeated, also under another name. Records that are damaged or
    whose names do not match are listed with their place, in the run's stream `rejected`, and the rest goes on; the exit status is 1 then.
    """
    from tilewright.sources.embeddings import Embeddings  # noqa: PLC0415 - slow to import; --help must not wait

    is_written = store != "register"
    source = Embeddings(
        files,
        dataset=dataset,
        model=model,
        pattern=pattern,
        zone=zone,
        window=window,
        store=store,
        store_path=_store_path(store if is_written else None, store_path, catalog, VECTORS_FOLDER),
        dtype=dtype,
        strict=strict,
    )
    _record(source, EMBEDDINGS, catalog, path_map)


@app.command()
def das(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH…",
            help="Zarr stores, also at URLs (s3://…), and HDF5 files (ProdML, Silixa, Terra15); or folders, searched with all below them.",
        ),
    ],
    catalog: CatalogOption = str(DEFAULT_DIRECTORY),
    *,
    acquisition: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What is recorded under one name is one acquisition. [default: the folder's, or the file's]",
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on as files are added, until Ctrl-C; the run stays open.")
    ] = False,
    finish: Annotated[
        bool, typer.Option("--finish", help="With --watch: Ctrl-C means that the acquisition is over.")
    ] = False,
    spacing: Annotated[
        float | None,
        typer.Option(metavar="METRES", help="From one channel to the next, for files that do not tell."),
    ] = None,
    path_map: PathMapOption = None,
) -> None:
    """Record the files of a fibre-optic cable (distributed acoustic sensing): one array, a row a file in its table.

    The files stay where they are. Stopped at any point and started again, it carries on; no file is repeated. Gaps and overlaps are told;
    files that are damaged, or of another shape, rate or place, are listed in the run's stream `rejected_files`, and the exit status is 1 then.

    Of a Zarr store at a URL, whoever records it and the server each take credentials and endpoint from their environment (AWS_ENDPOINT_URL,
    AWS_ACCESS_KEY_ID, …); neither is in the catalog.
    """
    from tilewright.sources.das import Cable  # noqa: PLC0415 - slow to import; --help must not wait

    _check_finish(watch=watch, finish=finish)
    source = Cable(paths, acquisition=acquisition, spacing=spacing)
    _record(source, CABLES, catalog, path_map, watch=watch, finish=finish)


def _record(
    source: Any, kind: Kind, catalog: str, path_map: Path | None, *, watch: bool = False, finish: bool = False
) -> None:
    """Record a source until it ends or the user stops it, and print what was recorded."""
    from tilewright.documents import read_path_map  # noqa: PLC0415 - slow to import; --help must not wait

    rules = None if path_map is None else read_path_map(path_map)
    with stopped_by(signal.SIGINT, signal.SIGTERM) as stop:
        session = Session(source, kind, stop, watch=watch, finish=finish)
        try:
            session.record(catalog, rules)
        except KeyboardInterrupt:
            typer.echo("tilewright: interrupted; repeat the command to carry on", err=True)
            raise typer.Exit(INTERRUPTED) from None
    session.report()


def _check_finish(*, watch: bool, finish: bool) -> None:
    """Refuse --finish where it means nothing.

    Raises
    ------
    InputError
        If nothing is watched.
    """
    if finish and not watch:
        raise InputError(
            "--finish says what Ctrl-C means to --watch; without --watch the run is finished anyway"
        )


def _store_path(store: str | None, given: Path | None, catalog: str, folder: str) -> Path | None:
    """Return where converted samples lie, or vectors; beside the data of a directory in a folder of this name.

    Raises
    ------
    InputError
        If nobody says it, and it cannot be beside the data; or if nothing is converted.
    """
    if given is not None and store is None:
        raise InputError(
            "--store-path says where --store writes: give the kind of store with it (--store zarr)"
        )
    if store is None or given is not None:
        return given
    if is_address(catalog):
        raise InputError(
            "--store needs --store-path DIR: a folder that the server at this address can read under the same name, or by --path-map"
        )
    return Path(catalog) / folder
