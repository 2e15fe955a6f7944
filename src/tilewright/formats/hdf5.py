"""HDF5: rows of a dataset in one file, in several files after one another, or in many numbered files.

In come StreamResources of mimetype `application/x-hdf5` with the parameter `dataset`. Called through the registry.
`HDF5Adapter` has Tiled's own read the files on the server, and picks out of them the rows that the documents promise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tilewright.errors import InputError
from tilewright.formats.arrays import FileArray, parameters_of
from tilewright.formats.base import ExternalArray, Format, Json
from tilewright.formats.ranges import RANGES, join
from tilewright.formats.sequences import FileSequence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
        ValueError
            If the files hold fewer rows than promised, or values of another dtype or shape.
        """
        from tiled.adapters.hdf5 import HDF5Adapter as OfTiled  # noqa: PLC0415 - on the server only

        def of_tiled(assets: Sequence[Any]) -> Any:
            return OfTiled.from_catalog(data_source.model_copy(update={"assets": assets}), node, **parameters)

        adapter, structure = of_tiled(data_source.assets), data_source.structure
        ranges = (data_source.properties or {}).get(RANGES, ())
        if data_source.structure_family != "array" or not (ranges or _is_longer(adapter, structure.shape)):
            return adapter
        files = [of_tiled([asset])._array for asset in data_source.assets]  # noqa: SLF001 - it has no other
        whole = join(files, ranges, structure.shape)
        return type(adapter)(whole, structure, metadata=adapter.metadata(), specs=node.specs)


def _is_longer(adapter: Any, shape: tuple[int, ...]) -> bool:
    """Return whether there is more than this, and Tiled does not know where to cut it off."""
    array = adapter._array  # noqa: SLF001
    return bool(array.shape[1:] != shape[1:] and array.size > math.prod(shape))


FORMAT = Format(mimetypes=(MIMETYPE,), open=_open, adapters={MIMETYPE: f"{__name__}:{HDF5Adapter.__name__}"})
