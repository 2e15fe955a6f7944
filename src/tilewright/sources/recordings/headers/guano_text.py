"""In comes a `guan` chunk, out comes what it tells; `metadata` calls it.

Sources: the GUANO specification (https://guano-md.org); its `OAD|…` fields from OpenAcousticDevices/AudioMoth-Firmware-Basic,
src/main.c, writeGuanoData; its `WA|…` fields from the Song Meter Mini 2 and Micro 2 User Guides, "GUANO Metadata Fields".
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tilewright.documents.notes import quoted
from tilewright.documents.times import SECOND
from tilewright.sources.recordings.headers.audiomoth import GAINS
from tilewright.sources.recordings.headers.told import Told, is_possible, number, place, split_zone, text_of

if TYPE_CHECKING:
    from datetime import tzinfo

SOURCE = "GUANO"
_TIMESTAMP = re.compile(r"^\s*Timestamp\s*:(.*)$", re.MULTILINE)
_FRACTION = re.compile(r":\d\d\.(\d{1,9})")
_OAD_GAIN = re.compile(r"\bGAIN ([0-4])\b")
_PAIR = 2


def read(chunk: bytes, rate: int) -> Told | None:
    """Return what a `guan` chunk tells of a file of `rate` Hz; None if it tells nothing."""
    text = text_of(chunk)
    fields, remarks = _fields(text)
    if not fields:
        return Told(SOURCE, remarks=remarks) if remarks else None
    clock, zone, precision, about_time = _when(fields, text)
    latitude, longitude = _where(fields)
    inside = number(fields.get("Temperature Int", ""))
    return Told(
        SOURCE,
        clock,
        zone,
        precision,
        device_id=_text(fields, "Serial"),
        model=_text(fields, "Model") or _text(fields, "Make"),
        firmware=_text(fields, "Firmware Version"),
        gain=_gain(fields),
        battery_v=number(fields.get("OAD|Battery Voltage", fields.get("Battery Voltage", ""))),
        temperature_c=number(fields.get("Temperature Ext", "")) if inside is None else inside,
        latitude=latitude,
        longitude=longitude,
        elevation=number(fields.get("Loc Elevation", "")),
        remarks=(*remarks, *about_time, *_about_rate(fields, rate)),
    )


def _fields(text: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields by their names with namespaces. guano gives up at a line that has no colon, or a zone of years."""
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        return _parsed("\n".join(lines)), ()
    except Exception:  # noqa: BLE001 - whatever it stumbles over, the other lines are fine
        fields: dict[str, Any] = {}
        bad = []
        for line in lines:
            try:
                fields |= _parsed(line)
            except Exception:  # noqa: BLE001
                bad.append(line)
        return fields, (
            f"its GUANO has lines that cannot be read, such as {quoted(bad[0], 40)}",
        ) if bad else ()


def _parsed(text: str) -> dict[str, Any]:
    from guano import GuanoFile  # noqa: PLC0415 - of the extra "audio"

    return dict(GuanoFile.from_string(text).items())


def _when(fields: dict[str, Any], text: str) -> tuple[datetime | None, tzinfo | None, int, tuple[str, ...]]:
    """Return clock, zone and precision. guano leaves as text what it cannot read, such as more than six decimals."""
    told = fields.get("Timestamp")
    if told is None:
        return None, None, SECOND, ()
    written = _TIMESTAMP.search(text)
    shown = written[1].strip()[:40] if written else ""
    try:
        clock, zone = split_zone(told if isinstance(told, datetime) else datetime.fromisoformat(told))
    except (ValueError, OverflowError):
        return None, None, SECOND, (f"its GUANO tells a time that cannot be read: {shown}",)
    if not is_possible(clock):
        return None, None, SECOND, (f"its GUANO tells a time that cannot be: {shown}",)
    fraction = _FRACTION.search(shown)
    return clock, zone, 10 ** (9 - min(len(fraction[1]), 6)) if fraction else SECOND, ()


def _where(fields: dict[str, Any]) -> tuple[float, float] | tuple[None, None]:
    told = fields.get("Loc Position")
    return place(*told) if isinstance(told, tuple) and len(told) == _PAIR else (None, None)


def _text(fields: dict[str, Any], name: str) -> str | None:
    return str(fields[name]).strip() or None if name in fields else None


def _gain(fields: dict[str, Any]) -> str | None:
    """Return an AudioMoth's setting by its name, a Song Meter's in dB for each channel."""
    if setting := _OAD_GAIN.search(str(fields.get("OAD|Recording Settings", ""))):
        return GAINS[int(setting[1])]
    try:
        channels = json.loads(str(fields.get("WA|Song Meter|Audio settings", "[]")))
        return ", ".join(f"{channel['gain']} dB" for channel in channels) or None
    except (ValueError, TypeError, KeyError):
        return None


def _about_rate(fields: dict[str, Any], rate: int) -> tuple[str, ...]:
    """Return a remark if the file plays at another rate than it was recorded at: an expanded one."""
    told = fields.get("Samplerate")
    if not isinstance(told, int) or told == rate:
        return ()
    return (f"its GUANO says that it was recorded at {told} Hz, and it plays at {rate} Hz",)
