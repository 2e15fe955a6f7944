"""Why there is no answer: an exception comes in, what it means and what to do goes out. `server` calls this."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class _Silence:
    """One way of not answering."""

    cause: type[BaseException]
    """Raised by httpx, or behind what it raised."""
    finding: str
    """May name {address}, {host}, {patience}, and the {reason} that the exception gives."""
    advice: str


_SILENCES = (  # the first that suits counts
    _Silence(
        socket.gaierror,
        "the name {host} is not known (DNS)",
        "Check the spelling of the address, and the network.",
    ),
    _Silence(
        ssl.SSLCertVerificationError,
        "the certificate of {address} is not accepted: {reason}",
        "Set SSL_CERT_FILE to the certificates of its authority, or use the name that it is made out to.",
    ),
    _Silence(
        ssl.SSLError,
        "{address} does not speak TLS ({reason})",
        "Write http:// instead of https://, or name another port.",
    ),
    _Silence(
        ConnectionRefusedError,
        "nobody listens at {address}",
        "Start the server (`tilewright serve`), or correct the port in the address.",
    ),
    _Silence(
        httpx.ConnectTimeout,
        "no connection to {address} within {patience:g} s",
        "Check that the machine is on, and that no firewall is between.",
    ),
    _Silence(
        httpx.TimeoutException,
        "{address} takes the connection and does not answer within {patience:g} s",
        "It hangs or is overloaded: look at its log, restart it. What is recorded waits in the journals.",
    ),
    _Silence(
        httpx.ProxyError,
        "the proxy on the way to {address} refuses ({reason})",
        "Look at the environment variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY.",
    ),
    _Silence(
        httpx.RemoteProtocolError,
        "what listens at {address} does not speak HTTP ({reason})",
        "Check the port; a server with TLS needs https://.",
    ),
    _Silence(
        httpx.HTTPError,
        "no answer from {address} ({reason})",
        "Check the address, the network, and whether the server keeps running.",
    ),
)


def silence(error: httpx.HTTPError, address: str, patience: float) -> tuple[str, str]:
    """Return in words why there was no answer within `patience` seconds, and what to do."""
    causes = list(_causes(error))
    kind, cause = next(
        (kind, cause) for kind in _SILENCES for cause in causes if isinstance(cause, kind.cause)
    )
    finding = kind.finding.format(
        address=address, host=urlsplit(address).hostname, patience=patience, reason=reason(cause)
    )
    return finding, kind.advice


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those behind it; httpx wraps what the socket said."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def reason(error: BaseException) -> str:
    """Return what an exception says, in one line."""
    text = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
    return " ".join(text.split()) or type(error).__name__
