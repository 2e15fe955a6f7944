"""Files that cannot be shown as an array: registered as bytes, to be found and downloaded.

In comes a StreamResource of any kind, sound or not; out goes a `bytes` node with its files. Called through the
registry for mimetypes without a format, and by the delivery when a format refused the documents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.documents import Notes, label, quoted
from tilewright.errors import InputError
from tilewright.formats.arrays import DATA_URIS, index_range, parameters_of, uri_of
from tilewright.formats.base import Asset, DataSource, Json
from tilewright.formats.naming import FileNames, NumberedFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

MIMETYPE = "application/octet-stream"


class UnknownFile:
    """Files as bytes; raises for no document, since nothing is left to fall back on.

    Parameters
    ----------
    resource
        The first StreamResource of the data key.
    reason
        Why it is not an array, as a clause for the notes; empty if the emitter declared it as bytes.
    """

    def __init__(self, resource: Mapping[str, Any], reason: str) -> None:
        self._data_key = resource.get("data_key")
        self._mimetype = resource.get("mimetype")
        self._parameters = _parameters(resource)
        self._files: dict[str, NumberedFiles] = {}  # by the resource's uid
        self._sequences: dict[FileNames, NumberedFiles] = {}
        self._assets: list[Asset] = []
        self._uris: set[str] = set()
        self._reason = reason
        self._notes = Notes()
        if reason:
            self._notes.add(f"{quoted(self._data_key)} is registered as bytes: {reason}")
        self.add_resource(resource)

    def add_resource(self, resource: Mapping[str, Any]) -> None:
        """List the resource's file, or get ready to list its files as datums name them."""
        try:
            uri = uri_of(resource)
        except InputError as error:
            self._notes.add(f"There is no file to register: {error}")
            return
        parameters = _parameters(resource)
        template = parameters.get("template")
        if not template:
            self._append_asset(uri)
            return
        try:
            names = FileNames.parse(uri, template, parameters.get("filename") or "")
        except InputError as error:
            self._notes.add(f"Only {label(uri)} is registered of its files: {error}")
            self._append_asset(uri)
            return
        files = self._sequences.setdefault(names, NumberedFiles(names))
        self._files[_key(resource.get("uid"))] = files

    def add_datum(self, datum: Mapping[str, Any]) -> None:
        """List the files of these frames, one each, where a template names them."""
        files = self._files.get(_key(datum.get("stream_resource")))
        if files is None:
            return
        try:
            start, stop = index_range(datum, "indices")
            uris = files.uris(start, stop, files_before=len(self._assets))
        except InputError as error:
            self._notes.add(f"Files of {quoted(self._data_key)} are not registered: {error}")
            return
        for uri in uris:
            self._append_asset(uri)

    def data_source(self) -> DataSource:
        """Return the registration, with what the documents said about the files among its properties."""
        return DataSource(
            structure_family="bytes",
            structure={},
            mimetype=MIMETYPE,
            properties={"mimetype": self._mimetype, "parameters": self._parameters} if self._reason else {},
        )

    @property
    def assets(self) -> list[Asset]:
        """All files so far, in order; only ever appended to."""
        return self._assets

    @property
    def metadata(self) -> dict[str, Json]:
        """Metadata for the node: the spec of a translated Resource."""
        spec = self._parameters.get("spec")
        return {"spec": spec} if spec else {}

    @property
    def notes(self) -> list[str]:
        """Why it is bytes, and what could not be registered."""
        return list(self._notes)

    def _append_asset(self, uri: str) -> None:
        if uri not in self._uris:
            self._uris.add(uri)
            self._assets.append(Asset(data_uri=uri, parameter=DATA_URIS, num=len(self._assets)))


def _parameters(resource: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return dict(parameters_of(resource))
    except InputError:  # the reason says so
        return {}


def _key(uid: Any) -> str:
    return uid if isinstance(uid, str) else quoted(uid)
