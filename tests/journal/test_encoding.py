import contextlib
import dataclasses
import datetime
import decimal
import inspect
import math
import sys
from collections import OrderedDict, namedtuple
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

import numpy as np
import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.journal import Unencodable, decode, encode
from tilewright.journal.encoding import MAX_DEPTH


def round_trip(value):
    name, doc = decode(encode("event", {"value": value}))
    assert name == "event"
    return doc["value"]


UTC = datetime.UTC
KEPT = [
    None,
    True,
    0,
    -(2**63),
    2**64 - 1,
    2**64,
    -(10**40),
    1.5,
    math.inf,
    -math.inf,
    "text",
    "",
    b"\x00\xff",
    [],
    {},
    {"nested": [{"deep": {}}]},
    {1, 2},
    frozenset({"a"}),
    datetime.datetime(2026, 5, 4, 3, 2, 1, 6, tzinfo=UTC),
    datetime.datetime(2026, 5, 4, 3, 2, 1),  # noqa: DTZ001 - a naive one must stay naive
    datetime.date(2026, 5, 4),
    datetime.time(3, 2, 1),
    datetime.timedelta(days=-1, microseconds=7),
    1 + 2j,
    decimal.Decimal("1.10"),
    "\ud800 a lone surrogate",
    {1: "an int as a key"},
    np.datetime64("2026-05-04T03:02:01", "ns"),
]


@pytest.mark.parametrize("value", KEPT, ids=repr)
def test_value_comes_back_as_it_was(value):
    back = round_trip(value)
    assert back == value
    assert type(back) is type(value)


def test_nan_comes_back():
    assert math.isnan(round_trip(math.nan))


@pytest.mark.parametrize("scalar", [np.int8(-3), np.uint64(2**64 - 1), np.float32(0.1), np.bool_(True)])
def test_numpy_scalar_keeps_its_dtype(scalar):
    back = round_trip(scalar)
    assert back == scalar
    assert back.dtype == scalar.dtype


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">i2").reshape(2, 3),
        np.arange(24).reshape(2, 3, 4)[:, ::2, 1:],
        np.zeros((0, 3), np.float32),
        np.array(7),
        np.array(["a", "bcd"]),
        np.array([(1, 2.5)], dtype=[("n", "<i4"), ("x", "<f8")]),
        np.array([(1, [[1, 2], [3, 4]])], dtype=[("n", "<i4"), ("m", "<i2", (2, 2))]),
        np.array([(1, 2), (3, 4)], dtype=np.dtype([("n", "i1"), ("x", "<i8")], align=True)),
        np.array([(1, 2)], dtype={"names": ["n", "x"], "formats": ["<i4", "<i4"], "offsets": [4, 0]}),
        np.array([(1, 1)], dtype={"names": ["n", "x"], "formats": ["<i4", "<i4"], "offsets": [0, 0]}),
        np.array(
            [(1, ((2,), 3))], dtype=[(("title", "n"), "<i4"), ("m", [("x", [("y", "i1")]), ("z", ">f8")])]
        ),
        np.zeros(3, dtype="V0"),
        np.array([1.5, np.nan]),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_numpy_array_keeps_dtype_and_shape(array):
    back = round_trip(array)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    np.testing.assert_array_equal(back, array)
    assert back.flags.writeable


def test_array_of_objects():
    array = np.array([{"a": 1}, None, "x"], dtype=object)
    assert round_trip(array).tolist() == array.tolist()


def test_subclasses_come_back_as_their_base():
    point = namedtuple("point", "x y")(1, 2)  # noqa: PYI024
    colour = Enum("colour", {"red": "r"}).red
    values = [OrderedDict(a=1), np.str_("s"), np.float64(0.1), point, colour]
    assert round_trip(values) == [{"a": 1}, "s", 0.1, [1, 2], "r"]


class Hostile:
    def __repr__(self):
        raise RuntimeError("no repr either")


def test_what_cannot_be_encoded_is_kept_as_its_repr():
    back = round_trip({"f": len, "hostile": Hostile(), "fine": 1})
    assert back["f"] == Unencodable("builtin_function_or_method", "<built-in function len>")
    assert back["hostile"] == Unencodable("Hostile", "<repr failed: RuntimeError>")
    assert back["fine"] == 1


def test_one_bad_part_does_not_spoil_the_rest():
    bad_key = {("a", "tuple"): 1, "\ud800": 2, "fine": np.int16(3)}
    back = round_trip(bad_key)
    assert back["fine"] == np.int16(3)
    assert len(back) == 3


def test_nesting_without_end_is_kept_to_a_depth():
    deep = []
    for _ in range(5000):
        deep = [deep]
    back = round_trip({"deep": deep, "fine": 1})
    assert back["fine"] == 1
    itself = []
    itself.append(itself)
    assert round_trip({"deep": itself, "fine": 1})["fine"] == 1


@pytest.mark.parametrize("payload", [b"", b"\xc1", encode("event", {})[:-1], b"\x93\x01\x02\x03"])
def test_other_bytes_are_refused(payload):
    with pytest.raises(ValueError, match=r".+"):
        decode(payload)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return one == other and type(one) is type(other)


@given(json_like)
def test_anything_like_json_comes_back(value):
    assert same(round_trip(value), value)


def test_a_set_of_tuples_and_a_time_that_is_none():
    pd = pytest.importorskip("pandas")
    assert round_trip({"roi": {(1, 2), (3, 4)}}) == {"roi": {(1, 2), (3, 4)}}
    assert round_trip({"at": pd.NaT, "fine": 1}) == {"at": Unencodable("NaTType", "NaT"), "fine": 1}


