"""NPY: sequences of numpy's own files, one for each event, as ophyd's simulated detectors write them.

In come StreamResources of mimetype `multipart/related;type=application/x-npy`, often translated from Resources of
spec NPY_SEQ, which say neither template nor chunks; Tiled's own adapter reads the files. Called through the
registry.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tilewright.formats.base import Format
from tilewright.formats.sequences import FileSequence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tilewright.formats.layout import Layout

TEMPLATE_OF_NPY_SEQ = "%s_%d.npy"  # appended to the path of the Resource


class NPYSequence(FileSequence):
    """An array each of whose rows is an NPY file."""

    def _template(self, parameters: Mapping[str, Any]) -> str:
        template: str = parameters.get("template") or TEMPLATE_OF_NPY_SEQ
        return template

    def _read_layout(self, spec: Mapping[str, Any]) -> Layout:
        layout = super()._read_layout(spec)
        if self._parameters.get("chunk_shape"):
            return layout
        whole_row = tuple(max(length, 1) for length in layout.row_shape)
        return dataclasses.replace(layout, chunk_shape=(1, *whole_row))


FORMAT = Format(mimetypes=("multipart/related;type=application/x-npy",), open=NPYSequence)
