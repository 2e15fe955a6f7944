"""Where the floats of a record lie: the first bytes of a serialised `tf.train.Example` come in, a place goes out.

Called by `positions`, which reads no more than the head of each record, and by `examples`. A walk over the tags of the messages around
the floats, as far as these; what they mean otherwise is protobuf's. Of a record that is laid out in another way than TensorFlow
does it, the answer is None, and protobuf has to parse it whole:

    Example.features           10 n
      Features.feature           10 n    entries of other features are passed over
        key "embedding"            10 n
        Feature                    18 n
          bytes_list                 10 n
            value                      10 n
              TensorProto.dtype          8 1
              TensorProto.tensor_shape   18 n   dims
              TensorProto.tensor_content 34 n   the floats; or float_val 42 n, packed

All seven end at the same byte but the two outermost.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from dataclasses import dataclass

from tilewright.tfrecords.messages import DT_FLOAT

EMBEDDING = b"embedding"
FLOAT_BYTES = 4
DIMENSIONS = 3
_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
"""Wire types, the lowest three bits of a tag."""
_FIRST = 1 << 3 | _DELIMITED
"""Tag of field 1, where that is a message, bytes or a text: features, feature, key, bytes_list, value."""
_VALUE = 2 << 3 | _DELIMITED
_DTYPE = 1 << 3 | _VARINT
_SHAPE, _DIM, _SIZE = 2 << 3 | _DELIMITED, 2 << 3 | _DELIMITED, 1 << 3 | _VARINT
_VERSION = 3 << 3 | _VARINT
_CONTENT, _FLOATS = 4 << 3 | _DELIMITED, 5 << 3 | _DELIMITED
_MORE, _LOW = 0x80, 0x7F
_VARINT_BITS = 64


@dataclass(frozen=True, slots=True)
class Located:
    """Floats in one piece, little-endian."""

    values_at: int
    """The byte of the record's data at which they begin."""
    shape: tuple[int, int, int]
    """Windows, channels and values of a vector: as many as floats, at least one of each."""


class _Unusual(Exception):  # noqa: N818 - a signal between our own functions
    """The record is laid out in another way, or its floats are not in these bytes."""


def locate(head: bytes, size: int) -> Located | None:
    """Return where the floats of the first feature `embedding` are.

    None where TensorFlow would not have laid the record out so, where its embedding is not float32 of three dimensions, and where the
    head ends before the floats. What follows the floats is not looked at.

    Parameters
    ----------
    head
        The first bytes of the data of the record; all of them will do.
    size
        Of the data, in bytes.
    """
    try:
        return _embedding(head, size)
    except (_Unusual, IndexError):  # the latter where the head ends
        return None


def _embedding(head: bytes, size: int) -> Located:
    place, end = _enter(head, 0, _FIRST, size)
    if end != size:
        raise _Unusual
    while place < end:
        place, entry_end = _enter(head, place, _FIRST, end)
        key_at, key_end = _enter(head, place, _FIRST, entry_end)
        if head[key_at:key_end] != EMBEDDING:
            place = entry_end
            continue
        place = key_end
        for tag in (_VALUE, _FIRST, _FIRST):  # the feature, its list, the bytes
            place, inner_end = _enter(head, place, tag, entry_end)
            if inner_end != entry_end:
                raise _Unusual
        return _tensor(head, place, entry_end)
    raise _Unusual


def _tensor(head: bytes, place: int, end: int) -> Located:
    """Return where the floats of a TensorProto are, which are the last of its fields."""
    dtype = 0
    shape: tuple[int, ...] = ()
    while place < end:
        tag = head[place]
        if tag == _DTYPE:
            dtype, place = _varint(head, place + 1)
        elif tag == _VERSION:
            _, place = _varint(head, place + 1)
        elif tag == _SHAPE and not shape:
            place, shape_end = _enter(head, place, _SHAPE, end)
            shape, place = _shape(head, place, shape_end), shape_end
        else:
            place, values_end = _enter(head, place, _CONTENT if tag == _CONTENT else _FLOATS, end)
            return _located(dtype, shape, place, values_end, end)
    raise _Unusual


def _located(dtype: int, shape: tuple[int, ...], place: int, values_end: int, end: int) -> Located:
    if dtype != DT_FLOAT or len(shape) != DIMENSIONS or values_end != end:
        raise _Unusual
    windows, channels, values = shape
    floats = windows * channels * values
    if not floats or floats * FLOAT_BYTES != end - place:
        raise _Unusual
    return Located(place, (windows, channels, values))


def _shape(head: bytes, place: int, end: int) -> tuple[int, ...]:
    sizes = []
    while place < end:
        place, dim_end = _enter(head, place, _DIM, end)
        if head[place] != _SIZE:
            raise _Unusual
        size, place = _varint(head, place + 1)
        if place != dim_end:
            raise _Unusual
        sizes.append(size)
    return tuple(sizes)


def _enter(head: bytes, place: int, tag: int, within: int) -> tuple[int, int]:
    """Return the first byte of a field of this tag, and the one behind it, which is not beyond that of the message it is in."""
    if head[place] != tag:
        raise _Unusual
    length, place = head[place + 1], place + 2
    if length & _MORE:
        length, place = _varint(head, place - 1)
    end = place + length
    if end > within:
        raise _Unusual
    return place, end


def _varint(head: bytes, place: int) -> tuple[int, int]:
    """Return a number, of which each byte holds 7 bits, the lowest first; and the byte behind it.

    >>> _varint(bytes([0x80, 0x0A]), 0)
    (1280, 2)
    """
    byte = head[place]
    number, shift = byte & _LOW, 7
    while byte & _MORE:
        place += 1
        byte = head[place]
        number |= (byte & _LOW) << shift
        shift += 7
        if shift > _VARINT_BITS + 7:
            raise _Unusual
    return number, place + 1
