"""In come the tags of a FLAC file, out comes what they tell; `metadata` calls it.

Frontier Labs' BAR-LT writes what it knows into Vorbis comments; others at most a DATE.

Source: QutEcoacoustics/emu, src/Emu/Audio/Vendors/FrontierLabs/FrontierLabs.cs and FlacCommentExtractor.cs: "RecordingStart" is
when the first buffer was written, and counts more than the name, which is the schedule's; firmware 3.08 wrote it without a
zone, and places with a space between.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from tilewright.documents.times import utc_ns
from tilewright.sources.recordings.headers.told import Told, is_possible, place, split_zone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

SOURCE = "tags"
_STARTS = ("recordingstart", "recordingstarttimestamp", "date")
_ENDS = ("recordingend", "recordingendtimestamp")
_UNKNOWN = "unknown"
_VOLTS = re.compile(r"(\d+(?:\.\d+)?)\s*V\b", re.IGNORECASE)
_VERSION = re.compile(r"V?(\d+(?:\.\d+)+\S*)", re.IGNORECASE)
_PLACE = re.compile(r"([+-]?\d{1,2}\.\d+)[ ,]*([+-]?\d{1,3}\.\d+)")
_TIME_OF_DAY = re.compile(r"\d[T ]\d\d:?\d\d")
"""A DATE alone tells no start."""


def read(tags: Mapping[str, str]) -> Told | None:
    """Return what tags tell, whatever the case of their names; None if they tell nothing of the recording."""
    known = {
        name.lower(): value.strip()
        for name, value in tags.items()
        if value.strip() and value.strip().lower() != _UNKNOWN
    }
    start, end, remarks = _when(known)
    where = _PLACE.search(known.get("sensorlocation") or known.get("location") or "")
    latitude, longitude = place(float(where[1]), float(where[2])) if where else (None, None)
    volts = _VOLTS.search(known.get("batterylevel", ""))
    version = _VERSION.search(known.get("sensorfirmwareversion", ""))
    told = Told(
        SOURCE,
        *start,
        end_ns=end,
        device_id=known.get("sensoruid"),
        model="Frontier Labs" if "sensoruid" in known or version else None,
        firmware=version[1] if version else None,
        gain=", ".join(known[name] for name in sorted(known) if name.startswith("channelgain")) or None,
        battery_v=float(volts[1]) if volts else None,
        latitude=latitude,
        longitude=longitude,
        remarks=remarks,
    )
    return None if told == Told(SOURCE) else told


def _when(
    known: Mapping[str, str],
) -> tuple[tuple[datetime | None, tzinfo | None], int | None, tuple[str, ...]]:
    """Return the start's clock and zone, the end in nanoseconds UTC if its zone is told, and remarks."""
    first = next((known[name] for name in _STARTS if _TIME_OF_DAY.search(known.get(name, ""))), "")
    last = next((known[name] for name in _ENDS if name in known), "")
    remarks: list[str] = []
    clock, zone = _parsed(first, remarks)
    ends, zone_of_end = _parsed(last, remarks)
    end = None if ends is None or zone_of_end is None else utc_ns(ends.replace(tzinfo=zone_of_end))
    return (clock, zone), end, tuple(remarks)


def _parsed(text: str, remarks: list[str]) -> tuple[datetime | None, tzinfo | None]:
    if not text:
        return None, None
    try:
        clock, zone = split_zone(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        remarks.append(f"its tags tell a time that cannot be read: {text[:40]}")
        return None, None
    if is_possible(clock):
        return clock, zone
    remarks.append(f"its tags tell a time that cannot be: {text[:40]}")
    return None, None
