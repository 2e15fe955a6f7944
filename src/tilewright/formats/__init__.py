"""External files as arrays: one module a format, and the registry that finds the one for a mimetype."""

from tilewright.formats.arrays import FileArray
from tilewright.formats.base import Asset, DataSource, ExternalArray, FileFacts, Format
from tilewright.formats.registry import BUILT_IN, adapters_by_mimetype, format_for, open_array
from tilewright.formats.sequences import FileSequence
from tilewright.formats.unknown import UnknownFile

__all__ = [
    "BUILT_IN",
    "Asset",
    "DataSource",
    "ExternalArray",
    "FileArray",
    "FileFacts",
    "FileSequence",
    "Format",
    "UnknownFile",
    "adapters_by_mimetype",
    "format_for",
    "open_array",
]
