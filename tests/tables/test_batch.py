import json

import pyarrow as pa
import pytest

from tilewright.tables import Hints, SchemaTooNarrow, build, page_of, rows_of, schema_for

KEYS = {
    "n": {"dtype": "integer", "shape": []},
    "x": {"dtype": "number", "shape": []},
    "image": {"dtype": "array", "shape": [2], "external": "FILESTORE:"},
}


def event(seq_num, **data):
    return {
        "seq_num": seq_num,
        "time": 100.0 + seq_num,
        "data": data,
        "timestamps": dict.fromkeys(data, 50.0 + seq_num),
        "filled": {},
    }


def rows(events, hints=None, keys=KEYS):
    return build([page_of(events)], schema_for(keys, hints or Hints()), keys).to_pylist()


def test_events_become_rows():
    assert rows([event(1, n=1, x=0.5), event(2, x=1.5)]) == [
        {"seq_num": 1, "time": 101.0, "n": 1, "x": 0.5, "ts_n": 51.0, "ts_x": 51.0},
        {"seq_num": 2, "time": 102.0, "n": None, "x": 1.5, "ts_n": None, "ts_x": 52.0},
    ]


def test_pages_stay_columns_and_rows_keep_their_order():
    page = {
        "seq_num": [2, 3],
        "time": [102.0, 103.0],
        "data": {"n": [2, 3], "x": [2.5, 3.5]},
        "timestamps": {"n": [52.0, 53.0], "x": [52.0, 53.0]},
        "filled": {},
    }
    table = build(
        [page_of([event(1, n=1, x=1.5)]), page, page_of([event(4, n=4, x=4.5)])],
        schema_for(KEYS, Hints()),
        KEYS,
    )
    assert table["seq_num"].to_pylist() == table["n"].to_pylist() == [1, 2, 3, 4]
    assert rows_of(page) == 2


def test_nothing_makes_an_empty_table():
    assert build([], schema_for(KEYS, Hints()), KEYS).num_rows == 0


def test_a_wider_number_asks_for_a_wider_column():
    with pytest.raises(SchemaTooNarrow) as narrow:
        rows([event(1, n=1, x=1), event(2, n=2.5, x=2)])
    assert narrow.value.hints == Hints({"n": pa.float64()})
    assert [row["n"] for row in rows([event(1, n=1), event(2, n=2.5)], narrow.value.hints)] == [1, 2.5]


def test_all_that_a_batch_needs_is_asked_for_at_once():
    with pytest.raises(SchemaTooNarrow) as narrow:
        build(
            [page_of([event(1, n=2.5)]), page_of([event(2, x="text")])],
            schema_for(KEYS, Hints()),
            KEYS,
        )
    assert narrow.value.hints == Hints({"n": pa.float64()}, rejected=True)


def test_what_fits_nowhere_is_kept_beside_its_row():
    events = [event(1, x=1.5), event(2, x="text", stray={"a": (1, float("inf"))}), event(3, x=None)]
    with pytest.raises(SchemaTooNarrow) as narrow:
        rows(events)
    first, second, third = rows(events, narrow.value.hints)
    assert first["rejected"] is None
    assert third["rejected"] is None
    assert second["x"] is None
    assert json.loads(second["rejected"]) == {
        "x": {"value": "text", "reason": "str does not fit a column of double: 'text'"},
        "stray": {"value": {"a": [1, float("inf")]}, "reason": "not in the descriptor"},
    }


def test_a_timestamp_that_is_no_number_is_kept_too():
    odd = event(1, x=1.5)
    odd["timestamps"]["x"] = "noon"
    (row,) = rows([odd], Hints(rejected=True))
    assert row["ts_x"] is None
    assert json.loads(row["rejected"])["ts_x"]["value"] == "noon"


def test_the_name_of_a_file_is_no_value_but_a_filled_one_is():
    reference = event(1, x=1.5, image="datum-id")
    assert "image" not in rows([reference])[0]
    for filled in ({"image": True}, {}):
        value = event(2, x=2.5, image=[1.0, 2.0]) | {"filled": filled}
        with pytest.raises(SchemaTooNarrow) as narrow:
            rows([value])
        assert rows([value], narrow.value.hints)[0]["image"] == [1.0, 2.0]


def test_a_data_key_named_like_a_column_of_ours():
    keys = {"time": {"dtype": "number", "shape": []}, "rejected": {"dtype": "string", "shape": []}}
    (row,) = rows([event(1, time=7.5, rejected="no")], keys=keys)
    assert row["time"] == 101.0
    assert row["time_"] == 7.5
    assert row["rejected_"] == "no"
