"""Arrays in sequences of files: one or more files a row, named by a template.

In come one data key's documents; out goes its `DataSource`, with an asset a file. The image, NPY and
many-file HDF5 formats derive from `FileSequence`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tilewright.errors import InputError
from tilewright.formats.arrays import FileArray
from tilewright.formats.layout import Layout, lengths
from tilewright.formats.naming import FileNames, NumberedFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tilewright.formats.base import Json


class FileSequence(FileArray):
    """An array whose rows lie in files of their own; see `FileArray` for parameters and errors."""

    def __init__(self, resource: Mapping[str, Any], descriptor: Mapping[str, Any]) -> None:
        self._files: dict[str, NumberedFiles] = {}  # by the resource's uid
        self._sequences: dict[FileNames, NumberedFiles] = {}
        super().__init__(resource, descriptor)

    def _read_layout(self, spec: Mapping[str, Any]) -> Layout:
        layout = super()._read_layout(spec)
        chunk_shape = layout.chunk_shape or (1,)
        if layout.join == "concat" and layout.row_length % chunk_shape[0]:
            self._notes.append(
                f"{self.data_key!r}: the frames a file, {chunk_shape[0]}, do not divide those of an event,"
                f" {layout.row_length}; taken as one file an event."
            )
            chunk_shape = (layout.row_length,)
        return dataclasses.replace(layout, chunk_shape=chunk_shape)

    def _add_resource(self, uid: str, uri: str, parameters: Mapping[str, Any]) -> None:
        names = FileNames.parse(uri, self._template(parameters), parameters.get("filename") or "")
        files = NumberedFiles(names, self._count_files(parameters))
        # Several descriptors of a stream may use one sequence; its numbers go on.
        self._latest = self._files[uid] = self._sequences.setdefault(names, files)

    def _template(self, parameters: Mapping[str, Any]) -> str:
        template: str = parameters.get("template") or ""
        if not template:
            raise InputError(
                f"A StreamResource for {self.data_key!r} names a sequence of files, but has no 'template' among its"
                " parameters, such as 'image_{:06d}.tif'."
            )
        return template

    def _count_files(self, parameters: Mapping[str, Any]) -> int:
        """Return the number of files that hold one row."""
        if declared := parameters.get("files_per_datum"):
            return lengths((declared,), "files_per_datum", least=1)[0]
        return max(self._layout.row_length // self._frames_per_file(), 1)

    def _frames_per_file(self) -> int:
        """Return how many of the frames of a row are in one file, where `files_per_datum` does not say it.

        The chunks tell it if they have the dimensions of a row (a file of several pages); areaDetector's
        frames for each point have a file each; else the whole row is in one file.
        """
        row_shape, chunk_shape = self._layout.row_shape, self._layout.chunk_shape
        if not row_shape:
            return 1
        if self._layout.join == "concat":
            return chunk_shape[0]
        if self._parameters.get("multiplier"):
            return 1
        is_page_count = len(chunk_shape) == len(row_shape) and chunk_shape[1:] == row_shape[1:]
        if is_page_count and row_shape[0] % chunk_shape[0] == 0:
            return chunk_shape[0]
        return max(row_shape[0], 1)

    def _add_files(self, uid: str, start: int, stop: int) -> None:
        for uri in self._files[uid].uris(start, stop, files_before=len(self._assets)):
            self._append_file_of_row(uri)

    def _properties(self) -> dict[str, Json]:
        """Tell Tiled the shape of the files where a row lies in several: how it finds those for a slice."""
        layout, files = self._layout, self._latest.files_per_row
        is_split = layout.join == "stack" and len(layout.row_shape) > 1 and files > 1
        if not (self._assets and is_split and layout.row_length % files == 0):
            return {}
        frames = layout.row_length // files
        pages = [[frames]] if frames > 1 else []
        return {"chunks": [[1] * len(self._assets), *pages, *([length] for length in layout.row_shape[1:])]}
