"""What is the same of all persisters: a path comes in, the value at it goes out, and the other way round.

`folders`, `objects`, `catalogs` and the plain dict below say how a value is read, written, removed and listed; how a
mapping behaves is said here, once. `tilewright.testing.persisters` is the contract as tests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, NoReturn

from tilewright.documents.notes import quoted
from tilewright.errors import InputError, SetupError, UnfitKeyError
from tilewright.stores.paths import checked, is_path

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self


class Persister(MutableMapping[str, Any], ABC):
    """Values by paths such as "a/b/c": bytes, or what else the backend holds.

    `in` reads no value. Iteration gives the paths in the order of their code points, and may go on while somebody
    writes: what is written meanwhile may be in it or not, and nothing else is missed. Setting a path that is there
    replaces its value. Two writers of different paths do not disturb each other; of two writers of one path, one wins
    whole.

    Parameters
    ----------
    allow_delete
        Whether `del`, `pop`, `popitem` and `clear` may remove anything.
    """

    def __init__(self, *, allow_delete: bool = False) -> None:
        self.allow_delete = allow_delete

    @abstractmethod
    def _read(self, path: str) -> Any:
        """Return the value at a path; KeyError if there is none."""

    @abstractmethod
    def _write(self, path: str, value: Any) -> None:
        """Put a value at a path, there or not."""

    @abstractmethod
    def _remove(self, path: str) -> None:
        """Remove a path; KeyError if it is not there."""

    @abstractmethod
    def _has(self, path: str) -> bool:
        """Tell whether there is a value at a path, without reading it."""

    @abstractmethod
    def listing(self) -> Iterator[tuple[str, int]]:
        """Yield each path with the bytes of its value, in the order of the paths, without reading any value."""

    def __getitem__(self, path: str) -> Any:
        return self._read(checked(path))

    def __setitem__(self, path: str, value: Any) -> None:
        self._write(checked(path), value)

    def __delitem__(self, path: str) -> None:
        path = checked(path)
        if not self._has(path):
            raise KeyError(path)
        if not self.allow_delete:
            refuse_deletion(path)
        self._remove(path)

    def __contains__(self, path: object) -> bool:
        try:
            return self._has(checked(path))
        except UnfitKeyError:
            return False

    def __iter__(self) -> Iterator[str]:
        for path, _ in self.listing():
            yield path

    def __len__(self) -> int:
        return sum(1 for _ in self.listing())

    def clear(self) -> None:
        """Remove all, without reading it."""
        for path in list(self):
            del self[path]

    def close(self) -> None:
        """Let go of what was opened for it. Can be repeated."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def read_into(self, reads: Iterable[tuple[str, int, memoryview]]) -> None:
        """Read parts of values: for each path and first byte as many bytes as the memory has room for.

        `AudioStore.fetch` calls this, with paths that a listing gave.

        Raises
        ------
        KeyError
            A path is not there.
        InputError
            A value ends before; the message names it.
        """
        for path, start, room in reads:
            part = self[path][start : start + len(room)]
            if len(part) < len(room):
                refuse_short(path, start, len(part), len(room))
            room[:] = part


class DictPersister(Persister):
    """A mapping that lives in memory, such as a plain dict, with the manners of all persisters.

    Examples
    --------
    >>> place = {}
    >>> store = DictPersister(place)
    >>> store["b/1"] = b"one"
    >>> store["a"] = b""
    >>> list(store), store["b/1"], "c" in store, place
    (['a', 'b/1'], b'one', False, {'b/1': b'one', 'a': b''})
    >>> del store["a"]
    Traceback (most recent call last):
    tilewright.errors.SetupError: Cannot delete 'a': this store was opened without allow_delete=True.
    """

    def __init__(
        self, place: MutableMapping[str, bytes] | None = None, *, allow_delete: bool = False
    ) -> None:
        super().__init__(allow_delete=allow_delete)
        self.place = {} if place is None else place

    def __repr__(self) -> str:
        return f"<DictPersister of {len(self.place)} values>"

    def __len__(self) -> int:
        return sum(map(is_path, self.place))

    def listing(self) -> Iterator[tuple[str, int]]:
        """Yield each path with the bytes of its value, in the order of the paths."""
        for path in sorted(filter(is_path, self.place)):
            value = self.place.get(path)
            if value is not None:
                yield path, len(value)

    def _read(self, path: str) -> bytes:
        return self.place[path]

    def _write(self, path: str, value: Any) -> None:
        self.place[path] = as_bytes(path, value)

    def _remove(self, path: str) -> None:
        del self.place[path]

    def _has(self, path: str) -> bool:
        return path in self.place


def as_bytes(path: str, value: Any) -> bytes:
    """Return a value as bytes.

    Raises
    ------
    InputError
        It is none of bytes, bytearray and memoryview.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    raise InputError(
        f"Cannot store {quoted(value)} at {path!r}: this place holds bytes. Give make_store() a value map for other values."
    )


def refuse_deletion(key: Any) -> NoReturn:
    """Raise for a deletion that was not allowed."""
    raise SetupError(f"Cannot delete {quoted(key)}: this store was opened without allow_delete=True.")


def refuse_short(path: str, start: int, got: int, wanted: int) -> NoReturn:
    """Raise for a value that ends before what is to be read of it."""
    raise InputError(
        f"{path!r} is too short: {got} of the {wanted} bytes from byte {start} on are there. If somebody else wrote it, look "
        "again with refresh()."
    )
