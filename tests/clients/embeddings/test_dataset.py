"""A dataset of embeddings, asked: its rows, its vectors, wherever they are, and its neighbours."""

import bluesky.plans as bp
import numpy as np
import pandas as pd
import pytest

from tilewright import TiledWriter
from tilewright.clients.embeddings.places import Nearby, Remote
from tilewright.errors import InputError, NotFoundError, SetupError
from tilewright.sources import Embeddings, as_flyer
from tilewright.testing.embeddings import name_of, records, write_dataset
from tilewright.tfrecords import encode_example, write_records

DIMENSION = 16
EACH = 240
"""Rows of a file."""
ROWS = 5 * EACH


def exact(vectors, query, metric):
    """Return the scores of all vectors in float64, the greater the nearer."""
    one, many = query.astype(float), vectors.astype(float)
    match metric:
        case "dot":
            return many @ one
        case "cosine":
            return many @ one / np.linalg.norm(many, axis=1) / np.linalg.norm(one)
    return -np.linalg.norm(many - one, axis=1)


def test_what_it_is(dataset):
    assert (dataset.name, dataset.model, dataset.dimension, dataset.window, len(dataset)) == (
        "north",
        "perch",
        DIMENSION,
        5.0,
        ROWS,
    )
    assert dataset.files["rows"].tolist() == [EACH] * 5
    assert dataset.rejected.empty
    assert repr(dataset).startswith("<Dataset 'north' of run ")
    assert "5 more" not in dataset._repr_html_()


def test_all_rows(dataset):
    table = dataset.table()
    assert table.index.tolist() == list(range(ROWS))
    assert table["file"].tolist() == [row // EACH for row in range(ROWS)]
    assert table["offset"].tolist() == [5.0 * (row % 1440) for row in range(ROWS)]
    assert table["recording_start"].unique().tolist() == [pd.Timestamp("2020-10-13T13:30Z")]
    assert dataset.table(columns="site_id").columns.tolist() == ["site_id"]


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("site_id == 286", range(960, 1200)),
        ("site_id == 285 and subsite_name == 'Dry-A'", range(240)),
        ("subsite_name in ['Wet-A', 'Wet-B'] and offset < 2410", [480, 481]),
        ("row in [7, 3] or row > 1197", [3, 7, 1198, 1199]),
        ("3 <= row < 5", [3, 4]),
        ("recording_start == '2020-10-14T00:00+10:30' and row < 2", [0, 1]),
        ("recording_start > '2020-10-14T00:00+10:30'", []),
        ("not recording_start < '2020-10-13T13:30Z' and row == 0", [0]),
        ("utc_offset == 37800 and seconds_since_midnight == 0 and channel == 0 and row == 9", [9]),
    ],
)
def test_rows_that_are_meant(dataset, where, rows):
    table = dataset.table(where)
    assert table.index.tolist() == list(rows)
    vectors = dataset.vectors(where)
    assert vectors.rows.tolist() == list(rows)
    assert np.asarray(vectors)[:, 0].tolist() == list(rows)


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("site == 285", "site_id"),
        ("site_id == 'x'", "site_id"),
        ("recording_start > '2020-10-14T00:00'", "zone"),
        ("embedding == 3", "embedding"),
        ("__import__('os')", "is no condition"),
    ],
)
def test_what_cannot_be_asked(dataset, where, told):
    with pytest.raises(InputError, match=told):
        dataset.table(where)


def test_columns_and_rows_that_are_not_there(dataset):
    with pytest.raises(NotFoundError, match="no column 'site'"):
        dataset.table(columns=["site"])
    with pytest.raises(NotFoundError, match="no row 1200"):
        dataset.vectors(rows=[0, ROWS])
    with pytest.raises(NotFoundError, match="no row -1"):
        dataset.nearest(-1)
    with pytest.raises(InputError, match="not both"):
        dataset.vectors(where="row == 0", rows=[0])
    with pytest.raises(InputError, match="whole numbers"):
        dataset.vectors(rows=[0.5])


