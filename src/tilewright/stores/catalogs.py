"""Values as arrays in a Tiled catalog: "a/b/c" is the array c in the container b in the container a. `make_store` takes one.

Bytes are arrays of uint8 with a mark in their metadata, so that they come back as bytes; arrays are arrays, whoever wrote
them: the samples of a run are at "<uid>/<stream>/<data key>".
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import httpx
import numpy as np
from tiled.client.container import DEFAULT_STRUCTURE_CLIENT_DISPATCH, Container
from tiled.client.utils import ClientError
from tiled.queries import StructureFamilyQuery
from tiled.structures.core import StructureFamily

from tilewright.clients import open_catalog
from tilewright.clients.http import children
from tilewright.documents.names import NOT_IN_A_PATH
from tilewright.documents.notes import quoted
from tilewright.errors import FinalError, InputError, SetupError, TransientError
from tilewright.stores.base import Persister
from tilewright.stores.paths import is_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MARK = "tilewright_bytes"
"""Key of the metadata that says how many bytes a value has."""
_UNFIT = re.compile(f"[~{NOT_IN_A_PATH}]")
_ESCAPED = re.compile(r"(?:~[0-9A-F]{2})+")
_KINDS = "biufcmM"
"""dtypes that Tiled stores: numbers, truths, and times; neither texts nor records."""
_FIELDS = {"fields": ["structure_family", "structure", "metadata"]}


class CatalogPersister(Persister):
    """Bytes and arrays in a catalog; containers are made as they are needed, and stay.

    Where "a" is a value, "a/b" cannot be one, and the other way round. A new array is in the catalog a moment before its
    values are; one that replaces an array of another shape or dtype is missing for a moment.

    Parameters
    ----------
    catalog
        A directory, an address, a server or an opened catalog: what `tilewright.open_catalog` takes; or any Tiled container.
        What is opened here is closed by `close`.
    """

    def __init__(self, catalog: Any, *, allow_delete: bool = False) -> None:
        super().__init__(allow_delete=allow_delete)
        self._owned = None if isinstance(catalog, Container) else open_catalog(catalog)
        opened = catalog if self._owned is None else self._owned
        # A plain container: a catalog finds runs by more than their paths.
        clients = DEFAULT_STRUCTURE_CLIENT_DISPATCH["numpy"]
        self.container = Container(opened.context, item=opened.item, structure_clients=clients)

    def __repr__(self) -> str:
        return f"<CatalogPersister {self.container.uri}>"

    def close(self) -> None:
        """Close the catalog, if it was opened here. Can be repeated."""
        if self._owned is not None:
            self._owned.close()

    def listing(self) -> Iterator[tuple[str, int]]:
        """Yield each path with the bytes of its value, in the order of the paths; a container is asked when its turn comes."""
        yield from self._walk((), "")

    def __len__(self) -> int:
        with _told("count the values"):
            return self._count(())

    def _walk(self, parts: Sequence[str], before: str) -> Iterator[tuple[str, int]]:
        with _told(f"list {before!r}"):
            found = list(self._children(parts))
        for name, key, size in sorted(found):
            if size is None:
                yield from self._walk((*parts, key), before + name)
            else:
                yield before + name, size

    def _children(self, parts: Sequence[str]) -> Iterator[tuple[str, str, int | None]]:
        """Yield the name, the key, and the bytes of each array, and of each container the name with "/", the key, and None."""
        link = "/".join([self.container.item["links"]["search"].rstrip("/"), *parts])
        for item in children(self.container.context, link, _FIELDS):
            key, about = item["id"], item["attributes"]
            name = _name(key)
            if name is None:
                continue
            if about["structure_family"] == "container":
                yield f"{name}/", key, None
            elif about["structure_family"] == "array":
                yield name, key, _size(about)

    def _count(self, parts: Sequence[str]) -> int:
        """Count the arrays in a container and below: the server counts, and names the containers only."""
        node = self._node(parts)
        inside = list(node.search(StructureFamilyQuery("container")))
        return len(node.search(StructureFamilyQuery("array"))) + sum(
            self._count((*parts, key)) for key in inside
        )

    def _read(self, path: str) -> Any:
        with _told(f"read {path!r}"):
            node = self._array(path)
            if node is None:
                raise KeyError(path)
            count = node.metadata.get(MARK)
            values = node.read()
        return values if count is None else values.tobytes()[:count]

    def _write(self, path: str, value: Any) -> None:
        array, metadata = _as_array(path, value)
        *folders, key = _keys(path)
        with _told(f"write {path!r}"):
            there = self._node(_keys(path))
            if there is not None and there.structure_family != "array":
                _refuse_family(path, path, there)
            if there is not None and _is_like(there, array, metadata):
                there.write(array)
                return
            folder = self._folder(folders, path)
            if there is not None:
                folder.delete_contents(key, external_only=False)
            folder.write_array(array, key=key, metadata=metadata)

    def _remove(self, path: str) -> None:
        *folders, key = _keys(path)
        with _told(f"delete {path!r}"):
            self._folder(folders, path).delete_contents(key, external_only=False)

    def _has(self, path: str) -> bool:
        with _told(f"look for {path!r}"):
            return self._array(path) is not None

    def _node(self, keys: Sequence[str]) -> Any:
        try:
            node = self.container[tuple(keys)] if keys else self.container
        except KeyError:
            return None
        if type(node) is Container or not isinstance(node, Container):
            return node
        # The client of a composite node, such as a stream of a run, shows columns in place of what is in it.
        return Container(node.context, item=node.item, structure_clients=node.structure_clients)

    def _array(self, path: str) -> Any:
        node = self._node(_keys(path))
        return node if node is not None and node.structure_family == "array" else None

    def _folder(self, keys: Sequence[str], path: str) -> Container:
        """Return a container; it, and those that it is in, are made where they are not there."""
        node = self._node(keys)
        if node is None:
            node = self._made(self._folder(keys[:-1], path), keys)
        if not isinstance(node, Container):
            _refuse_family(path, "/".join(keys), node)
        return node

    def _made(self, parent: Container, keys: Sequence[str]) -> Any:
        try:
            return parent.create_container(keys[-1])
        except ClientError as error:
            if error.response.status_code != httpx.codes.CONFLICT:
                raise
            return self._node(keys)  # somebody else made it just now


def _refuse_family(path: str, taken: str, node: Any) -> NoReturn:
    family = StructureFamily(node.structure_family).value
    raise InputError(f"Cannot store {path!r}: {taken!r} in the catalog is a {family} already.")


def _keys(path: str) -> list[str]:
    """Return the keys of nodes at a path: what a key cannot have is written as its bytes, "~3F".

    >>> _keys("left mic/100%/~x")
    ['left mic', '100~25', '~7Ex']
    """
    return [_UNFIT.sub(lambda found: _bytes_of(found[0]), name) for name in path.split("/")]


def _bytes_of(character: str) -> str:
    return "".join(f"~{byte:02X}" for byte in character.encode())


def _name(key: str) -> str | None:
    """Return the name that a key stands for; None where it is nobody's.

    >>> _name("100~25"), _name("~x")
    ('100%', None)
    """
    try:
        name = _ESCAPED.sub(lambda found: bytes.fromhex(found[0].replace("~", "")).decode(), key)
    except UnicodeDecodeError:
        return None
    return name if is_path(name) and _keys(name) == [key] else None


def _as_array(path: str, value: Any) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
    if isinstance(value, (bytes, bytearray, memoryview)):
        content = np.frombuffer(value, np.uint8)
        # Tiled has no chunks for an array without elements.
        return content if len(content) else np.zeros(1, np.uint8), {MARK: len(content)}
    if not isinstance(value, np.ndarray) or value.dtype.kind not in _KINDS or not value.size:
        raise InputError(
            f"Cannot store {quoted(value)} at {path!r}: a catalog holds bytes, and arrays of numbers or times with at least one element. "
            "Give make_store() a value map for other values."
        )
    return np.asarray(value, order="C"), {}


def _is_like(node: Any, array: np.ndarray[Any, Any], metadata: dict[str, Any]) -> bool:
    """Tell whether a node can take values as it is, in one request."""
    is_whole = all(len(chunks) == 1 for chunks in node.chunks)
    return is_whole and (node.shape, node.dtype, dict(node.metadata)) == (array.shape, array.dtype, metadata)


def _size(about: dict[str, Any]) -> int:
    count = about["metadata"].get(MARK)
    if count is not None:
        return int(count)
    structure = about["structure"]
    return int(np.prod(structure["shape"], dtype=np.int64)) * int(structure["data_type"].get("itemsize", 1))


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn what Tiled's client raises into errors that say what to do."""
    try:
        yield
    except ClientError as error:
        status = error.response.status_code
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise SetupError(f"Cannot {what}: the server does not allow it ({status}).") from error
        raise FinalError(f"Cannot {what}: {error}") from error
    except httpx.HTTPError as error:
        raise TransientError(f"Cannot {what}: {type(error).__name__}: {error}") from error
