"""Records that their file could not take: the writer puts them in, readers and the writer's `sync` take them out."""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MEMORY_LIMIT = 256 << 20
"""Bytes that the journals of one directory may keep in memory, all together."""
_BLOCK = 1 << 16
"""Bytes. Records are gathered into blocks of this size: one write each, and little to copy for a reader."""


class Budget:
    """How much may be kept in memory; journals share one."""

    def __init__(self, limit: int = MEMORY_LIMIT) -> None:
        self.limit = limit
        self.used = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Reserve so many bytes; False if they are not to be had."""
        with self._lock:
            if self.used + size > self.limit:
                return False
            self.used += size
            return True

    def give_back(self, size: int) -> None:
        """Free what was taken."""
        with self._lock:
            self.used -= size


class Tail:
    """The end of a journal that is only in memory.

    File and tail are one sequence of bytes, with the offsets that all of it will have in the file. The tail may be
    empty, fill and become empty again while readers hold it. The writer's two threads and any number of readers use
    it at once; the lock is held for instants only.
    """

    def __init__(self, path: Path, budget: Budget, forget: Callable[[], None] = lambda: None) -> None:
        self.path = path
        """The file that has what is before, or will have."""
        self.lock = threading.Lock()
        """Held by the writer around the methods that say so."""
        self.start: int | None = None
        """Offset of the first byte in memory; None while nothing is, and the file has all."""
        self.budget = budget
        """What it shares with the tails of other journals."""
        self.forget = forget
        """To be called when all that is in memory has been delivered; its writer lets go of it, unless more comes."""
        self._blocks: list[bytes] = []
        """Whole records each, but for the first, which may be what is left of one."""
        self._ends: list[int] = []
        """Offset at which each block ends."""
        self._open = bytearray()
        """The block being filled."""

    @property
    def end(self) -> int:
        """Offset of the end of the journal; 0 while nothing is in memory."""
        with self.lock:
            return self._end()

    @property
    def size(self) -> int:
        """Bytes in memory."""
        with self.lock:
            return self._end() - (self.start or 0)

    def begin(self, start: int) -> None:
        """Say where in the journal the memory begins. The caller holds the lock."""
        self.start = start

    def append(self, data: bytes) -> bool:
        """Keep one record; False if there is no room. The caller holds the lock."""
        if not self.budget.take(len(data)):
            return False
        self._open += data
        if len(self._open) >= _BLOCK:
            self._close_block()
        return True

    def first(self) -> bytes | None:
        """Return the first block; None if nothing is in memory. The caller holds the lock."""
        if not self._blocks and self._open:
            self._close_block()
        return self._blocks[0] if self._blocks else None

    def drop(self, size: int) -> None:
        """Forget so many bytes of the first block: the file has them. The caller holds the lock."""
        if size == 0:
            return
        assert self.start is not None, "nothing is in memory"
        self.start += size
        rest = self._blocks[0][size:]
        if rest:
            self._blocks[0] = rest
        else:
            del self._blocks[0], self._ends[0]
        self.budget.give_back(size)

    def clear(self) -> None:
        """Forget everything. The caller holds the lock."""
        self.budget.give_back(self._end() - (self.start or 0))
        self.start = None
        self._blocks.clear()
        self._ends.clear()
        self._open.clear()

    def read(self, offset: int, count: int) -> tuple[int | None, bytes]:
        """Return where the memory begins, and what it has of `count` bytes from `offset`."""
        with self.lock:
            if self.start is None:
                return None, b""
            first = bisect_right(self._ends, offset)
            last = bisect_right(self._ends, offset + count)
            blocks = self._blocks[first : last + 1]
            start = self._ends[first - 1] if first else self.start
            if last >= len(self._blocks):
                blocks.append(bytes(self._open))
            began = self.start
        joined = b"".join(blocks)
        return began, joined[max(0, offset - start) : max(0, offset + count - start)]

    def _end(self) -> int:
        return (self._ends[-1] if self._ends else self.start or 0) + len(self._open)

    def _close_block(self) -> None:
        self._ends.append(self._end())
        self._blocks.append(bytes(self._open))
        self._open.clear()
