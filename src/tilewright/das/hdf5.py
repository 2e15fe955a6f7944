"""An HDF5 file comes in, its arrays and attributes go out; `files` opens one, the kinds of files look into it.

Whatever HDF5 says of a damaged file becomes an `InputError`, which names it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tilewright.das.attributes import named
from tilewright.errors import InputError
from tilewright.extras import extra

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DIMENSIONS = 2
"""Time and distance."""


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file, as an `h5py.File`.

    Raises
    ------
    InputError
        If it is none, cut off, or damaged where it is read.
    SetupError
        If h5py is not installed.
    """
    with extra("das", f"cannot look into {path} without h5py"):
        import h5py  # noqa: PLC0415 - slow to import

    if not path.exists():
        raise InputError(f"cannot look into {path}: there is no such file")
    if not path.stat().st_size:
        raise InputError(f"{path} is empty")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # h5py's, of what is damaged
        reason = str(error).strip("'\"")
        raise InputError(f"{path} is no HDF5 file, or damaged: {reason}") from error


def is_hdf5(path: Path) -> bool:
    """Say whether a file should be one that `opened` opens: it is not there, empty, or begins as HDF5 does, whole or not."""
    import h5py  # noqa: PLC0415 - as above

    return not path.exists() or not path.stat().st_size or bool(h5py.is_hdf5(path))


def array(file: Any, name: str) -> Any:
    """Return a dataset of two dimensions that has values.

    Raises
    ------
    InputError
        If there is none.
    """
    import h5py  # noqa: PLC0415 - as above

    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"{file.filename} has no array {name}")
    if found.ndim != _DIMENSIONS or found.dtype.kind not in "iuf":
        raise InputError(
            f"{file.filename}: its array {name} has shape {found.shape} and dtype {found.dtype}: expected numbers by time and distance"
        )
    if not found.size:
        raise InputError(f"{file.filename} holds no samples: its array {name} has shape {found.shape}")
    return found


def series(file: Any, name: str) -> Any:
    """Return a dataset of numbers, one a sample.

    Raises
    ------
    InputError
        If there is none.
    """
    import h5py  # noqa: PLC0415 - as above

    found = file.get(name)
    if not isinstance(found, h5py.Dataset) or found.ndim != 1 or found.dtype.kind not in "iuf":
        raise InputError(f"{file.filename} has no time stamps: expected an array of numbers {name}")
    return found


def tree(group: Any) -> dict[str, Any]:
    """Return the attributes of a group and of all groups in it, as a document takes them."""
    import h5py  # noqa: PLC0415 - as above

    below = {name: tree(each) for name, each in group.items() if isinstance(each, h5py.Group)}
    return named({**dict(group.attrs), **below})
