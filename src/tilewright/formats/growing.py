"""How much of an array is in its files while its detector writes: what is promised comes in, what can be read goes out.

Called by the server (`tilewright.server.growing`) whenever rows have been promised. It says how a file is looked at, so that
nothing is opened here.

    promised   6 rows in files     a  b  c  d  e  f
    there                          a  b  c (half)  e
    published  2 rows: only whole ones, in unbroken order
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING

from tilewright.formats.checking import NOT_YET, ONE_FRAME_A_FILE, shortened
from tilewright.formats.ranges import RANGES, rows_of_each
from tilewright.formats.registry import format_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tilewright.formats.base import DataSource
    from tilewright.formats.checking import Looked

MOST_IN_ORDER = 16
"""Files that are looked at one after the other. Of more, which have come at once, only a few are: see `Growing`."""


@dataclass(frozen=True, slots=True)
class Growing:
    """An array that is published as far as its files are there.

    One look takes some 0.1 ms, on a slow disk more. So where many files have come at once, and the last two of them are there,
    all are taken to be: a detector writes them in order. If they are not, the end of those that are is searched for by
    halves, for the same reason.
    """

    promise: DataSource
    """As it was declared."""
    starts: Sequence[int]
    """How many values of the array lie before each file, and in all of them."""

    @classmethod
    def of(cls, promise: DataSource, files: int) -> Growing | None:
        """Return the array of so many files; None if all that is promised is to be published, whatever is there.

        That is so where nothing can be seen of the files, or it is not known which rows lie in which.
        """
        known = format_for(promise.mimetype)
        if promise.structure_family != "array" or known.measure is None or not known.watched:
            return None
        shape = promise.structure["shape"]
        values = math.prod(shape)
        if not values or not files:
            return None
        if promise.properties.get(RANGES):
            rows = rows_of_each(promise.properties, files)
            if rows is None or sum(rows) != shape[0]:
                return None
            return cls(promise, [0, *accumulate(math.prod(shape[1:]) * each for each in rows)])
        # Files of a sequence hold all the same.
        return None if values % files else cls(promise, range(0, values + 1, values // files))

    @property
    def rows(self) -> int:
        """How many are promised."""
        return int(self.promise.structure["shape"][0])

    def file_of(self, row: int) -> int:
        """Return the file in which a row begins; the number of files, if it is after the last one."""
        return bisect_right(self.starts, row * self._row_values) - 1

    def rows_there(self, published: int, look: Callable[[int], Looked]) -> int:
        """Return how many rows can be read.

        Parameters
        ----------
        published
            Rows that are known to be there. They are not looked at again.
        look
            Looks at a file, by its number.
        """
        first, files = self.file_of(published), len(self.starts) - 1
        if first >= files:
            return self.rows

        @cache
        def there(number: int) -> int:
            return self._values_there(number, look)

        def lacks(number: int) -> bool:
            return there(number) < self._values_in(number)

        if files - first <= MOST_IN_ORDER:
            end = next((number for number in range(first, files) if lacks(number)), files)
        elif not lacks(files - 1) and not lacks(files - 2):
            end = files
        else:
            end = first + bisect_left(range(first, files), 1, key=lacks)
        if end == files:
            return self.rows
        return max(published, self._whole_rows(end, there(end)))

    def published(self, rows: int) -> DataSource:
        """Return the registration of the first rows, which keeps what is promised."""
        if rows >= self.rows:
            return self.promise
        in_use = bisect_left(self.starts, rows * self._row_values)
        return shortened(self.promise, rows, in_use, len(self.starts) - 1)

    @property
    def _row_values(self) -> int:
        return math.prod(self.promise.structure["shape"][1:])

    @property
    def _can_be_cut(self) -> bool:
        """Whether a part of a file can be read: those of a sequence are read whole."""
        is_one = len(self.starts) == 2  # noqa: PLR2004 - where it begins and where it ends
        return (is_one or RANGES in self.promise.properties) and not self.promise.mimetype.startswith(
            ONE_FRAME_A_FILE
        )

    def _values_in(self, number: int) -> int:
        return self.starts[number + 1] - self.starts[number]

    def _values_there(self, number: int, look: Callable[[int], Looked]) -> int:
        """Return how many of the values promised of a file can be read, or never will: then it makes no sense to wait."""
        promised = self._values_in(number)
        looked = look(number) if promised else None
        if looked is not None and looked.failure is not None:
            return 0 if looked.failure.kind in NOT_YET else promised
        if looked is None or looked.facts is None or looked.facts.whole:
            return promised
        return min(math.prod(looked.facts.shape), promised)

    def _whole_rows(self, end: int, values: int) -> int:
        """Return the whole rows before a file, and in the first values of it if a part of it can be read."""
        if self._can_be_cut:
            return (self.starts[end] + values) // self._row_values
        while self.starts[end] % self._row_values:  # a row of several files, or a file of several rows
            end -= 1
        return self.starts[end] // self._row_values
