"""Blocks of any sessions come in, one after the other; the documents of their runs go out: a run a session.

`source` pulls them out of a stream; `tilewright.stores` puts in what is stored.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tilewright.audio import Pcm
from tilewright.documents import quoted
from tilewright.errors import InputError
from tilewright.sources.blocks.session_run import UNITS, SessionRun, anchor_ns, precision_ns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tilewright.documents import Document

SENSOR = "microphone"
"""Name of a sensor that has none."""
LINGER_SECONDS = 10.0
"""How long a session's run is kept open for late blocks when another one has begun."""
MOST_OPEN = 8
"""Sessions whose runs are open at once; of more, the one is stopped of which nothing came for longest."""


class Block(NamedTuple):
    """What a buffer gives: some bytes of a session, and which."""

    session: Any
    """When the session began: a number, or a time with a zone."""
    offset: int
    """Bytes of the session before it."""
    data: bytes
    sensor: str = SENSOR
    overflow: bool = False
    """Whether the buffer has lost something before it."""


@dataclass(slots=True)
class _Open:
    """A run that has not been stopped."""

    run: SessionRun
    last: float
    """When the last block came; seconds of a monotonic clock."""


class Sessions:
    """The runs of a stream's sessions; those that are open take blocks.

    Parameters
    ----------
    pcm
        What the bytes are; a mapping where sensors differ.
    unit
        What a session is counted in from 1970, if it is a number: "s", "ms", "us" or "ns".
    sensors
        By the name of a sensor, what is known of it.
    about
        What else goes into the start documents.

    Raises
    ------
    InputError
        If there is no such unit.
    """

    def __init__(
        self,
        pcm: Pcm | Mapping[str, Pcm],
        *,
        unit: str,
        sensors: Mapping[str, Mapping[str, Any]],
        about: Mapping[str, Any],
    ) -> None:
        if unit not in UNITS:
            raise InputError(f"unit={unit!r}: expected one of {', '.join(UNITS)}.")
        self._pcm, self._unit, self._facts, self._about = pcm, unit, sensors, about
        self._open: OrderedDict[int, _Open] = OrderedDict()
        """By the session's anchor, the one of which something came last at the end."""
        self._stopped: dict[int, str] = {}
        """uid of the last run of each session that was stopped."""

    def take(self, block: Block) -> Iterator[Document]:
        """Yield the documents of a block, and the stops of runs of which nothing came for long.

        Raises
        ------
        InputError
            If it is no block.
        """
        now, anchor = time.monotonic(), anchor_ns(block.session, self._unit)
        pcm = self._pcm_of(block.sensor)
        if anchor not in self._open:
            run = SessionRun(block.session, anchor, precision_ns(block.session, self._unit), self._about)
            self._open[anchor] = _Open(run, now)
            yield run.start(self._stopped.get(anchor))
        run = self._open[anchor].run
        arrived = block.offset, block.data, bool(block.overflow)
        yield from run.add(block.sensor, pcm, self._facts.get(block.sensor, {}), arrived)
        self._open[anchor].last = now
        self._open.move_to_end(anchor)
        while len(self._open) > 1 and self._is_over(next(iter(self._open.values())), now):
            yield self._stop(next(iter(self._open)))

    def stop(self, reason: str = "") -> Iterator[Document]:
        """Yield the stops of all runs that are open; with a reason, they have failed."""
        for anchor in list(self._open):
            yield self._stop(anchor, reason)

    def _is_over(self, oldest: _Open, now: float) -> bool:
        return len(self._open) > MOST_OPEN or now - oldest.last > LINGER_SECONDS

    def _stop(self, anchor: int, reason: str = "") -> Document:
        run = self._open.pop(anchor).run
        self._stopped[anchor] = run.uid
        return run.stop(reason)

    def _pcm_of(self, sensor: str) -> Pcm:
        if isinstance(self._pcm, Pcm):
            return self._pcm
        if sensor not in self._pcm:
            known = ", ".join(self._pcm) or "none"
            raise InputError(f"What the bytes of sensor {quoted(sensor)} are is not told: pcm has {known}.")
        return self._pcm[sensor]
