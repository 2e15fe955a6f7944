"""`tilewright demo`: the main job from end to end, on simulated devices, with every step shown."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tilewright.cli.common import DEFAULT_DIRECTORY, console, stopped_by
from tilewright.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

CATALOG_QUERY = """
WITH RECURSIVE below(id, path) AS (
    SELECT id, key FROM nodes WHERE parent = 0 AND key = :uid
    UNION ALL
    SELECT nodes.id, below.path || '/' || nodes.key FROM nodes JOIN below ON nodes.parent = below.id
)
SELECT replace(below.path, :uid, substr(:uid, 1, 8)) AS node,
       nodes.structure_family || coalesce(', ' || data_sources.mimetype, '') AS kind, assets.data_uri AS file
FROM below JOIN nodes ON nodes.id = below.id
LEFT JOIN data_sources ON data_sources.node_id = nodes.id
LEFT JOIN data_source_asset_association AS link ON link.data_source_id = data_sources.id
LEFT JOIN assets ON assets.id = link.asset_id
ORDER BY below.path
"""
"""What Tiled's SQLite catalog holds of one run: a row a node, or a row an asset where it has some."""


def demo(
    directory: Annotated[Path, typer.Option(help="Where the server keeps its data.")] = DEFAULT_DIRECTORY,
    *,
    keep_serving: Annotated[
        bool, typer.Option("--keep-serving", help="Leave the server up until Ctrl-C.")
    ] = False,
) -> None:
    """Run a scan of simulated devices, write it to a server, and read it back."""
    run_engine, scan = _instrument()
    from tilewright import TiledWriter, open_catalog, serve  # noqa: PLC0415 - slow to import
    from tilewright.cli.printing import file_lines, rows_text, run_tree  # noqa: PLC0415
    from tilewright.documents.names import CATALOG_FILE  # noqa: PLC0415

    began = time.monotonic()
    with serve(directory, announce=False) as server:
        _say("A Tiled server", f"serves {server.directory}, up after {time.monotonic() - began:.1f} s")
        with TiledWriter(server) as writer:
            run_engine.subscribe(writer)
            began = time.monotonic()
            (uid,) = run_engine(scan())
            _say("A run", f"bp.scan([det], motor, -5, 5, 10): {uid}, took {time.monotonic() - began:.1f} s")
        with open_catalog(server.uri) as runs:
            run = runs[uid]
            rows = rows_text(run.table(), run["primary"].data_keys)
            _say("Its rows, read back through the server: run.table()", rows)
            _say("The run's tree")
            console().print(run_tree(run))
        recorded = catalog_rows(server.directory / CATALOG_FILE, uid)
        _say("What the SQLite catalog recorded: nodes, and their assets", "\n".join(file_lines(recorded)))
        _say(f"Where the files lie: {server.directory}", "\n".join(_files(server.directory)))
        _say("The run in the browser", f"{server.address}/ui/browse/{uid}?api_key={server.api_key}")
        if keep_serving:
            _wait()
        else:
            typer.echo("(while the server is up: `tilewright demo --keep-serving` leaves it up)")


def catalog_rows(database: Path, uid: str) -> pd.DataFrame:
    """Read from the SQLite catalog itself, without the server, what it knows of a run.

    Returns
    -------
    DataFrame
        `node`, `kind`, `file`: a row a node, or a row an asset where a node has some.
    """
    import pandas as pd  # noqa: PLC0415 - slow to import
    from sqlalchemy import create_engine, text  # noqa: PLC0415

    engine = create_engine(f"sqlite:///file:{database}?mode=ro&uri=true")
    try:
        with engine.connect() as connection:
            return pd.read_sql(text(CATALOG_QUERY), connection, params={"uid": uid})
    finally:
        engine.dispose()


def _instrument() -> tuple[Any, Callable[[], Any]]:
    """Return a RunEngine and a plan for simulated devices.

    Raises
    ------
    SetupError
        If ophyd, which has the devices, is not installed.
    """
    try:
        from ophyd.sim import det, motor  # noqa: PLC0415 - slow to import, and not always there
    except ImportError as error:
        raise SetupError(
            f"the demo's devices are those of ophyd.sim: {error}. Install them with: pip install 'tilewright[all]'"
        ) from error
    import bluesky.plans as bp  # noqa: PLC0415 - slow to import
    from bluesky.run_engine import RunEngine  # noqa: PLC0415

    return RunEngine({}), lambda: bp.scan([det], motor, -5, 5, 10)


def _say(title: str, text: str | None = None) -> None:
    typer.secho(f"\n{title}", bold=True)
    if text is not None:
        typer.echo(text)


def _files(directory: Path) -> list[str]:
    """Return the files below the directory with their sizes."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return [f"{path.stat().st_size:>10,} bytes  {path.relative_to(directory)}" for path in files]


def _wait() -> None:
    with stopped_by(signal.SIGINT, signal.SIGTERM) as stop:
        typer.echo("\nThe server stays up; stop it with Ctrl-C.")
        stop.wait()
    typer.echo("Stopped.")
