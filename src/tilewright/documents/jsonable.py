"""Any value to what JSON can hold, saying what had to change; used for metadata and rejected values.

Tiled keeps metadata as JSON in a database. JSON has no NaN, bytes, sets, dates or numpy types, Tiled's own encoder
takes integers of 64 bits at most, and PostgreSQL no NUL in a text.
"""

from __future__ import annotations

import base64
import datetime
import math
import numbers
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tilewright.documents.kinds import Unencodable
from tilewright.documents.names import Distinct
from tilewright.documents.notes import Notes, quoted, shortened

_INT_RANGE = range(-(1 << 63), 1 << 64)
MAX_DEPTH = 200
"""Nesting past this depth is written as text. orjson, with which Tiled writes every answer, ends at 254 levels, some of
which are Tiled's own around the metadata; SQLite's JSON ends at 1,000, msgpack at 511."""
_MAX_DIGITS_BITS = 14_000
"""Python refuses to write an integer of more than 4,300 decimal digits; this many bits are less."""
_LONGEST_TEXT = 10_000
"""Characters of what is written as text for want of a form in JSON."""
_LONGEST_PATH = 100


def to_json(value: Any, *, lenient: bool = False) -> tuple[Any, list[str]]:
    """Return the value as JSON can hold it, and a sentence for each part that is no longer what it was.

    Tuples become lists and numpy numbers Python's own without a word. Raises nothing, whatever the value is.

    Parameters
    ----------
    value
        Anything.
    lenient
        Keep what Python's `json` module reads back though others may not: NaN and the infinities, integers of
        any size, lone surrogates, NUL.

    >>> to_json({"a": (1, 2), "b": float("nan")})
    ({'a': [1, 2], 'b': 'NaN'}, ["b: nan is written as the text 'NaN'"])
    """
    conversion = _Conversion(lenient)
    return conversion.convert(value, "", 0), list(conversion.notes)


@dataclass(slots=True)
class _Conversion:
    """One call of `to_json`. Each method takes a part of the value and the dotted path to it."""

    lenient: bool
    notes: Notes = field(default_factory=Notes)

    def convert(self, value: Any, path: str, depth: int) -> Any:  # noqa: PLR0911 - one line a type reads best
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, (np.datetime64, np.timedelta64)):
            return self._other(value, path)
        if isinstance(value, numbers.Number | np.bool_):
            return self._number(value, path)
        if depth >= MAX_DEPTH:
            return self._noted(quoted(value, _LONGEST_TEXT), path, "what is nested deeper is written as text")
        if isinstance(value, dict):
            return self._mapping(value, path, depth)
        if isinstance(value, (list, tuple)):
            return [self.convert(item, _join(path, str(i)), depth + 1) for i, item in enumerate(value)]
        if isinstance(value, np.ndarray):
            return self._array(value, path, depth)
        if isinstance(value, (set, frozenset)):
            items = self.convert(sorted(value, key=lambda item: quoted(item, _LONGEST_TEXT)), path, depth)
            return self._noted(items, path, "a set is written as a sorted list")
        return self._other(value, path)

    def _mapping(self, value: dict[Any, Any], path: str, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        names = Distinct()
        for key, item in value.items():
            text = _text_of(key)
            name = names.claim(text if self.lenient else _escaped(text))  # 1 and "1" would be the same
            if name != key:
                how = "text" if name == text else quoted(name)
                self._noted(name, _join(path, name), f"the key {quoted(key)} is written as {how}")
            result[name] = self.convert(item, _join(path, name), depth + 1)
        return result

    def _array(self, value: np.ndarray[Any, Any], path: str, depth: int) -> Any:
        if value.dtype.kind in "mM":  # `tolist` would make integers of the finer ones
            return self._noted(value.astype(str).tolist(), path, "dates and durations are written as text")
        return self.convert(value.tolist(), path, depth)

    def _text(self, value: str, path: str) -> str:
        if self.lenient or (escaped := _escaped(value)) == value:
            return str(value)
        what = "a NUL character" if "\0" in value else "a lone surrogate"
        return str(self._noted(escaped, path, f"{what} is written escaped"))

    def _number(self, value: Any, path: str) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, bool):
            return value
        if isinstance(value, numbers.Integral):
            return self._integer(int(value), path)
        if isinstance(value, float):
            if self.lenient or math.isfinite(value):
                return float(value)
            text = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
            return self._noted(text, path, f"{value!r} is written as the text {text!r}")
        return self._noted(str(value), path, f"a {type(value).__name__} is written as text")

    def _integer(self, value: int, path: str) -> int | str:
        is_long = value.bit_length() > _MAX_DIGITS_BITS
        if value in _INT_RANGE or (self.lenient and not is_long):
            return value
        text = hex(value) if is_long else str(value)
        return str(self._noted(text, path, "an integer past 64 bits is written as text"))

    def _other(self, value: Any, path: str) -> Any:
        if isinstance(value, (bytes, bytearray, memoryview)):
            text = base64.b64encode(bytes(value)).decode()
            return self._noted(text, path, "bytes are written as base64")
        if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
            return self._noted(value.isoformat(), path, "a date or time is written as ISO 8601 text")
        type_name = value.type_name if isinstance(value, Unencodable) else type(value).__name__
        return self._noted(self._text(_text_of(value), path), path, f"a {type_name} is written as text")

    def _noted(self, value: Any, path: str, sentence: str) -> Any:
        self.notes.add(f"{shortened(path, _LONGEST_PATH) or 'value'}: {sentence}")
        return value


def _escaped(text: str) -> str:
    """Return a text without what JSON, or PostgreSQL, does not take."""
    if "\0" in text:
        text = text.replace("\0", "\\x00")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def _text_of(value: Any) -> str:
    try:
        return value.text if isinstance(value, Unencodable) else str(value)
    except Exception:  # noqa: BLE001 - somebody's own method may raise anything
        return quoted(value, _LONGEST_TEXT)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
