"""What a document is: names and types, what a data key says, and the translation of earlier schemas."""

from tilewright.documents.data_keys import (
    ALL_IN_TABLE,
    MAX_ARRAY_SIZE,
    dtype_of_setting,
    is_array,
    is_external,
    is_joined,
    is_true,
    numpy_dtype,
    shape,
)
from tilewright.documents.jsonable import to_json
from tilewright.documents.kinds import (
    DOCUMENT_NAMES,
    EVENT_NAMES,
    LEGACY_ASSET_NAMES,
    NOTE,
    Document,
    DocumentName,
    Unencodable,
)
from tilewright.documents.legacy import Translator
from tilewright.documents.names import Distinct, is_key, is_text, path_segment, run_key
from tilewright.documents.notes import Notes, label, quoted
from tilewright.documents.path_map import PathMap, path_rules, read_path_map

__all__ = [
    "ALL_IN_TABLE",
    "DOCUMENT_NAMES",
    "EVENT_NAMES",
    "LEGACY_ASSET_NAMES",
    "MAX_ARRAY_SIZE",
    "NOTE",
    "Distinct",
    "Document",
    "DocumentName",
    "Notes",
    "PathMap",
    "Translator",
    "Unencodable",
    "dtype_of_setting",
    "is_array",
    "is_external",
    "is_joined",
    "is_key",
    "is_text",
    "is_true",
    "label",
    "numpy_dtype",
    "path_rules",
    "path_segment",
    "quoted",
    "read_path_map",
    "run_key",
    "shape",
    "to_json",
]
