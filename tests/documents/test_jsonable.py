import datetime
import json
import math

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.documents import Unencodable, to_json
from tilewright.documents.jsonable import MAX_DEPTH

CHANGED = [
    (math.nan, "NaN", "nan is written as the text 'NaN'"),
    (-math.inf, "-Infinity", "-inf is written as the text '-Infinity'"),
    (2**64, str(2**64), "an integer past 64 bits is written as text"),
    (b"\x00\xff", "AP8=", "bytes are written as base64"),
    ({3, 1, 2}, [1, 2, 3], "a set is written as a sorted list"),
    (1 + 2j, "(1+2j)", "a complex is written as text"),
    ("\ud800", "\\ud800", "a lone surrogate is written escaped"),
    ("C text\0", "C text\\x00", "a NUL character is written escaped"),
    (datetime.date(2026, 5, 4), "2026-05-04", "a date or time is written as ISO 8601 text"),
    (len, str(len), "a builtin_function_or_method is written as text"),
]
KEPT = [None, True, 0, 2**64 - 1, -(2**63), 1.5, "", "ü", [], {}, {"a": {"b": [1, None]}}]


@pytest.mark.parametrize("value", KEPT, ids=repr)
def test_what_json_can_hold_is_kept(value):
    assert to_json(value) == (value, [])


@pytest.mark.parametrize(("value", "written", "note"), CHANGED, ids=repr)
def test_what_it_cannot_is_changed_and_said(value, written, note):
    assert to_json({"here": [value]}) == ({"here": [written]}, [f"here.0: {note}"])
    assert to_json(value) == (written, [f"value: {note}"])


def test_numpy_becomes_python_without_a_word():
    value = {"i": np.int16(3), "f": np.float32(0.5), "b": np.bool_(True), "a": np.arange(3), "t": (1, 2)}
    assert to_json(value) == ({"i": 3, "f": 0.5, "b": True, "a": [0, 1, 2], "t": [1, 2]}, [])


def test_keys_become_text():
    assert to_json({1: "one"}) == ({"1": "one"}, ["1: the key 1 is written as text"])


def nested(depth):
    value = "the end"
    for _ in range(depth):
        value = {"a": value}
    return value


def test_depth_has_an_end_that_tileds_encoder_reaches():
    assert to_json(nested(MAX_DEPTH)) == (nested(MAX_DEPTH), [])
    for depth in (MAX_DEPTH + 1, 5000):
        written, notes = to_json(nested(depth))
        assert "nested deeper" in notes[0]
        orjson.dumps({"data": [{"attributes": {"metadata": {"start": written}}}]})


class Unspeakable:
    def __repr__(self):
        raise RuntimeError("no")


def test_nothing_raises():
    odd = [
        10**6000,
        Unspeakable(),
        {Unspeakable()},
        Unencodable("f", "\ud800"),
        np.array([1, None, Unspeakable()]),
    ]
    for lenient in (False, True):
        written, _ = to_json({"odd": odd, Unspeakable(): 1, 10**6000: 2}, lenient=lenient)
        json.dumps(written)
    assert to_json(-(16**5000))[0] == "-0x1" + 5000 * "0"
    assert to_json(Unencodable("f", "<f>")) == ("<f>", ["value: a f is written as text"])


def test_dates_in_arrays_do_not_turn_to_integers():
    assert to_json(np.array(["2026-05-04", "NaT"], "<M8[ns]"))[0] == ["2026-05-04T00:00:00.000000000", "NaT"]


def test_keys_stay_apart():
    surrogates = dict(zip(("\ud800", "\ud801", "\\ud800"), range(3), strict=True))
    assert to_json({**surrogates, 1: 3, "1": 4, "a\0": 5})[0] == {
        "\\ud800": 0,
        "\\ud801": 1,
        "\\ud800_": 2,
        "1": 3,
        "1_": 4,
        "a\\x00": 5,
    }


@pytest.mark.parametrize("value", [math.inf, 2**70, "\ud800", [1, [math.inf]]], ids=repr)
def test_lenient_keeps_what_pythons_json_reads_back(value):
    written, notes = to_json(value, lenient=True)
    assert notes == []
    assert json.loads(json.dumps(written)) == value


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.complex_numbers(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.integers() | st.text(st.characters()), inner) | st.tuples(inner)
    ),
    max_leaves=20,
)


@given(anything)
def test_anything_becomes_json(value):
    written, _ = to_json(value)
    json.dumps(written, allow_nan=False).encode()
