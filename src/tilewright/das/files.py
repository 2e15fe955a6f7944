"""A file or a store comes in, what it says of itself goes out, or some of its samples; the source and tests call it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilewright.das import prodml, silixa, terra15, zarr_store
from tilewright.das.facts import DISTANCE, TIME, Facts
from tilewright.das.hdf5 import array, opened
from tilewright.errors import InputError

if TYPE_CHECKING:
    import os

    import numpy as np

_OF_HDF5 = (prodml, silixa, terra15)
"""The kinds of HDF5 files, as they are looked for."""
_SHOWN = 10
"""Names in a foreign file that a message lists."""


def probe(path: str | os.PathLike[str]) -> Facts:
    """Return what a file, or a directory that is a Zarr store, says of itself; what it is, is told by what is in it.

    Time stamps are read and compared with the rate, samples are not read.

    Raises
    ------
    InputError
        If it is none of those that are known, damaged, cut off or empty: the message says what was looked for.
    SetupError
        If h5py or zarr is needed, and not installed.
    """
    path = Path(path)
    if path.is_dir():
        return zarr_store.facts(path)
    with opened(path) as file:
        for kind in _OF_HDF5:
            if kind.is_one(file):
                found: Facts = kind.facts(path, file)
                return found
        there = ", ".join(sorted(map(str, {*file, *file.attrs}))[:_SHOWN]) or "nothing"
    looked_for = "; ".join(kind.LOOKED_FOR for kind in _OF_HDF5)
    raise InputError(f"{path} is no file of a cable that is known: looked for {looked_for}. It has {there}")


def read(facts: Facts, time: slice = slice(None), distance: slice = slice(None)) -> np.ndarray[Any, Any]:
    """Return samples, in the file's own order of dimensions; only what they touch is read.

    Parameters
    ----------
    time
        Of samples; there are `facts.samples`.
    distance
        Of channels.

    Raises
    ------
    InputError
        If the file is not any longer what it was, or damaged where these are.
    """
    of = {
        TIME: slice(*time.indices(facts.samples)),
        DISTANCE: slice(*distance.indices(facts.channels)),
    }
    key = tuple(of[name] for name in facts.dims)
    samples: np.ndarray[Any, Any]
    if facts.kind == "zarr":
        samples = _checked(facts, zarr_store.open_arrays(facts.path)[0])[key]
        return samples
    with opened(facts.path) as file:
        samples = _checked(facts, array(file, facts.dataset))[key]
    return samples


def _checked(facts: Facts, samples: Any) -> Any:
    if (samples.shape, samples.dtype) != (facts.shape, facts.dtype):
        raise InputError(
            f"{facts.path} has changed: it holds {samples.dtype} of shape {samples.shape}, and held {facts.dtype} of {facts.shape}"
        )
    return samples
