"""In come what a file says of itself and its name, out comes what is known of the recording; the source calls it a file.

The file's own headers come before its name; what the user says comes after both, and is the caller's business. Nothing is
guessed: a start without a zone stays a clock's reading (`local`), for which `question` asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, Literal

from tilewright.documents.times import SECOND
from tilewright.errors import InputError
from tilewright.sources.recordings.headers import Told, audiomoth, bext, guano_text, tags, wamd
from tilewright.sources.recordings.headers.told import text_of
from tilewright.sources.recordings.names import NameFacts, parse_name
from tilewright.sources.zones import Zone, as_zone, local_ns, wall_clock

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from datetime import datetime, tzinfo

    from tilewright.audio import AudioFacts

NAME = "name"
"""Who told the start, where it was the file's name."""
_FIRST_YEAR = 2000
"""Clocks that nobody set start before it."""


@dataclass(frozen=True, slots=True)
class FileMetadata:
    """What a file and its name tell of a recording; None is what they do not."""

    unit: str | None = None
    """Whose recording it is: the device's id, else what the name says."""
    device_id: str | None = None
    """Serial number, as the file itself tells it."""
    start_ns: int | None = None
    """First sample by the unit's clock: nanoseconds since 1970, UTC."""
    end_ns: int | None = None
    """End of the recording, likewise, where it is told."""
    precision_ns: int = SECOND
    """Nanoseconds within which `start_ns` or `local` is told."""
    start_from: str | None = None
    """Who told the start: "AudioMoth comment", "GUANO", "bext", "wamd", "tags" or "name"."""
    local: datetime | None = None
    """What the unit's clock showed at the start, without a zone: where only the zone is missing."""
    battery_v: float | None = None
    temperature_c: float | None = None
    """Degrees Celsius."""
    gain: str | None = None
    """As the recorder calls it: "medium", "18 dB"."""
    firmware: str | None = None
    """Version; "1.4.2 or later" where it was only recognised."""
    model: str | None = None
    latitude: float | None = None
    """Degrees north."""
    longitude: float | None = None
    """Degrees east."""
    elevation: float | None = None
    """Metres above the sea."""
    remark: str = ""
    """What is wrong with its metadata, in clauses; "" if nothing."""
    unsettled: str = ""
    """Why the given zone does not settle the start, a message for the user: clocks in it showed `local` twice or never."""


def describe(
    facts: AudioFacts, name: str | os.PathLike[str], zone: Zone | None = None, *, strict: bool = True
) -> FileMetadata:
    """Return what a file and its name tell of a recording.

    Parameters
    ----------
    facts
        With the chunks and tags of its header.
    name
        Of the file, or its path.
    zone
        Of the recorder's clock, for times that are told without one: a tzinfo, an offset such as "+09:30" or "Z", or
        an IANA name. A zone that the file tells comes first.
    strict
        Whether to raise for a start that the zone does not settle; else it is `unsettled`: the user may have told it elsewhere.

    Raises
    ------
    InputError
        If the zone is not known, or clocks in it showed the file's start twice or never. What is wrong in the file's headers is
        remarked and does not raise.
    """
    given = as_zone(zone)
    named = parse_name(name)
    headers = _headers(facts)
    told = [*headers, _told_by(named)]
    start = _chosen(told, given)
    start_ns, unsettled = (None, "") if start is None else _start(start, given, name)
    if unsettled and strict:
        raise InputError(unsettled)
    latitude, longitude = _place(told)
    return FileMetadata(
        unit=_first(told, "device_id") or _first(told, "unit"),
        device_id=_first(told, "device_id"),
        start_ns=start_ns,
        end_ns=_end(told, named, start_ns, given),
        precision_ns=SECOND if start is None else start.precision_ns,
        start_from=None if start is None else start.source,
        local=start.clock if start is not None and start_ns is None else None,
        battery_v=_first(told, "battery_v"),
        temperature_c=_first(told, "temperature_c"),
        gain=_first(told, "gain"),
        firmware=_first([one for one in told if one.source != audiomoth.SOURCE], "firmware")
        or _first(told, "firmware"),
        model=_first(told, "model"),
        latitude=latitude,
        longitude=longitude,
        elevation=_first(told, "elevation"),
        remark="; ".join(dict.fromkeys(_remarks(told, start, start_ns, given))),
        unsettled=unsettled,
    )


def question(asked: Literal["unit", "zone", "time"], name: str, local: datetime | None = None) -> str:
    """Return what to ask the user about a file that does not tell its unit, its zone or its time: a sentence.

    Examples
    --------
    >>> from datetime import datetime
    >>> question("zone", "N_20230425_150920.wav", datetime(2023, 4, 25, 15, 9, 20))
    'N_20230425_150920.wav starts at 2023-04-25 15:09:20 by its recorder, and nothing tells the zone of that clock: give it with --zone (such as --zone +09:30 or --zone Z; in Python zone=).'
    """
    if asked == "unit":
        return (
            f"{name} does not tell which unit recorded it, neither in its header nor in its name: say so in a table of units, "
            "--units TABLE.csv (in Python units=) with the columns unit and file (a name, a pattern such as north_*.wav, or a folder such as north/)."
        )
    if asked == "zone":
        return (
            f"{name} starts at {local} by its recorder, and nothing tells the zone of that clock: give it with --zone "
            "(such as --zone +09:30 or --zone Z; in Python zone=)."
        )
    return (
        f"{name} does not tell when it was recorded, neither in its header nor in its name: give its start in a table of units, "
        "--units TABLE.csv (in Python units=) with the columns unit, file and start (such as 2023-04-25T15:09:20+09:30)."
    )


