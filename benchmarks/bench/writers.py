"""The writers that are compared. Each is made as its documentation has it, with its defaults.

Of the peers there is a second form for what is to be seen while it is going on: their documentation recommends
`batch_size=1` there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from .lines import OURS

if TYPE_CHECKING:
    from collections.abc import Iterator

PLUGINS, CORE = "bluesky-tiled-plugins", "bluesky.callbacks"
PLUGINS_LIVE, CORE_LIVE = f"{PLUGINS}, batch_size=1", f"{CORE}, batch_size=1"


Writer = Callable[[str, dict[str, Any]], object]
"""Takes a document; one that is not done when the call returns has `flush`."""


@dataclass(frozen=True)
class Place:
    """Where to write."""

    uri: str
    folder: Path
    """What the server serves; its `access.log` has a line a request."""


@contextmanager
def ours(place: Place, **options: Any) -> Iterator[Writer]:
    """Tilewright, whose journals lie in a folder of their own: nothing is left for the next one to deliver."""
    from tilewright import TiledWriter  # noqa: PLC0415 - each process imports what it measures

    with (
        TemporaryDirectory() as journal,
        TiledWriter(place.uri, journal=Path(journal), **options) as writer,
    ):
        yield writer


@contextmanager
def plugins(place: Place, **options: Any) -> Iterator[Writer]:
    """The writer of bluesky-tiled-plugins."""
    from bluesky_tiled_plugins import TiledWriter  # noqa: PLC0415 - as above
    from tiled.client import from_uri  # noqa: PLC0415 - as above

    client = from_uri(place.uri)
    yield TiledWriter(client, **options)
    client.context.close()


@contextmanager
def core(place: Place, **options: Any) -> Iterator[Writer]:
    """The writer that comes with bluesky."""
    from bluesky.callbacks.tiled_writer import TiledWriter  # noqa: PLC0415 - as above
    from tiled.client import from_uri  # noqa: PLC0415 - as above

    client = from_uri(place.uri)
    yield TiledWriter(client, **options)
    client.context.close()


WRITERS = {OURS: ours, PLUGINS: plugins, CORE: core}
LIVE_WRITERS = {
    OURS: ours,
    PLUGINS_LIVE: partial(plugins, batch_size=1),
    CORE_LIVE: partial(core, batch_size=1),
}