def test_vectors_wherever_they_are(run):
    """In TFRecords, NPY files, or a Zarr array; by the files, and by the server."""
    dataset = run.embeddings()
    remote = Remote(run, dataset._described, ROWS)
    is_mapped = isinstance(dataset.places, Nearby)
    assert is_mapped == (run.start["store"] != "zarr")
    for places in (dataset.places, remote):
        for rows in (
            None,
            np.array([0]),
            np.array([3, 4, 5, 239, 240, 700]),
            np.arange(0, ROWS, 7),
            np.array([], np.int64),
        ):
            found = {}
            for numbers, vectors in places.blocks(rows):
                there = numbers + np.arange(len(vectors)) if np.ndim(numbers) == 0 else numbers
                assert vectors[:, 0].tolist() == there.tolist()
                found.update(zip(there.tolist(), vectors.copy(), strict=True))
            assert sorted(found) == (list(range(ROWS)) if rows is None else rows.tolist())


def test_vectors_are_an_array_that_is_read_when_it_is_needed(dataset):
    vectors = dataset.vectors()
    assert (vectors.shape, vectors.ndim, len(vectors), vectors.nbytes) == (
        (ROWS, DIMENSION),
        2,
        ROWS,
        ROWS * DIMENSION * 4,
    )
    assert vectors[7].shape == (DIMENSION,)
    assert vectors[-1][0] == ROWS - 1
    assert vectors[10:14, 0].tolist() == [10, 11, 12, 13]
    assert vectors[[5, 3, 5]][:, 0].tolist() == [5, 3, 5]
    assert vectors[::-400, 0].tolist() == [1199, 799, 399]
    assert vectors[vectors.rows > 1197][:, 0].tolist() == [1198, 1199]
    assert "not read yet" in repr(vectors)
    with pytest.raises(IndexError):
        vectors[ROWS]


@pytest.mark.parametrize("metric", ["dot", "cosine", "euclidean"])
def test_neighbours(run, metric):
    dataset = run.embeddings()
    vectors = np.asarray(dataset.vectors())
    found = dataset.nearest(700, 5, metric=metric)
    scores = exact(vectors, vectors[700], metric)
    scores[700] = -np.inf
    best = np.argsort(-scores, kind="stable")[:5]
    assert found["row"].tolist() == best.tolist()
    assert found["query"].tolist() == [700] * 5
    assert found["rank"].tolist() == [1, 2, 3, 4, 5]
    assert np.allclose(found["score"], np.abs(scores[best]) if metric == "euclidean" else scores[best])
    assert found["filename"].tolist() == dataset.table()["filename"].loc[best].tolist()
    assert found.attrs == {"metric": metric, "searched": ROWS, "not_finite": 0, "recall": 1.0}


def test_neighbours_among_some_rows(dataset):
    vectors = np.asarray(dataset.vectors())
    where = "site_id == 286 or row < 10"
    found = dataset.nearest([1, 3, 1], 4, where)
    rows = np.array([*range(10), *range(960, 1200)])
    for query, part in zip((1, 3, 1), (found[:4], found[4:8], found[8:]), strict=True):
        scores = exact(vectors[rows], vectors[query], "dot")
        scores[rows == query] = -np.inf
        assert part["row"].tolist() == rows[np.argsort(-scores)[:4]].tolist()
        assert set(part["query"]) == {query}
    assert found.attrs["searched"] == len(rows)
    assert dataset.nearest(0, 3, "site_id == 99").empty


def test_neighbours_of_vectors(dataset):
    query = np.asarray(dataset.vectors(rows=[5]))
    one, several = dataset.nearest(query[0], 2), dataset.nearest(np.repeat(query, 2, axis=0), 2)
    assert one["row"].tolist() * 2 == several["row"].tolist()
    assert several["query"].tolist() == [0, 0, 1, 1]
    assert len(dataset.nearest(query[0].astype("f8"), 1)) == 1


def test_rows_of_another_dataset(dataset, record, folder):
    write_dataset(folder / "other", 1, 2, dimension=DIMENSION)
    other = record(Embeddings(folder / "other", dataset="south", model="perch")).embeddings()
    found = dataset.nearest(other.vectors("row in [3, 5]"), 1, metric="euclidean")
    assert found["query"].tolist() == [3, 5]
    assert found["row"].tolist() == [3, 5]  # the same vectors, which are not left out here
    assert found["score"].tolist() == [0, 0]


