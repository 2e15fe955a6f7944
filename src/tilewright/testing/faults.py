"""What can go wrong between a writer and its server, and when: plain data, which `tilewright.testing.proxy` acts out.

Tests and campaigns make faults by hand, `schedule` draws them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random


@dataclass(frozen=True, slots=True)
class Down:
    """The server dies when it gets the request: connections break, and new ones are refused for a time."""

    seconds: float
    """How long the port stays closed."""


@dataclass(frozen=True, slots=True)
class Silence:
    """The request is accepted, never reaches the server, and is never answered."""

    seconds: float | None = None
    """When the connection is ended; None: when the client does."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection breaks within the request."""

    forwarded: float = 0.0
    """How much of the request's body reaches the server, 0 to 1.

    0: nothing at all, not even the head; 1: the whole request, which the server may well carry out.
    """


@dataclass(frozen=True, slots=True)
class Answer:
    """The request is answered with this status."""

    status: int
    retry_after: int | None = None
    """Seconds, for the header Retry-After; None leaves it out."""
    committed: bool = False
    """Whether the server carries the request out first."""


@dataclass(frozen=True, slots=True)
class Withhold:
    """The server carries the request out, and its answer comes late or never."""

    seconds: float | None = None
    """How late; None: never."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The server carries the request out, and the connection breaks within its answer."""

    kept: float = 0.5
    """How much of the answer gets through, head and body together, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Late:
    """The request reaches the server when the client has given it up, and the server carries it out then.

    The nastiest case for who wants each row once: the count of the rows may have been read back in between.
    """

    seconds: float
    """From the end of the connection until the request reaches the server."""
    hang_up: bool = True
    """Whether the proxy ends the connection at once. Otherwise the client's patience decides."""


@dataclass(frozen=True, slots=True)
class Slow:
    """The request is carried out and answered, slowly."""

    latency: float = 0.0
    """Seconds by which the request is late."""
    bytes_per_second: int | None = None
    """Of request and answer; None: as fast as it goes."""


Fault = Down | Silence | Reset | Answer | Withhold | Cut | Late | Slow


@dataclass(frozen=True, slots=True)
class When:
    """Which requests a fault hits."""

    method: str | None = None
    """None: any."""
    route: str | None = None
    """Beginning of the path below the server's API, such as "table/partition"; None: any."""
    nth: int = 1
    """The first request hit, counted from 1 among those that match since the fault was injected.

    Those that a fault injected earlier has hit are not among them.
    """
    times: int | None = 1
    """How many requests are hit; None: all that come."""
    seconds: float | None = None
    """How long after it was injected the fault is over, hit or not; None: never."""

    def matches(self, method: str, route: str) -> bool:
        """Tell whether it may hit a request.

        >>> When(route="table/partition").matches("PATCH", "table/partition/run/primary/internal")
        True
        >>> When(method="GET", route="table").matches("GET", "tables/x")
        False
        """
        if self.method is not None and method != self.method:
            return False
        return self.route is None or f"{route}/".startswith(f"{self.route}/")


@dataclass(frozen=True, slots=True)
class Step:
    """A fault of a schedule."""

    at: float
    """Seconds from the schedule's beginning."""
    fault: Fault
    when: When


ROUTES = (None, "table/partition", "table/full", "metadata")
"""Where drawn faults hit: anywhere, appends, row counts, nodes being made and changed."""
STATUSES = (401, 403, 429, 500, 502, 503)
LONGEST_DELAY = 3.0
"""Seconds of the longest silence, outage or delay that is drawn."""
MEAN_PAUSE = 0.15
"""Seconds between two drawn faults, on the average."""
MOST_HITS = 3


def schedule(rng: Random, seconds: float) -> list[Step]:
    """Draw faults for a time; the same random numbers give the same faults.

    >>> from random import Random
    >>> steps = schedule(Random(1), 10)
    >>> steps == schedule(Random(1), 10), all(0 <= step.at < 10 for step in steps)
    (True, True)
    """
    steps, at = [], rng.expovariate(1 / MEAN_PAUSE)
    while at < seconds:
        when = When(
            route=rng.choice(ROUTES), times=rng.randint(1, MOST_HITS), seconds=rng.uniform(0.3, LONGEST_DELAY)
        )
        steps.append(Step(at, _drawn(rng), when))
        at += rng.expovariate(1 / MEAN_PAUSE)
    return steps


def _drawn(rng: Random) -> Fault:
    delay = rng.uniform(0.1, LONGEST_DELAY)
    kinds: Sequence[Fault] = (
        Down(delay),
        Silence(delay),
        Reset(rng.choice((0.0, rng.random(), 1.0))),
        Answer(rng.choice(STATUSES), retry_after=rng.choice((None, 1))),
        Answer(rng.choice((500, 502, 503)), committed=True),
        Withhold(delay),
        Cut(rng.random()),
        Late(delay),
        Slow(latency=delay / 3, bytes_per_second=rng.choice((None, 200_000))),
    )
    return rng.choice(kinds)
