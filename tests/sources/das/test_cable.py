"""Files of a cable as documents: what is recorded, what is rejected, what is told, and what is carried on with."""

import random
import shutil
import threading
from fractions import Fraction

import event_model
import h5py
import numpy as np
import pytest
import zarr

from tilewright.errors import InputError
from tilewright.sources import Cable
from tilewright.testing.cables import (
    START,
    samples_of,
    write_prodml,
    write_silixa,
    write_store,
    write_terra15,
)

STEP = 5_000_000
"""Nanoseconds."""


@pytest.fixture
def folder(tmp_path):
    """Return a folder of three files, one after the other."""
    folder = tmp_path / "south"
    (folder / "b").mkdir(parents=True)
    write_prodml(folder / "b" / "0.h5", 0, 1000)
    write_prodml(folder / "1.h5", 1000, 500)
    write_prodml(folder / "0.HDF5", 1500, 700)
    return folder


def rows_of(documents, stream="das"):
    """Return the rows of a stream."""
    uids = {doc["uid"] for name, doc in documents if name == "descriptor" and doc["name"] == stream}
    return [doc["data"] for name, doc in documents if name == "event" and doc["descriptor"] in uids]


def array_of(documents):
    """Return the samples that resources and datums point at, in the order of their indices; time is the first dimension."""
    resources = {doc["uid"]: doc for name, doc in documents if name == "stream_resource"}
    parts = []
    for name, doc in documents:
        if name != "stream_datum":
            continue
        resource, indices = resources[doc["stream_resource"]], doc["indices"]
        path, dataset = resource["uri"].removeprefix("file://localhost"), resource["parameters"]["dataset"]
        if resource["mimetype"] == "application/x-hdf5":
            with h5py.File(path) as file:
                values = file[dataset][:]
        else:
            values = zarr.open_array(f"{path}/{dataset}", mode="r")[:]
        if resource["parameters"].get("join_method") == "concat":
            assert (indices["start"], indices["stop"]) == (0, 1)
            values = values.T
        else:
            assert indices["start"] == sum(map(len, parts))
            values = values[: indices["stop"] - indices["start"]]
        parts.append(values)
    return np.concatenate(parts)


def valid(documents):
    for name, doc in documents:
        event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)
    return documents


def test_documents(folder):
    source = Cable(folder)
    documents = valid(list(source.documents()))
    assert source.problems == []
    rows = rows_of(documents)
    assert [row["file"] for row in rows] == ["b/0.h5", "1.h5", "0.HDF5"]
    assert [row["samples"] for row in rows] == [1000, 500, 700]
    assert [row["first"] for row in rows] == [0, 1000, 1500]
    assert [row["start"] for row in rows] == [START + STEP * first for first in (0, 1000, 1500)]
    assert [row["gap"] for row in rows] == [None, 0, 0]
    assert {(row["step_numerator"], row["step_denominator"], row["remark"]) for row in rows} == {(1, 200, "")}
    assert np.array_equal(array_of(documents), samples_of(0, 2200, 8))
    start, stop = documents[0][1], documents[-1][1]
    assert (start["acquisition"], start["time"], stop["exit_status"]) == ("south", START / 10**9, "success")
    assert stop["time"] == pytest.approx(START / 10**9 + 11)
    cable = {
        "dims": ["time", "distance"],
        "dtype": "<i4",
        "channels": 8,
        "step_numerator": 1,
        "step_denominator": 200,
        "distance_start": 204.19,
        "spacing": 2.0419,
        "gauge_length": 10.0,
        "units": "rad",
        "quantity": "Phase",
        "dataset": "/Acquisition/Raw[0]/RawData",
        "kind": "prodml",
    }
    assert start["cable"] == cable
    (descriptor,) = [doc for name, doc in documents if name == "descriptor"]
    assert descriptor["configuration"]["das"]["data"] == cable
    assert descriptor["configuration"]["das"]["data_keys"]["spacing"]["units"] == "m"
    key = descriptor["data_keys"]["data"]
    assert (key["shape"], key["dims"], key["dtype_numpy"], key["units"]) == ([8], ["distance"], "<i4", "rad")
    assert start["interrogator"]["Raw[0]"]["RawDescription"] == "Phase"


