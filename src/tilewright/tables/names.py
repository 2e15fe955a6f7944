"""Data keys to column names that every table store takes; used when a stream's schema is made.

SQL stores fold case, allow 63 bytes and forbid some characters; Tiled reserves a leading underscore. A data
key that fits is its own column name. One that does not is renamed, and the caller notes it.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from tilewright.documents import Distinct, quoted
from tilewright.documents.names import NOT_IN_A_PATH

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
_FORBIDDEN = re.compile(rf"""['"`;()=+{NOT_IN_A_PATH}]|--|/\*|\*/""")
"""What Tiled refuses in a column name (`tiled.adapters.sql`), and what a path cannot hold: a column is a node too."""


def column_names(data_keys: Iterable[Any]) -> dict[Any, str]:
    """Return the column name of each data key, in the given order. A data key should be a string, but may be anything.

    >>> column_names(["det", "time", "A", "a", "1st", "x/y"])
    {'det': 'det', 'time': 'time_', 'A': 'A', 'a': 'a_', '1st': 'k_1st', 'x/y': 'x_y'}
    """
    names = Distinct(RESERVED, _folded)
    return {key: names.claim(_legal(key)) for key in data_keys}


def _legal(key: Any) -> str:
    text = key if isinstance(key, str) else quoted(key)
    name = _FORBIDDEN.sub("_", text.encode("utf-8", "backslashreplace").decode())
    if not re.match(r"[a-zA-Z]", name):
        name = f"k_{name}"
    if len(name.lower().encode()) > len(name.encode()):  # a capital İ, say: stores keep the lower case
        name = name.lower()
    if len(name.encode()) > _MAX_BYTES:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        name = name.encode()[: _MAX_BYTES - 10].decode("utf-8", "ignore") + "_" + digest
    return name


def _folded(name: str) -> tuple[str, str]:
    """Return a key's two columns as a store that folds case sees them."""
    return name.lower(), (TIMESTAMP_PREFIX + name).lower()
