"""In comes a file's name, out comes what it tells: the unit, start, end and place; `metadata.describe` calls it.

A name without a time zone tells no moment unless the zone is given: then `start_ns` is None and `local` says what the
recorder's clock showed. Never is a zone assumed.

Conventions, and who writes them (where several wrote the same, the recogniser is one):

    5B07C752.WAV                                  AudioMoth to firmware 1.1: seconds since 1970 UTC, hexadecimal [1]
    20230425_150920.WAV, …T.WAV                   AudioMoth since 1.2, in its configured zone; T: triggered [1]
    24F3190361DA539A_20230425_150920.WAV          the same with its device id (1.11), or deployment id [1]
    20230425_150920_000.WAV, …_SYNC.WAV           the same after splitting, downsampling, aligning; milliseconds [2]
    20230425_150920_24F3190361DA539A.wav          the device id put behind by hand
    PREFIX_20190621_124200.wav                    Song Meter SM2, SM4, Mini, Micro, in its configured zone [3, 4]
    PREFIX_0+1_20150601_000000.wav                SM3: both microphones; _0_ or _1_ for one [3, 5]
    PREFIX_0+1_20150601$000000.wav                the same, its clock set by GPS [3, 5]
    PREFIX_20190102_044802_010.wav                SM4BAT: milliseconds [6]
    20180416T120000+1000_REC [-27.3888+152.8808]  Frontier Labs BAR, BAR-LT: zone and place [6]
    S20240815T091156.982648+1000_E20240815T…      the same with the localisation firmware: start and end [6]
    671666216.180701120003.wav                    SoundTrap: serial number, yymmddHHMMSS, UTC or local by setting [7]
    site_20200101T000000Z.wav, 2020-01-01T00-00-00+0930.wav    after ISO 8601

[1] OpenAcousticDevices/AudioMoth-Firmware-Basic, src/main.c, generateFolderAndFilename, of the firmwares 1.0 to 1.11.1.
[2] OpenAcousticDevices/AudioMoth-Utils, filenameHandler.js.
[3] https://rdrr.io/pkg/seewave/man/songmeter.html
[4] Song Meter Mini 2 User Guide, "SD Card Contents": "according to the time zone that was set on the recorder".
[5] SM3BAT User Guide, 8.1 "Filenames for Recordings".
[6] QutEcoacoustics/emu, test/Fixtures/FileNameParsingFixtures.csv and src/Emu/Filenames/FilenameParser.cs.
[7] Ocean Instruments SoundTrap User Guide, "Data Files".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import PurePath
from typing import TYPE_CHECKING

from tilewright.documents.times import SECOND, utc_ns
from tilewright.sources.zones import Zone, as_zone, local_ns, offset_zone

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

TRIGGERED = "it is a triggered recording, with silences left out: samples after the first one are later than they seem, until it is expanded with AudioMoth's own tools"
"""What a `T.WAV` is remarked with: 512 bytes of it may stand for any length of time ([2], expander.js)."""
_EXTENSION = re.compile(
    r"\.(?:wave?|bwf|rf64|w64|flac|wac|w4v|sud|ogg|oga|opus|mp3|m4a|aac|aiff?|caf|au)$", re.IGNORECASE
)
_HEXADECIMAL = re.compile(r"[0-9A-F]{8}")
_SOUNDTRAP = re.compile(r"(?P<unit>[^.]+)\.(?P<time>\d{12})")
_MISSING_ZERO = re.compile(r"(?<!\d)(\d{6}) (\d)(?=T\d{6})")
"""A day before the 10th with a space for its 0: problem FL008 of Frontier Labs' firmware."""
_STAMP = re.compile(
    r"""
    (?<!\d)
    (?: (?P<year>\d{4})  (?P<month>\d\d)  (?P<day>\d\d)
      | (?P<year_>\d{4})-(?P<month_>\d\d)-(?P<day_>\d\d) )
    (?P<between>[T_$ -]?)
    (?: (?P<hour>\d\d)      (?P<minute>\d\d)        (?P<second>\d\d)
      | (?P<hour_>\d\d)[-:.](?P<minute_>\d\d)[-:.](?P<second_>\d\d) )
    (?: \.(?P<fraction>\d{1,6})(?=$|[Z_ +-]) | _(?P<part>\d{3})(?=$|[_+-]) )?
    (?P<zone> Z(?![A-Za-z0-9])
      | [+-]\d\d:?\d\d (?![\d.])
      | \+\d\d         (?![\d.]) )?
    (?!\d)
    """,
    re.VERBOSE,
)
"""A date and a time of day. A zone of two digits counts with a plus only: -01 may be a file's number.

Six digits behind (a SMART's microseconds) do not count: in other names they are a time of day.
"""
_FIELDS = ("year", "month", "day", "hour", "minute", "second")
_ZONE_BEFORE = re.compile(r"(?:^|_)([+-]\d{4})_?$")
_STEREO = re.compile(r"(?:^|_)0\+1$")
_DEVICE_ID = re.compile(r"(?<![0-9A-Za-z])[0-9A-F]{16}(?![0-9A-Za-z])")
_PLACE = re.compile(
    r"(?<![\d.])(?:(?P<latitude>[+-]\d{1,2}\.\d+)(?P<longitude>[+-]\d{1,3}\.\d+)"
    r"|(?P<latitude_>[+-]?\d{1,2}\.\d+)[ ](?P<longitude_>[+-]?\d{1,3}\.\d+))(?!\d)"
)
_OF_ALL = re.compile(r"(?:rec(?:ord(?:ing)?)?|audio|sound|wave?|track|file)[ _-]?\d*", re.IGNORECASE)
"""Prefixes that a maker gives to all files: taken for units, those of a whole deployment would be one."""
_START_MARK = re.compile(r"(?<![0-9A-Za-z])S$")
_TRIGGER_MARK = re.compile(r"T(?![0-9A-Za-z])")
_FRONTIER_LABS = re.compile(r"_?rec", re.IGNORECASE)
_EARLIEST_HEXADECIMAL = datetime(2015, 1, 1, tzinfo=UTC)
"""There was no AudioMoth before."""
_LONGEST = timedelta(days=31)
"""From the start to an end in a name; a later time is that of something else."""
_EARLIEST, _LATEST = 1970, 2099
"""Years in names; a clock that nobody set starts in 1970."""
_EDGES = " _-."


