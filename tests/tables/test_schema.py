import numpy as np
import pyarrow as pa
import pytest

from tilewright.tables import Hints, schema_for, usable
from tilewright.tables.schema import MAX_DIMENSIONS, column_type

KEYS = {
    "count": {"dtype": "integer", "shape": []},
    "image": {"dtype": "array", "shape": [5, 5], "external": "STREAM:"},
    "level": {"dtype": "number", "dtype_numpy": "<f4", "shape": []},
    "name": {"dtype": "string", "shape": None},
    "on": {"dtype": "boolean", "shape": []},
    "spectrum": {"dtype": "array", "dtype_numpy": ">u2", "shape": [3]},
    "time": {"dtype": "number", "shape": []},
}


def test_columns_come_in_the_order_of_the_descriptor_then_timestamps():
    schema = schema_for(KEYS, Hints())
    keys = ["count", "level", "name", "on", "spectrum", "time_"]
    assert schema.arrow.names == ["seq_num", "time", *keys, *(f"ts_{key}" for key in keys)]
    assert schema.renamed == (("time", "time_"),)
    types = {field.name: field.type for field in schema.arrow}
    assert types["count"] == pa.int64()
    assert types["level"] == pa.float32()
    assert types["name"] == pa.string()
    assert types["on"] == pa.bool_()
    assert types["spectrum"] == pa.list_(pa.uint16())
    assert types["ts_name"] == pa.float64()
    assert all(field.nullable for field in schema.arrow)


def test_hints_widen_and_add():
    hints = Hints(
        {"count": pa.float64(), "level": pa.int8()},
        {"image": pa.list_(pa.list_(pa.float64()))},
        rejected=True,
    )
    schema = schema_for(KEYS, hints)
    types = {field.name: field.type for field in schema.arrow}
    assert types["count"] == pa.float64()
    assert types["level"] == pa.float64()
    assert types["image"] == pa.list_(pa.list_(pa.float64()))
    assert schema.arrow.names[-1] == "rejected"


def test_a_wider_table_that_is_there_is_adopted():
    schema = schema_for(KEYS, Hints())
    wide = schema_for(KEYS, Hints({"count": pa.float64()}, rejected=True))
    assert schema.hints_from(schema.arrow) == Hints()
    learned = schema.hints_from(wide.arrow)
    assert learned == Hints({"count": pa.float64()}, rejected=True)
    assert schema_for(KEYS, learned).arrow == wide.arrow
    assert wide.hints_from(wide.arrow) == Hints()


def test_a_table_that_cannot_hold_the_rows_is_not():
    schema = schema_for(KEYS, Hints({"count": pa.float64()}))
    assert schema.hints_from(schema_for(KEYS, Hints()).arrow) is None
    fewer = {key: spec for key, spec in KEYS.items() if key != "on"}
    assert schema.hints_from(schema_for(fewer, Hints()).arrow) is None
    assert schema_for(fewer, Hints()).hints_from(schema.arrow) is None


def test_hints_merge_to_the_wider():
    one, two = (
        Hints({"a": pa.int8(), "b": pa.float32()}),
        Hints({"a": pa.float64()}, {"c": pa.int8()}, rejected=True),
    )
    assert one.merge(two) == Hints({"a": pa.float64(), "b": pa.float32()}, {"c": pa.int8()}, rejected=True)
    assert Hints().merge(one) == one


ODD = [
    None,
    5,
    "number",
    [],
    {},
    {"dtype": 5},
    {"dtype": "array", "shape": 5},
    {"dtype": "number", "dtype_numpy": "rubbish"},
]


@pytest.mark.parametrize("description", ODD, ids=repr)
def test_a_data_key_of_odd_description_is_a_text(description):
    known, reasons = usable({"x": description})
    assert known == {"x": {"dtype": "string"}}
    assert list(reasons) == ["x"]
    assert column_type(description) == pa.string()


@pytest.mark.parametrize("data_keys", [None, 5, "x", [], [("x", {})]], ids=repr)
def test_what_is_no_mapping_has_no_data_keys(data_keys):
    assert usable(data_keys) == ({}, {})


def test_dimensions_have_an_end():
    shapes = {"deep": [1] * MAX_DIMENSIONS, "deeper": [1] * (MAX_DIMENSIONS + 1)}
    known, reasons = usable({key: {"dtype": "array", "shape": shape} for key, shape in shapes.items()})
    assert list(reasons) == ["deeper"]
    assert schema_for(known, Hints()).arrow.serialize()


def test_data_keys_keep_their_type():
    """An event's data are looked up by them."""
    known, _ = usable({1: {"dtype": "number"}, "1": {"dtype": "integer"}})
    columns = schema_for(known, Hints()).columns
    assert [(column.key, column.name) for column in columns if column.source == "data"] == [
        (1, "k_1"),
        ("1", "k_1_"),
    ]


def test_a_dtype_that_is_an_array_costs_the_descriptor_nothing():
    known, reasons = usable(
        {"x": {"dtype": np.array(["array", "number"]), "dtype_numpy": "<f8"}, "y": {"dtype": "number"}}
    )
    assert list(known) == ["x", "y"]
    assert reasons == {}
    assert column_type(known["x"]) == pa.float64()
