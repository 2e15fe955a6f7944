"""Which directories a server cannot read, and why: URIs come in, a word for each of those goes out.

`bundles` calls this at the end of a run whose arrays lie in files. Nothing is opened or listed: a directory is looked at
once, however many files it has.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import urlparse

import anyio
from anyio.lowlevel import RunVar
from tiled.utils import path_from_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiled.catalog.adapter import CatalogNodeAdapter

Reason: TypeAlias = Literal["outside", "missing", "denied", "silent"]
"""Outside the readable storage; not there; not for the server's user; the disk does not answer."""

SECONDS = 5.0
"""How long a disk is waited for: one over the network may hang for ever."""
_AT_ONCE = 4
"""Threads that may be waiting for such a disk, so that they do not use up those of the other requests."""


async def unreadable(root: CatalogNodeAdapter, uris: Sequence[str]) -> dict[str, Reason]:
    """Return the directories that files cannot be read from, and why.

    Parameters
    ----------
    root
        Of the catalog: it knows the readable storage.
    uris
        Of directories; those of no file system are passed over.
    """
    found: dict[str, Reason] = {}
    for uri in uris:
        if urlparse(uri).scheme != "file":
            continue
        reason = "outside" if _is_outside(root, uri) else await _trouble(uri)
        if reason is not None:
            found[uri] = reason
        if reason == "silent":  # the others may be on the same disk, and a client waits
            break
    return found


def _is_outside(root: CatalogNodeAdapter, uri: str) -> bool:
    try:
        root._ensure_uri_within_readable_storage(uri)  # noqa: SLF001 - the judge of it when a file is read
    except (RuntimeError, ValueError):
        return True
    return False


async def _trouble(uri: str) -> Reason | None:
    with anyio.move_on_after(SECONDS):
        return await anyio.to_thread.run_sync(_look_at, uri, abandon_on_cancel=True, limiter=_limiter())
    return "silent"


def _look_at(uri: str) -> Reason | None:
    path = path_from_uri(uri)
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            return "missing"
    except PermissionError:
        return "denied"
    except (OSError, ValueError):
        return "missing"
    return None if os.access(path, os.X_OK) else "denied"


_LIMITER: RunVar[anyio.CapacityLimiter] = RunVar("tilewright_disk_limiter")


def _limiter() -> anyio.CapacityLimiter:
    """Return the event loop's: there may be several servers in a process, each with a loop of its own."""
    try:
        return _LIMITER.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(_AT_ONCE)
        _LIMITER.set(limiter)
        return limiter
