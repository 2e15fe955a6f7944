"""A file or a store comes in, what it says of itself goes out, or some of its samples; the source and tests call it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilewright.das import dascore_files, prodml, silixa, terra15, zarr_store
from tilewright.das.facts import DISTANCE, TIME, Facts
from tilewright.das.hdf5 import array, is_hdf5, opened
from tilewright.das.urls import checked, is_url, refusals
from tilewright.errors import InputError

if TYPE_CHECKING:
    import os

    import numpy as np

_OF_HDF5 = (prodml, silixa, terra15)
"""The kinds of HDF5 files, as they are looked for."""
_SHOWN = 10
"""Names in a foreign file that a message lists."""


def probe(path: str | os.PathLike[str]) -> Facts:
    """Return what a file, or a Zarr store in a directory or at a URL, says of itself; what it is, is told by what is in it.

    Time stamps are read and compared with the rate, samples are not read.

    Raises
    ------
    InputError
        If it is none of those that are known, damaged, cut off or empty: the message says what was looked for.
    SetupError
        If a package is needed, and not installed; or if a URL needs credentials.
    TransientError
        If a URL cannot be reached.
    """
    if is_url(str(path)):
        return zarr_store.facts(checked(str(path)))
    path = Path(path)
    if path.is_dir():
        return zarr_store.facts(path)
    known = _of_our_kinds(path)
    if isinstance(known, Facts):
        return known
    if not dascore_files.is_installed():
        raise InputError(
            f"{known}; dascore may know it, and is used once it is installed: python -m pip install 'tilewright[dascore]'"
        )
    found = dascore_files.facts(path)
    if found is None:
        raise InputError(f"{known}; and dascore does not know it")
    return found


def _of_our_kinds(path: Path) -> Facts | str:
    """Return what a file of one of our kinds says of itself; of any other one, a sentence that it is none.

    Raises
    ------
    InputError
        If it is one, and damaged; or if it is not there, or empty.
    SetupError
        If h5py is not installed.
    """
    try:
        with opened(path) as file:
            for kind in _OF_HDF5:
                if kind.is_one(file):
                    found: Facts = kind.facts(path, file)
                    return found
            there = ", ".join(sorted(map(str, {*file, *file.attrs}))[:_SHOWN]) or "nothing"
    except InputError as error:
        if is_hdf5(path):
            raise
        return str(error)
    looked_for = "; ".join(kind.LOOKED_FOR for kind in _OF_HDF5)
    return f"{path} is no file of a cable that is known: looked for {looked_for}. It has {there}"


def read(facts: Facts, time: slice = slice(None), distance: slice = slice(None)) -> np.ndarray[Any, Any]:
    """Return samples, in the order of dimensions that `facts` tells; only what they touch is read, by dascore whole rows.

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
    SetupError, TransientError
        As of `probe`.
    """
    of = {
        TIME: slice(*time.indices(facts.samples)),
        DISTANCE: slice(*distance.indices(facts.channels)),
    }
    key = tuple(of[name] for name in facts.dims)
    samples: np.ndarray[Any, Any]
    if facts.kind == "zarr":
        with refusals(facts.path):
            samples = _same(facts, zarr_store.open_arrays(facts.path)[0])[key]
        return samples
    if facts.kind == "dascore":
        return dascore_files.read(facts, time, distance)
    with opened(Path(facts.path)) as file:
        samples = _same(facts, array(file, facts.dataset))[key]
    return samples


def _same(facts: Facts, samples: Any) -> Any:
    if (samples.shape, samples.dtype) != (facts.shape, facts.dtype):
        raise InputError(
            f"{facts.path} has changed: it holds {samples.dtype} of shape {samples.shape}, and held {facts.dtype} of {facts.shape}"
        )
    return samples
