"""Zarr: rows of an array in a directory store of version 2 or 3, or in several stores after one another.

In come StreamResources of mimetype `application/x-zarr`, whose `uri` is the store's directory or its URL (s3://, https://, …), with
the parameter `dataset` if the array lies in a group of the store. Called through the registry. `ZarrAdapter` reads the stores on the
server, also those that Tiled writes itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.das import is_url, open_zarr, refusals
from tilewright.errors import InputError
from tilewright.formats.arrays import DATA_URIS, FileArray
from tilewright.formats.base import DataSource, FileFacts, Format
from tilewright.formats.checking import FILES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tilewright.formats.sliced import Region, Sliced

MIMETYPE = "application/x-zarr"


class ZarrStores(FileArray):
    """An array in one store for each StreamResource."""

    repeated = ("dataset", "chunk_shape")
    in_directories = True

    def _add_resource(self, uid: str, uri: str, parameters: Mapping[str, Any]) -> None:
        super()._add_resource(uid, array_uri(uri, parameters.get("dataset")), parameters)


def array_uri(store: str, dataset: Any) -> str:
    """Return the address of an array in a store: its directory or URL, in both versions of the format.

    Raises
    ------
    InputError
        If `dataset` is no text.

    Examples
    --------
    >>> array_uri("file://localhost/data/x.zarr/", "/entry/data"), array_uri("file://localhost/data/x.zarr", None)
    ('file://localhost/data/x.zarr/entry/data', 'file://localhost/data/x.zarr')
    """
    if dataset is None:
        return store.rstrip("/")
    if not isinstance(dataset, str):
        raise InputError(
            f"The dataset in {store} is {dataset!r}; expected the path of an array in the store."
        )
    return "/".join(part for part in (store.rstrip("/"), dataset.strip("/")) if part)


class ZarrAdapter:
    """Makes the adapter of a Zarr array or group in a catalog; Tiled names it by the mimetype.

    Tiled's own reads a single store, and this hands on to it what Tiled has written. Of the stores that a detector wrote, those rows
    are shown that its documents have promised: there may be more in the file already.
    """

    @classmethod
    def from_catalog(cls, data_source: Any, node: Any, /, **parameters: Any) -> Any:
        """Return the adapter.

        Raises
        ------
        DataNotReadyError
            If the stores hold fewer rows than promised.
        ValueError
            If they hold values of another dtype.
        SetupError, TransientError
            If a URL needs credentials that the server's environment does not have, or cannot be reached.
        """
        from tiled.adapters.zarr import ZarrAdapter as OfTiled  # noqa: PLC0415 - on the server only

        from tilewright.formats.in_use import without_rows  # noqa: PLC0415
        from tilewright.formats.sliced import adapter_of  # noqa: PLC0415

        uris = [asset.data_uri for asset in data_source.assets if asset.parameter == DATA_URIS]
        if not uris:
            return OfTiled.from_catalog(data_source, node, **parameters)
        if (empty := without_rows(data_source, node)) is not None:
            return empty
        uris = uris[: data_source.properties.get(FILES)]  # all of them, unless the array has been corrected
        return adapter_of([_store(uri) for uri in uris], data_source, node)


def _store(uri: str) -> Sliced:
    """Return the array of a store, to be read when it is asked for."""
    from tiled.utils import path_from_uri  # noqa: PLC0415 - on the server only

    from tilewright.formats.sliced import Sliced  # noqa: PLC0415

    place = uri if is_url(uri) else path_from_uri(uri)
    array = open_zarr(place)

    def read(region: Region) -> Any:
        with refusals(place):
            return array[tuple(slice(start, stop) for start, stop in region)]

    return Sliced(read, array.shape, array.dtype)


def measure(path: Path, source: DataSource) -> FileFacts:  # noqa: ARG001 - as Format.measure
    """Return what the metadata of a store's array say that it holds.

    Raises
    ------
    FileNotFoundError, ValueError, or an error of Zarr's
        If there is no array.
    """
    return _facts(path)


def measure_url(url: str, source: DataSource) -> FileFacts:  # noqa: ARG001 - as Format.measure_url
    """Return the same of an array at a URL; raises as `measure`, or as `tilewright.das.refusals`."""
    return _facts(url)


def _facts(place: Path | str) -> FileFacts:
    array = open_zarr(place)
    return FileFacts(array.shape or (1,), array.dtype, array.chunks)


FORMAT = Format(
    mimetypes=(MIMETYPE,),
    open=ZarrStores,
    adapters={MIMETYPE: f"{__name__}:{ZarrAdapter.__name__}"},
    measure=measure,
    measure_url=measure_url,
)
