"""PNG: an image in each file; files of a sequence that a template names, or of any names in any folders.

In come StreamResources of mimetype `multipart/related;type=image/png`: one for all files of a sequence, with the parameter `template`; or
one for each file, without. Called through the registry. `PNGAdapter` reads both on the server: only those files that a slice touches are
looked up in the catalog, and opened.

    array          row 0    row 1    row 2        as many files as rows: nothing has to be told of where they are
    files          0        1        2
    two a row      0 1      2 3      4 5          `FILES_PER_ROW`
"""

from __future__ import annotations

import dataclasses
import math
import struct
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from tilewright.errors import InputError
from tilewright.extras import extra
from tilewright.formats.arrays import FileArray, parameters_of
from tilewright.formats.base import DataSource, ExternalArray, FileFacts, Format, Json
from tilewright.formats.ranges import has_rows_like
from tilewright.formats.rows_in_files import not_ready, path_of, uris_of
from tilewright.formats.sequences import FileSequence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tilewright.formats.layout import Layout
    from tilewright.formats.sliced import Region

MIMETYPE = "multipart/related;type=image/png"
FILES_PER_ROW = "files_per_row"
"""Property of a data source: how many files make a row of the array, one after the other; absent where that is 1."""
_CHUNK_BYTES = 4 << 20
"""Of the array's chunks where the documents say nothing: a structure lists each chunk, and a reader of few images should not wait."""

# See https://www.w3.org/TR/png-3/, 5 (a file consists of chunks) and 11.2.1 (the first one).
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = struct.Struct(">8sI4sIIBB")
"""Signature; length and type of the first chunk; width and height of the image, bits of a sample, and type of its colour."""
_CHUNK = struct.Struct(">I4s")
"""Length and type of a chunk, which go before its data."""
_CRC_BYTES = 4
"""What goes after them."""
_GREY, _PALETTE = 0, 3
_CHANNELS = {_GREY: 1, 2: 3, 4: 2, 6: 4}
"""How many values a pixel has, by the type of colour: grey, RGB, and both of them with a further value for how opaque it is."""


class PNGSequence(FileSequence):
    """An array whose rows are files that a template names: one for each image of a row."""

    repeated = ("files_per_datum",)

    def _count_files(self, parameters: Mapping[str, Any]) -> int:
        files, images = super()._count_files(parameters), self._layout.row_length
        if images % files or (self._layout.join == "concat" and images != files):
            raise InputError(
                f"Rows of {self.data_key!r} have shape {self._layout.row_shape}, joined by {self._layout.join!r}, and"
                f" {files} files each; expected a file for each image, for a PNG file holds one."
            )
        return files

    def _properties(self) -> dict[str, Json]:
        files = self._latest.files_per_row
        return {} if files == 1 or self._layout.join == "concat" else {FILES_PER_ROW: files}


