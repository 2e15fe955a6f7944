"""What names tell. The forms are those of the recorders; where one comes from is said in the module's head."""
# ruff: noqa: DTZ001 - what a clock shows has no zone

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.documents.times import SECOND, utc_ns
from tilewright.errors import InputError
from tilewright.sources.recordings.names import NameFacts, parse_name

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MILLISECOND = SECOND // 1000

WITH_A_ZONE = {
    "5B07C752.WAV": ("AudioMoth hexadecimal", None, "2018-05-25T08:20:34Z"),
    "5B5F0C5C.WAV": ("AudioMoth hexadecimal", None, "2018-07-30T13:02:20Z"),
    "5AFCD4F4.WAV": ("AudioMoth hexadecimal", None, "2018-05-17T01:03:48Z"),
    "20180416T120000+1000_REC.flac": ("Frontier Labs", None, "2018-04-16T12:00:00+10:00"),
    "20180416T120000+0930_REC.flac": ("Frontier Labs", None, "2018-04-16T12:00:00+09:30"),
    "20180416T120000+1030_REC.flac": ("Frontier Labs", None, "2018-04-16T12:00:00+10:30"),
    "20180416T120000+0545_REC.flac": ("Frontier Labs", None, "2018-04-16T12:00:00+05:45"),
    "20180416T120000-0330_REC.flac": ("Frontier Labs", None, "2018-04-16T12:00:00-03:30"),
    "20180416T120000Z_REC.flac": ("Frontier Labs", None, "2018-04-16T12:00:00Z"),
    "201906 7T095935+1000_REC.flac": ("Frontier Labs", None, "2019-06-07T09:59:35+10:00"),
    "site_20200101T000000Z.wav": ("ISO 8601", "site", "2020-01-01T00:00:00Z"),
    "2020-01-01T00-00-00+0930.wav": ("ISO 8601", None, "2020-01-01T00:00:00+09:30"),
    "2020-01-01T00:00:00-05:00.wav": ("ISO 8601", None, "2020-01-01T00:00:00-05:00"),
    "2020-01-01T00-00-00-0500.wav": ("ISO 8601", None, "2020-01-01T00:00:00-05:00"),
    "20091219T070006+1000_00600.wav": ("ISO 8601", None, "2009-12-19T07:00:06+10:00"),
    "20200101T000000+10.wav": ("ISO 8601", None, "2020-01-01T00:00:00+10:00"),
    "OLONG-SOLAR_0+1_20180221T031609+1000.wav": ("ISO 8601", "OLONG-SOLAR", "2018-02-21T03:16:09+10:00"),
    "PREFIX_20190621_124200-0500.wav": ("Song Meter", "PREFIX", "2019-06-21T12:42:00-05:00"),
    "PREFIX_-0500_20190621_124200.wav": ("Song Meter", "PREFIX", "2019-06-21T12:42:00-05:00"),
    "WOO_20170611_100000+1000.wav": ("Song Meter", "WOO", "2017-06-11T10:00:00+10:00"),
    "0000514b-9329_20100503-080000Z.mp3": ("date and time", "0000514b-9329", "2010-05-03T08:00:00Z"),
}

