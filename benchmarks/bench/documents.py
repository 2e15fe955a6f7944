"""Runs to be written, made at once: `event_model` checks each document against its schema, which takes longer than writing it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from tilewright.testing.documents import simple_run, value_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tilewright.documents import Document


def run(events: int, keys: int) -> list[Document]:
    """Return a run of one stream of float keys, whose values say where they belong."""
    return list(stream(events, keys))


def stream(events: int, keys: int) -> Iterator[Document]:
    """Yield the same, document by document, for runs that would not go into memory."""
    start, descriptor, (_, first), (_, stop) = simple_run(events=1, keys=keys)
    yield from (start, descriptor)
    names = list(first["data"])
    for number in range(1, events + 1):
        yield "event", event_of(first, names, number)
    yield "stop", {**stop, "num_events": {"primary": events}}


def event_of(first: dict[str, Any], names: list[str], number: int) -> dict[str, Any]:
    """Return the event of a number, like the first one."""
    when = first["time"] + number
    return {
        **first,
        "uid": str(uuid.uuid4()),
        "seq_num": number,
        "time": when,
        "data": {name: value_of(number, column) for column, name in enumerate(names)},
        "timestamps": {name: when + column / 1000 for column, name in enumerate(names)},
    }
