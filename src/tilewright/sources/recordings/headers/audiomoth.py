"""In come the comment and the artist that an AudioMoth writes, out comes what they tell; `metadata` calls it.

metamoth knows the comments of the firmwares 1.0 to 1.6; later ones (frequency triggers, magnetic switches) it refuses as a
whole. Time, zone and id are read here in any case: metamoth takes the minutes of a zone west of Greenwich as east of it
(UTC-9:45 as -8:15), and a deployment's id as the device's.

Source: OpenAcousticDevices/AudioMoth-Firmware-Basic, src/main.c, setHeaderComment, of the firmwares 1.0 to 1.11.1.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tilewright.sources.recordings.headers.told import Told, is_possible
from tilewright.sources.recordings.names import TRIGGERED
from tilewright.sources.zones import offset_zone

if TYPE_CHECKING:
    from datetime import tzinfo

SOURCE = "AudioMoth comment"
_TIME = re.compile(r"Recorded at ((\d\d):(\d\d):(\d\d) (\d\d)/(\d\d)/(\d{4}))")
_ZONE = re.compile(r" \(UTC(?:(?P<sign>[+-])(?P<hours>\d{1,2}))?(?::\s?(?P<minutes>\d{1,2}))?\)")
_OWNER = re.compile(r" (?P<kind>by AudioMoth|during deployment) (?P<id>[0-9A-Fa-f]{16})\b")
_ARTIST = re.compile(r"AudioMoth ([0-9A-Fa-f]{16})\b")
_ID = re.compile(r"[0-9A-F]{16}")
_TRIGGER = re.compile(r"Amplitude threshold was|Frequency trigger")
_BATTERY = re.compile(r"battery (?:state )?was (less than |greater than |[<>] ?)?(\d+\.\d+)V")
_TEMPERATURE = re.compile(r"temperature was (-?\d+\.\d+)C")
_GAIN = re.compile(r"at (low|low-medium|medium|medium-high|high) gain")
GAINS = ("low", "low-medium", "medium", "medium-high", "high")
"""By the number of the setting."""
_FULL_BATTERY = 5.0
"""What metamoth makes of "greater than 4.9V"."""


def read(comment: str, artist: str = "") -> Told | None:
    """Return what a comment (ICMT) and an artist (IART) tell; None if they are no AudioMoth's.

    A file that was split or aligned on a computer has another comment, and is still the device's by its artist.
    """
    owner, by = _OWNER.search(comment), _ARTIST.search(artist)
    time = _TIME.match(comment)
    if by is None and (time is None or owner is None):
        return None
    device, deployment = _whose(owner, by)
    if time is None:
        return Told(SOURCE, device_id=device, unit=deployment, model="AudioMoth")
    clock, zone, remarks = _when(comment, time)
    more, remark = _settings(comment)
    return Told(
        SOURCE,
        clock,
        zone,
        device_id=device,
        unit=deployment,
        model="AudioMoth",
        remarks=(*remarks, *remark, *((TRIGGERED,) if _TRIGGER.search(comment) else ())),
        **more,
    )


def _whose(owner: re.Match[str] | None, by: re.Match[str] | None) -> tuple[str | None, str | None]:
    """Return the device's id, and that of the deployment if it was given one instead."""
    device = by[1].upper() if by else None
    if owner is None:
        return device, None
    if owner["kind"] == "by AudioMoth":
        return device or owner["id"].upper(), None
    return device, owner["id"].upper()


def _when(comment: str, time: re.Match[str]) -> tuple[datetime | None, tzinfo | None, tuple[str, ...]]:
    """Return clock and zone. Firmware 1.0 tells no zone, and its clock is UTC."""
    hour, minute, second, day, month, year = map(int, time.groups()[1:])
    try:
        clock = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - the zone stands elsewhere
    except ValueError:
        clock = None
    if clock is None or not is_possible(clock):
        return None, None, (f"its AudioMoth comment tells a time that cannot be: {time[1]}",)
    rest = comment[time.end() :]
    if rest.startswith(" by AudioMoth"):
        return clock, UTC, ()
    written = _ZONE.match(rest)
    zone = None if written is None else _zone(**written.groupdict())
    return clock, zone, () if zone else ("its AudioMoth comment tells a zone that cannot be read",)


def _zone(sign: str | None, hours: str | None, minutes: str | None) -> tzinfo | None:
    if sign is None:  # firmware 1.2.2 wrote (UTC:30) east and west of Greenwich
        return UTC if minutes is None else None
    return offset_zone(sign, hours or 0, minutes)


def _settings(comment: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return battery, temperature, gain and firmware, and a remark if it was not metamoth that read them."""
    version, parsed = _by_metamoth(comment)
    if parsed is None:
        return _settings_by_hand(comment), ("its AudioMoth comment is of a form that metamoth does not know",)
    return {
        "battery_v": parsed.battery_state_v,
        "temperature_c": getattr(parsed, "temperature_c", None),
        "gain": GAINS[parsed.gain.value],
        "firmware": f"{version} or later",
    }, ()


def _by_metamoth(comment: str) -> tuple[str, Any]:
    """Return the first firmware that writes so, and what metamoth reads; None for that if there is none.

    As its `parse_comment` does, without the copy that this makes of all it read: half of the time that a file takes.
    """
    from metamoth.parsing import MessageFormatError, parsers  # noqa: PLC0415 - of the extra "audio"

    for version, parser in parsers.items():
        try:
            return version, parser(comment)
        except MessageFormatError:
            continue
        except Exception:  # noqa: BLE001 - whatever it stumbles over, the rest of the file is fine
            break
    return "", None


def _settings_by_hand(comment: str) -> dict[str, Any]:
    battery, temperature, gain = _BATTERY.search(comment), _TEMPERATURE.search(comment), _GAIN.search(comment)
    is_full = battery is not None and (battery[1] or "").startswith(("g", ">"))
    return {
        "battery_v": _FULL_BATTERY if is_full else float(battery[2]) if battery else None,
        "temperature_c": float(temperature[1]) if temperature else None,
        "gain": gain[1] if gain else None,
    }


def is_id(text: str) -> bool:
    """Tell whether a text is the id of an AudioMoth, or of one of its deployments."""
    return _ID.fullmatch(text) is not None
