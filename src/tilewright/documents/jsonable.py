"""Any value to what JSON can hold, saying what had to change; used for metadata and rejected values.

Tiled keeps metadata as JSON in a database. JSON has no NaN, bytes, sets, dates or numpy types, and Tiled's
own encoder takes integers of 64 bits at most.
"""

from __future__ import annotations

import base64
import datetime
import math
import numbers
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_INT_RANGE = range(-(1 << 63), 1 << 64)
_MAX_DEPTH = 100
"""Nesting past this depth is written as text: parsers on the way refuse deeper JSON."""


def to_json(value: Any, *, lenient: bool = False) -> tuple[Any, list[str]]:
    """Return the value as JSON can hold it, and a sentence for each part that is no longer what it was.

    Tuples become lists and numpy numbers Python's own without a word.

    Parameters
    ----------
    value
        Anything.
    lenient
        Keep what Python's `json` module reads back though others may not: NaN and the infinities, integers of
        any size, lone surrogates.

    >>> to_json({"a": (1, 2), "b": float("nan")})
    ({'a': [1, 2], 'b': 'NaN'}, ["b: nan is written as the text 'NaN'"])
    """
    conversion = _Conversion(lenient)
    return conversion.convert(value, "", 0), conversion.notes


@dataclass(slots=True)
class _Conversion:
    """One call of `to_json`. Each method takes a part of the value and the dotted path to it."""

    lenient: bool
    notes: list[str] = field(default_factory=list)

    def convert(self, value: Any, path: str, depth: int) -> Any:  # noqa: PLR0911 - one line a type reads best
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, (np.datetime64, np.timedelta64)):
            return self._other(value, path)
        if isinstance(value, numbers.Number | np.bool_):
            return self._number(value, path)
        if depth > _MAX_DEPTH:
            return self._noted(repr(value), path, "what is nested deeper is written as text")
        if isinstance(value, dict):
            return self._mapping(value, path, depth)
        if isinstance(value, (list, tuple)):
            return [self.convert(item, _join(path, str(i)), depth + 1) for i, item in enumerate(value)]
        if isinstance(value, np.ndarray):
            return self.convert(value.tolist(), path, depth)
        if isinstance(value, (set, frozenset)):
            items = self.convert(sorted(value, key=repr), path, depth)
            return self._noted(items, path, "a set is written as a sorted list")
        return self._other(value, path)

    def _mapping(self, value: dict[Any, Any], path: str, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, item in value.items():
            name = self._text(key, path) if isinstance(key, str) else str(key)
            if not isinstance(key, str):
                self._noted(name, _join(path, name), f"the key {key!r} is written as text")
            while name in result:  # 1 and "1"
                name += "_"
            result[name] = self.convert(item, _join(path, name), depth + 1)
        return result

    def _text(self, value: str, path: str) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:
            if not self.lenient:
                escaped = value.encode("utf-8", "backslashreplace").decode()
                return str(self._noted(escaped, path, "a lone surrogate is written escaped"))
        return str(value)

    def _number(self, value: Any, path: str) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, bool):
            return value
        if isinstance(value, numbers.Integral):
            if self.lenient or int(value) in _INT_RANGE:
                return int(value)
            return self._noted(str(int(value)), path, "an integer past 64 bits is written as text")
        if isinstance(value, float):
            if self.lenient or math.isfinite(value):
                return float(value)
            text = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
            return self._noted(text, path, f"{value!r} is written as the text {text!r}")
        return self._noted(str(value), path, f"a {type(value).__name__} is written as text")

    def _other(self, value: Any, path: str) -> Any:
        if isinstance(value, (bytes, bytearray, memoryview)):
            text = base64.b64encode(bytes(value)).decode()
            return self._noted(text, path, "bytes are written as base64")
        if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
            return self._noted(value.isoformat(), path, "a date or time is written as ISO 8601 text")
        text = self._text(getattr(value, "text", None) or str(value), path)
        return self._noted(text, path, f"a {type(value).__name__} is written as text")

    def _noted(self, value: Any, path: str, sentence: str) -> Any:
        self.notes.append(f"{path or 'value'}: {sentence}")
        return value


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
