"""From Arrow to pandas: the columns of a table as they came, and their declared types, come in; a DataFrame goes out.

`stream` calls this. Nothing here asks a server.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd
    import pyarrow as pa

EXACT_INTEGERS = 2**53
"""Below this every whole number is a float64."""


def to_frame(table: pa.Table, types: Mapping[str, pa.DataType]) -> pd.DataFrame:
    """Turn Arrow columns into pandas columns without changing a value.

    Whole numbers and booleans with gaps become pandas' ``Int64`` and ``boolean``; floats have NaN for null;
    strings are ``str``; a list is a 1-D numpy array, None where null.

    Parameters
    ----------
    table
        Columns as the server sent them. Tiled reads its tables through pandas, which turns whole numbers
        with gaps into floats and columns without a value into nothing in particular.
    types
        Column → the type declared when the table was made, by which that is put right.

    Warns
    -----
    UserWarning
        Whole numbers past 2**53 arrived as floats, so that they may be off; they are left floats.
    """
    import pandas as pd  # noqa: PLC0415  # heavy

    columns = {name: _series(name, table[name], types[name]) for name in table.column_names}
    return pd.DataFrame(columns, columns=table.column_names, copy=False)  # the columns are nobody else's


def last_attempts(seq_num: pd.Series[Any]) -> np.ndarray[Any, Any] | slice:
    """Return which rows are the last of their seq_num, as positions in the order taken; a slice if that is all.

    A plan that is rewound repeats seq_num:

    >>> import pandas as pd
    >>> last_attempts(pd.Series([1, 2, 3, 2, 3, 4]))
    array([0, 3, 4, 5])
    >>> last_attempts(pd.Series([1, 2, 3]))
    slice(None, None, None)

    A row without seq_num repeats none.
    """
    values = seq_num.to_numpy()
    # The usual case, told in a tenth of the time, and nothing has to be copied.
    if values.dtype.kind in "iu" and bool((values[1:] > values[:-1]).all()):
        return slice(None)
    kept: np.ndarray[Any, Any] = (~seq_num.duplicated(keep="last") | seq_num.isna()).to_numpy().nonzero()[0]
    return kept


def _series(name: str, column: pa.ChunkedArray[Any], declared: pa.DataType) -> pd.Series[Any]:
    import pandas as pd  # noqa: PLC0415  # heavy
    import pyarrow as pa  # noqa: PLC0415  # heavy

    column = _as_declared(name, column, declared)
    text = pd.StringDtype(na_value=math.nan)  # what pandas 3 calls "str"
    dtypes: dict[pa.DataType, Any] = {pa.string(): text, pa.large_string(): text}
    if column.null_count:
        dtypes |= {
            pa.int8(): pd.Int8Dtype(),
            pa.int16(): pd.Int16Dtype(),
            pa.int32(): pd.Int32Dtype(),
            pa.int64(): pd.Int64Dtype(),
            pa.uint8(): pd.UInt8Dtype(),
            pa.uint16(): pd.UInt16Dtype(),
            pa.uint32(): pd.UInt32Dtype(),
            pa.uint64(): pd.UInt64Dtype(),
            pa.bool_(): pd.BooleanDtype(),
        }
    series: pd.Series[Any] = column.to_pandas(types_mapper=dtypes.get)
    return series


def _as_declared(name: str, column: pa.ChunkedArray[Any], declared: pa.DataType) -> pa.ChunkedArray[Any]:
    """Give back the declared type where the server's way through pandas lost it, and only there."""
    import pyarrow as pa  # noqa: PLC0415  # heavy
    import pyarrow.compute as pc  # noqa: PLC0415  # heavy

    types = pa.types
    sent = column.type
    untyped = types.is_null(sent) or (types.is_list(sent) and types.is_null(sent.value_type))
    if untyped:
        return column.cast(declared)
    if not (types.is_floating(sent) and types.is_integer(declared)):
        return column
    largest = pc.max(pc.abs(column)).as_py()
    if largest is not None and largest >= EXACT_INTEGERS:
        warnings.warn(
            f"Column {name!r} holds whole numbers past 2**53 beside missing values, and this Tiled server sends "
            "such a column as floats: its largest values may be off in the last digits. They are left floats.",
            stacklevel=6,
        )
        return column
    return column.cast(declared)
