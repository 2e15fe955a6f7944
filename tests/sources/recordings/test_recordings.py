"""What becomes of the files of a folder, in the documents and in a catalog."""

import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from event_model import DocumentNames, schema_validators

from tilewright import TiledWriter, open_catalog, serve
from tilewright.audio import encode_wav, probe
from tilewright.errors import InputError
from tilewright.sources import Recordings

SECOND = 1_000_000_000
A, B = "24F3190361DA539A", "24F3190361DA0000"


def streams(documents):
    return [doc["name"] for name, doc in documents if name == "descriptor"]


def of(documents, name):
    return [doc for kind, doc in documents if kind == name]


def test_a_run_of_two_units(recordings, table):
    for second in (0, 60, 120):
        recordings.add(A, second)
        recordings.add(B, second + 1)
    documents = recordings.documents()
    for name, doc in documents:
        schema_validators[DocumentNames[name]].validate(doc)
    assert Counter(name for name, _ in documents) == {
        "start": 1,
        "descriptor": 2,
        "stream_resource": 6,
        "stream_datum": 6,
        "event": 6,
        "stop": 1,
    }
    start = documents[0][1]
    assert start["deployment"] == "test"
    assert start["time"] == 1682434800.0
    assert start["units"] == [{"unit": B, "row": 0}, {"unit": A, "row": 1}]
    assert streams(documents) == [A, B]  # as they began
    assert table(documents, A, "start") == [(1682434800 + s) * SECOND for s in (0, 60, 120)]
    assert table(documents, A, "first") == [0, 80, 160]
    assert table(documents, A, "gap") == [None, 59_990_000_000, 59_990_000_000]
    assert set(table(documents, A, "start_from")) == {"name"}
    assert [doc["indices"] for doc in of(documents, "stream_datum")][::2] == [
        {"start": first, "stop": first + 80} for first in (0, 80, 160)
    ]
    assert documents[-1][1]["num_events"] == {A: 3, B: 3}
    assert documents[-1][1]["time"] == 1682434800 + 121.01


def test_it_is_the_same_whenever_it_is_made(recordings):
    recordings.add(A, 0)
    (recordings.path / "broken.wav").write_bytes(b"RIFF")
    assert recordings.documents() == recordings.documents()
    assert recordings.source().uid() != recordings.source(deployment="another").uid()
    assert recordings.source().uid() != recordings.source().uid(2)


def test_every_sample_reads_back_where_it_belongs(recordings, server, catalog):
    """Also of files that were found in another order than that of their starts."""
    recordings.add(A, 60, name=f"z/{A}_20230425_150100.wav", count=False)
    recordings.add(A, 0, frames=70)
    recordings.add(A, 60, name=f"z/{A}_20230425_150100.wav")
    recordings.add(B, 0, dtype="<f4", channels=2)
    with TiledWriter(catalog, strict=True) as writer:
        for name, doc in recordings.documents():
            writer(name, doc)
    run = catalog[-1]
    assert run[A]["audio"][:].tolist() == list(range(150))
    assert run[A]["audio"][68:73].tolist() == [68, 69, 70, 71, 72]
    both = run[B]["audio"][10:20]
    assert both.shape == (10, 2)
    assert both[:, 1].tolist() == list(range(11, 21))
    assert run.table(A)["first"].tolist() == [0, 70]
    assert run.metadata["tilewright"]["verified"] is True
    assert run.notes == []


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.wav", b"", "it is empty"),
        ("no_samples.wav", encode_wav(np.zeros(0, "<i2"), 8000), "it holds no samples"),
        ("text.wav", b"this is no sound at all, whatever it is called", "it is no file of sound"),
        ("header.wav", encode_wav(np.zeros(10, "<i2"), 8000)[:30], "it "),
        ("not#here.wav", encode_wav(np.zeros(10, "<i2"), 8000), "no server takes a path with # in it"),
    ],
)
def test_what_is_no_recording_is_told(recordings, table, name, content, reason):
    recordings.add(A, 0)
    path = recordings.path / name
    path.write_bytes(content)
    source = recordings.source()
    documents = list(source.documents())
    (row,) = table(documents, "rejected_files")
    assert (row["file"], row["size"]) == (name, len(content))
    assert row["reason"].startswith(reason)
    assert source.problems == [f"{name}: {row['reason']}"]
    assert len(table(documents, A)) == 1


