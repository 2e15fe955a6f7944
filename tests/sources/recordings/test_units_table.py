from datetime import timedelta, timezone

import pandas as pd
import pytest

from tilewright.documents.times import utc_ns
from tilewright.errors import InputError
from tilewright.sources.recordings.units_table import UnitsTable

UNITS = [
    {
        "unit": "north",
        "device_id": "24F3190361DA539A",
        "row": 1,
        "latitude": 54.7566,
        "longitude": -1.5911,
        "gain": "medium",
        "firmware": "1.8.1",
        "owner": "Ann",
    },
    {"unit": "south", "device_id": 671666216, "row": 0, "x": 3, "y": 4.5, "z": -0.5},
]
FILES = [
    {"unit": "east", "file": "rec_east_*.wav", "x": 1.0},
    {"unit": "west", "file": "west/"},
    {"unit": "hut", "file": "S1/a.wav", "start": "2023-04-25T15:09:20+09:30"},
    {"unit": "lake", "file": "S2/a.wav", "start": "2023-04-25T15:09:20", "zone": "+0545"},
    {"unit": "barn", "file": "S3/*/a.wav"},
]


def unit_of(table, path, **told):
    row = UnitsTable.of(table).unit_for(path, **told)
    return None if row is None else row.unit


@pytest.fixture(params=["rows", "frame", "csv", "columns"])
def given(request, tmp_path):
    def make(rows):
        frame = pd.DataFrame(rows)
        path = tmp_path / "units.csv"
        frame.to_csv(path)
        columns = {name: frame[name].tolist() for name in frame}
        return {"rows": rows, "frame": frame, "csv": path, "columns": columns}[request.param]

    return make


def test_what_is_told_of_units_is_known_whatever_the_table_is(given):
    table = UnitsTable.of(given(UNITS))
    assert table.units == ("north", "south")
    assert [table.row_of(unit) for unit in ("north", "south", "east")] == [1, 0, None]
    assert table.facts_of("north") == {
        "unit": "north",
        "device_id": "24F3190361DA539A",
        "row": 1,
        "latitude": 54.7566,
        "longitude": -1.5911,
        "gain": "medium",
        "firmware": "1.8.1",
        "owner": "Ann",
    }
    assert table.facts_of("south") == {
        "unit": "south",
        "device_id": "671666216",
        "row": 0,
        "x": 3,
        "y": 4.5,
        "z": -0.5,
    }
    assert table.facts_of("east") == {}


def test_without_a_column_row_the_order_counts(given):
    table = UnitsTable.of(given(FILES))
    assert [table.row_of(row["unit"]) for row in FILES] == [0, 1, 2, 3, 4]
    assert table.facts_of("west")["row"] == 1


def test_a_unit_is_found_by_its_device_or_by_its_name():
    assert unit_of(UNITS, "a.wav", device_id="24F3190361DA539A", unit="24F3190361DA539A") == "north"
    assert unit_of(UNITS, "a.wav", device_id="24f3190361da539a") == "north"
    assert unit_of(UNITS, "a.wav", unit="south") == "south"
    assert unit_of(UNITS, "a.wav", unit="671666216") == "south"
    assert unit_of(UNITS, "a.wav", unit="other", device_id="0") is None
    assert unit_of(UNITS, "a.wav") is None
    assert unit_of(None, "a.wav", unit="south") is None


def test_a_unit_is_found_by_what_the_names_of_its_files_call_it():
    assert unit_of(UNITS, "b/north_20190621_124200.wav", unit="SMA00646", device_id="SMA00646") == "north"
    assert unit_of(UNITS, "b/east_20190621_124200.wav", unit="SMA00646", device_id="SMA00646") is None


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/data/x/rec_east_1.wav", "east"),
        ("rec_east_1.wav", "east"),
        ("rec_west_1.wav", None),
        ("/data/west/1/b.wav", "west"),
        ("/data/west.wav", None),
        ("west", None),
        ("/data/S1/a.wav", "hut"),
        ("/data/S2/a.wav", "lake"),
        (r"C:\data\S2\a.wav", "lake"),
        ("/data/S3/may/a.wav", "barn"),
        ("/west/S1/a.wav", "hut"),
        ("/west/S4/a.wav", "west"),
        ("/west/rec_east_1.wav", "east"),
    ],
)
def test_a_file_is_described_by_name_pattern_or_folder(given, path, unit):
    assert unit_of(given(FILES), path) == unit


def test_what_is_said_of_a_file_comes_before_what_it_tells_itself():
    table = [{"unit": "a", "device_id": "1"}, {"unit": "b", "file": "x.wav"}]
    assert unit_of(table, "x.wav", device_id="1") == "b"
    assert unit_of(table, "y.wav", device_id="1") == "a"


def test_a_name_with_brackets_is_a_name_before_it_is_a_pattern():
    name = "20180416T120000+1000_REC [-27.3888+152.8808].flac"
    table = [{"unit": "a", "file": name}, {"unit": "b", "file": "*.flac"}]
    assert unit_of(table, f"/data/{name}") == "a"
    assert unit_of(table, "/data/other.flac") == "b"


def test_the_directory_in_a_table_need_not_be_that_of_the_file(test_data):
    table = UnitsTable.of(test_data / "audio" / "LOCA_2021_aru_coords.csv")
    for path in sorted((test_data / "audio").glob("LOCA*.wav")):
        row = table.unit_for(path)
        assert row.unit == path.stem
        assert row.file.endswith(path.name)
        assert row.x is not None
        assert row.y is not None
    assert table.unit_for(test_data / "audio" / "aru_1.wav") is None
    assert table.unit_for("LOCA_2021_09_24_652_4.wav").z == 2.9


