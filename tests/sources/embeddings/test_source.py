"""Files of embeddings as documents: what is recorded, what is rejected, and what is carried on with."""

import os
import random
import shutil

import event_model
import numpy as np
import pytest

from tilewright.errors import InputError
from tilewright.sources import Embeddings
from tilewright.testing.embeddings import WINDOWS, name_of, records, vectors
from tilewright.tfrecords import encode_example, framed, positions, write_records

DIMENSION = 8
DAY = 1_602_595_800 * 10**9
"""2020-10-14T00:00+10:30, in nanoseconds."""


def rows_of(documents, stream="embeddings"):
    """Return the rows of a stream, as a dict of lists."""
    uid = next(
        (doc["uid"] for name, doc in documents if name == "descriptor" and doc["name"] == stream), None
    )
    found = {}
    for name, doc in documents:
        if name in ("event", "event_page") and doc["descriptor"] == uid:
            paged = name == "event_page"
            for key, values in {"seq_num": doc["seq_num"], **doc["data"]}.items():
                found.setdefault(key, []).extend(values if paged else [values])
    return found


def numbers_of(documents):
    """Return the numbers of the vectors that the resources and datums point at, in the order of their indices."""
    resources = {doc["uid"]: doc for name, doc in documents if name == "stream_resource"}
    found = []
    for name, doc in documents:
        if name != "stream_datum":
            continue
        resource = resources[doc["stream_resource"]]
        path = resource["uri"].removeprefix("file://localhost")
        start, stop = doc["indices"]["start"], doc["indices"]["stop"]
        assert start == len(found)
        if resource["mimetype"] == "application/x-tfrecord":
            places = positions(path, resource["parameters"]["stretches"])
            data = np.fromfile(path, np.uint8)
            for at, count in zip(places.values_at.tolist(), places.counts.tolist(), strict=True):
                values = data[at : at + count * DIMENSION * 4].view("<f4").reshape(count, DIMENSION)
                found += values[:, 0].tolist()
        elif resource["mimetype"] == "application/x-npy-rows":
            found += np.load(path)[:, 0].tolist()
        else:
            import zarr

            found += zarr.open_array(path)[start:stop, 0].tolist()
        assert len(found) == stop
    return found