def test_a_name_that_is_no_text(recordings, table):
    recordings.add("Zürich", 0)
    Path(os.fsdecode(os.fsencode(recordings.path) + b"/caf\xe9.wav")).write_bytes(b"RIFF")
    documents = recordings.documents()
    assert table(documents, "Zürich", "file") == ["Zürich_20230425_150000.wav"]
    (row,) = table(documents, "rejected_files")
    assert (row["file"], row["reason"]) == ("caf\\xe9.wav", "its path holds what is no text: rename it")


def test_a_file_that_may_not_be_read(recordings, table, monkeypatch):
    recordings.add(A, 0)
    closed = recordings.add(A, 60)

    def probe_others(path):
        if path == str(closed):
            raise PermissionError(13, "Permission denied", path)
        return probe(path)

    monkeypatch.setattr("tilewright.sources.recordings.looking.probe", probe_others)
    assert table(recordings.documents(), "rejected_files", "reason") == ["Permission denied"]


def test_a_truncated_file_is_recorded_as_far_as_it_goes(recordings, table):
    path = recordings.add(A, 0)
    path.write_bytes(path.read_bytes()[:-20])
    recordings.add(A, 60)
    source = recordings.source()
    documents = list(source.documents())
    assert table(documents, A, "samples") == [70, 80]
    assert table(documents, A, "first") == [0, 70]
    assert table(documents, A, "remark") == ["its header promises 80 frames, and it has 70", ""]
    assert source.problems == [f"{path.name}: its header promises 80 frames, and it has 70"]


def test_a_duplicate_is_told_with_the_name_of_what_it_equals(recordings, table):
    one = recordings.add(A, 0)
    (recordings.path / "copy").mkdir()
    (recordings.path / "copy" / one.name).write_bytes(one.read_bytes())
    other = recordings.path / "other" / one.name  # the same unit, start and length, with another sample
    other.parent.mkdir()
    content = bytearray(one.read_bytes())
    content[-1] ^= 1
    other.write_bytes(content)
    documents = recordings.documents()
    assert table(documents, A, "file") == [one.name, f"other/{one.name}"]
    assert table(documents, "rejected_files") == [
        {
            "file": f"copy/{one.name}",
            "size": one.stat().st_size,
            "reason": f"it is the same as {one.name}",
        }
    ]
    assert table(documents, A, "remark")[1].startswith(f"it starts when {one.name} does")


def test_files_that_overlap_are_told(recordings, table):
    """So does a clock show that was set back: the same times come twice."""
    first = recordings.add(A, 0, frames=100 * 8000)
    recordings.add(A, 60)
    recordings.add(A, 101)
    documents = recordings.documents()
    assert table(documents, A, "gap")[1:] == [-40 * SECOND, 40_990_000_000]
    assert table(documents, A, "remark") == [
        "",
        f"it overlaps {first.name} by 40 s: the unit's clock was set back, or two units have one name",
        "",
    ]


def test_starts_told_in_whole_seconds_are_no_overlap(recordings, table):
    recordings.add(A, 0, frames=8000 * 60 + 4000)
    recordings.add(A, 60)
    assert table(recordings.documents(), A, "remark") == ["", ""]


def test_a_rate_that_changes_stays_in_the_stream(recordings, table):
    recordings.add(A, 0)
    recordings.add(A, 60, rate=16000)
    documents = recordings.documents()
    assert streams(documents) == [A]
    assert table(documents, A, "rate") == [8000, 16000]
    assert table(documents, A, "remark")[1].startswith("its rate is 16000 Hz, that of ")


