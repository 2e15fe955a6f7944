"""CSV without a header: one file of rows of numbers, to which each event adds some.

In come StreamResources of mimetype `text/csv;header=absent`; Tiled's own adapter reads the files. Called through
the registry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiled.structures.array import BuiltinDtype

from tilewright.errors import InputError
from tilewright.formats.arrays import FileArray
from tilewright.formats.base import DataSource, FileFacts, Format, Json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

_ARGUMENTS = frozenset(
    (
        "assume_missing",
        "comment",
        "delimiter",
        "dtype",
        "encoding",
        "header",
        "names",
        "nrows",
        "sep",
        "skipfooter",
        "skiprows",
        "usecols",
    )
)

_NOT_OF_PANDAS = frozenset({"assume_missing", "nrows"})  # dask's, and what cuts off the array
_LINES_AT_ONCE = 100_000
_WIDTH = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}
"""Kinds of numbers: each takes the narrower ones."""


class CSVFiles(FileArray):
    """Rows of one file."""

    join = "concat"
    join_chunks = False

    def _add_resource(self, uid: str, uri: str, parameters: Mapping[str, Any]) -> None:
        if self._assets and uri not in self._uris:
            raise InputError(
                f"{uri} cannot continue the array {self.data_key!r}: Tiled's adapter counts the rows of one CSV file"
                f" only, {self._assets[0].data_uri}. Give each file a data key of its own."
            )
        super()._add_resource(uid, uri, parameters)

    def _adapter_parameters(self) -> dict[str, Json]:
        return {"header": None} | {
            name: value for name, value in self._parameters.items() if name in _ARGUMENTS
        }


def measure(path: Path, source: DataSource) -> FileFacts:
    """Count the rows and columns of a file; the only way to do so is to read it.

    Text has no dtype of its own: it is the declared one, unless the numbers in it would not fit.

    Raises
    ------
    pandas.errors.ParserError, pandas.errors.EmptyDataError, UnicodeDecodeError
        If it is no such text.
    """
    import numpy as np  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415 - slow to import

    arguments = {name: value for name, value in source.parameters.items() if name not in _NOT_OF_PANDAS}
    rows, columns, found = 0, 0, np.dtype("i1")
    with pd.read_csv(path, **{"header": None, **arguments}, chunksize=_LINES_AT_ONCE) as parts:
        for part in parts:
            rows, columns = rows + len(part), len(part.columns)
            dtypes = [dtype if isinstance(dtype, np.dtype) else np.dtype(object) for dtype in part.dtypes]
            found = np.result_type(found, *dtypes)
    described = source.structure["data_type"]
    if "fields" in described:  # each row is one value, whose fields are the columns
        return FileFacts((rows, 1), None, whole=True)
    declared = np.dtype(BuiltinDtype.from_json(described).to_numpy_dtype())
    return FileFacts((rows, columns), declared if _holds(declared, found) else found, whole=True)


def _holds(declared: np.dtype[Any], found: np.dtype[Any]) -> bool:
    """Say whether text in which pandas has seen one dtype may be declared to be of another.

    >>> import numpy as np
    >>> [_holds(np.dtype(one), np.dtype(other)) for one, other in (
    ...     ("f8", "i8"), ("i8", "f8"), ("u2", "i8"), ("u2", "O"), ("U9", "i8")
    ... )]
    [True, False, True, False, True]
    """
    if declared.kind not in _WIDTH:
        return True  # any text may be such a text or time
    return found.kind in _WIDTH and _WIDTH[declared.kind] >= _WIDTH[found.kind]


FORMAT = Format(mimetypes=("text/csv;header=absent",), open=CSVFiles, measure=measure, watched=False)
