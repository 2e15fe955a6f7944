"""`tilewright runs`, `show`, `table` and `verify`."""

import numpy as np
import pandas as pd
import pytest

from tilewright import TiledWriter, open_catalog
from tilewright.cli.printing import run_tree
from tilewright.server import serve
from tilewright.testing.documents import file_documents, run_of


@pytest.fixture(scope="module")
def three(server, three_runs):
    """Make a catalog with three runs; return it and its address."""
    with open_catalog(server) as whole, open_catalog(whole.create_container("three")) as catalog:
        with TiledWriter(catalog, strict=True) as writer:
            for name, doc in three_runs:
                writer(name, doc)
        yield catalog, f"{catalog.uri}?api_key={server.api_key}"


@pytest.fixture
def filled(three, monkeypatch):
    """Make the catalog with three runs that of the commands; return it."""
    catalog, address = three
    monkeypatch.setenv("TILEWRIGHT_CATALOG", address)
    return catalog


def cells(text):
    """Return the lines of a table as lists of words."""
    return [line.split() for line in text.splitlines()]


class TestRuns:
    def test_one_line_a_run(self, cli, filled):
        result = cli("runs")
        assert (result.status, result.err) == (0, "")
        header, *lines = cells(result.out)
        assert header == ["uid", "scan_id", "plan", "start", "(UTC)", "seconds", "exit", "events", "streams"]
        assert [line[:2] for line in lines] == [[run.uid, str(run.scan_id)] for run in filled.values()]
        assert lines[0][2:] == ["-", "2023-11-14", "22:13:20", "11.0", "success", "10", "primary"]

    def test_limit_keeps_the_latest_and_says_so(self, cli, filled):
        result = cli("runs", "--limit", 2)
        assert [line[1] for line in cells(result.out)[1:]] == ["2", "3"]
        assert result.err == "These are the latest 2; --limit shows more.\n"

    def test_since_and_until(self, cli, filled):
        assert len(cells(cli("runs", "--since", "2023-11-14", "--until", "2023-11-15").out)) == 4
        assert cli("runs", "--since", "2023-11-15").out.startswith("No such runs in http")

    def test_plan(self, cli, filled):
        assert cli("runs", "--plan", "scan").out.startswith("No such runs in http")

    def test_a_time_that_is_none(self, cli, filled):
        result = cli("runs", "--since", "yesterday evening")
        assert result.status == 1
        assert "write it like '2026-01-31T12:00:00+01:00'" in result.error

    def test_an_empty_catalog(self, cli, address):
        result = cli("runs", "--catalog", address)
        assert (result.status, result.out) == (0, f"No runs in {address}.\n")

    def test_a_run_that_was_cut_off(self, cli, catalog, address, three_runs):
        with TiledWriter(catalog) as writer:
            for name, doc in three_runs[:6]:
                writer(name, doc)
        (line,) = cells(cli("runs", "--catalog", address).out)[1:]
        assert line[5:7] == ["-", "-"]


class TestShow:
    def test_what_there_is(self, cli, filled, three_runs):
        result = cli("show", "3")
        assert (result.status, result.err) == (0, "")
        run = filled[3]
        assert f"'uid': '{run.uid}'" in result.out
        assert f"'run_start': '{run.uid}'" in result.out
        assert "internal: table, 4 rows\n" in result.out
        for column in ["seq_num: int64", "time: double", "count: int64", "label: string", "open: bool"]:
            assert f"── {column}\n" in result.out
        assert "primary/internal  application/x-tiled-sql-table\n    " in result.out
        assert "storage.duckdb\n" in result.out

    @pytest.mark.parametrize("name", ["-1", "3", "uid", "beginning"])
    def test_a_run_by_any_of_its_names(self, cli, filled, name):
        uid = filled[3].uid
        result = cli("show", {"uid": uid, "beginning": uid[:8]}.get(name, name))
        assert result.out.startswith(f"<Run {uid[:8]}, scan_id 3")

    def test_from_the_end(self, cli, filled):
        assert cli("show", "-2").out.startswith(f"<Run {filled[2].uid[:8]}, scan_id 2")

    @pytest.mark.parametrize("name", ["17", "-4", "nobody"])
    def test_no_such_run(self, cli, filled, name):
        result = cli("show", name)
        assert result.status == 1
        assert result.error.startswith("tilewright: No run ")
        assert filled[-1].uid[:8] in result.error

    def test_a_run_without_streams(self, cli, catalog, address, three_runs):
        with TiledWriter(catalog) as writer:
            for name, doc in (three_runs[0], three_runs[12]):
                writer(name, doc)
        result = cli("show", "-1", "--catalog", address)
        assert result.status == 0
        assert result.out.endswith("\nFiles\nnone\n")

    def test_the_tree_of_the_demo_has_no_documents(self, filled):
        assert [branch.label for branch in run_tree(filled[3]).children] == ["stream primary"]


