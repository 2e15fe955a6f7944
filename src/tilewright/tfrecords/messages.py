"""The protobuf messages of a record, without TensorFlow: nothing comes in, classes go out.

Called by `examples`, which parses them, and by `writing`.

Sources: tensorflow/core/example/{example,feature}.proto and tensorflow/core/framework/{tensor,tensor_shape}.proto. Of a TensorProto there
is only what floats need.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from tilewright.extras import extra

DT_FLOAT = 1
"""float32, among TensorFlow's dtypes."""

_INT32, _INT64, _FLOAT, _BOOL, _BYTES, _STRING = "INT32", "INT64", "FLOAT", "BOOL", "BYTES", "STRING"
_FIELDS: dict[str, list[tuple[str, int, str, bool]]] = {
    "BytesList": [("value", 1, _BYTES, True)],
    "FloatList": [("value", 1, _FLOAT, True)],
    "Int64List": [("value", 1, _INT64, True)],
    "Feature": [
        ("bytes_list", 1, "BytesList", False),
        ("float_list", 2, "FloatList", False),
        ("int64_list", 3, "Int64List", False),
    ],
    "Features": [("feature", 1, "Features.FeatureEntry", True)],
    "Example": [("features", 1, "Features", False)],
    "Dim": [("size", 1, _INT64, False), ("name", 2, _STRING, False)],
    "TensorShapeProto": [("dim", 2, "Dim", True), ("unknown_rank", 3, _BOOL, False)],
    "TensorProto": [
        ("dtype", 1, _INT32, False),
        ("tensor_shape", 2, "TensorShapeProto", False),
        ("version_number", 3, _INT32, False),
        ("tensor_content", 4, _BYTES, False),
        ("float_val", 5, _FLOAT, True),
    ],
}
"""Name, number, type and whether it is repeated, of each field of each message."""
_ENTRY = [("key", 1, _STRING, False), ("value", 2, "Feature", False)]
"""The fields of an entry of the map from names to features."""
_ONE_OF = "Feature"
"""The message of which only one field is set, the kind."""


@dataclass(frozen=True, slots=True)
class Messages:
    """Classes of messages, and what they raise."""

    example: Any
    features: Any
    tensor: Any
    error: type[Exception]
    """Bytes that are no such message."""


@cache
def messages() -> Messages:
    """Return the classes, in a pool of their own: another package may have TensorFlow's in protobuf's.

    Raises
    ------
    SetupError
        If the package protobuf is not installed.
    """
    with extra("embeddings", "the records of a TFRecord are read with protobuf"):
        from google.protobuf import (  # noqa: PLC0415 - slow to import
            descriptor_pb2,
            descriptor_pool,
            message,
            message_factory,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file(descriptor_pb2))

    def named(name: str) -> Any:
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tensorflow.{name}"))

    return Messages(named("Example"), named("Features"), named("TensorProto"), message.DecodeError)


def _file(pb2: Any) -> Any:
    file = pb2.FileDescriptorProto(name="tilewright/tfrecord.proto", package="tensorflow", syntax="proto3")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        _add_fields(pb2, message, fields)
        if name == "Features":
            entry = message.nested_type.add(name="FeatureEntry", options=pb2.MessageOptions(map_entry=True))
            _add_fields(pb2, entry, _ENTRY)
        elif name == _ONE_OF:
            message.oneof_decl.add(name="kind")
            for field in message.field:
                field.oneof_index = 0
    return file


def _add_fields(pb2: Any, message: Any, fields: list[tuple[str, int, str, bool]]) -> None:
    types, labels = pb2.FieldDescriptorProto.Type, pb2.FieldDescriptorProto.Label
    for name, number, kind, repeated in fields:
        field = message.field.add(name=name, number=number)
        field.label = labels.Value("LABEL_REPEATED" if repeated else "LABEL_OPTIONAL")
        if f"TYPE_{kind}" in types.keys():  # noqa: SIM118 - protobuf's enumerations can be asked in no other way
            field.type = types.Value(f"TYPE_{kind}")
        else:
            field.type, field.type_name = types.Value("TYPE_MESSAGE"), f".tensorflow.{kind}"
