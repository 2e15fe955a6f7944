"""TFRecords of embeddings: the vectors of many files, one after the other, as one array of shape (vectors, values of a vector).

In come StreamResources of mimetype `application/x-tfrecord`, whose StreamDatums count vectors. Called through the registry.
`TFRecordAdapter` reads the files on the server: only those that a slice touches are looked up in the catalog, and opened. In a file it
knows the place of each vector, so that it reads no more than what is asked for; to find them takes a look at the head of each record, once.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.documents import quoted
from tilewright.errors import InputError
from tilewright.formats.arrays import FileArray
from tilewright.formats.base import DataSource, FileFacts, Format
from tilewright.formats.rows_in_files import Rows, RowsInFiles, not_ready
from tilewright.tfrecords import OpenFile, Remembered, count_intact, positions_in, read_vectors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tilewright.formats.layout import Layout

MIMETYPE = "application/x-tfrecord"
STRETCHES = "stretches"
"""Parameter of a StreamResource, and property of a data source, there by the number of the file as a text: which vectors of the file count.
See `tfrecords.positions_in`; absent where all do."""
_CHUNK_BYTES = 4 << 20
"""Of the array's chunks where the documents say nothing: a client reads few vectors, and a structure lists each chunk."""
_FLOATS = np.dtype("<f4")
_KNOWN = Remembered(most_records=2_000_000)
"""Some 80 MB, once so many records have been asked for: 24 million vectors, of 12 a record."""
_STRETCH = 3
"""Numbers of a stretch."""


class TFRecordFiles(FileArray):
    """Vectors of one file for each StreamResource; a row is a vector."""

    repeated = ("chunk_shape",)

    def __init__(self, resource: Mapping[str, Any], descriptor: Mapping[str, Any]) -> None:
        self._stretches: dict[str, list[list[int]] | None] = {}  # by the address of the file
        super().__init__(resource, descriptor)

    def _read_layout(self, spec: Mapping[str, Any]) -> Layout:
        layout = super()._read_layout(spec)
        if layout.dtype != _FLOATS or len(layout.row_shape) > 1 or layout.join != "stack":
            raise InputError(
                f"The data key {self.data_key!r} is {layout.dtype} of shape {layout.row_shape}, joined by {layout.join!r}; vectors of a"
                " TFRecord are float32 of shape [values of a vector], stacked."
            )
        if layout.chunk_shape:
            return layout
        vectors = _CHUNK_BYTES // max(layout.row_length * _FLOATS.itemsize, 1)
        return dataclasses.replace(layout, chunk_shape=(max(vectors, 1),))

    def _add_resource(self, uid: str, uri: str, parameters: Mapping[str, Any]) -> None:
        stretches = _stretches_of(parameters, uri)
        if self._stretches.setdefault(uri, stretches) != stretches:
            raise InputError(
                f"{uri} comes with two different lists of {STRETCHES}; expected one for each file."
            )
        super()._add_resource(uid, uri, parameters)

    def _properties(self) -> dict[str, Any]:
        told = {
            str(number): stretches
            for number, asset in enumerate(self._assets)
            if (stretches := self._stretches[asset.data_uri]) is not None and not _is_plain(stretches)
        }
        return super()._properties() | ({STRETCHES: told} if told else {})


def _stretches_of(parameters: Mapping[str, Any], uri: str) -> list[list[int]] | None:
    """Return which vectors of a file count; None if all do."""
    stretches = parameters.get(STRETCHES)
    if stretches is None:
        return None
    if not isinstance(stretches, list) or not all(map(_is_stretch, stretches)):
        raise InputError(
            f"{uri} has {STRETCHES} {quoted(stretches)}; expected a list of [byte of a record, first vector, count of vectors],"
            " one behind the other."
        )
    return stretches


def _is_plain(stretches: list[list[int]]) -> bool:
    """Tell whether these are the first vectors of a file, without interruption: how many is told by the rows that are promised of it."""
    return len(stretches) == 1 and stretches[0][:2] == [0, 0]


def _is_stretch(one: Any) -> bool:
    if not isinstance(one, list) or len(one) != _STRETCH or not all(type(number) is int for number in one):
        return False
    offset, first, count = one
    return bool(offset >= 0 and first >= 0 and count > 0)


@dataclass(frozen=True, slots=True)
class Vectors(Rows):
    """The vectors of an array in TFRecords, to be read."""

    def of_file(self, number: int, path: Path, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Return vectors of one file."""
        if self.dtype != _FLOATS:
            raise ValueError(f"{path} holds {_FLOATS}, declared is {self.dtype}")
        with OpenFile(path) as file:
            found = _KNOWN.positions_in(file, self.properties.get(STRETCHES, {}).get(str(number)))
            if found.vectors < stop and found.damage:
                raise InputError(found.damage)
            if found.vectors < stop:
                raise not_ready(path, found.vectors, stop, "vectors")
            (dimension,) = self.row or (1,)
            if found.dimension != dimension:
                raise ValueError(
                    f"{path} holds vectors of {found.dimension} values, declared are {dimension}"
                )
            return read_vectors(file, found, start, stop).reshape(-1, *self.row)


class TFRecordAdapter(RowsInFiles):
    """Makes the adapter of an array in TFRecords."""

    rows = Vectors


def measure(path: Path, source: DataSource) -> FileFacts:
    """Return how many vectors a file holds, up to what is damaged, and of how many values. The CRCs of their data are not checked.

    Where vectors of any of the array's files are left out, as told by `STRETCHES`, all are counted that are there, and what is damaged is
    passed over: which of the files this is, is not known here.

    Raises
    ------
    InputError
        If it is no TFRecord of embeddings.
    """
    with OpenFile(path) as file:
        if STRETCHES in source.properties:
            vectors, dimension = count_intact(file)
        else:
            found = positions_in(file)
            if found.damage and not found.vectors:
                raise InputError(found.damage)
            vectors, dimension = found.vectors, found.dimension
    row = source.structure["shape"][1:] if dimension in (None, 1) else (dimension,)
    return FileFacts((vectors, *row), _FLOATS)


FORMAT = Format(
    mimetypes=(MIMETYPE,),
    open=TFRecordFiles,
    adapters={MIMETYPE: f"{__name__}:{TFRecordAdapter.__name__}"},
    measure=measure,
    watched=False,
)
