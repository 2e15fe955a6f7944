"""How long the commands that deliver wait for a server that is away, or that does not get on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tilewright.delivery import Status

AWAY_SECONDS = 5.0
"""How long a server may be away before a command gives up."""
STUCK_SECONDS = 30.0
"""How long nothing may get through to a server that is there."""


class Patience:
    """What is left of it.

    Parameters
    ----------
    status
        How things stand at the beginning.
    """

    def __init__(self, status: Status) -> None:
        self._least = status.waiting_bytes
        self._away_until = time.monotonic() + AWAY_SECONDS
        self._stuck_until = time.monotonic() + STUCK_SECONDS

    def is_over(self, status: Status, *, away: bool, others: bool = False) -> bool:
        """Say whether to give up.

        Parameters
        ----------
        status
            How things stand now.
        away
            Whether the server is of no use.
        others
            Whether somebody else delivers some of it, so that it is not for us to get on.
        """
        now = time.monotonic()
        if status.waiting_bytes < self._least or others:
            self._least, self._stuck_until = status.waiting_bytes, now + STUCK_SECONDS
        if not away:
            self._away_until = now + AWAY_SECONDS
        return now > min(self._away_until, self._stuck_until)


def obstacle(status: Status) -> str:
    """Return the reason to tell, when it is over."""
    return status.last_error or "it makes no progress"
