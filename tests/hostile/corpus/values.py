"""Values of any type, in events and in metadata."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import math
import pathlib
import types
import uuid

import numpy as np
import pandas as pd

from .base import Run, case, number

SURROGATES = dict(zip(("\ud800", "\ud801"), (1, 2), strict=True))
"""Two keys that differ in nothing but the surrogate."""


class Nameless:
    """An object that will not be looked at."""

    def __repr__(self):
        raise RuntimeError("no repr")

    def __str__(self):
        raise RuntimeError("no text")

    def __eq__(self, other):
        raise RuntimeError("not to be compared")

    def __hash__(self):
        return 7

    def __bool__(self):
        raise RuntimeError("neither true nor false")


class Shouting(str):
    """A string, nearly."""

    __slots__ = ()

    def __str__(self):
        raise RuntimeError("no text")


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass(frozen=True)
class Point:
    x: float = 1.0
    name: str = "\ud800"


def in_itself():
    """Return a list that holds itself, twice."""
    itself = []
    itself += [itself, itself]
    return itself


def nested(depth, *, lists=False):
    value = "the end"
    for _ in range(depth):
        value = [value] if lists else {"a": value}
    return value


def any_values():
    """Return a value of each type there is, made anew."""
    return [
        True,
        0,
        -1,
        2**53 + 1,
        2**63,
        2**64,
        -(2**64),
        10**6000,
        0.0,
        -0.0,
        1e308,
        5e-324,
        1 + 2j,
        "",
        "text",
        "a NUL \0 in it",
        "\ud800 alone",
        "\udfff\ud800",
        "x" * 100_000,
        "'; DROP TABLE events; --",
        Shouting("text"),
        np.str_("numpy's"),
        b"",
        b"\xff\x00",
        bytearray(b"abc"),
        memoryview(b"abcdef")[::2],
        np.bytes_(b"abc\0"),
        [],
        [1.5, 2.5],
        [1, "two", None],
        [[1], [2, 3]],
        [math.nan, math.inf],
        (1.5, 2.5),
        collections.namedtuple("Pair", "x y")(1, 2),  # noqa: PYI024
        {},
        {"a": 1},
        {1: "a", "1": "b", None: "c", (1, 2): "d", **SURROGATES, Colour.RED: "e", "red": "f"},
        collections.OrderedDict(b=1, a=2),
        collections.Counter("abracadabra"),
        types.MappingProxyType({"a": 1}),
        set(),
        {1, 2},
        {"\ud800", (1, 2), None},
        frozenset({1.5}),
        range(3),
        slice(1, 2),
        Ellipsis,
        NotImplemented,
        int,
        len,
        lambda: None,
        (number for number in range(3)),
        iter([1, 2]),
        object(),
        Nameless(),
        {"deep": [Nameless()]},
        in_itself(),
        nested(300),
        nested(1500, lists=True),
        Point(),
        Colour.RED,
        uuid.UUID(int=1),
        decimal.Decimal("1.10"),
        decimal.Decimal("NaN"),
        decimal.Decimal("sNaN"),
        decimal.Decimal("1E+5000"),
        fractions.Fraction(1, 3),
        pathlib.PurePosixPath("/data"),
        datetime.datetime(2026, 5, 4, 3, 2, 1, 6),  # noqa: DTZ001
        datetime.datetime.max.replace(tzinfo=datetime.UTC),
        datetime.date(1, 1, 1),
        datetime.time(3, 2, 1),
        datetime.timedelta.max,
        np.int8(-3),
        np.uint64(2**64 - 1),
        np.float16(0.5),
        np.float32(0.1),
        np.float64(0.5),
        np.longdouble("0.5"),
        np.complex64(1 + 2j),
        np.bool_(True),
        np.void(b"abc"),
        np.datetime64("2026-05-04T03:02:01.123456789", "ns"),
        np.datetime64("NaT"),
        np.timedelta64(5, "s"),
        np.array(7),
        np.array([1.5, 2.5]),
        np.array([1.5, math.nan], np.float32),
        np.arange(6, dtype=">i2").reshape(2, 3),
        np.zeros((0, 3)),
        np.array(["a", "\ud800"]),
        np.array([{"a": 1}, None, Nameless()], dtype=object),
        np.array([(1, 2.5)], dtype=[("n", "<i4"), ("x", "<f8")]),
        np.array(["2026-05-04", "NaT"], dtype="<M8[D]"),
        np.ma.masked_array([1.5, 2.5], mask=[False, True]),
        pd.Timestamp("2026-05-04T03:02:01.123456789", tz="Europe/Berlin"),
        pd.Timestamp("2026-05-04"),
        pd.Timedelta(1, "ns"),
        pd.NaT,
        pd.NA,
        pd.Series([1.5, 2.5]),
        pd.DataFrame({"a": [1, 2]}),
        pd.Index(["a", "b"]),
        pd.Categorical(["a", "b"]),
        pd.Interval(0, 1),
    ]


COLUMNS = {
    "n": number(),
    "i": number(dtype="integer"),
    "b": number(dtype="boolean"),
    "s": number(dtype="string"),
    "a": number(dtype="array", shape=[2]),
    "single": number(dtype="number", dtype_numpy="<f4"),
    "small": number(dtype="integer", dtype_numpy="|u1"),
}


@case(Run(rows={"primary": len(any_values())}, accounted=list(COLUMNS)))
def any_value_in_any_column(doc):
    """Each value is in its column or, word for word, beside its row; and costs the others nothing."""
    yield doc.start()
    yield doc.descriptor(data_keys=COLUMNS)
    for seq_num, value in enumerate(any_values(), start=1):
        yield doc.event(seq_num, data=dict.fromkeys(COLUMNS, value), timestamps={})
    yield doc.stop()


@case(
    Run(
        rows={"primary": len(any_values())},
        x=list(range(1, len(any_values()) + 1)),
        rejected_count=2 * len(any_values()),
    ),
    server=False,
)
def any_value_without_a_column(doc):
    """Strays, and timestamps of strays without a value."""
    yield doc.start()
    yield doc.descriptor()
    for seq_num, value in enumerate(any_values(), start=1):
        data = {"x": float(seq_num), "stray": value}
        yield doc.event(seq_num, data=data, timestamps={"x": 1.0, "another": value})
    yield doc.stop()


@case(
    Run(
        x=[1],
        start={
            "fine": "as it was",
            "array": [1, 2],
            "pair": [1, "two"],
            "nan": "NaN",
            "inf": ["Infinity", "-Infinity"],
        },
        notes=[
            "start: nan: nan is written as the text 'NaN'",
            "a lone surrogate is written escaped",
            "a NUL character is written escaped",
            "an integer past 64 bits is written as text",
            "a dict is written as text",
            "bytes are written as base64",
            "a Nameless is written as text",
            "a Fraction is written as text",
        ],
    )
)
def any_value_in_metadata(doc):
    odd = {f"v{n}": value for n, value in enumerate(any_values())}
    fine = {
        "fine": "as it was",
        "array": np.array([1, 2]),
        "pair": (1, "two"),
        "nan": math.nan,
        "inf": [math.inf, -math.inf],
    }
    yield doc.start(**odd, **fine)
    yield doc.descriptor(
        configuration={"device": {"data": odd, "timestamps": odd, "data_keys": {}}}, hints=odd
    )
    yield doc.event(1)
    yield doc.stop(reason=any_values())


@case(Run(x=[1], start={"deep": nested(100), "lists": nested(100, lists=True)}), server=False)
def metadata_nested_100_deep(doc):
    yield doc.start(deep=nested(100), lists=nested(100, lists=True))
    yield doc.descriptor(deep=nested(100))
    yield doc.event(1)
    yield doc.stop(deep=nested(100))


@case(
    Run(
        x=[1],
        start={"fine": 1},
        notes=[
            "start: deep.a.a.*: a dict is written as text",
            "start: lists.0.0.*: a list is written as text",
        ],
    ),
    server=False,
)
def metadata_nested_1500_deep(doc):
    yield doc.start(deep=nested(1500), lists=nested(1500, lists=True), fine=1)
    yield doc.descriptor(deep=nested(1500))
    yield doc.event(1)
    yield doc.stop(deep=nested(1500))


@case(
    Run(
        x=[1],
        start={"\\ud800": 1, "\\ud801": 2, "\\ud800_": 3, "1": 4, "1_": 5, "": 6, "a.b/c": 7},
        notes=[r"the key '\\ud800' is written as", "the key 1 is written as"],
    ),
    server=False,
)
def keys_of_metadata_that_json_cannot_hold(doc):
    keys = {**SURROGATES, "\\ud800": 3, "1": 4, 1: 5, "": 6, "a.b/c": 7}
    name, start = doc.start()
    yield name, {**start, **keys}
    yield doc.descriptor()
    yield doc.event(1)
    yield doc.stop()


@case(
    Run(
        columns={
            "primary": {
                "x": [1.5, math.nan, math.inf, -math.inf, None],
                "i": [1, None, None, None, 5],
            }
        },
        accounted=("seq_num",),
    ),
    server=False,
)
def nan_and_the_infinities(doc):
    yield doc.start()
    yield doc.descriptor(data_keys={"x": number(), "i": number(dtype="integer")})
    for seq_num, (x, i) in enumerate(
        [(1.5, 1), (math.nan, None), (math.inf, None), (-math.inf, None), (None, 5)], start=1
    ):
        yield doc.event(seq_num, data={"x": x, "i": i}, timestamps={"x": math.nan, "i": math.inf})
    yield doc.stop()
