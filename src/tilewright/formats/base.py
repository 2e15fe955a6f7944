"""What a format makes of stream documents: the description of one array node in Tiled.

In come StreamResource and StreamDatum documents (already in today's schema); out goes a `DataSource`
that the delivery registers, and that grows as datums arrive. Pure: nothing is opened or sent here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np

Json: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Asset:
    """One file (or directory) behind an array, as Tiled records it."""

    data_uri: str
    """`file://localhost/...` URI."""
    parameter: str | None
    """Name of the adapter's argument it feeds: `data_uris` for a list, `data_uri` for a single file."""
    num: int | None
    """Position in the list; None where `parameter` takes a single file."""
    is_directory: bool = False


@dataclass(frozen=True, slots=True)
class DataSource:
    """The present state of an array's registration; a later state of the same array replaces it."""

    structure_family: str
    """Tiled's family: `array`, `table`, or `bytes` for files of unknown format."""
    structure: Json
    """Tiled's structure as JSON: for an array `data_type`, `chunks`, `shape`, `dims`, `resizable`."""
    mimetype: str
    """Chooses the adapter on the server."""
    parameters: dict[str, Json] = field(default_factory=dict)
    """Keyword arguments of the adapter."""
    properties: dict[str, Json] = field(default_factory=dict)
    """Facts about the files that are not arguments of the adapter."""


class ExternalArray(Protocol):
    """One data key of one stream whose values lie in files. Grows; never shrinks."""

    def add_resource(self, resource: Mapping[str, Any]) -> None:
        """Take note of a further StreamResource for the same data key."""

    def add_datum(self, datum: Mapping[str, Any]) -> None:
        """Extend by the frames (`indices`) of one StreamDatum."""

    def data_source(self) -> DataSource:
        """Return the registration as it stands now."""

    @property
    def assets(self) -> list[Asset]:
        """All assets so far, in order; only ever appended to, so that a tail of it is an update."""
        ...

    @property
    def metadata(self) -> dict[str, Json]:
        """Metadata for the array's node."""
        ...

    @property
    def notes(self) -> list[str]:
        """Sentences for the run's notes: what was assumed or could not be understood."""
        ...


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What one file holds, as it says itself. The files of an array follow each other along their first dimension."""

    shape: tuple[int, ...]
    """Of the file's part of the whole: an image of (y, x) is (1, y, x), a dataset of n rows (n, y, x)."""
    dtype: np.dtype[Any] | None
    """As it is read; None where that is known only when the values are."""
    chunks: tuple[int, ...] | None = None
    """Sizes of the chunks in which the file stores it, one a dimension; None where it has no chunks."""
    whole: bool = False
    """Whether it can be read only whole, so that it must not hold more rows than were declared."""


@dataclass(frozen=True, slots=True)
class Format:
    """One external file format: what the registry holds and an entry point of `tilewright.formats` names."""

    mimetypes: tuple[str, ...]
    """Of the StreamResources it understands."""
    open: Callable[[Mapping[str, Any], Mapping[str, Any]], ExternalArray]
    """Makes the array of a data key from its first StreamResource and its descriptor, or raises `InputError`."""
    adapters: Mapping[str, str] = field(default_factory=dict)
    """Adapters to mount on the server, "package.module:Class" by mimetype; empty where Tiled has its own."""
    measure: Callable[[Path, DataSource], FileFacts] | None = None
    """Looks into one file (or directory) of an array, without reading its values where that can be helped.

    Called by `tilewright.formats.looking`. Whatever it raises is taken to say that the file is damaged. None: of the
    files it is only known whether they are there and can be opened.
    """
    measure_url: Callable[[str, DataSource], FileFacts] | None = None
    """The same of an array at a URL; None: what is there cannot be looked into."""
    watched: bool = True
    """Whether an array is published only as far as its files are there, while its detector writes them.

    False where `measure` takes long, for it is called whenever rows have come; or where a file can be read only when it holds just
    what is promised of it.
    """
