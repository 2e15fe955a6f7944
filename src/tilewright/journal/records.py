"""The bytes of a journal file: a header and records. The writer packs them, the reader takes them apart.

The format, all integers little-endian:

    header   8 bytes magic, u16 version, u32 length, u32 CRC-32, then `length` bytes of MessagePack (a map)
    record   u32 length, u32 CRC-32 of the payload, then the payload (see `encoding`)
    record   …

The CRC of a record goes on from that of the run's uid. So a record of another run is no record here: neither one that a document carries in it, nor one that a file system has put into the wrong file.

A record that ends past the end of the file is a *torn tail*: a write cut short by a crash, or one still under way.
What is no record and no torn tail is *damage*: it is reported with its byte range and skipped.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

import ormsgpack

from tilewright.documents import MAX_ARRAY_SIZE
from tilewright.errors import InputError
from tilewright.journal.names import place, public_name

if TYPE_CHECKING:
    from collections.abc import Mapping

MAGIC = b"TILEWRJ\n"
VERSION = 1
FIXED = struct.Struct("<8sHII")
"""The part of the header that says how long the rest is."""
RECORD = struct.Struct("<II")
"""What stands before a payload: its length in bytes, and its checksum."""
MAX_RECORD_BYTES = 1 << 30
"""A longer payload is not taken, and a length past this is damage."""
MAX_HEADER_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class Header:
    """What a journal says of itself in front of its records."""

    run: str
    """uid of the run."""
    catalog: str | None
    """Where the run is to be delivered: a URI, or a directory; None if anywhere. Made free of keys and passwords.

    Of a header that is damaged only the digits in the file's name may be left: `@` and these.
    """
    created: float
    """Seconds since the epoch, UTC."""
    software: str
    """Name and version of what wrote it."""
    spec_to_mimetype: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Mimetypes of the specs that older Resource documents name, where the writer was told better ones."""
    path_map: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Rules for paths that differ between machines, from prefix → to prefix; see `documents.path_map`."""
    max_array_size: int = MAX_ARRAY_SIZE
    """Elements of an array in an event that stays in the table; -1 for all."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "catalog", public_name(self.catalog))

    @property
    def place(self) -> str:
        """What stands for the catalog in the name of the file."""
        is_all_there_is = self.catalog is not None and self.catalog.startswith("@")
        return self.catalog or "" if is_all_there_is else place(self.catalog)

    def is_for(self, catalog: str) -> bool:
        """Say whether the run is to be delivered to a catalog."""
        return self.catalog is None or self.place == place(catalog)

    def encode(self) -> bytes:
        """Return the file's first bytes."""
        payload = ormsgpack.packb({name: getattr(self, name) for name in _FIELDS})
        return FIXED.pack(MAGIC, VERSION, len(payload), zlib.crc32(payload)) + payload

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the header in the bytes after the fixed part; fields of later software are passed over.

        Raises
        ------
        InputError
            If it is not one.
        """
        try:
            said: dict[str, Any] = ormsgpack.unpackb(payload)
            return cls(**{name: said[name] for name in _FIELDS if name in said})
        except (ValueError, TypeError) as error:
            raise InputError(f"no header of a journal: {error}") from error


_FIELDS = tuple(each.name for each in fields(Header))


@dataclass(frozen=True, slots=True)
class Damage:
    """A range of bytes, `start` to `stop`, that could not be read, and why."""

    start: int
    stop: int
    reason: str

    def __str__(self) -> str:
        """Return the sentence a user reads."""
        return f"bytes {self.start} to {self.stop}: {self.reason}"


def seed_of(run: str) -> int:
    """Return what the checksums of a run's records go on from."""
    return zlib.crc32(run.encode("utf-8", "surrogatepass"))
