"""How tables and sounds travel: a DataFrame with Arrow-backed columns, or samples, come in, the bytes of a response go out; and back.

Tiled calls the serializers where its configuration says so (`media_types`: `serve` and `server_config/` do): its own
do not know columns of lists. `tilewright.server.catalog` puts `from_arrow` in the place of Tiled's deserializer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tiled.media_type_registration import default_deserialization_registry
from tiled.media_type_registration import default_serialization_registry as tiled_registry
from tiled.utils import SerializationError

from tilewright.errors import TilewrightError
from tilewright.formats.arrays import RATE
from tilewright.tables.wire import ARROW_FILE, FIRST_ROW

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

PARQUET = "application/x-parquet"
TEXTS = ("application/json", "application/json-seq", "text/csv", "text/plain", "text/html")
"""Forms that show a list as `[1, 2]`."""

_HERE = "tilewright.server.serialization"
WAV = "audio/wav"
MEDIA_TYPES = {
    "array": {WAV: f"{_HERE}:wav"},
    "table": {ARROW_FILE: f"{_HERE}:arrow", PARQUET: f"{_HERE}:parquet"}
    | dict.fromkeys(TEXTS, f"{_HERE}:text"),
}
"""What stands under `media_types` in Tiled's configuration."""


def register() -> None:
    """Let all servers of this process read what clients send with `from_arrow`; can be repeated.

    Tiled's configuration has no place for this, so it is the registry's default that changes.
    """
    default_deserialization_registry.register("table", ARROW_FILE, from_arrow)


def arrow(_mimetype: str, frame: pd.DataFrame, _metadata: Mapping[str, Any]) -> memoryview:
    """Return the frame as an Arrow file, each column with exactly its type."""
    table = _table(frame)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def parquet(_mimetype: str, frame: pd.DataFrame, _metadata: Mapping[str, Any]) -> memoryview:
    """Return the frame as a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(_table(frame), sink)
    return memoryview(sink.getvalue())


def text(mimetype: str, frame: pd.DataFrame, metadata: Mapping[str, Any]) -> Any:
    """Return what Tiled's own serializer makes of the frame, with lists as Python's lists."""
    lists = [name for name in frame.columns if _is_list(frame[name].dtype)]
    plain = frame.assign(**{name: _python_lists(frame[name]) for name in lists})
    return tiled_registry.dispatch("table", mimetype.partition(";")[0])(mimetype, plain, metadata)


def wav(_mimetype: str, samples: np.ndarray[Any, Any], metadata: Mapping[str, Any]) -> bytes:
    """Return samples of a recording as a WAV file, which browsers play.

    Raises
    ------
    SerializationError
        If it is no recording, which has its `rate` among its metadata. Tiled answers 406, with the reason.
    """
    from tilewright.audio import encode_wav  # noqa: PLC0415 - only who listens needs it

    rate = metadata.get(RATE)
    if not isinstance(rate, int):
        raise SerializationError("it is no recording: its metadata have no rate")
    try:
        return encode_wav(samples, rate)
    except TilewrightError as error:
        raise SerializationError(str(error)) from error


def from_arrow(buffer: bytes) -> pd.DataFrame:
    """Return the frame that a client sent as an Arrow file, every integer and every null as it was.

    Tiled's own goes through NumPy, where an integer column with nulls turns to float64. Lists are NumPy arrays, as
    in Tiled's, for what it writes to Parquet; a null among a list's floats is NaN. If the client said which row of
    the table the first one is, `frame.attrs` has it as `FIRST_ROW`.
    """
    file = pa.ipc.open_file(buffer)
    frame: pd.DataFrame = file.read_pandas(
        types_mapper=lambda kind: None if pa.types.is_nested(kind) else pd.ArrowDtype(kind),
        integer_object_nulls=True,
    )
    first_row = (file.schema.metadata or {}).get(FIRST_ROW.encode())
    if first_row is not None:
        frame.attrs[FIRST_ROW] = int(first_row)
    return frame


def _table(frame: pd.DataFrame) -> pa.Table:
    """Return the frame as an Arrow table that pandas reads as what Tiled's clients are used to, without loss.

    pandas writes down `int64[pyarrow]` as the type of a column. A client would get such columns where it had NumPy's
    from Tiled, and fail on `list<item: int64>[pyarrow]`, which pandas does not know when it reads.
    """
    table = pa.Table.from_pandas(frame)
    notes = json.loads(table.schema.metadata[b"pandas"])
    for column in notes["columns"]:
        if column["numpy_type"].endswith("[pyarrow]"):
            column["numpy_type"] = _pandas_type(table.column(column["field_name"]))
    return table.replace_schema_metadata(table.schema.metadata | {b"pandas": json.dumps(notes).encode()})


def _pandas_type(column: pa.ChunkedArray[Any]) -> str:
    """Return the type to read a column as: NumPy's (`object` leaves that to pandas) unless nulls would spoil it."""
    if column.null_count and pa.types.is_integer(column.type):
        name = str(column.type)
        return name.replace("uint", "UInt") if name.startswith("u") else name.replace("int", "Int")
    return "boolean" if column.null_count and pa.types.is_boolean(column.type) else "object"


def _is_list(dtype: Any) -> bool:
    return isinstance(dtype, pd.ArrowDtype) and pa.types.is_nested(dtype.pyarrow_dtype)


def _python_lists(column: pd.Series[Any]) -> pd.Series[Any]:
    values = pa.array(column).to_pylist()
    return pd.Series(values, index=column.index, dtype=object)
