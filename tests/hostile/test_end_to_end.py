"""The corpus through one `TiledWriter` into a server, and back by our clients and by a plain Tiled client."""

from collections import defaultdict

import pytest
from tiled.client.container import DEFAULT_STRUCTURE_CLIENT_DISPATCH, Container

from tilewright import TiledWriter, open_catalog
from tilewright.errors import InputError, NotFoundError

from .corpus import CASES, Found, Sound, check, names, plain
from .corpus.base import raises_nothing

ON_SERVER = [case for case in CASES if case.server]


@pytest.fixture(scope="module")
def catalog(server):
    with open_catalog(server.uri) as whole, open_catalog(whole.create_container("hostile")) as catalog:
        yield catalog


@pytest.fixture(scope="module")
def runs(catalog, tmp_path_factory):
    """Write all cases by one writer, and return the runs of each, by its name; nothing is raised into the caller."""
    journal = tmp_path_factory.mktemp("hostile")
    with TiledWriter(catalog, journal=journal, on_stop="return", deliver="thread") as writer:
        for case in ON_SERVER:
            assert raises_nothing(case, writer, ()) == 0
            writer.end_runs()
        assert writer.flush(timeout=100)
        status = writer.status()
        assert (status.failed, status.waiting, status.last_error) == ({}, (), None)
    found = defaultdict(list)
    for run in catalog.values():
        found[run.start["case"].removesuffix(" 2")].append(run)
    return found


@pytest.mark.parametrize("one", ON_SERVER, ids=lambda case: case.name)
def test_every_run_is_readable(one, runs):
    check(one, [read(run) for run in runs[one.name]])


def read(run):
    """Return what our clients give of a run."""
    report = run.metadata["tilewright"]
    streams = {name: run[name] for name in run.streams}
    tables = {name: stream.table(attempts=True) for name, stream in streams.items()}
    return Found(
        uid=run.uid,
        start=run.start,
        notes=run.notes,
        verified=report["verified"],
        state=report["state"],
        columns={name: {key: plain(frame[key]) for key in frame} for name, frame in tables.items()},
        rejected={name: rejected(stream) for name, stream in streams.items()},
        nodes={name: nodes(stream) for name, stream in streams.items() if stream.name == "primary"},
    )


def rejected(stream):
    return [tuple(row) for row in stream.rejected()[["seq_num", "data_key", "value"]].itertuples(index=False)]


def nodes(stream):
    return [key for key in stream.base if not key.startswith("internal")]


@pytest.mark.parametrize(
    "name",
    [
        "any_value_in_any_column",
        "columns_by_the_thousand",
        "data_keys_that_no_table_takes",
        "no_uid_in_the_descriptor",
        "odd_seq_nums",
    ],
)
def test_a_stream_is_a_dataset(name, runs):
    (run,) = runs[name]
    dataset = run["primary"].read(dim0="event")
    seq_nums = run.table(columns=["seq_num"])["seq_num"]
    assert plain(dataset["seq_num"].to_numpy()) == plain(seq_nums) if len(seq_nums) else not dataset.data_vars


def test_a_run_is_found_by_its_own_uid_whatever_that_is(runs, catalog):
    for what, uid in names.UIDS.items():
        if run := runs.get(f"a_uid_of_{what}"):
            assert uid in catalog
            assert catalog[uid].path_parts == run[0].path_parts
            assert catalog[uid]["primary"].table()["x"].tolist() == [1, 2]
    for uid in ("day 1/run 3", "...", "a?c", "\0", "\ud800", "/"):
        assert uid not in catalog
        with pytest.raises((NotFoundError, InputError)):
            catalog[uid]


def test_the_whole_catalog_is_a_table(runs, catalog):
    """One run whose times, counts and numbers are none does not cost the others their row."""
    table = catalog.table()
    assert len(table) == sum(map(len, runs.values()))
    assert table["uid"].is_unique
    assert catalog._repr_html_()
    for name in ("start_fields_of_wrong_types", "any_value_in_metadata", "no_uid_in_the_descriptor"):
        (run,) = runs[name]
        assert repr(run)
        assert run._repr_html_()
        assert run.uid in table["uid"].tolist()


@pytest.mark.parametrize(
    "name",
    [
        "a_uid_of_slashes",
        "a_uid_of_what_addresses_are_made_of",
        "any_value_in_metadata",
        "data_keys_that_no_table_takes",
        "streams_that_no_path_holds",
    ],
)
def test_a_plain_tiled_client_reads_all_of_it(name, runs, catalog):
    """By Tiled's own classes, and by the links that the server gives: every node can be reached and read."""
    dispatch = DEFAULT_STRUCTURE_CLIENT_DISPATCH["numpy"]
    families = {name: dispatch[name] for name in ("container", "table", "array") if name in dispatch}
    (ours,) = runs[name]
    plain_catalog = Container(catalog.context, item=catalog.item, structure_clients=families)
    run = plain_catalog[ours.path_parts[-1]]
    rows = ours.metadata["tilewright"]["rows"]
    for key, stream in run.items():
        assert type(stream) is Container
        tables = list(stream.values())
        assert [len(table.read()) for table in tables] == [rows.pop(key)] * len(tables)
    assert rows == {}


def test_strict_raises_what_is_otherwise_made_the_best_of(catalog, tmp_path):
    doc = Sound("strict")
    run = [doc.start(), doc.descriptor(), *doc.events(1, 2), doc.stop()]
    with TiledWriter(catalog, journal=tmp_path, on_stop="return", deliver="thread", strict=True) as writer:
        for _ in range(2):
            with pytest.raises(InputError, match="it belongs to no run being recorded"):
                writer(*doc.event(1))
        for document in run:
            writer(*document)
        writer(*run[0])
        with pytest.raises(InputError, match="was recorded before with other documents"):
            writer(*doc.descriptor(name="another"))
