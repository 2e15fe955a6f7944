"""Expressions and what they mean; that databases and Arrow agree with Python on them is in tests/server/test_where.py."""

import dataclasses
import math

import pyarrow as pa
import pytest

from tilewright.errors import InputError
from tilewright.tables.conditions import (
    MAX_CONDITIONS,
    MAX_CONSTANTS,
    MAX_DEPTH,
    All,
    Column,
    Compare,
    Either,
    Holds,
    Missing,
    Not,
    OneOf,
    Where,
)
from tilewright.tables.matching import fitted, matches
from tilewright.tables.selection import Selection, selected
from tilewright.tables.where import MAX_LENGTH, parse

TABLE = pa.table(
    {
        "row": [0, 1, 2, 3],
        "x": pa.array([0.5, math.nan, None, 2.5]),
        "n": pa.array([2**53, 2**53 + 1, None, -3], pa.int64()),
        "name": pa.array(["a", "b`c", None, ""]),
        "site id": pa.array([285, 3, None, 285], pa.int16()),
        "on": pa.array([True, False, None, True]),
        "list": pa.array([[1], [2], None, []]),
        "u": pa.array([1, 2, None, 2**64 - 1], pa.uint64()),
    }
)


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("x == 1", Compare("x", "==", 1)),
        ("x != 1", Not(Compare("x", "==", 1))),
        ("1 < x", Compare("x", ">", 1)),
        ("-1.5 >= x", Compare("x", "<=", -1.5)),
        ("'a' == name", Compare("name", "==", "a")),
        ("0 < x <= n", All((Compare("x", ">", 0), Compare("x", "<=", Column("n"))))),
        ("x in [1, -2.5]", OneOf("x", (1, -2.5))),
        ("x not in ('a', \"b\")", Not(OneOf("x", ("a", "b")))),
        ("x in []", OneOf("x", ())),
        ("x is None", Missing("x")),
        ("x is not None", Not(Missing("x"))),
        ("on", Holds("on")),
        ("not on or (off)", Either((Not(Holds("on")), Holds("off")))),
        ("a and b and c", All((Holds("a"), Holds("b"), Holds("c")))),
        ("a and (b and c)", All((Holds("a"), All((Holds("b"), Holds("c")))))),
        ("on == True != off", All((Compare("on", "==", True), Not(Compare("off", "==", True))))),
        (" `site id`==285\t", Compare("site id", "==", 285)),
        ("`class` in [1] and `a-b` == `class`", All((OneOf("class", (1,)), Compare("a-b", "==", Column("class"))))),
        ("name == 'b`c' and `d` == \"`e`\"", All((Compare("name", "==", "b`c"), Compare("d", "==", "`e`")))),
        ("`b` == column_0_ and `c` == column_1_", All((Compare("b", "==", Column("column_0_")), Compare("c", "==", Column("column_1_"))))),
        ("name == 'it\\'s'", Compare("name", "==", "it's")),
        ("x == 0x10", Compare("x", "==", 16)),
    ],
)  # fmt: skip
def test_what_is_read(text, condition):
    where = parse(text)
    assert repr(where.condition) == repr(condition)
    assert repr(parse(str(where)).condition) == repr(condition)
    assert repr(Where.from_json(where.to_json()).condition) == repr(condition)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "cannot read where=''"),
        ("x ==", "cannot read where='x =='"),
        ("x = 3", "cannot read where='x = 3'"),
        ("x == 1; y == 2", "cannot read where"),
        ("x == 1\0", "cannot read where"),
        ("(" * 300 + "x" + ")" * 300, "cannot read where"),
        ("not " * 5_000 + "x", "cannot read where"),
        ("x == `y", "cannot read where"),
        ("it's `x`", "cannot read where"),
        ("True", "'True' is no condition"),
        ("1 < 2", "'1 < 2' compares no column"),
        ("x + 1 == 2", "'x + 1' of where='x + 1 == 2' is no column, and no constant to compare with"),
        ("x == y + 1", "'y + 1' of where='x == y + 1' is no column, and no constant to compare with"),
        ("(x > 1) & (y > 1)", "is written with and, or, not"),
        ("~on", "'~on' is written with and, or, not"),
        ("abs(x) > 1", "'abs(x)' of where='abs(x) > 1' is no column, and no constant to compare with"),
        ("x.y == 1", "'x.y' of where='x.y == 1' is no column, and no constant to compare with"),
        ("x[0] == 1", "'x[0]'"),
        ("__import__('os').system('true')", "is no condition"),
        ("[y for y in x]", "is no condition"),
        ("(lambda: 1)() == x", "no constant to compare with"),
        ("x if y else z", "is no condition"),
        ("(y := 3) == x", "no constant to compare with"),
        ("f'{x}' == name", "no constant to compare with"),
        ("x == None", "'None' of where='x == None' is compared by `is None`"),
        ("x in [1, None]", "'None' of where='x in [1, None]' is compared by `is None`"),
        ("x is 3", "'x is 3' compares by `is` with something else than None"),
        ("None is x", "'None is x' compares by `is` with something else than None"),
        ("1 is None", "'1' of where='1 is None' is no column"),
        ("x in y", "'y' of where='x in y' is no list"),
        ("x in 'abc'", "\"'abc'\" of where=\"x in 'abc'\" is no list"),
        ("x in [y]", "'y' of where='x in [y]' is no constant"),
        ("x in {1, 2}", "'{1, 2}'"),
        ("1 in x", "'1' of where='1 in x' is no column"),
        ("x == b'a'", "no constant to compare with"),
        ("x == 1j", "no constant to compare with"),
        ("x == ...", "no constant to compare with"),
        ("x == 1e999", "no constant to compare with"),
        ("x == +1", "no constant to compare with"),
        ("x == -True", "no constant to compare with"),
        ("x == --1", "no constant to compare with"),
        ("x == 1" + "0" * 400, "no constant to compare with"),
        ("name == 'a\\0'", "no constant to compare with"),
        ("name == '\\ud800'", "no constant to compare with"),
        ("`site id` + 1 == 2", "'`site id` + 1' of where='`site id` + 1 == 2' is no column, and no constant to compare with"),
    ],
)  # fmt: skip
def test_what_is_refused(text, part):
    with pytest.raises(InputError) as error:
        parse(text)
    assert part in str(error.value)
    assert "Allowed are columns compared with numbers" in str(error.value)