@dataclass(frozen=True, slots=True)
class NameFacts:
    """What a file's name tells; None is what it does not."""

    scheme: str = ""
    """Whose convention it follows; "" where it has no time that could be told."""
    unit: str | None = None
    """Device id, serial number or prefix."""
    start_ns: int | None = None
    """First sample, nanoseconds since 1970, UTC."""
    end_ns: int | None = None
    """End of the recording, likewise."""
    precision_ns: int = SECOND
    """What the last digit of its time stands for, in nanoseconds."""
    local: datetime | None = None
    """What the recorder's clock showed at the start, where the name has no zone and none was given. Without a zone."""
    local_end: datetime | None = None
    """The same at the end, where the name has two times."""
    latitude: float | None = None
    """Degrees north."""
    longitude: float | None = None
    """Degrees east."""
    remark: str = ""
    """What is wrong with it, a clause."""


@dataclass(frozen=True, slots=True)
class _Stamp:
    """One time in a name."""

    clock: datetime
    """As it is written, without a zone."""
    zone: tzinfo | None
    precision_ns: int
    between: str
    """What stands between its date and its time."""
    begin: int
    end: int


def parse_name(
    name: str | os.PathLike[str], zone: Zone | None = None, *, now: datetime | None = None
) -> NameFacts:
    """Return what a file's name tells.

    Parameters
    ----------
    name
        A file's name or path, with or without its extension.
    zone
        The zone that the recorder's clock was set to, for names that have none. A zone in the name comes first.
    now
        Hexadecimal names are taken for times from 2015 to a day after it; the default is the machine's clock.

    Raises
    ------
    InputError
        If the zone is not known, or clocks in it showed the name's time twice or never.

    Examples
    --------
    >>> facts = parse_name("S20190718T020000+1030_E20190718T033000+1030_+31.2-89.7.wav")
    >>> (facts.end_ns - facts.start_ns) // SECOND, facts.latitude, facts.longitude
    (5400, 31.2, -89.7)
    >>> parse_name("NORTH_20190621_124200.wav").local, parse_name("NORTH_20190621_124200.wav", "+09:30").start_ns
    (datetime.datetime(2019, 6, 21, 12, 42), 1561086720000000000)
    """
    given = as_zone(zone)
    file = PurePath(name).name.rsplit("\\", 1)[-1]
    stem = _EXTENSION.sub("", file)
    facts = _hexadecimal(stem, now) or _soundtrap(stem) or _dated(stem)
    if given is None or facts.local is None:
        return facts
    end = facts.local_end
    return _in_order(
        replace(
            facts,
            start_ns=local_ns(facts.local, given, file),
            end_ns=None if end is None else local_ns(end, given, file),
            local=None,
            local_end=None,
        )
    )


def _hexadecimal(stem: str, now: datetime | None) -> NameFacts | None:
    """Return what eight hexadecimal digits tell, if they tell a time at which there were AudioMoths."""
    if not _HEXADECIMAL.fullmatch(stem):
        return None
    moment = datetime.fromtimestamp(int(stem, 16), UTC)
    if not _EARLIEST_HEXADECIMAL <= moment <= (now or datetime.now(UTC)) + timedelta(days=1):
        return None
    return NameFacts("AudioMoth hexadecimal", start_ns=utc_ns(moment))


def _soundtrap(stem: str) -> NameFacts | None:
    match = _SOUNDTRAP.fullmatch(stem)
    if match is None:
        return None
    time = "20" + match["time"]
    clock = _clock([time[:4], *(time[place : place + 2] for place in range(4, 14, 2))])
    return None if clock is None else NameFacts("SoundTrap", match["unit"], local=clock)


