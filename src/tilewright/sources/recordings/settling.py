"""Files of a folder that is being filled come in, those that are complete go out; `source` asks while it watches.

Nothing tells for certain that a recorder, or whoever copies, has done with a file. It is taken for complete when its size and its
time have not changed for a while, and as long again if its header promises more than is there. Pure: the time is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tilewright.sources.scan import Found

SETTLE_SECONDS = 5.0
"""How long a file does not change that is complete. A recorder writes several times a second, a copy over a network does too."""
PATIENCE = 2
"""So many times as long for one that seems to be cut off: it may be written yet, or be what a power cut left."""


@dataclass(slots=True)
class Settling:
    """Who has changed since when.

    Parameters
    ----------
    seconds
        How long a file does not change that is complete.
    """

    seconds: float
    _since: dict[str, tuple[tuple[int, int], float]] = field(default_factory=dict)
    """Size and time of each file, and since when they have been so, on the caller's clock."""

    def settled(self, found: Iterable[Found], now: float) -> list[Found]:
        """Return the files that have not changed for long enough; those that are gone are forgotten.

        Parameters
        ----------
        now
            Seconds on a clock that only goes on.
        """
        before, self._since = self._since, {}
        ready = []
        for each in found:
            state = (each.size, each.modified)
            was, since = before.get(each.place, (state, now))
            since = since if was == state else now
            self._since[each.place] = (state, since)
            if now - since >= self.seconds:
                ready.append(each)
        return ready

    def is_given_up(self, found: Found, now: float) -> bool:
        """Say whether a file that is not complete will not be: it has not changed for `PATIENCE` times as long."""
        _, since = self._since[found.place]
        return now - since >= PATIENCE * self.seconds
