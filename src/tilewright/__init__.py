"""Tilewright: what an experiment or a sensor says, recorded into a Tiled server and read back as DataFrames.

    from tilewright import TiledWriter, serve, open_catalog

Names are imported when they are first used, so that `import tilewright` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.first_use import on_first_use

if TYPE_CHECKING:
    from tilewright.clients import Catalog, Run, Stream, open_catalog
    from tilewright.server import EmbeddedServer, serve
    from tilewright.writer import TiledWriter

__all__ = ["Catalog", "EmbeddedServer", "Run", "Stream", "TiledWriter", "open_catalog", "serve"]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "clients": ["Catalog", "Run", "Stream", "open_catalog"],
        "server": ["EmbeddedServer", "serve"],
        "writer": ["TiledWriter"],
    },
)
