"""Arrays in the events themselves: larger ones than a table takes."""

from __future__ import annotations

import numpy as np

from .base import START, Emitter, case, indexed

EVENT = "Event"
PAGE = "EventPage"
EVENTS = 5
STRUCTURE = np.dtype([("n", "<i4"), ("name", "<U4")])


def internal(shape, dtype):
    """Return the description of a data key whose values are in the events."""
    return {"source": "corpus", "dtype": "array", "dtype_numpy": dtype, "shape": list(shape)}


def in_events(values, dtype=None):
    """Return a run each of whose events has a row of an array."""
    run = Emitter(img=internal(values.shape[1:], dtype or values.dtype.str))
    for row in values:
        run.event(filled=True, img=row.tolist() if values.dtype.names is None else row)
    return run.written(img=values)


@case("in events", EVENT)
def waveforms(folder, stack):
    """Lists of floats, too long for the table."""
    return in_events(indexed(EVENTS, 40, dtype="<f8"))


@case("in events", EVENT)
def pictures(folder, stack):
    """Pictures of integers of 16 bits."""
    return in_events(indexed(EVENTS, 6, 7))


@case("in events", EVENT)
def texts(folder, stack):
    """Texts of a fixed width."""
    return in_events(indexed(EVENTS, 20).astype("<U5"))


@case("in events", EVENT)
def structures(folder, stack):
    """Structures of a number and a text."""
    values = np.array([[(row, f"{row}_{n}") for n in range(17)] for row in range(EVENTS)], STRUCTURE)
    return in_events(values, STRUCTURE.descr)


@case("in events", PAGE)
def waveforms_in_a_page(folder, stack):
    """Lists of floats, too long for the table, all in one page."""
    values = indexed(EVENTS, 40, dtype="<f8")
    run = Emitter(img=internal([40], "<f8"))
    times = [START + row for row in range(EVENTS)]
    run.add(
        "event_page",
        uid=[f"{run.uid}/{row}" for row in range(EVENTS)],
        descriptor=run.described,
        seq_num=list(range(1, EVENTS + 1)),
        time=times,
        data={"x": [row + 1.0 for row in range(EVENTS)], "img": values.tolist()},
        timestamps={"x": times, "img": times},
        filled={},
    )
    return run.written(img=values)
