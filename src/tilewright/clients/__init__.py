"""The reading side: a catalog's address comes in; runs, streams, DataFrames and xarray Datasets go out.

Notebooks, scripts and the command line call this. Names are loaded on first use, so that importing this
package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.first_use import on_first_use

if TYPE_CHECKING:
    from tilewright.clients.arrays import Array, DaskArray
    from tilewright.clients.catalog import Catalog
    from tilewright.clients.connect import open_catalog
    from tilewright.clients.run import Run
    from tilewright.clients.stream import Stream

__all__ = ["Array", "Catalog", "DaskArray", "Run", "Stream", "open_catalog"]

__getattr__, __dir__ = on_first_use(
    __name__,
    {
        "arrays": ["Array", "DaskArray"],
        "catalog": ["Catalog"],
        "connect": ["open_catalog"],
        "run": ["Run"],
        "stream": ["Stream"],
    },
)
