"""Documents in the order in which they came go in; each comes out after those it refers to. Called by the `Translator`.

    event ─────────────▶ its descriptor          stream_datum ─▶ its stream_resource, and its descriptor

A document that comes before the one it refers to is held until that comes, and is then next. What is held is bounded
(`HELD_BYTES`): past it a document goes on as it is, the plan sets it aside with a note, and the journal has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.documents.names import is_key

if TYPE_CHECKING:
    from collections.abc import Hashable

    from tilewright.documents.kinds import Document

HELD_BYTES = 16 << 20
"""About how much is held in memory for one run."""
_REFERENCES = {
    "event": ("descriptor",),
    "event_page": ("descriptor",),
    "stream_datum": ("stream_resource", "descriptor"),
}
_INTRODUCING = frozenset({"descriptor", "stream_resource"})
_OVERHEAD = 64
"""Bytes that a Python object takes beside its content, roughly."""


class Ordering:
    """Puts the documents of one run into an order in which each can be understood."""

    def __init__(self) -> None:
        self._known: set[Hashable] = set()
        """uids of the documents that others refer to and that have come."""
        self._held: dict[Hashable, list[Document]] = {}
        """By the uid they wait for."""
        self._size = 0

    def arrange(self, name: str, doc: Any) -> list[Document]:
        """Return the documents that can be understood now that this one is there; possibly none."""
        if name in _REFERENCES and self._hold(name, doc):
            return []
        ready = [(name, doc)]
        if name in _INTRODUCING and isinstance(doc, dict) and is_key(uid := doc.get("uid")):
            self._known.add(uid)
            for held in self._held.pop(uid, ()):
                self._size -= weight(held)
                ready += self.arrange(*held)
        return ready

    def rest(self) -> list[Document]:
        """Return what still waits, at the end: what it waits for will not come."""
        held, self._held, self._size = self._held, {}, 0
        return [document for documents in held.values() for document in documents]

    def _hold(self, name: str, doc: Any) -> bool:
        """Keep a document for later if it has to wait, and there is room; say whether it was kept."""
        if not isinstance(doc, dict):
            return False
        for field in _REFERENCES[name]:
            uid = doc.get(field)
            try:
                if uid is None or uid in self._known:
                    continue
                hash(uid)  # a set would be looked up as a frozenset
            except TypeError:
                continue
            size = weight((name, doc))
            if self._size + size > HELD_BYTES:
                return False
            self._size += size
            self._held.setdefault(uid, []).append((name, doc))
            return True
        return False


def weight(value: Any) -> int:
    """Return about how many bytes a value takes in memory.

    Examples
    --------
    >>> weight("x" * 1000), weight([1, 2, 3])
    (1064, 256)
    """
    if isinstance(value, (str, bytes)):
        return _OVERHEAD + len(value)
    if isinstance(value, np.ndarray):
        return _OVERHEAD + int(value.nbytes)
    if isinstance(value, dict):
        return _OVERHEAD + sum(weight(key) + weight(item) for key, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return _OVERHEAD + sum(map(weight, value))
    return _OVERHEAD
