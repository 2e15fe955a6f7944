"""A seed comes in, the documents of a trial go out: the acquiring process gives them, the checker makes them again.

Each value says which row it belongs to, so that a row in the wrong place cannot pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterator

Document = tuple[str, dict[str, Any]]

START_TIME = 1_700_000_000.0
"""Seconds since 1970 at which runs start."""
PAGE_ROWS = 20
NONE_EVERY = 7
NAN_EVERY = 5
ROW = "row"
"""The data key that numbers the rows of a stream from 0; in every stream, never None."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much a trial gives."""

    events: int
    """Of the largest stream of each run; the others have a tenth of it."""
    runs: int
    plain: bool
    """Only what every writer can store: no None, no NaN, one type a column."""


def documents(seed: int, size: Size) -> list[Document]:
    """Return the documents of a trial, in the order in which they are given; a pure function."""
    rng = Random(seed)
    interleave = rng.random() < 0.5
    runs = [list(_run(rng, size, scan_id)) for scan_id in range(1, size.runs + 1)]
    if not interleave:
        return [document for run in runs for document in run]
    return list(_interleaved(rng, runs))


def _interleaved(rng: Random, runs: list[list[Document]]) -> Iterator[Document]:
    waiting = [iter(run) for run in runs]
    while waiting:
        source = rng.choice(waiting)
        try:
            yield next(source)
        except StopIteration:
            waiting.remove(source)


def _run(rng: Random, size: Size, scan_id: int) -> Iterator[Document]:
    uid = str(UUID(int=rng.getrandbits(128), version=4))
    yield (
        "start",
        {"uid": uid, "time": START_TIME, "scan_id": scan_id, "plan_name": "campaign", "seed": rng.random()},
    )
    streams = ["primary", *rng.sample(["baseline", "monitor"], rng.randint(0, 2))]
    events = max(1, int(size.events * rng.uniform(0.3, 1.0)))
    widens_at = rng.randrange(events) if not size.plain and rng.random() < 0.4 else None
    paged = rng.random() < 0.2
    descriptors = {}
    for stream in streams:
        descriptors[stream] = str(UUID(int=rng.getrandbits(128), version=4))
        yield "descriptor", _descriptor(descriptors[stream], uid, stream)
    for row in range(events):
        if paged and row % PAGE_ROWS == 0:
            rows = range(row, min(row + PAGE_ROWS, events))
            yield "event_page", _page([_event(descriptors["primary"], one, widens_at, size) for one in rows])
        elif not paged:
            yield "event", _event(descriptors["primary"], row, widens_at, size)
        if row % 10 == 0:
            for stream in streams[1:]:
                yield "event", _event(descriptors[stream], row // 10, None, size)
    counts = {stream: events if stream == "primary" else math.ceil(events / 10) for stream in streams}
    stop = {"uid": f"stop-{uid}", "run_start": uid, "time": START_TIME + events + 1}
    yield "stop", stop | {"exit_status": "success", "num_events": counts}


DTYPES = {
    ROW: ("integer", "<i8", []),
    "x": ("number", "<f8", []),
    "n": ("integer", "<i8", []),
    "flag": ("boolean", "|b1", []),
    "label": ("string", "<U32", []),
    "widening": ("integer", "<i8", []),
    "short": ("array", "<f8", [3]),
}


def _descriptor(uid: str, run: str, stream: str) -> dict[str, Any]:
    return {
        "uid": uid,
        "run_start": run,
        "name": stream,
        "time": START_TIME,
        "data_keys": {
            key: {"source": "campaign", "dtype": dtype, "dtype_numpy": numpy_dtype, "shape": shape}
            for key, (dtype, numpy_dtype, shape) in DTYPES.items()
        },
        "configuration": {},
        "hints": {},
        "object_keys": {},
    }


def _event(descriptor: str, row: int, widens_at: int | None, size: Size) -> dict[str, Any]:
    time = START_TIME + 1 + row
    data = {
        ROW: row,
        "x": row + 0.25,
        "n": 2**53 + row,
        "flag": row % 2 == 0,
        "label": f"row {row} µ",
        "widening": row + 0.5 if widens_at is not None and row >= widens_at else row,
        "short": [row, row + 0.5, -row - 0.25],
    }
    if not size.plain and row % NONE_EVERY == 0:
        data |= {"x": None, "label": None}
    if not size.plain and row % NAN_EVERY == 0:
        data |= {"x": math.nan}
    return {
        "uid": f"{descriptor}-{row}",
        "descriptor": descriptor,
        "seq_num": row + 1,
        "time": time,
        "data": data,
        "timestamps": {key: time + number / 1000 for number, key in enumerate(data)},
        "filled": {},
    }


def _page(events: list[dict[str, Any]]) -> dict[str, Any]:
    first = events[0]
    return {
        "descriptor": first["descriptor"],
        **{field: [event[field] for event in events] for field in ("uid", "seq_num", "time")},
        **{
            field: {key: [event[field][key] for event in events] for key in first["data"]}
            for field in ("data", "timestamps")
        },
        "filled": {},
    }
