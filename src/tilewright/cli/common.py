"""What several commands share: which catalog is meant and which run; what it is printed to."""

from __future__ import annotations

import re
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from tilewright.errors import NotFoundError, SetupError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

    from tilewright.clients.cables import Cable, Tiles

CATALOG_VARIABLE = "TILEWRIGHT_CATALOG"
PATH_MAP_VARIABLE = "TILEWRIGHT_PATH_MAP"
DEFAULT_DIRECTORY = Path("tilewright_data")
PIPED_WIDTH = 140
"""Columns of a tree that is not printed to a terminal."""

CatalogOption = Annotated[
    str,
    typer.Option(
        "--catalog",
        envvar=CATALOG_VARIABLE,
        help="Address of a Tiled server, with its key, or a directory of `tilewright serve`.",
    ),
]
PathMapOption = Annotated[
    Path | None,
    typer.Option(
        "--path-map",
        metavar="FILE",
        envvar=PATH_MAP_VARIABLE,
        help="YAML or JSON: under which paths the server has files, from prefix to prefix, such as /mnt/det: /data/det.",
    ),
]
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A run: its uid or the first characters of it, its scan_id, or -1 for the latest."
    ),
]


class RunCommand(TyperCommand):
    """A command that takes a run, which may be a negative number: -1 is no option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse with a blank before each negative number, which `int` passes over and the parser of options does not."""
        return super().parse_args(ctx, [re.sub(r"^(?=-\d+$)", " ", argument) for argument in args])


@contextmanager
def opened(catalog: str) -> Iterator[Any]:
    """Open the catalog for reading; close it at the end."""
    from tilewright.clients import open_catalog  # noqa: PLC0415 - slow to import; --help must not wait

    with _advised():
        runs = open_catalog(catalog)
    with runs:
        yield runs


@contextmanager
def writable(catalog: str, *, make: bool = True, readable: Iterable[Path] = ()) -> Iterator[Any]:
    """Yield what `TiledWriter` writes to: a server on the directory, made if need be and allowed, or the address.

    Parameters
    ----------
    make
        Whether to make a directory that is not there.
    readable
        Directories with files that the server on a directory may read; what is at an address has its own.
    """
    if is_address(catalog):
        yield catalog
        return
    from tilewright.documents.names import CATALOG_FILE  # noqa: PLC0415 - slow to import; --help must not wait

    if not (make or (Path(catalog) / CATALOG_FILE).exists()):
        raise NotFoundError(f"there is no catalog in {catalog}")
    from tilewright.server import serve  # noqa: PLC0415 - slow to import; --help must not wait

    with _advised():
        server = serve(Path(catalog), announce=False, readable_storage=list(readable))
    with server:
        yield server


@contextmanager
def _advised() -> Iterator[None]:
    """Add to an error about a catalog what can be done about it on the command line."""
    try:
        yield
    except NotFoundError as error:
        raise NotFoundError(f"{error} Name one with --catalog, or with {CATALOG_VARIABLE}.") from error
    except SetupError as error:
        raise SetupError(
            f"{error} A server that runs is reached by the address and key it printed:"
            " --catalog 'http://…?api_key=…'."
        ) from error


def is_address(catalog: str) -> bool:
    """Say whether a catalog is named by its address and not by its directory.

    >>> is_address("http://127.0.0.1:8000?api_key=secret"), is_address("data/")
    (True, False)
    """
    return "://" in catalog


def journal_directory(journal: Path | None, catalog: str | None) -> Path:
    """Return where the journals lie: as said, else beside the data of a directory, else where writers have them."""
    from tilewright.journal import default_directory  # noqa: PLC0415 - slow to import; --help must not wait

    if journal is not None:
        return journal
    return default_directory(None if catalog is None or is_address(catalog) else Path(catalog))


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


def ends_of(subject: Cable | Tiles, start: str | None, stop: str | None) -> tuple[Any, Any] | None:
    """Return the time of a cable, or of its tiles, that is meant: all, None, unless told otherwise."""
    if start is None and stop is None:
        return None
    from tilewright.clients.cables import Tiles  # noqa: PLC0415 - slow to import

    there = subject.table() if isinstance(subject, Tiles) else subject.files
    return there["start"].min() if start is None else start, there["stop"].max() if stop is None else stop


@contextmanager
def stopped_by(*numbers: signal.Signals) -> Iterator[threading.Event]:
    """Yield an event that these signals set, the first time, instead of tearing what is under way.

    A second time they do what they did before: whoever does not want to wait need not.
    """
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in numbers}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def on_signal(_number: int, _frame: object) -> None:
        restore()
        stop.set()

    for number in numbers:
        signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        restore()


def counted(number: int, noun: str) -> str:
    """Return a number of things.

    >>> counted(1, "run"), counted(1000, "row")
    ('1 run', '1,000 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def console() -> Console:
    """Return where to print a tree."""
    from rich.console import Console  # noqa: PLC0415 - slow to import

    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)
