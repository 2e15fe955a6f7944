import json
import time

import numpy as np
import pyarrow as pa
import pytest

from tilewright.errors import InputError
from tilewright.tables import Hints, SchemaTooNarrow, build, page_of, rows_of, schema_for, sound_page

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
    return build([page_of(events, keys)], schema_for(keys, hints or Hints()), keys).table.to_pylist()


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
        [
            page_of([event(1, n=1, x=1.5)], KEYS),
            sound_page(page, KEYS),
            page_of([event(4, n=4, x=4.5)], KEYS),
        ],
        schema_for(KEYS, Hints()),
        KEYS,
    ).table
    assert table["seq_num"].to_pylist() == table["n"].to_pylist() == [1, 2, 3, 4]
    assert rows_of(sound_page(page, KEYS)) == 2


def test_nothing_makes_an_empty_table():
    assert build([], schema_for(KEYS, Hints()), KEYS).table.num_rows == 0


def test_a_wider_number_asks_for_a_wider_column():
    with pytest.raises(SchemaTooNarrow) as narrow:
        rows([event(1, n=1, x=1), event(2, n=2.5, x=2)])
    assert narrow.value.hints == Hints({"n": pa.float64()})
    assert [row["n"] for row in rows([event(1, n=1), event(2, n=2.5)], narrow.value.hints)] == [1, 2.5]


def test_all_that_a_batch_needs_is_asked_for_at_once():
    with pytest.raises(SchemaTooNarrow) as narrow:
        build(
            [page_of([event(1, n=2.5)], KEYS), page_of([event(2, x="text")], KEYS)],
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
        "stray": {
            "value": {"a": [1, float("inf")]},
            "reason": "not in the descriptor",
            "timestamp": 52.0,
        },
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


def rejected(row):
    return {key: entry["value"] for key, entry in json.loads(row["rejected"]).items()}


KEEPING = Hints(rejected=True)


def test_parts_that_are_no_mappings_stand_beside_their_row():
    odd = event(1, x=1.5) | {"data": [1, 2], "timestamps": "noon", "filled": 5}
    (row,) = rows([odd], KEEPING)
    assert (row["seq_num"], row["x"]) == (1, None)
    assert rejected(row) == {"data": [1, 2], "timestamps": "noon", "filled": 5}


def test_values_of_one_name_are_all_kept():
    """The timestamp of `x`, and data keys called as its column or as another's text."""
    odd = event(1) | {"data": {1: "one", "1": "text", "ts_x": "data"}, "timestamps": {"x": "noon"}}
    (row,) = rows([odd], KEEPING)
    assert rejected(row) == {"1": "one", "1_": "text", "ts_x": "data", "ts_x_": "noon"}


def test_a_fraction_is_no_seq_num_and_widens_nothing():
    odd = [event(1), event(1) | {"seq_num": 1.5}, event(1) | {"seq_num": 3.0}, event(1) | {"seq_num": 2**70}]
    found = rows(odd, KEEPING)
    assert [row["seq_num"] for row in found] == [1, None, 3, None]
    assert rejected(found[1]) == {"seq_num": 1.5}
    assert rejected(found[3]) == {"seq_num": 2**70}


def test_an_external_key_of_odd_description_is_a_text_if_its_values_come_in_the_events():
    keys = {"x": {"dtype": "number"}, "image": {"dtype": "rubbish", "external": None}}
    with pytest.raises(SchemaTooNarrow) as narrow:
        rows([event(1, image=5)], keys=keys)
    (row,) = rows([event(1, image="a text")], narrow.value.hints, keys)
    assert row["image"] == "a text"


def test_filled_may_be_anything():
    values = [True, "datum", np.arange(2), 5, None]
    for value in values:
        rows([event(1, x=1.5) | {"filled": {"x": value, "image": value, "stray": value}}])


def page(*seq_nums, **changes):
    columns = {"n": list(seq_nums), "x": [float(number) for number in seq_nums]}
    sound = {"seq_num": list(seq_nums), "time": [1.0] * len(seq_nums), "data": columns, "timestamps": {}}
    return sound_page(sound | changes, KEYS)


def test_a_column_of_another_length_stands_beside_the_first_row():
    found = build(
        [page(1, 2, data={"n": [1, 2], "x": [1.5]})], schema_for(KEYS, KEEPING), KEYS
    ).table.to_pylist()
    assert [(row["n"], row["x"]) for row in found] == [(1, None), (2, None)]
    entry = json.loads(found[0]["rejected"])["x"]
    assert entry == {"value": [1.5], "reason": "a column of 1 values in a page of 2 rows"}
    assert found[1]["rejected"] is None


def test_columns_of_another_length_do_not_replace_each_other():
    parts = {part: {"x": [part]} for part in ("data", "timestamps", "filled")}
    row, _ = build([page(1, 2, **parts)], schema_for(KEYS, KEEPING), KEYS).table.to_pylist()
    assert rejected(row) == {"x": ["data"], "ts_x": ["timestamps"], "filled_x": ["filled"]}


def test_what_is_set_aside_does_not_replace_what_is_called_the_same():
    odd = page(1, data={"time": [2], "timestamps": [3], "ts_k": [4]}, time=5, timestamps={"k": [6]})
    (row,) = build([odd], schema_for(KEYS, KEEPING), KEYS).table.to_pylist()
    assert sorted(rejected(row).values()) == [2, 3, 4, 5, 6]
    (row,) = rows([event(1, timestamps=7) | {"timestamps": 8}], KEEPING)
    assert sorted(rejected(row).values()) == [7, 8]


@pytest.mark.parametrize("seq_num", [None, 5, "123", {}, np.array(5)], ids=repr)
def test_a_page_without_seq_nums_has_no_rows_to_speak_of(seq_num):
    with pytest.raises(InputError, match=r"its seq_num is .*, not a column"):
        page(1, seq_num=seq_num)


def test_an_empty_page_with_values_is_refused():
    assert rows_of(page()) == 0
    with pytest.raises(InputError, match="no rows, and yet 'x'"):
        page(data={"x": [1.0]})


def test_strays_of_pages_keep_their_order():
    """What is written is the same in every process, for it is compared with what is there."""
    strays = {f"k{number}": [number] for number in range(50)}
    (row,) = build([page(1, data=strays)], schema_for(KEYS, KEEPING), KEYS).table.to_pylist()
    assert list(rejected(row)) == list(strays)


def test_many_different_keys_cost_what_they_hold():
    """10,000 events each with a key of its own: a column for each would be 100 million cells."""
    events = [event(number, **{f"k{number}": number}) for number in range(10_000)]
    start = time.perf_counter()
    found = rows(events, KEEPING)
    assert time.perf_counter() - start < 10  # seconds
    assert [rejected(row) for row in found] == [{f"k{number}": number} for number in range(10_000)]
