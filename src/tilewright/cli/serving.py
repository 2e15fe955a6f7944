"""`tilewright serve`: the embedded server in the foreground."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tilewright.cli.common import CATALOG_VARIABLE, DEFAULT_DIRECTORY, stopped_by
from tilewright.errors import InputError

if TYPE_CHECKING:
    from tilewright.server import EmbeddedServer


def serve(
    directory: Annotated[
        Path | None, typer.Argument(help=f"Where the data lie, or are to lie. [default: {DEFAULT_DIRECTORY}]")
    ] = None,
    *,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Default: any that is free.")] = None,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="TILEWRIGHT_API_KEY", help="Letters and digits. Default: a random one."),
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
    with stopped_by(signal.SIGINT, signal.SIGTERM) as stop:
        with _started(directory, port, api_key, readable, config) as server:
            typer.echo(f"For other commands: export {CATALOG_VARIABLE}='{server.uri}'\nStop it with Ctrl-C.")
            stop.wait()
        typer.echo("Stopped.")


def _started(
    directory: Path | None,
    port: int | None,
    api_key: str | None,
    readable: list[Path] | None,
    config: Path | None,
) -> EmbeddedServer:
    from tilewright.server import serve, serve_config  # noqa: PLC0415 - slow to import

    if config is not None:
        return serve_config(config, api_key=api_key, port=port)
    return serve(
        directory or DEFAULT_DIRECTORY, api_key=api_key, port=port or 0, readable_storage=readable or None
    )
