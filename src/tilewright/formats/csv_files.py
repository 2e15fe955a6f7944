"""CSV without a header: one file of rows of numbers, to which each event adds some.

In come StreamResources of mimetype `text/csv;header=absent`; Tiled's own adapter reads the files. Called through
the registry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.errors import InputError
from tilewright.formats.arrays import FileArray
from tilewright.formats.base import Format, Json

if TYPE_CHECKING:
    from collections.abc import Mapping

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


FORMAT = Format(mimetypes=("text/csv;header=absent",), open=CSVFiles)
