"""`tilewright process nearest`: neighbours in a run of embeddings."""

import numpy as np
import pandas as pd
import pytest

from tilewright import TiledWriter, open_catalog, serve
from tilewright.sources import Embeddings
from tilewright.testing.embeddings import write_dataset


@pytest.fixture(scope="module")
def server(readable):
    with serve(announce=False, readable_storage=readable) as server:
        yield server


@pytest.fixture(scope="module")
def recorded(server, readable):
    """Two datasets of one model, the second one with the vectors of the first one's first file; and one of another model."""
    write_dataset(readable / "north", 3, 5, dimension=16)
    write_dataset(readable / "south", 1, 5, dimension=16)
    with open_catalog(server.uri) as whole:
        catalog = whole.create_container("process")
        uids = {}
        with TiledWriter(catalog) as writer:
            for name, model in (("north", "perch"), ("south", "perch"), ("other", "birdnet")):
                folder = readable / ("south" if name == "other" else name)
                source = Embeddings(folder, dataset=name, model=model)
                for document in source.documents():
                    writer(*document)
                uids[name] = source.uid()
        yield f"{catalog.uri.rstrip('/')}?api_key={server.api_key}", uids


def rows(path):
    return pd.read_csv(path)["row"].tolist()


def test_of_a_row(cli, recorded):
    address, uids = recorded
    result = cli(
        "process",
        "nearest",
        uids["north"],
        "--row",
        7,
        "-k",
        2,
        "--where",
        "site_id == 285",
        "--catalog",
        address,
    )
    assert result.status == 0
    heading, *lines = result.out.splitlines()
    assert heading.split()[:6] == ["query", "rank", "score", "row", "site_id", "site_name"]
    assert [line.split()[:2] for line in lines] == [["7", "1"], ["7", "2"]]
    assert result.err == "180 vectors searched (exact)\n"


def test_into_a_file(cli, recorded, tmp_path):
    address, uids = recorded
    command = (
        "process",
        "nearest",
        uids["north"],
        "--catalog",
        address,
        "--metric",
        "euclidean",
        "--output",
        tmp_path / "x.csv",
    )
    several = cli(*command, "--row", 7, "--row", 9, "-k", 3)
    assert several.out == f"6 rows written to {tmp_path / 'x.csv'}\n"
    by_rows = rows(tmp_path / "x.csv")
    with open_catalog(address) as runs:
        vectors = runs[uids["north"]].embeddings().vectors(rows=[7, 9])[:]
    np.save(tmp_path / "q.npy", vectors)
    cli(*command, "--vectors", tmp_path / "q.npy", "-k", 4)
    found = rows(tmp_path / "x.csv")
    assert (found[0], found[4]) == (7, 9)
    assert [*found[1:4], *found[5:]] == by_rows
    cli(*command, "--like", uids["south"], "--row", 7, "-k", 1)
    assert rows(tmp_path / "x.csv") == [7]
    cli(*command, "--like", uids["south"], "-k", 1)
    assert rows(tmp_path / "x.csv") == list(range(60))


def test_by_an_index(cli, recorded, tmp_path):
    pytest.importorskip("usearch")
    address, uids = recorded
    for _ in range(2):
        result = cli(
            "process",
            "nearest",
            uids["north"],
            "--row",
            7,
            "--index",
            tmp_path / "index",
            "--catalog",
            address,
        )
        assert result.status == 0
        assert "vectors searched (approximate, recall " in result.err
    assert (tmp_path / "index").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "say what to search for: --row 17"),
        (["--row", 7, "--vectors", "x.npy"], "not for both"),
        (["--vectors", "x.npy"], "cannot read vectors from x.npy"),
        (["--row", 180], "no row 180"),
        (["--row", 7, "--where", "site == 3"], "site_id"),
        (["--row", 7, "--output", "x.txt"], "expected a name that ends in .csv or .parquet"),
        (["--like", "OTHER"], "'birdnet' cannot be compared with those of 'perch'"),
    ],
)
def test_what_cannot_be_searched_for(cli, recorded, options, told):
    address, uids = recorded
    options = [uids["other"] if option == "OTHER" else option for option in options]
    result = cli("process", "nearest", uids["north"], *options, "--catalog", address)
    assert result.status == 1
    assert told in result.error


def test_a_map(cli, recorded, tmp_path):
    address, uids = recorded
    command = ("plot", uids["north"], "--kind", "map", "-o", tmp_path / "map.png", "--catalog", address)
    result = cli(*command, "--color", "subsite_name", "--where", "row > 20", "--sample", 100)
    assert result.out == f"map of north written to {tmp_path / 'map.png'}\n"
    assert (tmp_path / "map.png").stat().st_size > 10_000
    assert "color='x' is no column" in cli(*command, "--color", "x").error
