"""HDF5: rows of a dataset in one file, in several files after one another, or in many numbered files.

In come StreamResources of mimetype `application/x-hdf5` with the parameter `dataset`. Called through the registry.
`HDF5Adapter` shows on the server what Tiled's own adapter reads, as far as the documents promise it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.errors import InputError
from tilewright.formats.arrays import FileArray, parameters_of
from tilewright.formats.base import DataSource, ExternalArray, FileFacts, Format, Json
from tilewright.formats.promised import after_one_another, promised_rows, rows_of_files, without_rows
from tilewright.formats.sequences import FileSequence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MIMETYPE = "application/x-hdf5"


class HDF5Files(FileArray):
    """A dataset in one file for each StreamResource."""

    repeated = ("dataset", "chunk_shape")

    def _adapter_parameters(self) -> dict[str, Json]:
        return adapter_parameters(self._parameters)


class HDF5Sequence(FileSequence):
    """A dataset in each of the files that a template names."""

    def _adapter_parameters(self) -> dict[str, Json]:
        return adapter_parameters(self._parameters)


def adapter_parameters(parameters: Mapping[str, Any]) -> dict[str, Json]:
    """Return the arguments of Tiled's HDF5 adapter.

    Raises
    ------
    InputError
        If the parameters do not name the dataset.

    Examples
    --------
    >>> adapter_parameters({"dataset": "/entry/data", "chunk_shape": [1]})
    {'dataset': '/entry/data', 'swmr': True, 'locking': None}
    """
    if not parameters.get("dataset"):
        raise InputError(
            "A StreamResource of an HDF5 file has no 'dataset' among its parameters: the path of the array in the"
            f" file is needed. It has {', '.join(parameters) or 'none'}."
        )
    optional = {name: parameters[name] for name in ("slice", "squeeze") if parameters.get(name)}
    # A detector may still be writing: single writer, multiple readers unless the emitter knows better.
    access = {"swmr": parameters.get("swmr", True), "locking": parameters.get("locking")}
    return {"dataset": parameters["dataset"], **optional, **access}


def _open(resource: Mapping[str, Any], descriptor: Mapping[str, Any]) -> ExternalArray:
    is_sequence = parameters_of(resource).get("template")
    return (HDF5Sequence if is_sequence else HDF5Files)(resource, descriptor)


class HDF5Adapter:
    """Makes the adapter of a dataset or a file in a catalog; Tiled names it by the mimetype.

    Tiled's own reads. Of a dataset those rows are shown that its documents have promised: the detector may have written
    more already, and an interrupted run has.
    """

    @classmethod
    def from_catalog(cls, data_source: Any, node: Any, /, **parameters: Any) -> Any:
        """Return the adapter.

        Raises
        ------
        DataNotReadyError
            If the files hold fewer rows than promised.
        ValueError
            If they hold values of another dtype.
        """
        from tiled.adapters.array import ArrayAdapter  # noqa: PLC0415 - on the server only

        from tilewright.formats.in_use import HDF5  # noqa: PLC0415

        if data_source.structure_family != "array":
            return HDF5.from_catalog(data_source, node, **parameters)
        if (empty := without_rows(data_source, node)) is not None:
            return empty
        structure, assets = data_source.structure, data_source.assets
        # Dimensions of length 1 make no difference to `promised_rows`, and the only row of a file must not lose its own.
        parameters = parameters | {"squeeze": False}
        rows = rows_of_files(structure.shape, data_source.properties, len(assets))
        if rows is None:
            adapter = HDF5.from_catalog(data_source, node, **parameters)
            values = promised_rows(_values(adapter), structure.shape)
        else:
            sources = (data_source.model_copy(update={"assets": [asset]}) for asset in assets)
            parts = [
                (HDF5.from_catalog(source, node, **parameters), count)
                for source, count in zip(sources, rows, strict=True)
                if count
            ]
            adapter = parts[0][0]
            values = after_one_another([(_values(part), count) for part, count in parts], structure.shape)
        return ArrayAdapter(values, structure, metadata=adapter.metadata(), specs=node.specs)


def _values(adapter: Any) -> Any:
    """Return the array of Tiled's adapter, lazily; its `read` refuses what is cut here."""
    return adapter._array  # noqa: SLF001


def measure(path: Path, source: DataSource) -> FileFacts:
    """Return what the dataset of a file holds, after `slice` and `squeeze`; opens it as Tiled's adapter does.

    Raises
    ------
    InputError
        If there is no such dataset in it.
    OSError
        If it is no HDF5 file, or cut off.
    """
    import h5py  # noqa: PLC0415 - slow to import
    from ndindex import ndindex  # noqa: PLC0415
    from tiled.ndslice import NDSlice  # noqa: PLC0415

    parameters = source.parameters
    dataset = parameters["dataset"]
    name = dataset if isinstance(dataset, str) else "/".join(dataset)
    access = {"swmr": parameters.get("swmr", False), "locking": parameters.get("locking")}
    with h5py.File(path, "r", libver="latest", **access) as file:
        found = file.get(name)
        if not isinstance(found, h5py.Dataset):
            raise InputError(f"it has no dataset {name!r}")
        shape, dtype, chunks = found.shape, found.dtype, found.chunks
    if shape is None:
        raise InputError(f"its dataset {name!r} has no values")
    if wanted := parameters.get("slice"):
        chosen = NDSlice.from_numpy_str(wanted) if isinstance(wanted, str) else wanted
        shape, chunks = ndindex(tuple(chosen)).newshape(shape), None
    if parameters.get("squeeze"):
        shape, chunks = (*shape[:1], *(length for length in shape[1:] if length != 1)), None
    # Strings of any length become strings of the longest one's when they are read.
    return FileFacts(shape or (1,), None if dtype.hasobject else dtype, chunks)


FORMAT = Format(
    mimetypes=(MIMETYPE,),
    open=_open,
    adapters={MIMETYPE: f"{__name__}:{HDF5Adapter.__name__}"},
    measure=measure,
)
