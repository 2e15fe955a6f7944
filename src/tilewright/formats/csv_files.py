"""CSV without a header: one file of rows of numbers, to which each event adds some.

In come StreamResources of mimetype `text/csv;header=absent`. Called through the registry. `CSVAdapter` reads the files on
the server, up to the last line that the documents promise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiled.structures.array import BuiltinDtype

from tilewright.errors import InputError
from tilewright.formats.arrays import FileArray
from tilewright.formats.base import DataSource, FileFacts, Format, Json
from tilewright.formats.ranges import RANGES, join

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
MIMETYPE = "text/csv;header=absent"
_OF_DASK = "assume_missing"
"""An argument that Tiled hands on to dask; pandas, which reads the whole file, has no need of it."""
_LIMITS = frozenset(("nrows", "skipfooter"))
"""Arguments that say themselves where the lines end."""

_NOT_OF_PANDAS = frozenset({_OF_DASK, "nrows"})
"""Arguments without which the lines are counted."""
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


class CSVAdapter:
    """Makes the adapter of a CSV file in a catalog; Tiled names it by the mimetype.

    Tiled's own fails where there are more lines than were promised: an event that is being written. It is still asked for
    records of named fields, and where the emitter itself says where the lines end.
    """

    @classmethod
    def from_catalog(cls, data_source: Any, node: Any, /, **parameters: Any) -> Any:
        """Return the adapter.

        Raises
        ------
        ValueError
            If there are fewer lines than promised, or text that is no number.
        """
        import dask.array  # noqa: PLC0415 - slow
        import pandas as pd  # noqa: PLC0415
        from tiled.adapters.csv import CSVArrayAdapter as OfTiled  # noqa: PLC0415 - on the server only
        from tiled.utils import path_from_uri  # noqa: PLC0415

        structure = data_source.structure
        dtype = structure.data_type.to_numpy_dtype()
        if dtype.fields is not None or _LIMITS & parameters.keys():
            return OfTiled.from_catalog(data_source, node, **parameters)
        (asset,) = data_source.assets
        ranges = (data_source.properties or {}).get(RANGES, ())
        lines = max((stop for _, _, stop in ranges), default=structure.shape[0])
        arguments = {"header": None} | {key: value for key, value in parameters.items() if key != _OF_DASK}
        frame: Any = pd.read_csv(path_from_uri(asset.data_uri), nrows=lines, **arguments)
        if columns := arguments.get("usecols"):
            frame = frame[columns]  # in this order
        lazy: Any = dask.array  # whose functions have no types
        values = lazy.from_array(frame.to_numpy().astype(dtype))
        return OfTiled(
            join([values], ranges, structure.shape), structure, metadata=node.metadata_, specs=node.specs
        )


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
    described, is_limited = source.structure["data_type"], bool(_LIMITS & source.parameters.keys())
    if "fields" in described:  # each row is one value, whose fields are the columns
        return FileFacts((rows, 1), None, whole=True)
    declared = np.dtype(BuiltinDtype.from_json(described).to_numpy_dtype())
    return FileFacts((rows, columns), declared if _holds(declared, found) else found, whole=is_limited)


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


FORMAT = Format(
    mimetypes=(MIMETYPE,),
    open=CSVFiles,
    adapters={MIMETYPE: f"{__name__}:{CSVAdapter.__name__}"},
    measure=measure,
    watched=False,
)
