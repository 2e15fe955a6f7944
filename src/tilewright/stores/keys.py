"""What a user calls a value, and what a persister calls it: keys and paths come in, paths and keys go out.

    "{session:d}/{sensor}/data/{block:014d}"
    (1566065093213, "left", 86016)  ↔  "1566065093213/left/data/00000000086016"

`make_store` wraps persisters with it. Every key that fits has one path and every path that fits one key: a template of
which this is not so is refused when it is made.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Mapping
from dataclasses import dataclass
from operator import index
from string import Formatter
from typing import Any, Literal, NoReturn, TypeAlias, get_args

from tilewright.documents.notes import quoted
from tilewright.errors import InputError, UnfitKeyError
from tilewright.stores.paths import checked

Keys: TypeAlias = Literal["tuple", "namedtuple", "dict", "path"]
_NUMBER = re.compile(r"(?:0([1-9][0-9]*))?d")
"""How a number is written: as it is, or with zeros before it up to so many digits."""


@dataclass(frozen=True, slots=True)
class Field:
    """A place in a template."""

    name: str
    spec: str
    """How its value is written; empty for text, which is anything without "/"."""

    @property
    def is_number(self) -> bool:
        """Whether its values are integers, from 0 on."""
        return bool(self.spec)

    @property
    def pattern(self) -> str:
        """What exactly the texts of its values are, as a regular expression."""
        if not self.spec:
            return "([^/]+)"
        found = _NUMBER.fullmatch(self.spec)
        assert found is not None, "checked when it was made"
        digits = int(found[1] or 1)
        shorter = f"[0-9]{{{digits}}}" if digits > 1 else "[0-9]"
        return f"({shorter}|[1-9][0-9]{{{digits},}})"

    def text(self, value: Any) -> str | None:
        """Return a value as it stands in a path; None if it does not fit."""
        if not self.is_number:
            return value if isinstance(value, str) and value and "/" not in value else None
        try:
            number = -1 if isinstance(value, bool) else index(value)
        except TypeError:
            return None
        return format(number, self.spec) if number >= 0 else None

    def value(self, text: str) -> str | int:
        """Return the value of a text that its pattern has found."""
        return int(text) if self.is_number else text


class KeyMap:
    """Keys by a template.

    Parameters
    ----------
    template
        Names with "/" between them, and fields in braces: "{sensor}" is text, "{session:d}" an integer from 0 on,
        "{block:014d}" one with zeros before it up to 14 digits.
    keys
        What iteration gives: "tuple", "namedtuple", "dict" or "path"; of a template with one field, "tuple" is the value
        itself. As a key each of them is taken, and a path where the template has several fields.

    Raises
    ------
    InputError
        If one path could be read in two ways, or the template is none.

    Examples
    --------
    >>> keys = KeyMap("{session:d}/{sensor}/data/{block:014d}")
    >>> keys.path((1566065093213, "left", 86016))
    '1566065093213/left/data/00000000086016'
    >>> keys.key("1566065093213/left/data/00000000086016")
    (1566065093213, 'left', 86016)
    >>> keys.path({"block": 0, "session": 7, "sensor": "left"}), KeyMap("{session:d}/info.json").path(7)
    ('7/left/data/00000000000000', '7/info.json')
    >>> keys.key("7/left/info.json")
    Traceback (most recent call last):
    tilewright.errors.UnfitKeyError: '7/left/info.json' does not fit the template '{session:d}/{sensor}/data/{block:014d}'.
    >>> KeyMap("{sensor}{block:d}")
    Traceback (most recent call last):
    tilewright.errors.InputError: The template '{sensor}{block:d}' is ambiguous: nothing stands between {sensor} and {block:d}...
    """

    def __init__(self, template: str, *, keys: Keys = "tuple") -> None:
        if keys not in get_args(Keys):
            raise InputError(f"keys={keys!r}: expected one of {', '.join(get_args(Keys))}.")
        self.template = template
        self.keys = keys
        self._literals, self.fields = _taken_apart(template)
        self.names = tuple(field.name for field in self.fields)
        _refuse_ambiguous(template, self._literals, self.fields)
        patterns = [re.escape(literal) for literal in self._literals]
        for place, field in enumerate(self.fields):
            patterns[place] += field.pattern
        self._pattern = re.compile("".join(patterns), re.DOTALL)
        self._tuple: Any = namedtuple("Key", self.names) if keys == "namedtuple" else None  # noqa: PYI024

    def __repr__(self) -> str:
        return f"KeyMap({self.template!r}, keys={self.keys!r})"

    def path(self, key: Any) -> str:
        """Return the path of a key.

        Raises
        ------
        UnfitKeyError
            If the key does not fit; the message shows it and the template.
        """
        if isinstance(key, str) and (len(self.fields) > 1 or self.keys == "path"):
            self.values(key)
            return checked(key)
        texts = [field.text(value) for field, value in zip(self.fields, self._ordered(key), strict=True)]
        for field, text in zip(self.fields, texts, strict=True):
            if text is None:
                wanted = "an integer from 0 on" if field.is_number else "text without '/'"
                self._refuse(key, f" {field.name} is to be {wanted}.")
        last = self._literals[-1]
        path = "".join(f"{one}{text}" for one, text in zip(self._literals, texts, strict=False)) + last
        return checked(path)

    def key(self, path: str) -> Any:
        """Return the key of a path.

        Raises
        ------
        UnfitKeyError
            If the path does not fit.
        """
        values = self.values(path)
        if self.keys == "path":
            return path
        if self.keys == "dict":
            return dict(zip(self.names, values, strict=True))
        if self.keys == "namedtuple":
            return self._tuple(*values)
        return values if len(values) > 1 else values[0]

    def values(self, path: Any) -> tuple[str | int, ...]:
        """Return the values of a path's fields, in the order of the template.

        Raises
        ------
        UnfitKeyError
            If the path does not fit.
        """
        found = self._pattern.fullmatch(path) if isinstance(path, str) else None
        if found is None:
            self._refuse(path)
        return tuple(field.value(text) for field, text in zip(self.fields, found.groups(), strict=True))

    def fits(self, path: str) -> bool:
        """Tell whether a path is one of the template's."""
        return self._pattern.fullmatch(path) is not None

    def _ordered(self, key: Any) -> tuple[Any, ...]:
        """Return the values of a key in the order of the template."""
        if isinstance(key, Mapping):
            if set(key) != set(self.names):
                self._refuse(key, f" Its names are to be {', '.join(self.names)}.")
            return tuple(key[name] for name in self.names)
        values = key if isinstance(key, tuple) else (key,)
        if len(values) != len(self.fields):
            self._refuse(key, f" A key is ({', '.join(self.names)}).")
        return values

    def _refuse(self, key: Any, more: str = "") -> NoReturn:
        raise UnfitKeyError(f"{quoted(key)} does not fit the template {self.template!r}.{more}")


