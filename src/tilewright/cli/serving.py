"""`tilewright serve`: the embedded server in the foreground."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from tilewright.cli.common import DEFAULT_DIRECTORY
from tilewright.errors import InputError


def serve(
    directory: Annotated[
        Path | None, typer.Argument(help=f"Where the data lie, or are to lie. [default: {DEFAULT_DIRECTORY}]")
    ] = None,
    *,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Default: any that is free.")] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="TILEWRIGHT_API_KEY", help="Letters and digits. Default: a random one.")
    ] = None,
    readable: Annotated[
        list[Path] | None, typer.Option(help="A directory of detector files to read from. May be repeated.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A configuration of Tiled's, such as server_config/local.yml.")
    ] = None,
) -> None:
    """Serve a directory until Ctrl-C or SIGTERM."""
    if config is not None and (directory is not None or readable):
        raise InputError("--config says itself what to serve: give it without DIRECTORY and --readable")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    from tilewright.server import serve as start  # noqa: PLC0415 - slow to import
    from tilewright.server import serve_config  # noqa: PLC0415

    if config is not None:
        server = serve_config(config, api_key=api_key, port=port)
    else:
        place = directory or DEFAULT_DIRECTORY
        server = start(place, api_key=api_key, port=port or 0, readable_storage=readable or None)
    with server:
        typer.echo("Stop it with Ctrl-C.")
        stop.wait()
    typer.echo("Stopped.")