WITHOUT_A_ZONE = {
    "20230425_150920.WAV": ("AudioMoth", None, datetime(2023, 4, 25, 15, 9, 20)),
    "20230425_150920T.WAV": ("AudioMoth", None, datetime(2023, 4, 25, 15, 9, 20)),
    "24F3190361DA539A_20230425_150920.WAV": (
        "AudioMoth",
        "24F3190361DA539A",
        datetime(2023, 4, 25, 15, 9, 20),
    ),
    "24F3190361DA539A_20230425_150920T.WAV": (
        "AudioMoth",
        "24F3190361DA539A",
        datetime(2023, 4, 25, 15, 9, 20),
    ),
    "WOOD_24F3190361DA539A_20230425_150920_SYNC.WAV": (
        "AudioMoth",
        "24F3190361DA539A",
        datetime(2023, 4, 25, 15, 9, 20),
    ),
    "20230425_150920_24F3190361DA539A.wav": (
        "AudioMoth",
        "24F3190361DA539A",
        datetime(2023, 4, 25, 15, 9, 20),
    ),
    "20230425_150920_SYNC.WAV": ("AudioMoth", None, datetime(2023, 4, 25, 15, 9, 20)),
    "20180517_010348.5AFCD4F4.WAV": ("AudioMoth", None, datetime(2018, 5, 17, 1, 3, 48)),
    "THOMPSON_20170625_102105.wav": ("Song Meter", "THOMPSON", datetime(2017, 6, 25, 10, 21, 5)),
    "NW3-010793_20140331_053200.wav": ("Song Meter", "NW3-010793", datetime(2014, 3, 31, 5, 32)),
    "SM301297_0+1_20170912_220000.wav": ("Song Meter", "SM301297", datetime(2017, 9, 12, 22, 0)),
    "PREFIX_0+1_20150601_000000": ("Song Meter", "PREFIX", datetime(2015, 6, 1)),
    "OLONG-CH1_0+1_20171121$143444.wav": ("Song Meter", "OLONG-CH1", datetime(2017, 11, 21, 14, 34, 44)),
    "ARIZONA-1_20161023$195550.wac": ("Song Meter", "ARIZONA-1", datetime(2016, 10, 23, 19, 55, 50)),
    "WALDEN_20240601_140505.wav": ("Song Meter", "WALDEN", datetime(2024, 6, 1, 14, 5, 5)),
    "aru_1_20190621_124200.wav": ("Song Meter", "aru_1", datetime(2019, 6, 21, 12, 42)),
    "PREFIX_0_20150601_000000.wav": ("Song Meter", "PREFIX_0", datetime(2015, 6, 1)),
    "PREFIX_20190621_124200-05.wav": (
        "Song Meter",
        "PREFIX",
        datetime(2019, 6, 21, 12, 42),
    ),  # a file's number?
    "PREFIX_20190621_124200-1575.wav": ("Song Meter", "PREFIX", datetime(2019, 6, 21, 12, 42)),
    "671666216.180701120003.wav": ("SoundTrap", "671666216", datetime(2018, 7, 1, 12, 0, 3)),
    "671666216.180701120003": ("SoundTrap", "671666216", datetime(2018, 7, 1, 12, 0, 3)),
    "20070415051314.wav.trimmed.wav": ("date and time", None, datetime(2007, 4, 15, 5, 13, 14)),
    "20150703_050000_MusimunatDay2.wav": ("AudioMoth", None, datetime(2015, 7, 3, 5)),
    "site_2020-01-01_00-00-00.wav": ("Song Meter", "site", datetime(2020, 1, 1)),
}

NO_TIME = [
    "aru_1.wav",
    "LOCA_2021_09_24_652_3.wav",
    "LOCA_2021_09_24_652_8_late_start.wav",
    "short_no_metadata.wav",
    "empty_2c.wav",
    "12345678.wav",  # eight digits that would be of 1979
    "20230425.wav",  # a date, and as a hexadecimal number of 1987
    "00000000.WAV",
    "FFFFFFFF.WAV",
    "DEADBEEF.WAV",
    "5b07c752.wav",  # AudioMoths write capitals
    "5AFCD4F45AFCD4F4A.WAV",
    "prefix5AFCD4F4prefix.WAV",
    "REC_20230425.wav",
    "site_180801_1630.wav",  # no century, no seconds
    "20231325_150920.wav",
    "20230230_150920.wav",
    "20230425_250920.wav",
    "18991231_235959.wav",
    "99999999_999999.wav",
    "120230425_150920.wav",
    "671666216.181301120003.wav",
    "track 01.wav",
    "",
    ".wav",
]


@pytest.mark.parametrize(("name", "told"), WITH_A_ZONE.items())
def test_a_name_with_a_zone_tells_a_moment(name, told):
    scheme, unit, start = told
    for zone in (None, "-09:00"):  # the name's own zone comes first
        facts = parse_name(name, zone, now=NOW)
        assert (facts.scheme, facts.unit, facts.start_ns) == (scheme, unit, utc_ns(start))
        assert (facts.local, facts.precision_ns, facts.remark) == (None, SECOND, "")


@pytest.mark.parametrize(("name", "told"), WITHOUT_A_ZONE.items())
def test_a_name_without_a_zone_tells_what_a_clock_showed(name, told):
    scheme, unit, local = told
    facts = parse_name(name, now=NOW)
    assert (facts.scheme, facts.unit, facts.local) == (scheme, unit, local)
    assert facts.start_ns is None


@pytest.mark.parametrize(("name", "told"), WITHOUT_A_ZONE.items())
def test_given_the_zone_it_tells_a_moment(name, told):
    facts = parse_name(name, "+09:30", now=NOW)
    assert facts.start_ns == utc_ns(told[2].isoformat() + "+09:30")
    assert facts.local is None


@pytest.mark.parametrize("name", NO_TIME)
@pytest.mark.parametrize("zone", [None, "Z"])
def test_a_name_without_a_time_of_day_tells_none(name, zone):
    facts = parse_name(name, zone, now=NOW)
    assert (facts.scheme, facts.start_ns, facts.end_ns, facts.local) == ("", None, None, None)


