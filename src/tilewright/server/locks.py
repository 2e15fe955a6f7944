"""One server a catalog: the path of a catalog file comes in, a held lock or a clear error goes out.

`tilewright.server.catalog` takes the lock. The system gives it back when the process ends, however it ends, so a
lock file that is lying about means nothing: it is kept, because removing it would let two servers hold two files.
"""

from __future__ import annotations

import fcntl
import json
import os
import weakref
from typing import TYPE_CHECKING

from tilewright.errors import SetupError

if TYPE_CHECKING:
    from pathlib import Path


class CatalogLock:
    """The right to serve one catalog; held from its making until `release`.

    Raises
    ------
    SetupError
        If a server holds it already, in this process or another; the message names which.

    """

    def __init__(self, catalog: Path) -> None:
        self.catalog = catalog
        path = catalog.with_name(f"{catalog.name}.lock")
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise SetupError(
                f"Cannot serve {catalog}: {_holder(path)} is serving it already. "
                "Connect to that server, or stop it first."
            ) from None
        self._let_go = weakref.finalize(self, _unlock, self._descriptor, os.getpid())
        self.describe(None)

    def describe(self, address: str | None) -> None:
        """Write down for others who holds the lock, and at which address (`http://...`, without the key)."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps({"pid": os.getpid(), "address": address}).encode(), 0)

    def release(self) -> None:
        """Let others serve the catalog; can be repeated."""
        self._let_go()


def _unlock(descriptor: int, owner: int) -> None:
    if os.getpid() == owner:  # and not a fork of it that ends
        os.ftruncate(descriptor, 0)
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # explicitly, because a fork may keep the descriptor open
    os.close(descriptor)


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text())
    except ValueError:  # it is just starting or stopping
        return "another server"
    address = f" at {holder['address']}" if holder["address"] else ""
    return f"the process {holder['pid']}{address}"