def test_columns_that_there_are_not():
    with pytest.raises(
        InputError,
        match=r"^no column 'site_id' to compare\. Did you mean 'site id'\? There are: row, x, .*, site id, ",
    ):
        parse("x == 1 and site_id == 3", TABLE.column_names)
    with pytest.raises(InputError, match=r"^no column 'qqqqq' to compare\. There are: row, x"):
        parse("x < qqqqq", TABLE.column_names)
    with pytest.raises(InputError, match=r"There are: none\.$"):
        parse("x is None", [])
    assert parse("x < n and x in [1] or on and x is None", TABLE.column_names).columns == ("x", "n", "on")


def test_sizes_are_bounded():
    with pytest.raises(InputError, match=r"^cannot read a `where` of 1,000,001 characters"):
        parse("x" * (MAX_LENGTH + 1))
    many = " or ".join(["x == 1"] * MAX_CONDITIONS)
    assert len(parse(many).condition.conditions) == MAX_CONDITIONS
    with pytest.raises(InputError, match=r"^a `where` of 501 comparisons and 501 constants is too large"):
        parse(many + " or x == 1")
    with pytest.raises(InputError, match=r"^a `where` of 2 comparisons and 10,001 constants is too large"):
        parse(f"x in {[1] * MAX_CONSTANTS} and x == 1")
    deep = Holds("x")
    for _ in range(MAX_DEPTH - 1):
        deep = Not(deep)
    assert Where.from_json(Where(deep).to_json()) == Where(deep)
    with pytest.raises(InputError, match=r"^a `where` is nested more than 50 deep"):
        Where(Not(deep))
    with pytest.raises(InputError, match=r"up to 50 deep$"):
        Where.from_json({"not": Where(deep).to_json()})
    with pytest.raises(InputError, match=r"501 comparisons"):
        Where.from_json({"or": [{"holds": "x"}] * (MAX_CONDITIONS + 1)})


