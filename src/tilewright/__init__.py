"""Tilewright: what an experiment or a sensor says, recorded into a Tiled server and read back as DataFrames.

    from tilewright import TiledWriter, serve, open_catalog

Names are imported when they are first used, so that `import tilewright` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewright.clients import Catalog, Run, Stream, open_catalog
    from tilewright.server import EmbeddedServer, serve
    from tilewright.writer import TiledWriter

__all__ = ["Catalog", "EmbeddedServer", "Run", "Stream", "TiledWriter", "open_catalog", "serve"]

_ROOMS = {
    "Catalog": "clients",
    "EmbeddedServer": "server",
    "Run": "clients",
    "Stream": "clients",
    "TiledWriter": "writer",
    "open_catalog": "clients",
    "serve": "server",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        message = f"module 'tilewright' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"tilewright.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
