"""Detectors' files and the documents about them: what every writer and reader must make the same of.

`CASES` holds one `Case` for each format and each dialect of documents. A case writes real files into a folder, and gives the
documents that a detector would emit of them, and the values, read back out of the files by the library of their format and
not taken from what was written. `test_conformance` has them written and read by everybody, and `table` makes the page
`docs/formats/conformance.md` of what it finds.

To add a case, write a function into the module it belongs to; its docstring is its name on the page:

    hdf5         files of HDF5, also while they are being written
    images       TIFF, JPEG, PNG and NPY: sequences of files
    stores       TileDB
    sounds       WAV and FLAC
    embeddings   TFRecords
    others       CSV, Zarr, and files that no format knows
    dialects     documents of today in all their forms, whatever the format
    events       arrays in the events themselves
    legacy       Resource and Datum, StreamResource of the first schema, `spec`

Values identify themselves: a sample's value is its index in the whole array, so that one in a wrong place is seen. Each run
has a column `x` beside the arrays, whose value is the number of its event.
"""

from . import dialects, embeddings, events, hdf5, images, legacy, others, sounds, stores
from .base import CASES, FORMATS, Case, Written

__all__ = [
    "CASES",
    "FORMATS",
    "Case",
    "Written",
    "dialects",
    "embeddings",
    "events",
    "hdf5",
    "images",
    "legacy",
    "others",
    "sounds",
    "stores",
]
