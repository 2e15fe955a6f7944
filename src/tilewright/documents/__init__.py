"""What a document is: names and types, what a data key says, and the translation of earlier schemas."""

from tilewright.documents.data_keys import is_external, numpy_dtype, shape
from tilewright.documents.jsonable import to_json
from tilewright.documents.kinds import (
    DOCUMENT_NAMES,
    EVENT_NAMES,
    LEGACY_ASSET_NAMES,
    Document,
    DocumentName,
)
from tilewright.documents.legacy import Translator

__all__ = [
    "DOCUMENT_NAMES",
    "EVENT_NAMES",
    "LEGACY_ASSET_NAMES",
    "Document",
    "DocumentName",
    "Translator",
    "is_external",
    "numpy_dtype",
    "shape",
    "to_json",
]
