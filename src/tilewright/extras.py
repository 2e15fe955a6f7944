"""The import of a package that not everyone has comes in; an error that says how to install it goes out. Whatever needs one calls it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tilewright.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def extra(name: str, needs: str) -> Iterator[None]:
    """Have an import that fails say which extra of Tilewright has the package.

    Parameters
    ----------
    name
        Of the extra.
    needs
        What needs the package, and its name: how the message begins.

    Raises
    ------
    SetupError
        If the package is not installed, or cannot be imported.

    Examples
    --------
    >>> with extra("plot", "pictures need matplotlib"):
    ...     import no_such_package
    Traceback (most recent call last):
    ...
    tilewright.errors.SetupError: pictures need matplotlib: python -m pip install 'tilewright[plot]' has it
    """
    try:
        yield
    except ImportError as error:
        raise SetupError(f"{needs}: python -m pip install 'tilewright[{name}]' has it") from error