def test_models_are_not_mixed(dataset, record, folder):
    write_dataset(folder / "other", 1, 2, dimension=DIMENSION)
    other = record(Embeddings(folder / "other", dataset="south", model="birdnet"))
    with pytest.raises(InputError, match="'birdnet' cannot be compared with those of 'perch'"):
        dataset.nearest(other.embeddings().vectors())
    with pytest.raises(InputError, match="says that 'birdnet' made its vectors, not 'perch'"):
        other.embeddings(model="perch")
    unknown = record(Embeddings(folder / "other", dataset="unknown"))
    with pytest.raises(InputError, match="nobody said which model"):
        dataset.nearest(unknown.embeddings().vectors())
    assert len(dataset.nearest(unknown.embeddings(model="perch").vectors(rows=[0]), 1)) == 1


@pytest.mark.parametrize(
    "query", ["x", [[1, 2]], np.zeros((2, 2, 2)), np.zeros(DIMENSION - 1), np.full(DIMENSION, np.nan), [True]]
)
def test_what_cannot_be_searched_for(dataset, query):
    with pytest.raises(InputError):
        dataset.nearest(query)


def test_the_number_of_neighbours(dataset):
    with pytest.raises(InputError, match="k"):
        dataset.nearest(0, 0)
    assert len(dataset.nearest(0, 5000)) == ROWS - 1


def test_an_index(dataset, tmp_path):
    pytest.importorskip("usearch")
    index = dataset.index("cosine", tmp_path / "index")
    found, expected = (dataset.nearest([9, 8], 3, metric="cosine", index=one) for one in (index, None))
    assert found.attrs["recall"] > 0.9
    assert len(set(found["row"]) & set(expected["row"])) >= 5
    assert found["query"].tolist() == [9, 9, 9, 8, 8, 8]
    again = dataset.index("cosine", tmp_path / "index")
    assert dataset.nearest([9, 8], 3, metric="cosine", index=again)["row"].tolist() == found["row"].tolist()
    with pytest.raises(InputError, match="leave out where="):
        dataset.nearest(1, where="row > 3", metric="cosine", index=index)
    with pytest.raises(InputError, match="is for metric='cosine'"):
        dataset.nearest(1, metric="dot", index=index)
    with pytest.raises(InputError, match="of other vectors"):
        dataset.index("dot", tmp_path / "index")


def test_records_that_hold_lists_of_floats_are_decoded(record, folder):
    made = [
        np.arange(12 * DIMENSION, dtype="f4").reshape(12, 1, DIMENSION) + 1000 * number for number in range(3)
    ]
    payloads = [
        encode_example(name_of(0), 60.0 * number, part, float_val=number == 1)
        for number, part in enumerate(made)
    ]
    from tilewright.tfrecords.messages import messages

    example = messages().example.FromString(payloads[1])
    tensor = messages().tensor.FromString(example.features.feature["embedding"].bytes_list.value[0])
    content = b"".join(b"\x2d" + value.tobytes() for value in made[1].ravel())  # one by one: field 5, 32 bits
    values = tensor.float_val[:]
    del tensor.float_val[:]
    example.features.feature["embedding"].bytes_list.value[0] = tensor.SerializeToString() + content
    assert len(values) == 12 * DIMENSION
    payloads[1] = example.SerializeToString()
    write_records(folder / "x.tfrecord", payloads)
    dataset = record(Embeddings(folder)).embeddings()
    expected = np.concatenate(made)[:, 0]
    assert np.array_equal(dataset.vectors(), expected)
    assert np.array_equal(dataset.vectors(rows=[11, 12, 30]), expected[[11, 12, 30]])


def test_a_file_that_was_cut_off_since(dataset, folder):
    with min((folder / "in").iterdir()).open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(SetupError, match="it has changed since it was recorded"):
        dataset.nearest(500)
    assert dataset.nearest(500, where="row > 300")["row"].min() > 300