@pytest.mark.parametrize("kind", [{"dtype": "<i4"}, {"channels": 2}])
def test_another_kind_of_file_opens_a_stream_of_its_own(recordings, table, kind):
    units = [{"unit": A, "device_id": A, "gain": "medium"}, {"unit": B}]
    recordings.add(A, 0)
    recordings.add(A, 60, **kind)
    recordings.add(B, 90)
    recordings.add(A, 120)
    recordings.add(A, 180, **kind)
    documents = recordings.documents(units=units)
    assert streams(documents) == [A, f"{A}_2", B]
    assert [len(table(documents, name)) for name in streams(documents)] == [2, 2, 1]
    first, second, _ = of(documents, "descriptor")
    assert first["configuration"][A]["data"] == {"row": 0, "device_id": A, "gain": "medium"}
    assert second["configuration"][f"{A}_2"]["data"] == {
        "row": 2,
        "device_id": A,
        "gain": "medium",
        "same_as": A,
    }


def test_a_unit_that_is_called_as_a_second_kind_would_be(recordings):
    recordings.add("X", 0)
    recordings.add("X_2", 0)
    recordings.add("X", 60, channels=2)
    assert streams(recordings.documents()) == ["X", "X_2", "X_3"]


@pytest.mark.parametrize("unit", ["clock_1", "rejected_files", "naïve/.."])
def test_whatever_a_unit_is_called(recordings, table, unit):
    (recordings.path / "empty.wav").touch()
    path = recordings.add("unit", 0)
    documents = recordings.documents(units=[{"unit": unit, "file": path.name}])
    assert documents[0][1]["units"] == [{"unit": unit, "row": 0}]
    name = streams(documents)[0]
    assert table(documents, name, "samples") == [80]
    assert table(documents, "rejected_files", "file") == ["empty.wav"]


def test_what_nobody_tells_is_asked_for_all_at_once(recordings):
    """A folder without a zone, of which some names tell nothing at all."""
    for number in range(12):
        recordings.add(A, number * 60)
    (recordings.path / "recording.wav").write_bytes(encode_wav(np.zeros(10, "<i2"), 8000))
    with pytest.raises(InputError) as error:
        list(recordings.documents(zone=None))
    text = str(error.value)
    assert re.search(
        r"12 files whose times have no zone: .*, and 2 more\. To go on, say which zone .*--zone", text
    )
    assert "1 file whose unit neither their headers nor their names tell: recording.wav" in text
    assert "1 file that do not tell when they were made: recording.wav" in text
    assert text.count("--units") == 2


def test_one_file_that_does_not_tell_its_zone(recordings):
    path = recordings.add(A, 0)
    with pytest.raises(
        InputError, match=rf"{path.name} starts at 2023-04-25 15:00:00 by its recorder.*--zone"
    ):
        recordings.documents(zone=None)


def test_a_time_that_clocks_showed_twice_is_asked_for(recordings):
    path = recordings.add(A, 0, name=f"{A}_20231029_023000.wav")
    with pytest.raises(InputError, match=f"{path.name}: clocks in Europe/Berlin showed .* twice"):
        recordings.documents(zone="Europe/Berlin")


def test_nothing_to_record(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=f"there are no recordings in {tmp_path}$"):
        list(Recordings(tmp_path).documents())
    (tmp_path / "a.wav").touch()
    with pytest.raises(InputError, match=r"there are no recordings in .*; there are a.wav \(it is empty\)"):
        list(Recordings(tmp_path).documents())
    with pytest.raises(InputError, match="there is no such folder or file"):
        Recordings(tmp_path / "missing")
    with pytest.raises(InputError, match="no folder of recordings was given"):
        Recordings([])


def test_which_files_are_found(recordings, table):
    recordings.add(A, 0, name=f"deep/er/{A}_20230425_150000.WAV")
    recordings.add(A, 60, name=f".hidden/{A}_20230425_150100.wav")
    recordings.add(A, 120, name=f"._{A}_20230425_150200.wav")
    recordings.add(A, 180, name=f"{A}_20230425_150300.raw")
    outside = recordings.path.parent / f"{recordings.path.name}_outside"
    outside.mkdir()
    (recordings.path / "link").symlink_to(outside)
    (outside / "back").symlink_to(recordings.path)
    (recordings.path / "dangling.wav").symlink_to("nowhere")
    (outside / f"{A}_20230425_150400.Wav").write_bytes(encode_wav(np.zeros(10, "<i2"), 8000))
    assert table(recordings.documents(), A, "file") == [
        f"deep/er/{A}_20230425_150000.WAV",
        f"link/{A}_20230425_150400.Wav",
    ]


