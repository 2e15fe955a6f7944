"""Documents to bytes and back, keeping what JSON loses; used by the journal's writer and reader.

The payload is MessagePack of `[name, document]`. What MessagePack has no type for travels as an extension
type (`Tag`). Tuples come back as lists; subclasses of dict, list, str, int and float come back as those;
everything else comes back as it was, or, if no encoding is known, as an `Unencodable` with its repr.
"""

from __future__ import annotations

import datetime
import decimal
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import ormsgpack

if TYPE_CHECKING:
    from tilewright.documents import Document

MAX_DEPTH = 200
"""Nesting past this depth is stored as its repr: the encoder itself refuses past 1,024 levels."""

_OPTIONS = ormsgpack.OPT_PASSTHROUGH_BIG_INT | ormsgpack.OPT_PASSTHROUGH_DATETIME | ormsgpack.OPT_NON_STR_KEYS


class Tag(IntEnum):
    """MessagePack extension types. Part of the file format: never renumber."""

    BIG_INT = 1
    NUMPY_SCALAR = 2
    NUMPY_ARRAY = 3
    SET = 4
    FROZENSET = 5
    DATETIME = 6
    DATE = 7
    TIME = 8
    TIMEDELTA = 9
    COMPLEX = 10
    DECIMAL = 11
    SURROGATES = 12
    UNENCODABLE = 13


@dataclass(frozen=True, slots=True)
class Unencodable:
    """Stands in a document for a value that no encoding is known for."""

    type_name: str
    text: str
    """The value's repr."""


def encode(name: str, document: Any) -> bytes:
    """Return the payload of one record.

    Never raises for a document, whatever it holds: what cannot be encoded is replaced by its repr.
    """
    try:
        return ormsgpack.packb((name, document), default=_extend, option=_OPTIONS)
    except Exception:  # noqa: BLE001 - a value's own methods may raise anything; the slow path isolates it
        return ormsgpack.packb(_encodable((name, document), 0), default=_extend, option=_OPTIONS)


def decode(payload: bytes) -> Document:
    """Return the `(name, document)` of one record's payload.

    Raises
    ------
    ValueError
        If the payload is not what `encode` writes.
    """
    pair = ormsgpack.unpackb(payload, ext_hook=_restore, option=ormsgpack.OPT_NON_STR_KEYS)
    if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):  # noqa: PLR2004 - a pair
        msg = f"a record holds {type(pair).__name__}, not a [name, document] pair"
        raise ValueError(msg)
    return pair[0], pair[1]


def _pack(value: Any) -> bytes:
    return ormsgpack.packb(value, default=_extend, option=_OPTIONS)


def _unpack(data: bytes) -> Any:
    return ormsgpack.unpackb(data, ext_hook=_restore, option=ormsgpack.OPT_NON_STR_KEYS)


def _extend(value: Any) -> Any:  # noqa: C901, PLR0911, PLR0912 - one line a type reads best
    """Encode a value the encoder has no type for; called by the encoder."""
    match value:
        case float():  # a subclass, such as numpy's float64
            return float(value)
        case np.generic():
            return _numpy(Tag.NUMPY_SCALAR, np.asarray(value))
        case np.ndarray():
            return _numpy(Tag.NUMPY_ARRAY, value)
        case int():
            return ormsgpack.Ext(Tag.BIG_INT, str(int(value)).encode())
        case set():
            return ormsgpack.Ext(Tag.SET, _pack(list(value)))
        case frozenset():
            return ormsgpack.Ext(Tag.FROZENSET, _pack(list(value)))
        case datetime.datetime() if value != value:  # noqa: PLR0124 - pandas' NaT
            return _unencodable(value)
        case datetime.datetime():
            return ormsgpack.Ext(Tag.DATETIME, value.isoformat().encode())
        case datetime.date():
            return ormsgpack.Ext(Tag.DATE, value.isoformat().encode())
        case datetime.time():
            return ormsgpack.Ext(Tag.TIME, value.isoformat().encode())
        case datetime.timedelta():
            return ormsgpack.Ext(Tag.TIMEDELTA, _pack([value.days, value.seconds, value.microseconds]))
        case complex():
            return ormsgpack.Ext(Tag.COMPLEX, _pack([value.real, value.imag]))
        case decimal.Decimal():
            return ormsgpack.Ext(Tag.DECIMAL, str(value).encode())
        case tuple():
            return list(value)
        case bytearray() | memoryview():
            return bytes(value)
        case _:
            return _unencodable(value)


