"""Documents to bytes and back, keeping what JSON loses; used by the journal's writer and reader.

The payload is MessagePack of `[name, document]`. What MessagePack has no type for travels as an extension
type (`Tag`). Tuples come back as lists, views of dicts and dataclasses as dicts, masked arrays as lists with None, UUIDs
as text and enums as their values; subclasses of dict, list, str, bytes, int, float and arrays come back as those;
everything else comes back as it was, or, if no encoding is known, as an `Unencodable` with its repr.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
from collections import ChainMap, UserDict
from enum import Enum, IntEnum
from types import MappingProxyType, NoneType
from typing import TYPE_CHECKING, Any

import numpy as np
import ormsgpack

from tilewright.documents import Unencodable
from tilewright.documents.notes import without_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tilewright.documents import Document

MAX_DEPTH = 200
"""Nesting past this depth is stored as its repr: the encoder itself refuses past 254 levels."""

_OPTIONS = ormsgpack.OPT_PASSTHROUGH_BIG_INT | ormsgpack.OPT_PASSTHROUGH_DATETIME
"""Keys have to be strings: with `OPT_NON_STR_KEYS` an enum and its value would become one key, and a value be lost."""
MEMORY_MAPPINGS = (MappingProxyType, UserDict, ChainMap)
"""Mappings that are taken for dicts. Others may be a file or a server, whom to read would keep the caller waiting."""
_ALWAYS_ENCODABLE = frozenset({int, float, bool, bytes, NoneType})


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
    MAPPING = 14
    """Pairs of a dict whose keys are not all plain strings."""


def encode(name: str, document: Any) -> bytes:
    """Return the payload of one record.

    Never raises for a document, whatever it holds: what cannot be encoded is replaced by its repr.
    """
    try:
        return ormsgpack.packb((name, document), default=_extend, option=_OPTIONS)
    except Exception:  # noqa: BLE001 - a value's own methods may raise anything; the slow path isolates it
        return _encode_by_parts(name, document)


def _encode_by_parts(name: str, document: Any) -> bytes:
    """Encode the rare document the encoder refused."""
    try:
        return _pack((_encodable_text(name), _Parts().encodable(document, 1)))
    except Exception:  # noqa: BLE001 - the caller's own stack is nearly used up, or the document changes meanwhile
        return _pack((_encodable_text(name), _unencodable(document)))


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
        case np.generic() if not isinstance(value, bytes):
            return _numpy(Tag.NUMPY_SCALAR, np.asarray(value))
        case np.ma.MaskedArray():
            return value.tolist()
        case np.ndarray():
            return _numpy(Tag.NUMPY_ARRAY, value)
        case int():  # hexadecimal: Python refuses to write, or read, thousands of decimal digits
            return ormsgpack.Ext(Tag.BIG_INT, hex(value).encode())
        case set():
            return ormsgpack.Ext(Tag.SET, _pack(list(value)))
        case frozenset():
            return ormsgpack.Ext(Tag.FROZENSET, _pack(list(value)))
        case datetime.datetime() | datetime.timedelta() if _is_finer(value):
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
        case bytes() | bytearray() | memoryview():
            return bytes(value)
        case _ if isinstance(value, MEMORY_MAPPINGS):
            return dict(value)
        case _:
            return _unencodable(value)


def _is_finer(value: datetime.datetime | datetime.timedelta) -> bool:
    """Tell pandas' NaT and its nanoseconds, which Python's own types do not hold."""
    return value != value or bool(getattr(value, "nanosecond", 0) or getattr(value, "nanoseconds", 0))  # noqa: PLR0124


def _numpy(tag: Tag, array: np.ndarray[Any, Any]) -> Any:
    """Encode dtype, shape and bytes; arrays of objects go element by element."""
    if array.dtype.hasobject:
        return ormsgpack.Ext(tag, _pack(["O", list(array.shape), array.ravel().tolist()]))
    return ormsgpack.Ext(tag, _pack([_described(array.dtype), list(array.shape), array.tobytes()]))


def _described(dtype: np.dtype[Any]) -> Any:
    """Return a dtype as MessagePack holds it: a text, [base, shape] of a sub-array, or a structure's fields by name.

    `dtype.descr` would make fields of the gaps, and has no word for fields that overlap or stand in another order.
    """
    if dtype.subdtype is not None:
        return [_described(dtype.subdtype[0]), list(dtype.subdtype[1])]
    if dtype.fields is None or dtype.names is None:
        return dtype.str
    fields = {name: [_described(dtype.fields[name][0]), *dtype.fields[name][1:]] for name in dtype.names}
    return {"itemsize": dtype.itemsize, "fields": fields}


def _dtype(described: Any) -> np.dtype[Any]:
    """Undo `_described`."""
    if isinstance(described, str):
        return np.dtype(described)
    if isinstance(described, list):
        return np.dtype((_dtype(described[0]), tuple(described[1])))
    fields = {name: (_dtype(field[0]), *field[1:]) for name, field in described["fields"].items()}
    return np.dtype(
        {
            "names": list(fields),
            "formats": [field[0] for field in fields.values()],
            "offsets": [field[1] for field in fields.values()],
            "titles": [(*field, None)[2] for field in fields.values()],
            "itemsize": described["itemsize"],
        }
    )


def _unencodable(value: Any) -> Any:
    try:
        text = without_keys(repr(value))
    except Exception as error:  # noqa: BLE001 - somebody's broken __repr__ must not lose the document
        text = f"<repr failed: {type(error).__name__}>"
    fields = [type(value).__name__, text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")]
    return ormsgpack.Ext(Tag.UNENCODABLE, _pack(fields))


class _Parts:
    """Rebuilds a value so that the encoder takes it, part by part: what is bad in it is isolated."""

    def __init__(self) -> None:
        self._around: set[int] = set()
        """Identities of the containers that the present part lies in."""

    def encodable(self, value: Any, depth: int) -> Any:
        """Return the value as the encoder takes it."""
        if type(value) in _ALWAYS_ENCODABLE or (type(value) is str and value.isascii()):
            return value
        try:
            return self._part(value, depth)
        except Exception:  # noqa: BLE001 - as in `encode`: this part is isolated
            return _unencodable(value)

    def _part(self, value: Any, depth: int) -> Any:
        value = _opened(value)
        if isinstance(value, str):
            return _encodable_text(value)
        is_object_array = isinstance(value, np.ndarray) and value.dtype.hasobject
        if not (is_object_array or isinstance(value, (dict, list, tuple, set, frozenset))):
            return value if _is_encodable(value) else _unencodable(value)
        if depth > MAX_DEPTH or id(value) in self._around:
            return _unencodable(value)
        self._around.add(id(value))
        try:
            return self._container(value, depth + 1)
        finally:
            self._around.remove(id(value))

    def _container(self, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return self._mapping(value, depth)
        if isinstance(value, np.ndarray):
            parts = self._list(np.ma.getdata(value).ravel().tolist(), depth)
            return ormsgpack.Ext(Tag.NUMPY_ARRAY, _pack(["O", list(value.shape), parts]))
        parts = self._list(value, depth)
        if isinstance(value, (set, frozenset)):
            return ormsgpack.Ext(Tag.SET if isinstance(value, set) else Tag.FROZENSET, _pack(parts))
        return parts

    def _list(self, values: Iterable[Any], depth: int) -> list[Any]:
        return [self.encodable(item, depth) for item in list(values)]

    def _mapping(self, value: dict[Any, Any], depth: int) -> Any:
        pairs = [(key, self.encodable(item, depth)) for key, item in list(value.items())]
        if all(type(key) is str and (key.isascii() or _is_encodable(key)) for key, _ in pairs):
            return dict(pairs)
        return ormsgpack.Ext(Tag.MAPPING, _pack([[self.encodable(key, depth), item] for key, item in pairs]))


def _opened(value: Any) -> Any:
    """Return what the encoder sees in a value of a type it knows, to be looked at by itself."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, memoryview):
        return value.tobytes()
    if isinstance(value, MEMORY_MAPPINGS):
        return dict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {part.name: getattr(value, part.name) for part in dataclasses.fields(value)}
    return value


