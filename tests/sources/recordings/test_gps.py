import pytest

from tilewright.documents.times import SECOND, utc_ns
from tilewright.errors import InputError
from tilewright.sources.recordings.gps import is_log, parse_log, read_log
from tilewright.sources.scan import log_beside

HEADER = (
    "PPS_NUMBER,AUDIOMOTH_TIME,SAMPLES,TOTAL_SAMPLES,TIMER_COUNT,BUFFERS_FILLED,BUFFERS_WRITTEN,"
    "LAST_RMC_AUDIOMOTH_TIME,LAST_RMC_GPS_TIME,STATUS,LAT_DEG,LAT_MIN,LAT_DIR,LONG_DEG,LONG_MIN,LONG_DIR"
)
RATE = 48000
T0 = utc_ns("2024-05-28T10:00:00Z")


def row(
    number, status="A", *, clock_ms=3, total=None, told=None, told_at=None, place="39,54.3709,N,079,21.8860,W"
):
    """Return the row of a pulse: its own clock is 3 ms ahead, and RMC comes half a second after a pulse."""
    total = number * RATE if total is None else total
    start = f"2024-05-28T10:00:{number:02}.{clock_ms:03},48000,{total},944,2,2"
    if number == 0 and told is None:
        return f"0,{start},,,,,,,,,"
    before = number - 1
    told_at = f"2024-05-28T10:00:{before:02}.503" if told_at is None else told_at
    told = f"2024-05-28T10:00:{before:02}.000" if told is None else told
    return f"{number},{start},{told_at},{told},{status},{place}"


def log(*rows):
    return parse_log([HEADER, *rows], RATE, "a.csv")


def ties(*numbers):
    return tuple((number * RATE, T0 + number * SECOND, 20834) for number in numbers)


def find_log(recording):
    found = log_beside(recording)
    return found if found is not None and is_log(found) else None


def test_the_real_log_ties_each_pulse_to_the_time_in_the_row_after(test_data):
    recording = test_data / "audio" / "audiomoth_gps.wav"
    told = read_log(find_log(recording), 48000)
    assert told.ties == (
        (0, utc_ns("2024-05-28T10:00:00Z"), 20834),
        (47999, utc_ns("2024-05-28T10:00:01Z"), 20834),
        (95999, utc_ns("2024-05-28T10:00:02Z"), 20834),
    )
    assert told.remarks == ()
    assert told.latitude == pytest.approx(39 + 54.3709 / 60)
    assert told.longitude == pytest.approx(-79 - 21.886 / 60)


def test_of_the_other_real_recordings_none_has_a_log(test_data):
    found = {path.name for path in (test_data / "audio").glob("*.wav") if find_log(path)}
    assert found == {"audiomoth_gps.wav"}
    assert not is_log(test_data / "audio" / "LOCA_2021_aru_coords.csv")


def test_the_last_pulse_has_no_time():
    assert log(row(0), row(1), row(2)).ties == ties(0, 1)


def test_a_log_needs_two_rows():
    assert log().ties == log(row(0)).ties == ()


def test_a_time_without_a_fix_is_not_taken_and_said_once():
    told = log(row(0), row(1, "V"), row(2, "V"), row(3), row(4))
    assert told.ties == ties(2, 3)
    assert told.remarks == ("a.csv: at 2 of 5 pulses the receiver had no fix",)


@pytest.mark.parametrize(
    ("rows", "left", "line", "why"),
    [
        ([row(0), row(1), "2,2024-05-28T10:0", row(3), row(4)], (0, 3), 4, "cannot be read (2 cells of 16)"),
        ([row(0), row(1), row(2), row(3)[:-40]], (0, 1), 5, "cannot be read"),
        ([row(0), row(1), row(3), row(4)], (0, 3), 4, "no row for the pulse before it (2)"),
        ([row(0), row(1), row(2, total="x"), row(3), row(4)], (0, 3), 4, "cannot be read"),
        ([row(0), row(1), row(2, told="2024-05-28T10:00:01.100"), row(3)], (0, 2), 4, "between two seconds"),
        ([row(0), row(1), row(2, told="garbage"), row(3), row(4)], (0, 3), 4, "cannot be read"),
        ([row(0), row(1), row(2, told_at="2024-05-28T10:00:00.503"), row(3)], (0, 2), 4, "another pulse"),
        ([row(0), row(1), row(2, told_at="2024-05-28T10:00:02.503"), row(3)], (0, 2), 4, "another pulse"),
        ([row(0), row(1), row(2, total=47000), row(3, total=144000)], (0,), 4, "does not grow"),
        ([row(0), row(1), row(2, told="2024-05-28T09:59:59.000"), row(3)], (0, 2), 4, "goes back"),
    ],
)
def test_a_damaged_row_is_left_out_and_remarked_with_its_line(rows, left, line, why):
    told = log(*rows)
    assert [tie.utc_ns for tie in told.ties][: len(left)] == [T0 + number * SECOND for number in left]
    remarks = [remark for remark in told.remarks if remark.startswith(f"a.csv, line {line}: ")]
    assert remarks
    assert why in remarks[0]


def test_of_many_damaged_rows_a_few_are_told():
    told = log(row(0), *["x"] * 50, row(1))
    assert told.ties == ties(0)
    assert len(told.remarks) == 11
    assert "40 more rows" in told.remarks[-1]


def test_bytes_that_are_no_text_damage_their_row_only(tmp_path):
    path = tmp_path / "a.csv"
    lines = [HEADER, row(0), row(1), "\N{REPLACEMENT CHARACTER}", row(3), row(4)]
    path.write_bytes(
        "\r\n".join(lines).encode().replace("\N{REPLACEMENT CHARACTER}".encode(), b"\xff\x00\xfe")
    )
    assert read_log(path, RATE).ties == ties(0, 3)


def test_a_place_that_cannot_be_read_does_not_cost_the_time():
    told = log(row(0), row(1, place="x,y,N,1,2,W"), row(2, place="33,30.0,S,151,15.0,E"))
    assert told.ties == ties(0, 1)
    assert (told.latitude, told.longitude) == (-33.5, 151.25)


def test_the_uncertainty_is_one_sample_of_the_rate():
    lines = [HEADER, row(0), row(1)]
    assert [parse_log(lines, rate, "a.csv").ties[0].uncertainty_ns for rate in (192000, 48000, 8000)] == [
        5209,
        20834,
        125000,
    ]


def test_a_table_of_something_else_is_no_log(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("file,x,y\n")
    assert find_log(tmp_path / "a.wav") is None
    with pytest.raises(InputError, match=r"a\.csv is no GPS log .* PPS_NUMBER"):
        read_log(path, RATE)
    with pytest.raises(InputError, match="cannot read the GPS log"):
        read_log(tmp_path / "b.csv", RATE)


def test_a_log_is_found_beside_its_recording_in_either_case(tmp_path):
    assert find_log(tmp_path / "a.WAV") is None
    (tmp_path / "a.CSV").write_text(HEADER + "\n")
    assert find_log(tmp_path / "a.WAV").suffix.lower() == ".csv"
