"""What a user names as the catalog to write to comes in, a `Target` that the delivery can connect to goes out.

Called by `TiledWriter` and by the commands. Keys stay here and in the connections: no name, repr or message has one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import httpx

from tilewright.delivery.remote import Path, Remote
from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEY_VARIABLE = "TILED_API_KEY"
_OF_EVERY_CLIENT = frozenset({"accept", "accept-encoding", "connection", "host", "user-agent"})


@dataclass(frozen=True, slots=True)
class Address:
    """Where a catalog is and what opens it: all that another process needs to deliver to it."""

    api: str
    """URI of the API, ending in `/api/v1`."""
    root: Path = ()
    """Node of the server below which the catalog's runs lie."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with each request: the key, and what else a proxy may ask for."""
    login: tuple[str, str] | None = field(default=None, repr=False)
    """User and password of the URI."""

    def connect(self) -> Remote:
        """Make a connection; raises nothing, for nothing is sent yet."""
        return Remote(httpx.Client(headers=dict(self.headers), auth=self.login), self.api, self.root)


@dataclass(frozen=True, slots=True)
class Target:
    """Which catalog to deliver to."""

    name: str
    """What a journal's header records: no key in it."""
    connect: Callable[[], Remote]
    """Make a connection; raises nothing, for nothing is sent yet."""
    address: Address | None = None
    """What another process can be told; None if only this process can make the connection."""


def target(where: Any, *, owned: bool = False) -> Target:
    """Return the target a user named: a URI, a Tiled client, or an embedded server; a target is returned as it is.

    Parameters
    ----------
    where
        Which catalog.
    owned
        Whether the connections of a Tiled client are to be closed with ours: nobody else has it.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if isinstance(where, Target):
        return where
    if hasattr(where, "context") and hasattr(where, "path_parts"):
        return _client_target(where, owned=owned)
    if hasattr(where, "directory") and hasattr(where, "uri"):
        return at_address(_address(where.uri), str(where.directory))
    if isinstance(where, str):
        return at_address(_address(where))
    raise InputError(
        f"cannot write to {where!r}: expected the URI of a Tiled server, a Tiled client, or an embedded server"
    )


def at_address(address: Address, name: str | None = None) -> Target:
    """Return the target at an address; its name is the address, unless it has another."""
    return Target(name or "/".join((address.api, *address.root)), address.connect, address)


def _address(uri: str) -> Address:
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise InputError(f"the URI of a Tiled server is expected, http://… or https://…: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise InputError(
            f"{_without_key(uri)!r} is not the URI of a Tiled server: expected http://… or https://…"
        )
    api_key = next(iter(parse_qs(parts.query).get("api_key", [])), None) or os.environ.get(KEY_VARIABLE)
    before, found, after = parts.path.partition("/api/v1")
    host = parts.netloc.rpartition("@")[2]  # without a password, which goes into no journal and no log
    segments = [unquote(segment) for segment in after.split("/") if segment] if found else []
    return Address(
        api=urlunsplit((parts.scheme, host, before.rstrip("/") + "/api/v1", "", "")),
        root=tuple(segments[1:]) if segments[:1] == ["metadata"] else (),
        headers={"Authorization": f"Apikey {api_key}"} if api_key else {},
        login=(unquote(parts.username), unquote(parts.password or "")) if parts.username else None,
    )


def _without_key(uri: str) -> str:
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(query="", netloc=parts.netloc.rpartition("@")[2]))


def _client_target(client: Any, *, owned: bool) -> Target:
    context = client.context
    http = context.http_client
    api = str(context.api_uri).rstrip("/")
    root = tuple(part for part in client.path_parts if part)
    # Tokens that are refreshed, an application in this process, a certificate of one's own: these cannot be told.
    tellable = type(http) is httpx.Client and http.auth is None and getattr(context, "_verify", True) is True
    headers = {key: value for key, value in http.headers.items() if key not in _OF_EVERY_CLIENT}
    return Target(
        "/".join((api, *root)),
        lambda: Remote(http, api, root, owns_client=owned),
        Address(api, root, headers) if tellable else None,
    )
