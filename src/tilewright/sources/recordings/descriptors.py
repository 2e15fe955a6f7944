"""What the events of a deployment's streams hold: facts of a unit come in, data keys and configuration go out.

`run_documents` calls it. Three kinds of streams: one a unit, with a row a file; `clock_<unit>`, with a row a tie point; and
`rejected_files`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilewright.documents import dtype_of_setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

AUDIO = "audio"
REJECTED = "rejected_files"
CLOCK_PREFIX = "clock_"
SAME_AS = "same_as"
"""In the facts of a unit with a number: the unit whose files of another kind these are."""
ABOUT_UNIT = (
    "device_id",
    "model",
    "firmware",
    "gain",
    "latitude",
    "longitude",
    "elevation",
    "x",
    "y",
    "z",
)
"""What is told of a unit first, in this order, where it is known."""
_UNITS = {
    "latitude": "degrees",
    "longitude": "degrees",
    "elevation": "m",
    "x": "m",
    "y": "m",
    "z": "m",
}
_INTEGER: dict[str, Any] = {"dtype": "integer", "dtype_numpy": "<i8"}
_NUMBER: dict[str, Any] = {"dtype": "number", "dtype_numpy": "<f8"}
_TEXT: dict[str, Any] = {"dtype": "string"}


def recording_keys(unit: str, dtype: np.dtype[Any], channels: int) -> dict[str, dict[str, Any]]:
    """Return the data keys of a unit's stream; `audio` lies in files, all others in the table.

    start, gap, precision: nanoseconds. gap: from the end of the file before it in the array, negative where they overlap,
    null for the first. first, samples: frames. battery, temperature: null where the file does not tell.
    """
    shape: list[int] = [] if channels == 1 else [channels]
    audio: dict[str, Any] = {
        "dtype": "array" if shape else "number",
        "dtype_numpy": dtype.str,
        "shape": shape,
        "external": "STREAM:",
    }
    if shape:
        audio["dims"] = ["channel"]
    keys = {
        AUDIO: audio,
        "file": {**_TEXT},
        "start": {**_INTEGER, "units": "ns"},
        "samples": {**_INTEGER},
        "first": {**_INTEGER},
        "rate": {**_INTEGER, "units": "Hz"},
        "bits": {**_INTEGER},
        "channels": {**_INTEGER},
        "battery": {**_NUMBER, "units": "V"},
        "temperature": {**_NUMBER, "units": "°C"},
        "gap": {**_INTEGER, "units": "ns"},
        "precision": {**_INTEGER, "units": "ns"},
        "start_from": {**_TEXT},
        "remark": {**_TEXT},
    }
    return _completed(keys, unit)


def clock_keys(unit: str) -> dict[str, dict[str, Any]]:
    """Return the data keys of a tie point.

    sample: index in the unit's array, null where it did not record. nominal: what its clock said; utc: what it was.
    uncertainty: of utc, null where it is not known.
    """
    keys = {
        "sample": {**_INTEGER},
        "nominal": {**_INTEGER, "units": "ns"},
        "utc": {**_INTEGER, "units": "ns"},
        "uncertainty": {**_INTEGER, "units": "ns"},
        "origin": {**_TEXT},
    }
    return _completed(keys, unit)


def rejected_keys() -> dict[str, dict[str, Any]]:
    """Return the data keys of a file that is no part of a recording."""
    keys = {"file": {**_TEXT}, "size": {**_INTEGER, "units": "bytes"}, "reason": {**_TEXT}}
    return _completed(keys, REJECTED)


def about(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a unit, without what is empty, the usual facts first."""
    order = [*ABOUT_UNIT, *(key for key in known if key not in ABOUT_UNIT)]
    facts = {key: known[key] for key in order if known.get(key) not in (None, "")}
    return {key: value for key, value in facts.items() if key not in ("unit", "row")}


def configuration(unit: str, facts: Mapping[str, Any], time: float) -> dict[str, Any]:
    """Return a descriptor's configuration: what is known of the unit.

    Parameters
    ----------
    time
        Seconds, of the unit's first file.
    """
    data = {key: value for key, value in facts.items() if key != "unit"}
    keys = {key: _setting(unit, key, value) for key, value in data.items()}
    return {unit: {"data": data, "timestamps": dict.fromkeys(data, time), "data_keys": keys}}


def _setting(unit: str, key: str, value: Any) -> dict[str, Any]:
    units = {"units": _UNITS[key]} if key in _UNITS else {}
    return {"dtype": dtype_of_setting(value), "shape": [], "source": f"recordings:{unit}", **units}


def _completed(keys: dict[str, dict[str, Any]], unit: str) -> dict[str, dict[str, Any]]:
    common = {"source": f"recordings:{unit}", "object_name": unit}
    return {key: {"shape": [], **described, **common} for key, described in keys.items()}
