import csv

import numpy as np
import pandas as pd
import pytest

from tilewright.documents.clocks import TiePoint
from tilewright.documents.times import SECOND, utc_ns
from tilewright.errors import InputError
from tilewright.sources.recordings.clock_tables import read_clocks

T0, T1 = utc_ns("2023-04-25T00:00:00Z"), utc_ns("2023-05-02T00:00:00Z")
DRIFTS = [
    {"unit": "north", "time": "2023-05-02T00:00:00Z", "drift": "1.25", "uncertainty": "0.01"},
    {"unit": "north", "time": "2023-04-25T09:30:00+09:30", "drift": "0"},
    {"unit": "south", "time": "2023-04-25T00:00:00Z", "drift": "-0.000000001"},
]
TIES = {
    "north": [TiePoint(T0, T0), TiePoint(T1 + SECOND + SECOND // 4, T1, uncertainty=SECOND // 100)],
    "south": [TiePoint(T0 - 1, T0)],
}
SAMPLES = [
    {"unit": "south", "sample": "0", "utc": "2023-04-25T00:00:00Z"},
    {"unit": "south", "sample": "116121600240", "utc": "2023-05-02T00:00:00Z", "uncertainty": "1e-6"},
]


def as_csv(rows, path, delimiter=","):
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(params=["csv", "semicolons", "frame", "rows", "columns"])
def given(request, tmp_path):
    def make(rows):
        frame = pd.DataFrame(rows)
        return {
            "csv": lambda: as_csv(rows, tmp_path / "clocks.csv"),
            "semicolons": lambda: str(as_csv(rows, tmp_path / "clocks.csv", ";")),
            "frame": lambda: frame,
            "rows": lambda: rows,
            "columns": lambda: {name: frame[name].tolist() for name in frame},
        }[request.param]()

    return make


def test_a_drift_is_the_clock_minus_utc(given):
    assert read_clocks(given(DRIFTS)) == TIES


def test_samples_are_tied_as_they_are(given):
    assert read_clocks(given(SAMPLES)) == {
        "south": [TiePoint(T0, T0, 0), TiePoint(T1, T1, 116121600240, uncertainty=1000)]
    }


def test_both_kinds_of_rows_may_be_in_one_table(given):
    read = read_clocks(given([*DRIFTS, {"unit": "west", "sample": "5", "time": "2023-04-25T00:00:00Z"}]))
    assert read == TIES | {"west": [TiePoint(T0, T0, 5)]}


@pytest.mark.parametrize("time", [pd.Timestamp(T0, tz="Asia/Kathmandu"), np.datetime64(T0, "ns")])
def test_times_may_be_of_pandas_and_numpy(time):
    assert read_clocks([{"unit": 7, "time": time, "drift": 0.5}]) == {"7": [TiePoint(T0 + SECOND // 2, T0)]}


def test_names_of_columns_may_be_in_capitals_and_an_index_may_be_saved_along(tmp_path):
    path = tmp_path / "clocks.csv"
    path.write_text("﻿,Unit,Time,Drift\n0,north,2023-04-25T00:00:00Z,0\n\n1,,,\n")
    path.write_text(path.read_text().replace("1,,,\n", ""))
    assert read_clocks(path) == {"north": [TiePoint(T0, T0)]}


def test_a_spreadsheets_decimal_comma_is_read_where_commas_are_no_delimiters(tmp_path):
    path = tmp_path / "clocks.csv"
    path.write_text("unit;time;drift\nnorth;2023-04-25T00:00:00Z;-1,25\n")
    assert read_clocks(path) == {"north": [TiePoint(T0 - SECOND - SECOND // 4, T0)]}


def test_an_empty_table_ties_nothing():
    assert read_clocks([]) == {}


def rows(*others, **change):
    return [DRIFTS[0] | change, *others]


@pytest.mark.parametrize(
    ("table", "place", "why"),
    [
        (rows(time="2023-05-02T00:00:00"), "row 1: column 'time'", "no time zone"),
        (rows(time="2 May 2023"), "row 1: column 'time'", "no time in ISO 8601"),
        (rows(time=1.5), "row 1: column 'time'", "1.5"),
        (rows(time=""), "row 1: column 'time'", "empty"),
        (rows(utc="2023-05-02T00:00:00Z"), "row 1: column 'time'", "beside utc"),
        (rows(unit=None), "row 1: column 'unit'", "empty"),
        (rows(drift="fast"), "row 1: column 'drift'", "'fast'"),
        (rows(drift="inf"), "row 1: column 'drift'", "'inf'"),
        (rows(drift=""), "row 1: column 'drift'", "so is sample"),
        (rows(sample="3"), "row 1: column 'drift'", "beside sample"),
        (rows(uncertainty="-1"), "row 1: column 'uncertainty'", "-1"),
        (rows(offset="1"), "row 1: column 'offset'", "none of a table of clocks"),
        (rows(DRIFTS[0]), "row 2", r"another row for this time (The table of clocks, row 1)"),
        (
            rows(DRIFTS[0] | {"time": "2023-05-02T00:00:01Z", "drift": "0.2"}),
            "row 2: by column 'drift'",
            "sign",
        ),
        ([SAMPLES[0] | {"sample": "1.5"}], "row 1: column 'sample'", "1.5"),
        ([SAMPLES[0] | {"sample": "-1"}], "row 1: column 'sample'", "-1"),
        ([SAMPLES[0] | {"sample": "116121600240"}, SAMPLES[1]], "row 2: column 'sample'", "goes back"),
    ],
)
def test_what_cannot_be_is_refused_by_row_and_column(table, place, why):
    with pytest.raises(InputError) as caught:
        read_clocks(table)
    assert str(caught.value).startswith(f"The table of clocks, {place}")
    assert why in str(caught.value)


def test_in_a_file_the_message_names_the_file(tmp_path):
    path = as_csv([*DRIFTS, DRIFTS[0] | {"drift": "x"}], tmp_path / "clocks.csv")
    with pytest.raises(InputError, match=r"clocks\.csv, row 4: column 'drift'"):
        read_clocks(path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"unit,time,time\n", "more than one column is called 'time'"),
        (b"unit,time,drift\nnorth,2023-04-25T00:00:00Z,1,25\n", "4 cells, and there are 3 columns"),
        (b"\xff\xfe\x00u", "no table in CSV"),
    ],
)
def test_what_is_no_table_is_refused(content, why, tmp_path):
    path = tmp_path / "clocks.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=why):
        read_clocks(path)


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (5, "expected a CSV file"),
        ([5], "row 1: expected a dictionary"),
        ({"unit": "north"}, "column 'unit': expected a list"),
        ({"unit": ["north"], "time": []}, "different lengths"),
    ],
)
def test_other_things_are_no_tables(table, why):
    with pytest.raises(InputError, match=why):
        read_clocks(table)


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(InputError, match="cannot read the table"):
        read_clocks(tmp_path / "clocks.csv")
