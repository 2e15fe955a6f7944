"""What a file of a cable says of itself: the modules of the kinds make it, `probe` returns it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    import numpy as np

Kind = Literal["prodml", "silixa", "terra15", "zarr", "dascore"]
TIME, DISTANCE = "time", "distance"
"""The dimensions."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file, or a Zarr store, says of itself."""

    path: Path | str
    """Where it lies; a text if that is a URL."""
    kind: Kind
    dataset: str
    """Path of the array inside the file or the store; empty where dascore finds it."""
    shape: tuple[int, int]
    """Of the array as it lies there; of one that dascore reads, as `read` returns it."""
    dims: tuple[str, str]
    """(`TIME`, `DISTANCE`), or the other way round."""
    dtype: np.dtype[Any]
    chunks: tuple[int, int] | None
    """What is stored as a whole; None if all lies in one piece."""
    start: int
    """Time of the first sample: nanoseconds since 1970, UTC."""
    step: Fraction
    """Seconds from one sample to the next, as exact as the file tells it."""
    samples: int
    """How many samples each channel has; there may be room for more in the array."""
    distance_start: float
    """Of the first channel along the fibre, in metres; 0 if the file does not tell."""
    spacing: float | None
    """Metres from one channel to the next; None if the file does not tell."""
    gauge_length: float | None = None
    """Metres; None if the file does not tell."""
    units: str | None = None
    """Of the values, in the file's words; None if it does not tell, as where they are the converter's counts."""
    quantity: str | None = None
    """What the values are, in the file's words: "Strain rate", "velocity"; None if it does not tell."""
    irregular: str = ""
    """A sentence, where the file's own time stamps are more than half a step off `start` + i · `step`."""
    about: dict[str, Any] = field(default_factory=dict)
    """The rest of its metadata, as JSON takes it; dots and slashes in names, which no document has, are underscores."""

    @property
    def channels(self) -> int:
        """How many places along the fibre."""
        return self.shape[self.dims.index(DISTANCE)]
