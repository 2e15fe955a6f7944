"""How much memory the acquiring process has, and by how much it grows with the events.

One long run without a pause between the events, which are made one by one. The resident set is looked at after each
hundredth of the events; "growth" is what it gained from the first tenth to the last event, divided by the events between.
For Tilewright it is the acquiring process alone that counts: its delivering process is another, and reads from the disk.
The peers, which deliver in the acquiring process, get fewer events, because they are slower: hence growth by the event.
"""

from __future__ import annotations

import psutil
from bench.documents import run, stream
from bench.lines import OURS, Figures, lines, show
from bench.measuring import Options, alone, in_turn
from bench.processes import served
from bench.writers import WRITERS, Place

EVENTS, PEER_EVENTS, KEYS = 2_000_000, 100_000, 10
SAMPLES = 100
MEGA = 1e6


def measure(name: str, place: Place, events: int) -> Figures:
    """Return the most megabytes, and the bytes gained by an event."""
    process = psutil.Process()
    memory = []
    given = {"on_stop": "return"} if name == OURS else {}  # the end of the delivery is not of interest here
    with WRITERS[name](place, **given) as write:
        for document in run(10, 1):  # connections are open, and whoever delivers is up
            write(*document)
        done = 0
        for kind, doc in stream(events, KEYS):
            write(kind, doc)
            done += kind == "event"
            if done * SAMPLES // events > len(memory):
                memory.append(process.memory_info().rss)
        if name == OURS:
            write.close(timeout=0)
    tenth = len(memory) // 10
    return {
        "memory-peak": max(memory) / MEGA,
        "memory-growth": (memory[-1] - memory[tenth - 1]) / (events * (1 - tenth / len(memory))),
    }


def main() -> None:
    """Measure all writers in turn, several times."""
    options = Options(__doc__, WRITERS)
    events = {
        name: options.size(EVENTS if name == OURS else PEER_EVENTS, least=SAMPLES) for name in options.names
    }
    with served() as place:
        results = in_turn(options, lambda name: alone(measure, name, place, events[name]))
        show(lines(results, {name: f"{events[name]:,} events of {KEYS} keys" for name in results}))


if __name__ == "__main__":
    main()