class PNGFiles(FileArray):
    """Images in files of any names: a StreamResource is a file, and a StreamDatum makes a row of it.

    The files are numbered by their rows, so that a registration takes the same however many there are.
    """

    repeated = ("template", "chunk_shape")

    def __init__(self, resource: Mapping[str, Any], descriptor: Mapping[str, Any]) -> None:
        self._uri_of: dict[str, str] = {}  # by the resource's uid
        super().__init__(resource, descriptor)

    def _read_layout(self, spec: Mapping[str, Any]) -> Layout:
        layout = super()._read_layout(spec)
        if layout.join == "concat" and layout.row_length != 1:
            raise InputError(
                f"Rows of {self.data_key!r} have {layout.row_length} images each, joined by 'concat'; expected one, for a PNG file"
                " holds one. Where a row has several files, name them by a 'template'."
            )
        if layout.chunk_shape:
            return layout
        row_bytes = math.prod(layout.row_shape) * layout.dtype.itemsize
        return dataclasses.replace(layout, chunk_shape=(max(_CHUNK_BYTES // max(row_bytes, 1), 1),))

    def _add_resource(self, uid: str, uri: str, parameters: Mapping[str, Any]) -> None:  # noqa: ARG002 - as FileArray has it
        self._uri_of[uid] = uri

    def _add_files(self, uid: str, start: int, stop: int) -> None:
        if stop - start > 1:
            raise InputError(
                f"Rows {start} to {stop} are said to be in {self._uri_of[uid]}; expected one, for a PNG file holds one image. A"
                " sequence of files has a 'template'."
            )
        for _ in range(start, stop):
            self._append_file_of_row(self._uri_of[uid])

    def _properties(self) -> dict[str, Json]:
        return {}


def _open(resource: Mapping[str, Any], descriptor: Mapping[str, Any]) -> ExternalArray:
    is_sequence = parameters_of(resource).get("template")
    return (PNGSequence if is_sequence else PNGFiles)(resource, descriptor)


@dataclass(frozen=True, slots=True)
class Images:
    """The images of an array, to be read."""

    uris: Sequence[str | None]
    """Addresses of the files by their numbers; None for those that are not needed."""
    files_per_row: int
    dtype: np.dtype[Any]
    row: tuple[int, ...]
    """Shape of a row."""

    def read(self, row: int) -> np.ndarray[Any, Any]:
        """Return a row.

        Raises
        ------
        DataNotReadyError
            If a file is missing, or cut off. Tiled's server answers that it may be tried again, if files were written to lately.
        ValueError
            If a file holds another dtype, or an image of another shape.
        InputError
            If a file is damaged, or no PNG file, or of a kind that is not read.
        SetupError
            If Pillow is not installed.
        """
        first = row * self.files_per_row
        uris = self.uris[first : first + self.files_per_row]
        return np.stack([self._image(path_of(uri)) for uri in uris]).reshape(self.row)

    def _image(self, path: Path) -> np.ndarray[Any, Any]:
        """Return the image of one file."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            content = b""  # as that of a file which has just been opened to be written
        try:
            facts = _facts(BytesIO(content))
        except InputError as error:
            raise InputError(f"{path} cannot be read: {error}") from error
        if facts is None:
            raise not_ready(path, 0, 1, "images")
        part = self.row if self.files_per_row == 1 else (self.row[0] // self.files_per_row, *self.row[1:])
        is_alike = has_rows_like(facts.shape, part) and math.prod(facts.shape) == math.prod(part)
        if facts.dtype != self.dtype or not is_alike:
            raise ValueError(
                f"{path} holds {facts.dtype} of shape {facts.shape[1:]}, declared is {self.dtype} of {part}"
            )
        return _decoded(content, path)


class PNGAdapter:
    """Makes the adapter of an array in PNG files; Tiled names it by the mimetype."""

    supports_lazy_assets = True

    @classmethod
    def from_catalog(cls, data_source: Any, node: Any, /, **arguments: Any) -> Any:
        """Return the adapter. What its `read` raises: see `Images.read`.

        Parameters
        ----------
        arguments
            See `rows_in_files.uris_of`.
        """
        from tilewright.formats.sliced import Sliced, SlicedAdapter  # noqa: PLC0415 - on the server only

        structure = data_source.structure
        shape, dtype = tuple(structure.shape), structure.data_type.to_numpy_dtype()
        files = _files_per_row(data_source.properties)
        images = Images(uris_of(data_source, arguments), files, dtype, shape[1:])

        def read(region: Region) -> np.ndarray[Any, Any]:
            (row, _), *others = region
            return images.read(row)[None][(slice(None), *(slice(*each) for each in others))]

        sliced = Sliced(read, shape, dtype, row_by_row=True)
        return SlicedAdapter(sliced, structure, metadata=node.metadata_, specs=node.specs)

    @classmethod
    def file_indices_for_slice(
        cls,
        structure: Any,
        n_files: int,  # noqa: ARG003 - Tiled's signature
        slice: Any = ...,  # noqa: A002 - Tiled's name
        properties: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,  # noqa: ARG003
    ) -> tuple[int, ...]:
        """Return the numbers of the files that a slice touches."""
        from tilewright.formats.sliced import picked  # noqa: PLC0415 - on the server only

        (rows, *_), _ = picked(slice, structure.shape)
        files = _files_per_row(properties)
        return tuple(row * files + number for row in rows for number in range(files))


def _files_per_row(properties: Mapping[str, Any] | None) -> int:
    return int((properties or {}).get(FILES_PER_ROW, 1))


def _facts(file: BinaryIO) -> FileFacts | None:
    """Return what a file holds, from its beginning on; None if its end is missing.

    Raises
    ------
    InputError
        If it is no PNG file, or its values cannot be had as they are.
    """
    head = file.read(_HEAD.size)
    if not head.startswith(_SIGNATURE[: len(head)]):
        raise InputError("it is no PNG file")
    if len(head) < _HEAD.size or not _has_end(file):
        return None
    *_, first, width, height, bits, colour = _HEAD.unpack(head)
    if colour == _PALETTE:
        raise InputError(
            "it has a palette, so that its values are the numbers of colours; write it in grey or in RGB"
        )
    if first != b"IHDR" or colour not in _CHANNELS:
        raise InputError("it is no PNG file")
    if bits != 8 and (bits, colour) != (16, _GREY):  # noqa: PLR2004 - bits
        raise InputError(f"it has {bits} bits a value; 8 are read, and 16 where it is grey")
    channels = _CHANNELS[colour]
    return FileFacts((1, height, width, *((channels,) if channels > 1 else ())), np.dtype(f"u{bits // 8}"))


def _has_end(file: BinaryIO) -> bool:
    """Tell whether a file is there up to its last chunk."""
    size, at = file.seek(0, 2), len(_SIGNATURE)
    while at + _CHUNK.size + _CRC_BYTES <= size:
        file.seek(at)
        length, kind = _CHUNK.unpack(file.read(_CHUNK.size))
        at += _CHUNK.size + int(length) + _CRC_BYTES
        if kind == b"IEND":
            return at <= size
    return False


def _decoded(content: bytes, path: Path) -> np.ndarray[Any, Any]:
    with extra("server", "to read PNG files takes Pillow"):
        from PIL import Image  # noqa: PLC0415 - slow to import
    try:
        with Image.open(BytesIO(content), formats=("PNG",)) as image:
            return np.asarray(image)
    except Exception as error:
        raise InputError(f"{path} cannot be decoded: {error}") from error


def measure_png(path: Path, source: DataSource) -> FileFacts:  # noqa: ARG001 - as Format.measure
    """Return what the head of a PNG file says that it holds; its values are not unpacked, and Pillow is not needed.

    Raises
    ------
    InputError
        If it is no PNG file, or its end is missing, or its values cannot be had as they are.
    """
    with path.open("rb") as file:
        facts = _facts(file)
    if facts is None:
        raise InputError("the end of its image is missing")
    return facts


FORMAT = Format(
    mimetypes=(MIMETYPE,),
    open=_open,
    adapters={MIMETYPE: f"{__name__}:{PNGAdapter.__name__}"},
    measure=measure_png,
)
