"""Which module of a package has which names comes in; the package's `__getattr__` and `__dir__` go out.

Names are imported when they are first used, so that importing the package costs next to nothing. An attribute that there is not, and
`dir`, are told as Python itself does.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def on_first_use(
    package: str, names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return what loads a package's names, and what lists them.

    Parameters
    ----------
    package
        Its `__name__`.
    names
        By the module that has them.
    """
    homes = {name: module for module, its in names.items() for name in its}

    def load(name: str) -> Any:
        if name not in homes:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message)
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return load, listed
