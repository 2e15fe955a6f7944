"""What several commands share: which catalog is meant, and which run."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tilewright.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

CATALOG_VARIABLE = "TILEWRIGHT_CATALOG"
DEFAULT_DIRECTORY = Path("tilewright_data")

CatalogOption = Annotated[
    str,
    typer.Option(
        "--catalog",
        envvar=CATALOG_VARIABLE,
        help="Address of a Tiled server, with its key, or a directory of `tilewright serve`.",
    ),
]
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A run: its uid or the first characters of it, its scan_id, or -1 for the latest."
    ),
]


@contextmanager
def opened(catalog: str) -> Iterator[Any]:
    """Open the catalog for reading; close it at the end."""
    from tilewright.clients import open_catalog  # noqa: PLC0415 - slow to import; --help must not wait

    with open_catalog(catalog) as runs:
        yield runs


@contextmanager
def writable(catalog: str) -> Iterator[Any]:
    """Yield what `TiledWriter` writes to: a server on the directory, made if need be, or the address."""
    if is_address(catalog):
        yield catalog
        return
    from tilewright.server import serve  # noqa: PLC0415 - slow to import; --help must not wait

    with serve(Path(catalog), announce=False) as server:
        yield server


def is_address(catalog: str) -> bool:
    """Say whether a catalog is named by its address and not by its directory.

    >>> is_address("http://127.0.0.1:8000?api_key=secret"), is_address("data/")
    (True, False)
    """
    return "://" in catalog


def find_run(runs: Any, name: str) -> Any:
    """Return the run a user means by a word: a number is a scan_id or counts from the end, else it is a uid.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    try:
        number = int(name)
    except ValueError:
        return runs[name]
    try:
        return runs[number]
    except NotFoundError:
        if not name.isdigit():
            raise
        return runs[name]  # digits may be the beginning of a uid


def default_catalog() -> str:
    """Return the catalog of commands that are given none."""
    return os.environ.get(CATALOG_VARIABLE, str(DEFAULT_DIRECTORY))
