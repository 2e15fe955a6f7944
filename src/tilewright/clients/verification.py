"""A run as a client has it comes in, what is wrong with it in the catalog goes out; called by `Run.verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.clients.file_checks import with_files
from tilewright.delivery.remote import Remote
from tilewright.delivery.target import Target
from tilewright.delivery.verify import Comparison, check_report, compare
from tilewright.delivery.verify import repair as put_right
from tilewright.documents import run_key
from tilewright.errors import InputError, NotFoundError
from tilewright.journal import JournalReader
from tilewright.journal.overview import entries_in

if TYPE_CHECKING:
    from pathlib import Path


def verify(run: Any, journal: Path | None, *, files: bool, repair: bool) -> Comparison:
    """Compare a run with its report, or with its journal, and its files with what was declared; see `Run.verify`."""
    context = run.context
    *root, node = run.path_parts
    api = str(context.api_uri).rstrip("/")
    where = Target(
        "/".join((api, *root)), lambda: Remote(context.http_client, api, tuple(root), owns_client=False)
    )
    if journal is None:
        if repair and not files:
            raise InputError(
                "to repair a run takes its journal: verify(journal=…, repair=True);"
                " or, for what was declared of its files, verify(files=True, repair=True)"
            )
        comparison = check_report(node, where)
    else:
        path = _journal_in(journal, node, where.name) if journal.is_dir() else _checked(journal, node)
        comparison = compare(path, where)
        if repair and not comparison.equal:
            comparison = put_right(path, where)
    return with_files(comparison, run, where, repair=repair) if files else comparison


def _journal_in(folder: Path, node: str, catalog: str) -> Path:
    """Return the journal of a run, waiting or delivered: the one for this catalog, if there are several.

    Raises
    ------
    NotFoundError
        If there is none.
    InputError
        If all are for other catalogs, and these are several: what was recorded for each need not be the same.
    """
    found = [(entry.path, entry.header) for entry in entries_in(folder) if entry.header is not None]
    found = [(path, header) for path, header in found if run_key(header.run) == node]
    ours = [path for path, header in found if header.is_for(catalog)]
    if not ours and len({header.place for _, header in found}) > 1:
        names = ", ".join(f"{path} for {header.catalog}" for path, header in found)
        raise InputError(
            f"the run {node} was recorded for several catalogs; give one of its journals: {names}"
        )
    for path in [*ours, *(path for path, _ in found)]:
        return path
    raise NotFoundError(f"no journal of run {node} in {folder}")


def _checked(journal: Path, node: str) -> Path:
    """Return a journal if it is of this run.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InputError
        If it is of another run, or no journal.
    """
    try:
        with JournalReader(journal) as reader:
            run = reader.header.run
    except FileNotFoundError:
        raise NotFoundError(f"there is no journal {journal}, and no folder of journals") from None
    if run_key(run) != node:
        raise InputError(f"{journal} is the journal of the run {run}, not of {node}")
    return journal
