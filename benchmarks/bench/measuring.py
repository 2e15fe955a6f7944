"""How the scripts measure: their common options, implementations in turn, each run in a process of its own."""

from __future__ import annotations

import argparse
import statistics
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from .lines import FLOOR, OURS
from .processes import SPAWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .lines import Figures

T = TypeVar("T")


class Options:
    """What the command line said."""

    def __init__(self, description: str, implementations: Iterable[str], repeats: int = 3) -> None:
        known = list(implementations)
        parser = argparse.ArgumentParser(description=description.partition("\n")[0])
        parser.add_argument("--repeats", type=int, default=repeats, help="runs of Tilewright")
        parser.add_argument("--peer-repeats", type=int, help="runs of the others; default: as many")
        parser.add_argument("--writers", "--implementations", nargs="+", default=known, choices=known)
        parser.add_argument("--scale", type=float, default=1.0, help="multiplies all sizes; 0.01 for a look")
        given = parser.parse_args()
        self.names: list[str] = given.writers
        self._repeats: int = given.repeats
        self._peer_repeats: int = given.repeats if given.peer_repeats is None else given.peer_repeats
        self._scale: float = given.scale

    def size(self, full: int, least: int = 1) -> int:
        """Return a number of events, files, runs or seconds, as small as was asked for."""
        return max(least, round(full * self._scale))

    def repeats(self, name: str) -> int:
        """Return how many runs an implementation gets."""
        return self._repeats if name in (OURS, FLOOR) else self._peer_repeats


def in_turn(options: Options, measure: Callable[[str], Figures]) -> dict[str, Sequence[Figures]]:
    """Measure all implementations in turn, so that what else the machine does meets all of them."""
    results: dict[str, list[Figures]] = {name: [] for name in options.names}
    for number in range(max(map(options.repeats, options.names))):
        for name, found in results.items():
            if number < options.repeats(name):
                found.append(measure(name))
    return dict(results)


def alone(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a process of its own, and return what it returns.

    Raises
    ------
    RuntimeError
        With the traceback, if it raised.
    """
    with ProcessPoolExecutor(1, mp_context=SPAWN) as pool:
        result, problem = pool.submit(_told, function, *arguments).result()
    if problem:
        raise RuntimeError(problem)
    return result


def median_seconds(call: Callable[[], object], repeats: int = 21) -> float:
    """Return the median of the seconds that a call takes, after a first one."""
    call()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _told(function: Callable[..., T], *arguments: Any) -> tuple[T | None, str]:
    """Return what a function returns, or the traceback as text: not every exception can go to another process."""
    try:
        return function(*arguments), ""
    except Exception:  # noqa: BLE001 - whatever it is, it is raised in the other process
        return None, traceback.format_exc()
