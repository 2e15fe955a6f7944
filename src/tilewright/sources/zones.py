"""In come a time zone as a user writes it and what a clock on the wall said, out come a tzinfo and nanoseconds UTC.

Names, metadata and tables of a deployment call it. A local time that the zone does not settle is refused, not guessed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from tilewright.documents.times import utc_ns
from tilewright.errors import InputError

OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?")
"""An offset from UTC: +9, +09, +0930, +9:30, UTC-03:30."""
MOST_WEST, MOST_EAST = timedelta(hours=-12), timedelta(hours=14)
"""The offsets that are in use end there; more is a misprint."""
_FORMS = "give an offset such as +09:30, Z, or a name such as Australia/Darwin"

Zone = tzinfo | str
"""What a user gives as a zone: a tzinfo, an offset ("+09:30", "+1030", "Z") or an IANA name."""


def as_zone(zone: Zone | None, what: str = "zone") -> tzinfo | None:
    """Return a zone as a tzinfo; None stays None: the zone is not known.

    Raises
    ------
    InputError
        If it is neither an offset nor a name that the time zone database knows.

    Examples
    --------
    >>> as_zone("+0930"), as_zone("Z"), as_zone("Australia/Darwin")
    (datetime.timezone(datetime.timedelta(seconds=34200)), datetime.timezone.utc, zoneinfo.ZoneInfo(key='Australia/Darwin'))
    """
    if zone is None or isinstance(zone, timezone | ZoneInfo):
        return zone
    if isinstance(zone, tzinfo):
        return _modern(zone)
    if not isinstance(zone, str):
        raise InputError(f"The {what} is {zone!r}: {_FORMS}.")
    text = zone.strip().replace("\N{MINUS SIGN}", "-")
    if text.upper() in {"Z", "UTC", "GMT"}:
        return UTC
    if offset := OFFSET.fullmatch(text):
        found = offset_zone(*offset.groups())
        if found is None:
            raise InputError(f"The {what} {zone!r} is no offset that is in use (-12:00 to +14:00): {_FORMS}.")
        return found
    try:
        return ZoneInfo(text)
    except (OSError, KeyError, ValueError) as error:  # a folder's name, an unknown one, a path
        raise InputError(f"The {what} {zone!r} is not known: {_FORMS}.") from error


def offset_zone(sign: str, hours: str | int, minutes: str | int | None = None) -> timezone | None:
    """Return a fixed zone; None if no clock on Earth is set so.

    The sign counts for the minutes too: -9:30 is nine and a half hours behind.
    """
    size = timedelta(hours=int(hours), minutes=int(minutes or 0))
    offset = -size if sign == "-" else size
    is_one = MOST_WEST <= offset <= MOST_EAST and int(minutes or 0) < 60  # noqa: PLR2004 - minutes of an hour
    return timezone(offset) if is_one else None


def local_ns(local: datetime, zone: tzinfo, what: str) -> int:
    """Return what a clock in a zone said, as nanoseconds since 1970, UTC.

    Parameters
    ----------
    local
        Without a zone.
    what
        What has this time, for the message: a file.

    Raises
    ------
    InputError
        If the clock said so twice (the end of summer time) or never (its beginning).
    """
    moments = {
        moment.astimezone(UTC)
        for moment in (local.replace(tzinfo=zone, fold=0), local.replace(tzinfo=zone, fold=1))
        if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local
    }
    if len(moments) == 1:
        return utc_ns(moments.pop())
    often = "twice" if moments else "never"
    raise InputError(
        f"{what}: clocks in {zone} showed {local:%Y-%m-%d %H:%M:%S} {often}, for summer time "
        f"{'ended' if moments else 'began'}. If the recorder's clock was not set for summer time, give the offset that it "
        "kept (--zone +10:00, in Python zone=); or give the file's own start in the table of units (--units TABLE.csv with columns "
        "file and start)."
    )


def wall_clock(time: int, zone: tzinfo) -> datetime:
    """Return what a clock in a zone said at a time in nanoseconds UTC, without a zone, to the microsecond."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time // 1000)
    return moment.astimezone(zone).replace(tzinfo=None)


def _modern(zone: Any) -> tzinfo:
    """Return a zone that can be attached to a time: those of pytz cannot, and would be minutes off."""
    if hasattr(zone, "localize") and getattr(zone, "zone", None):
        return ZoneInfo(zone.zone)
    return zone  # type: ignore[no-any-return]
