"""Any value to what JSON can hold, saying what had to change; used for metadata and rejected values.

Tiled keeps metadata as JSON in a database. JSON has no NaN, bytes, sets, dates or numpy types, and Tiled's
own encoder takes integers of 64 bits at most.
"""

from __future__ import annotations

import base64
import datetime
import math
import numbers
from typing import Any

import numpy as np

_INT_RANGE = range(-(1 << 63), 1 << 64)
_MAX_DEPTH = 100
"""Nesting past this depth is written as text: parsers on the way refuse deeper JSON."""


def to_json(value: Any) -> tuple[Any, list[str]]:
    """Return the value as JSON can hold it, and a sentence for each part that is no longer what it was.

    Tuples become lists and numpy numbers Python's own without a word. The integers of metadata have 64 bits at
    most; one that is the whole value stays as it is, for JSON itself has no limit.

    >>> to_json({"a": (1, 2), "b": float("nan")})
    ({'a': [1, 2], 'b': 'NaN'}, ["b: nan is written as the text 'NaN'"])
    """
    notes: list[str] = []
    if isinstance(value, numbers.Integral):
        return int(value) if not isinstance(value, bool) else value, notes
    return _convert(value, "", 0, notes), notes


def _convert(value: Any, path: str, depth: int, notes: list[str]) -> Any:  # noqa: PLR0911 - one line a type reads best
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, path, notes)
    if isinstance(value, numbers.Number | np.bool_):
        return _number(value, path, notes)
    if depth > _MAX_DEPTH:
        return _noted(repr(value), path, "what is nested deeper is written as text", notes)
    if isinstance(value, dict):
        return _mapping(value, path, depth, notes)
    if isinstance(value, (list, tuple)):
        return [_convert(item, _join(path, str(i)), depth + 1, notes) for i, item in enumerate(value)]
    if isinstance(value, np.ndarray):
        return _convert(value.tolist(), path, depth, notes)
    if isinstance(value, (set, frozenset)):
        items = sorted(value, key=repr)
        return _noted(_convert(items, path, depth, notes), path, "a set is written as a sorted list", notes)
    return _other(value, path, notes)


def _mapping(value: dict[Any, Any], path: str, depth: int, notes: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, item in value.items():
        name = _text(key, path, notes) if isinstance(key, str) else str(key)
        if not isinstance(key, str):
            notes.append(f"{_join(path, name)}: the key {key!r} is written as text")
        result[name] = _convert(item, _join(path, name), depth + 1, notes)
    return result


def _text(value: str, path: str, notes: list[str]) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        escaped = value.encode("utf-8", "backslashreplace").decode()
        return str(_noted(escaped, path, "a lone surrogate is written escaped", notes))
    return str(value)


def _number(value: Any, path: str, notes: list[str]) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return value
    if isinstance(value, numbers.Integral):
        if int(value) in _INT_RANGE:
            return int(value)
        return _noted(str(int(value)), path, "an integer past 64 bits is written as text", notes)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        text = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return _noted(text, path, f"{value!r} is written as the text {text!r}", notes)
    return _noted(str(value), path, f"a {type(value).__name__} is written as text", notes)


def _other(value: Any, path: str, notes: list[str]) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        text = base64.b64encode(bytes(value)).decode()
        return _noted(text, path, "bytes are written as base64", notes)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return _noted(value.isoformat(), path, "a date or time is written as ISO 8601 text", notes)
    text = _text(getattr(value, "text", None) or str(value), path, notes)
    return _noted(text, path, f"a {type(value).__name__} is written as text", notes)


def _noted(value: Any, path: str, sentence: str, notes: list[str]) -> Any:
    notes.append(f"{path or 'value'}: {sentence}")
    return value


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