SURROGATES = dict(zip(("\ud800", "\ud801", "\ufffd"), range(3), strict=True))
Colour = Enum("Colour", {"red": "r"})


@pytest.mark.parametrize(
    "mapping",
    [SURROGATES, {1: "a", "1": "b"}, {None: 1, 1.5: 2, b"x": 3, (1, (2,)): 4}, {np.int64(3): 1, "3": 2}],
    ids=repr,
)
def test_keys_stay_what_they_are(mapping):
    assert round_trip(mapping) == mapping
    assert round_trip([{"deep": mapping}, {1, 2}]) == [{"deep": mapping}, {1, 2}]


def test_keys_that_were_different_stay_so():
    """An enum and its value, and two objects of one repr, are one key to a naive encoder: a value would be lost."""

    class Same:
        def __repr__(self):
            return "<same>"

    assert round_trip({Colour.red: 1, "r": 2}) == {"r": 1, "r (2)": 2}
    assert sorted(round_trip({Same(): 1, Same(): 2, Same(): 3}).values()) == [1, 2, 3]


def test_a_document_may_itself_have_odd_keys():
    assert decode(encode("event", SURROGATES)) == ("event", SURROGATES)
    assert decode(encode("\ud800", {})) == ("\ud800", {})


@pytest.mark.parametrize(
    "value", [10**6000, -(10**6000), 2**64, True], ids=["huge", "negative", "64 bits", "true"]
)
def test_integers_of_any_size(value):
    assert round_trip(value) == value


def test_integers_as_earlier_journals_have_them():
    assert decode(ormsgpack.packb(["event", {"n": ormsgpack.Ext(1, b"-18446744073709551617")}])) == (
        "event",
        {"n": -(2**64) - 1},
    )


def test_mappings_and_masked_arrays_and_views():
    assert round_trip(MappingProxyType({"a": 1})) == {"a": 1}
    assert round_trip(np.ma.masked_array([1, 2, 3], mask=[0, 1, 0])) == [1, None, 3]
    assert round_trip(np.ma.masked) is None
    assert round_trip([memoryview(b"abcd")[::2], "\ud800"]) == [b"ac", "\ud800"]
    assert round_trip(np.bytes_(b"abc\0")) == b"abc\0"


class Server(Mapping):
    """A mapping whose content is somewhere else."""

    def __getitem__(self, key):
        raise AssertionError("asked over the network")

    __iter__ = __len__ = __getitem__

    def __repr__(self):
        return "<Server>"


def test_a_mapping_that_is_not_in_memory_is_not_read():
    for bad in (None, "\ud800"):
        assert round_trip([Server(), bad]) == [Unencodable("Server", "<Server>"), bad]


def test_a_repr_tells_no_api_key():
    class Client:
        def __repr__(self):
            return "<Client http://host/api/v1?api_key=secret&a=1 {'Authorization': 'Apikey secret'}>"

    payload = encode("start", {"client": Client()})
    assert b"secret" not in payload
    assert b"http://host/api/v1?api_key=" in payload


def test_a_bad_part_deep_inside_is_isolated():
    objects = np.array([{"\ud800": Hostile()}, 1, "x" * 5000], dtype=object)
    back = round_trip({"set": {"\ud800", (1, 2)}, "array": objects, "point": Point("\ud800"), "fine": 1})
    assert back["set"] == {"\ud800", (1, 2)}
    assert back["array"][0] == {"\ud800": Unencodable("Hostile", "<repr failed: RuntimeError>")}
    assert back["array"][2] == "x" * 5000
    assert back["point"] == {"name": "\ud800"}
    assert back["fine"] == 1


@dataclasses.dataclass(frozen=True)
class Point:
    name: str


def test_a_list_that_holds_itself_twice_ends():
    itself = []
    itself += [itself, itself]
    assert round_trip({"itself": itself, "fine": 1})["fine"] == 1


@pytest.mark.parametrize("depth", [100, MAX_DEPTH - 2, 253, 254, 255, 1023, 5000])
@pytest.mark.parametrize(
    "wrap", [lambda inner: [inner], lambda inner: {"a": inner}, lambda inner: {1: inner}]
)
def test_depth_costs_what_is_deeper_and_nothing_else(depth, wrap):
    deep = "the end"
    for _ in range(depth):
        deep = wrap(deep)
    back = round_trip({"deep": deep, "fine": 1})
    assert back["fine"] == 1
    if depth == 100 or (depth < MAX_DEPTH and 1 not in deep):
        assert back["deep"] == deep


def test_nanoseconds_are_not_cut_off():
    pd = pytest.importorskip("pandas")
    assert round_trip(pd.Timestamp("2026-05-04T00:00:00.000000001")).text.endswith("00.000000001')")
    assert round_trip(pd.Timedelta(1, "ns")).type_name == "Timedelta"
    assert round_trip(pd.Timestamp("2026-05-04")) == datetime.datetime(2026, 5, 4)  # noqa: DTZ001


def test_the_callers_stack_may_be_nearly_used_up():
    def descend(levels):
        return encode("event", {"\ud800": [[[[1]]]]}) if levels == 0 else descend(levels - 1)

    free = sys.getrecursionlimit() - len(inspect.stack())
    returned = 0
    for left in range(10, 60):
        with contextlib.suppress(RecursionError):  # not even our function could be called
            assert decode(descend(free - left))[0] == "event"
            returned += 1
    assert returned > 20