def test_the_time_of_a_hexadecimal_name_is_from_2015_to_tomorrow():
    def of(moment):
        return f"{int(moment.timestamp()):08X}.WAV"

    first, tomorrow = datetime(2015, 1, 1, tzinfo=UTC), NOW + timedelta(days=1)
    for moment in (first, NOW, tomorrow):
        assert parse_name(of(moment), now=NOW).start_ns == utc_ns(moment)
    for moment in (first - timedelta(seconds=1), tomorrow + timedelta(seconds=1)):
        assert parse_name(of(moment), now=NOW).start_ns is None


def test_without_now_the_clock_of_the_machine_counts():
    assert parse_name("5B07C752.WAV").start_ns == utc_ns("2018-05-25T08:20:34Z")


@pytest.mark.parametrize(
    ("name", "start", "precision"),
    [
        ("FNQ-RBS_20190102_044802_010.wav", "2019-01-02T04:48:02.010Z", MILLISECOND),
        ("PREFIX_20190621_124200_000.wav", "2019-06-21T12:42:00Z", MILLISECOND),
        ("20230425_150920_500.WAV", "2023-04-25T15:09:20.500Z", MILLISECOND),
        ("20091219T070006.789Z_00600.wav", "2009-12-19T07:00:06.789Z", MILLISECOND),
        (
            "20161108T075126.123456-0430_Dawn [-39.5336 -131.2711].wav",
            "2016-11-08T07:51:26.123456-04:30",
            1000,
        ),
        (
            "20190101_120000_130000.wav",
            "2019-01-01T12:00:00Z",
            SECOND,
        ),  # another time of day, or microseconds
        ("20190101_120000_13.wav", "2019-01-01T12:00:00Z", SECOND),
    ],
)
def test_fractions_of_a_second_say_how_precise_it_is(name, start, precision):
    facts = parse_name(name, "Z", now=NOW)
    assert (facts.start_ns, facts.precision_ns) == (utc_ns(start), precision)


@pytest.mark.parametrize(
    ("name", "start", "end", "unit"),
    [
        (
            "S20190718T020000+1000_E20190718T033000+1000_+31.2-89.7.wav",
            "2019-07-18T02:00:00+10:00",
            "2019-07-18T03:30:00+10:00",
            None,
        ),
        (
            "S20190718T020000+1030_E20190718T033000+1030.wav",
            "2019-07-18T02:00:00+10:30",
            "2019-07-18T03:30:00+10:30",
            None,
        ),
        (
            "S20240815T091156.982648+1000_E20240815T091251.967555+1000_-12.34567+78.98102.wav",
            "2024-08-15T09:11:56.982648+10:00",
            "2024-08-15T09:12:51.967555+10:00",
            None,
        ),
        (  # across the end of summer time
            "S20230402T020000+1030_E20230402T023000+0930.flac",
            "2023-04-02T02:00:00+10:30",
            "2023-04-02T02:30:00+09:30",
            None,
        ),
        (
            "north_20200101T000000Z_20200101T010000.wav",
            "2020-01-01T00:00:00Z",
            "2020-01-01T01:00:00Z",
            "north",
        ),
        (
            "bay_S20200101T000000Z_E20200101T010000Z.wav",
            "2020-01-01T00:00:00Z",
            "2020-01-01T01:00:00Z",
            "bay",
        ),
        ("BUS_20200101T000000Z_20200101T010000Z.wav", "2020-01-01T00:00:00Z", "2020-01-01T01:00:00Z", "BUS"),
    ],
)
def test_two_times_are_start_and_end(name, start, end, unit):
    facts = parse_name(name)
    assert (facts.start_ns, facts.end_ns, facts.unit) == (utc_ns(start), utc_ns(end), unit)


def test_two_times_without_a_zone_wait_for_one():
    name = "north_20200101_000000_20200101_010000.wav"
    facts = parse_name(name)
    assert (facts.local, facts.local_end) == (datetime(2020, 1, 1), datetime(2020, 1, 1, 1))
    facts = parse_name(name, "+05:45")
    assert (facts.start_ns, facts.end_ns) == (
        utc_ns("2020-01-01T00:00+05:45"),
        utc_ns("2020-01-01T01:00+05:45"),
    )


