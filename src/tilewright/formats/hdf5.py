"""HDF5: rows of a dataset in one file, in several files after one another, or in many numbered files.

In come StreamResources of mimetype `application/x-hdf5` with the parameter `dataset`; Tiled's own adapter reads
the files. Called through the registry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.errors import InputError
from tilewright.formats.arrays import FileArray, parameters_of
from tilewright.formats.base import ExternalArray, Format, Json
from tilewright.formats.sequences import FileSequence

if TYPE_CHECKING:
    from collections.abc import Mapping


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


FORMAT = Format(mimetypes=("application/x-hdf5",), open=_open)
