"""What one header tells of its file: the kinds of header make it, `metadata` puts several together."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from tilewright.documents.times import SECOND, utc_ns

if TYPE_CHECKING:
    from datetime import tzinfo

EARLIEST, LATEST = 1970, 2261
"""Years that a file may say it is of: those that nanoseconds in 64 bits count to, from their zero."""
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Told:
    """What one header tells; None is what it does not."""

    source: str
    """What it is called in a remark, and in the documents as who told the start."""
    clock: datetime | None = None
    """Start, as the recorder's clock showed it, without a zone."""
    zone: tzinfo | None = None
    """Of that clock."""
    precision_ns: int = SECOND
    """What the last digit of the start stands for."""
    end_ns: int | None = None
    """End, nanoseconds since 1970, UTC."""
    unit: str | None = None
    """Whose recording it says it is, where that is not the device id."""
    device_id: str | None = None
    model: str | None = None
    firmware: str | None = None
    gain: str | None = None
    battery_v: float | None = None
    temperature_c: float | None = None
    latitude: float | None = None
    """Degrees north; with a longitude or not at all."""
    longitude: float | None = None
    elevation: float | None = None
    """Metres above the sea."""
    remarks: tuple[str, ...] = ()
    """What is wrong with it, clauses."""

    @property
    def start_ns(self) -> int | None:
        """Start in nanoseconds since 1970, UTC; None without a zone."""
        if self.clock is None or self.zone is None:
            return None
        return utc_ns(self.clock.replace(tzinfo=self.zone))


def text_of(chunk: bytes) -> str:
    """Return a chunk of text without what it is padded with: UTF-8, or Latin-1 where it is none."""
    content = chunk.split(b"\0", 1)[0]
    try:
        return content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return content.decode("latin-1").strip()


def split_zone(moment: datetime) -> tuple[datetime, tzinfo | None]:
    """Return what a clock showed, and its zone as an offset of whole minutes."""
    offset = moment.utcoffset()
    clock = moment.replace(tzinfo=None)
    if offset is None:
        return clock, None
    minutes = round(offset / timedelta(minutes=1))
    return clock, timezone(timedelta(minutes=minutes)) if minutes else UTC


def is_possible(clock: datetime) -> bool:
    """Tell whether a recorder can have been there: a broken clock writes years such as 834."""
    return EARLIEST <= clock.year <= LATEST


def number(text: object) -> float | None:
    """Return the first number in a text, such as 21.5 of "21.5 C"; None if there is none."""
    found = _NUMBER.search(str(text))
    return None if found is None else float(found[0])


def place(latitude: float | None, longitude: float | None) -> tuple[float, float] | tuple[None, None]:
    """Return a place in degrees; nothing for what is none, and for 0, 0, which receivers write without a fix."""
    if latitude is None or longitude is None or not (math.isfinite(latitude) and math.isfinite(longitude)):
        return None, None
    is_one = abs(latitude) <= 90 and abs(longitude) <= 180 and (latitude, longitude) != (0, 0)  # noqa: PLR2004 - degrees
    return (latitude, longitude) if is_one else (None, None)
