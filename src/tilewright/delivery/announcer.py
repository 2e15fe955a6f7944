"""How delivery goes comes in after every round, and a line in the log goes out when that changes; used by the worker."""

from __future__ import annotations

import logging

logger = logging.getLogger("tilewright.delivery")

BEHIND_SECONDS = 30.0
"""Delivery is behind when the server has not had all of a run for this long."""


class Announcer:
    """Says once that delivery is held up or behind, and once that it is not: never a line for each try.

    Parameters
    ----------
    catalog
        Name of the catalog.
    """

    def __init__(self, catalog: str) -> None:
        self._catalog = catalog
        self._held_up = False
        self._behind = False

    def tell(self, error: str | None, seconds_behind: float) -> None:
        """Take note of why delivery is held up, if it is, and for how long the server has not had everything."""
        if error is not None:
            if not self._held_up:
                logger.warning("Delivery to %s waits, the journals are kept: %s", self._catalog, error)
            self._held_up = True
            return
        if self._held_up:
            logger.warning("Delivery to %s goes on", self._catalog)
        self._held_up = False
        behind = seconds_behind > BEHIND_SECONDS
        if behind and not self._behind:
            logger.warning(
                "Delivery to %s is %.0f s behind; the journals are kept, and it goes on",
                self._catalog,
                seconds_behind,
            )
        elif self._behind and not behind:
            logger.warning("Delivery to %s has caught up", self._catalog)
        self._behind = behind
