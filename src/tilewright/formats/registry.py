"""Which format a mimetype has: the built-in ones, and those that installed packages offer.

In comes a StreamResource; out goes the array that its format makes of it. Called by the delivery; the server asks
for the adapters to mount.

To add a format, make a module with a `Format` and name it here, or in another package's pyproject.toml:

    [project.entry-points."tilewright.formats"]
    my_format = "my_package.my_module:FORMAT"
"""

from __future__ import annotations

import logging
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from tilewright.documents import quoted
from tilewright.formats import (
    csv_files,
    dascore_files,
    hdf5,
    image_sequences,
    npy,
    png,
    tfrecord,
    tiledb,
    wav,
    zarr_stores,
)
from tilewright.formats.arrays import text
from tilewright.formats.base import ExternalArray, Format
from tilewright.formats.unknown import MIMETYPE as BYTES
from tilewright.formats.unknown import UnknownFile

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUP = "tilewright.formats"
BUILT_IN: tuple[Format, ...] = (
    hdf5.FORMAT,
    image_sequences.TIFF,
    image_sequences.JPEG,
    png.FORMAT,
    npy.FORMAT,
    npy.IN_ROWS,
    csv_files.FORMAT,
    zarr_stores.FORMAT,
    tiledb.FORMAT,
    wav.FORMAT,
    tfrecord.FORMAT,
    dascore_files.FORMAT,
)

_log = logging.getLogger(__name__)


def format_for(mimetype: str) -> Format:
    """Return the format of a mimetype: an installed package's, else a built-in one, else that of unknown files."""
    for known in (*_offered(), *BUILT_IN):
        if mimetype in known.mimetypes:
            return known
    return Format(mimetypes=(mimetype,), open=_open_unknown)


def open_array(resource: Mapping[str, Any], descriptor: Mapping[str, Any]) -> ExternalArray:
    """Make the array of one data key from its first StreamResource.

    Parameters
    ----------
    resource
        In today's schema; not altered, like all documents.
    descriptor
        The one that declares the data key.

    Raises
    ------
    InputError
        If the documents do not describe an array of the resource's format. `UnknownFile` then takes the resource.
    """
    return format_for(text(resource, "mimetype")).open(resource, descriptor)


def adapters_by_mimetype() -> dict[str, str]:
    """Return the adapters to mount on a server on top of Tiled's own: "package.module:Class" by mimetype."""
    formats = (*BUILT_IN, *_offered())
    return {mimetype: adapter for known in formats for mimetype, adapter in known.adapters.items()}


def _open_unknown(resource: Mapping[str, Any], descriptor: Mapping[str, Any]) -> ExternalArray:  # noqa: ARG001 - as Format.open
    mimetype = resource["mimetype"]
    return UnknownFile(resource, "" if mimetype == BYTES else f"no format here reads {quoted(mimetype)}.")


@cache
def _offered() -> tuple[Format, ...]:
    """Load what installed packages offer; one that is broken must not stop the others, or a run."""
    formats = []
    for entry_point in entry_points(group=GROUP):
        try:
            formats.append(_checked(entry_point.load()))
        except Exception:  # noqa: BLE001 - whatever another package raises; it is logged with its traceback
            _log.exception(
                "Entry point %r of group %s cannot be used; its files become bytes.", entry_point, GROUP
            )
    return tuple(formats)


def _checked(offered: object) -> Format:
    if not isinstance(offered, Format):
        raise TypeError(f"Expected a tilewright.formats.Format, found {offered!r}.")
    return offered