def _headers(facts: AudioFacts) -> list[Told]:
    """Return what the file's own headers tell, the most trusted first."""
    chunks = {name: text_of(content) for name, content in facts.chunks.items() if name in ("ICMT", "IART")}
    texts = {name.lower(): value for name, value in facts.tags.items()}
    told = [
        audiomoth.read(
            chunks.get("ICMT") or texts.get("comment", ""), chunks.get("IART") or texts.get("artist", "")
        ),
        guano_text.read(facts.chunks["guan"], facts.rate) if "guan" in facts.chunks else None,
        wamd.read(facts.chunks["wamd"]) if "wamd" in facts.chunks else None,
        bext.read(facts.chunks["bext"], facts.rate) if "bext" in facts.chunks else None,
        tags.read(facts.tags) if facts.tags else None,
    ]
    return [one for one in told if one is not None]


def _told_by(named: NameFacts) -> Told:
    """Return what a name tells, in the form of a header; a time in UTC has that zone, whatever the name's."""
    return Told(
        NAME,
        named.local if named.start_ns is None else wall_clock(named.start_ns, UTC),
        None if named.start_ns is None else UTC,
        named.precision_ns,
        unit=named.unit,
        latitude=named.latitude,
        longitude=named.longitude,
        remarks=(named.remark,) if named.remark else (),
    )


def _chosen(told: Sequence[Told], given: tzinfo | None) -> Told | None:
    """Return who tells the start: the first whose zone is known, else the first that tells a clock's reading."""
    timed = [one for one in told if one.clock is not None]
    return next((one for one in timed if one.zone or given), next(iter(timed), None))


def _start(start: Told, given: tzinfo | None, name: str | os.PathLike[str]) -> tuple[int | None, str]:
    """Return the start in nanoseconds UTC, or why the zone does not settle it."""
    if start.zone is not None or given is None or start.clock is None:
        return start.start_ns, ""
    try:
        return local_ns(start.clock, given, str(name)), ""
    except InputError as error:
        return None, str(error)


def _end(told: Sequence[Told], named: NameFacts, start_ns: int | None, given: tzinfo | None) -> int | None:
    """Return the end that a header or the name tells; none before the start."""
    end = next((one.end_ns for one in told if one.end_ns is not None), named.end_ns)
    if end is None and named.local_end is not None and given is not None:
        try:
            end = local_ns(named.local_end, given, NAME)
        except InputError:
            return None  # the start counts
    return end if end is not None and start_ns is not None and end >= start_ns else None


def _first(told: Sequence[Told], field: str) -> Any:
    return next((value for one in told if (value := getattr(one, field)) is not None), None)


def _place(told: Sequence[Told]) -> tuple[float | None, float | None]:
    return next(((one.latitude, one.longitude) for one in told if one.latitude is not None), (None, None))


def _remarks(
    told: Sequence[Told], start: Told | None, start_ns: int | None, given: tzinfo | None
) -> list[str]:
    """Return what is wrong: in each header, and between them."""
    remarks = [remark for one in told for remark in one.remarks]
    if start is not None and start.clock is not None:
        if start.clock.year < _FIRST_YEAR:
            remarks.append(
                f"its {start.source} tells the year {start.clock.year}: its clock was not set, it seems"
            )
        remarks += [
            f"its {other.source} tells another start, {_shown(other)}, than its {start.source}, {_shown(start)}, which counts"
            for other in told
            if other.clock is not None and not _agree(start, start_ns, other, given)
        ]
    device = _first(told, "device_id")
    named = told[-1].unit
    ids = {one.unit for one in told[:-1]} | {device}
    if (
        device is not None
        and named is not None
        and audiomoth.is_id(device)
        and audiomoth.is_id(named)
        and named not in ids
    ):
        remarks.append(f"its name tells the device {named}, and its header {device}, which counts")
    return remarks


def _agree(start: Told, start_ns: int | None, other: Told, given: tzinfo | None) -> bool:
    """Tell whether two tell the same start: as moments, or as what the clock showed where one has no zone."""
    assert start.clock is not None
    assert other.clock is not None
    coarser = max(start.precision_ns, other.precision_ns)
    if start_ns is not None and other.start_ns is not None:
        return abs(start_ns - other.start_ns) <= coarser
    readings = [start.clock]
    if start_ns is not None and given is not None:
        readings.append(wall_clock(start_ns, given))
    return any(abs((reading - other.clock).total_seconds()) * SECOND <= coarser for reading in readings)


def _shown(told: Told) -> str:
    zone = "" if told.zone is None else f" {told.zone}"
    return f"{told.clock}{zone}"
