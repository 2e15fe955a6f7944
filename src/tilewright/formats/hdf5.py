"""HDF5: rows of a dataset in one file, in several files after one another, or in many numbered files.

In come StreamResources of mimetype `application/x-hdf5` with the parameter `dataset`. Called through the registry.
`HDF5Adapter` has Tiled's own read the files on the server, and picks out of them the rows that the documents promise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.errors import InputError
from tilewright.formats.arrays import FileArray, parameters_of
from tilewright.formats.base import DataSource, ExternalArray, FileFacts, Format, Json
from tilewright.formats.checking import FILES
from tilewright.formats.ranges import RANGES, has_rows_like, join
from tilewright.formats.sequences import FileSequence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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
    """Makes the adapter of an HDF5 file in a catalog; Tiled names it by the mimetype.

    Tiled's own takes the first rows of a dataset, and all rows of a file that another one follows. This one takes those
    that the documents name, and leaves away what was not promised yet, also where an event is several frames of the dataset.
    """

    @classmethod
    def from_catalog(cls, data_source: Any, node: Any, /, **parameters: Any) -> Any:
        """Return the adapter.

        Raises
        ------
        DataNotReadyError
            If the files hold fewer rows than promised.
        ValueError
            If they hold values of another dtype or shape.
        """
        from tilewright.formats.in_use import HDF5, without_rows  # noqa: PLC0415 - on the server only

        def of_tiled(assets: Sequence[Any]) -> Any:
            return HDF5.from_catalog(data_source.model_copy(update={"assets": assets}), node, **parameters)

        if data_source.structure_family != "array":
            return HDF5.from_catalog(data_source, node, **parameters)
        if (empty := without_rows(data_source, node)) is not None:
            return empty
        # Dimensions of length 1 make no difference to `join`, and the only row of a file must not lose its own.
        parameters = parameters | {"squeeze": False}
        adapter, structure = of_tiled(data_source.assets), data_source.structure
        ranges = data_source.properties.get(RANGES, ())
        if not (ranges or _is_laid_out_otherwise(adapter, structure.shape)):
            return adapter
        assets = data_source.assets[: data_source.properties.get(FILES)]
        files = [of_tiled([asset])._array for asset in assets]  # noqa: SLF001 - it has no other
        whole = join(files, ranges, structure.shape)
        return type(adapter)(whole, structure, metadata=adapter.metadata(), specs=node.specs)


def _is_laid_out_otherwise(adapter: Any, shape: tuple[int, ...]) -> bool:
    """Return whether the rows have other dimensions, so that Tiled cannot tell where to cut them off."""
    array = adapter._array  # noqa: SLF001
    return bool(array.shape[1:] != shape[1:] and has_rows_like(array.shape, shape))


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
