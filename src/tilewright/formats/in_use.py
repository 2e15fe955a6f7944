"""Tiled's adapters for files, held to those files that make up the array; Tiled names these by the mimetype.

Of an array that `Run.verify(files=True, repair=True)` has corrected, the files after a gap are still registered, so that it
is known what was declared; and so are those that a detector has yet to write. Tiled's own adapters open all files of an
array, and so cannot read one of which a file is missing. Of any other array they are given all files, as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tiled.utils import import_object

from tilewright.formats.arrays import DATA_URIS
from tilewright.formats.checking import FILES

if TYPE_CHECKING:
    from collections.abc import Mapping


class _InUse:
    """Makes one of Tiled's adapters, which is imported when it is needed: that is slow."""

    of: ClassVar[str]
    """Tiled's adapter, "package.module:Class"."""

    @classmethod
    def from_catalog(cls, data_source: Any, node: Any, /, **arguments: Any) -> Any:
        """Return the adapter of the files in use."""
        if (empty := without_rows(data_source, node)) is not None:
            return empty
        files = data_source.properties.get(FILES)
        if files is not None and DATA_URIS in arguments:  # of which those that a slice touches are named
            arguments[DATA_URIS] = arguments[DATA_URIS][:files]
        elif files is not None:
            data_source = data_source.model_copy(update={"assets": data_source.assets[:files]})
        return import_object(cls.of).from_catalog(data_source, node, **arguments)


class _SequenceInUse(_InUse):
    """The same of an adapter that is asked which files a slice touches, before these are looked up."""

    supports_lazy_assets = True

    @classmethod
    def file_indices_for_slice(
        cls,
        structure: Any,
        n_files: int,
        slice: Any = ...,  # noqa: A002 - Tiled's name
        properties: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> tuple[int, ...] | None:
        """Return the places of these files in the sequence; None if it may be any of them."""
        in_use = (properties or {}).get(FILES, n_files)
        indices: tuple[int, ...] | None = import_object(cls.of).file_indices_for_slice(
            structure, in_use, slice, properties=properties, parameters=parameters
        )
        return indices


class HDF5(_InUse):
    """Datasets of HDF5 files."""

    of = "tiled.adapters.hdf5:HDF5Adapter"


class TIFF(_SequenceInUse):
    """Sequences of TIFF files."""

    of = "tiled.adapters.tiff:TiffSequenceAdapter"


class JPEG(_SequenceInUse):
    """Sequences of JPEG files."""

    of = "tiled.adapters.jpeg:JPEGSequenceAdapter"


class NPY(_SequenceInUse):
    """Sequences of NPY files."""

    of = "tiled.adapters.npy:NPYSequenceAdapter"


def without_rows(data_source: Any, node: Any) -> Any:
    """Return the adapter of an array in files of which nothing is promised yet, or published; None if something is.

    There may be no file of it.
    """
    structure = data_source.structure
    if data_source.structure_family != "array" or structure.shape[:1] != (0,):
        return None
    import numpy as np  # noqa: PLC0415 - on the server only
    from tiled.adapters.array import ArrayAdapter  # noqa: PLC0415

    nothing = np.empty(structure.shape, structure.data_type.to_numpy_dtype())
    return ArrayAdapter(nothing, structure, metadata=node.metadata_, specs=node.specs)
