"""A store of three parts: a persister, a key map and a value map come in, a mapping goes out. dol wraps the one in the others.

`Store` here is dol's, with what is not a mapping's to the letter put right; all of that is in this module.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dol import Store as DolStore
from dol import wrap_kvs
from dol.errors import OutOfScopeKeyError, raises_out_of_scope

from tilewright.documents.notes import quoted
from tilewright.errors import InputError, UnfitKeyError
from tilewright.stores.base import DictPersister, Persister, refuse_deletion
from tilewright.stores.folders import FolderPersister

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from tilewright.stores.keys import KeyMap, KeyMaps
    from tilewright.stores.values import ValueMap


class Store(DolStore):
    """dol's store, where dol is no mapping to the letter (0.3.100).

    - `in` raises for a key that cannot be: here it is False.
    - `clear` is switched off: here it deletes, if that is allowed.
    - It can be hashed, although it is equal to any mapping with the same items.
    - `reversed` raises a NotImplementedError: here it goes over the keys from the end.
    - Its repr is that of the persister.
    - It has no idea of what may be deleted.
    """

    allow_delete = False

    def __contains__(self, key: object) -> bool:
        try:
            return bool(super().__contains__(key))
        except UnfitKeyError:
            return False

    def __delitem__(self, key: Any) -> None:
        if not self.allow_delete and key in self:
            refuse_deletion(key)
        super().__delitem__(key)

    def clear(self) -> None:
        """Remove all that the store shows, without reading it."""
        for key in list(self):
            del self[key]

    def __reversed__(self) -> Any:
        return reversed(list(self))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Store in {self.store!r}>"

    def close(self) -> None:
        """Close the persister. Can be repeated."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def make_store(
    place: Any,
    key_map: KeyMap | KeyMaps | None = None,
    value_map: ValueMap | None = None,
    *,
    allow_delete: bool = False,
) -> Store:
    """Return a mapping with your keys and values over a place with its own.

    Parameters
    ----------
    place
        A persister; or a dict, or the path of a folder, for which one is made.
    key_map
        What keys are; without, they are the paths themselves. Paths of the place that do not fit are not in the store.
    value_map
        What values are; without, those of the place.
    allow_delete
        Whether anything may be deleted; a persister that is given has to allow it, too.

    Raises
    ------
    InputError
        Nothing that a place could be.

    Examples
    --------
    >>> from tilewright.stores import KeyMap, JSONValue
    >>> place = {}
    >>> info = make_store(place, KeyMap("{session:d}/info.json"), JSONValue())
    >>> info[1566065093213] = {"where": "roof"}
    >>> place, list(info), info[1566065093213]
    ({'1566065093213/info.json': b'{"where":"roof"}'}, [1566065093213], {'where': 'roof'})
    """
    wrapped: dict[str, Any] = {}
    if key_map is not None:
        wrapped |= {"id_of_key": key_map.path, "key_of_id": _skipping(key_map)}
    if value_map is not None:
        wrapped |= {"preset": _encoding(value_map), "postget": _decoding(value_map)}
    persister = persister_of(place, allow_delete=allow_delete)
    store: Store = wrap_kvs(persister, wrapper=Store, name="Store", **wrapped)
    store.allow_delete = allow_delete
    return store


def persister_of(place: Any, *, allow_delete: bool = False) -> Persister:
    """Return the persister of a place: itself if it is one.

    Raises
    ------
    InputError
        Nothing that a place could be.
    """
    if isinstance(place, Persister):
        return place
    if isinstance(place, MutableMapping):
        return DictPersister(place, allow_delete=allow_delete)
    if isinstance(place, Path) or (isinstance(place, str) and "://" not in place):
        return FolderPersister(place, allow_delete=allow_delete)
    raise InputError(
        f"{quoted(place)} is no place for a store: expected a dict, the path of a folder, or a persister such as "
        "ObjectPersister.at('s3://bucket/prefix') or CatalogPersister(catalog)."
    )


def _skipping(key_map: KeyMap | KeyMaps) -> Callable[[str], Any]:
    """Return what makes a key of a path, and has dol pass over a path that does not fit."""

    def key_of_path(path: str) -> Any:
        try:
            return key_map.key(path)
        except UnfitKeyError as error:
            raise OutOfScopeKeyError(str(error)) from None

    marked: Callable[[str], Any] = raises_out_of_scope(key_of_path)
    return marked


def _encoding(value_map: ValueMap) -> Callable[[Any, Any], bytes]:
    def preset(key: Any, value: Any) -> bytes:
        try:
            return value_map.encode(value)
        except InputError as error:
            raise InputError(f"Cannot store a value at {quoted(key)}. {error}") from error

    return preset


def _decoding(value_map: ValueMap) -> Callable[[Any, Any], Any]:
    def postget(key: Any, data: Any) -> Any:
        try:
            return value_map.decode(data)
        except InputError as error:
            raise InputError(f"Cannot read the value at {quoted(key)}. {error}") from error

    return postget
