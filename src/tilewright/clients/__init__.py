"""The reading side: a catalog's address comes in; runs, streams, DataFrames and xarray Datasets go out.

Notebooks, scripts and the command line call this. Names are loaded on first use, so that importing this
package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilewright.clients.arrays import Array, DaskArray
    from tilewright.clients.catalog import Catalog
    from tilewright.clients.connect import open_catalog
    from tilewright.clients.run import Run
    from tilewright.clients.stream import Stream

__all__ = ["Array", "Catalog", "DaskArray", "Run", "Stream", "open_catalog"]

_HOMES = {
    "Array": "arrays",
    "Catalog": "catalog",
    "DaskArray": "arrays",
    "Run": "run",
    "Stream": "stream",
    "open_catalog": "connect",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use."""
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
