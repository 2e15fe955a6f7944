"""The blocks of one sensor come in, as a buffer gives them; what is new of each, and how it follows the others, goes out.

`session_run` asks it. Pure. A block's place is its byte offset in the session, whenever it comes:

    blocks   0  1  2     5  4  4     7
    status   ·  ·  ·     ▲  │  └ again      ▲ after a gap (of 3 and 4; of 6)
                            └ late, in a gap that it closes, or makes smaller
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tilewright.documents import quoted
from tilewright.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from tilewright.audio import Pcm

IN_ORDER = "in order"
AFTER_GAP = "after a gap"
LATE = "late"
AGAIN = "again"
OVERLAPPING = "overlapping"
EMPTY = "empty"
REMEMBERED = 16 << 20
"""Bytes of a sensor's last blocks that are kept, to tell one that comes again from another one in its place. A checksum of each would
take longer than to write it."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A block, and what it is among those that came."""

    offset: int
    """Bytes of the session before it, as it was told."""
    size: int
    """Bytes of it, as it came."""
    position: int
    """Frames of the session before its first whole one."""
    samples: np.ndarray[Any, Any]
    """What is new, shape (frames,) or (frames, channels): nothing if it came before."""
    status: str
    """One of those above."""
    remark: str = ""


class Arrivals:
    """The blocks of one sensor in a session, so far."""

    def __init__(self, pcm: Pcm) -> None:
        self.pcm = pcm
        self.end = 0
        """Frames of the session up to the end of the block that reaches furthest."""
        self.missing: list[tuple[int, int]] = []
        """Frames that have not come, of those before `end`: from the first to before the last of each gap."""
        self._recent: OrderedDict[int, bytes] = OrderedDict()
        """The last blocks, by their position …"""
        self._recent_bytes = 0
        """… and how large they are."""
        self._rest = b""
        """The beginning of a frame at the end of the last block …"""
        self._rest_offset = 0
        """… and its place in the session, in bytes."""

    @property
    def rest(self) -> str:
        """A sentence on the bytes of a frame whose end has not come, if there are some."""
        if not self._rest:
            return ""
        return f"the {_bytes(self._rest)} at {self._rest_offset} are no whole frame"

    def take(self, offset: Any, data: Any) -> Arrival:
        """Take a block.

        Parameters
        ----------
        offset
            Bytes of the session before it.
        data
            bytes, bytearray or memoryview.

        Raises
        ------
        InputError
            If it is no block.
        """
        place, content = _checked(offset, data)
        size = len(content)
        whole, position, remark = self._whole_frames(place, content)
        frames = len(whole) // self.pcm.frame_bytes
        status = self._place(position, position + frames, whole) if frames else EMPTY
        samples = self.pcm.raw.view(b"" if status == AGAIN else whole)
        return Arrival(place, size, position, samples, status, remark)

    def _whole_frames(self, offset: int, data: bytes) -> tuple[bytes, int, str]:
        """Return the bytes of a block's frames, with those of one that it completes; their position; and what is left out."""
        width, remark = self.pcm.frame_bytes, ""
        if self._rest and offset == self._rest_offset + len(self._rest):
            data, offset = self._rest + data, self._rest_offset
        elif self._rest:
            remark = self.rest
        self._rest = b""
        head = -offset % width
        if head:
            remark = f"{remark}; " if remark else ""
            remark += f"the {_bytes(data[:head])} at {offset} are no whole frame"
            data, offset = data[head:], offset + head
        tail = len(data) % width
        if tail:
            self._rest, self._rest_offset = data[-tail:], offset + len(data) - tail
            data = data[:-tail]
        return data, offset // width, remark

    def _place(self, start: int, stop: int, data: bytes) -> str:
        known = self._recent.pop(start, b"")
        self._recent[start] = data
        self._recent_bytes += len(data) - len(known)
        while self._recent_bytes > REMEMBERED:
            self._recent_bytes -= len(self._recent.popitem(last=False)[1])
        if start >= self.end:
            is_next = start == self.end
            if not is_next:
                self.missing.append((self.end, start))
            self.end = stop
            return IN_ORDER if is_next else AFTER_GAP
        if known == data:
            return AGAIN
        is_late = any(first <= start and stop <= last for first, last in self.missing)
        self.missing = [part for gap in self.missing for part in _without(gap, start, stop)]
        self.end = max(self.end, stop)
        return LATE if is_late else OVERLAPPING


def _checked(offset: Any, data: Any) -> tuple[int, bytes]:
    is_place = not isinstance(offset, bool) and hasattr(offset, "__index__")
    if not is_place or int(offset) < 0:
        raise InputError(
            f"A block's offset is {quoted(offset)}: expected the number of bytes before it in its session."
        )
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise InputError(f"The block at {offset} is {quoted(data)}: expected bytes.")
    return int(offset), bytes(data)


def _without(gap: tuple[int, int], start: int, stop: int) -> list[tuple[int, int]]:
    """Return what is left of a gap.

    >>> _without((10, 20), 12, 15), _without((10, 20), 5, 12), _without((10, 20), 20, 30)
    ([(10, 12), (15, 20)], [(12, 20)], [(10, 20)])
    """
    first, last = gap
    parts = [(first, min(last, start)), (max(first, stop), last)]
    return [gap] if stop <= first or last <= start else [part for part in parts if part[0] < part[1]]


def _bytes(data: bytes) -> str:
    return f"{len(data)} {'byte' if len(data) == 1 else 'bytes'} {data.hex()}"
