# ruff: noqa: DTZ001 - what a clock shows has no zone
"""What headers and names tell, together. The chunks are as recorders write them; what is wrong in one never raises."""

import struct
from datetime import datetime

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tilewright.audio import AudioFacts, probe
from tilewright.documents.times import SECOND, utc_ns
from tilewright.errors import InputError
from tilewright.sources.recordings.metadata import FileMetadata, describe, question

RATE = 48000
ID, OTHER = "24F3190361DA539A", "0123456789ABCDEF"
ARTIST = f"AudioMoth {ID}"


def facts(*, rate=RATE, tags=None, **chunks):
    content = {
        name: text.encode() + b"\0" * 8 if isinstance(text, str) else text for name, text in chunks.items()
    }
    return AudioFacts("WAV", 0, 0, rate, 1, 16, np.dtype("<i2"), chunks=content, tags=tags or {})


def audiomoth(comment, artist=ARTIST):
    return facts(ICMT=comment, IART=artist)


def comment(time="15:09:20 25/04/2023", zone=" (UTC+9:30)", more=None):
    by = f"by AudioMoth {ID}"
    return f"Recorded at {time}{zone} {more or f'{by} at medium gain while battery was 4.2V and temperature was 21.5C.'}"


OLD = f"by AudioMoth {ID} at gain setting 2 while battery state was"
MIDDLE = f"by AudioMoth {ID} at medium gain setting while battery state was"
NEW = f"by AudioMoth {ID} at medium gain while battery was"

FORMS = {
    # What the firmwares write after the zone: battery, temperature, firmware as metamoth recognises it, whether it does.
    f"{OLD} 4.2V.": (4.2, None, "1.2.0", True),
    f"{OLD} < 3.6V.": (3.6, None, "1.2.0", True),
    f"{OLD} > 5.0V.": (5.0, None, "1.2.0", True),
    f"{OLD} less than 3.6V.": (3.6, None, "1.2.1", True),
    f"{OLD} greater than 4.9V.": (5.0, None, "1.2.1", True),
    f"{OLD} 4.2V. Recording cancelled before completion due to low battery voltage.": (
        4.2,
        None,
        "1.2.1",
        True,
    ),
    f"{MIDDLE} 4.2V and temperature was 21.5C.": (4.2, 21.5, "1.4.0", True),
    f"{MIDDLE} less than 2.5V and temperature was -7.0C. Amplitude threshold was 44.": (
        2.5,
        -7,
        "1.4.0",
        True,
    ),
    f"{MIDDLE} 4.2V and temperature was 0.0C. Recording cancelled before completion due to file size limit.": (
        4.2,
        0,
        "1.4.2",
        True,
    ),
    f"during deployment {OTHER} using external microphone at medium gain setting while battery state was 4.2V and "
    "temperature was 21.5C.": (4.2, 21.5, None, False),  # 1.5
    f"{NEW} 4.2V and temperature was 21.5C.": (4.2, 21.5, "1.6.0", True),
    f"{NEW} greater than 4.9V and temperature was 21.5C. Amplitude threshold was -62 dB with 5s minimum trigger duration. "
    "Band-pass filter with frequencies of 1.0kHz and 6.0kHz applied. Recording stopped due to low voltage.": (
        5.0,
        21.5,
        "1.6.0",
        True,
    ),
    f"during deployment {OTHER} at medium gain while battery was 4.2V and temperature was 21.5C.": (
        4.2,
        21.5,
        "1.6.0",
        True,
    ),
    f"{NEW} 4.2V and temperature was 21.5C. Recording stopped by magnetic switch.": (
        4.2,
        21.5,
        None,
        False,
    ),  # 1.7
    f"{NEW} greater than 4.9V and temperature was -3.5C. Frequency trigger (3.3kHz and window length of 512 samples) "
    "threshold was 70% with 1s minimum trigger duration.": (5.0, -3.5, None, False),  # 1.8
    f"{NEW} 4.2V and temperature was 21.5C. Recording stopped due to SD card write error.": (
        4.2,
        21.5,
        None,
        False,
    ),
}


