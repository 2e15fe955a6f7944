"""What it means when a request fails: an HTTP status comes in, an error goes out that says what to do about it.

`remote` calls this for what a server answers, and `steps` for what one of ours says of a single step.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from tilewright.errors import FinalError, TransientError

LONGEST_WAIT = 300.0
"""Seconds. A server that asks for a longer pause (`Retry-After`) is asked again after this."""
_BUSY_STATUSES = frozenset({408, 425, 429})
_KEY_STATUSES = frozenset({401, 403})


class UnreachableError(TransientError):
    """Nobody answers at the catalog's address."""


class BusyError(TransientError):
    """The server asks for patience, or is not there while something in front of it is; nothing was done."""

    def __init__(self, message: str, pause: float | None) -> None:
        super().__init__(message)
        self.pause = pause
        """Seconds that the server asked to be left alone for; None if it did not say."""


class KeyRefusedError(TransientError):
    """The server does not let this key in; it may have expired, and be renewed."""


class FateUnknownError(TransientError):
    """The request may have been carried out: its effect must be read back before it is repeated."""

    def __init__(self, message: str, pause: float | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.pause = pause
        """As in `BusyError`."""
        self.status = status
        """What the server answered, of HTTP; None if it did not."""


class ConflictError(FinalError):
    """Something else is already where a node was to be created."""


class NotThereError(FinalError):
    """There is no such node."""


def refusal(status: int, message: str, pause: float | None = None) -> FinalError | TransientError:  # noqa: PLR0911 - one line a case
    """Decide, in this one place, what a refusal means.

    Parameters
    ----------
    status
        Of HTTP.
    message
        What is said of it.
    pause
        Seconds that the server asked to be left alone for.
    """
    if status == httpx.codes.NOT_FOUND:
        return NotThereError(message)
    if status == httpx.codes.CONFLICT:
        return ConflictError(message)
    if status in _KEY_STATUSES:
        return KeyRefusedError(f"{message}. The journals are kept until the key is renewed")
    if status in _BUSY_STATUSES:
        return BusyError(message, pause)
    if httpx.codes.is_redirect(status):
        return TransientError(message)
    if httpx.codes.is_server_error(status):
        return FateUnknownError(message, pause, status)
    return FinalError(message)


def pause_of(response: httpx.Response) -> float | None:
    """Return the seconds of a `Retry-After` header, which has a number or a date (RFC 9110, 10.2.3)."""
    value = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+", value):
        seconds = float(value)
    else:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):  # no such header, or nonsense in it
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT)
