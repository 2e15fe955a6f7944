"""How rows travel to a server: an Arrow file, with what both ends have to agree on in its schema's metadata.

The delivery encodes with `encode_rows`; `tilewright.server` reads `FIRST_ROW`. A stock Tiled server knows nothing of
it, and passes over it. Both say by `checksum` in which order rows are.
"""

from __future__ import annotations

import json
import zlib

import numpy as np
import pyarrow as pa

ARROW_FILE = "application/vnd.apache.arrow.file"
FIRST_ROW = "tilewright.first_row"
"""Key in the metadata of the schema: which row of the server's table, from 0, the first one sent is.

A server that knows it passes over the rows it has, so that a request that arrives twice, or long after its client gave
it up and sent it again, changes nothing.
"""


def checksum(seq_nums: pa.ChunkedArray, before: int = 0) -> int:
    """Return the CRC-32 of a `seq_num` column: 64-bit integers, little-endian, and the smallest of them for a null.

    Parameters
    ----------
    seq_nums
        The column, or the next part of it.
    before
        The checksum of the parts before.

    Examples
    --------
    >>> whole = pa.chunked_array([[1, 2, 3]])
    >>> checksum(whole) == checksum(whole.slice(1), checksum(whole.slice(0, 1)))
    True
    """
    value = before
    for chunk in seq_nums.chunks:
        whole = chunk.cast(pa.int64(), safe=False).fill_null(np.iinfo(np.int64).min)
        value = zlib.crc32(whole.to_numpy(zero_copy_only=False).astype("<i8").tobytes(), value)
    return value


def encode_rows(table: pa.Table, first_row: int) -> bytes:
    """Return the content of a request that appends these rows."""
    notes = _pandas_notes(table.schema) | {FIRST_ROW.encode(): str(first_row).encode()}
    table = table.replace_schema_metadata(notes)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _pandas_notes(schema: pa.Schema) -> dict[bytes, bytes]:
    """Return what pandas would note in a schema if its columns were Arrow's.

    A stock Tiled server reads rows with `read_pandas`, and by these notes keeps Arrow's types. Without them it makes
    NumPy's, which have no null: an integer beside one becomes a float, and a NaN beside one becomes null.
    """
    columns = [
        {
            "name": field.name,
            "field_name": field.name,
            "metadata": None,
            # pandas writes `list<…>[pyarrow]` and does not know it when it reads.
            "pandas_type": "object" if pa.types.is_nested(field.type) else str(field.type),
            "numpy_type": "object" if pa.types.is_nested(field.type) else f"{field.type}[pyarrow]",
        }
        for field in schema
    ]
    creator = {"library": "pyarrow", "version": pa.__version__}
    notes = {
        "index_columns": [],
        "column_indexes": [],
        "columns": columns,
        "creator": creator,
        "pandas_version": "2.0",
    }
    return {b"pandas": json.dumps(notes).encode()}
