"""Attributes of HDF5 and Zarr come in, plain values go out: numbers, texts, and what JSON takes. The kinds of files call it."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tilewright.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_METRES: dict[str, int | Fraction] = {
    "": 1,
    "m": 1,
    "metre": 1,
    "meter": 1,
    "metres": 1,
    "meters": 1,
    "ft": Fraction(3048, 10_000),
    "km": 1000,
}
"""Metres of a unit of length; ProdML means metres where it says nothing."""


def plain(value: Any) -> Any:
    """Return a value as JSON takes it; None if it has none.

    >>> import numpy as np
    >>> plain(np.bytes_(b"m")), plain(np.array([b"TBD"])), plain(np.float64("nan")), plain(np.int64(3))
    ('m', ['TBD'], None, 3)
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return named(value)
    if hasattr(value, "tolist"):  # NumPy's
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, bool)) else None


def named(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes as a document takes them, without those that are empty.

    >>> named({"OS.Version": "7", "Tags": "", "Bandwidth (MB/s)": 350})
    {'OS_Version': '7', 'Bandwidth (MB_s)': 350}
    """
    values = {name.replace(".", "_").replace("/", "_"): plain(value) for name, value in attributes.items()}
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}


def number(attributes: Mapping[str, Any], name: str, where: str) -> Fraction:
    """Return a number, exactly as it is told in decimals.

    Raises
    ------
    InputError
        If there is none.
    """
    value = plain(attributes.get(name))
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    try:
        return Fraction(str(value).strip())
    except (ValueError, ZeroDivisionError):
        raise InputError(f"{where}: its attribute {name!r} is {value!r}: expected a number") from None


def above_zero(attributes: Mapping[str, Any], name: str, where: str) -> Fraction:
    """Return a number above 0.

    Raises
    ------
    InputError
        If there is none, or it is not.
    """
    if (value := number(attributes, name, where)) <= 0:
        raise InputError(f"{where}: its attribute {name!r} is {float(value):g}: expected a number above 0")
    return value


def metres(attributes: Mapping[str, Any], name: str, where: str) -> float:
    """Return a length, whose unit is told beside it, or not.

    ProdML 2.0 calls that attribute `<name>Unit`, 2.1 `<name>.uom`.

    Raises
    ------
    InputError
        If there is no length, or the unit is not known.
    """
    told = next((attributes[f"{name}{end}"] for end in ("Unit", ".uom") if f"{name}{end}" in attributes), "")
    unit = str(plain(told) or "").strip()
    length = number(attributes, name, where)
    if unit.lower() not in _METRES:
        raise InputError(
            f"{where}: its attribute {name!r} is in {unit!r}: expected one of {', '.join(filter(None, _METRES))}"
        )
    return float(length * _METRES[unit.lower()])


def optional_metres(attributes: Mapping[str, Any], name: str, where: str) -> float | None:
    """Return a length, None if it is not told, or told to be 0 or nothing.

    Raises
    ------
    InputError
        If it is something else than a number, or its unit is not known.
    """
    return (
        (metres(attributes, name, where) or None) if plain(attributes.get(name)) not in (None, "") else None
    )


def text(attributes: Mapping[str, Any], name: str) -> str | None:
    """Return a text without blanks around it; None if there is none, or an empty one."""
    value = plain(attributes.get(name))
    return (str(value).strip() or None) if value is not None else None
