"""The framing of a TFRecord file: a path comes in, one record after the other goes out, and what is damaged.

Called by `sources.embeddings`, which parses what comes (`examples`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tilewright.tfrecords.records import Frame, OpenFile, end_of
from tilewright.tfrecords.searching import find_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tilewright.tfrecords.records import PathLike


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a file that are no record."""

    offset: int
    """The first one."""
    size: int
    """How many up to the next record, or to the end of the file."""
    reason: str
    """A clause on what is wrong at `offset`; further damage may follow right behind it, in the same bytes."""


def frames(path: PathLike) -> Iterator[Frame | Damage]:
    """Yield the records of a file in their order, and what lies between them: together all of its bytes, each once.

    Every record both of whose CRCs are right is found, whatever is before it. In memory is one record at a time. After damage the
    next record is looked for byte by byte: also in bytes that a wrong or truncated record claims for itself. So a damaged record whose
    data hold whole TFRecords gives these.

    Raises
    ------
    OSError
        If the file cannot be opened, or read.
    SetupError
        If the package google-crc32c is not installed.

    Examples
    --------
    >>> from tempfile import NamedTemporaryFile
    >>> from tilewright.tfrecords import framed
    >>> with NamedTemporaryFile() as file:
    ...     _ = file.write(framed(b"one") + framed(b"two").replace(b"two", b"owt") + framed(b"three"))
    ...     file.flush()
    ...     for one in frames(file.name):
    ...         print(one)
    Frame(offset=0, data=b'one', stored_crc=139804673)
    Damage(offset=19, size=19, reason="the CRC of the record's 3 bytes of data is wrong")
    Frame(offset=38, data=b'three', stored_crc=1174086496)
    """
    with OpenFile(path) as file:
        place = 0
        while place < file.size:
            found = file.frame_at(place)
            if isinstance(found, Frame):
                yield found
                place = end_of(place, len(found.data))
            else:
                end = _end_of_damage(file, place)
                yield Damage(place, end - place, found)
                place = end


def _end_of_damage(file: OpenFile, place: int) -> int:
    """Return where framing goes on behind a place at which there is no right record."""
    end, length = file.size, file.length_at(place)
    if length is not None and end_of(place, length) <= file.size:  # only the data are wrong, it seems
        end = end_of(place, length)
        inner = find_record(file, place + 1, end)  # unless bytes are missing, and the next record is in it
        if inner is not None:
            return inner
        if end == file.size or file.length_at(end) is not None:
            return end
        place = end - 1
    found = find_record(file, place + 1, file.size)
    return file.size if found is None else found
