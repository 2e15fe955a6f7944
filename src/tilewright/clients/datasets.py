"""From rows and arrays to xarray: a stream's DataFrame and the clients of its arrays come in; a Dataset goes out.

`stream` calls this. Columns are in memory already; arrays stay dask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from tilewright.clients.frames import EXACT_INTEGERS, last_attempts

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping, Sequence


def make_dataset(
    rows: pd.DataFrame | None,
    arrays: Mapping[str, Any],
    dim0: str,
    *,
    in_step: Collection[str] = (),
    joined: Collection[str] = (),
) -> xr.Dataset:
    """Put columns and arrays side by side along the events.

    Parameters
    ----------
    rows
        ``seq_num``, ``time`` and the columns wanted, every attempt in the order taken; None for a stream
        without a table.
    arrays
        Data key → Tiled client of its array.
    dim0
        Name of the dimension of events.
    in_step
        Which of the arrays have a row for each row of the table. If the run is going on, one may have been asked for later
        than the other: as many rows are given as all have.
    joined
        Which of the arrays have the values of the events one after the other, along a dimension of their own.
    """
    values = {key: _values(client) for key, client in arrays.items()}
    if rows is not None:
        rows = rows.iloc[: min([len(rows), *(len(values[key]) for key in in_step)])]
        values |= {key: values[key][: len(rows)] for key in in_step}
    kept = slice(None) if rows is None else last_attempts(rows["seq_num"])
    coords: dict[str, Any] = {}
    variables: dict[Hashable, Any] = {}  # put together at the end: a Dataset that grows copies what it has
    sizes: dict[Hashable, int] = {}
    if rows is not None:
        last = rows.iloc[kept]
        sizes[dim0] = len(last)
        coords = {name: (dim0, to_numpy(last[name])) for name in ("time", "seq_num")}
        for name in last.columns.drop(["time", "seq_num"]):
            column = to_numpy(last[name])
            dims = (dim0, *(f"{name}_dim{i}" for i in range(1, column.ndim)))
            sizes |= zip(dims, column.shape, strict=True)
            variables[name] = (dims, column)
    for key, whole in values.items():
        events, declared = sizes.get(dim0, len(whole)), getattr(arrays[key], "dims", None)
        if key in joined:
            data, first = whole, _own_dim(key, len(whole), dim0, declared, sizes)
        else:
            has_attempts = rows is not None and len(whole) == len(rows) != events  # as the table has
            data = whole[kept] if has_attempts else whole
            first = dim0 if len(data) == events else f"{key}_dim0"
        array_dims = _dims(key, data.shape, first, declared, sizes)
        sizes |= zip(array_dims, data.shape, strict=True)
        variables[key] = (array_dims, data)
    return xr.Dataset(variables, coords=coords)


def to_numpy(column: pd.Series[Any]) -> np.ndarray[Any, Any]:
    """Return a column as a numpy array, of more dimensions for lists of one shape, without changing a value.

    >>> to_numpy(pd.Series([1, None], dtype="Int64"))
    array([ 1., nan])
    >>> to_numpy(pd.Series([2**60 + 1, None], dtype="Int64"))
    array([1152921504606846977, None], dtype=object)
    """
    missing = column.isna()
    if isinstance(column.dtype, pd.StringDtype) and not missing.any():
        return column.to_numpy(dtype=object).astype("U")
    if pd.api.types.is_extension_array_dtype(column.dtype):
        if pd.api.types.is_integer_dtype(column.dtype) and column.dropna().abs().lt(EXACT_INTEGERS).all():
            return column.to_numpy(dtype="float64", na_value=np.nan)
        values = column.to_numpy(dtype=object, copy=True)
        values[missing.to_numpy()] = None
        return values
    lists = [value for value in column if isinstance(value, np.ndarray)] if column.dtype == object else []
    if len(lists) == len(column) > 0 and len({value.shape for value in lists}) == 1:
        return _stacked(lists)
    return column.to_numpy()


def _stacked(lists: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Return arrays of one shape as one array; what Arrow leaves as arrays within arrays becomes dimensions, too.

    >>> nested = np.empty(2, dtype=object)
    >>> nested[:] = [np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])]
    >>> _stacked([nested, nested, nested, nested]).shape
    (4, 2, 3)
    """
    whole = np.stack(lists)
    inner = [value for value in whole.flat if isinstance(value, np.ndarray)] if whole.dtype == object else []
    if not inner or len(inner) < whole.size or len({value.shape for value in inner}) > 1:
        return whole
    values = _stacked(inner)
    return values.reshape(*whole.shape, *values.shape[1:])


def _values(client: Any) -> Any:
    """Return an array's values: dask for arrays; one object an event for ragged data, which is in memory."""
    data = client.read()
    if hasattr(data, "dask"):
        return data
    out = np.empty(len(data), dtype=object)
    for row, event in enumerate(data):
        out[row] = _event(event, client.dtype)
    return out


def _event(event: Any, dtype: np.dtype[Any]) -> Any:
    """Return the value of one event as an array; as nested lists if it is ragged within."""
    values = event.tolist()
    try:
        return np.array(values, dtype)
    except ValueError:
        return values


def _own_dim(
    key: str, length: int, dim0: str, declared: Sequence[str] | None, sizes: Mapping[Hashable, int]
) -> str:
    """Name the first dimension of an array that is not along the events, though it may be as long."""
    is_free = declared and declared[0] not in (dim0, "time", "seq_num")
    return declared[0] if declared and is_free and sizes.get(declared[0], length) == length else f"{key}_dim0"


def _dims(
    key: str, shape: Sequence[int], first: str, declared: Sequence[str] | None, sizes: Mapping[Hashable, int]
) -> tuple[str, ...]:
    """Name an array's dimensions: as the server says, unless a name is taken by another length."""
    names = [first]
    for axis, size in enumerate(shape[1:], start=1):
        name = declared[axis] if declared and len(declared) == len(shape) else f"{key}_dim{axis}"
        fits = sizes.get(name, size) == size and name not in names
        names.append(name if fits else f"{key}_dim{axis}")
    return tuple(names)
