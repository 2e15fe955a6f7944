"""Names and shapes of Bluesky documents; every room imports these, nothing comes in.

The schemas themselves are event-model's (https://blueskyproject.io/event-model/main/reference/); a document
is handled as the plain dictionary it arrives as.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

DocumentName: TypeAlias = Literal[
    "start",
    "descriptor",
    "event",
    "event_page",
    "stream_resource",
    "stream_datum",
    "stop",
    "resource",
    "datum",
    "datum_page",
    "bulk_events",
    "bulk_datum",
]

Document: TypeAlias = tuple[str, dict[str, Any]]
"""A document's name and the document; the name is a `DocumentName` unless the emitter is newer than we are."""

DOCUMENT_NAMES: frozenset[str] = frozenset(get_args(DocumentName))
EVENT_NAMES: frozenset[str] = frozenset({"event", "event_page"})
LEGACY_ASSET_NAMES: frozenset[str] = frozenset({"resource", "datum", "datum_page"})
"""What a `Translator` takes in and turns into stream_resource and stream_datum."""

NOTE = "tilewright:note"
"""Name of what the recorder itself puts among the documents of a run: `{"text": a sentence for the run's notes}`."""


@dataclass(frozen=True, slots=True)
class Unencodable:
    """Stands in a document for a value that no encoding is known for."""

    type_name: str
    text: str
    """The value's repr."""
