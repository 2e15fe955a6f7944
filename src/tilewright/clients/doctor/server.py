"""The server as a stranger meets it: a connection comes in; whether it answers, how fast, and what it is goes out.

`examine` calls this. Everything that can be wrong with an address is put into words here and in `silence`. Nothing is
changed.
"""

from __future__ import annotations

import re
import statistics
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

import httpx

from tilewright.clients.doctor import visit as visiting
from tilewright.clients.doctor.diagnosis import bad, good, not_checked, warning
from tilewright.clients.doctor.silence import silence

if TYPE_CHECKING:
    from tilewright.clients.doctor.diagnosis import Check
    from tilewright.clients.doctor.visit import Visit

OLDEST_TILED = (0, 2, 20)
"""What pyproject.toml asks for."""
ROUND_TRIPS = 3
SLOW = 0.5
"""Seconds a round trip may take."""
CLOCKS_APART = 2.0
"""Seconds that two clocks may differ."""
DATE_RESOLUTION = 1.0
"""Seconds: what the header Date is rounded down to."""
DATE_AGE = 1.0
"""Seconds that the header may be old: Uvicorn renews it this often, counting turns of its loop."""
DATE_TURNS = 10
"""Turns between two renewals: one that answers late turns late, so its header may be older by so many answers."""


@dataclass(frozen=True, slots=True)
class Server:
    """A Tiled server that answers."""

    version: str
    """Tiled's."""
    round_trip: float
    """Seconds, the median of a few."""
    clock: tuple[float, float] | None
    """Seconds that its clock is ahead of this machine's: at least, at most. None if it does not tell the time."""


def reach(visit: Visit) -> tuple[Check, Server | None]:
    """Ask the server what it is; None if it is none that can be used."""
    name, address = "server", visit.address
    try:
        answer, first = _timed(visit)
        if (wrong := _not_tiled(visit, answer)) is not None:
            return wrong, None
        rest = [_timed(visit) for _ in range(ROUND_TRIPS)]
    except httpx.HTTPError as error:
        finding, advice = silence(error, address, visiting.PATIENCE)
        return bad(name, finding, advice), None
    seconds = statistics.median(trip.seconds for _, trip in rest)
    clock = _clock([(answer, first), *rest])
    server = Server(str(answer.json()["library_version"]), seconds, clock)
    finding = f"{address} answers in {seconds * 1000:.0f} ms"
    if seconds > SLOW:
        advice = "Runs arrive late, and nothing is lost; look at the load of the server and at the network between."
        return warning(name, finding, advice), server
    return good(name, finding), server


def check_versions(server: Server) -> Check:
    """Compare Tiled on the server with Tiled here."""
    name, here = "versions", version("tiled")
    finding = f"Tiled {server.version} on the server, {here} here, Tilewright {version('tilewright')}"
    theirs = _release(server.version)
    if theirs < OLDEST_TILED:
        oldest = ".".join(map(str, OLDEST_TILED))
        return warning(
            name, finding, f"Upgrade Tiled on the server: Tilewright is made for {oldest} and later."
        )
    if theirs[:2] != _release(here)[:2]:
        return warning(name, finding, "Use one version of Tiled on both sides: they change together.")
    return good(name, finding)


def check_clock(server: Server) -> Check:
    """Compare the server's clock with this machine's."""
    name = "clocks"
    if server.clock is None:
        return not_checked(name, "the server does not tell the time")
    least, most = server.clock
    if least > CLOCKS_APART or most < -CLOCKS_APART:
        seconds = (least + most) / 2
        finding = (
            f"the server's is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} this machine's"
        )
        return warning(name, finding, "Have both set by NTP: times of runs and of files would not fit.")
    return good(
        name, f"the server's and this machine's are within {CLOCKS_APART:.0f} s as far as can be told"
    )


@dataclass(frozen=True, slots=True)
class _Trip:
    """When a question was asked and answered."""

    sent: float
    """Seconds since 1970, by this machine's clock."""
    seconds: float


def _timed(visit: Visit) -> tuple[httpx.Response, _Trip]:
    sent, began = time.time(), time.perf_counter()
    answer = visit.get("")
    return answer, _Trip(sent, time.perf_counter() - began)


def _not_tiled(visit: Visit, answer: httpx.Response) -> Check | None:
    """Return what is wrong if the answer is not that of a Tiled server."""
    name, address = "server", visit.address
    if answer.is_redirect:
        place = answer.headers.get("Location", "another address").partition("?")[0]
        return bad(name, f"{address} sends on to {place}", "Give the address that it sends to.")
    if answer.is_server_error:
        finding = f"{address} answers {answer.status_code} {answer.reason_phrase}"
        return bad(name, finding, "Look at its log, and at that of a proxy in front of it; then try again.")
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        finding = f"{address} lets nobody in ({answer.status_code}), not even to ask what it is"
        return bad(
            name, finding, "There is a login in front of Tiled: give http://user:password@…, or another way."
        )
    try:
        content = answer.json() if answer.is_success else None
    except ValueError:
        content = None
    if not isinstance(content, dict) or "library_version" not in content:
        finding = f"what answers at {address} ({answer.status_code}) is not a Tiled server"
        return bad(name, finding, "Check the port, and the path before /api/v1 if there is one.")
    return None


def _clock(answers: list[tuple[httpx.Response, _Trip]]) -> tuple[float, float] | None:
    """Return how far the server's clock is ahead: what all its answers agree on, from the least to the most."""
    least, most = [], []
    age = DATE_AGE + DATE_TURNS * max(trip.seconds for _, trip in answers)
    for answer, trip in answers:
        try:
            theirs = parsedate_to_datetime(answer.headers["Date"]).timestamp()
        except (KeyError, ValueError):
            return None
        least.append(theirs - (trip.sent + trip.seconds))
        most.append(theirs + DATE_RESOLUTION + age - trip.sent)
    return max(least), min(most)


def _release(text: str) -> tuple[int, ...]:
    """Return the numbers of a version.

    >>> _release("0.2.20.post3+g1234"), _release("unknown")
    ((0, 2, 20), ())
    """
    found = re.match(r"\d+(\.\d+)*", text)
    return tuple(map(int, found[0].split("."))) if found else ()