class KeyMaps:
    """Several templates, of which each key and each path fits one: the first that it fits.

    Examples
    --------
    >>> keys = KeyMaps(KeyMap("{session:d}/info.json"), KeyMap("{session:d}/{sensor}/info.json"))
    >>> keys.path(7), keys.path((7, "left")), keys.key("7/left/info.json")
    ('7/info.json', '7/left/info.json', (7, 'left'))
    """

    def __init__(self, *maps: KeyMap) -> None:
        self.maps = maps
        self.template = " or ".join(one.template for one in maps)

    def __repr__(self) -> str:
        return f"KeyMaps({', '.join(map(repr, self.maps))})"

    def path(self, key: Any) -> str:
        """Return the path of a key: see `KeyMap.path`."""
        for one in self.maps:
            try:
                path = one.path(key)
            except UnfitKeyError:
                continue
            if self._map(path) is one:
                return path
        raise UnfitKeyError(f"{quoted(key)} fits none of the templates {self.template!r}.")

    def key(self, path: str) -> Any:
        """Return the key of a path: see `KeyMap.key`."""
        one = self._map(path)
        if one is None:
            raise UnfitKeyError(f"{quoted(path)} fits none of the templates {self.template!r}.")
        return one.key(path)

    def _map(self, path: str) -> KeyMap | None:
        return next((one for one in self.maps if one.fits(path)), None)


def _taken_apart(template: str) -> tuple[list[str], tuple[Field, ...]]:
    """Return the texts before, between and after the fields, and the fields."""
    try:
        parts = list(Formatter().parse(template))
    except (ValueError, TypeError) as error:
        raise InputError(f"{quoted(template)} is no template: {error}.") from error
    literals, fields = [""], []
    for literal, name, spec, conversion in parts:
        literals[-1] += literal
        if name is None:
            continue
        if (
            not name.isidentifier()
            or name.startswith("_")
            or conversion
            or (spec and not _NUMBER.fullmatch(spec))
        ):
            raise InputError(
                f"The template {template!r} has a field {name!r} with {spec or conversion!r}: expected a name, and nothing, "
                "':d' or such as ':014d' after it."
            )
        fields.append(Field(name, spec or ""))
        literals.append("")
    return literals, tuple(fields)


def _refuse_ambiguous(template: str, literals: list[str], fields: tuple[Field, ...]) -> None:
    names = [field.name for field in fields]
    if not fields or len(set(names)) < len(names):
        raise InputError(f"The template {template!r} is to have fields, and each name once.")
    checked("x".join(literals))
    has_text = False
    for place, field in enumerate(fields):
        between = literals[place] if place else ""
        if "/" in between:
            has_text = False
        shown = [
            f"{{{one.name}{':' * bool(one.spec)}{one.spec}}}" for one in fields[max(place - 1, 0) : place + 1]
        ]
        if place and not between.strip("0123456789"):
            stands = "digits stand" if between else "nothing stands"
            raise InputError(
                f"The template {template!r} is ambiguous: {stands} between {shown[0]} and {shown[1]} to tell where one ends."
            )
        if has_text and not field.is_number:
            raise InputError(
                f"The template {template!r} is ambiguous: {shown[-1]} and another text are in one name, and texts may have "
                f"{between!r} in them. Put '/' between them, or make one an integer."
            )
        has_text = has_text or not field.is_number
