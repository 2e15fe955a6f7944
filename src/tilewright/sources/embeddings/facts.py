"""What was found in one TFRecord file, a row a record: made by `reading`, and turned into documents by `rows` and `run_documents`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tilewright.sources.embeddings.names import Named


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record, or a part of one, that is no part of the dataset."""

    record: int
    """Byte of the file at which it begins."""
    filename: str | None
    """Of the recording, where the record could be read."""
    reason: str


@dataclass(slots=True)
class Contents:
    """The records of one file that are part of the dataset, in their order; and those that are not."""

    names: list[tuple[str, Named]] = field(default_factory=list)
    """Each name of a recording once, and what it tells."""
    name: list[int] = field(default_factory=list)
    """Of each record: which name it has."""
    offset: list[int] = field(default_factory=list)
    """Of each record: the byte of the file at which it begins."""
    seconds: list[float] = field(default_factory=list)
    """Of each record: when its first window begins in the recording."""
    windows: list[int] = field(default_factory=list)
    channels: list[int] = field(default_factory=list)
    kept: dict[int, NDArray[np.bool_]] = field(default_factory=dict)
    """Of records of which not all vectors are kept: which are, shape (windows · channels,)."""
    stretches: list[list[int]] = field(default_factory=list)
    """Where the kept vectors lie: see `tilewright.formats.tfrecord`."""
    rejected: list[Rejected] = field(default_factory=list)
    dimension: int = 0
    """Values of a vector, of those that are kept; 0 if none is."""
    records: int = 0
    """All that the file has, rejected ones included."""
    not_finite: int = 0
    """Vectors that are not kept, because they have values that are no numbers."""
    overflowed: int = 0
    """Vectors with values that are too large for float16."""

    @property
    def rows(self) -> int:
        """How many vectors are kept."""
        return sum(count for _, _, count in self.stretches)