def test_a_start_is_given_with_a_zone_of_its_own_or_of_the_column(given):
    table = UnitsTable.of(given(FILES))
    assert table.unit_for("S1/a.wav").start_ns == utc_ns("2023-04-25T15:09:20+09:30")
    assert table.unit_for("S2/a.wav").start_ns == utc_ns("2023-04-25T15:09:20+05:45")
    assert table.unit_for("rec_east_1.wav").start_ns is None


def test_a_zone_may_be_given_for_a_unit():
    row = UnitsTable.of([{"unit": "a", "zone": "+09:30"}]).unit_for("x.wav", unit="a")
    assert row.zone == timezone(timedelta(hours=9, minutes=30))


def test_a_unit_may_have_a_row_for_each_of_its_files():
    table = UnitsTable.of(
        [
            {
                "unit": "a",
                "file": "1.wav",
                "start": "2023-01-01T00:00:00Z",
                "latitude": 1,
                "longitude": 2,
                "note": "rain",
            },
            {"unit": "a", "file": "2.wav", "start": "2023-01-02T00:00:00Z", "note": "sun"},
        ]
    )
    assert table.units == ("a",)
    assert table.unit_for("2.wav").start_ns == utc_ns("2023-01-02T00:00:00Z")
    assert table.facts_of("a") == {"unit": "a", "latitude": 1, "longitude": 2, "note": "rain", "row": 0}


def test_ten_thousand_rows_are_found_at_once():
    table = UnitsTable.of([{"unit": f"u{i % 8}", "file": f"d/{i}.wav"} for i in range(10_000)])
    assert all(table.unit_for(f"/x/d/{i}.wav").unit == f"u{i % 8}" for i in range(10_000))


def test_other_names_of_positions_are_known():
    row = UnitsTable.of([{"unit": "a", "Lat": "1.5", "Lon": "2.5", "altitude": "3"}]).rows[0]
    assert (row.latitude, row.longitude, row.elevation, row.further) == (1.5, 2.5, 3, {})


def test_every_other_column_is_kept_whatever_it_is_called():
    told = {"where": "by the gate", "further": 1, "start_ns": 2, "Habitat": "bog"}
    assert UnitsTable.of([{"unit": "a"} | told]).facts_of("a") == {
        "unit": "a",
        "row": 0,
        "where": "by the gate",
        "further": 1,
        "start_ns": 2,
        "habitat": "bog",
    }


def test_a_table_is_read_once():
    table = UnitsTable.of(UNITS)
    assert UnitsTable.of(table) is table
    assert UnitsTable.of(None).rows == ()


@pytest.mark.parametrize(
    ("table", "place", "why"),
    [
        ([UNITS[0], UNITS[0]], "row 2", "another row for the unit north (The table of units, row 1)"),
        ([UNITS[0], UNITS[1] | {"row": 1}], "row 2: column 'row'", "gives 1 to the unit south"),
        ([UNITS[0], UNITS[1] | {"row": None}], "row 2: column 'row'", "number all units, or none"),
        ([UNITS[0] | {"row": 1.5}], "row 1: column 'row'", "1.5"),
        ([UNITS[0] | {"row": -1}], "row 1: column 'row'", "-1"),
        ([UNITS[0], UNITS[1] | {"device_id": "24F3190361DA539A"}], "row 2: column 'device_id'", "to north"),
        ([UNITS[0] | {"latitude": "high"}], "row 1: column 'latitude'", "degrees north"),
        ([UNITS[0] | {"latitude": 91}], "row 1: column 'latitude'", "at most 90"),
        ([UNITS[0] | {"longitude": -181}], "row 1: column 'longitude'", "at most 180"),
        ([UNITS[0] | {"lat": 1}], "row 1: column 'lat'", "beside 'latitude'"),
        ([UNITS[0] | {"zone": "ACDT"}], "row 1: column 'zone'", "ACDT"),
        ([{"file": "*.wav"}], "row 1: column 'unit'", "empty"),
        ([{"x": 1}], "row 1: column 'unit'", "empty"),
        ([FILES[0], FILES[0] | {"unit": "b"}], "row 2", "another row for the file rec_east_*.wav"),
        ([FILES[2] | {"file": None}], "row 1: column 'start'", "without the name of one file"),
        ([FILES[2] | {"file": "*.wav"}], "row 1: column 'start'", "without the name of one file"),
        ([FILES[3] | {"zone": None}], "row 1: column 'start'", "no time zone"),
        ([FILES[3] | {"start": "noon"}], "row 1: column 'start'", "'noon'"),
        (
            [FILES[3] | {"start": "2023-04-02T02:30", "zone": "Australia/Adelaide"}],
            "row 1: column 'start'",
            "twice",
        ),
        (
            [FILES[2] | {"x": 1}, FILES[2] | {"file": "b.wav", "x": 2}],
            "row 2: column 'x'",
            "is 2.0 for the unit hut, and 1.0 in The table of units, row 1",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_row_and_column(table, place, why):
    with pytest.raises(InputError) as caught:
        UnitsTable.of(table)
    assert str(caught.value).startswith(f"The table of units, {place}")
    assert why in str(caught.value)


def test_two_rows_that_describe_a_file_equally_well_are_refused_when_it_comes():
    table = UnitsTable.of([{"unit": "a", "file": "x*.wav"}, {"unit": "b", "file": "*1.wav"}])
    assert table.unit_for("x2.wav").unit == "a"
    with pytest.raises(InputError, match=r"x1\.wav is described by two rows"):
        table.unit_for("x1.wav")
    table = UnitsTable.of([{"unit": "a", "file": "S1/x.wav"}, {"unit": "b", "file": "S2/x.wav"}])
    with pytest.raises(InputError, match="its folder"):
        table.unit_for("S3/x.wav")
