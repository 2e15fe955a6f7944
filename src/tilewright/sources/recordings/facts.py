"""What the source knows of one file once it has been looked at: three kinds of answer, made by `looking`.

`Recorded`: it is part of a unit's recording. `Rejected`: it is not, and why. `Unanswered`: it would be, if the user said what
the file does not. `source` decides what becomes of each; `run_documents` turns the first two into documents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from tilewright.documents.times import SECOND, FileSpan

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np

    from tilewright.sources.recordings.gps import GpsLog
    from tilewright.sources.scan import Found

Asked = Literal["unit", "zone", "time", "other"]
"""What a file does not tell: whose it is; in which zone its recorder's clock ran; when it was made at all; else, see `why`."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What files must have in common to lie in one array."""

    dtype: np.dtype[Any]
    channels: int
    mimetype: str
    """Of the files, or of the store they are converted to."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A file of a unit's recording."""

    found: Found
    unit: str
    start: int
    """What the unit's clock said at the first sample: nanoseconds since 1970, UTC."""
    precision: int
    """Nanoseconds within which `start` is told."""
    start_from: str
    """Who told it."""
    samples: int
    """Frames in the file."""
    rate: int
    """Hz."""
    bits: int
    shape: Shape
    battery: float | None = None
    """Volts."""
    temperature: float | None = None
    """Degrees Celsius."""
    about_unit: dict[str, Any] = field(default_factory=dict)
    """What it says of its unit: device_id, model, firmware, gain, …"""
    remark: str = ""
    """What is wrong with it."""
    may_grow: bool = False
    """Whether it may not be complete yet."""
    log: GpsLog | None = None
    """Of a GPS receiver, where one lies beside it."""

    @property
    def end(self) -> int:
        """The time of the sample after the last, in nanoseconds, rounded down."""
        return self.start + self.samples * SECOND // self.rate

    def span(self, first: int) -> FileSpan:
        """Return it as a part of its unit's array."""
        return FileSpan(first, self.samples, self.start, Fraction(self.rate), self.precision)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file that is no part of a recording."""

    found: Found
    reason: str
    may_grow: bool = False
    """Whether it may not be complete yet."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A file that could not be placed."""

    found: Found
    asked: tuple[Asked, ...]
    local: datetime | None = None
    """What the recorder's clock showed, where only the zone is missing."""
    why: str = ""
    """What to say differently, where it is none of the three: a sentence."""
    may_grow: bool = False
    """As of the others."""


Answer = Recorded | Rejected | Unanswered
