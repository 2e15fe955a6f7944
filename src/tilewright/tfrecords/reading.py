"""Some vectors of a TFRecord file: an open file, its positions and rows come in, an array goes out.

Called by the format on the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.errors import InputError
from tilewright.tfrecords.examples import VECTORS, parse
from tilewright.tfrecords.positions import NOT_IN_ONE_PIECE
from tilewright.tfrecords.records import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tilewright.tfrecords.positions import Positions
    from tilewright.tfrecords.records import OpenFile


def read_vectors(file: OpenFile, found: Positions, start: int, stop: int) -> NDArray[np.float32]:
    """Return vectors `start` to before `stop` of a file, shape (vectors, values of a vector).

    Parameters
    ----------
    found
        Where the vectors of this very file are: there have to be so many.

    Raises
    ------
    InputError
        If the file is damaged, or has become shorter.
    """
    out = np.empty((stop - start, found.dimension or 0), VECTORS)
    room: Any = out  # whose own type is no buffer
    view, vector_bytes = memoryview(room).cast("B") if out.size else memoryview(b""), out[:1].nbytes
    row, record = start, int(np.searchsorted(found.ends, start, side="right"))
    while row < stop:
        end = int(found.ends[record])
        count = int(found.counts[record])
        skipped, last = row - (end - count), min(end, stop)
        values_at = int(found.values_at[record])
        if values_at == NOT_IN_ONE_PIECE:
            first = int(found.firsts[record]) + skipped
            out[row - start : last - start] = _decoded(file, int(found.offsets[record]))[
                first : first + last - row
            ]
        else:
            part = view[(row - start) * vector_bytes : (last - start) * vector_bytes]
            if file.read_into(part, values_at + skipped * vector_bytes) < len(part):
                raise InputError(
                    f"{file.path} has become shorter: vectors {row} to {last} are no longer there."
                )
        row, record = last, record + 1
    return out


def _decoded(file: OpenFile, place: int) -> NDArray[np.float32]:
    """Return all vectors of a record, shape (vectors, values of a vector)."""
    frame = file.frame_at(place)
    if not isinstance(frame, Frame):
        raise InputError(f"{file.path} is damaged at byte {place}: {frame}.")
    vectors = parse(frame.data).vectors
    return vectors.reshape(-1, vectors.shape[-1])
