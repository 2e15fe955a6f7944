"""A journal beside a catalog: what differs is told, and put right from the journal."""

import shutil

import pyarrow as pa
import pytest
from tiled.structures.core import Spec

from tilewright import TiledWriter
from tilewright.delivery import target
from tilewright.delivery.verify import check_report, compare, repair
from tilewright.errors import InputError, NotFoundError
from tilewright.journal import Header, JournalDirectory
from tilewright.testing.documents import file_documents, run_of, simple_run
from tilewright.testing.expected import compare_runs


@pytest.fixture
def recorded(catalog, tmp_path):
    """Return a function that records documents and returns their journal, delivered."""

    def record(documents):
        with TiledWriter(catalog, journal=tmp_path / "journals", strict=True) as writer:
            for document in documents:
                writer(*document)
        (journal,) = (tmp_path / "journals" / "delivered").glob("*.twj")
        return journal

    return record


def rows_at(remote, uid, *path):
    return remote.read_table((uid, *path), ["seq_num"]).num_rows


def make_anew(catalog, uid, change):
    """Put other rows in the place of a run's own: what `change` makes of them."""
    remote = target(catalog).connect()
    path = (uid, "primary", "internal")
    node = remote.get(path)
    rows = change(remote.read_table(path, node.arrow_schema.names))
    remote.delete(path)
    source = {key: node.data_source[key] for key in ("structure_family", "structure", "mimetype")}
    remote.create(path, "table", metadata=node.metadata, specs=[], data_source={**source, "parameters": {}})
    if rows.num_rows:
        remote.append_rows(path, rows, 0)


def with_value(table, name, row, value):
    column = table.column(name).to_pylist()
    column[row] = value
    index = table.column_names.index(name)
    return table.set_column(index, name, pa.array(column, type=table.schema.field(name).type))


def test_what_was_delivered_is_equal(recorded, catalog):
    documents = simple_run(events=7)
    journal = recorded(documents)
    comparison = compare(journal, target(catalog))
    assert comparison.equal, str(comparison)
    assert comparison.rows == {"primary": 7}
    assert "as in the journal" in str(comparison)
    assert "as in the journal" in comparison._repr_html_()
    assert check_report(documents[0][1]["uid"], target(catalog)).equal


def test_every_kind_of_column_and_file_is_equal_to_itself(recorded, catalog):
    nan = float("nan")
    columns = {
        "x": [nan, -0.0, None],
        "l": [[1.0, nan], None, [2.0, 3.0]],
        "s": ["a", None, "é"],
        "n": [1, "no", 2**70],
    }
    journal = recorded(run_of(columns, dtypes={"n": "<i8"}))
    comparison = compare(journal, target(catalog))
    assert comparison.equal, str(comparison)


@pytest.mark.parametrize(
    ("change", "said", "reported"),
    [
        (lambda table: table.slice(0, 5), "lacks rows from row 6 on", "has 5 rows; 7 were delivered"),
        (lambda table: table.slice(0, 0), "lacks rows from row 1 on", "has 0 rows; 7 were delivered"),
        (
            lambda table: pa.concat_tables([table, table.slice(6)]),
            "rows that the journal does not have",
            "has 8 rows",
        ),
        (lambda table: table.take([1, 0, 2, 3, 4, 5, 6]), "row 1: ", "in another order"),
        (lambda table: with_value(table, "x0", 3, 99.0), "column 'x0', row 4: 99.0, in the journal", None),
    ],
    ids=["fewer", "none", "more", "order", "value"],
)
def test_a_difference_is_told_and_put_right(recorded, catalog, change, said, reported):
    documents = run_of({"x0": [float(row) for row in range(7)]})
    uid = documents[0][1]["uid"]
    journal = recorded(documents)
    make_anew(catalog, uid, change)
    comparison = compare(journal, target(catalog))
    assert not comparison.equal
    assert said in str(comparison)
    report = catalog[uid].verify()
    assert (reported in str(report)) if reported else report.equal  # values are not in the report
    assert catalog[uid].verify(journal.parents[1]).problems == comparison.problems
    assert compare_runs(documents, catalog.__getitem__) != []

    assert repair(journal, target(catalog)).equal
    assert compare_runs(documents, catalog.__getitem__) == []
    assert journal.exists()
    assert not list(journal.parent.glob("*.claim"))


