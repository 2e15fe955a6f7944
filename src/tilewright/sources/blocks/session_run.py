"""The blocks of a session come in, one after the other; the documents of its run go out. `sessions` calls it.

    start ─ descriptor of a sensor ─ event ─ event ─ … ─ stop
                                     (one a block)

A block's time is that of the session's anchor and of the frames before it: never when it was read.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.documents import dtype_of_setting, quoted
from tilewright.documents.times import SECOND, duration_ns, nearest, utc_ns
from tilewright.errors import InputError
from tilewright.sources.blocks.arriving import Arrivals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tilewright.audio import Pcm
    from tilewright.documents import Document
    from tilewright.sources.blocks.arriving import Arrival

AUDIO = "audio"
SOURCE = "tilewright.sources.blocks"
PLAN_NAME = "blocks"
UNITS = {"s": SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Nanoseconds of the units that sessions may be counted in."""
MOST_MISSING = 1_000
"""Gaps of a sensor that the stop document lists; it has the number of all."""
_INTEGER: dict[str, Any] = {"dtype": "integer", "dtype_numpy": "<i8", "shape": []}


@lru_cache(maxsize=16)  # asked for each block
def anchor_ns(session: Any, unit: str) -> int:
    """Return when a session began, in nanoseconds UTC.

    Parameters
    ----------
    session
        A number, counted from 1970 in `unit`; or a time as `tilewright.documents.times.utc_ns` takes it.
    unit
        "s", "ms", "us" or "ns".

    Raises
    ------
    InputError
        If it is no time.

    Examples
    --------
    >>> anchor_ns(1566065093213, "ms"), anchor_ns(0.5, "s"), anchor_ns("1970-01-01T00:00:02Z", "s")
    (1566065093213000000, 500000000, 2000000000)
    """
    if isinstance(session, (str, datetime, np.datetime64)):
        return utc_ns(session, "session")
    try:
        return nearest(Fraction(session) * UNITS[unit])
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"The session is {quoted(session)}: expected when it began, in {unit} since 1970."
        ) from error


def precision_ns(session: Any, unit: str) -> int:
    """Return how coarsely that is told, in nanoseconds: a whole number to its unit, a float to a microsecond.

    >>> precision_ns(1566065093213, "ms"), precision_ns(1566065093.213, "s"), precision_ns("1970-01-01T00:00:02Z", "s")
    (1000000, 1000, 1000)
    """
    return UNITS[unit] if hasattr(session, "__index__") else min(UNITS[unit], UNITS["us"])


@dataclass(slots=True)
class _Sensor:
    """A sensor of a session, and what came of it."""

    descriptor: str
    """uid of its descriptor."""
    arrivals: Arrivals
    blocks: int = 0
    samples: int = 0
    """Frames in its array."""
    ends: int = 0
    """Nanoseconds at which the block before ended."""
    overflows: int = 0


