"""A run as a client has it comes in, what is wrong with it in the catalog goes out; called by `Run.verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.delivery.remote import Remote
from tilewright.delivery.target import Target
from tilewright.delivery.verify import Comparison, check_report, compare
from tilewright.delivery.verify import repair as put_right
from tilewright.errors import InputError, NotFoundError
from tilewright.journal import JournalDirectory

if TYPE_CHECKING:
    from pathlib import Path


def verify(run: Any, journal: Path | None, *, repair: bool) -> Comparison:
    """Compare a run with its report, or with its journal; see `Run.verify`."""
    context = run.context
    *root, node = run.path_parts
    api = str(context.api_uri).rstrip("/")
    where = Target(
        "/".join((api, *root)), lambda: Remote(context.http_client, api, tuple(root), owns_client=False)
    )
    if journal is None:
        if repair:
            raise InputError("to repair a run takes its journal: verify(journal=…, repair=True)")
        return check_report(node, where)
    path = _journal_of(run.uid, journal) if journal.is_dir() else journal
    comparison = compare(path, where)
    return put_right(path, where) if repair and not comparison.equal else comparison


def _journal_of(uid: str, folder: Path) -> Path:
    """Return the journal of a run, waiting or delivered.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    for entry in JournalDirectory(folder).entries():
        if entry.header is not None and entry.header.run == uid:
            return entry.path
    raise NotFoundError(f"no journal of run {uid} in {folder}")
