"""Times at the edge: what a user gives comes in as nanoseconds, and nanoseconds go out as text and as pandas has them.

Everything in this package that takes or shows a time calls this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.documents.times import utc_ns
from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray


def window(time: Any) -> tuple[int, int]:
    """Return the two ends of a span of time in nanoseconds since 1970, UTC.

    Parameters
    ----------
    time
        Two times: text with a zone, datetimes with a zone, numpy.datetime64 or pandas.Timestamps.

    Raises
    ------
    InputError
        Not two, one that has no zone, or the second is not after the first.

    Examples
    --------
    >>> window(("1970-01-01T00:00:01Z", "1970-01-01T01:00:02+01:00"))
    (1000000000, 2000000000)
    """
    ends = None if isinstance(time, (str, bytes)) else _pair(time)
    if ends is None:
        raise InputError(
            f"time={time!r:.100}: expected two times, (from, to), such as ('2023-04-25T15:00Z', '2023-04-25T15:05Z')."
        )
    begin, end = utc_ns(ends[0], "time to begin at"), utc_ns(ends[1], "time to end at")
    if begin >= end:
        raise InputError(
            f"The time to begin at, {text(begin)}, is not before the time to end at, {text(end)}."
        )
    return begin, end


def _pair(time: Any) -> tuple[Any, Any] | None:
    if isinstance(time, slice):
        return (time.start, time.stop) if time.step is None else None
    try:
        first, second = time
    except (TypeError, ValueError):
        return None
    return first, second


def text(ns: int) -> str:
    """Return a moment as text that `window` takes, to as many digits as it has.

    >>> text(1_682_435_360_000_000_000), text(1_682_435_360_123_400_000)
    ('2023-04-25T15:09:20Z', '2023-04-25T15:09:20.1234Z')
    """
    seconds, rest = divmod(int(ns), 1_000_000_000)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{np.datetime64(seconds, 's')}{fraction}Z"


def timestamps(ns: Sequence[int | None] | NDArray[np.int64]) -> pd.DatetimeIndex:
    """Return moments as pandas has them: timestamps in UTC, NaT for None."""
    import pandas as pd  # noqa: PLC0415 - slow to import

    values = [np.iinfo(np.int64).min if value is None else value for value in ns]
    return pd.DatetimeIndex(np.array(values, np.int64).view("datetime64[ns]")).tz_localize("UTC")


def durations(ns: Sequence[int | None]) -> pd.TimedeltaIndex:
    """Return lengths of time as pandas has them."""
    import pandas as pd  # noqa: PLC0415 - slow to import

    values = [np.iinfo(np.int64).min if value is None else value for value in ns]
    return pd.TimedeltaIndex(np.array(values, np.int64).view("timedelta64[ns]"))
