"""A pipeline on Dask: an array of (distance, time) comes in, one that is computed when asked comes out, chunk by chunk.

Called by whoever has a Dask array, or a cluster: a chunk is one task, of the input chunks that it reaches, computed by
`Pipeline.block` in the thread, process or worker that Dask gives it, so that results are the same everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewright.errors import InputError
from tilewright.processing.base import positive, whole
from tilewright.processing.extras import needed
from tilewright.processing.spans import Shape, Signal, Span

if TYPE_CHECKING:
    from dask.array import Array

    from tilewright.processing.pipeline import Pipeline
    from tilewright.processing.spans import Samples


def to_dask(pipeline: Pipeline, array: Array, rate: float, *, chunk: int) -> Array:
    """Return a pipeline's outputs of a whole acquisition, lazily. Shape (distance, time), of the pipeline's dtype.

    Parameters
    ----------
    pipeline
        What is computed.
    array
        Of shape (distance, time): an acquisition from its true start to its true end.
    rate
        Its samples a second.
    chunk
        Output samples of a task, of all channels.

    Raises
    ------
    InputError
        If the array has other dimensions, or a step does not fit. What samples are is found when they are computed.
    """
    arrays, delayed = needed("dask.array"), needed("dask.delayed").delayed

    whole(chunk, 1, "a chunk's number of samples")
    positive(rate, "an array's samples a second")
    if array.ndim != 2:  # noqa: PLR2004 - distance and time
        raise InputError(
            f"cannot process an array of shape {array.shape}: expected two dimensions (distance, time)"
        )
    channels, samples = array.shape
    given = Shape(channels, samples, rate)
    shape = pipeline.shape(given)
    task = delayed(_computed, pure=True)
    parts = []
    for start in range(0, shape.samples, chunk):
        wanted = Span(start, min(start + chunk, shape.samples))
        reached = pipeline.plan(wanted, given)
        part = task(array[:, reached.start : reached.stop], pipeline, given, wanted)
        parts.append(arrays.from_delayed(part, (shape.channels, len(wanted)), dtype=pipeline.dtype))
    lazy: Array = arrays.concatenate(parts, axis=1)
    return lazy


def _computed(values: Samples, pipeline: Pipeline, given: Shape, wanted: Span) -> Samples:
    """Return outputs, of what they reach: a task."""
    first = pipeline.plan(wanted, given).start
    signal = Signal(lambda start, stop: values[:, start - first : stop - first], given)
    return pipeline.block(signal, wanted).values