def written_again(record, folder, changed):
    """Return a dataset whose first NPY file was written again after it was recorded, and the file's vectors from then."""
    write_dataset(folder / "in", 2, 5, dimension=DIMENSION)
    dataset = record(
        Embeddings(folder / "in", dataset="north", store="npy", store_path=folder / "out")
    ).embeddings()
    path = min((folder / "out").rglob("*.npy"))
    before = np.load(path)
    path.unlink()
    np.save(path, changed(before))
    return dataset, before


def test_a_file_in_the_order_of_fortran(record, folder):
    dataset, before = written_again(record, folder, np.asfortranarray)
    assert np.array_equal(dataset.vectors()[: len(before)], before)
    assert np.array_equal(dataset.vectors(rows=[3, 50]), before[[3, 50]])
    assert dataset.nearest(before[17], 1, metric="euclidean")["row"].tolist() == [17]


@pytest.mark.parametrize(
    "changed", [lambda old: old.astype(">f4"), lambda old: old[:, 1:], lambda old: old[1:], lambda _: 1]
)
def test_an_npy_file_that_is_another_one_now(record, folder, changed):
    dataset, _ = written_again(record, folder, changed)
    with pytest.raises(SetupError, match="it has changed since it was recorded"):
        dataset.vectors()[:1]


def test_an_npy_file_that_is_none_now(record, folder):
    dataset, _ = written_again(record, folder, lambda old: old)
    min((folder / "out").rglob("*.npy")).write_bytes(b"no NPY file")
    with pytest.raises(SetupError, match=r"is no NPY file .*: it has changed since it was recorded"):
        dataset.vectors()[:1]


def test_files_that_are_elsewhere_are_asked_of_the_server(dataset, monkeypatch):
    monkeypatch.setattr("pathlib.Path.is_file", lambda self: False)
    assert isinstance(dataset.places, Remote)


def test_files_that_are_here_are_searched_without_dask(dataset, in_a_new_process):
    searched = f"len(catalog[{dataset.run.uid!r}].embeddings().nearest(7))"
    assert in_a_new_process(searched) == ("10", "False")


def test_other_runs_have_no_embeddings(record, catalog, folder):
    (folder / "x.tfrecord").write_bytes(b"")
    run = record(Embeddings(folder))
    with pytest.raises(InputError, match="has no embeddings"):
        run.embeddings()


def test_a_run_that_goes_on(catalog, folder):

    write_records(folder / "a.tfrecord", records(2, dimension=DIMENSION))
    write_records(folder / "b.tfrecord", records(2, first=24, dimension=DIMENSION))
    documents = list(Embeddings(folder).documents())
    half = next(at for at, (name, _) in enumerate(documents) if name == "event") + 1
    with TiledWriter(catalog) as writer:
        for document in documents[:half]:
            writer(*document)
        assert writer.flush(30)
        dataset = catalog[-1].embeddings()
        assert len(dataset.table()) == len(dataset) == len(dataset.vectors()) == 24
        for document in documents[half:]:
            writer(*document)
        assert len(dataset.refresh()) == 48
        assert np.asarray(dataset.vectors())[:, 0].tolist() == list(range(48))


def test_flown_by_a_run_engine(run_engine, catalog, folder):
    write_dataset(folder, 2, 5, dimension=DIMENSION)
    with TiledWriter(catalog, strict=True) as writer:
        run_engine.subscribe(writer)
        flyer = as_flyer(Embeddings(folder, model="perch"))
        (uid,) = run_engine(bp.fly([flyer], md=flyer.md))
    dataset = catalog[uid].embeddings()
    assert dataset.model == "perch"
    assert np.asarray(dataset.vectors())[:, 0].tolist() == dataset.table().index.tolist() == list(range(120))
    assert catalog[uid].stop["num_events"] == {"embeddings": 120, "files": 2}


def test_files_are_checked(run, folder):
    assert run.verify(files=True).equal
    if run.start["store"] == "zarr":
        return
    place = folder / "in" if run.start["store"] == "register" else folder / "out" / run.uid
    first = min(place.iterdir())
    with first.open("r+b") as file:
        file.truncate(first.stat().st_size // 2)
    (problem, *_) = run.verify(files=True).problems
    assert first.name in problem
