"""Ragged arrays as clients get them, also as long as they have no row; mounted by `tilewright.server.catalog`."""

from __future__ import annotations

from typing import Any

from tiled.adapters.ragged import RaggedSQLAdapter
from tiled.structures.ragged import make_ragged_array


class RaggedTableAdapter(RaggedSQLAdapter):
    """A ragged array in a table. Tiled's adapter raises as long as there is nothing to put together."""

    def read(self, slice: Any = None) -> Any:  # noqa: A002 - Tiled's signature
        """Return all rows, or a slice of them."""
        if self._structure.chunks[0]:
            return super().read(slice)
        return make_ragged_array(self._structure.awkward_form.length_zero_array(), slice=slice)