@pytest.mark.parametrize(
    "name", ["S20190718T020000Z_E20190718T010000Z.wav", "a_20190718T020000Z_exported_20200718T010000Z.wav"]
)
def test_a_second_time_that_is_no_end_is_remarked(name):
    facts = parse_name(name)
    assert facts.start_ns == utc_ns("2019-07-18T02:00:00Z")
    assert facts.end_ns is None
    assert "no end" in facts.remark


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("20180416T120000+1000_REC [-27.3888+152.8808].flac", (-27.3888, 152.8808)),
        ("20190626T160000+1000_REC_-27.3888+152.8808.flac", (-27.3888, 152.8808)),
        ("20180226_040000_Bar29 _27.2819 90.1361_.wav", (27.2819, 90.1361)),
        ("20180226_040000_Bar29 [27.2819 90.1361].wav", (27.2819, 90.1361)),
        ("20160823_063006_Dawn _-1.4763 178.8986_.wav", (-1.4763, 178.8986)),
        ("20210617T080000+0000_Rec2_-18.2656+144.5564.flac", (-18.2656, 144.5564)),
        ("20180226_040000Z_+40.1213-075.0015+2.79CRSWGS_84.flac", (40.1213, -75.0015)),
        ("20180226_040000Z_+95.1213-075.0015.flac", (None, None)),
        ("20180226_040000Z_+40.1213-190.0015.flac", (None, None)),
        ("20180226_040000Z.flac", (None, None)),
    ],
)
def test_a_place_is_told_in_degrees(name, place):
    facts = parse_name(name)
    assert (facts.latitude, facts.longitude) == place
    assert facts.unit is None


@pytest.mark.parametrize(
    "path", [Path("a/20200101_000000Z/x_20230425_150920Z.WAV"), r"C:\data\x_20230425_150920Z.WAV"]
)
def test_of_a_path_the_last_part_is_the_name(path):
    assert parse_name(path).start_ns == utc_ns("2023-04-25T15:09:20Z")
    assert parse_name(path).unit == "x"


def test_a_time_that_the_zone_does_not_settle_is_refused_by_the_name_of_the_file():
    with pytest.raises(InputError, match=r"^north_20230402_023000\.wav: .* twice"):
        parse_name("some/where/north_20230402_023000.wav", "Australia/Adelaide")
    with pytest.raises(InputError, match="never"):
        parse_name("north_20221002_023000.wav", "Australia/Adelaide")


def test_an_unknown_zone_is_refused_whatever_the_name():
    with pytest.raises(InputError, match="ACDT"):
        parse_name("aru_1.wav", "ACDT")


def test_an_id_without_a_time_is_still_a_unit():
    assert parse_name("24F3190361DA539A.WAV") == NameFacts(unit="24F3190361DA539A")


@pytest.mark.parametrize("prefix", ["REC", "rec_01", "Recording", "AUDIO-3", "track 7"])
def test_a_prefix_that_a_maker_gives_to_all_files_is_no_unit(prefix):
    facts = parse_name(f"{prefix}_20230425_150920Z.wav")
    assert (facts.unit, facts.start_ns) == (None, utc_ns("2023-04-25T15:09:20Z"))


TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2099, 12, 31)).map(
    lambda time: time.replace(microsecond=0)
)
OFFSETS = st.integers(-12 * 4, 14 * 4).map(lambda quarters: quarters * 15)
PREFIXES = st.from_regex(r"([A-Za-z][A-Za-z0-9-]{0,8}_)?", fullmatch=True)


@given(
    PREFIXES,
    TIMES,
    OFFSETS,
    st.sampled_from(["{:%Y%m%dT%H%M%S}", "{:%Y%m%d_%H%M%S}", "{:%Y-%m-%dT%H-%M-%S}"]),
)
def test_every_quarter_of_an_hour_on_earth_is_a_zone(prefix, time, minutes, form):
    sign, size = "-" if minutes < 0 else "+", abs(minutes)
    name = f"{prefix}{form.format(time)}{sign}{size // 60:02}{size % 60:02}_REC.flac"
    expected = utc_ns((time - timedelta(minutes=minutes)).replace(tzinfo=UTC))
    assert parse_name(name).start_ns == expected


@given(
    PREFIXES,
    TIMES,
    st.sampled_from(["_", "$"]),
    st.sampled_from(["", "T", "_SYNC", "_24F3190361DA539A", "_rain"]),
)
def test_what_a_clock_showed_is_found_among_other_things(prefix, time, between, suffix):
    name = f"{prefix}{time:%Y%m%d}{between}{time:%H%M%S}{suffix}.wav"
    assert parse_name(name).local == time


@given(
    st.text(max_size=60) | st.from_regex(r"[0-9A-FTZ_+. -]{0,60}", fullmatch=True),
    st.sampled_from([None, "Z", "+05:45"]),
)
def test_no_name_raises(name, zone):
    facts = parse_name(name, zone, now=NOW)
    assert facts.start_ns is None or facts.scheme
    assert zone is None or facts.local is None
