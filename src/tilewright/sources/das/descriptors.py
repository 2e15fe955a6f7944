"""What the events of an acquisition's streams hold: facts of a file come in, data keys and configuration go out.

`run_documents` calls it. Two streams: `das`, with a row a file, whose array `data` lies in the files; and `rejected_files`.

The array is called `data`, as it is in dascore and xdas: what files hold is a strain, a strain rate, a velocity, a phase or the
converter's counts, so that `strain` would be wrong for most. Which it is, is told by `quantity` and `units` in the configuration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.das import TIME
from tilewright.documents import dtype_of_setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tilewright.das import Facts

STREAM, REJECTED = "das", "rejected_files"
ARRAY = "data"
_UNITS = {"distance_start": "m", "spacing": "m", "gauge_length": "m"}
_INTEGER: dict[str, Any] = {"dtype": "integer", "dtype_numpy": "<i8"}
_TEXT: dict[str, Any] = {"dtype": "string"}
SAME = (
    "dims",
    "dtype",
    "channels",
    "step_numerator",
    "step_denominator",
    "distance_start",
    "spacing",
    "gauge_length",
    "units",
    "quantity",
    "dataset",
    "kind",
)
"""What the files of an array have in common."""


def coordinates(facts: Facts, spacing: float | None) -> dict[str, Any]:
    """Return what all files of an array have in common, without what nobody told.

    Sample i of a file is at its `start` + i · step_numerator / step_denominator seconds; channel j at distance_start + j · spacing
    metres along the fibre.

    Parameters
    ----------
    spacing
        Metres from one channel to the next, for files that do not tell.
    """
    told = {
        "dims": list(facts.dims),
        "dtype": facts.dtype.str,
        "channels": facts.channels,
        "step_numerator": facts.step.numerator,
        "step_denominator": facts.step.denominator,
        "distance_start": facts.distance_start,
        "spacing": spacing if facts.spacing is None else facts.spacing,
        "gauge_length": facts.gauge_length,
        "units": facts.units,
        "quantity": facts.quantity,
        "dataset": facts.dataset or None,
        "kind": facts.kind,
    }
    return {name: value for name, value in told.items() if value is not None}


def das_keys(facts: Facts) -> dict[str, dict[str, Any]]:
    """Return the data keys of the stream of files; `data` lies in files, all others in the table.

    start, gap: nanoseconds. gap: from the end of the file before it in the array, negative where they overlap, null for the first.
    samples, first: of each channel. step: a fraction of seconds.
    """
    keys = {
        ARRAY: _array_key(facts),
        "file": _TEXT,
        "start": {**_INTEGER, "units": "ns"},
        "samples": _INTEGER,
        "first": _INTEGER,
        "step_numerator": {**_INTEGER, "units": "s"},
        "step_denominator": _INTEGER,
        "gap": {**_INTEGER, "units": "ns"},
        "remark": _TEXT,
    }
    if facts.units is not None:
        keys[ARRAY]["units"] = facts.units
    return _completed(keys, STREAM)


def rejected_keys() -> dict[str, dict[str, Any]]:
    """Return the data keys of a file that is no part of the array."""
    return _completed(
        {"file": _TEXT, "size": {**_INTEGER, "units": "bytes"}, "reason": _TEXT},
        REJECTED,
    )


def configuration(settings: Mapping[str, Any], time: float) -> dict[str, Any]:
    """Return a descriptor's configuration.

    Parameters
    ----------
    time
        Seconds, of the first sample.
    """
    keys = {name: _setting(name, value) for name, value in settings.items()}
    return {
        STREAM: {"data": dict(settings), "timestamps": dict.fromkeys(settings, time), "data_keys": keys},
    }


def _array_key(facts: Facts) -> dict[str, Any]:
    """Return the data key of the array: a row is a sample of all channels; or all there is, where time is the second dimension."""
    key = {"dtype": "array", "dtype_numpy": facts.dtype.str, "external": "STREAM:"}
    if facts.dims[0] != TIME:
        return {**key, "shape": list(facts.shape), "dims": list(facts.dims)}
    if facts.channels == 1:
        return {**key, "dtype": "number", "shape": []}
    return {**key, "shape": [facts.channels], "dims": [facts.dims[1]]}


def _setting(name: str, value: Any) -> dict[str, Any]:
    units = {"units": _UNITS[name]} if name in _UNITS else {}
    is_list = isinstance(value, list)
    return {
        "dtype": "array" if is_list else dtype_of_setting(value),
        "shape": [len(value)] if is_list else [],
        "source": STREAM,
        **units,
    }


def _completed(keys: dict[str, dict[str, Any]], object_name: str) -> dict[str, dict[str, Any]]:
    common = {"source": STREAM, "object_name": object_name}
    return {key: {"shape": [], **described, **common} for key, described in keys.items()}