def test_no_file_is_opened_twice(recordings, monkeypatch):
    """Not even those that might be the same: their sizes tell."""
    for number in range(5):
        recordings.add(A, number * 60)
    other = recordings.add(A, 0, name=f"other/{A}_20230425_150000.wav")
    other.write_bytes(other.read_bytes() + b"note" + bytes(4))
    opened = []
    real = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *args, **kwargs: opened.append(path) or real(path, *args, **kwargs)
    )
    recordings.documents()
    assert len(opened) == len(set(opened)) == 6


def test_folders_and_files_that_overlap(recordings, table):
    one = recordings.add(A, 0, name=f"one/{A}_20230425_150000.wav")
    recordings.add(A, 60, name=f"two/{A}_20230425_150100.wav")
    odd = recordings.add(A, 120, name=f"two/{A}_20230425_150200.snd")
    places = [recordings.path / "one", recordings.path / "two", recordings.path / "one", one, odd]
    documents = list(Recordings(places, zone="Z", deployment="test").documents())
    assert table(documents, A, "file") == [
        f"one/{A}_20230425_150000.wav",
        f"two/{A}_20230425_150100.wav",
        f"two/{A}_20230425_150200.snd",
    ]


def test_a_relative_folder(recordings, monkeypatch):
    recordings.add(A, 0)
    monkeypatch.chdir(recordings.path.parent)
    source = Recordings(recordings.path.name, zone="Z", deployment="test")
    assert list(source.documents()) == recordings.documents()
    assert Recordings(recordings.path.name).name == recordings.path.name


def test_the_users_table(recordings, table):
    north = recordings.add(A, 0)
    recordings.add(B, 0)
    bare = recordings.path / "bare.wav"
    bare.write_bytes(encode_wav(np.zeros(10, "<i2"), 8000))
    units = [
        {"unit": "spare", "row": 5, "latitude": 1.0},
        {"unit": "north", "device_id": A, "row": 3, "latitude": 54.75, "longitude": -1.5, "site": "hill"},
        {"unit": "bare", "file": "bare.wav", "row": 4, "start": "2023-04-25T17:00:00+02:00"},
    ]
    documents = recordings.documents(units=units)
    assert documents[0][1]["units"] == [
        {"unit": "spare", "row": 5, "latitude": 1.0},
        {"unit": "north", "row": 3, "device_id": A, "latitude": 54.75, "longitude": -1.5, "site": "hill"},
        {"unit": "bare", "row": 4},
        {"unit": B, "row": 6},
    ]
    assert table(documents, "north", "file") == [north.name]
    (row,) = table(documents, "bare")
    assert (row["start"], row["start_from"], row["precision"]) == (1682434800 * SECOND, "table", 1)


def test_the_users_word_for_a_file_counts(recordings, table):
    path = recordings.add(A, 0)
    units = [{"unit": A, "file": path.name, "start": "2023-04-25T16:00:00Z"}]
    (row,) = table(recordings.documents(units=units), A)
    assert row["start"] == (1682434800 + 3600) * SECOND
    assert row["remark"] == "its name tells another start than the table, which counts"


def test_a_name_that_tells_an_end(recordings, table):
    recordings.add("x", 0, frames=8000 * 5, name="S20230425T150000+0000_E20230425T150005+0000.wav")
    recordings.add("x", 60, frames=8000 * 5, name="S20230425T150100+0000_E20230425T150200+0000.wav")
    documents = recordings.documents(zone=None, units=[{"unit": "x", "file": "S2023*.wav"}])
    assert table(documents, "x", "remark") == ["", "it tells an end 55 s after that of its samples"]