@pytest.mark.parametrize(("form", "told"), FORMS.items())
def test_every_form_of_an_audiomoths_comment_is_read(form, told):
    battery, temperature, firmware, is_known = told
    zone = " (UTC+9)" if "gain setting 2" in form else " (UTC+9:30)"
    metadata = describe(audiomoth(comment(zone=zone, more=form)), "20230425_150920.WAV")
    assert metadata.start_ns == utc_ns(
        "2023-04-25T15:09:20+09:00" if zone == " (UTC+9)" else "2023-04-25T15:09:20+09:30"
    )
    assert (metadata.unit, metadata.device_id, metadata.model) == (ID, ID, "AudioMoth")
    assert (metadata.battery_v, metadata.temperature_c, metadata.gain) == (battery, temperature, "medium")
    assert (metadata.start_from, metadata.precision_ns) == ("AudioMoth comment", SECOND)
    assert metadata.firmware == (None if firmware is None else f"{firmware} or later")
    assert ("of a form that metamoth does not know" in metadata.remark) is not is_known
    assert ("it is a triggered recording" in metadata.remark) is ("threshold" in form)


@pytest.mark.parametrize(
    ("zone", "offset"),
    [
        (" (UTC)", "Z"),
        (" (UTC+1)", "+01:00"),
        (" (UTC-10)", "-10:00"),
        (" (UTC+9:30)", "+09:30"),
        (" (UTC+10:30)", "+10:30"),
        (" (UTC+5:45)", "+05:45"),
        (" (UTC+12:45)", "+12:45"),
        (" (UTC-9:30)", "-09:30"),  # metamoth takes it for -8:30
        (" (UTC-3:30)", "-03:30"),
        (" (UTC-0:30)", "-00:30"),  # and this one for +0:30
        (" (UTC+0:30)", "+00:30"),
    ],
)
def test_the_zone_of_a_comment_counts_in_minutes_too_and_the_given_one_does_not(zone, offset):
    told = audiomoth(comment(zone=zone))
    for given_zone in (None, "-05:00", "Australia/Adelaide"):
        metadata = describe(told, "x.wav", given_zone)
        assert metadata.start_ns == utc_ns(f"2023-04-25T15:09:20{offset}")
        assert metadata.remark == ""


def test_the_comment_of_the_first_firmware_is_in_utc():
    for zone in ("", " (UTC)"):
        metadata = describe(audiomoth(comment(zone=zone, more=f"{OLD} 4.2V")), "6447EBE0.WAV")
        assert metadata.start_ns == utc_ns("2023-04-25T15:09:20Z")
        assert metadata.battery_v == 4.2


@pytest.mark.parametrize("zone", [" (UTC:30)", " (BST)", " (UTC+25)", " (UTC+9:75)"])
def test_a_zone_that_cannot_be_read_is_asked_for(zone):
    metadata = describe(audiomoth(comment(zone=zone)), "x.wav")
    assert (metadata.start_ns, metadata.local) == (None, datetime(2023, 4, 25, 15, 9, 20))
    assert "a zone that cannot be read" in metadata.remark
    assert describe(audiomoth(comment(zone=zone)), "x.wav", "+01:00").start_ns == utc_ns(
        "2023-04-25T15:09:20+01:00"
    )


@pytest.mark.parametrize(
    "time", ["15:09:20 31/04/2023", "25:09:20 25/04/2023", "15:09:20 25/04/0834", "15:09:20 25/04/9840"]
)
def test_a_time_that_cannot_be_is_remarked_and_the_name_counts(time):
    metadata = describe(audiomoth(comment(time)), "20230425_150920.WAV", "+09:30")
    assert (metadata.start_ns, metadata.start_from) == (utc_ns("2023-04-25T15:09:20+09:30"), "name")
    assert "a time that cannot be" in metadata.remark
    assert metadata.unit == ID


def test_the_device_is_the_artist_where_the_comment_tells_a_deployment():
    form = f"during deployment {OTHER} at medium gain while battery was 4.2V and temperature was 21.5C."
    named = f"{OTHER}_20230425_150920.WAV"
    metadata = describe(audiomoth(comment(more=form)), named)
    assert (metadata.unit, metadata.device_id, metadata.remark) == (ID, ID, "")
    metadata = describe(facts(ICMT=comment(more=form)), named)
    assert (metadata.unit, metadata.device_id) == (OTHER, None)