@pytest.mark.parametrize("write", [write_silixa, write_terra15])
def test_other_kinds(tmp_path, write):
    for number in (2, 0, 1):
        write(tmp_path / f"{number}.hdf5", 1000 * number)
    documents = valid(list(Cable(tmp_path, acquisition="x").documents()))
    assert np.array_equal(array_of(documents), samples_of(0, 3000, 8))
    # Terra15 tells seconds in 64 bits, which at this time are 240 ns apart.
    assert [row["gap"] is None or abs(row["gap"]) < 500 for row in rows_of(documents)] == [True] * 3
    assert {row["remark"] for row in rows_of(documents)} == {""}


def test_room_for_more(tmp_path):
    write_terra15(tmp_path / "0.hdf5", 0, 600, room=400)
    write_terra15(tmp_path / "1.hdf5", 600, 500)
    documents = list(Cable(tmp_path).documents())
    assert np.array_equal(array_of(documents), samples_of(0, 1100, 8))


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_store_by_distance(tmp_path, zarr_format):
    path = write_store(tmp_path / "south.zarr", zarr_format=zarr_format)
    source = Cable(path, spacing=2.0419)
    documents = valid(list(source.documents()))
    assert source.name == "south"
    assert source.readable == [tmp_path]
    assert np.array_equal(array_of(documents), samples_of(0, 3000, 8))
    (row,) = rows_of(documents)
    assert (row["file"], row["first"], row["samples"], row["start"]) == ("south.zarr", 0, 3000, START)
    (resource,) = [doc for name, doc in documents if name == "stream_resource"]
    assert resource["parameters"] == {
        "dataset": "RawData",
        "chunk_shape": [3, 500 * ((2 << 20) // (3 * 500 * 4))],
        "rate": 200,
        "join_method": "concat",
    }
    (descriptor,) = [doc for name, doc in documents if name == "descriptor"]
    assert descriptor["data_keys"]["data"]["shape"] == [8, 3000]
    assert descriptor["data_keys"]["data"]["dims"] == ["distance", "time"]
    assert documents[0][1]["cable"]["spacing"] == 2.0419


def test_stores_by_time_are_one_array(tmp_path):
    for number in range(3):
        write_store(tmp_path / f"{number}.zarr", 3000 * number, by_time=True)
    documents = list(Cable(tmp_path).documents())
    assert np.array_equal(array_of(documents), samples_of(0, 9000, 8))


def test_stores_by_distance_cannot_be_one_array(tmp_path):
    for number in range(2):
        write_store(tmp_path / f"{number}.zarr", 3000 * number)
    with pytest.raises(InputError, match=r"0\.zarr, 1\.zarr: .* record them one by one"):
        list(Cable(tmp_path).documents())
    runs = [list(Cable(tmp_path / f"{number}.zarr").documents()) for number in range(2)]
    assert runs[0][0][1]["uid"] != runs[1][0][1]["uid"]
    assert np.array_equal(np.concatenate([array_of(run) for run in runs]), samples_of(0, 6000, 8))


def test_a_store_by_distance_is_none_of_an_array_by_time(folder):
    cut = list(Cable(folder).documents())[:-1]
    for number in range(2):
        write_store(folder / f"{number}.zarr", 3000 * number)
    source = Cable(folder)
    documents = list(source.documents(cut))
    assert np.array_equal(array_of(documents), samples_of(0, 2200, 8))
    assert [row["file"] for row in rows_of(documents, "rejected_files")] == ["0.zarr", "1.zarr"]
    assert "dims ['distance', 'time'], not ['time', 'distance']" in source.problems[0]


def test_a_store_by_distance_is_carried_on(tmp_path):
    write_store(tmp_path / "0.zarr")
    whole = list(Cable(tmp_path).documents())
    for count in range(len(whole)):
        assert list(Cable(tmp_path).documents(whole[:count])) == whole
    write_store(tmp_path / "1.zarr", 3000)
    with pytest.raises(InputError, match=r"0\.zarr, 1\.zarr: .* record them one by one"):
        list(Cable(tmp_path).documents(whole[:-1]))


def test_nobody_looks_into_a_store(tmp_path):
    write_store(tmp_path / "0.zarr", by_time=True)
    write_prodml(tmp_path / "0.zarr" / "RawData" / "stray.h5")
    (row,) = rows_of(list(Cable(tmp_path).documents()))
    assert row["file"] == "0.zarr"


@pytest.mark.parametrize(
    ("late", "gap", "remark"),
    [
        (2_500, 2_500_000, ""),
        (-2_500, -2_500_000, ""),
        (3_000_000, 3 * 10**9, "it starts 3 s (600 samples) after 0.h5 ends: a gap"),
        (-10_000, -10_000_000, "it overlaps 0.h5 by 0.01 s (2 samples)"),
    ],
)
def test_gaps_and_overlaps(tmp_path, late, gap, remark):
    write_prodml(tmp_path / "0.h5")
    write_prodml(tmp_path / "1.h5", 1000, late=late)
    source = Cable(tmp_path)
    rows = rows_of(list(source.documents()))
    assert (rows[1]["first"], rows[1]["gap"], rows[1]["remark"]) == (1000, gap, remark)
    assert source.problems == ([f"1.h5: {remark}"] if remark else [])


def test_a_file_off_the_grid_is_told(tmp_path):
    path = write_prodml(tmp_path / "0.h5")
    with h5py.File(path, "r+") as file:
        file["Acquisition/Raw[0]/RawDataTime"][700:] += 8_000
    source = Cable(tmp_path)
    (row,) = rows_of(list(source.documents()))
    assert "0.008 s (1.6 samples) off a grid of 0.005 s, first at sample 700;" in row["remark"]
    assert source.problems == [f"0.h5: {row['remark']}"]


OTHER = {
    "dtype <i8, not <i4": {"dtype": "<i8"},
    "channels 9, not 8": {"channels": 9},
    "step_denominator 100, not 200": {"rate": 100},
    "distance_start 300.0, not 204.19; spacing 3.0, not 2.0419": {"spacing": 3.0},
}


@pytest.mark.parametrize("reason", OTHER)
def test_files_that_are_other_are_rejected(folder, reason):
    write_prodml(folder / "other.h5", 5000, **OTHER[reason])
    source = Cable(folder)
    documents = valid(list(source.documents()))
    (row,) = rows_of(documents, "rejected_files")
    size = (folder / "other.h5").stat().st_size
    assert row == {
        "file": "other.h5",
        "size": size,
        "reason": f"it is other than the files before it: {reason}; record it as another acquisition",
    }
    assert source.problems == [f"other.h5: {row['reason']}"]
    assert np.array_equal(array_of(documents), samples_of(0, 2200, 8))


def test_what_is_no_file_of_a_cable_is_rejected(folder):
    (folder / "empty.h5").touch()
    (folder / "text.h5").write_text("no")
    whole = (folder / "1.h5").read_bytes()
    (folder / "cut.h5").write_bytes(whole[: len(whole) // 2])
    shutil.copy(folder / "1.h5", folder / "copy.h5")
    shutil.copy(folder / "1.h5", folder / "a#b.h5")
    source = Cable(folder)
    reasons = {row["file"]: row["reason"] for row in rows_of(list(source.documents()), "rejected_files")}
    assert reasons["empty.h5"] == "it is empty"
    assert reasons["text.h5"].startswith("it is no HDF5 file, or damaged: ")
    assert "truncated file" in reasons["cut.h5"]
    assert reasons["copy.h5"].startswith("it starts when 1.h5 does, and is as long: it is a copy")
    assert reasons["a#b.h5"] == "no server takes a path with # in it: rename it"
    assert len(reasons) == len(source.problems) == 5


def test_other_files_are_left_alone(folder):
    (folder / "notes.txt").write_text("no")
    (folder / ".hidden.h5").write_text("no")
    (folder / "loop").symlink_to(folder)
    (folder / "gone.h5").symlink_to(folder / "nowhere.h5")
    assert len(rows_of(list(Cable(folder).documents()))) == 3


def test_nothing_to_record(tmp_path):
    with pytest.raises(InputError, match="there are no files of a cable in"):
        list(Cable(tmp_path).documents())
    (tmp_path / "x.h5").write_text("no")
    with pytest.raises(InputError, match=r"; x\.h5: it is no HDF5 file"):
        list(Cable(tmp_path).documents())
    with pytest.raises(InputError, match="there is no such folder or file"):
        Cable(tmp_path / "nowhere")
    with pytest.raises(InputError, match="expected a number above 0"):
        Cable(tmp_path, spacing=0)


def test_the_same_files_make_the_same_documents(folder):
    assert list(Cable(folder).documents()) == list(Cable(folder).documents())
    assert Cable(folder).uid() != Cable(folder, acquisition="south").uid()
    assert Cable(folder, acquisition="south").uid() == Cable(folder / "1.h5", acquisition="south").uid()


def test_carried_on_wherever_it_was_cut_off(folder):
    write_prodml(folder / "other.h5", 5000, channels=9)
    whole = list(Cable(folder).documents())
    for count in range(len(whole)):
        source = Cable(folder)
        again = list(source.documents(whole[:count]))
        assert again == whole


def test_a_file_that_was_begun_comes_first(folder):
    """Also if one with an earlier start has come meanwhile."""
    whole = list(Cable(folder).documents())
    for count in range(len(whole)):
        write_prodml(folder / "early.h5", -3000, 300)
        documents = list(Cable(folder).documents(whole[:count]))
        is_begun = len(rows_of(whole[:count])) or any(name == "stream_resource" for name, _ in whole[:count])
        first = rows_of(documents)[0]["file"]
        assert first == ("b/0.h5" if is_begun else "early.h5")
        expected = [samples_of(0, 2200, 8), samples_of(-3000, 300, 8)]
        assert np.array_equal(np.sort(array_of(documents)[:, 0]), np.sort(np.concatenate(expected)[:, 0]))
        if is_begun:
            assert documents[:count] == whole[:count]


def test_an_early_file_of_another_kind_is_none_of_a_run_that_has_begun(folder):
    whole = list(Cable(folder).documents())
    write_prodml(folder / "early.h5", -3000, 300, channels=9)
    for count in (1, 2):
        source = Cable(folder)
        documents = list(source.documents(whole[:count]))
        assert documents[: len(whole) - 1] == whole[:-1]
        assert source.problems == [
            "early.h5: it is other than the files before it: channels 9, not 8; record it as another acquisition"
        ]


def test_a_file_that_was_begun_and_is_gone(folder):
    whole = list(Cable(folder).documents())
    place = next(place for place, (name, _) in enumerate(whole) if name == "stream_datum")
    (folder / "b" / "0.h5").unlink()
    with pytest.raises(InputError, match=r"b/0\.h5, which was being recorded .* put it back"):
        list(Cable(folder).documents(whole[: place + 1]))


def test_what_comes_later_is_a_run_of_its_own(folder):
    write_prodml(folder / "other.h5", 5000, channels=9)
    first = list(Cable(folder).documents())
    source = Cable(folder)
    assert (list(source.documents(earlier=first)), source.problems) == ([], [])
    write_prodml(folder / "2.h5", 2200, 300)
    second = valid(list(Cable(folder).documents(earlier=first)))
    assert second[0][1]["continues"] == first[0][1]["uid"]
    (row,) = rows_of(second)
    assert (row["file"], row["first"], row["gap"]) == ("2.h5", 0, None)
    assert list(Cable(folder).documents(earlier=[*first, *second])) == []


def test_a_file_that_comes_late_lies_behind(folder):
    first = list(Cable(folder).documents())
    cut = first[: max(place for place, (name, _) in enumerate(first) if name == "event") + 1]
    write_prodml(folder / "late.h5", -1000, 1000)
    source = Cable(folder)
    row = rows_of(list(source.documents(cut)))[-1]
    assert (row["file"], row["first"], row["gap"]) == ("late.h5", 2200, -16 * 10**9)
    assert (
        row["remark"]
        == "it starts 12.5 s (2,500 samples) before 0.HDF5, after which it lies in the array: it came late"
    )


def test_many_files_in_any_order(tmp_path):
    dice = random.Random(7)
    order = dice.sample(range(60), 60)
    for number in order:
        write_prodml(tmp_path / f"{dice.random()}.h5", 50 * number, 50, 3)
    source = Cable(tmp_path)
    documents = list(source.documents())
    assert np.array_equal(array_of(documents), samples_of(0, 3000, 3))
    assert source.problems == []


def test_a_rate_that_is_no_whole_number(tmp_path):
    """No sample's time is off by more than the microsecond to which stamps are told, after many files."""
    for number in range(4):
        write_prodml(tmp_path / f"{number}.h5", 3000 * number, 3000, rate=300)
    rows = rows_of(list(Cable(tmp_path).documents()))
    assert {Fraction(row["step_numerator"], row["step_denominator"]) for row in rows} == {Fraction(1, 300)}
    assert [row["gap"] for row in rows[1:]] == [0, 0, 0]


def watched(source, changes, **options):
    """Return the documents of a source that is watched; each change is made when so many documents have come."""
    until, documents = threading.Event(), []
    for document in source.watch(until, poll=0.01, settle=0.03, **options):
        documents.append(document)
        for count, change in changes.items():
            if len(documents) == count:
                change(until)
    return documents


def test_a_folder_that_is_being_filled(folder):
    """Start, descriptor, and then three documents a file."""
    cut = folder / "3.h5"

    def begin(_until):
        whole = write_prodml(cut, 2500, 300).read_bytes()
        cut.write_bytes(whole[:3000])
        write_prodml(folder / "2.h5", 2200, 300)
        threading.Timer(0.02, cut.write_bytes, [whole]).start()

    changes = {11: begin, 17: lambda until: until.set()}
    documents = watched(Cable(folder), changes)
    assert [name for name, _ in documents][-1] == "event"
    assert np.array_equal(array_of(documents), samples_of(0, 2800, 8))
    finished = watched(Cable(folder), {17: lambda until: until.set()}, before=documents, finish=True)
    assert finished[:-1] == documents
    assert finished[-1][0] == "stop"
    assert finished == list(Cable(folder).documents())


def test_a_file_that_stays_damaged_is_given_up(folder):
    (folder / "x.h5").write_text("no")
    documents = watched(Cable(folder), {13: lambda until: until.set()})
    assert [row["file"] for row in rows_of(documents, "rejected_files")] == ["x.h5"]
    assert watched(Cable(folder), {13: lambda until: until.set()}, before=documents) == documents


def test_all_are_taken_when_it_is_over(folder):
    until = threading.Event()
    until.set()
    assert list(Cable(folder).watch(until)) == []
    assert list(Cable(folder).watch(until, finish=True)) == list(Cable(folder).documents())


def test_watched_after_it_was_cut_off(folder):
    whole = list(Cable(folder).documents())
    until = threading.Event()
    until.set()
    for count in range(2, len(whole)):
        again = list(Cable(folder).watch(until, whole[:count]))
        assert len(again) >= count or whole[count - 1][0] == "descriptor"  # it comes with its first file
        assert again == whole[: len(again)]
        assert again[-1][0] in ("start", "event")


def test_stores_are_not_watched(folder):
    path = write_store(folder / "s.zarr")
    with pytest.raises(InputError, match="is a Zarr store, which is not watched"):
        list(Cable(path).watch(threading.Event()))
    documents = watched(Cable(folder), {11: lambda until: until.set()})
    assert len(rows_of(documents)) == 3


def test_progress(folder):
    told = []
    list(Cable(folder, progress=lambda *each: told.append(each)).documents())
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_one_channel(tmp_path):
    write_prodml(tmp_path / "0.h5", channels=1)
    documents = valid(list(Cable(tmp_path).documents()))
    (descriptor,) = [doc for name, doc in documents if name == "descriptor"]
    assert descriptor["data_keys"]["data"]["shape"] == []
    (resource,) = [doc for name, doc in documents if name == "stream_resource"]
    assert resource["parameters"]["chunk_shape"] == [(2 << 20) // 4]