class SessionRun:
    """The run of one session.

    Parameters
    ----------
    session
        As the stream names it.
    anchor
        When it began, in nanoseconds UTC.
    precision
        Nanoseconds within which that is told.
    about
        What goes into the start document.
    """

    def __init__(self, session: Any, anchor: int, precision: int, about: Mapping[str, Any]) -> None:
        self.uid = str(uuid.uuid4())
        self._session = session
        self._anchor = anchor
        self._precision = precision
        self._about = about
        self._sensors: dict[str, _Sensor] = {}

    def start(self, continues: str | None = None) -> Document:
        """Return the start document; `continues` is the run of the same session that was stopped before."""
        more = {} if continues is None else {"continues": continues}
        return "start", {
            **self._about,
            **more,
            "uid": self.uid,
            "time": self._anchor / SECOND,
            "plan_name": PLAN_NAME,
            "source": SOURCE,
            "session": self._session if isinstance(self._session, (int, float)) else str(self._session),
            "anchor": self._anchor,
            "precision": self._precision,
        }

    def add(
        self, sensor: str, pcm: Pcm, facts: Mapping[str, Any], arrived: tuple[Any, Any, bool]
    ) -> Iterator[Document]:
        """Yield the documents of a block: the sensor's descriptor, if it is its first, and an event.

        Parameters
        ----------
        facts
            What is known of the sensor.
        arrived
            The block's offset, its bytes, and whether the buffer had overflowed.

        Raises
        ------
        InputError
            If it is no block.
        """
        offset, data, overflow = arrived
        state = self._sensors.get(sensor) or _Sensor(str(uuid.uuid4()), Arrivals(pcm))
        arrival = state.arrivals.take(offset, data)
        if sensor not in self._sensors:
            self._sensors[sensor] = state
            yield self._descriptor(sensor, pcm, facts)
        state.blocks += 1
        state.overflows += overflow
        yield self._event(state, arrival, overflow=overflow)

    def stop(self, reason: str = "") -> Document:
        """Return the stop document; with a reason, the stream has failed."""
        ends = [self._time(state.arrivals.end, state.arrivals.pcm.rate) for state in self._sensors.values()]
        return "stop", {
            "uid": str(uuid.uuid4()),
            "run_start": self.uid,
            "time": max(ends, default=self._anchor) / SECOND,
            "exit_status": "fail" if reason else "success",
            "reason": reason,
            "num_events": {name: state.blocks for name, state in self._sensors.items()},
            "sensors": {name: _summary(state) for name, state in self._sensors.items()},
        }

    def _time(self, position: int, rate: int) -> int:
        """Return when the frame at a position was taken, to the nearest nanosecond."""
        return self._anchor + duration_ns(position, rate)

    def _descriptor(self, sensor: str, pcm: Pcm, facts: Mapping[str, Any]) -> Document:
        keys = _data_keys(pcm)
        for key in keys.values():
            key |= {"source": f"blocks:{sensor}", "object_name": sensor}
        known = {"rate": pcm.rate, "bits": pcm.bits, "channels": pcm.channels, **facts}
        time = self._anchor / SECOND
        settings = {
            "data": known,
            "timestamps": dict.fromkeys(known, time),
            "data_keys": {
                key: {"dtype": dtype_of_setting(value), "shape": [], "source": f"blocks:{sensor}"}
                for key, value in known.items()
            },
        }
        return "descriptor", {
            "uid": self._sensors[sensor].descriptor,
            "run_start": self.uid,
            "name": sensor,
            "time": time,
            "data_keys": keys,
            "object_keys": {sensor: list(keys)},
            "configuration": {sensor: settings},
            "hints": {},
        }

    def _event(self, state: _Sensor, arrival: Arrival, *, overflow: bool) -> Document:
        pcm, frames = state.arrivals.pcm, len(arrival.samples)
        start = self._time(arrival.position, pcm.rate)
        data = {
            AUDIO: arrival.samples if frames else None,
            "offset": arrival.offset,
            "bytes": arrival.size,
            "position": arrival.position,
            "start": start,
            "first": state.samples,
            "samples": frames,
            "rate": pcm.rate,
            "gap": start - state.ends if state.samples and frames else None,
            "overflow": overflow,
            "status": arrival.status,
            "remark": arrival.remark,
        }
        if frames:
            state.samples += frames
            state.ends = self._time(arrival.position + frames, pcm.rate)
        time = start / SECOND
        return "event", {
            "uid": str(uuid.uuid4()),
            "descriptor": state.descriptor,
            "time": time,
            "seq_num": state.blocks,
            "data": data,
            "timestamps": dict.fromkeys(data, time),
            "filled": {},
        }


def _data_keys(pcm: Pcm) -> dict[str, dict[str, Any]]:
    """Return the data keys of a sensor's stream.

    audio: the samples of all blocks, in the order in which they came, (samples,) or (samples, channels). offset, bytes: of the block, as
    it came. position: frames from the session's anchor to its first; start: that in nanoseconds UTC. first: index of its first sample in
    `audio`; samples: how many it added. gap: nanoseconds from the end of the block before it in `audio`, negative for one that is
    late, null for the first. overflow: whether the buffer lost something before it.
    """
    more = [pcm.channels] if pcm.channels > 1 else []
    audio = {
        "dtype": "array",
        "dtype_numpy": pcm.dtype.str,
        "shape": [None, *more],
        "dims": ["sample", "channel"] if more else ["sample"],
        "join_method": "concat",
        "rate": pcm.rate,
    }
    ns = {"units": "ns"}
    return {
        AUDIO: audio,
        "offset": {**_INTEGER, "units": "bytes"},
        "bytes": {**_INTEGER, "units": "bytes"},
        "position": {**_INTEGER},
        "start": _INTEGER | ns,
        "first": {**_INTEGER},
        "samples": {**_INTEGER},
        "rate": _INTEGER | {"units": "Hz"},
        "gap": _INTEGER | ns,
        "overflow": {"dtype": "boolean", "dtype_numpy": "|b1", "shape": []},
        "status": {"dtype": "string", "shape": []},
        "remark": {"dtype": "string", "shape": []},
    }


def _summary(state: _Sensor) -> dict[str, Any]:
    """Return what came of a sensor, and what did not, in frames."""
    missing = state.arrivals.missing
    found = {
        "blocks": state.blocks,
        "samples": state.samples,
        "overflows": state.overflows,
        "gaps": len(missing),
        "missing": [list(gap) for gap in missing[:MOST_MISSING]],
    }
    return found | ({"remark": state.arrivals.rest} if state.arrivals.rest else {})
