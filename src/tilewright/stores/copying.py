"""From one store into another: two mappings come in, what was written, skipped and found to differ goes out.

Layouts and places are changed with it: the stores' key maps and value maps translate. Nothing is deleted, and it can be stopped
and repeated at any point: what is there and equal is not written again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.display import html_facts
from tilewright.documents.notes import quoted
from tilewright.errors import FinalError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

_SHOWN = 5
"""Keys that a text names."""


@dataclass(frozen=True, slots=True)
class CopyResult:
    """What a copy did."""

    copied: int
    """Values written, those that were replaced included."""
    skipped: int
    """Values that were there, and equal."""
    different: tuple[Any, ...]
    """Keys at which the target had another value: replaced if that was asked for, else left as they were."""
    overwritten: bool
    """Whether they were replaced."""

    def __str__(self) -> str:
        more = f", … ({len(self.different)} in all)" if len(self.different) > _SHOWN else ""
        keys = ", ".join(map(quoted, self.different[:_SHOWN])) + more
        told = f"; {'replaced' if self.overwritten else 'left as they were'}: {keys}" if keys else ""
        return f"{self.copied} copied, {self.skipped} there already{told}"

    def _repr_html_(self) -> str:
        facts = {"copied": self.copied, "there already": self.skipped, "different": len(self.different)}
        return html_facts("Copy", facts, note=str(self) if self.different else "")


def copy(
    source: Mapping[Any, Any],
    target: MutableMapping[Any, Any],
    *,
    progress: Callable[[int, int], object] | None = None,
    verify: bool = True,
    overwrite: bool = False,
) -> CopyResult:
    """Copy every value of a store into another one, at the same key.

    Two values are equal if they are of one type and, arrays, of the same dtype, shape and elements (NaN equals NaN), tables, of the
    same columns, else if `==` says so. What is at a key in the target is therefore read, and so is what was written.

    Parameters
    ----------
    progress
        Called with how many values are done and how many there are, after each.
    verify
        Whether what was written is read back and compared.
    overwrite
        Whether a value of the target that differs is replaced.

    Raises
    ------
    InputError
        A key or a value of the source that the target cannot have; what is before it has been copied.
    FinalError
        What was written reads back as another value.

    Examples
    --------
    >>> print(copy({"a": b"1", "b": b"2", "c": b"3"}, {"a": b"1", "b": b"0"}))
    1 copied, 1 there already; left as they were: 'b'
    """
    copied = skipped = 0
    different = []
    total = len(source) if progress is not None else 0
    for done, key in enumerate(source, start=1):
        value = source[key]
        there = _at(target, key)
        if there is not _NOTHING and is_equal(there, value):
            skipped += 1
        else:
            if there is not _NOTHING:
                different.append(key)
            if there is _NOTHING or overwrite:
                _put(target, key, value, verify=verify)
                copied += 1
        if progress is not None:
            progress(done, total)
    return CopyResult(copied, skipped, tuple(different), overwrite)


_NOTHING = object()


def _at(target: Mapping[Any, Any], key: Any) -> Any:
    """Return what the target has at a key; what cannot be read, such as half a file, is another value."""
    if key not in target:
        return _NOTHING
    try:
        return target[key]
    except KeyError:  # removed meanwhile
        return _NOTHING
    except InputError:
        return None


def _put(target: MutableMapping[Any, Any], key: Any, value: Any, *, verify: bool) -> None:
    target[key] = value
    if verify and not is_equal(target.get(key, _NOTHING), value):
        raise FinalError(
            f"The value at {quoted(key)} was written, and reads back as another one: the place cannot be relied on."
        )


def is_equal(one: Any, other: Any) -> bool:
    """Tell whether two values are the same, as `copy` means it.

    >>> is_equal(np.array([1, 2]), np.array([1.0, 2.0])), is_equal({"a": np.nan}, {"a": np.nan})
    (False, True)
    """
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        if (one.dtype, one.shape) != (other.dtype, other.shape):
            return False
        return bool(np.array_equal(one, other, equal_nan=one.dtype.kind in "fc"))
    if hasattr(one, "equals"):  # DataFrames and tables
        return bool(one.equals(other))
    return bool(one == other)