def test_a_part_of_a_split_file_is_the_devices_and_its_name_tells_the_time():
    metadata = describe(
        audiomoth("Split from 20230425_150920.WAV as file 2 of 4."), "20230425_151020.WAV", "+01:00"
    )
    assert (metadata.unit, metadata.start_from) == (ID, "name")
    assert metadata.start_ns == utc_ns("2023-04-25T15:10:20+01:00")
    assert metadata.remark == ""


def test_a_triggered_recording_is_remarked_once_whoever_tells_it():
    form = (
        f"{NEW} 4.2V and temperature was 21.5C. Amplitude threshold was 8 with 5s minimum trigger duration."
    )
    for told, name in (
        (audiomoth(comment(more=form)), "20230425_150920T.WAV"),
        (audiomoth(comment(more=form)), "x.wav"),
        (facts(), f"{ID}_20230425_150920T.WAV"),
        (facts(), f"20230425_150920T_{ID}.WAV"),
    ):
        assert describe(told, name).remark.count("it is a triggered recording") == 1
    assert (
        describe(
            audiomoth("Expanded from 20230425_150920T.WAV as file 1 of 3."), "20230425_150920.WAV"
        ).remark
        == ""
    )


def test_a_comment_that_was_carried_over_to_flac_counts():
    metadata = describe(facts(tags={"comment": comment(), "artist": ARTIST}), "x.flac")
    assert (metadata.unit, metadata.start_ns) == (ID, utc_ns("2023-04-25T15:09:20+09:30"))


SONG_METER = """GUANO|Version:1.0
Firmware Version:4.6
Make:Wildlife Acoustics, Inc.
Model:Song Meter Mini
Serial:SMA00646
WA|Song Meter|Prefix:SITE7
WA|Song Meter|Audio settings:[{"rate":24000,"gain":18},{"rate":24000,"gain":12}]
Length:300.000
Original Filename:SMA00646_20201017_130500.wav
Timestamp:2020-10-17 13:05:00+1:00
Loc Position:54.75656 -1.59106
Loc Elevation:93.5
Temperature Int:21.25
Samplerate:48000
"""
AUDIOMOTH_GUANO = f"""GUANO|Version:1.0
Make:Open Acoustic Devices
Model:AudioMoth
Serial:{ID}
Firmware Version:AudioMoth-Firmware-Basic (1.11.1)
Timestamp:2023-04-25T15:09:20-03:30
Loc Position:-33.500000 151.250000
OAD|Loc Source:GPS
OAD|Recording Settings:48000 GAIN 3 HPF 1000
OAD|Battery Voltage:4.2
Temperature Int:-3.5"""


def test_guano_of_a_song_meter():
    assert describe(facts(guan=SONG_METER), "SITE7_20201017_130500.wav") == FileMetadata(
        unit="SMA00646",
        device_id="SMA00646",
        start_ns=utc_ns("2020-10-17T13:05:00+01:00"),
        start_from="GUANO",
        temperature_c=21.25,
        gain="18 dB, 12 dB",
        firmware="4.6",
        model="Song Meter Mini",
        latitude=54.75656,
        longitude=-1.59106,
        elevation=93.5,
    )


def test_guano_of_an_audiomoth_is_exact_where_its_comment_is_not():
    both = facts(guan=AUDIOMOTH_GUANO, ICMT=comment(zone=" (UTC-3:30)"), IART=ARTIST)
    metadata = describe(both, "20230425_150920.WAV")
    assert metadata.start_ns == utc_ns("2023-04-25T15:09:20-03:30")
    assert metadata.start_from == "AudioMoth comment"
    assert metadata.firmware == "AudioMoth-Firmware-Basic (1.11.1)"
    assert (metadata.latitude, metadata.longitude) == (-33.5, 151.25)
    assert metadata.remark == ""
    alone = describe(facts(guan=AUDIOMOTH_GUANO), "20230425_150920.WAV")
    assert (alone.gain, alone.battery_v, alone.temperature_c) == ("medium-high", 4.2, -3.5)
    assert (alone.unit, alone.start_from, alone.remark) == (ID, "GUANO", "")


