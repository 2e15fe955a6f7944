from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.sql.compiler import RESERVED_WORDS

from tilewright.tables import column_names


def assert_safe(names):
    """Hold the names against Tiled's own rules, with their `ts_` twins."""
    from tiled.adapters.sql import COLUMN_NAME_PATTERN, is_safe_identifier

    columns = [column for name in names.values() for column in (name, f"ts_{name}")]
    for column in columns:
        assert is_safe_identifier(column, COLUMN_NAME_PATTERN)
        assert not column.startswith("_")
    folded = [column.lower() for column in ("seq_num", "time", "rejected", "internal", *columns)]
    assert len(set(folded)) == len(folded)


def test_ordinary_names_stay():
    keys = [
        "det",
        "motor_setpoint",
        "I0",
        "a.b",
        "with space",
        "größe",
        "x-y",
        "a:b",
        *sorted(RESERVED_WORDS)[:5],
    ]
    assert column_names(keys) == {key: key for key in keys}
    assert_safe(column_names(keys))


def test_others_are_renamed_apart():
    keys = [
        "time",
        "seq_num",
        "rejected",
        "internal",
        "A",
        "a",
        "",
        "1",
        "_x",
        "x;y",
        "x'y",
        "x/y",
        "x_y",
        "ts_A",
        "k" * 80,
    ]
    names = column_names(keys)
    assert list(names) == keys
    assert names["time"] == "time_"
    assert names["A"] == "A"
    assert_safe(names)


@given(st.lists(st.text(max_size=70), unique=True, max_size=8))
def test_any_keys_make_safe_names(keys):
    assert_safe(column_names(keys))
