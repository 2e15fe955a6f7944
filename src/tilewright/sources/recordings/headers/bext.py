"""In comes the `bext` chunk of a Broadcast Wave File, out comes what it tells; `metadata` calls it.

Its time has no zone. The start is counted in samples from midnight too (TimeReference), where recorders fill that in.

Source: EBU Tech 3285, version 2 (https://tech.ebu.ch/docs/tech/tech3285.pdf).
"""

from __future__ import annotations

import re
import struct
from datetime import datetime, timedelta

from tilewright.documents.times import SECOND
from tilewright.sources.recordings.headers.told import Told, is_possible, text_of

SOURCE = "bext"
_DATE = slice(320, 330)
"""After Description (256), Originator (32) and OriginatorReference (32): yyyy-mm-dd, whatever stands between."""
_TIME = slice(330, 338)
_REFERENCE = slice(338, 346)
_LENGTH = 346
_DIGITS = re.compile(r"(\d{4})\D(\d\d)\D(\d\d) (\d\d)\D(\d\d)\D(\d\d)")
_NEAR = timedelta(seconds=2)
"""How far TimeReference may be from OriginationTime to be of the same recording."""
_MICROSECOND = 1000


def read(chunk: bytes, rate: int) -> Told | None:
    """Return what a `bext` chunk tells of a file of `rate` Hz; None if it has no date."""
    if len(chunk) < _LENGTH:
        return Told(SOURCE, remarks=(f"its bext chunk is cut short: {len(chunk)} bytes of {_LENGTH}",))
    written = f"{text_of(chunk[_DATE])} {text_of(chunk[_TIME])}"
    digits = _DIGITS.fullmatch(written)
    if digits is None or digits[1] == "0000":
        return None
    try:
        clock = datetime(*map(int, digits.groups()))  # type: ignore[arg-type]  # noqa: DTZ001 - it has no zone
    except ValueError:
        clock = None
    if clock is None or not is_possible(clock):
        return Told(SOURCE, remarks=(f"its bext chunk tells a time that cannot be: {written}",))
    low, high = struct.unpack("<II", chunk[_REFERENCE])
    reference = (high << 32 | low) * 1_000_000 // rate
    exact = datetime(clock.year, clock.month, clock.day) + timedelta(microseconds=min(reference, 10**11))  # noqa: DTZ001
    if reference and abs(exact - clock) < _NEAR:
        return Told(SOURCE, exact, precision_ns=max(SECOND // rate, _MICROSECOND))
    return Told(SOURCE, clock)
