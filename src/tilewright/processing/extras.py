"""SciPy, Dask and Pillow, which are slow to import, and not installed by all: a name comes in, a module goes out."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tilewright.extras import extra


def needed(name: str) -> Any:
    """Return a module of what the extra `das` installs; called where it is needed, each time.

    Raises
    ------
    SetupError
        If it is not installed.
    """
    with extra("das", f"cannot process samples without {name}"):
        return import_module(name)
