"""Records whose vectors say which they are, and the same laid out in other ways than TensorFlow does."""

import numpy as np

from tilewright.tfrecords import encode_example
from tilewright.tfrecords.writing import _varint

DIMENSION = 5
FILENAME = "site_0285/20201014T010000+1030_Arkaba-Dry-A_49500.flac"
FEATURES = ("timestamp_s", "filename", "embedding", "embedding_shape")


def vectors(first, windows=3, channels=2, dimension=DIMENSION):
    """Return vectors of a record: each of their values is the number of the vector, and a fraction for its place in it."""
    numbers = np.arange(first, first + windows * channels, dtype="<f4")[:, None]
    return (numbers + np.arange(dimension, dtype="<f4") / 1024).reshape(windows, channels, dimension)


def record(first, windows=3, channels=2, dimension=DIMENSION, **options):
    return encode_example(FILENAME, 60.0 * first, vectors(first, windows, channels, dimension), **options)


def field(number, content):
    """Return a field of protobuf that is bytes or a message."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def number(which, value):
    """Return a field of protobuf that is an integer."""
    return bytes([which << 3]) + _varint(value)


def tensor(array, values, dtype=1, dims=None):
    """Return a TensorProto of whose values the fields are given."""
    dims = b"".join(field(2, number(1, length)) for length in (array.shape if dims is None else dims))
    return number(1, dtype) + field(2, dims) + values


def unpacked(array):
    """Return float_val, each value with a tag of its own."""
    return b"".join(b"\x2d" + value.tobytes() for value in array.ravel())


def feature(name, kind, content):
    """Return an entry of the map of features; kind 1 is of bytes, 2 of floats, 3 of integers."""
    return field(1, field(1, name.encode()) + field(2, field(kind, content)))


def example(entries):
    """Return the data of a record."""
    return field(1, b"".join(entries.values() if isinstance(entries, dict) else entries))


def entries(array, serialised=None, shape=None):
    """Return the features of a record by name, to be changed; its embedding is the TensorProto that is given."""
    serialised = tensor(array, field(4, array.tobytes())) if serialised is None else serialised
    shape = array.shape if shape is None else shape
    return {
        "timestamp_s": feature("timestamp_s", 2, field(1, np.float32(60).tobytes())),
        "filename": feature("filename", 1, field(1, FILENAME.encode())),
        "embedding": feature("embedding", 1, field(1, serialised)),
        "embedding_shape": feature("embedding_shape", 3, field(1, b"".join(map(_varint, shape)))),
    }