@pytest.mark.parametrize(
    "data",
    [
        None,
        "x == 1",
        [],
        {},
        {"and": [{"holds": "x"}]},
        {"and": {"holds": "x"}},
        {"or": []},
        {"not": [{"holds": "x"}]},
        {"holds": "x", "missing": "x"},
        {"holds": 1},
        {"missing": None},
        {"in": ["x"]},
        {"in": ["x", 1]},
        {"in": ["x", [None]]},
        {"in": ["x", [[1]]]},
        {"in": ["x", [math.nan]]},
        {"!=": ["x", {"value": 1}]},
        {"==": ["x", 1]},
        {"==": ["x", {"value": None}]},
        {"==": ["x", {"value": math.inf}]},
        {"==": ["x", {"value": 10**400}]},
        {"==": ["x", {"value": "a\0"}]},
        {"==": ["x", {"value": [1]}]},
        {"==": ["x", {"column": 1}]},
        {"==": ["x", {"value": 1, "column": "y"}]},
        {"==": ["x", {"value": 1}, 2]},
        {"==": [1, {"value": 1}]},
        {"OR 1=1": ["x", {"value": 1}]},
        {1: ["x", {"value": 1}]},
    ],
)
def test_json_that_no_expression_makes_is_refused(data):
    with pytest.raises(InputError, match=r"^cannot read the `where` of a request at "):
        Where.from_json(data)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("x == 0.5", [0]),
        ("x != 0.5", [1, 2, 3]),
        ("not x == 0.5", [1, 2, 3]),
        ("x > 0.5", [3]),
        ("not x > 0.5", [0, 1, 2]),
        ("x is None", [2]),
        ("x == x", [0, 3]),
        ("x is not None and x != x", [1]),
        ("n == 9007199254740993", [1]),
        ("n == 9007199254740992.0", [0]),
        ("n > 9007199254740992.5", [1]),
        ("n < 1e300", [0, 1, 3]),
        ("n > 1e300", []),
        ("not n > 1e300", [0, 1, 2, 3]),
        ("n in [-3, 9007199254740993.5, 1e300]", [3]),
        ("name < 'b'", [0, 3]),
        ("name == 'b`c'", [1]),
        ("`site id` == 285 and name not in ['a']", [3]),
        ("on", [0, 3]),
        ("not on", [1, 2]),
        ("on == False", [1]),
        ("on > False", [0, 3]),
        ("list is None", [2]),
        (f"u == {2**64 - 1}", [3]),
        (f"u <= {2**64}", [0, 1, 3]),
        ("row < `site id`", [0, 1, 3]),
    ],
)
def test_what_meets_it(text, rows):
    assert matches(parse(text, TABLE.column_names), TABLE).to_pylist() == [row in rows for row in range(4)]
    assert selected(TABLE, Selection(("row",), parse(text)))["row"].to_pylist() == rows


def test_no_rows():
    empty = TABLE.slice(0, 0)
    assert matches(parse("x > 1 and on and name in ['a'] or n is None"), empty).to_pylist() == []
    assert matches(parse("x in []"), TABLE.schema.empty_table()).to_pylist() == []


def test_columns_without_values():
    """A stock server sends them without a type."""
    table = pa.table({"x": pa.nulls(2), "y": pa.array([1, 2])})
    for text, expected in (("x == 'a'", False), ("not x < 3", True), ("x", False), ("y == x", False), ("x is None", True)):  # fmt: skip
        assert matches(parse(text), table).to_pylist() == [expected] * 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x == 'a'", "column 'x' is double and cannot be compared with 'a': it compares with numbers, without"),
        ("name > 3", "column 'name' is string and cannot be compared with 3: it compares with texts, in quotation"),
        ("name in ['a', 3]", "column 'name' is string and cannot be compared with 3"),
        ("x == True", "column 'x' is double and cannot be compared with True"),
        ("on == 1", "column 'on' is bool and cannot be compared with 1: it compares with True and False"),
        ("list == 1", "column 'list' is list<item: int64> and cannot be compared with 1: it compares with nothing"),
        ("x", "column 'x' is double, and no condition by itself: compare it"),
        ("not list", "column 'list' is list<item: int64>, and no condition by itself"),
        ("x == name", "columns 'x' (double) and 'name' (string) cannot be compared: numbers compare with numbers"),
        ("list == list", "cannot be compared: numbers"),
        ("x == n", "columns 'x' (double) and 'n' (int64) cannot be compared without rounding"),
        ("n == u", "columns 'n' (int64) and 'u' (uint64) cannot be compared without rounding"),
        ("nothing is None", "no column 'nothing' to compare"),
        ("x == nothing", "no column 'nothing' to compare"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared(text, message):
    types = dict(zip(TABLE.column_names, TABLE.schema.types, strict=True))
    for ask in (lambda where: fitted(where, types), lambda where: matches(where, TABLE)):
        with pytest.raises(InputError) as error:
            ask(parse(f"row == 0 or not ({text})"))
        assert message in str(error.value)


def test_it_is_a_value():
    assert parse("x == 1 and on") == parse(" (x == 1)  and on ")
    assert len({parse("x == 1"), parse("x == 1")}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse("x == 1").condition = Holds("x")


def test_of_rows_taken_again_the_last_is_looked_at():
    table = pa.table({"seq_num": [1, 2, 3, 2, None, None], "x": [0, 1, 2, 3, 4, 5]})
    for text, expected in (("x < 3", [0, 2]), ("x >= 3", [3, 4, 5]), ("seq_num == 2", [3])):
        assert selected(table, Selection(("x",), parse(text), "seq_num"))["x"].to_pylist() == expected
    assert selected(table, Selection(("x",), None, "seq_num", 2))["x"].to_pylist() == [3, 4, 5]
    assert Selection(("x", "y"), parse("z == x"), "seq_num").needed() == ["x", "y", "z", "seq_num"]
