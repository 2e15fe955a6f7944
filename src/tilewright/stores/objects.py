"""Values as objects in S3-compatible storage: "a/b/c" is an object's key below a prefix. `make_store` takes one.

The requests are obstore's; what is slow about them is the way there, so that parts of several objects are asked for at once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tilewright.errors import SetupError, TransientError
from tilewright.extras import extra
from tilewright.stores.base import Persister, as_bytes, refuse_short
from tilewright.stores.paths import is_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from obstore.store import ObjectStore

_AT_ONCE = 16
"""Requests under way when parts of several objects are read."""
_PAGE = 1000
"""Objects of a listing that come with one request: the most that S3 gives."""


class ObjectPersister(Persister):
    """Bytes in objects. An object is there whole or not at all, and so is what replaces it.

    Parameters
    ----------
    store
        An obstore `S3Store`, or another of obstore's; see `ObjectPersister.at` for one by its address.
    """

    def __init__(self, store: ObjectStore, *, allow_delete: bool = False) -> None:
        super().__init__(allow_delete=allow_delete)
        self.store = store
        self._obstore = _obstore()

    @classmethod
    def at(cls, url: str, *, allow_delete: bool = False, **options: Any) -> ObjectPersister:
        """Return the one at an address such as "s3://bucket/prefix".

        Parameters
        ----------
        **options
            For obstore's `S3Store`: ``endpoint`` of a server that is not Amazon's ("http://127.0.0.1:9000" is taken without
            more ado), ``region``, ``access_key_id``, ``secret_access_key``, ``skip_signature``…; what is left out comes from the
            environment (``AWS_…``).

        Raises
        ------
        SetupError
            obstore is not installed, or does not know an address or an option like that.
        """
        _obstore()
        from obstore.exceptions import BaseError  # noqa: PLC0415 - an extra
        from obstore.store import from_url  # noqa: PLC0415

        if str(options.get("endpoint", "")).startswith("http://"):
            options["client_options"] = {"allow_http": True, **options.get("client_options", {})}
        try:
            store = from_url(url, **options)
        except (BaseError, TypeError, ValueError) as error:
            raise SetupError(f"Cannot open {url}: {_first_line(error)}") from error
        return cls(store, allow_delete=allow_delete)

    def __repr__(self) -> str:
        return f"<ObjectPersister {self.store!r}>"

    def listing(self) -> Iterator[tuple[str, int]]:
        """Yield each key with the bytes of its object, in the order of the keys, page by page."""
        from obstore.store import MemoryStore, S3Store  # noqa: PLC0415 - an extra

        found = self._pages()
        yield from found if isinstance(self.store, (MemoryStore, S3Store)) else sorted(found)

    def _pages(self) -> Iterator[tuple[str, int]]:
        pages = iter(self._obstore.list(self.store, chunk_size=_PAGE))
        while True:
            with _told("list objects"):
                page = next(pages, None)
            if page is None:
                return
            for one in page:
                if is_path(one["path"]):
                    yield one["path"], one["size"]

    def read_into(self, reads: Iterable[tuple[str, int, memoryview]]) -> None:
        """Read parts of objects, several at once: see `Persister.read_into`."""
        reads = list(reads)
        if len(reads) < 2:  # noqa: PLR2004
            for read in reads:
                self._read_part(*read)
            return
        with ThreadPoolExecutor(min(len(reads), _AT_ONCE)) as threads:
            for _ in threads.map(lambda read: self._read_part(*read), reads):
                pass

    def _read_part(self, path: str, start: int, room: memoryview) -> None:
        try:
            with _told(f"read {path!r}", path):
                part = memoryview(self._obstore.get_range(self.store, path, start=start, length=len(room)))
        except TransientError:  # such as one that says that there are no such bytes
            if self._obstore.head(self.store, path)["size"] <= start:
                refuse_short(path, start, 0, len(room))
            raise
        if len(part) < len(room):
            refuse_short(path, start, len(part), len(room))
        room[:] = part

    def _read(self, path: str) -> bytes:
        with _told(f"read {path!r}", path):
            return bytes(self._obstore.get(self.store, path).bytes())

    def _write(self, path: str, value: Any) -> None:
        value = as_bytes(path, value)
        with _told(f"write {path!r}"):
            self._obstore.put(self.store, path, value)

    def _remove(self, path: str) -> None:
        with _told(f"delete {path!r}", path):
            self._obstore.delete(self.store, path)

    def _has(self, path: str) -> bool:
        try:
            with _told(f"look for {path!r}", path):
                self._obstore.head(self.store, path)
        except KeyError:
            return False
        return True


@contextmanager
def _told(what: str, path: str | None = None) -> Iterator[None]:
    """Turn what obstore raises into errors that say what to do; where nothing is at a path, into KeyError."""
    from obstore import exceptions  # noqa: PLC0415 - an extra

    try:
        yield
    except FileNotFoundError as error:
        if path is None:
            raise SetupError(f"Cannot {what}: there is no such place. {error}") from error
        raise KeyError(path) from None
    except (
        exceptions.PermissionDeniedError,
        exceptions.UnauthenticatedError,
        PermissionError,
    ) as error:
        raise SetupError(f"Cannot {what}: {_first_line(error)}") from error
    except exceptions.BaseError as error:
        raise TransientError(f"Cannot {what}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    """Return what an error says, without the answer and obstore's own structures."""
    return str(error).partition("\n")[0]


def _obstore() -> ModuleType:
    with extra("s3", "objects need obstore"):
        import obstore  # noqa: PLC0415
    return obstore
