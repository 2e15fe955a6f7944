"""Things that a benchmark has in processes of their own: the Tiled server, and a proxy in front of it."""

from __future__ import annotations

import multiprocessing
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilewright import serve

from .writers import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

SPAWN = multiprocessing.get_context("spawn")


@contextmanager
def beside(target: Callable[..., Any], *arguments: Any) -> Iterator[str]:
    """Run `target(*arguments, connection)` in a process of its own until the end; yield the URI that it sends."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=target, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()  # so that a process that dies before it is up is an end, and not a silence
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join()


def run_server(folder: str, up: Connection) -> None:
    """Serve a directory, and the files that somebody puts into it, until told to stop."""
    with serve(folder, readable_storage=folder, announce=False) as server:
        up.send(server.uri)
        up.recv()


@contextmanager
def served() -> Iterator[Place]:
    """Serve a new directory in a process of its own."""
    with tempfile.TemporaryDirectory() as folder, beside(run_server, folder) as uri:
        yield Place(uri, Path(folder))