def test_a_run_that_is_gone_is_made_again(recorded, catalog):
    documents = simple_run(events=4)
    uid = documents[0][1]["uid"]
    journal = recorded(documents)
    run = catalog[uid]
    catalog.delete_contents(uid, recursive=True, external_only=False)
    assert "is not in the catalog" in str(compare(journal, target(catalog)))
    assert run.verify(journal.parents[1], repair=True).equal
    assert compare_runs(documents, catalog.__getitem__) == []


def test_other_metadata_is_told_and_put_right(recorded, catalog):
    documents = simple_run(events=4)
    uid = documents[0][1]["uid"]
    journal = recorded(documents)
    catalog[uid].update_metadata({"stop": {"exit_status": "changed"}})
    assert "another 'stop'" in str(compare(journal, target(catalog)))
    assert repair(journal, target(catalog)).equal
    assert catalog[uid].metadata["stop"] == documents[-1][1]


def test_a_damaged_journal_is_told(recorded, catalog, tmp_path):
    journal = recorded(simple_run(events=9))
    damaged = tmp_path / "damaged.twj"
    shutil.copy(journal, damaged)
    with damaged.open("r+b") as file:
        file.seek(-400, 2)
        file.write(b"\xff" * 8)
    comparison = compare(damaged, target(catalog))
    assert "the journal is damaged: bytes" in str(comparison)


def test_a_run_without_a_journal_or_report(catalog, tmp_path):
    catalog.create_container(
        "plain", metadata={"start": {"uid": "plain", "time": 0.0}}, specs=[Spec("TilewrightRun", version="1")]
    )
    run = catalog["plain"]
    assert "no report" in str(run.verify())
    with pytest.raises(NotFoundError, match="no journal of run plain"):
        run.verify(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NotFoundError, match="there is no journal"):
        run.verify(tmp_path / "nowhere")
    with pytest.raises(InputError, match="takes its journal"):
        run.verify(repair=True)


def test_the_journal_of_another_run_is_not_taken(recorded, catalog):
    """It would be compared with that run, and this one be taken for whole."""
    journal = recorded(simple_run(events=4))
    other = simple_run(events=2)
    with TiledWriter(catalog, journal=journal.parents[2] / "others", strict=True) as writer:
        for document in other:
            writer(*document)
    with pytest.raises(InputError, match="is the journal of the run"):
        catalog[other[0][1]["uid"]].verify(journal)


def test_the_journal_for_this_catalog_is_taken(recorded, catalog, tmp_path):
    """What was recorded for another one may differ: each writer has its own patches."""
    documents = simple_run(events=4)
    uid = documents[0][1]["uid"]
    delivered = recorded(documents)
    directory = JournalDirectory(tmp_path / "journals")
    for name in ("http://one/api/v1", "http://two/api/v1"):
        directory.create(Header(uid, name, 0.0, "test")).close()
    comparison = catalog[uid].verify(directory.path)
    assert (comparison.journal, comparison.equal) == (delivered, True)
    delivered.unlink()
    with pytest.raises(InputError, match="recorded for several catalogs; give one of its journals"):
        catalog[uid].verify(directory.path)


def test_an_array_that_grows_through_a_long_journal(recorded, catalog, monkeypatch):
    """Only what it comes to in the end is held against the catalog, not what it was on the way."""
    documents = run_of({"x": [1.0, 2.0, 3.0]})
    start, descriptor = documents[0][1], documents[1][1]
    descriptor["data_keys"]["img"] = {
        "source": "test",
        "dtype": "array",
        "dtype_numpy": "<u2",
        "shape": [4, 5],
        "external": "STREAM:",
    }
    resource, datum = file_documents(
        "img",
        uri="file://localhost/data/x.h5",
        mimetype="application/x-hdf5",
        descriptor=descriptor["uid"],
        run_start=start["uid"],
        frames=1,
        dataset="d",
    )
    datums = [
        ("stream_datum", datum[1] | {"uid": f"{row}", "indices": {"start": row, "stop": row + 1}})
        for row in range(5)
    ]
    journal = recorded([*documents[:-1], resource, *datums, documents[-1]])
    monkeypatch.setattr("tilewright.delivery.run.CHUNK_BYTES", 200)
    comparison = compare(journal, target(catalog))
    assert comparison.equal, str(comparison)
