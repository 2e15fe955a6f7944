"""Documents as no emitter should send them, and what must be readable of each run all the same.

`CASES` holds one `Case` for each way to be hostile: its documents, and of each run of it the values, what was set aside
beside its row, and which notes there must be. The unit tests take the cases through the recorder, the journal and the
plan without a server (`test_offline`), the end-to-end tests through a `TiledWriter` into a server and back
(`test_end_to_end`). Both hold what they read against the same expectations (`check`).

To add a case, write a function that yields documents into the module it belongs to:

    order    sound documents out of order, twice, too early, too late, of another run, of no run, altered afterwards
    fields   missing fields, fields of wrong types, documents that are none, odd numbers of events
    values   values of any type in events and in metadata
    names    data keys, streams and uids that no column, no path and no file can have for a name
    pages    event pages that are no tables
    files    stream resources and datums that describe no files
    sizes    too much, too deep, too many

The value of `x` is the number of its event, unless the case says otherwise, so that a value in a wrong place is seen.
"""

from . import fields, files, names, order, pages, sizes, values
from .base import CASES, Case, Found, Run, Sound, check, plain

__all__ = [
    "CASES",
    "Case",
    "Found",
    "Run",
    "Sound",
    "check",
    "fields",
    "files",
    "names",
    "order",
    "pages",
    "plain",
    "sizes",
    "values",
]