def _dated(stem: str) -> NameFacts:
    """Return what a name with one or two dates and times of day tells."""
    text = _MISSING_ZERO.sub(r"\g<1>0\2", stem)
    stamps = _stamps(text)
    if not stamps:
        return NameFacts(unit=_device_id(text))
    start, last = stamps[0], stamps[-1]
    before, between, behind = text[: start.begin], text[start.end : last.begin], text[last.end :]
    if is_marked := between.strip(_EDGES) == "E" and bool(_START_MARK.search(before)):
        before = before[:-1]
    if ahead := _ZONE_BEFORE.search(before):
        start = replace(start, zone=start.zone or _zone(ahead[1]))
        before = before[: ahead.start()]
    latitude, longitude = _place(behind)
    facts = NameFacts(
        _scheme(start, before, behind, is_frontier=is_marked or latitude is not None),
        _unit(before, behind),
        precision_ns=max(stamp.precision_ns for stamp in stamps),
        latitude=latitude,
        longitude=longitude,
        remark=TRIGGERED if _TRIGGER_MARK.match(behind) else "",
    )
    return _timed(facts, start, last if len(stamps) > 1 else None)


def _stamps(text: str) -> list[_Stamp]:
    """Return the first two times in a name."""
    found = []
    for match in _STAMP.finditer(text):
        part = {name.rstrip("_"): value for name, value in match.groupdict().items() if value is not None}
        fraction = part.get("fraction") or part.get("part") or ""
        clock = _clock([part[name] for name in _FIELDS], fraction)
        if clock is None:
            continue
        zone = part.get("zone")
        found.append(
            _Stamp(
                clock,
                None if zone is None else _zone(zone),
                10 ** (9 - len(fraction)),
                part["between"],
                match.start(),
                match.end(),
            )
        )
    return found[:2]


def _clock(fields: Sequence[str], fraction: str = "") -> datetime | None:
    """Return a date and time from year to second, None if there is no such."""
    year, month, day, hour, minute, second = map(int, fields)
    if not _EARLIEST <= year <= _LATEST:
        return None
    try:
        return datetime(year, month, day, hour, minute, second, int(fraction.ljust(6, "0")))  # noqa: DTZ001 - as a clock shows it
    except ValueError:
        return None


def _zone(text: str) -> tzinfo | None:
    if text == "Z":
        return UTC
    return offset_zone(text[0], text[1:3], text[3:].lstrip(":") or None)


def _timed(facts: NameFacts, start: _Stamp, end: _Stamp | None) -> NameFacts:
    """Return the facts with their times. An end without a zone has that of the start, as in ISO 8601."""
    if start.zone is None:
        return replace(facts, local=start.clock, local_end=None if end is None else end.clock)
    if end is None:
        return replace(facts, start_ns=utc_ns(start.clock.replace(tzinfo=start.zone)))
    return _in_order(
        replace(
            facts,
            start_ns=utc_ns(start.clock.replace(tzinfo=start.zone)),
            end_ns=utc_ns(end.clock.replace(tzinfo=end.zone or start.zone)),
        )
    )


def _in_order(facts: NameFacts) -> NameFacts:
    """Return the facts without an end that cannot be one."""
    if facts.start_ns is None or facts.end_ns is None:
        return facts
    if 0 <= facts.end_ns - facts.start_ns <= _LONGEST // timedelta(microseconds=1) * 1000:
        return facts
    remark = "the second time in its name is no end: it is before the start or long after it"
    return replace(facts, end_ns=None, remark="; ".join(filter(None, (facts.remark, remark))))


def _unit(before: str, behind: str) -> str | None:
    """Return the unit that stands before or behind the times.

    Only the stereo mark of an SM3 is taken off: of `aru_0` and `aru_1` nothing is, for they may be two units.
    What stands behind is a device id, or a schedule or a place that is none of the unit's.
    """
    if device := _device_id(before) or _device_id(behind):
        return device
    prefix = _STEREO.sub("", before.strip(_EDGES)).strip(_EDGES)
    return None if _OF_ALL.fullmatch(prefix) else prefix or None


def _device_id(text: str) -> str | None:
    found = _DEVICE_ID.search(text.replace("_", " "))
    return None if found is None else found[0]


def _place(text: str) -> tuple[float, float] | tuple[None, None]:
    """Return latitude and longitude in degrees."""
    for match in _PLACE.finditer(text):
        latitude = float(match["latitude"] or match["latitude_"])
        longitude = float(match["longitude"] or match["longitude_"])
        if abs(latitude) <= 90 and abs(longitude) <= 180:  # noqa: PLR2004 - degrees
            return latitude, longitude
    return None, None


def _scheme(start: _Stamp, before: str, behind: str, *, is_frontier: bool) -> str:
    """Return whose convention it is; only for the reader."""
    if start.between == "T":
        return "Frontier Labs" if is_frontier or _FRONTIER_LABS.match(behind) else "ISO 8601"
    if _device_id(before) or _device_id(behind) or (not before and start.between == "_"):
        return "AudioMoth"
    return "Song Meter" if before and start.between in ("_", "$") else "date and time"
