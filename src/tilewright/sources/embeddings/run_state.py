"""The documents of a dataset's run come in, what they say goes out: which files it has, and how many rows.

`run_documents` learns from those it makes, and from those of a run that is carried on, in one way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tilewright.sources.composing import RunStreams

if TYPE_CHECKING:
    from collections.abc import Mapping

EMBEDDINGS, FILES, REJECTED = "embeddings", "files", "rejected"
"""The streams: a row a vector, a row a file, and a row for what is no part of the dataset."""
VECTOR = "embedding"
"""The data key of the vectors."""


@dataclass(slots=True)
class RunState(RunStreams):
    """What the documents of one run have said so far."""

    files: dict[str, str] = field(default_factory=dict)
    """Name of each file that is recorded, by its fingerprint."""
    dimension: int | None = None
    """Of the vectors."""
    resources: set[str] = field(default_factory=set)
    """uids."""

    def learn_more(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take note of a file, which is all that has single events, and of where and what its vectors are."""
        if name == "descriptor" and VECTOR in doc["data_keys"]:
            self.dimension = doc["data_keys"][VECTOR]["shape"][0]
        elif name == "stream_resource":
            self.resources.add(doc["uid"])
        elif name == "event":
            self.files[doc["data"]["fingerprint"]] = doc["data"]["file"]
