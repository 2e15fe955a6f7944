"""An index that outlives its store: blocks come in, an NPZ file goes out, and back. `AudioStore` keeps it, if that is asked for.

The file is what a store knew when it was closed or refreshed. A store that finds it does not list the place. Before it writes or deletes
it removes the file, and makes it again when it is closed, so that a process that is killed leaves none, and the next one lists. What
somebody else has written since is not seen, and what somebody else has deleted or shortened is an error that names the block, until
`refresh`. A file of another layout is an error.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.errors import InputError
from tilewright.stores.blocks import Blocks
from tilewright.stores.folders import FolderPersister

if TYPE_CHECKING:
    import os

    from tilewright.stores.blocks import Layout

_LAYOUT = "layout"


class IndexFile:
    """A file with the blocks of each sensor.

    Parameters
    ----------
    path
        Its name; written whole or not at all.
    layout
        What the index is of, as plain values: a file that says something else is an error.
    """

    def __init__(self, path: str | os.PathLike[str], layout: dict[str, Any]) -> None:
        self.path = Path(path).expanduser()
        self._is_there = True
        self._layout = json.dumps(layout, sort_keys=True)

    def load(self, layout: Layout) -> dict[str, Blocks] | None:
        """Return the blocks of each sensor; None if there is no file.

        Raises
        ------
        InputError
            It is no such file, or of another layout.
        """
        try:
            with np.load(self.path, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
        except FileNotFoundError:
            return None
        except (ValueError, OSError, EOFError) as error:
            raise InputError(
                f"{self.path} is no index of a store ({error}): delete it to have one made."
            ) from error
        told = str(found.pop(_LAYOUT, ""))
        if told != self._layout:
            raise InputError(
                f"{self.path} is the index of a store with another layout, {told}, not {self._layout}: give another name."
            )
        return {name.removeprefix("/"): Blocks(layout, *rows) for name, rows in found.items()}

    def discard(self) -> None:
        """Remove the file, before what it says is changed. Can be repeated."""
        if self._is_there:
            self.path.unlink(missing_ok=True)
            self._is_there = False

    def save(self, sensors: dict[str, Blocks]) -> None:
        """Write the blocks of each sensor."""
        out = io.BytesIO()
        # "/" before a sensor's name, which has none, tells it from the layout.
        arrays: dict[str, Any] = {f"/{name}": blocks.rows for name, blocks in sensors.items()}
        np.savez(out, allow_pickle=False, **{_LAYOUT: np.array(self._layout)}, **arrays)
        FolderPersister(self.path.parent)[self.path.name] = out.getvalue()
        self._is_there = True
