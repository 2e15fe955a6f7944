"""Where the vectors of files are, remembered: an open file comes in, its positions go out.

Called by the format on the server, which has a file open for one request only.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

from tilewright.tfrecords.positions import positions_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tilewright.tfrecords.positions import Positions
    from tilewright.tfrecords.records import OpenFile

_Key: TypeAlias = "tuple[str, int, int, tuple[tuple[int, ...], ...] | None]"


class Remembered:
    """Positions of the files that were asked for last, as long as a file has the same size and time of change.

    Parameters
    ----------
    most_records
        How many records there may be of all files together, each of which takes 40 bytes. The file asked for is always remembered.
    """

    def __init__(self, most_records: int) -> None:
        self._most_records = most_records
        self._known: OrderedDict[_Key, Positions] = OrderedDict()
        self._records = 0
        self._lock = Lock()

    def positions_in(self, file: OpenFile, stretches: Sequence[Sequence[int]] | None) -> Positions:
        """Return what `positions.positions_in` does; see there for what is raised."""
        wanted = None if stretches is None else tuple(tuple(one) for one in stretches)
        key = (str(file.path), file.size, file.mtime_ns, wanted)
        with self._lock:
            if (known := self._known.get(key)) is not None:
                self._known.move_to_end(key)
                return known
        found = positions_in(file, stretches)  # without the lock: others need not wait for this file
        with self._lock:
            self._add(key, found)
        return found

    def _add(self, key: _Key, found: Positions) -> None:
        if key in self._known:  # somebody else was as quick
            return
        self._known[key] = found
        self._records += len(found.ends)
        while self._records > self._most_records and len(self._known) > 1:
            _, oldest = self._known.popitem(last=False)
            self._records -= len(oldest.ends)