def _numpy(tag: Tag, array: np.ndarray[Any, Any]) -> Any:
    """Encode dtype, shape and bytes; arrays of objects go element by element."""
    if array.dtype.hasobject:
        return ormsgpack.Ext(tag, _pack(["O", list(array.shape), array.ravel().tolist()]))
    descr = array.dtype.descr if array.dtype.names else array.dtype.str
    return ormsgpack.Ext(tag, _pack([_as_lists(descr), list(array.shape), array.tobytes()]))


def _as_lists(descr: Any) -> Any:
    return [_as_lists(part) for part in descr] if isinstance(descr, (list, tuple)) else descr


def _as_descr(descr: Any) -> Any:
    """Undo `_as_lists`: numpy wants a list of tuples, with tuples for sub-shapes."""
    if not isinstance(descr, list):
        return descr
    return [(field[0], _as_descr(field[1]), *(tuple(shape) for shape in field[2:])) for field in descr]


def _unencodable(value: Any) -> Any:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - somebody's broken __repr__ must not lose the document
        text = f"<repr failed: {type(error).__name__}>"
    fields = [type(value).__name__, text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")]
    return ormsgpack.Ext(Tag.UNENCODABLE, _pack(fields))


def _encodable(value: Any, depth: int) -> Any:
    """Rebuild a value so that the encoder takes it: the slow path, for the rare document it refused."""
    if depth > MAX_DEPTH:
        return _unencodable(value)
    if isinstance(value, str):
        return _encodable_str(value)
    if isinstance(value, dict):
        return {_encodable_key(key): _encodable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encodable(item, depth + 1) for item in value]
    try:
        _pack(value)
    except Exception:  # noqa: BLE001 - as in `encode`
        return _unencodable(value)
    return value


def _encodable_str(value: str) -> Any:
    try:
        value.encode()
    except UnicodeEncodeError:
        return ormsgpack.Ext(Tag.SURROGATES, value.encode("utf-8", "surrogatepass"))
    return str(value)


def _encodable_key(key: Any) -> Any:
    """Return a key MessagePack can hold: an extension type cannot be one."""
    if isinstance(key, str):
        return key.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    if key is None or isinstance(key, (bool, int, float)):
        return key
    return repr(key)


def _restore(tag: int, data: bytes) -> Any:
    """Undo `_extend`; one value that cannot be undone must not cost its document."""
    try:
        return _restored(tag, data)
    except Exception as error:  # noqa: BLE001
        return Unencodable(f"extension {tag} ({type(error).__name__})", data.hex())


def _restored(tag: int, data: bytes) -> Any:  # noqa: C901, PLR0911, PLR0912 - one line a type reads best
    """Undo `_extend`; called by the decoder."""
    match tag:
        case Tag.BIG_INT | Tag.DECIMAL:
            return int(data) if tag == Tag.BIG_INT else decimal.Decimal(data.decode())
        case Tag.NUMPY_SCALAR:
            return _restore_numpy(data)[()]
        case Tag.NUMPY_ARRAY:
            return _restore_numpy(data)
        case Tag.SET:
            return set(map(_hashable, _unpack(data)))
        case Tag.FROZENSET:
            return frozenset(map(_hashable, _unpack(data)))
        case Tag.DATETIME:
            return datetime.datetime.fromisoformat(data.decode())
        case Tag.DATE:
            return datetime.date.fromisoformat(data.decode())
        case Tag.TIME:
            return datetime.time.fromisoformat(data.decode())
        case Tag.TIMEDELTA:
            return datetime.timedelta(*_unpack(data))
        case Tag.COMPLEX:
            return complex(*_unpack(data))
        case Tag.SURROGATES:
            return data.decode("utf-8", "surrogatepass")
        case Tag.UNENCODABLE:
            return Unencodable(*_unpack(data))
        case _:
            msg = f"extension type {tag} is not one this version of Tilewright writes"
            raise ValueError(msg)


def _hashable(value: Any) -> Any:
    """Return a member of a set: a tuple travels as a list."""
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _restore_numpy(data: bytes) -> np.ndarray[Any, Any]:
    descr, shape, content = _unpack(data)
    if descr == "O":
        array = np.empty(len(content), dtype=object)
        array[:] = content
        return array.reshape(shape)
    return np.frombuffer(content, dtype=np.dtype(_as_descr(descr))).reshape(shape).copy()
