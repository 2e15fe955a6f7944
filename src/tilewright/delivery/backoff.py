"""How long to wait before something is tried again that has come to nothing; the worker and its arrays ask.

What has failed comes in, whether it is time goes out. The pause is doubled each time, up to a limit.
"""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """How long to wait after one failure more."""

    first: float
    """Seconds after the first failure."""
    last: float
    """Seconds at most."""
    delay: float = 0.0
    until: float = 0.0
    """When to try again, on the monotonic clock."""

    def fail(self, pause: float | None = None) -> None:
        """Wait longer than the last time, and at least `pause` seconds."""
        self.delay = min(self.last, 2 * self.delay) or self.first
        self.until = time.monotonic() + max(self.delay, pause or 0.0)

    def reset(self) -> None:
        """Try at once, and begin with the shortest wait after the next failure."""
        self.delay = self.until = 0.0

    @property
    def waiting(self) -> bool:
        """Whether it is not yet time."""
        return time.monotonic() < self.until