def test_documents(folder):
    source = Embeddings(folder, dataset="one percent", model="perch")
    documents = list(source.documents())
    for name, doc in documents:
        event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)
    start = documents[0][1]
    assert (start["dataset"], start["model"], start["window"]) == ("one percent", "perch", 5.0)
    rows = rows_of(documents)
    assert rows["seq_num"] == list(range(1, 73))
    assert numbers_of(documents) == list(range(72))
    assert rows["site_id"] == [285] * 72
    assert rows["filename"] == [name_of(number // 24) for number in range(72)]
    assert rows["offset"] == [5.0 * (number % 24) for number in range(72)]
    assert rows["channel"] == [0] * 72
    assert rows["recording_start"] == [DAY + number // 24 * 7200 * 10**9 for number in range(72)]
    assert rows["file"] == [0] * 36 + [1] * 36
    assert rows["record"][0] == 0
    assert len(set(rows["record"])) == 3
    files = rows_of(documents, "files")
    assert files["file"] == ["a.tfrecord", "b.tfrecord"]
    assert (files["rows"], files["first"], files["rejections"]) == ([36, 36], [0, 36], [0, 0])
    assert documents[-1][1]["num_events"] == {"embeddings": 72, "files": 2}
    assert source.problems == []


def test_several_channels_and_other_forms_of_numbers(tmp_path):
    one = encode_example(name_of(0), 0, vectors(0, windows=3, channels=2), integer_time=True)
    other = encode_example(
        name_of(0),
        60,
        vectors(6, windows=1, channels=2),
        float_val=True,
        order=["filename", "embedding", "embedding_shape", "timestamp_s"],
    )
    write_records(tmp_path / "x.tfrecord", [one, other])
    rows = rows_of(list(Embeddings(tmp_path).documents()))
    assert rows["channel"] == [0, 1] * 4
    assert rows["offset"] == [0, 0, 5, 5, 10, 10, 60, 60]


def test_the_same_content_twice(folder):
    shutil.copy(folder / "a.tfrecord", folder / "copy.tfrecord")
    source = Embeddings(folder)
    documents = list(source.documents())
    assert numbers_of(documents) == list(range(72))
    assert source.problems == ["copy.tfrecord: it is the same as a.tfrecord, and is not repeated"]


def damaged(folder, kind):
    """Damage the second record of the first file, which begins at byte `at` and ends at `end`; say at which byte."""
    path = folder / "a.tfrecord"
    payloads = list(records(3, minutes=2))
    at, end = len(framed(payloads[0])), len(framed(payloads[0])) + len(framed(payloads[1]))
    data = bytearray(path.read_bytes())
    match kind:
        case "length":
            data[at + 2] ^= 1
        case "crc of the length":
            data[at + 9] ^= 1
        case "data":
            data[at + 50] ^= 1
        case "crc of the data":
            data[end - 1] ^= 1
        case "foreign bytes":
            data[at:end] = random.Random(1).randbytes(5000)
    path.write_bytes(data)
    return at


@pytest.mark.parametrize("kind", ["length", "crc of the length", "data", "crc of the data", "foreign bytes"])
def test_damage(folder, kind):
    at = damaged(folder, kind)
    source = Embeddings(folder)
    documents = list(source.documents())
    expected = [number for number in range(72) if not 12 <= number < 24]
    assert numbers_of(documents) == expected
    assert rows_of(documents)["offset"] == [5.0 * (number % 24) for number in expected]
    rejected = rows_of(documents, "rejected")
    assert (rejected["file"], rejected["record"], rejected["filename"]) == (["a.tfrecord"], [at], [None])
    assert rows_of(documents, "files")["rejections"] == [1, 0]
    (problem,) = source.problems
    assert problem.startswith(f"a.tfrecord, byte {at:,}: ")
    with pytest.raises(InputError, match=f"a.tfrecord, byte {at:,}"):
        list(Embeddings(folder, strict=True).documents())


@pytest.mark.parametrize("cut", [1, 4, 11, 12, 13, 100, 400])
def test_a_last_record_that_is_cut_off(folder, cut):
    path = folder / "b.tfrecord"
    data = path.read_bytes()
    whole = len(data) * 2 // 3
    path.write_bytes(data[: whole + cut])
    documents = list(Embeddings(folder).documents())
    assert numbers_of(documents) == list(range(60))
    assert rows_of(documents, "rejected")["record"] == [whole]


def without(feature):
    from tilewright.tfrecords.messages import messages

    example = messages().example.FromString(encode_example(name_of(0), 0.0, vectors(900)))
    del example.features.feature[feature]
    return example.SerializeToString()


def with_nan():
    made = vectors(900)
    made[3, 0, 5] = np.nan
    made[4, 0, 5] = np.inf
    return encode_example(name_of(0), 0.0, made)


@pytest.mark.parametrize(
    ("payload", "filename", "reason"),
    [
        (without("timestamp_s"), None, "timestamp_s"),
        (without("filename"), None, "filename"),
        (without("embedding"), None, "embedding"),
        (without("embedding_shape"), None, "embedding_shape"),
        (b"this is no protobuf at all", None, ""),
        (b"", None, ""),
        (encode_example("x.flac", 0.0, vectors(900)), "x.flac", "does not match the pattern"),
        (
            encode_example(name_of(0), 0.0, vectors(900, dimension=9)),
            name_of(0),
            "9 values, and those before it 8",
        ),
    ],
    ids=["time", "filename", "embedding", "shape", "foreign", "empty", "name", "dimension"],
)
def test_records_that_are_no_part(tmp_path, payload, filename, reason):
    payloads = list(records(3, minutes=2))
    places = write_records(tmp_path / "x.tfrecord", [payloads[0], payload, *payloads[1:]])
    documents = list(Embeddings(tmp_path).documents())
    assert numbers_of(documents) == list(range(36))
    rejected = rows_of(documents, "rejected")
    assert (rejected["record"], rejected["filename"]) == ([places[1]], [filename])
    assert reason in rejected["reason"][0]


def test_vectors_that_are_not_finite(tmp_path):
    payloads = list(records(2, minutes=2))
    places = write_records(tmp_path / "x.tfrecord", [payloads[0], with_nan(), payloads[1]])
    source = Embeddings(tmp_path)
    documents = list(source.documents())
    kept = [*range(12), 900, 901, 902, *range(905, 912), *range(12, 24)]
    assert numbers_of(documents) == kept
    assert rows_of(documents)["offset"][12:22] == [0, 5, 10, 25, 30, 35, 40, 45, 50, 55]
    assert rows_of(documents, "files")["not_finite"] == [2]
    assert rows_of(documents, "rejected")["record"] == [places[1]]
    assert "window 3 channel 0, window 4 channel 0" in source.problems[0]


def test_nothing_that_can_be_used(tmp_path):
    (tmp_path / "x.tfrecord").write_bytes(b"")
    (tmp_path / "y.tfrecord").write_bytes(b"this is no TFRecord")
    documents = list(Embeddings(tmp_path).documents())
    assert rows_of(documents, "files")["records"] == [0, 1]
    assert documents[-1][0] == "stop"
    (tmp_path / "x.tfrecord").unlink()
    (tmp_path / "y.tfrecord").unlink()
    with pytest.raises(InputError, match="there are no TFRecords in"):
        list(Embeddings(tmp_path).documents())


@pytest.mark.parametrize("store", ["npy", "zarr"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_vectors_that_are_written_out(folder, tmp_path, store, dtype):
    source = Embeddings(folder, store=store, store_path=tmp_path / "out", dtype=dtype)
    documents = list(source.documents())
    assert numbers_of(documents) == list(range(72))
    (key,) = [
        doc["data_keys"]["embedding"]
        for name, doc in documents
        if name == "descriptor" and doc["name"] == "embeddings"
    ]
    assert (key["dtype_numpy"], key["shape"]) == ({"float32": "<f4", "float16": "<f2"}[dtype], [DIMENSION])
    assert source.readable == [tmp_path / "out"]
    if store == "npy":
        first, second = sorted((tmp_path / "out").rglob("*.npy"))
        expected = np.concatenate([vectors(12 * number)[:, 0] for number in range(3)]).astype(
            key["dtype_numpy"]
        )
        assert np.array_equal(np.load(first), expected)
        assert len(np.load(second)) == 36


def test_values_too_large_for_float16(tmp_path):
    made = vectors(0)
    made[2, 0, 3] = 1e6
    write_records(tmp_path / "x.tfrecord", [encode_example(name_of(0), 0.0, made)])
    source = Embeddings(tmp_path, store="npy", store_path=tmp_path / "out", dtype="float16")
    documents = list(source.documents())
    assert rows_of(documents, "files")["overflowed"] == [1]
    assert source.problems == [
        "x.tfrecord: 1 vectors have values that are too large for float16, and are infinite there"
    ]


@pytest.mark.parametrize("store", ["register", "npy", "zarr"])
def test_cut_off_anywhere(folder, tmp_path, store):
    """Whoever carries on makes the same documents, whatever was the last one; also if another file has come."""
    options = {} if store == "register" else {"store": store, "store_path": tmp_path / "out"}
    whole = list(Embeddings(folder, **options).documents())
    for count in range(1, len(whole)):
        assert list(Embeddings(folder, **options).documents(whole[:count])) == whole
    write_records(folder / "0.tfrecord", records(1, first=72, minutes=2))
    for count in range(1, len(whole)):
        documents = list(Embeddings(folder, **options).documents(whole[:count]))
        assert documents[:count] == whole[:count]
        names = rows_of(documents, "files")["file"]
        assert sorted(names) == ["0.tfrecord", "a.tfrecord", "b.tfrecord"]
        assert sorted(numbers_of(documents)) == list(range(84))


def test_files_that_were_copied_make_the_same_documents(folder):
    whole = list(Embeddings(folder, dataset="x").documents())
    for path in folder.iterdir():
        os.utime(path, (1, 1))
    assert list(Embeddings(folder, dataset="x").documents()) == whole
    assert whole[0][1]["time"] == DAY / 10**9


def test_the_file_that_was_being_recorded_is_gone(folder):
    whole = list(Embeddings(folder).documents())
    last = next(at for at, (name, _) in enumerate(whole) if name == "stream_datum") + 1
    (folder / "a.tfrecord").unlink()
    with pytest.raises(InputError, match="is not there, or has changed: put it back"):
        list(Embeddings(folder).documents(whole[:last]))


def test_what_comes_after_the_stop_is_a_run_of_its_own(folder):
    finished = list(Embeddings(folder).documents())
    few = [(name, doc) for name, doc in finished if name != "event_page"]
    assert list(Embeddings(folder).documents((), few)) == []
    write_records(folder / "c.tfrecord", records(1, first=72, minutes=2))
    documents = list(Embeddings(folder).documents((), few))
    assert documents[0][1]["continues"] == finished[0][1]["uid"]
    assert documents[0][1]["uid"] != finished[0][1]["uid"]
    assert rows_of(documents, "files")["file"] == ["c.tfrecord"]
    assert numbers_of(documents) == list(range(72, 84))


def test_a_file_that_has_changed_since(folder):
    finished = list(Embeddings(folder).documents())
    write_records(folder / "a.tfrecord", records(4, minutes=2))
    source = Embeddings(folder)
    assert list(source.documents((), finished)) == []
    assert source.problems == [
        "a.tfrecord: it has changed since it was recorded; what is new in it is not taken: record it as another dataset"
    ]


def test_a_dataset_is_known_by_its_name_or_its_folder(folder, tmp_path):
    assert Embeddings(folder, dataset="x").uid() == Embeddings(folder / "a.tfrecord", dataset="x").uid()
    assert Embeddings(folder).uid() == Embeddings([folder / "a.tfrecord", folder / "b.tfrecord"]).uid()
    assert Embeddings(folder).uid() != Embeddings(folder, dataset="x").uid()


@pytest.mark.parametrize(
    "options",
    [
        {"model": "other"},
        {"pattern": r"(?P<site>\w+)"},
        {"window": 3.0},
        {"store": "npy", "store_path": "out"},
        {"store": "zarr", "store_path": "out", "dtype": "float16"},
    ],
)
def test_a_dataset_is_not_carried_on_otherwise(folder, options):
    begun = list(Embeddings(folder).documents())[:8]
    with pytest.raises(InputError, match=r"was begun with .* give the same, or another name"):
        list(Embeddings(folder, **options).documents(begun))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"store": "hdf5"}, "there is no store 'hdf5': expected one of register, npy, zarr"),
        ({"dtype": "float64"}, "cannot be stored as 'float64': expected float32 or float16"),
        ({"dtype": "float16"}, "for float16 give a store"),
        ({"store": "npy"}, "say where the store is to be"),
        ({"store_path": "out"}, "give a store, npy or zarr"),
        ({"window": 0}, "expected a number above 0"),
        ({"zone": "Mars"}, "is not known"),
    ],
)
def test_settings_that_cannot_be(folder, options, told):
    with pytest.raises(InputError, match=told):
        Embeddings(folder, **options)


def test_progress(folder):
    told = []
    list(Embeddings(folder, progress=lambda *each: told.append(each)).documents())
    assert told == [(3, 6), (6, 6)]


def test_in_one_record_there_are_a_minutes_windows(folder):
    assert len(rows_of(list(Embeddings(folder).documents()))["offset"]) / 6 == WINDOWS
