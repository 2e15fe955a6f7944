"""The record of a TFRecord as `tf.train.Example`: its data come in, the vectors and what they are of go out.

Called by `sources.embeddings` with each record of a file, and by `positions` with those whose floats are not in one piece.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.errors import InputError
from tilewright.tfrecords.messages import DT_FLOAT, messages
from tilewright.tfrecords.wire import DIMENSIONS, FLOAT_BYTES, locate

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEATURES = ("timestamp_s", "filename", "embedding", "embedding_shape")
"""What a record has to have, by name."""
VECTORS = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class Example:
    """A record."""

    filename: str
    timestamp_s: float
    """Where in that file it begins, in seconds."""
    vectors: NDArray[np.float32]
    """Shape (windows, channels, values of a vector), to be read only. NaN and infinities are what they are."""
    values_at: int | None
    """The byte of the record's data at which the floats begin, little-endian; None if they do not lie there in one piece."""


def parse(data: bytes) -> Example:
    """Return what a record holds.

    Raises
    ------
    InputError
        If a feature is missing, or is of another kind, or the embedding is no float32 of three dimensions, all of it, and
        of the shape that `embedding_shape` gives; the message names the feature.
    SetupError
        If the package protobuf is not installed.
    """
    features = _features(data)
    shape = _shape(features)
    tensor = _tensor(_one(features, "embedding", "bytes_list"))
    if (own := _tensor_shape(tensor)) != shape:
        raise InputError(f"feature 'embedding' has shape {own}, and 'embedding_shape' is {shape}")
    vectors, values_at = _vectors(data, tensor, shape)
    return Example(_filename(features), _timestamp(features), vectors, values_at)


def _features(data: bytes) -> Any:
    known = messages()
    try:
        example = known.example.FromString(data)
    except known.error as error:
        raise InputError(f"the record is no tf.train.Example: {error}") from error
    features = example.features.feature
    if missing := [name for name in FEATURES if name not in features]:
        there = ", ".join(map(repr, sorted(features))) or "none"
        raise InputError(f"the record has no feature {', '.join(map(repr, missing))}; there are: {there}")
    return features


def _values(features: Any, name: str, *kinds: str) -> Any:
    """Return the values of a feature of one of these kinds."""
    feature = features[name]
    kind = feature.WhichOneof("kind")
    if kind not in kinds:
        raise InputError(f"feature {name!r} is {kind or 'empty'}, expected {' or '.join(kinds)}")
    return getattr(feature, kind).value


def _one(features: Any, name: str, *kinds: str) -> Any:
    values = _values(features, name, *kinds)
    if len(values) != 1:
        raise InputError(f"feature {name!r} has {len(values)} values, expected one")
    return values[0]


def _filename(features: Any) -> str:
    name: bytes = _one(features, "filename", "bytes_list")
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"feature 'filename' is {name!r}, which is not UTF-8") from error


def _timestamp(features: Any) -> float:
    seconds = float(_one(features, "timestamp_s", "float_list", "int64_list"))
    if not math.isfinite(seconds):
        raise InputError(f"feature 'timestamp_s' is {seconds}, expected seconds")
    return seconds


def _shape(features: Any) -> tuple[int, ...]:
    shape = tuple(_values(features, "embedding_shape", "int64_list"))
    if len(shape) != DIMENSIONS or min(shape) < 1:
        raise InputError(f"feature 'embedding_shape' is {shape}, expected three lengths of 1 or more")
    return shape


def _tensor(serialised: bytes) -> Any:
    known = messages()
    try:
        tensor = known.tensor.FromString(serialised)
    except known.error as error:
        raise InputError(f"feature 'embedding' is no TensorProto: {error}") from error
    if tensor.dtype != DT_FLOAT:
        raise InputError(
            f"feature 'embedding' has TensorFlow's dtype {tensor.dtype}, expected {DT_FLOAT}, float32"
        )
    return tensor


def _tensor_shape(tensor: Any) -> tuple[int, ...]:
    return tuple(dim.size for dim in tensor.tensor_shape.dim)


def _vectors(data: bytes, tensor: Any, shape: tuple[int, ...]) -> tuple[NDArray[np.float32], int | None]:
    """Return the values of a tensor, and where they are in the data."""
    content: bytes = tensor.tensor_content
    needed = math.prod(shape) * FLOAT_BYTES
    if content and len(content) != needed:
        raise InputError(
            f"feature 'embedding' has {len(content)} bytes of values, and its shape {shape} needs {needed}"
        )
    values = np.frombuffer(content, VECTORS) if content else _float_val(tensor.float_val, shape)
    located = locate(data, len(data))
    if located is None:
        return values.reshape(shape), None
    # The walk over the tags finds the first embedding of a record, protobuf the last one.
    if located.shape != shape or not _are_at(data, located.values_at, content, values):
        raise InputError("feature 'embedding' is there more than once")
    return values.reshape(shape), located.values_at


def _are_at(data: bytes, place: int, content: bytes, values: NDArray[np.float32]) -> bool:
    """Tell whether values are at a place of the data; those that came as numbers may have lost the bits of a NaN."""
    if content:
        return data.startswith(content, place)
    return np.array_equal(np.frombuffer(data, VECTORS, len(values), place), values, equal_nan=True)


def _float_val(floats: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the values of a tensor that has them one by one; as in TensorFlow, the last one stands for all that follow."""
    count = math.prod(shape)
    if not 1 <= len(floats) <= count:
        raise InputError(f"feature 'embedding' has {len(floats)} values, and its shape {shape} needs {count}")
    values = np.full(count, floats[-1], VECTORS)
    values[: len(floats)] = floats
    values.flags.writeable = False
    return values
