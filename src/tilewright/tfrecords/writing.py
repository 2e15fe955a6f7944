"""TFRecord files of the true layout: vectors and what they are of come in, a file goes out.

Called by those who need TFRecords and have none: tests, benchmarks, the notebook of embeddings.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.tfrecords.crc import masked_crc
from tilewright.tfrecords.examples import FEATURES, VECTORS
from tilewright.tfrecords.messages import DT_FLOAT, messages
from tilewright.tfrecords.records import end_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tilewright.tfrecords.records import PathLike

_LENGTH, _CRC = Struct("<Q"), Struct("<I")
_BUFFER_BYTES = 1 << 20
_FEATURES_TAG = 0x0A
"""Field 1 of an Example."""
_LOW, _MORE = 0x7F, 0x80


def encode_example(
    filename: str,
    timestamp_s: float,
    vectors: Any,
    *,
    float_val: bool = False,
    integer_time: bool = False,
    order: Sequence[str] = FEATURES,
) -> bytes:
    """Return the data of a record, as TensorFlow lays it out.

    Parameters
    ----------
    filename
        Of the recording.
    timestamp_s
        Where in it the record begins, in seconds.
    vectors
        Shape (windows, channels, values of a vector).
    float_val
        Whether the values are a list of floats, and not the bytes of an array.
    integer_time
        Whether the time is an integer.
    order
        Names of the features, in the order in which they are written; those that are left out are missing.
    """
    array = np.ascontiguousarray(vectors, VECTORS)
    parts = []
    for name in order:
        features = messages().features()
        feature = features.feature[name]
        if name == "filename":
            feature.bytes_list.value.append(filename.encode())
        elif name == "timestamp_s" and integer_time:
            feature.int64_list.value.append(int(timestamp_s))
        elif name == "timestamp_s":
            feature.float_list.value.append(timestamp_s)
        elif name == "embedding_shape":
            feature.int64_list.value.extend(array.shape)
        else:
            feature.bytes_list.value.append(_tensor(array, float_val=float_val))
        parts.append(features.SerializeToString())
    whole = b"".join(
        parts
    )  # messages one behind the other are merged by whoever reads them; so their order is ours
    return bytes([_FEATURES_TAG]) + _varint(len(whole)) + whole


def write_records(path: PathLike, payloads: Iterable[bytes]) -> list[int]:
    """Write a file of records, and return the byte at which each begins.

    Parameters
    ----------
    path
        Replaced if it is there.
    payloads
        The data of each record.
    """
    places, place = [], 0
    with open(path, "wb", buffering=_BUFFER_BYTES) as file:  # noqa: PTH123 - a path may be a text
        for data in payloads:
            places.append(place)
            file.write(framed(data))
            place = end_of(place, len(data))
    return places


def framed(data: bytes) -> bytes:
    """Return a record with its length and its CRCs."""
    length = _LENGTH.pack(len(data))
    return b"".join((length, _CRC.pack(masked_crc(length)), data, _CRC.pack(masked_crc(data))))


def _tensor(array: np.ndarray[Any, Any], *, float_val: bool) -> bytes:
    tensor = messages().tensor(dtype=DT_FLOAT)
    for length in array.shape:
        tensor.tensor_shape.dim.add(size=length)
    if float_val:
        tensor.float_val.extend(array.ravel().tolist())
    else:
        tensor.tensor_content = array.tobytes()
    serialised: bytes = tensor.SerializeToString()
    return serialised


def _varint(number: int) -> bytes:
    r"""Return a number as protobuf writes it.

    >>> _varint(1280)
    b'\x80\n'
    """
    encoded = bytearray()
    while number > _LOW:
        encoded.append(number & _LOW | _MORE)
        number >>= 7
    return bytes([*encoded, number])
