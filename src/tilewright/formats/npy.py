"""NPY: numpy's own files, one for each event, or with many rows in each.

In come StreamResources of mimetype `multipart/related;type=application/x-npy`, as ophyd's simulated detectors write them, often
translated from Resources of spec NPY_SEQ, which say neither template nor chunks: Tiled's own adapter reads the files. Or of mimetype
`application/x-npy-rows`, whose StreamDatums count the rows of the files: `NPYAdapter` reads those of them that a slice touches. Called
through the registry.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tilewright.errors import InputError
from tilewright.formats.arrays import FileArray
from tilewright.formats.base import DataSource, FileFacts, Format
from tilewright.formats.rows_in_files import Rows, RowsInFiles, not_ready
from tilewright.formats.sequences import FileSequence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from tilewright.formats.layout import Layout

MIMETYPE = "multipart/related;type=application/x-npy"
ROWS = "application/x-npy-rows"
"""Tiled has an adapter for `application/x-npy`: a whole file is an array there."""
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


class NPYFiles(FileArray):
    """Rows of one file for each StreamResource: an event is a row along the first dimension of what is in the file."""

    repeated = ("chunk_shape",)


@dataclass(frozen=True, slots=True)
class NPYRows(Rows):
    """The rows of an array in NPY files, to be read."""

    def of_file(self, number: int, path: Path, start: int, stop: int) -> np.ndarray[Any, Any]:  # noqa: ARG002 - as Rows.of_file
        """Return rows of one file, mapped into memory."""
        import numpy as np  # noqa: PLC0415 - on the server only

        try:
            found = np.load(path, mmap_mode="r")
        except ValueError as error:
            raise InputError(f"{path} is no NPY file, or is cut off: {error}") from error
        if found.dtype != self.dtype or found.shape[1:] != self.row:
            raise ValueError(
                f"{path} holds {found.dtype} of shape {found.shape}, declared is {self.dtype} of (…, {self.row})"
            )
        if len(found) < stop:
            raise not_ready(path, len(found), stop, "rows")
        part: np.ndarray[Any, Any] = found[start:stop]
        return part


class NPYAdapter(RowsInFiles):
    """Makes the adapter of an array in NPY files."""

    rows = NPYRows


@dataclass(frozen=True, slots=True)
class Header:
    """What an NPY file says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_fortran: bool
    """Whether the first index is that which changes fastest."""
    begin: int
    """At which byte the values begin."""


def header(path: Path) -> Header:
    """Return what an NPY file says of itself.

    Raises
    ------
    ValueError
        If it is no NPY file.
    """
    import numpy as np  # noqa: PLC0415 - on the server only

    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, is_fortran, dtype = read(file)
        return Header(shape, dtype, is_fortran, file.tell())


def measure_rows(path: Path, source: DataSource) -> FileFacts:
    """Return what the header of an NPY file of rows says that it holds; raises as `measure`."""
    facts = measure(path, source)
    return FileFacts(facts.shape[1:], facts.dtype)


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

    said = header(path)
    end = said.begin + math.prod(said.shape) * said.dtype.itemsize
    size = path.stat().st_size
    if end > size and not said.dtype.hasobject:
        raise InputError(f"it should have {end} bytes, and has {size}")
    return FileFacts((1, *said.shape), said.dtype)


IN_ROWS = Format(
    mimetypes=(ROWS,),
    open=NPYFiles,
    adapters={ROWS: f"{__name__}:{NPYAdapter.__name__}"},
    measure=measure_rows,
)
FORMAT = Format(
    mimetypes=(MIMETYPE,),
    open=NPYSequence,
    adapters={MIMETYPE: "tilewright.formats.in_use:NPY"},
    measure=measure,
)