@pytest.mark.parametrize(
    ("timestamp", "start", "precision"),
    [
        ("2020-10-17T13:05:00Z", "2020-10-17T13:05:00Z", SECOND),
        ("2020-10-17 13:05:00-00:30", "2020-10-17T13:05:00-00:30", SECOND),
        ("2020-10-17T13:05:00.250+05:45", "2020-10-17T13:05:00.250+05:45", SECOND // 1000),
        ("2020-10-17T13:05:00.1234567+10:30", "2020-10-17T13:05:00.123456+10:30", 1000),
    ],
)
def test_a_timestamp_of_guano_may_have_fractions_and_any_zone(timestamp, start, precision):
    metadata = describe(facts(guan=f"GUANO|Version:1.0\nTimestamp:{timestamp}"), "x.wav")
    assert (metadata.start_ns, metadata.precision_ns) == (utc_ns(start), precision)
    assert metadata.remark == ""


def test_a_timestamp_of_guano_without_a_zone_is_asked_for():
    told = facts(guan="GUANO|Version:1.0\nTimestamp:2020-10-17T13:05:00")
    metadata = describe(told, "x.wav")
    assert (metadata.start_ns, metadata.local) == (None, datetime(2020, 10, 17, 13, 5))
    assert describe(told, "x.wav", "+05:45").start_ns == utc_ns("2020-10-17T13:05:00+05:45")
    twice = facts(guan="GUANO|Version:1.0\nTimestamp:2023-04-02T02:30:00")
    with pytest.raises(InputError, match=r"^x\.wav: clocks in Australia/Adelaide showed .* twice"):
        describe(twice, "x.wav", "Australia/Adelaide")


@pytest.mark.parametrize(
    ("line", "remark"),
    [
        ("no field at all", "lines that cannot be read, such as 'no field at all'"),
        ("Timestamp:yesterday", "a time that cannot be read: yesterday"),
        ("Timestamp:0834-01-01T00:00:00Z", "a time that cannot be"),
        ("Timestamp:2020-01-01T00:00:00+99999999999:00", "cannot be read"),
        ("Timestamp:2020-01-01T00:00:00+99:00", "cannot be read"),
        ("Samplerate:384000", "recorded at 384000 Hz, and it plays at 48000 Hz"),
        ("Loc Position:somewhere", ""),
        ("Loc Position:1 2 3", ""),
        ("Loc Position:91 0", ""),
        ("Loc Position:0 0", ""),
        ("Temperature Int:warm", ""),
        ('WA|Song Meter|Audio settings:[{"rate"', ""),
        ("WA|Song Meter|Audio settings:[1]", ""),
        ("WA|Song Meter|Audio settings:{}", ""),
        (":", ""),
        ("|:|", ""),
    ],
)
def test_what_is_wrong_in_guano_is_remarked_and_the_rest_counts(line, remark):
    metadata = describe(facts(guan=f"GUANO|Version:1.0\nSerial:SM1\n{line}\n"), "x_20201017_130500.wav", "Z")
    assert metadata.start_ns == utc_ns("2020-10-17T13:05:00Z")
    assert metadata.start_from == "name"
    assert remark in metadata.remark
    assert metadata.latitude is None
    assert metadata.unit == "SM1"


def test_guano_that_is_not_utf_8_is_read_all_the_same():
    metadata = describe(facts(guan="GUANO|Version:1.0\nModel:Höhle\nSerial:7".encode("latin-1")), "x.wav")
    assert (metadata.model, metadata.unit) == ("Höhle", "7")


def bext(date="2023-04-25", time="15:09:20", reference=0):
    return b"\0" * 320 + date.encode() + time.encode() + struct.pack("<Q", reference) + b"\1\0" + b"\0" * 254


def test_bext_tells_a_clock_without_a_zone():
    metadata = describe(facts(bext=bext()), "x.wav")
    assert (metadata.start_ns, metadata.local, metadata.start_from) == (
        None,
        datetime(2023, 4, 25, 15, 9, 20),
        "bext",
    )
    assert describe(facts(bext=bext()), "x.wav", "-03:30").start_ns == utc_ns("2023-04-25T15:09:20-03:30")


def test_bext_counts_samples_from_midnight():
    midnight_to_start = (15 * 3600 + 9 * 60 + 20) * RATE
    metadata = describe(facts(bext=bext(reference=midnight_to_start + RATE // 4)), "x.wav", "Z")
    assert metadata.start_ns == utc_ns("2023-04-25T15:09:20.250Z")
    assert metadata.precision_ns == SECOND // RATE
    elsewhere = describe(facts(bext=bext(reference=RATE)), "x.wav", "Z")
    assert (elsewhere.start_ns, elsewhere.precision_ns) == (utc_ns("2023-04-25T15:09:20Z"), SECOND)
    assert describe(facts(bext=bext(reference=2**64 - 1)), "x.wav", "Z").start_ns == utc_ns(
        "2023-04-25T15:09:20Z"
    )


@pytest.mark.parametrize("between", [":", "-", "_", " ", "/", "."])
def test_what_stands_between_the_digits_of_bext_does_not_matter(between):
    date, time = f"2023{between}04{between}25", f"15{between}09{between}20"
    assert describe(facts(bext=bext(date, time)), "x.wav", "Z").start_ns == utc_ns("2023-04-25T15:09:20Z")


@pytest.mark.parametrize(
    ("chunk", "remark"),
    [
        (b"\0" * 100, "cut short: 100 bytes of 346"),
        (bext("2023-13-25"), "a time that cannot be: 2023-13-25 15:09:20"),
        (bext("1600-01-01"), "a time that cannot be"),
        (bext("0000-00-00", "00:00:00"), ""),
        (bext("\0" * 10, "\0" * 8), ""),
        (bext("__________", "        "), ""),
    ],
)
def test_a_bext_without_a_time_leaves_it_to_the_name(chunk, remark):
    metadata = describe(facts(bext=chunk), "x_20201017_130500.wav", "Z")
    assert (metadata.start_ns, metadata.start_from) == (utc_ns("2020-10-17T13:05:00Z"), "name")
    assert (remark in metadata.remark) if remark else metadata.remark == ""


def wamd(*, start="2014-04-02 22:59:14-05:00", place="WGS84, 42.50000, N, 71.25000, W, 33.5", version=1):
    texts = {1: "SM3", 2: "SM300001", 3: "R1.0.0", 4: "SITE", 5: start, 6: place, 0x15: "12.25C"}
    fields = [(0, struct.pack("<H", version)), *((kind, text.encode()) for kind, text in texts.items())]
    return b"".join(struct.pack("<HI", kind, len(content)) + content for kind, content in fields)


def test_the_chunk_of_the_older_song_meters():
    assert describe(facts(wamd=wamd()), "SITE_0+1_20140402_225914.wav") == FileMetadata(
        unit="SM300001",
        device_id="SM300001",
        start_ns=utc_ns("2014-04-02T22:59:14-05:00"),
        start_from="wamd",
        temperature_c=12.25,
        firmware="R1.0.0",
        model="SM3",
        latitude=42.5,
        longitude=-71.25,
        elevation=33.5,
    )


def test_the_chunk_of_the_older_song_meters_may_lack_a_zone_a_place_or_all():
    metadata = describe(facts(wamd=wamd(start="2014-04-02 22:59:14.250", place="")), "x.wav")
    assert (metadata.local, metadata.precision_ns) == (
        datetime(2014, 4, 2, 22, 59, 14, 250000),
        SECOND // 1000,
    )
    assert metadata.latitude is None
    south = describe(facts(wamd=wamd(place="WGS84,33.5,S,151.25,E")), "x.wav")
    assert (south.latitude, south.longitude, south.elevation) == (-33.5, 151.25, None)
    assert describe(facts(wamd=wamd(version=2)), "x.wav") == FileMetadata()
    assert "cannot be read: noon" in describe(facts(wamd=wamd(start="noon")), "x.wav").remark


FRONTIER_LABS = {
    "SensorFirmwareVersion": "3.17                         ",
    "RecordingStart": "2018-04-16T12:00:03+10:30",
    "RecordingEnd": "2018-04-16T14:00:00+10:30",
    "BatteryLevel": "93% 3.99V",
    "SensorLocation": "-27.3888+152.8808",
    "SensorUid": "0001234",
    "ChannelGain1": "50dB",
    "ChannelGain2": "unknown",
}


def test_the_tags_of_frontier_labs():
    metadata = describe(facts(tags=FRONTIER_LABS), "20180416T120003+1030_REC [-27.0000+152.0000].flac")
    assert metadata == FileMetadata(
        unit="0001234",
        device_id="0001234",
        start_ns=utc_ns("2018-04-16T12:00:03+10:30"),
        end_ns=utc_ns("2018-04-16T14:00:00+10:30"),
        start_from="tags",
        battery_v=3.99,
        gain="50dB",
        firmware="3.17",
        model="Frontier Labs",
        latitude=-27.3888,
        longitude=152.8808,
    )
    shouted = {name.upper(): value for name, value in FRONTIER_LABS.items()}
    assert describe(facts(tags=shouted), "20180416T120003+1030_REC.flac") == metadata


def test_the_tags_of_an_older_firmware():
    tags = {
        "RecordingStart": "2018-04-16 12:00:00",
        "SensorFirmwareVersion": "Firmware: V3.08",
        "SensorLocation": "-27.3888 152.8808",
    }
    metadata = describe(facts(tags=tags), "20180416T120000+1000_REC.flac")
    assert (metadata.start_ns, metadata.start_from) == (utc_ns("2018-04-16T12:00:00+10:00"), "name")
    assert (metadata.firmware, metadata.latitude) == ("3.08", -27.3888)
    assert describe(facts(tags=tags), "x.flac").local == datetime(2018, 4, 16, 12)


@pytest.mark.parametrize("date", ["2018", "2018-04-16", "16 April"])
def test_a_date_alone_is_no_start(date):
    assert describe(facts(tags={"date": date}), "x.flac") == FileMetadata()


@pytest.mark.parametrize("value", ["2018-04-16T12:00:00Zzz", "0834-04-16T12:00:00Z"])
def test_tags_that_tell_no_time_are_remarked(value):
    metadata = describe(facts(tags={"RecordingStart": value}), "x.flac")
    assert metadata.start_ns is None
    assert "its tags tell a time that cannot be" in metadata.remark


@pytest.mark.parametrize(
    ("name", "zone", "agrees"),
    [
        ("20230425_150920.WAV", None, True),
        ("20230425_150921.WAV", None, True),  # the coarser precision is a second
        ("20230425_150922.WAV", None, False),
        ("20230425_150920.WAV", "Z", True),  # the recorder's zone is the comment's
        ("20230425_053920.WAV", "Z", True),  # renamed to UTC, and said so
        ("20230425_053920.WAV", None, False),
        ("20230425_053920Z.WAV", None, True),
        ("20230425_150920Z.WAV", None, False),
        (f"{utc_ns('2023-04-25T05:39:20Z') // SECOND:08X}.WAV", None, True),
    ],
)
def test_the_files_own_start_counts_and_another_in_its_name_is_remarked(name, zone, agrees):
    metadata = describe(audiomoth(comment()), name, zone)
    assert metadata.start_ns == utc_ns("2023-04-25T15:09:20+09:30")
    assert metadata.start_from == "AudioMoth comment"
    assert (metadata.remark == "") is agrees
    assert agrees or "its name tells another start" in metadata.remark


def test_headers_that_disagree_are_remarked():
    guano = AUDIOMOTH_GUANO.replace("15:09:20", "16:09:20")
    metadata = describe(facts(guan=guano, ICMT=comment(zone=" (UTC-3:30)"), IART=ARTIST), "x.wav")
    assert metadata.start_ns == utc_ns("2023-04-25T15:09:20-03:30")
    assert (
        "its GUANO tells another start, 2023-04-25 16:09:20 UTC-03:30, than its AudioMoth comment"
        in metadata.remark
    )


def test_another_device_in_the_name_is_remarked_and_a_place_is_none():
    assert f"the device {OTHER}" in describe(audiomoth(comment()), f"{OTHER}_20230425_150920.WAV").remark
    assert describe(audiomoth(comment()), f"{ID}_20230425_150920.WAV").remark == ""
    assert describe(audiomoth(comment()), "MEADOW_20230425_150920.WAV").remark == ""


def test_a_clock_that_nobody_set_is_remarked():
    for name, told in (
        ("19700101_000512.WAV", facts()),
        ("x.wav", audiomoth(comment("00:05:12 01/01/1970"))),
    ):
        metadata = describe(told, name, "Z")
        assert "tells the year 1970: its clock was not set" in metadata.remark
        assert metadata.start_ns is not None


def test_who_knows_the_zone_tells_the_start_and_a_given_zone_makes_all_know():
    told = facts(bext=bext())
    name = "x_20230425_150930+1000.wav"
    assert describe(told, name).start_from == "name"
    assert describe(told, name, "+10:00").start_from == "bext"


def test_a_name_with_two_times_tells_the_end():
    metadata = describe(facts(), "S20190718T020000+1030_E20190718T033000+1030_+31.2-89.7.wav")
    assert metadata.end_ns - metadata.start_ns == 5400 * SECOND
    assert (metadata.latitude, metadata.longitude) == (31.2, -89.7)
    metadata = describe(facts(), "a_20190718_020000_20190718_033000.wav", "+05:45")
    assert metadata.end_ns - metadata.start_ns == 5400 * SECOND
    metadata = describe(
        facts(), "a_20230402_000000_20230402_023000.wav", "Australia/Adelaide"
    )  # it ended twice
    assert metadata.end_ns is None


def test_a_start_that_the_zone_does_not_settle_is_no_matter_where_the_file_tells_it():
    name = "20230402_023000.WAV"
    told = audiomoth(comment("02:30:00 02/04/2023"))
    assert describe(told, name, "Australia/Adelaide").start_ns == utc_ns("2023-04-02T02:30:00+09:30")
    with pytest.raises(InputError, match="twice"):
        describe(facts(), name, "Australia/Adelaide")
    metadata = describe(facts(), name, "Australia/Adelaide", strict=False)
    assert (metadata.start_ns, metadata.local) == (None, datetime(2023, 4, 2, 2, 30))
    assert "twice" in metadata.unsettled
    assert describe(facts(), name, "+09:30").unsettled == ""


def test_nothing_told_is_nothing_known():
    assert describe(facts(), "aru_1.wav", "Z") == FileMetadata()


def test_an_unknown_zone_is_refused():
    with pytest.raises(InputError, match="ACDT"):
        describe(facts(), "aru_1.wav", "ACDT")


def test_the_real_recordings_tell_what_they_tell(test_data):
    known = {}
    for path in sorted((test_data / "audio").glob("*.wav")):
        if path.name != "empty_2c.wav":
            known[path.stem] = describe(probe(path), path.name)
    assert all(metadata.unit is None for name, metadata in known.items() if name != "audiomoth_gps")
    assert all(metadata.start_ns is None for name, metadata in known.items() if name != "audiomoth_gps")
    assert not any(metadata.remark for metadata in known.values())


@pytest.mark.parametrize(
    ("asked", "answers"), [("unit", "--units"), ("zone", "--zone +09:30"), ("time", "--units")]
)
def test_a_question_names_the_file_and_the_option_that_answers(asked, answers):
    text = question(asked, "a/b.wav", datetime(2023, 4, 25, 15, 9, 20))
    assert text.startswith("a/b.wav ")
    assert answers in text
    assert "in Python" in text


CHUNKS = {
    "ICMT": comment().encode(),
    "IART": ARTIST.encode(),
    "guan": SONG_METER.encode(),
    "bext": bext(reference=5),
    "wamd": wamd(),
}


@st.composite
def damaged(draw):
    """Return chunks that recorders write, each cut off, with bytes changed, or of nothing but noise."""
    chunks = {}
    for name, content in CHUNKS.items():
        whole = bytearray(content)
        for _ in range(draw(st.integers(0, 4))):
            whole[draw(st.integers(0, len(whole) - 1))] = draw(st.integers(0, 255))
        cut = draw(st.integers(0, len(whole)))
        chunks[name] = draw(st.sampled_from([bytes(whole), bytes(whole[:cut]), draw(st.binary(max_size=40))]))
    return chunks


@given(damaged(), st.sampled_from(["20230425_150920.WAV", "x.wav"]), st.sampled_from([None, "+09:30"]))
@example(dict.fromkeys(CHUNKS, b""), "x.wav", None)
def test_no_damage_to_a_header_raises(chunks, name, zone):
    metadata = describe(facts(**chunks), name, zone)
    assert metadata.start_ns is None or metadata.local is None
    assert (metadata.start_from is None) == (metadata.start_ns is None and metadata.local is None)


@given(
    st.dictionaries(
        st.sampled_from([*FRONTIER_LABS, "date", "comment", "artist", "location"]), st.text(max_size=40)
    )
)
def test_no_tag_raises(tags):
    describe(facts(tags=tags), "x.flac", "+05:45")
