"""Keys to paths and back."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.errors import InputError, UnfitKeyError
from tilewright.stores.keys import KeyMap, KeyMaps

TEMPLATE = "{session:d}/{sensor}/data/{block:014d}"
NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/", exclude_categories=["Cc", "Cs"]), min_size=1
)
TEXTS = NAMES.filter(
    lambda text: text not in (".", "..") and len(text) <= 50
)  # with numbers beside it, 255 bytes at most
NUMBERS = st.integers(0, 10**20)


@given(NUMBERS, TEXTS, NUMBERS)
def test_there_and_back(session, sensor, block):
    keys = KeyMap(TEMPLATE)
    path = keys.path((session, sensor, block))
    assert path == f"{session}/{sensor}/data/{block:014d}"
    assert keys.key(path) == (session, sensor, block)


@pytest.mark.parametrize(
    "template",
    [
        "{n:d}_{t}",
        "{t}_{n:d}",
        "x{n:03d}.{m:d}-{t}.wav",
        "{t}.{n:05d}",
        "{a}/{b}",
        "{n:d}a{m:d}",
        "0{n:d}",
        "{n:03d}/1{m:d}1",
    ],
)
@given(data=st.data())
def test_every_template_that_is_taken_is_read_in_one_way(template, data):
    keys = KeyMap(template)
    key = tuple(data.draw(NUMBERS if field.is_number else TEXTS) for field in keys.fields)
    key = key if len(key) > 1 else key[0]
    path = keys.path(key)
    assert keys.key(path) == key


@given(st.from_regex(r"[0-9]{0,4}/[a-z/0-9]{0,3}/(data|info)/[0-9]{12,16}", fullmatch=True))
def test_a_path_that_fits_comes_back_as_it_is(path):
    keys = KeyMap(TEMPLATE)
    if keys.fits(path):
        assert keys.path(keys.key(path)) == path
    else:
        with pytest.raises(UnfitKeyError):
            keys.key(path)


@pytest.mark.parametrize(
    "path",
    [
        "07/left/data/00000000000000",  # {session:d} writes no zero before 7
        "7/left/data/0000000000000",  # 13 digits
        "7/left/data/000000000000000",  # 15, which begin with 0
        "7/left/data/00000000000000.wav",
        "7/left/x/data/00000000000000",
        "7//data/00000000000000",
        "7/left/data/" + 14 * "\N{ARABIC-INDIC DIGIT ZERO}",  # digits, but others
        "-7/left/data/00000000000000",
        "7/left/data/00000000000000\n",
        "",
        None,
    ],
)
def test_what_does_not_fit_is_shown_with_the_template(path):
    keys = KeyMap(TEMPLATE)
    with pytest.raises(UnfitKeyError, match=re.escape(TEMPLATE)) as told:
        keys.key(path)
    assert repr(path) in str(told.value)
    assert isinstance(told.value, KeyError)
    assert isinstance(told.value, InputError)


@pytest.mark.parametrize(
    "key",
    [
        (7, "left"),
        (7, "left", 0, 0),
        ("7", "left", 0),
        (7, 5, 0),
        (7, "a/b", 0),
        (7, "", 0),
        (7, "..", 0),
        (7, "a\0", 0),
        (-7, "left", 0),
        (True, "left", 0),
        (7.0, "left", 0),
        {"session": 7, "sensor": "left"},
        {"session": 7, "sensor": "left", "block": 0, "more": 1},
        7,
        None,
        slice(1, 2),
        "7/left",
        [7, "left", 0],
    ],
    ids=repr,
)
def test_no_key(key):
    with pytest.raises(UnfitKeyError):
        KeyMap(TEMPLATE).path(key)


def test_every_kind_of_key():
    path = "7/left/data/00000000000012"
    for kind, expected in (
        ("tuple", (7, "left", 12)),
        ("namedtuple", (7, "left", 12)),
        ("dict", {"session": 7, "sensor": "left", "block": 12}),
        ("path", path),
    ):
        keys = KeyMap(TEMPLATE, keys=kind)
        assert keys.key(path) == expected
        for key in ((7, "left", 12), expected, path, (np.int64(7), "left", np.uint8(12))):
            assert keys.path(key) == path
    assert KeyMap(TEMPLATE, keys="namedtuple").key(path).block == 12


def test_one_field():
    assert KeyMap("{name}.json").key("a.json") == "a"
    assert KeyMap("{name}.json").path("a") == KeyMap("{name}.json").path(("a",)) == "a.json"
    assert KeyMap("{name}.json", keys="path").path("a.json") == "a.json"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{a}{b}", "nothing stands between {a} and {b}"),
        ("{a}{n:d}", "nothing stands between"),
        ("{n:d}{m:d}", "nothing stands between"),
        ("{a}-{b}", "another text"),
        ("{a}-{n:d}-{b}", "another text"),
        ("{n:d}1{m:d}", "digits stand between"),
        ("{a}12{n:03d}", "digits stand between"),
        ("plain", "is to have fields"),
        ("{a}/{a}", "each name once"),
        ("{}", "expected a name"),
        ("{0}", "expected a name"),
        ("{a.b}", "expected a name"),
        ("{n:f}", "expected a name"),
        ("{n:014.0f}", "expected a name"),
        ("{n:5d}", "expected a name"),
        ("{n!r}", "expected a name"),
        ("{n", "is no template"),
        ("/{n}", "begins with"),
        ("{n}/", "a name in it is empty"),
        ("../{n}", "are no names"),
        (5, "is no template"),
    ],
)
def test_templates_that_are_refused(template, why):
    with pytest.raises(InputError, match=re.escape(why)):
        KeyMap(template)


def test_kinds_that_are_refused():
    with pytest.raises(InputError, match="expected one of tuple"):
        KeyMap("{a}", keys="list")


def test_braces():
    assert KeyMap("{{{n:d}}}").path(5) == "{5}"
    assert KeyMap("{{{n:d}}}").key("{5}") == 5


def test_several_templates():
    keys = KeyMaps(KeyMap("{session:d}/info.json"), KeyMap("{session:d}/{sensor}/info.json"))
    assert [keys.key(path) for path in ("7/info.json", "7/left/info.json")] == [7, (7, "left")]
    for wrong in ((7, "left", 1), "x", (7, "a/b")):
        with pytest.raises(UnfitKeyError, match="fits none"):
            keys.path(wrong)
    with pytest.raises(UnfitKeyError, match="fits none"):
        keys.key("7/x.json")


def test_a_key_whose_path_another_template_has_is_refused():
    keys = KeyMaps(KeyMap("{a}/info"), KeyMap("{a}/{b}"))
    assert keys.path(("x", "y")) == "x/y"
    with pytest.raises(UnfitKeyError, match="fits none"):
        keys.path(("x", "info"))
