"""A campaign's seed and a trial's number come in, what happens in that trial goes out; a pure function."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from campaign.documents import Size

KILLS = {"nothing": 2, "acquirer": 4, "deliverer": 3, "acquirer and deliverer": 2, "server": 1}
"""What is killed with SIGKILL, and how often."""
PEER_KILLS = {"nothing": 4, "acquirer": 4, "server": 1}
PACES = {0.0: 3, 0.001: 2, 0.005: 1}
"""Seconds between two documents, and how often."""
GIVING_SECONDS = 1.5
"""How long a paced trial gives documents, about."""
MOST_EVENTS = 20_000
"""Of an unpaced trial; most have far fewer."""
START_SECONDS = 1.2
"""About how long it takes until an acquiring process gives its first document."""
MOST_KILLS = 3


@dataclass(frozen=True, slots=True)
class Trial:
    """Everything that is decided before a trial."""

    number: int
    peer: bool
    """Whether Bluesky's writer is tried."""
    seed: int
    """Of the documents and of the faults."""
    size: Size
    pace: float
    """Seconds between two documents."""
    deliver: str
    on_stop: str
    ending: str
    """What the acquiring process does at its end: closes the writer, just ends, or ends at once."""
    kill: str
    kill_at: tuple[float, ...]
    """When: shares of the documents, 0 to 1, in order."""
    kill_delay: float
    """Seconds after that."""
    fault_seconds: float
    """How long the proxy acts out a drawn schedule; 0: the network is fine."""
    faults_at_start: bool
    """Whether the schedule begins with the acquiring process, and not with its first document."""
    rival: bool
    """Whether `tilewright deliver` runs on the same journals at the same time."""
    recovery: str
    """Who delivers what is left: `tilewright deliver`, or the next writer."""
    first_recovery_seconds: float
    """How long a first `tilewright deliver` runs before, in a network that fails if it did, until it is killed; 0: none does."""

    @property
    def label(self) -> str:
        """The kind of trial."""
        network = "faults" if self.fault_seconds else "no faults"
        return f"{self.kill} killed, {network}"


def plan(campaign: int, number: int, *, peer: bool = False) -> Trial:
    """Return a trial; the same numbers give the same."""
    rng = Random(f"{campaign}/{number}/{peer}")
    kills = PEER_KILLS if peer else KILLS
    kill = rng.choices(list(kills), list(kills.values()))[0]
    pace = rng.choices(list(PACES), list(PACES.values()))[0]
    runs = rng.randint(1, 3)
    most = MOST_EVENTS if pace == 0 else GIVING_SECONDS / pace
    size = Size(events=max(1, int(most * rng.random() ** 2 / runs)), runs=runs, plain=peer)
    faulty = kill == "nothing" or rng.random() < 0.6
    kill_times = rng.randint(1, MOST_KILLS) if kill == "deliverer" else 1
    rival = not peer and rng.random() < 0.15
    deliver = (
        "process" if "deliverer" in kill else rng.choices(("process", "thread", "elsewhere"), (6, 3, 1))[0]
    )
    at_start = not peer and rng.random() < 0.3  # Bluesky's writer needs a server that is well to begin with
    return Trial(
        number=number,
        peer=peer,
        seed=rng.getrandbits(32),
        size=size,
        pace=pace,
        deliver=deliver,
        # Who has the delivery done elsewhere and waits for it, with nobody there to do it, waits for 30 s.
        on_stop="return" if deliver == "elsewhere" and not rival else rng.choice(("wait", "wait", "return")),
        ending=rng.choice(("close", "end", "abandon")),
        kill=kill,
        kill_at=tuple(sorted(rng.random() for _ in range(kill_times))),
        kill_delay=rng.choice((0.0, rng.uniform(0, 0.02), rng.uniform(0, 0.5))),
        fault_seconds=START_SECONDS * at_start + rng.uniform(1.5, 5.5) if faulty else 0.0,
        faults_at_start=at_start,
        rival=rival,
        recovery=rng.choice(("command", "writer")),
        first_recovery_seconds=rng.uniform(1.0, 4.0) if rng.random() < 0.3 else 0.0,
    )