@pytest.mark.parametrize(
    ("name", "zone", "start", "remark"),
    [
        ("243B1F026488F56E_20240528_100000", "Z", (1716890400 * SECOND, "name", SECOND), ""),
        ("243B1F026488F56E_20240528_120000", None, (1716890400 * SECOND, "GPS", 20834), ""),
        (
            "243B1F026488F56E_20240528_120000",
            "Z",
            (1716897600 * SECOND, "name", SECOND),
            "the log beside it tells another start than its name: one of them may be wrong",
        ),
    ],
)
def test_a_log_tells_the_start_where_nothing_else_does(
    recordings, test_data, table, name, zone, start, remark
):
    for extension in ("wav", "csv"):
        content = (test_data / "audio" / f"audiomoth_gps.{extension}").read_bytes()
        (recordings.path / f"{name}.{extension}").write_bytes(content)
    (row,) = table(recordings.documents(zone=zone), "243B1F026488F56E")
    assert (row["start"], row["start_from"], row["precision"]) == start
    assert row["remark"] == remark


def test_a_table_of_clocks(recordings, table):
    recordings.add(A, 0)
    recordings.add(A, 60)
    clocks = [
        {"unit": A, "time": "2023-04-25T15:00:00Z", "drift": 1.25, "uncertainty": 0.01},
        {"unit": A, "time": "2023-04-25T15:01:00Z", "sample": 90},
        {"unit": A, "time": "2023-04-25T15:02:00Z", "sample": 1000},
        {"unit": B, "time": "2023-04-25T15:00:00Z", "drift": 1.25},
    ]
    source = recordings.source(clocks=clocks)
    documents = list(source.documents())
    begin = 1682434800 * SECOND
    assert table(documents, f"clock_{A}") == [
        {
            "sample": None,
            "nominal": begin + 1_250_000_000,
            "utc": begin,
            "uncertainty": 10_000_000,
            "origin": "table",
        },
        {
            "sample": 90,
            "nominal": begin + 60 * SECOND + 1_250_000,
            "utc": begin + 60 * SECOND,
            "uncertainty": None,
            "origin": "table",
        },
    ]
    assert source.problems == [
        f"the table of clocks has sample 1000 of unit {A}, which has 160 samples",
        f"the table of clocks has a unit {B}, of which there are no recordings",
    ]
    assert [name for name, _ in documents[-3:]] == ["event", "event", "stop"]


def test_real_recordings(test_data, table):
    """An array of units, one of which starts late: only the table knows them. An AudioMoth with its GPS log. A file without samples."""
    units = [
        {"unit": f"aru{number}", "file": f"aru_{number}.wav", "start": "2021-09-24T10:00:00Z"}
        for number in range(1, 6)
    ]
    units += [
        {"unit": f"loca{place}", "file": f"LOCA_2021_09_24_652_{place}.wav", "start": "2021-09-24T11:00:00Z"}
        for place in "3458"
    ]
    units.append(
        {"unit": "late", "file": "LOCA_2021_09_24_652_8_late_start.wav", "start": "2021-09-24T11:00:00.1Z"}
    )
    units.append({"unit": "short", "file": "short_no_metadata.wav", "start": "2021-09-24T12:00:00Z"})
    source = Recordings(test_data / "audio", units=units)
    documents = list(source.documents())
    for name, doc in documents:
        schema_validators[DocumentNames[name]].validate(doc)
    moth = "243B1F026488F56E"
    assert len(of(documents, "event")) == 12 + 3 + 1
    assert table(documents, "rejected_files", "file") == ["empty_2c.wav"]
    (row,) = table(documents, moth)
    assert (row["start_from"], row["start"], row["samples"]) == ("GPS", 1716890400 * SECOND, 95999)
    assert table(documents, f"clock_{moth}", "sample") == [0, 47999, 95999]
    (unit,) = [unit for unit in documents[0][1]["units"] if unit["unit"] == moth]
    assert unit["model"] == "AudioMoth"
    assert unit["latitude"] == pytest.approx(39.906, abs=1e-3)


def test_real_recordings_in_a_catalog(test_data, tmp_path):
    import soundfile

    path = test_data / "audio" / "audiomoth_gps.wav"
    with (
        serve(tmp_path, announce=False, readable_storage=[path.parent]) as server,
        TiledWriter(server, strict=True) as writer,
    ):
        for name, doc in Recordings(path).documents():
            writer(name, doc)
        with open_catalog(server) as runs:
            read = runs[-1]["243B1F026488F56E"]["audio"][:]
    assert np.array_equal(read, soundfile.read(path, dtype="int16")[0])
