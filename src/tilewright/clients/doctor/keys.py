"""What a key may do: a connection comes in, a check of the key goes out. `examine` calls `check_key`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx

from tilewright.clients.doctor.diagnosis import bad, good, not_checked, warning
from tilewright.clients.doctor.silence import reason

if TYPE_CHECKING:
    from tilewright.clients.doctor.diagnosis import Check
    from tilewright.clients.doctor.visit import Visit

KEY_RUNS_OUT = 7 * 24 * 3600.0
"""Seconds before a key's end from which on it is said."""

TO_READ = frozenset({"read:metadata", "read:data"})
TO_WRITE = frozenset({"write:metadata", "write:data", "create:node"})
TO_REGISTER = frozenset({"register"})
TO_REMOVE = frozenset({"delete:node", "delete:revision"})
ALL_SCOPES = TO_READ | TO_WRITE | TO_REGISTER | TO_REMOVE
"""What a delivery asks of a server; Tiled checks these by route (`tiled.server.router`)."""
_GIVE_A_KEY = "Add ?api_key=… to the address, or set the environment variable TILED_API_KEY."
_INHERIT = "inherit"
"""In the scopes of a key: all that its owner may do."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What a key may do."""

    scopes: frozenset[str]
    owner: str = ""
    """Who it belongs to, as far as the server says."""
    expires: datetime | None = None

    @property
    def missing(self) -> frozenset[str]:
        """What a delivery would need besides."""
        return ALL_SCOPES - self.scopes


def check_key(visit: Visit) -> tuple[Check, Rights | None]:
    """Find out whether the key is let in, and what it may do; None if it is not."""
    name = "key"
    try:
        answer = visit.node()
        if (refused := _refused(visit, answer)) is not None:
            return refused, None
        rights = _rights(visit)
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        return not_checked(name, f"the server did not say what it may do: {reason(error)}"), None
    return _rights_check(name, visit, rights), rights


def _refused(visit: Visit, answer: httpx.Response) -> Check | None:
    """Return what is wrong if the node of the catalog is not shown."""
    name = "key"
    where = "/".join(visit.remote.root) or "the catalog"
    if answer.is_success:
        if answer.json()["data"]["attributes"]["structure_family"] != "container":
            return bad(
                name, f"{where} is not a container, so no runs can lie in it", "Name the container itself."
            )
        return None
    if answer.status_code == httpx.codes.NOT_FOUND:
        advice = "Check the address; a key whose access is limited by tags does not see it either."
        return bad(name, f"there is no {where} on the server", advice)
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        if visit.with_key:
            advice = "Give the one it printed when it started, or ask its owner for a new one: it may have expired."
            return bad(name, f"the server refuses it: {_detail(answer)}", advice)
        return bad(name, "none was given, and the server wants one", _GIVE_A_KEY)
    finding = f"the server answers {answer.status_code} {answer.reason_phrase} when asked for {where}"
    return bad(name, finding, "Look at its log.")


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):  # not Tiled's: of something in front of it
        return f"{answer.status_code} {answer.reason_phrase}"


def _rights(visit: Visit) -> Rights:
    """Ask a server with several users what the key may do; one with a single user has no such routes."""
    key = visit.get("auth/apikey")
    if key.status_code == httpx.codes.NOT_FOUND:
        return Rights(ALL_SCOPES if visit.with_key else TO_READ)
    who = visit.get("auth/whoami")
    owner = who.json() if who.is_success else None
    if not isinstance(owner, dict):  # nobody in particular
        return Rights(TO_READ)
    roles = frozenset(scope for role in owner["roles"] for scope in role["scopes"])
    name = ", ".join(str(identity["id"]) for identity in owner["identities"]) or str(owner["type"])
    if not key.is_success:  # logged in, without a key
        return Rights(roles, name)
    facts = key.json()
    scopes = frozenset(facts["scopes"])
    return Rights(
        roles if _INHERIT in scopes else scopes & roles, name, _moment(facts.get("expiration_time"))
    )


def _rights_check(name: str, visit: Visit, rights: Rights) -> Check:
    allowed = ", ".join(sorted(rights.scopes & ALL_SCOPES)) or "nothing"
    missing = ", ".join(sorted(rights.missing))
    if not visit.with_key:
        finding = f"none was given; without one the server allows {allowed}"
        return bad(name, finding, _GIVE_A_KEY)
    finding = (f"of {rights.owner}: " if rights.owner else "") + f"allows {allowed}"
    if rights.expires is not None:
        finding += f", until {rights.expires:%Y-%m-%d %H:%M} UTC"
    if (TO_READ | TO_WRITE) & rights.missing:
        return bad(
            name, f"{finding}; not {missing}", f"Ask for a key with {missing}: no run can be written without."
        )
    if rights.missing:
        losses = {
            "detectors' files cannot be registered": TO_REGISTER,
            "a table that has to be made anew cannot be removed": TO_REMOVE,
        }
        lost = [loss for loss, scopes in losses.items() if scopes & rights.missing]
        return warning(
            name, f"{finding}; not {missing}", f"Ask for a key with {missing}: {', and '.join(lost)}."
        )
    if rights.expires is not None and (rights.expires - datetime.now(UTC)).total_seconds() < KEY_RUNS_OUT:
        return warning(name, finding, "Ask for a new one in time: past that, deliveries wait.")
    return good(name, finding)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)  # Tiled leaves it out at times
