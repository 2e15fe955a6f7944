"""HDF5: rows of a dataset in one file, in several files after one another, or in many numbered files.

In come StreamResources of mimetype `application/x-hdf5` with the parameter `dataset`. Called through the registry.
`HDF5Adapter` shows on the server what Tiled's own adapter reads, as far as the documents promise it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.errors import InputError
from tilewright.formats.arrays import FileArray, parameters_of
from tilewright.formats.base import ExternalArray, Format, Json
from tilewright.formats.promised import promised_rows
from tilewright.formats.sequences import FileSequence

if TYPE_CHECKING:
    from collections.abc import Mapping


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
        from tiled.adapters.hdf5 import HDF5Adapter as OfTiled  # noqa: PLC0415

        adapter = OfTiled.from_catalog(data_source, node, **parameters)
        if data_source.structure_family != "array":
            return adapter
        structure = data_source.structure
        rows = promised_rows(adapter._array, structure.shape)  # noqa: SLF001 - its `read` refuses what this cuts
        return ArrayAdapter(rows, structure, metadata=adapter.metadata(), specs=node.specs)


FORMAT = Format(mimetypes=(MIMETYPE,), open=_open, adapters={MIMETYPE: f"{__name__}:{HDF5Adapter.__name__}"})
