"""Which events of a stream have values in files: a set of sequence numbers that stays small.

In come the `seq_nums` of StreamDatums, mostly one after the other; out goes how many there are. Called by
`FileArray`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class SeqNums:
    """A set of integers, held as the half-open ranges it consists of.

    Examples
    --------
    >>> seq_nums = SeqNums()
    >>> for start, stop in [(1, 4), (4, 6), (8, 9), (2, 5)]:
    ...     seq_nums.add(start, stop)
    >>> len(seq_nums), seq_nums.gaps
    (6, [(6, 8)])
    """

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []

    def add(self, start: int, stop: int) -> None:
        """Add the numbers from `start` to before `stop`."""
        if start >= stop:
            return
        # The ranges from first to before last touch the new one, and are merged with it.
        first, last = bisect_left(self._stops, start), bisect_right(self._starts, stop)
        if first < last:
            start, stop = min(start, self._starts[first]), max(stop, self._stops[last - 1])
        self._starts[first:last] = [start]
        self._stops[first:last] = [stop]

    def __len__(self) -> int:
        return sum(self._stops) - sum(self._starts)

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """Half-open ranges between the first and the last number that are not in the set."""
        return list(zip(self._stops[:-1], self._starts[1:], strict=True))
