"""Blocks of samples through finite impulse responses, by FFT: called by the steps that filter.

An acquisition goes on beyond its true ends as its odd reflection (`scipy.signal`'s default for `filtfilt`), as far as
the filter reaches and if need be back and forth. A zero-phase filter keeps that symmetry, so that filters one after
the other are the same as one filter of their convolved taps.

With every n-th output wanted, sample and tap i belong to phase i % n; each phase is transformed by itself, and their
products are added before one transform back. Rounding is float32's relative to the largest deviation from the block's
first sample, which is taken off before and added again after.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.processing.extras import needed
from tilewright.processing.kernels import Taps, reach
from tilewright.processing.spans import Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tilewright.processing.spans import Block, Samples

    Spectrum = NDArray[np.complexfloating[Any, Any]]


_NO_GAIN = 1e-9
"""Of a filter that passes nothing at 0 Hz, where the sum of the taps is only their rounding."""


def filtered(block: Block, wanted: Span, taps: tuple[Taps, ...], stride: int) -> list[Samples]:
    """Return outputs `wanted` by each filter; all have the same reach. Shape (distance, wanted), of the block's dtype.

    The block has all samples that the outputs reach, as far as the acquisition has them.
    """
    fft = needed("scipy.fft")
    half = reach(taps[0])
    length = fft.next_fast_len(len(wanted) + 2 * half // stride, real=True)
    first = wanted.start * stride - half
    offset = block.values[:, :1]
    work = _laid_out(block, Span(first, (wanted.stop - 1) * stride + half + 1), offset, (stride, length))
    spectra = [fft.rfft(phase, axis=1) for phase in work]
    outputs = []
    for each in taps:
        responses = _responses(each.tobytes(), stride, length, block.values.dtype.str)
        product = spectra[0] * responses[0]
        for spectrum, response in zip(spectra[1:], responses[1:], strict=True):
            product += spectrum * response
        output = fft.irfft(product, length, axis=1)[:, : len(wanted)]
        gain = each.sum()
        outputs.append(output + offset * output.dtype.type(gain) if abs(gain) > _NO_GAIN else output)
    return outputs


def _laid_out(block: Block, reached: Span, offset: Samples, phases: tuple[int, int]) -> Samples:
    """Return the deviations from `offset` that are reached, by phases. Shape (stride, distance, length), ends filled with 0."""
    stride, length = phases
    values = block.values
    work = np.zeros((stride, len(values), length), values.dtype)
    there = reached.within(block.samples)
    for places in (range(reached.start, there.start), range(there.stop, reached.stop)):
        if len(places):
            _put(work, beyond(values, np.array(places) - block.start), offset, places.start - reached.start)
    inside = values[:, there.start - block.start : there.stop - block.start]
    _put(work, inside, offset, there.start - reached.start)
    return work


def _put(work: Samples, values: Samples, offset: Samples, at: int) -> None:
    """Put deviations from `offset` into phases, the first of them at place `at`."""
    stride = len(work)
    for skipped in range(min(stride, values.shape[1])):
        row, phase = divmod(at + skipped, stride)
        part = values[:, skipped::stride]
        np.subtract(part, offset, out=work[phase, :, row : row + part.shape[1]])


def beyond(values: Samples, places: NDArray[np.int64]) -> Samples:
    """Return what an odd reflection at both ends has at `places`, which count from the first sample.

    >>> beyond(np.array([[1.0, 2.0, 4.0]]), np.arange(-3, 7))
    array([[-4., -2.,  0.,  1.,  2.,  4.,  6.,  7.,  8., 10.]])
    """
    last = values.shape[1] - 1
    if last == 0:
        return np.repeat(values, len(places), axis=1)
    turns, inside = np.divmod(places, 2 * last)
    is_back = inside > last
    there = values[:, np.where(is_back, 2 * last - inside, inside)]
    first, end = values[:, :1], values[:, -1:]
    turns = turns.astype(values.dtype)
    return np.where(is_back, 2 * end - there, there) + turns * (2 * (end - first))


@lru_cache(maxsize=64)
def _responses(taps: bytes, stride: int, length: int, dtype: str) -> list[Spectrum]:
    """Return what each phase's spectrum is multiplied with, of float64 taps: correlation with the reversed taps."""
    fft = needed("scipy.fft")
    reversed_taps = np.frombuffer(taps, np.float64)[::-1]
    kind = np.result_type(dtype, np.complex64)
    return [fft.rfft(reversed_taps[phase::stride], length).conj().astype(kind) for phase in range(stride)]
