"""The writers that are compared. Each is made as its documentation has it, with its defaults."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Writer = Callable[[str, dict[str, Any]], object]

OURS, PLUGINS, CORE = "tilewright", "bluesky-tiled-plugins", "bluesky.callbacks"


@dataclass(frozen=True)
class Place:
    """Where to write."""

    uri: str
    journal: Path
    """A directory for journals, or for backups."""


@contextmanager
def ours(place: Place, **options: Any) -> Iterator[Writer]:
    """Tilewright."""
    from tilewright import TiledWriter  # noqa: PLC0415 - each process imports what it measures

    with TiledWriter(place.uri, journal=place.journal, **options) as writer:
        yield writer


@contextmanager
def plugins(place: Place, **_: Any) -> Iterator[Writer]:
    """The writer of bluesky-tiled-plugins."""
    from bluesky_tiled_plugins import TiledWriter  # noqa: PLC0415 - as above
    from tiled.client import from_uri  # noqa: PLC0415 - as above

    client = from_uri(place.uri)
    yield TiledWriter(client)
    client.context.close()


@contextmanager
def core(place: Place, **_: Any) -> Iterator[Writer]:
    """The writer that comes with bluesky."""
    from bluesky.callbacks.tiled_writer import TiledWriter  # noqa: PLC0415 - as above
    from tiled.client import from_uri  # noqa: PLC0415 - as above

    client = from_uri(place.uri)
    yield TiledWriter(client)
    client.context.close()


WRITERS = {OURS: ours, PLUGINS: plugins, CORE: core}
