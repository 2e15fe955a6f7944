"""The acquiring process of a trial: gives a writer its documents, and notes which calls have returned.

Started by `campaign.trial` with a JSON object on its command line; it is killed at any instant.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from campaign.documents import Size, documents
from campaign.progress import DONE, READY, Progress

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("acquisition")

CLOSE_SECONDS = 2.0


def main() -> None:
    """Give the documents, one after the other."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    task = json.loads(sys.argv[1])
    script = documents(task["seed"], Size(**task["size"]))
    writer, close = _peer(task) if task["peer"] else _ours(task)
    with Progress(Path(task["progress"])) as progress:
        progress.stage = READY
        if _give(writer, script, progress, task["pace"]):
            if task["ending"] == "close":
                close()
            elif task["ending"] == "abandon":
                os._exit(0)
        progress.stage = DONE


def _give(writer: Callable[..., Any], script: list[Any], progress: Progress, pace: float) -> bool:
    """Give all documents; False if the writer raised, which ends a plan."""
    for index, (name, doc) in enumerate(script):
        began = time.perf_counter()
        try:
            writer(name, doc)
        except Exception:
            progress.note_raised(index, time.perf_counter() - began)
            logger.exception("the writer raised")
            return False
        progress.note(index, time.perf_counter() - began)
        if pace:
            time.sleep(pace)
    return True


def _ours(task: dict[str, Any]) -> tuple[Callable[..., Any], Callable[[], object]]:
    from tilewright import TiledWriter  # noqa: PLC0415 - the other process does not need it

    writer = TiledWriter(
        task["uri"], journal=task["journal"], on_stop=task["on_stop"], deliver=task["deliver"]
    )
    return writer, lambda: writer.close(CLOSE_SECONDS)


def _peer(task: dict[str, Any]) -> tuple[Callable[..., Any], Callable[[], object]]:
    """Return Bluesky's writer as its documentation has it: a client, its defaults, and a directory for backups."""
    from bluesky_tiled_plugins.writing.tiled_writer import TiledWriter  # noqa: PLC0415 - as above
    from tiled.client import from_uri  # noqa: PLC0415

    return TiledWriter(from_uri(task["uri"]), backup_directory=task["journal"]), lambda: None


if __name__ == "__main__":
    main()
