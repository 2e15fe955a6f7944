"""What arrays in files have in common: counting rows, telling the structure, checking the documents.

In come one data key's StreamResources and StreamDatums; out goes its `DataSource`. Formats derive from
`FileArray` (whose files are named by resources) or `FileSequence` (whose files are named by frames).
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, ClassVar

from tilewright.documents import is_text, is_true, label, quoted, to_json
from tilewright.errors import InputError
from tilewright.formats.base import Asset, DataSource, Json
from tilewright.formats.layout import Join, Layout, read_layout
from tilewright.formats.ranges import RANGES, Ranges
from tilewright.formats.seq_nums import SeqNums

DATA_URIS = "data_uris"  # the argument for a list of files, in all of Tiled's adapters that take one
RATE = "rate"
"""Parameter of a StreamResource, and item of the array's metadata: samples a second, nominal. An event has as many rows of such an
array as its file has samples."""
MAX_INDEX = 1 << 53
"""Above any number of frames; a float would not tell the next one from it."""
_MOST_GAPS = 10  # ranges that a note lists


class FileArray:
    """An array each of whose StreamResources is one file, the rows of which follow those of the one before.

    Derived classes say how their format joins rows, and which of the resource's parameters the adapter takes.

    Parameters
    ----------
    resource
        The first StreamResource of the data key.
    descriptor
        The descriptor that declares the data key.

    Raises
    ------
    InputError
        If the documents do not describe an array of this format.
    """

    join: ClassVar[Join] = "stack"
    join_chunks: ClassVar[bool] = True
    repeated: ClassVar[tuple[str, ...]] = ()
    """Parameters that each further StreamResource has to repeat."""
    in_directories: ClassVar[bool] = False
    """Whether each asset is a directory and not a file."""

    def __init__(self, resource: Mapping[str, Any], descriptor: Mapping[str, Any]) -> None:
        self._notes: list[str] = []
        self.data_key = text(resource, "data_key")
        self._mimetype = text(resource, "mimetype")
        data_keys = required(descriptor, "data_keys")
        if self.data_key not in data_keys:
            raise InputError(
                f"StreamResource {quoted(resource.get('uid'))} is for data key {quoted(self.data_key)}, but its"
                f" descriptor has {', '.join(map(label, data_keys))}."
            )
        self._parameters: dict[str, Any] = dict(parameters_of(resource))
        self._layout = self._read_layout(data_keys[self.data_key])
        self._layout.check_chunks()
        self._layout.check_rows(1)
        self._rows = 0
        self._seq_nums = SeqNums()
        self._assets: list[Asset] = []
        self._uris: set[str] = set()
        self._resources: set[str] = set()
        self._number_of_uri: dict[str, int] = {}  # of the asset
        self._number: dict[str, int] = {}  # of the asset, by the resource's uid
        self._ranges = Ranges()
        self._adapter_parameters()  # refuses, before anything is registered, what the adapter could not read
        self.add_resource(resource)

    def add_resource(self, resource: Mapping[str, Any]) -> None:
        """Take note of a further StreamResource, whose rows follow those there are.

        Raises
        ------
        InputError
            If it cannot be part of the same array.
        """
        for field, own in (("data_key", self.data_key), ("mimetype", self._mimetype)):
            if text(resource, field) != own:
                raise InputError(
                    f"StreamResource {resource.get('uid')} has {field} {resource[field]!r}, and cannot continue an"
                    f" array whose {field} is {own!r}."
                )
        uid, parameters = text(resource, "uid"), parameters_of(resource)
        for name in self.repeated:
            if (parameters.get(name) or ()) != (self._parameters.get(name) or ()):
                raise InputError(
                    f"{uri_of(resource)} cannot continue the array {self.data_key!r}: its {name} is"
                    f" {parameters.get(name)!r}, and that of the files before it is {self._parameters.get(name)!r}."
                )
        self._add_resource(uid, uri_of(resource), parameters)
        self._resources.add(uid)

    def add_datum(self, datum: Mapping[str, Any]) -> None:
        """Extend by the frames of one StreamDatum.

        Raises
        ------
        InputError
            If its resource is not known, or a range runs backwards; the array is then as before.
        """
        uid = text(datum, "stream_resource")
        if uid not in self._resources:
            raise InputError(
                f"StreamDatum {datum.get('uid')} names StreamResource {uid}, which has not arrived."
            )
        start, stop = index_range(datum, "indices")
        first, last = index_range(datum, "seq_nums")
        self._layout.check_rows(self._rows + stop - start)
        self._add_files(uid, start, stop)
        self._rows += stop - start
        # Where a datum has more frames than events, or fewer, what is left over belongs to none.
        self._seq_nums.add(first, min(last, first + stop - start))

    def data_source(self) -> DataSource:
        """Return the registration as it stands now; costs no more for many assets than their chunks do."""
        return DataSource(
            structure_family="array",
            structure=self._layout.structure(self._rows),
            mimetype=self._mimetype,
            parameters=self._adapter_parameters(),
            properties=self._properties(),
        )

    @property
    def assets(self) -> list[Asset]:
        """All assets so far, in order; only ever appended to."""
        return self._assets

    @property
    def metadata(self) -> dict[str, Json]:
        """Metadata for the array's node: the spec of a translated Resource, the frames of each event, the rate of samples."""
        named = {
            "spec": self._parameters.get("spec"),
            "frame_per_point": self._parameters.get("multiplier"),
            RATE: self._parameters.get(RATE),
        }
        return {name: value for name, value in named.items() if value}

    @property
    def has_skips(self) -> bool:
        """Whether there are rows that belong to no event of their own, where each should have one."""
        return RATE not in self._parameters and self._rows > len(self._seq_nums)

    @property
    def notes(self) -> list[str]:
        """Sentences for the run's notes."""
        notes = list(self._notes)
        if self.has_skips:
            notes.append(
                f"{self.data_key!r} has {self._rows} rows in its files for {len(self._seq_nums)} different seq_nums."
            )
        if gaps := self._seq_nums.gaps:
            ranges = ", ".join(f"{start} to {stop - 1}" for start, stop in gaps[:_MOST_GAPS])
            more = f" and {len(gaps) - _MOST_GAPS} more ranges" if len(gaps) > _MOST_GAPS else ""
            notes.append(f"{self.data_key!r} has no rows in its files for seq_nums {ranges}{more}.")
        return notes

    def _read_layout(self, spec: Mapping[str, Any]) -> Layout:
        return read_layout(self._parameters, spec, join=self.join, join_chunks=self.join_chunks)

    def _adapter_parameters(self) -> dict[str, Json]:
        return {}

    def _properties(self) -> dict[str, Json]:
        """Say which rows of which file these are, where the structure does not: see `ranges`."""
        if self._ranges.is_plain and not self._assets[1:]:
            return {}
        return {RANGES: self._ranges.told(self._layout.row_length if self._layout.join == "concat" else 1)}

    def _add_resource(self, uid: str, uri: str, parameters: Mapping[str, Any]) -> None:  # noqa: ARG002 - for derived classes
        # A resource that several descriptors of a stream use comes once for each, but is one file.
        if uri not in self._uris:
            self._number_of_uri[uri] = len(self._assets)
            self._append_asset(uri)
        self._number[uid] = self._number_of_uri[uri]

    def _add_files(self, uid: str, start: int, stop: int) -> None:
        """Add these rows of the resource's file; or their files, where rows have files of their own."""
        self._ranges.add(self._number[uid], start, stop)

    def _append_file_of_row(self, uri: str) -> None:
        """Add the file of a row, which may be that of a row before."""
        # Tiled takes a file only once in an array. A fragment makes another URI of the same path.
        self._append_asset(f"{uri}#{len(self._assets)}" if uri in self._uris else uri)

    def _append_asset(self, uri: str) -> None:
        self._uris.add(uri)
        self._assets.append(Asset(uri, DATA_URIS, len(self._assets), is_directory=self.in_directories))


