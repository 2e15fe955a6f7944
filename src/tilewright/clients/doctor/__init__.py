"""Whether recording, delivery and reading will work: a catalog and a journal directory come in, a `Diagnosis` goes out.

Notebooks and `tilewright doctor` call `examine`.

    diagnosis  what a check found
    files      the journal directory and the disk below it
    journals   what waits in it
    directory  the files of an embedded server
    visit      a connection to ask over
    silence    why there is no answer
    server     address, versions, clocks
    keys       the key, and what it allows
    storage    tables, arrays and detectors' files, tried out
    trial      the run that is written for this, and removed again
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilewright.clients.doctor.diagnosis import MARKS, Check, Diagnosis, Verdict, bad, not_checked
from tilewright.clients.doctor.directory import check_paths, is_served
from tilewright.clients.doctor.files import check_journal_directory, check_room
from tilewright.clients.doctor.journals import check_journals
from tilewright.clients.doctor.keys import check_key
from tilewright.clients.doctor.server import check_clock, check_versions, reach
from tilewright.clients.doctor.storage import FILES, check_storage
from tilewright.clients.doctor.visit import Visit
from tilewright.delivery import target
from tilewright.documents.names import CATALOG_FILE
from tilewright.errors import SetupError
from tilewright.journal import default_directory

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from tilewright.delivery import Target

TABLES_FILE = "storage.duckdb"
"""Where `tilewright serve` keeps the tables of a directory."""

__all__ = ["MARKS", "Check", "Diagnosis", "Verdict", "examine"]


def examine(
    catalog: Any,
    *,
    journal: str | os.PathLike[str] | None = None,
    detectors: Iterable[str | os.PathLike[str]] = (),
) -> Diagnosis:
    """Find out what keeps runs from being recorded, delivered or read, and what to change.

    A trial run is written to the catalog, read back and removed again, and files of a few bytes to the directories;
    nothing stays.

    Parameters
    ----------
    catalog
        What `TiledWriter` takes: the URI of a Tiled server, a Tiled client, an embedded server. Or a directory that
        `tilewright.serve` made; a server is started on it meanwhile.
    journal
        Folder of the journals. Default: that of `TiledWriter`.
    detectors
        Directories that detectors write into, which the server is to read from.

    Raises
    ------
    InputError
        If `catalog` is none of these.
    """
    places = [Path(place).expanduser().absolute() for place in detectors]
    directory = _directory_of(catalog)
    with ExitStack() as closing_last:
        started = directory is not None and isinstance(catalog, (str, Path))
        if directory is not None and started:
            where, there = _start(directory, places, closing_last)
        else:
            where, there = target(catalog), [] if directory is None else _check_directory(directory)
        name = where.name if where is not None else str(directory)
        folder = _journal_folder(directory, journal)
        checks = [*check_journal_directory(folder), *check_journals(folder, name), *there]
        tried = _not_reached(places, directory) if where is None else _check_server(where, places)
    if started:
        tried = [_told_to_serve(check, directory) for check in tried]
    return Diagnosis(name, folder, (*checks, *tried))


def _directory_of(catalog: Any) -> Path | None:
    """Return the directory of an embedded server, or the one that a catalog is named by."""
    if isinstance(catalog, (str, Path)):
        return None if "://" in str(catalog) else Path(catalog).expanduser().resolve()
    directory = getattr(catalog, "directory", None)
    return directory if isinstance(directory, Path) else None


def _start(
    directory: Path, detectors: Sequence[Path], closing_last: ExitStack
) -> tuple[Target | None, list[Check]]:
    """Start a server on a directory, and look at its files; None if there is none to start, or it does not start."""
    name = "catalog"
    try:
        (directory / CATALOG_FILE).open("rb").close()
    except PermissionError:
        return None, [bad(name, f"{directory} may not be read", "Run the doctor as the user that serves it.")]
    except OSError:
        advice = f"Make one with `tilewright serve {directory}`, or name another with --catalog."
        return None, [bad(name, f"there is no catalog in {directory}", advice)]
    if is_served(directory):
        return None, _check_directory(directory)
    from tilewright.server import serve  # noqa: PLC0415 - slow to import; an address does not need it

    try:
        server = serve(directory, announce=False, readable_storage=detectors, remember=False)
    except SetupError as error:
        return None, [bad(name, "no server can be started on it", str(error))]
    closing_last.enter_context(server)
    return target(server), _check_directory(directory, directory / TABLES_FILE)


def _check_directory(directory: Path, tables: Path | None = None) -> list[Check]:
    if not (directory / CATALOG_FILE).is_file():  # of a server with a configuration of its own
        return []
    return [check_paths(directory, tables=tables), check_room("catalog room", directory)]


def _journal_folder(directory: Path | None, given: str | os.PathLike[str] | None) -> Path:
    if given is not None:
        return Path(given).expanduser().absolute()
    return default_directory(directory).absolute()


def _check_server(where: Target, detectors: Sequence[Path]) -> list[Check]:
    """Ask the server, one question after the other; what depends on an answer that did not come is not checked."""
    with closing(where.connect().without_bundles()) as remote:
        visit = Visit.of(remote)
        first, server = reach(visit)
        if server is None:
            return visit.without_secrets([first, *_not_reached(detectors)[1:]])
        key, rights = check_key(visit)
        checks = [first, key, check_versions(server), check_clock(server)]
        if rights is None:
            checks += _untried(detectors, "the server does not let the doctor in")
        else:
            checks += check_storage(remote, detectors)
        return visit.without_secrets(checks)


def _told_to_serve(check: Check, directory: Path | None) -> Check:
    """Add that the server was the doctor's own, which reads from the detectors' directories."""
    if check.name != FILES or check.verdict is not Verdict.GOOD:
        return check
    return replace(check, advice=f"Serve it so too: `tilewright serve {directory} --readable …`.")


def _not_reached(detectors: Sequence[Path], directory: Path | None = None) -> list[Check]:
    reason = "no server was reached"
    server = not_checked("server", reason)
    if directory is not None and is_served(directory):
        advice = "To have the server looked at, give its address with the key that it printed."
        server = not_checked("server", f"one has {directory} open", advice)
    rest = [not_checked(name, reason) for name in ("key", "versions", "clocks")]
    return [server, *rest, *_untried(detectors, reason)]


def _untried(detectors: Sequence[Path], reason: str) -> list[Check]:
    names = ("tables", "live readers", "arrays", *(FILES for _ in detectors))
    return [not_checked(name, reason) for name in names]
