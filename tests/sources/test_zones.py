# ruff: noqa: DTZ001 - what a clock shows has no zone
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.documents.times import SECOND, utc_ns
from tilewright.errors import InputError
from tilewright.sources.zones import as_zone, local_ns, wall_clock


def fixed(hours, minutes=0):
    return timezone(timedelta(hours=hours, minutes=minutes))


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("Z", UTC),
        ("utc", UTC),
        ("GMT", UTC),
        ("+09:30", fixed(9, 30)),
        ("+0930", fixed(9, 30)),
        ("+9:30", fixed(9, 30)),
        ("+1030", fixed(10, 30)),
        ("+05:45", fixed(5, 45)),
        ("-03:30", fixed(-3, -30)),
        ("\N{MINUS SIGN}03:30", fixed(-3, -30)),
        ("-00:30", fixed(0, -30)),
        ("+9", fixed(9)),
        ("UTC+9:30", fixed(9, 30)),
        ("UTC-10", fixed(-10)),
        ("+14", fixed(14)),
        (" -12 ", fixed(-12)),
        ("Australia/Darwin", ZoneInfo("Australia/Darwin")),
    ],
)
def test_a_zone_is_an_offset_or_a_name(text, zone):
    assert as_zone(text) == zone


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "+25",
        "+14:01",
        "-12:30",
        "+09:75",
        "ACST?",
        "Nowhere/Else",
        "Australia",
        "../etc/passwd",
        9.5,
        "9:30",
    ],
)
def test_what_is_no_zone_is_refused_with_what_would_be_one(text):
    with pytest.raises(InputError, match=r"zone.*\+09:30"):
        as_zone(text)


def test_a_tzinfo_stays_what_it_is_and_none_is_not_known():
    assert as_zone(None) is None
    assert as_zone(ZoneInfo("Asia/Kathmandu")) == ZoneInfo("Asia/Kathmandu")


class Localising(tzinfo):
    """Behaves as the zones of pytz do: attached to a time, it is of the 19th century."""

    zone = "Australia/Adelaide"

    def localize(self, moment):
        raise NotImplementedError

    def utcoffset(self, moment):
        return timedelta(hours=9, minutes=14)


def test_a_zone_of_pytz_is_taken_by_its_name():
    assert as_zone(Localising()) == ZoneInfo("Australia/Adelaide")


@pytest.mark.parametrize(
    ("local", "often", "why"),
    [
        (datetime(2023, 4, 2, 2, 30), "twice", "ended"),
        (datetime(2022, 10, 2, 2, 30), "never", "began"),
    ],
)
def test_a_time_that_was_twice_or_never_is_refused_with_ways_out(local, often, why):
    with pytest.raises(InputError) as caught:
        local_ns(local, ZoneInfo("Australia/Adelaide"), "a_20230402_023000.wav")
    message = str(caught.value)
    assert message.startswith("a_20230402_023000.wav")
    assert often in message
    assert why in message
    assert "--zone" in message
    assert "--units" in message


def test_a_fixed_offset_has_each_time_once():
    assert local_ns(datetime(2023, 4, 2, 2, 30), fixed(9, 30), "a") == utc_ns("2023-04-02T02:30:00+09:30")


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2099, 1, 1)),
    st.sampled_from(
        ["Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu", "Europe/Dublin", "+13:45", "-03:30"]
    ),
)
def test_local_time_and_utc_are_each_others_way_back(local, name):
    zone = as_zone(name)
    try:
        time = local_ns(local, zone, "x")
    except InputError:
        assert not isinstance(zone, timezone)
        return
    assert wall_clock(time, zone) == local


@given(
    st.integers(0, 4_000_000_000),
    st.sampled_from(["Australia/Lord_Howe", "America/St_Johns", "Europe/Dublin"]),
)
def test_what_a_clock_shows_is_read_back_or_refused_because_it_was_shown_twice(seconds, name):
    zone = ZoneInfo(name)
    try:
        assert local_ns(wall_clock(seconds * SECOND, zone), zone, "x") == seconds * SECOND
    except InputError as error:
        assert "twice" in str(error)  # noqa: PT017 - either outcome is right
