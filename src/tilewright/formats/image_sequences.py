"""TIFF and JPEG: sequences of image files, one or several for each event.

In come StreamResources of mimetype `multipart/related;type=image/...` with the parameter `template`; Tiled's own
adapters read the files. Called through the registry.
"""

from __future__ import annotations

from tilewright.formats.base import Format
from tilewright.formats.sequences import FileSequence

FORMAT = Format(
    mimetypes=("multipart/related;type=image/tiff", "multipart/related;type=image/jpeg"), open=FileSequence
)
