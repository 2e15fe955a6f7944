"""Of an array in files, the rows that its documents have promised.

In come what is in the files, lazily, and the shape that is registered; out goes an array of that shape. The adapters of
formats whose files grow call this on the server, at each request.

    file (7, 240, 320), registered (5, 1, 240, 320)    →  the first 5 frames, as (5, 1, 240, 320)
    files (7, 4, 5) and (6, 4, 5), registered (9, 4, 5),
    of which 4 rows are promised of the first file     →  4 of the first and 5 of the second
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tilewright.formats.arrays import ROWS
from tilewright.formats.checking import DECLARED, FILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def promised_rows(whole: Any, shape: tuple[int, ...]) -> Any:
    """Return as much of an array as a shape says.

    A detector writes on while its documents are on their way, and one that was interrupted has written frames that
    no document names. Tiled cuts off what is too much only where the file has the dimensions that are registered.

    Parameters
    ----------
    whole
        Array of what is in the files, rows along its first dimension; dask or numpy.
    shape
        As registered; may have dimensions of length 1 that the files lack, or several for the first one of theirs.

    Returns
    -------
    array
        Of that shape; `whole` itself where its rows are of another kind, for Tiled to compare or to refuse.

    Raises
    ------
    DataNotReadyError
        If the files hold fewer. Tiled's server answers that it may be tried again, if they were written to lately.

    Examples
    --------
    >>> import numpy as np
    >>> promised_rows(np.arange(12).reshape(6, 2), (2, 2, 2)).tolist()
    [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    """
    if whole.shape == tuple(shape) or not _has_rows_like(whole.shape, shape):
        return whole
    rows = math.prod(shape) // max(math.prod(whole.shape[1:]), 1)
    if len(whole) < rows:
        from tiled.adapters.utils import DataNotReadyError  # noqa: PLC0415 - on the server only

        raise DataNotReadyError(
            f"The files hold {len(whole)} along the first dimension, but {rows} are promised (shape {shape}). They"
            " may not have been written yet; try again later."
        )
    return whole[:rows].reshape(shape)


def _has_rows_like(whole: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Tell whether rows of files make up a shape: its last dimensions are those of a row, but for lengths of 1.

    Examples
    --------
    >>> _has_rows_like((7, 4, 5), (3, 1, 4, 5)), _has_rows_like((7, 1, 4, 5), (3, 4, 5)), _has_rows_like((7,), (3, 2))
    (True, True, True)
    >>> _has_rows_like((7, 4, 5), (3, 5, 4)), _has_rows_like((2, 0, 4, 5), (3, 4, 5))
    (False, False)
    """
    row = [length for length in whole[1:] if length != 1]
    declared = [length for length in shape if length != 1]
    return declared[len(declared) - len(row) :] == row if len(row) <= len(declared) else False


def rows_of_files(shape: Sequence[int], properties: Mapping[str, Any], files: int) -> list[int] | None:
    """Return how many rows of an array lie in each of its files, from the first on.

    A detector whose staging was interrupted has written frames that no document names, also into files that others
    follow. So it is not enough to cut off what is too much at the end.

    Parameters
    ----------
    shape
        As registered now.
    properties
        Of the data source: the rows promised of each file, which count what a StreamDatum counts; and what was declared,
        if less than that is registered.
    files
        How many files are registered.

    Returns
    -------
    list or None
        One number a file; 0 for those that are not to be opened. None if it is not known.

    Examples
    --------
    >>> rows_of_files((9, 4, 5), {"rows": [4, 5]}, 2), rows_of_files((18, 5), {"rows": [4, 5]}, 2)
    ([4, 5], [8, 10])
    >>> rows_of_files((6, 4, 5), {"rows": [4, 5], "declared": {"structure": {"shape": [9, 4, 5]}}}, 2)
    [4, 2]
    >>> rows_of_files((9, 4, 5), {}, 2)
    """
    promised = properties.get(ROWS)
    if promised is None or len(promised) != files or not sum(promised):
        return None
    declared = properties.get(DECLARED, {}).get("structure", {}).get("shape", shape)
    rows_of_one, rest = divmod(declared[0], sum(promised))
    if rest:
        return None
    left, rows = shape[0], []
    for number, each in enumerate(promised):
        in_use = number < properties.get(FILES, files)
        rows.append(min(each * rows_of_one, left) if in_use else 0)
        left -= rows[-1]
    return rows


def after_one_another(parts: Iterable[tuple[Any, int]], shape: tuple[int, ...]) -> Any:
    """Return arrays of files one after the other, of each so many rows of an array of this shape.

    Raises
    ------
    DataNotReadyError
        If a file holds fewer.
    """
    import dask.array  # noqa: PLC0415 - slow

    lazy: Any = dask.array  # whose functions have no types
    return lazy.concatenate([promised_rows(part, (rows, *shape[1:])) for part, rows in parts])


def without_rows(data_source: Any, node: Any) -> Any:
    """Return the adapter of an array in files of which nothing is promised yet, or published; None if something is.

    There may be no file of it.
    """
    structure = data_source.structure
    if data_source.structure_family != "array" or structure.shape[:1] != (0,):
        return None
    import numpy as np  # noqa: PLC0415 - on the server only
    from tiled.adapters.array import ArrayAdapter  # noqa: PLC0415

    nothing = np.empty(structure.shape, structure.data_type.to_numpy_dtype())
    return ArrayAdapter(nothing, structure, metadata=node.metadata_, specs=node.specs)
