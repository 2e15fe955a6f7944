"""What names of recordings tell."""

import pytest

from tilewright.errors import InputError
from tilewright.sources.embeddings.names import Column, NamePattern, UnfitNameError

NAME = "site_0285/20201014T010000+1030_Arkaba-Dry-A_49500.flac"
HOUR = 3600


def columns(name, **options):
    pattern = NamePattern(**options)
    return dict(zip([column.name for column in pattern.columns], pattern(name).values, strict=True))


def test_the_seeds_own_name():
    assert columns(NAME) == {
        "site_id": 285,
        "site_name": "Arkaba",
        "subsite_name": "Dry-A",
        "file_seq_id": 49500,
        "recording_start": 1_602_599_400 * 10**9,  # 2020-10-13T14:30:00Z
        "utc_offset": int(10.5 * HOUR),
        "seconds_since_midnight": HOUR,
    }


@pytest.mark.parametrize(
    ("zone", "offset"),
    [("Z", 0), ("+0000", 0), ("+0930", 9.5 * HOUR), ("-0330", -3.5 * HOUR), ("+1300", 13 * HOUR)],
)
def test_zones(zone, offset):
    found = columns(NAME.replace("+1030", zone))
    assert found["utc_offset"] == offset
    assert found["recording_start"] == (1_602_637_200 - offset) * 10**9
    assert found["seconds_since_midnight"] == HOUR


def test_a_site_with_hyphens():
    found = columns(NAME.replace("Arkaba", "Wilsons-Prom_2").replace("Dry-A", "Wet-B"))
    assert (found["site_name"], found["subsite_name"]) == ("Wilsons-Prom_2", "Wet-B")


def test_a_zone_that_is_not_told():
    name = NAME.replace("+1030", "")
    with pytest.raises(UnfitNameError, match=r"does not say of which zone.*--zone"):
        NamePattern()(name)
    assert columns(name, zone="+10:30")["utc_offset"] == int(10.5 * HOUR)
    assert columns(name, zone="Australia/Adelaide")["utc_offset"] == int(10.5 * HOUR)  # summer time


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "does not match"),
        ("x.flac", "does not match"),
        (NAME.replace("Dry-A", "Dry-C"), "does not match"),
        (NAME.replace("20201014", "20201341"), "no year, month, day"),
        (NAME.replace("+1030", "+9930"), "no offset that is in use"),
        ("site_0285/" + "a-" * 4000, "does not match"),
    ],
)
def test_names_that_do_not_fit(name, told):
    with pytest.raises(UnfitNameError, match=told):
        NamePattern()(name)


def test_a_pattern_of_ones_own():
    pattern = NamePattern(
        r"(?P<device>[A-Z]+\d)_(?P<number>\d+)_(?P<datetime>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", "Z"
    )
    assert pattern.columns[:2] == (Column("device", "string"), Column("number", "integer"))
    found = pattern("deep/SM4_007_2020-10-14 01:00:00.wav")
    assert found.values == ("SM4", 7, 1_602_637_200 * 10**9, 0, HOUR)


def test_a_pattern_without_times():
    pattern = NamePattern(r"(?P<site>\w+)_(?P<number>\d*)\.wav")
    assert (pattern("x_.wav").values, pattern("x_3.wav").values) == (("x", None), ("x", 3))
    assert pattern("x_3.wav").start is None
    with pytest.raises(UnfitNameError, match="too large"):
        pattern(f"x_{2**63}.wav")


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(", "no regular expression"),
        (r"site_\d+", "no named groups"),
        (r"(?P<filename>.*)", "a column of that name"),
        (r"(?P<timezone>Z)", "no 'datetime'"),
    ],
)
def test_patterns_that_cannot_be(pattern, told):
    with pytest.raises(InputError, match=told):
        NamePattern(pattern)