def _is_encodable(value: Any) -> bool:
    try:
        _pack(value)
    except Exception:  # noqa: BLE001 - as in `encode`
        return False
    return True


def _encodable_text(value: str) -> Any:
    try:
        str.encode(value)  # a subclass may have its own ways
    except UnicodeEncodeError:
        return ormsgpack.Ext(Tag.SURROGATES, str.encode(value, "utf-8", "surrogatepass"))
    return str.__str__(value)


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
            return int(data, 0) if tag == Tag.BIG_INT else decimal.Decimal(data.decode())
        case Tag.NUMPY_SCALAR:
            return _restore_numpy(data)[()]
        case Tag.NUMPY_ARRAY:
            return _restore_numpy(data)
        case Tag.SET:
            return set(map(_hashable, _unpack(data)))
        case Tag.FROZENSET:
            return frozenset(map(_hashable, _unpack(data)))
        case Tag.MAPPING:
            return _mapping(_unpack(data))
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


def _mapping(pairs: list[list[Any]]) -> dict[Any, Any]:
    """Return pairs as a dict. Keys that were different stay so, even if nothing but their repr was kept."""
    mapping: dict[Any, Any] = {}
    twins: dict[Any, int] = {}
    for key, value in pairs:
        free = key = _hashable(key)  # noqa: PLW2901
        while free in mapping:
            twins[key] = twins.get(key, 1) + 1
            free = _twin(key, twins[key])
        mapping[free] = value
    return mapping


def _twin(key: Any, number: int) -> Any:
    if isinstance(key, Unencodable):
        return dataclasses.replace(key, text=f"{key.text} ({number})")
    return f"{key} ({number})"


def _hashable(value: Any) -> Any:
    """Return a member of a set or a key: a tuple travels as a list, a dataclass as a dict."""
    if isinstance(value, dict):
        return tuple((key, _hashable(item)) for key, item in value.items())
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _restore_numpy(data: bytes) -> np.ndarray[Any, Any]:
    descr, shape, content = _unpack(data)
    if descr == "O":
        array = np.empty(len(content), dtype=object)
        array[:] = content
        return array.reshape(shape)
    dtype = _dtype(descr)
    if not content:  # no elements, or elements of no bytes
        return np.empty(shape, dtype)
    return np.frombuffer(content, dtype=dtype).reshape(shape).copy()
