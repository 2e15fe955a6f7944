"""Blocks of chunked arrays, once they are unpacked: whoever reads spans that reach into each other has each unpacked once. `stored` calls it.

Tasks of a pipeline read their tiles with what lies before and after, and run side by side: without this, each chunk would be unpacked three
times. What is kept is of a process, and bounded.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from numpy.typing import NDArray

    Block = NDArray[Any]

MOST = 400_000_000
"""Bytes that are kept: four blocks of 15 s of 7,500 channels at 200 Hz."""


class Decoded:
    """The blocks that were asked for last.

    Parameters
    ----------
    most
        Bytes; of more, those that were not asked for the longest are let go.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._blocks: OrderedDict[Hashable, Future[Block]] = OrderedDict()

    def block(self, key: Hashable, make: Callable[[], Block]) -> Block:
        """Return a block, which must not be written to; the first thread that asks makes it, others that ask meanwhile wait for it.

        What `make` raises is raised in all of them, and not kept.
        """
        with self._lock:
            known = self._blocks.get(key)
            if known is not None:
                self._blocks.move_to_end(key)
            else:
                mine = self._blocks[key] = Future()
        if known is not None:
            return known.result()
        try:
            made = make()
        except BaseException as error:
            with self._lock:
                del self._blocks[key]
            mine.set_exception(error)
            raise
        mine.set_result(made)
        self._shrink()
        return made

    def _shrink(self) -> None:
        with self._lock:
            done = [(key, block.result().nbytes) for key, block in self._blocks.items() if block.done()]
            surplus = sum(size for _, size in done) - self._most
            for key, size in done:
                if surplus <= 0:
                    return
                del self._blocks[key]
                surplus -= size


OF_THIS_PROCESS = Decoded()
