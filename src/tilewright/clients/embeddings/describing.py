"""What a run of embeddings has: a run comes in, what its stream and its start document say goes out. `dataset` asks when it is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.documents import numpy_dtype
from tilewright.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tilewright.clients.run import Run
    from tilewright.clients.stream import Stream

EMBEDDINGS, FILES, REJECTED = "embeddings", "files", "rejected"
VECTOR = "embedding"
"""The data key of the vectors, and the array's name."""
START = "recording_start"
"""The column of times, in nanoseconds since 1970, UTC."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a dataset is."""

    start: Mapping[str, Any]
    """The start document."""
    stream: Stream
    columns: tuple[str, ...]
    """Those that the table has, but for what all streams have."""
    dimension: int
    """Values of a vector."""
    dtype: np.dtype[Any]

    @property
    def model(self) -> str | None:
        """What made the vectors; None if nobody said it."""
        return self.start.get("model")

    @property
    def window(self) -> float:
        """Seconds of sound of a vector."""
        return float(self.start.get("window") or 0.0)


def describe(run: Run) -> Description:
    """Return what a run of embeddings has. Two requests.

    Raises
    ------
    InputError
        If the run has none.
    """
    try:
        stream = run[EMBEDDINGS]
    except NotFoundError:
        stream = None
    key = {} if stream is None else stream.data_keys.get(VECTOR, {})
    shape = key.get("shape") or []
    if len(shape) != 1 or "external" not in key:
        raise InputError(
            f"Run {run.uid[:8]} has no embeddings: no stream {EMBEDDINGS!r} with vectors in files as {VECTOR!r}. "
            "`tilewright record tfrecord FILE` makes such runs."
        )
    columns = tuple(name for name in stream.data_keys if name != VECTOR)
    return Description(run.start, stream, columns, int(shape[0]), np.dtype(numpy_dtype(key)))
