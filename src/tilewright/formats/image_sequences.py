"""TIFF and JPEG: sequences of image files, one or several for each event.

In come StreamResources of mimetype `multipart/related;type=image/...` with the parameter `template`; Tiled's own
adapters read the files. Called through the registry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.errors import InputError
from tilewright.formats.base import DataSource, FileFacts, Format
from tilewright.formats.sequences import FileSequence

if TYPE_CHECKING:
    from pathlib import Path

TIFF_MIMETYPE = "multipart/related;type=image/tiff"
JPEG_MIMETYPE = "multipart/related;type=image/jpeg"
_SCAN, _END = b"\xff\xda", b"\xff\xd9"
"""Markers of JPEG (ITU-T T.81, B.1.1.3); within compressed values neither can stand."""


def measure_tiff(path: Path, source: DataSource) -> FileFacts:  # noqa: ARG001 - as Format.measure
    """Return what the pages of a TIFF file hold: those of its first series, which is what is read of it.

    Raises
    ------
    tifffile.TiffFileError
        If it is no TIFF file.
    InputError
        If it ends before its pages do.
    """
    import numpy as np  # noqa: PLC0415
    import tifffile  # noqa: PLC0415 - slow to import

    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        if series.dataoffset is not None:
            end = series.dataoffset + series.nbytes
        else:
            strips = [(page.dataoffsets, page.databytecounts) for page in series.pages if page is not None]
            end = max(max(map(sum, zip(*strip, strict=True)), default=0) for strip in strips)
        size = path.stat().st_size
        if end > size:
            raise InputError(f"its pages go up to byte {end}, and it has {size}")
        return FileFacts((1, *series.shape), np.dtype(series.dtype))


def measure_jpeg(path: Path, source: DataSource) -> FileFacts:  # noqa: ARG001 - as Format.measure
    """Return what a JPEG file holds.

    Raises
    ------
    PIL.UnidentifiedImageError
        If it is no image.
    InputError
        If the end of its image is missing.
    """
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    with Image.open(path) as image:
        width, height = image.size
        bands = len(image.getbands())
    content = path.read_bytes()
    if content.rfind(_END) < content.rfind(_SCAN):
        raise InputError("the end of its image is missing")
    return FileFacts((1, height, width, *((bands,) if bands > 1 else ())), np.dtype("u1"))


TIFF = Format(
    mimetypes=(TIFF_MIMETYPE,),
    open=FileSequence,
    adapters={TIFF_MIMETYPE: "tilewright.formats.in_use:TIFF"},
    measure=measure_tiff,
)
JPEG = Format(
    mimetypes=(JPEG_MIMETYPE,),
    open=FileSequence,
    adapters={JPEG_MIMETYPE: "tilewright.formats.in_use:JPEG"},
    measure=measure_jpeg,
)