def required(doc: Mapping[str, Any], field: str) -> Any:
    """Return a field of a document that has to be there.

    Raises
    ------
    InputError
        If it is not.
    """
    if doc.get(field) is None:
        raise InputError(
            f"Document {quoted(doc.get('uid'))} has no {field!r}; it has {', '.join(map(label, doc))}."
        )
    return doc[field]


def text(doc: Mapping[str, Any], field: str) -> str:
    """Return a field of a document that has to be there, and be a text.

    Raises
    ------
    InputError
        If it is not.
    """
    value = required(doc, field)
    if not is_text(value):
        raise InputError(f"Document {quoted(doc.get('uid'))} has {field} {quoted(value)}; expected a text.")
    return str(value)


def uri_of(resource: Mapping[str, Any]) -> str:
    """Return the address of a StreamResource's file.

    Raises
    ------
    InputError
        If it has none that a file can have: neither a path nor a database holds a NUL.
    """
    uri = text(resource, "uri")
    if not uri or "\0" in uri:
        raise InputError(
            f"StreamResource {quoted(resource.get('uid'))} has uri {quoted(uri)}; expected an address."
        )
    return uri


def parameters_of(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters of a StreamResource, empty where it has none; arrays in them are lists.

    Raises
    ------
    InputError
        If they are no mapping.
    """
    parameters = resource.get("parameters")
    if not is_true(parameters):
        return {}
    if not isinstance(parameters, Mapping):
        raise InputError(
            f"StreamResource {quoted(resource.get('uid'))} has parameters {quoted(parameters)}; expected a mapping."
        )
    plain: dict[str, Any] = to_json(dict(parameters), lenient=True)[0]
    return plain


def index_range(datum: Mapping[str, Any], field: str) -> tuple[int, int]:
    """Return start and stop of a StreamDatum's `indices` or `seq_nums`.

    Raises
    ------
    InputError
        If it is no range of integers from 0, or runs backwards.
    """
    both = required(datum, field)
    try:
        start, stop = operator.index(both["start"]), operator.index(both["stop"])
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"StreamDatum {quoted(datum.get('uid'))}: {field} are {quoted(both)}; expected integers start and stop."
        ) from error
    if not 0 <= start <= stop < MAX_INDEX:
        raise InputError(
            f"StreamDatum {quoted(datum.get('uid'))}: {field} go from {quoted(start)} to {quoted(stop)};"
            f" expected 0 <= start <= stop < {MAX_INDEX}."
        )
    return start, stop
