"""NPY: sequences of numpy's own files, one for each event, as ophyd's simulated detectors write them.

In come StreamResources of mimetype `multipart/related;type=application/x-npy`, often translated from Resources of
spec NPY_SEQ, which say neither template nor chunks; Tiled's own adapter reads the files. Called through the
registry.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tilewright.errors import InputError
from tilewright.formats.base import DataSource, FileFacts, Format
from tilewright.formats.sequences import FileSequence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tilewright.formats.layout import Layout

MIMETYPE = "multipart/related;type=application/x-npy"
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


def measure(path: Path, source: DataSource) -> FileFacts:  # noqa: ARG001 - as Format.measure
    """Return what the header of an NPY file says that it holds.

    Raises
    ------
    ValueError
        If it is no NPY file.
    InputError
        If it has fewer bytes than its header says.
    """
    import math  # noqa: PLC0415

    import numpy as np  # noqa: PLC0415

    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
        end = file.tell() + math.prod(shape) * dtype.itemsize
    size = path.stat().st_size
    if end > size and not dtype.hasobject:
        raise InputError(f"it should have {end} bytes, and has {size}")
    return FileFacts((1, *shape), dtype)


FORMAT = Format(
    mimetypes=(MIMETYPE,),
    open=NPYSequence,
    adapters={MIMETYPE: "tilewright.formats.in_use:NPY"},
    measure=measure,
)
