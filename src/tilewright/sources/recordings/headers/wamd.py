"""In comes the `wamd` chunk of Wildlife Acoustics' older Song Meters, out comes what it tells; `metadata` calls it.

Numbered fields, each of an id (16 bits), a length (32 bits) and text. The newer ones write GUANO.

Source: Wildlife Acoustics, wa_meta.h 1.0 (docs/WildlifeAcoustics/WildlifeAcousticsMetadataHeader of QutEcoacoustics/emu).
"""

from __future__ import annotations

import re
import struct
from datetime import datetime
from typing import TYPE_CHECKING

from tilewright.documents.times import SECOND
from tilewright.sources.recordings.headers.told import Told, is_possible, number, place, split_zone, text_of

if TYPE_CHECKING:
    from datetime import tzinfo

SOURCE = "wamd"
_VERSION, _MODEL, _SERIAL, _FIRMWARE, _START, _GPS_FIRST, _POSITION, _INSIDE, _OUTSIDE = (
    0,
    1,
    2,
    3,
    5,
    6,
    0x14,
    0x15,
    0x16,
)
_FIELD = struct.Struct("<HI")
_MILLISECONDS = re.compile(r":\d\d\.\d{3}")
_PLACE = re.compile(r"WGS84,\s*([\d.]+),\s*([NS]),\s*([\d.]+),\s*([EW])(?:,\s*(-?[\d.]+))?")


def read(chunk: bytes) -> Told | None:
    """Return what a `wamd` chunk tells; None if it is of a version that is not known."""
    fields = _fields(chunk)
    if fields.get(_VERSION, b"")[:2] != b"\x01\x00":
        return None
    text = {kind: text_of(content) for kind, content in fields.items() if kind != _VERSION}
    clock, zone, remarks = _when(text.get(_START, ""))
    latitude, longitude, elevation = _where(text.get(_GPS_FIRST) or text.get(_POSITION) or "")
    temperature = number(text.get(_INSIDE, ""))
    return Told(
        SOURCE,
        clock,
        zone,
        SECOND // 1000 if _MILLISECONDS.search(text.get(_START, "")) else SECOND,
        device_id=text.get(_SERIAL) or None,
        model=text.get(_MODEL) or None,
        firmware=text.get(_FIRMWARE) or None,
        temperature_c=number(text.get(_OUTSIDE, "")) if temperature is None else temperature,
        latitude=latitude,
        longitude=longitude,
        elevation=elevation,
        remarks=remarks,
    )


def _fields(chunk: bytes) -> dict[int, bytes]:
    """Return the fields by their numbers; one that is cut short ends them."""
    found: dict[int, bytes] = {}
    position = 0
    while position + _FIELD.size <= len(chunk):
        kind, length = _FIELD.unpack_from(chunk, position)
        position += _FIELD.size
        if position + length > len(chunk):
            break
        found.setdefault(kind, chunk[position : position + length])
        position += length
    return found


def _when(text: str) -> tuple[datetime | None, tzinfo | None, tuple[str, ...]]:
    if not text:
        return None, None, ()
    try:
        clock, zone = split_zone(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None, None, (f"its wamd chunk tells a time that cannot be read: {text[:40]}",)
    return (
        (clock, zone, ())
        if is_possible(clock)
        else (None, None, (f"its wamd chunk tells a time that cannot be: {text}",))
    )


def _where(text: str) -> tuple[float | None, float | None, float | None]:
    match = _PLACE.search(text)
    if match is None:
        return None, None, None
    north, east = number(match[1]), number(match[3])
    if north is None or east is None:
        return None, None, None
    elevation = number(match[5]) if match[5] else None
    return *place(-north if match[2] == "S" else north, -east if match[4] == "W" else east), elevation