class TestTable:
    def test_rows_with_times_in_utc(self, cli, filled):
        result = cli("table", "1")
        assert (result.status, result.err) == (0, "")
        header, *lines = cells(result.out)
        assert header == ["seq_num", "time", "x0", "x1", "x2"]
        assert len(lines) == 10
        assert lines[0] == ["1", "2023-11-14", "22:13:21.000", "1.0", "1.001", "1.002"]
        assert lines[9] == ["10", "2023-11-14", "22:13:30.000", "10.0", "10.001", "10.002"]

    def test_a_stream_with_timestamps(self, cli, filled):
        result = cli("table", "-2", "baseline", "--timestamps", "--columns", "x1")
        assert cells(result.out)[:2] == [["x1", "ts_x1"], ["1.001", "2023-11-14", "22:13:21.001"]]

    def test_attempts(self, cli, filled):
        columns = ("--columns", "seq_num,count")
        assert cells(cli("table", "3", *columns).out)[1:] == [["1", "1"], ["2", "3"], ["3", "4"]]
        assert len(cells(cli("table", "3", *columns, "--attempts").out)) == 5

    def test_where(self, cli, filled):
        columns = ("--columns", "seq_num,x1")
        result = cli("table", "1", *columns, "--where", "x0 > 3 and not x1 >= 6.5 or seq_num in [1]")
        assert cells(result.out)[1:] == [["1", "1.001"], ["4", "4.001"], ["5", "5.001"], ["6", "6.001"]]
        assert cli("table", "1", "--where", "x0 > 30").out == "no rows\n"

    def test_a_where_that_cannot_be(self, cli, filled):
        result = cli("table", "1", "--where", "x9 > 3")
        assert result.status == 1
        assert result.error.startswith(
            "tilewright: no column 'x9' to compare. There are: seq_num, time, x0, x1, x2"
        )
        result = cli("table", "1", "--where", "x0 = 3")
        assert result.status == 1
        assert "cannot read where='x0 = 3'" in result.error

    @pytest.mark.parametrize("suffix", [".csv", ".parquet"])
    @pytest.mark.parametrize("scan_id", [1, 3])
    def test_a_file_has_what_table_gives(self, cli, filled, tmp_path, suffix, scan_id):
        path = tmp_path / f"rows{suffix}"
        result = cli("table", scan_id, "--timestamps", "--attempts", "--output", path)
        expected = filled[scan_id].table(timestamps=True, attempts=True)
        assert (result.status, result.out) == (0, f"{len(expected)} rows written to {path}\n")
        assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == [path.name]
        if suffix == ".parquet":
            pd.testing.assert_frame_equal(pd.read_parquet(path), expected, check_dtype=False)
        else:
            assert path.read_text() == expected.to_csv(index=False)
            numbers = expected.select_dtypes("number")
            pd.testing.assert_frame_equal(pd.read_csv(path)[list(numbers)], numbers, check_dtype=False)

    def test_columns_in_a_file(self, cli, filled, tmp_path):
        path = tmp_path / "rows.parquet"
        cli("table", "1", "--columns", "x2, x0", "--output", path)
        pd.testing.assert_frame_equal(pd.read_parquet(path), filled[1].table(columns=["x2", "x0"]))

    def test_no_such_stream(self, cli, filled):
        result = cli("table", "1", "basline")
        assert result.status == 1
        assert result.error.endswith("has no stream 'basline'. Its streams are: primary.")

    def test_no_such_column(self, cli, filled):
        result = cli("table", "1", "--columns", "x0,x9")
        assert result.status == 1
        assert "no column 'x9'" in result.error
        assert "x0, x1, x2" in result.error

    @pytest.mark.parametrize(
        ("output", "reason"),
        [("rows.xlsx", "a name that ends in .csv or .parquet"), ("no/rows.csv", "make it first")],
    )
    def test_an_output_that_cannot_be(self, cli, filled, tmp_path, output, reason):
        result = cli("table", "1", "--output", tmp_path / output)
        assert result.status == 1
        assert reason in result.error

    def test_no_rows(self, cli, catalog, address, three_runs):
        start, descriptor = three_runs[:2]
        with TiledWriter(catalog) as writer:
            writer(*start)
            writer(*descriptor)
        assert cli("table", "-1", "--catalog", address).out == "no rows\n"


class TestVerify:
    @pytest.fixture
    def images(self, tmp_path):
        """Record a run of three NPY files on a server that may read them; return its address, uid and folder."""
        documents = run_of({"x": [1.0, 2.0, 3.0]})
        start, descriptor = documents[0][1], documents[1][1]
        described = {"source": "test", "dtype": "array", "dtype_numpy": "<i8", "shape": [2]}
        descriptor["data_keys"]["img"] = {**described, "external": "STREAM:"}
        for number in range(3):
            np.save(tmp_path / f"x_{number}.npy", np.arange(2 * number, 2 * number + 2, dtype="<i8"))
        more = file_documents(
            "img",
            uri=f"file://localhost{tmp_path}/",
            mimetype="multipart/related;type=application/x-npy",
            descriptor=descriptor["uid"],
            run_start=start["uid"],
            template="x_{}.npy",
        )
        with serve(readable_storage=[tmp_path], announce=False) as server:
            with TiledWriter(server, strict=True) as writer:
                for document in [*documents[:-1], *more, documents[-1]]:
                    writer(*document)
            yield server.uri, start["uid"], tmp_path

    def test_rows_and_files(self, cli, images):
        address, uid, folder = images
        result = cli("verify", uid[:8], "--catalog", address)
        assert (result.status, result.out) == (0, f"run {uid}: as reported (rows: primary 3)\n")
        result = cli("verify", -1, "--files", "--catalog", address)
        assert (result.status, result.err) == (0, "")
        assert "so are its files (3)" in result.out
        (folder / "x_1.npy").unlink()
        assert cli("verify", uid, "--catalog", address).status == 0
        result = cli("verify", uid, "--files", "--catalog", address)
        assert result.status == 1
        missing, conclusion = result.out.splitlines()
        assert missing == f"run {uid}: primary/img: {folder}/x_1.npy is missing"
        assert "int64 of shape (1, 2)" in conclusion
        result = cli("verify", uid, "--files", "--repair", "--catalog", address)
        assert result.status == 0, result
        assert "has been corrected" in result.out
        assert cli("verify", uid, "--files", "--catalog", address).status == 0

    def test_repair_is_of_files_here(self, cli, images):
        address, uid, _ = images
        assert "tilewright journal verify" in cli("verify", uid, "--repair", "--catalog", address).error
