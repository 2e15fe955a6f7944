"""A connection to ask questions over: the delivery's comes in, answers go out, and no key with them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx

    from tilewright.clients.doctor.diagnosis import Check
    from tilewright.delivery import Remote

PATIENCE = 5.0
"""Seconds that a question may take to be sent, or answered."""
SHOWN_FOR_A_KEY = "(key)"


@dataclass(frozen=True, slots=True)
class Visit:
    """A connection to ask questions over."""

    remote: Remote
    secrets: tuple[str, ...]
    """What must not stand in any finding."""

    @classmethod
    def of(cls, remote: Remote) -> Visit:
        """Return one over a connection of the delivery's."""
        scheme, _, secret = remote.http.headers.get("Authorization", "").partition(" ")
        return cls(remote, (secret,) if scheme and secret else ())

    @property
    def with_key(self) -> bool:
        """Whether the requests say who asks."""
        return bool(self.secrets) or self.remote.http.auth is not None

    @property
    def address(self) -> str:
        """What a user calls the server."""
        return self.remote.api.removesuffix("/api/v1")

    def without_secrets(self, checks: Iterable[Check]) -> list[Check]:
        """Take the key out of what a server or a library may have repeated."""
        keys = re.compile(
            "|".join(rf"(?<!\w){re.escape(secret)}(?!\w)" for secret in self.secrets) or r"(?!)"
        )
        return [
            replace(
                check,
                finding=keys.sub(SHOWN_FOR_A_KEY, check.finding),
                advice=keys.sub(SHOWN_FOR_A_KEY, check.advice),
            )
            for check in checks
        ]

    def get(self, route: str, **params: str) -> httpx.Response:
        """Ask for a route of Tiled's.

        Raises
        ------
        httpx.HTTPError
            If there is no answer.
        """
        return self.remote.http.get(f"{self.remote.api}/{route}", params=params, timeout=PATIENCE)

    def node(self) -> httpx.Response:
        """Ask for the node that the runs lie in."""
        return self.get("metadata/" + "/".join(quote(part, safe="") for part in self.remote.root))
