"""Data keys to column names that every table store takes; used when a stream's schema is made.

SQL stores fold case, allow 63 bytes and forbid some characters; Tiled reserves a leading underscore. A data
key that fits is its own column name. One that does not is renamed, and the caller notes it.
"""

from __future__ import annotations

import hashlib
import re
from itertools import chain, count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SEQ_NUM = "seq_num"
TIME = "time"
REJECTED = "rejected"
TIMESTAMP_PREFIX = "ts_"
TABLE = "internal"
RESERVED = (SEQ_NUM, TIME, REJECTED, TABLE)

_MAX_BYTES = 63 - len(TIMESTAMP_PREFIX) - len("_9999")
"""PostgreSQL's limit for an identifier, less the timestamp column's prefix and a suffix against collisions."""
_FORBIDDEN = re.compile(r"""['"`;\\%()=+/\x00-\x1f\x7f-\x9f\u2028\u2029]|--|/\*|\*/""")
"""What Tiled refuses in a column name (`tiled.adapters.sql`), the path separator and control characters."""


def column_names(data_keys: Iterable[str]) -> dict[str, str]:
    """Return the column name of each data key, in the given order.

    >>> column_names(["det", "time", "A", "a", "1st", "x/y"])
    {'det': 'det', 'time': 'time_', 'A': 'A', 'a': 'a_', '1st': 'k_1st', 'x/y': 'x_y'}
    """
    taken = set(RESERVED)
    names: dict[str, str] = {}
    for key in data_keys:
        name = _free(_legal(key), taken)
        taken.update(_folded(name))
        names[key] = name
    return names


def _legal(key: str) -> str:
    name = _FORBIDDEN.sub("_", key.encode("utf-8", "backslashreplace").decode())
    if not re.match(r"[a-zA-Z]", name):
        name = f"k_{name}"
    if len(name.encode()) > _MAX_BYTES:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        name = name.encode()[: _MAX_BYTES - 10].decode("utf-8", "ignore") + "_" + digest
    return name


def _free(name: str, taken: set[str]) -> str:
    candidates = chain((name, f"{name}_"), (f"{name}_{number}" for number in count(2)))
    return next(free for free in candidates if taken.isdisjoint(_folded(free)))


def _folded(name: str) -> tuple[str, str]:
    """Return a key's two columns as a store that folds case sees them."""
    return name.lower(), (TIMESTAMP_PREFIX + name).lower()
